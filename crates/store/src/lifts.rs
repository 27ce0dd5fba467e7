//! People who ask for messages again, and people whose number or user id changes: what stood about the old one stands
//! about the new one.

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};
use crate::suppressions::{Identity, learn_within, one_at_a_time};

/// Somebody asks for messages again.
#[derive(Clone, Debug)]
pub struct Lift {
    /// The number's canonical key.
    pub phone_key: Option<i64>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
    /// When they asked: a stop of that moment or later stays.
    pub at: i64,
    /// The sources of the stops that this undoes.
    pub sources: &'static [&'static str],
    /// The scopes of the stops that this undoes, as they are written: what somebody who asks a business number for
    /// messages may mean by it.
    pub scopes: Vec<String>,
    /// The evidence, as it goes into the ledger.
    pub evidence: NewEntry,
}

/// What became of such a wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// Whose block is gone.
    pub contact_ids: Vec<i64>,
    /// Whose block stays, for somebody else recorded it: a person must decide.
    pub held: Vec<i64>,
}

/// A change of number or user id.
#[derive(Clone, Debug)]
pub struct Move {
    /// The old number's canonical key.
    pub old_phone: Option<i64>,
    /// The old user id.
    pub old_user_id: Option<String>,
    /// The new number's canonical key and digits.
    pub new_phone: Option<(i64, i64)>,
    /// The new user id.
    pub new_user_id: Option<String>,
    /// When we learned of it.
    pub now: i64,
    /// The evidence, as it goes into the ledger of whoever is newly suppressed.
    pub evidence: NewEntry,
}

async fn known(store: &Store, tx: &mut Link, phone: Option<i64>, user_id: Option<&str>) -> Result<Vec<i64>> {
    let (blind, [own, parent]) = (store.blind_phone(phone), store.blind_names(user_id));
    Ok(
        on!(tx, c => sqlx::query_scalar(crate::persons::NAMED).bind(phone).bind(user_id).bind(blind).bind(own).bind(parent)
        .fetch_all(c).await)?,
    )
}

impl Store {
    /// Lifts the blocks that a person's own stops made before they asked for messages again. Those of other scopes stay.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn lift(&self, lift: &Lift) -> Result<Lifted> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let mut lifted = Lifted::default();
        for person in known(self, &mut tx, lift.phone_key, lift.user_id.as_deref()).await? {
            let blocks: Vec<(String, String, i64)> = on!(&mut tx, c => sqlx::query_as(
                "SELECT scope, source, since FROM suppressions WHERE contact_id = $1")
                .bind(person).fetch_all(c).await)?;
            let blocks: Vec<_> = blocks.into_iter().filter(|(scope, ..)| lift.scopes.contains(scope)).collect();
            // A tie is a stop.
            if blocks.iter().any(|(_, _, since)| *since >= lift.at) {
                continue;
            }
            let (theirs, others): (Vec<_>, Vec<_>) =
                blocks.into_iter().partition(|(_, source, _)| lift.sources.contains(&source.as_str()));
            for (scope, ..) in &theirs {
                on!(&mut tx, c => sqlx::query("DELETE FROM suppressions WHERE contact_id = $1 AND scope = $2")
                    .bind(person).bind(scope).execute(c).await.map(drop))?;
            }
            if !others.is_empty() {
                lifted.held.push(person);
            }
            if theirs.is_empty() && !others.is_empty() {
                continue;
            }
            if !theirs.is_empty() {
                lifted.contact_ids.push(person);
            }
            let is_later = note_lifted(&mut tx, person, &lift.scopes, lift.at).await?;
            // The same wish once more, for a webhook is repeated.
            if is_later || !theirs.is_empty() {
                let entry = NewEntry { contact_id: Some(person), ..lift.evidence.clone() };
                ledger::append(&mut tx, &entry).await?;
            }
        }
        tx.commit().await?;
        Ok(lifted)
    }

    /// Carries a block over to a person's new number and user id. Who is suppressed by it that was not before.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn carry_over(&self, change: &Move) -> Result<Vec<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let old = known(self, &mut tx, change.old_phone, change.old_user_id.as_deref()).await?;
        let mut carried = Vec::new();
        let mut new = known(self, &mut tx, change.new_phone.map(|(key, _)| key), change.new_user_id.as_deref()).await?;
        let blocked = blocked_among(&mut tx, &old).await?;
        if new.is_empty()
            && !blocked.is_empty()
            && let Some((key, digits)) = change.new_phone
        {
            new.push(on!(&mut tx, c => sqlx::query_scalar(
                "INSERT INTO contacts (phone_key, phone, created_at, updated_at) VALUES ($1, $2, $3, $3)
                 ON CONFLICT (phone_key) DO UPDATE SET updated_at = contacts.updated_at RETURNING id")
                .bind(key).bind(digits).bind(change.now).fetch_one(c).await)?);
        }
        if let (Some(user_id), Some(bearer)) = (&change.new_user_id, new.first().or(old.first())) {
            let name = Identity { kind: 2, value: user_id.clone(), contact_id: *bearer };
            learn_within(&mut tx, &[name]).await?;
        }
        for person in new.iter().filter(|person| !old.contains(person)) {
            let mut inserted = 0;
            for from in &blocked {
                inserted += on!(&mut tx, c => sqlx::query(
                    "INSERT INTO suppressions (contact_id, scope, since, source, campaign_id, evidence_id)
                     SELECT $1, scope, since, source, campaign_id, evidence_id FROM suppressions WHERE contact_id = $2
                     ON CONFLICT (contact_id, scope) DO NOTHING")
                    .bind(person).bind(from).execute(c).await.map(|done| done.rows_affected()))?;
            }
            if inserted > 0 {
                let entry = NewEntry { contact_id: Some(*person), ..change.evidence.clone() };
                ledger::append(&mut tx, &entry).await?;
                carried.push(*person);
            }
        }
        tx.commit().await?;
        Ok(carried)
    }
}

