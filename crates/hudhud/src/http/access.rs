//! Who is asking, and what they may do.
//!
//! A caller over the network shows an API key, or the cookie of a session (`session`). A caller on this machine is
//! recognised by the door it comes through: the control socket in the data directory, whose peer the kernel names, or
//! this very process. No header makes anyone a local caller.
//!
//! [`Role::may`] is the one table of who may do what; `routes` says which route needs what. The console reads both
//! through the API. Three lines are drawn on purpose: who uploads people does not launch to them, who runs the machine
//! does not read what people write, and a suppression is lifted by compliance alone (an admin, who gives the roles
//! out, may take any of them).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use engine::Actor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Kind, Problem};

/// What a caller is, at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Imports people and drafts campaigns.
    Marketer,
    /// Drafts, launches and ends campaigns.
    Launcher,
    /// Keeps the numbers and the queue running.
    Operator,
    /// Opt-outs, evidence, the ledger.
    Compliance,
    /// Looks, and sees no person.
    Viewer,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See campaigns, lists, templates, numbers and the queue: no person among them.
    Look,
    /// See persons: rejected rows, recipients, opt-outs, exports.
    LookAtPersons,
    /// Import people, remove lists.
    ManageLists,
    /// Create a campaign.
    DraftCampaigns,
    /// See what a campaign would do: how many would get it, who not and why, at what cost.
    Preflight,
    /// Launch, resume and cancel campaigns.
    RunCampaigns,
    /// Approve a large campaign that another person launches.
    ApproveCampaigns,
    /// Pause a campaign: whoever sees something wrong may stop it.
    StopCampaigns,
    /// Rates, pauses, sends in doubt.
    Operate,
    /// Put a person on the opt-out list.
    OptOut,
    /// Read what people wrote to us, and rule on what they meant.
    ReadMessages,
    /// Take a person off the opt-out list, together with a second person.
    LiftOptOuts,
    /// Verify the ledger, read the audit log.
    Audit,
    /// Accounts and their tokens, users, API keys.
    Administer,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 14] = [
        Self::Look,
        Self::LookAtPersons,
        Self::ManageLists,
        Self::DraftCampaigns,
        Self::Preflight,
        Self::RunCampaigns,
        Self::ApproveCampaigns,
        Self::StopCampaigns,
        Self::Operate,
        Self::OptOut,
        Self::ReadMessages,
        Self::LiftOptOuts,
        Self::Audit,
        Self::Administer,
    ];
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Marketer, Self::Launcher, Self::Operator, Self::Compliance, Self::Viewer];

    /// The one table of who may do what.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission::{
            ApproveCampaigns, Audit, DraftCampaigns, LiftOptOuts, Look, LookAtPersons, ManageLists, Operate, OptOut,
            Preflight, ReadMessages, RunCampaigns, StopCampaigns,
        };
        match self {
            Self::Admin => true,
            Self::Marketer => {
                matches!(
                    permission,
                    Look | LookAtPersons | ManageLists | DraftCampaigns | Preflight | StopCampaigns | OptOut
                )
            }
            Self::Launcher => {
                matches!(
                    permission,
                    Look | DraftCampaigns | Preflight | RunCampaigns | ApproveCampaigns | StopCampaigns
                )
            }
            Self::Operator => {
                matches!(permission, Look | LookAtPersons | RunCampaigns | StopCampaigns | Operate | OptOut)
            }
            Self::Compliance => {
                matches!(
                    permission,
                    Look | LookAtPersons
                        | Preflight
                        | ApproveCampaigns
                        | StopCampaigns
                        | OptOut
                        | ReadMessages
                        | LiftOptOuts
                        | Audit
                )
            }
            Self::Viewer => matches!(permission, Look),
        }
    }

    /// As it is written in `--role` and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Marketer => "marketer",
            Self::Launcher => "launcher",
            Self::Operator => "operator",
            Self::Compliance => "compliance",
            Self::Viewer => "viewer",
        }
    }

    /// The role of that name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Who is asking. Made by the door (local callers), from an API key or from a session; a handler that takes it needs no
/// other proof.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their name in the ledger: `cli:amr`, `key:ci`, `user:mona@example.com`.
    pub actor: Actor,
    /// What they are.
    pub role: Role,
    /// Their session, where they came by one.
    pub(super) session: Option<Arc<store::Session>>,
}

impl Caller {
    /// The user with this id on this machine, through the control socket or in this process.
    #[must_use]
    pub fn local(uid: u32) -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        let name = user.map_or_else(|| format!("uid-{uid}"), |user| user.name);
        Self { actor: Actor::cli(&name), role: Role::Admin, session: None }
    }

    /// Their session, or a refusal: keys and commands have none.
    pub(super) fn session(&self) -> Result<&store::Session, Problem> {
        self.session.as_deref().ok_or_else(|| {
            let detail = format!("{} has no session: it came by a key or on this machine.", self.actor);
            Problem::new(Kind::WrongState, detail, "Sign in with a password and a code for this.")
        })
    }

    /// Refuses unless the caller's role has the permission.
    pub(super) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.role.may(permission) {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Forbidden,
            format!("The role {} may not do this.", self.role.as_str()),
            "Ask somebody whose role may, or an admin for a key with another role.",
        ))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(not_signed_in)
    }
}

pub(super) fn not_signed_in() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "This needs a sign-in.",
        "Sign in, or send Authorization: Bearer KEY; an admin makes keys with: hudhud apikey create NAME --role ROLE",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_admin_administers_and_a_viewer_only_looks() {
        use Permission::*;
        for role in Role::ALL {
            assert_eq!(role.may(Administer), role == Role::Admin, "{role:?}");
            assert!(role.may(Look), "{role:?}");
        }
        for permission in Permission::ALL {
            assert_eq!(Role::Viewer.may(permission), permission == Look, "{permission:?}");
            assert!(Role::Admin.may(permission));
        }
    }

    #[test]
    fn who_drafts_does_not_launch_unless_they_are_a_launcher() {
        assert!(Role::Marketer.may(Permission::DraftCampaigns) && !Role::Marketer.may(Permission::RunCampaigns));
        assert!(Role::Launcher.may(Permission::RunCampaigns) && !Role::Launcher.may(Permission::LookAtPersons));
    }

    #[test]
    fn only_compliance_lifts_and_reads_what_people_write_beside_the_admin() {
        for permission in [Permission::LiftOptOuts, Permission::ReadMessages, Permission::Audit] {
            let who: Vec<Role> = Role::ALL.into_iter().filter(|role| role.may(permission)).collect();
            assert_eq!(who, [Role::Admin, Role::Compliance], "{permission:?}");
        }
    }

    #[test]
    fn nobody_but_an_admin_both_uploads_and_launches() {
        let both = |role: &Role| role.may(Permission::ManageLists) && role.may(Permission::RunCampaigns);
        assert_eq!(Role::ALL.into_iter().filter(both).collect::<Vec<_>>(), [Role::Admin]);
    }

    #[test]
    fn roles_read_back_by_name() {
        for role in Role::ALL {
            assert_eq!(Role::named(role.as_str()), Some(role));
        }
        assert_eq!(Role::named("root"), None);
    }
}
