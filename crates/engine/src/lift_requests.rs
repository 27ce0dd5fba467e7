//! Lifting a block by hand: asked for with a reason, and done once a second person agrees.

use serde::Serialize;
use serde_json::json;
use store::LiftRequestRow;
use utoipa::ToSchema;

use crate::fault::{Fault, FaultKind, Result};
use crate::optouts::Person;
use crate::views::iso;
use crate::{Actor, App, evidence};

/// A lift that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiftView {
    /// Ours.
    pub id: i64,
    /// The person.
    pub person: Option<String>,
    /// `pending`, `approved` or `refused`.
    pub state: String,
    /// Who asked.
    pub requested_by: String,
    /// Why.
    pub reason: String,
    /// When, RFC 3339.
    pub at: String,
    /// Who decided.
    pub decided_by: Option<String>,
}

async fn view(app: &App, row: LiftRequestRow) -> Result<LiftView> {
    let contact = app.store.contact(row.contact_id).await?;
    let names = app.store.names_of(row.contact_id).await?;
    let name = names.into_iter().map(|(_, name)| name).find(|name| !store::is_blind(name));
    Ok(LiftView {
        id: row.id,
        person: contact.and_then(|contact| crate::views::phone(contact.phone)).or(name),
        state: row.decided.unwrap_or_else(|| "pending".to_owned()),
        requested_by: row.requested_by,
        reason: row.reason,
        at: iso(row.at),
        decided_by: row.decided_by,
    })
}

/// Asks that a person's block be lifted. It holds until somebody else approves.
///
/// # Errors
/// When the text is no person, they are not suppressed or were erased, the reason is empty, or the database is away.
#[crate::boxed]
pub async fn ask(app: &App, actor: &Actor, person: &str, reason: &str) -> Result<LiftView> {
    let person = Person::parse(person)?;
    if reason.trim().is_empty() {
        return Err(Fault::invalid("A lift needs a reason: how did the person ask for messages again?"));
    }
    let Some(block) = app.store.suppression(person.key(), person.user_id()).await? else {
        return Err(Fault::wrong_state("This person is not opted out."));
    };
    if block.source == "erasure" {
        let fault = Fault::wrong_state("This person was erased at their own request; nothing is known of them.");
        return Err(fault.action("They can only come back by a new number."));
    }
    let now = app.clock.now_ms();
    view(app, app.store.request_lift(block.contact_id, actor.as_str(), reason.trim(), now).await?).await
}

/// Lifts that wait for a second person: a page.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, after: Option<i64>, limit: u32) -> Result<Vec<LiftView>> {
    let mut views = Vec::new();
    for row in app.store.open_lift_requests(after.unwrap_or(0), i64::from(limit)).await? {
        views.push(view(app, row).await?);
    }
    Ok(views)
}

/// Approves or refuses a lift that somebody else asked for. Approved, the block is gone and the ledger says who and why.
///
/// # Errors
/// When there is no such lift, it was decided, the same person asked for it, or the database is away.
#[crate::boxed]
pub async fn decide(app: &App, actor: &Actor, id: i64, approve: bool) -> Result<LiftView> {
    let Some(row) = app.store.lift_request(id).await? else {
        return Err(Fault::not_found("There is no such lift.").action("See them with: hudhud optout lifts"));
    };
    if let Some(decided) = &row.decided {
        return Err(Fault::wrong_state(format!("It was {decided} before.")));
    }
    if row.requested_by == actor.as_str() {
        let fault = Fault::new(FaultKind::Forbidden, "Whoever asked for a lift does not decide it.");
        return Err(fault.action("Ask a second person."));
    }
    let detail = json!({"reason": row.reason, "requested_by": row.requested_by, "approved_by": actor.as_str()});
    let evidence = evidence::entry(app, "lift", actor, &detail).map_err(Fault::internal)?;
    let now = app.clock.now_ms();
    if !app.store.decide_lift(id, actor.as_str(), approve.then_some(&evidence), now).await? {
        return Err(Fault::conflict("Somebody else decided it a moment ago."));
    }
    let row = app.store.lift_request(id).await?.ok_or_else(|| Fault::not_found("The lift is gone."))?;
    view(app, row).await
}

#[cfg(test)]
mod tests {
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::optouts;
    use crate::testing::app;

    on_both_databases! {
        async fn a_block_is_lifted_by_two_people_with_a_reason_and_the_ledger_names_both(db: Database) {
            let app = app(db).await;
            let (one, two) = (Actor::cli("nour"), Actor::key("compliance"));
            let person = "+20 100 555 0001";
            assert_eq!(ask(&app, &one, person, "wrote a letter").await.unwrap_err().kind, FaultKind::WrongState);
            optouts::add(&app.app, &one, person, "by phone").await.unwrap();
            assert!(ask(&app, &one, person, " ").await.is_err());
            let asked = ask(&app, &one, "00201005550001", "wrote a letter").await.unwrap();
            assert_eq!((asked.state.as_str(), asked.person.as_deref()), ("pending", Some("+201005550001")));
            assert!(optouts::check(&app, person).await.unwrap().suppressed);
            assert_eq!(decide(&app, &one, asked.id, true).await.unwrap_err().kind, FaultKind::Forbidden);
            assert_eq!(ls(&app, None, 10).await.unwrap(), std::slice::from_ref(&asked));
            let done = decide(&app, &two, asked.id, true).await.unwrap();
            assert_eq!((done.state.as_str(), done.decided_by.as_deref()), ("approved", Some("key:compliance")));
            assert!(!optouts::check(&app, person).await.unwrap().suppressed);
            assert_eq!(decide(&app, &two, asked.id, true).await.unwrap_err().kind, FaultKind::WrongState);
            let proof = crate::proof::prove(&app, &two, person).await.unwrap();
            assert_eq!(proof.lifts[0].said, "wrote a letter");
            assert!(proof.entries.iter().any(|entry| entry.kind == "lift" && entry.detail.contains("cli:nour")));
            optouts::add(&app.app, &one, person, "by phone again").await.unwrap();
            assert!(optouts::check(&app, person).await.unwrap().suppressed);
        }
    }
}