/// Notes when a person asked for messages again, by scope. Whether that is news.
pub(crate) async fn note_lifted(tx: &mut Link, person: i64, scopes: &[String], at: i64) -> Result<bool> {
    let mut is_later = false;
    for scope in scopes {
        is_later |= on!(tx, c => sqlx::query(
            "INSERT INTO lifted (contact_id, scope, at) VALUES ($1, $2, $3)
             ON CONFLICT (contact_id, scope) DO UPDATE SET at = excluded.at WHERE excluded.at > lifted.at")
            .bind(person).bind(scope).bind(at).execute(c).await.map(|done| done.rows_affected() > 0))?;
    }
    Ok(is_later)
}

/// Those of these people who are blocked.
async fn blocked_among(tx: &mut Link, people: &[i64]) -> Result<Vec<i64>> {
    let mut blocked = Vec::new();
    for person in people {
        let is_blocked: Option<i64> = on!(tx, c => sqlx::query_scalar(
            "SELECT contact_id FROM suppressions WHERE contact_id = $1 LIMIT 1").bind(person).fetch_optional(c).await)?;
        blocked.extend(is_blocked);
    }
    Ok(blocked)
}

#[cfg(test)]
mod tests {
    use domain::optout::scope::{Forbidding, Scope};

    use super::*;
    use crate::fixture::{NOW, Shop, stop};
    use crate::suppressions::Stop;
    use crate::testing::{Database, entry, on_both_databases};

    const PHONE: (i64, i64) = (15_550_000_001, 15_550_000_001);
    const OWN: &[&str] = &["text", "button"];

    fn lift(at: i64) -> Lift {
        Lift {
            phone_key: Some(PHONE.0),
            user_id: None,
            at,
            sources: OWN,
            scopes: scopes(),
            evidence: entry("lift", at),
        }
    }

    fn said(source: &'static str, at: i64) -> Stop {
        Stop { phone: Some(PHONE), source, at, ..stop() }
    }

    fn scopes() -> Vec<String> {
        Forbidding::of("MARKETING", "pnid-0", Some("Nile")).scopes().to_vec()
    }

    async fn is_blocked(store: &Store, contact: i64) -> bool {
        !store.stopped_among(&[contact]).await.unwrap().is_empty()
    }

    on_both_databases! {
        async fn a_later_wish_of_the_person_lifts_their_own_stop_and_a_tie_is_a_stop(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
            db.store.stop(&said("text", NOW)).await.unwrap();
            assert_eq!(db.store.lift(&lift(NOW - 1)).await.unwrap(), Lifted::default());
            assert_eq!(db.store.lift(&lift(NOW)).await.unwrap(), Lifted::default());
            assert!(is_blocked(&db.store, 1).await);
            assert_eq!(db.store.lift(&lift(NOW + 5)).await.unwrap().contact_ids, [1]);
            assert!(!is_blocked(&db.store, 1).await);
            // The stop comes once more, for a webhook is repeated: it was said before the wish.
            db.store.stop(&said("text", NOW)).await.unwrap();
            assert!(!is_blocked(&db.store, 1).await);
            db.store.stop(&said("text", NOW + 5)).await.unwrap();
            assert!(is_blocked(&db.store, 1).await);
        }

        async fn a_wish_lifts_the_scopes_it_may_mean_and_no_other(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
            for scope in [Scope::Number("pnid-0".into()), Scope::Number("pnid-9".into()), Scope::Brand("Nile".into())] {
                db.store.stop(&Stop { scope, ..said("text", NOW) }).await.unwrap();
            }
            assert_eq!(db.store.lift(&lift(NOW + 5)).await.unwrap().contact_ids, [1]);
            let left = db.store.blocks_of(Some(PHONE.0), None).await.unwrap();
            assert_eq!(left.iter().map(|block| block.scope.as_str()).collect::<Vec<_>>(), ["number:pnid-9"]);
            // Come once more, and late: the one that was lifted stays so.
            for (number, holds) in [("pnid-0", false), ("pnid-9", true)] {
                let stop = Stop { scope: Scope::Number(number.into()), ..said("text", NOW + 1) };
                db.store.stop(&stop).await.unwrap();
                let blocks = db.store.blocks_of(Some(PHONE.0), None).await.unwrap();
                assert_eq!(blocks.iter().any(|block| block.scope.ends_with(number)), holds, "{number}");
            }
        }

        async fn what_somebody_else_recorded_is_not_lifted_by_a_word(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
            db.store.stop(&said("manual", NOW)).await.unwrap();
            assert_eq!(db.store.lift(&lift(NOW + 5)).await.unwrap(), Lifted { contact_ids: vec![], held: vec![1] });
            assert!(is_blocked(&db.store, 1).await);
        }

        async fn a_block_follows_a_person_to_a_new_number_and_user_id(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
            let change = |user_id: Option<&str>, new| Move {
                old_phone: Some(PHONE.0), old_user_id: None, new_phone: new, new_user_id: user_id.map(str::to_owned),
                now: NOW, evidence: entry("opt-out", NOW),
            };
            let unknown = (15_550_009_998, 15_550_009_998);
            assert!(db.store.carry_over(&change(None, Some(unknown))).await.unwrap().is_empty());
            assert!(db.store.contact_of_phone(unknown.0).await.unwrap().is_none(), "nobody is made for nothing");
            db.store.stop(&said("text", NOW)).await.unwrap();
            let known = (15_550_000_002, 15_550_000_002);
            assert_eq!(db.store.carry_over(&change(None, Some(known))).await.unwrap(), [2]);
            assert!(is_blocked(&db.store, 2).await && is_blocked(&db.store, 1).await);
            let carried = db.store.carry_over(&change(Some("US.9"), Some(unknown))).await.unwrap();
            let person = db.store.contact_of_phone(unknown.0).await.unwrap().unwrap();
            assert_eq!(carried, [person.id]);
            assert!(db.store.suppression(None, Some("US.9")).await.unwrap().is_some());
            assert!(db.store.carry_over(&change(None, Some(unknown))).await.unwrap().is_empty(), "once");
        }
    }
}
