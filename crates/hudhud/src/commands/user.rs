//! `hudhud user`.

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::with_client;
use crate::cli::Session;
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::http::access::Role;
use crate::http::problem::{Kind, Problem};
use crate::http::{NewUserBody, RoleBody};
use crate::settings::Settings;

/// `hudhud user …`
#[derive(Debug, Subcommand)]
pub enum User {
    /// Invite a user; prints the link by which they choose a password and a second factor
    Add {
        /// Their e-mail address; nothing is sent there
        email: String,
        /// What they may do
        #[arg(long)]
        role: Role,
    },
    /// List the users
    Ls,
    /// Give a user another role
    Role {
        /// Their e-mail address
        email: String,
        /// What they may do from now on
        #[arg(long)]
        role: Role,
    },
    /// Print a new link for a user who lost theirs, their password or their authenticator; without an address, the one
    /// that makes the first user
    Link {
        /// Their e-mail address
        email: Option<String>,
    },
    /// Remove a user; their sessions are over
    Rm {
        /// Their e-mail address
        email: String,
    },
}

/// The address at which people open the console.
pub(crate) fn console_url(settings: &Settings) -> String {
    let listening = || {
        let mut address = settings.listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    };
    let url = settings.public_url.clone().or_else(|| settings.url.clone()).unwrap_or_else(listening);
    url.trim_end_matches('/').to_owned()
}

/// Users are known to the API by their ids.
async fn id_of(client: &ApiClient, email: &str) -> anyhow::Result<i64> {
    let wanted = email.trim().to_lowercase();
    let users = client.list("/api/v1/users").await?;
    let found = users.iter().find(|user| user["email"] == wanted.as_str()).and_then(|user| user["id"].as_i64());
    found.ok_or_else(|| {
        Problem::new(Kind::NotFound, format!("There is no user {wanted}."), "See them with: hudhud user ls").into()
    })
}

impl User {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Add { email, role } => {
                let body = NewUserBody { email, role };
                let invited = with_client(session, async |client| client.post("/api/v1/users", &body).await).await?;
                show_link(session, invited)?;
            }
            Self::Ls => {
                let users = with_client(session, async |client| client.list("/api/v1/users").await).await?;
                let columns = [
                    ("EMAIL", "email"),
                    ("NAME", "name"),
                    ("ROLE", "role"),
                    ("STATE", "state"),
                    ("BY", "created_by"),
                    ("SIGNED IN", "signed_in_at"),
                ];
                session.out.table(&columns, &users)?;
            }
            Self::Role { email, role } => {
                let user = with_client(session, async |client| {
                    let id = id_of(client, &email).await?;
                    client.post(&format!("/api/v1/users/{id}/role"), &RoleBody { role }).await
                });
                session.out.document(&user.await?)?;
            }
            Self::Link { email } => {
                let link = with_client(session, async |client| match &email {
                    Some(email) => {
                        let id = id_of(client, email).await?;
                        client.post(&format!("/api/v1/users/{id}/link"), &json!({})).await
                    }
                    None => client.post("/api/v1/users/first-link", &json!({})).await,
                });
                show_link(session, link.await?)?;
            }
            Self::Rm { email } => {
                with_client(session, async |client| {
                    let id = id_of(client, &email).await?;
                    client.delete(&format!("/api/v1/users/{id}")).await
                })
                .await?;
                if session.out.is_json() {
                    session.out.document(&json!({"removed": email}))?;
                }
                session.out.remark(&format!("Removed {email}."));
            }
        }
        Ok(Exit::Done)
    }
}

/// Prints a link that was just made, in full.
fn show_link(session: &Session, mut made: Value) -> anyhow::Result<()> {
    let path = made["link"].as_str().context("the answer has no link")?;
    made["link"] = Value::from(format!("{}{path}", console_url(&session.settings)));
    session.out.document(&made)?;
    session.out.remark("It opens once: whoever follows it first is that user. It is not shown again.");
    Ok(())
}
