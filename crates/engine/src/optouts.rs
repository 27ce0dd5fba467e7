//! Opt-outs by hand and by look-up.

use std::sync::Arc;

use domain::optout::scope::Way;
use domain::phone::{self, PhoneNumber};
use serde::Serialize;
use serde_json::json;
use store::{Stop, Suppression};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::views::iso;
use crate::{Actor, App, evidence, scopes, webhook};

/// Whom a person means: a phone number in any form, or a business-scoped user id.
#[derive(Clone, Debug)]
pub enum Person {
    /// By number.
    Phone(PhoneNumber),
    /// By user id.
    UserId(String),
}

impl Person {
    /// Reads what was typed. A number needs its country code.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if is_user_id(text) {
            return Ok(Self::UserId(text.to_owned()));
        }
        match phone::parse(text, None) {
            Ok(number) => Ok(Self::Phone(number)),
            // WhatsApp's own ids come without the plus sign, and in forms that numbering plans do not have.
            Err(error) => match PhoneNumber::from_wa_id(text) {
                Some(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self::Phone(number)),
                _ => Err(Fault::invalid(format!("This is neither a phone number nor a user id: {error}."))
                    .action("Give the number with its country code, such as +20 100 000 0000.")),
            },
        }
    }

    pub(crate) fn key(&self) -> Option<i64> {
        match self {
            Self::Phone(number) => i64::try_from(number.key()).ok(),
            Self::UserId(_) => None,
        }
    }

    pub(crate) fn user_id(&self) -> Option<&str> {
        match self {
            Self::Phone(_) => None,
            Self::UserId(id) => Some(id),
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Phone(number) => number.to_string(),
            Self::UserId(id) => id.clone(),
        }
    }
}

/// `CC.` and letters or digits, as Meta writes business-scoped user ids.
fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a person may be messaged.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OptOutView {
    /// The person as asked for, in its normal form.
    pub phone: String,
    /// May not be messaged.
    pub suppressed: bool,
    /// What is stopped: `all`, `marketing`, `brand:NAME` or `number:PHONE_NUMBER_ID`, the widest where there are several;
    /// `null` when not suppressed.
    pub scope: Option<String>,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// How it was said.
    pub source: Option<String>,
    /// The ledger entry.
    pub evidence_id: Option<i64>,
    /// Every stop that stands, the widest first; the fields above tell of the first.
    pub blocks: Vec<BlockView>,
}

/// A stop that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockView {
    /// `all`, `marketing`, `brand:NAME` or `number:PHONE_NUMBER_ID`.
    pub scope: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// How it was said.
    pub source: String,
    /// The ledger entry.
    pub evidence_id: Option<i64>,
}

fn block(of: &Suppression) -> BlockView {
    let (scope, source) = (of.scope.clone(), of.source.clone());
    BlockView { scope, since: iso(of.since), source, evidence_id: of.evidence_id }
}

fn view(phone: String, blocks: &[Suppression]) -> OptOutView {
    let found = blocks.first();
    OptOutView {
        phone,
        suppressed: found.is_some(),
        scope: found.map(|found| found.scope.clone()),
        since: found.map(|found| iso(found.since)),
        source: found.map(|found| found.source.clone()),
        evidence_id: found.and_then(|found| found.evidence_id),
        blocks: blocks.iter().map(block).collect(),
    }
}

/// Looks a person up.
///
/// # Errors
/// When the text is no person, or the database is away.
#[crate::boxed]
pub async fn check(app: &App, person: &str) -> Result<OptOutView> {
    let person = Person::parse(person)?;
    let found = app.store.blocks_of(person.key(), person.user_id()).await?;
    Ok(view(person.shown(), &found))
}

/// As [`check`], for somebody who asks: the look is recorded.
///
/// # Errors
/// As [`check`].
#[crate::boxed]
pub async fn look_up(app: &App, actor: &Actor, person: &str) -> Result<OptOutView> {
    let parsed = Person::parse(person)?;
    let people = app.store.people_named(parsed.key(), parsed.user_id()).await?;
    crate::disclosures::note(app, actor, "check", people.first().copied(), "").await?;
    check(app, person).await
}

/// Suppresses a person by hand, as far as stops by hand reach. On return no send to them begins any more.
///
/// # Errors
/// When the text is no person, the reason is empty, or the database is away.
#[crate::boxed]
pub async fn add(app: &Arc<App>, actor: &Actor, person: &str, reason: &str) -> Result<OptOutView> {
    add_within(app, actor, person, reason, None).await
}

/// As [`add`], for a scope that is named (`all`, `marketing`, `brand:NAME`, `number:PHONE_NUMBER_ID`). On return no send
/// that it forbids begins any more.
///
/// # Errors
/// As [`add`], and when it is no scope.
#[crate::boxed]
pub async fn add_within(
    app: &Arc<App>,
    actor: &Actor,
    person: &str,
    reason: &str,
    scope: Option<&str>,
) -> Result<OptOutView> {
    let parsed = Person::parse(person)?;
    let scope = match scope {
        Some(scope) => scopes::asked(scope)?,
        None => app.scopes.known(app).await?.of(Way::Manual, None),
    };
    if reason.trim().is_empty() {
        return Err(Fault::invalid("An opt-out by hand needs a reason: it is evidence."));
    }
    let number = match &parsed {
        Person::Phone(number) => Some(*number),
        Person::UserId(_) => None,
    };
    let detail = json!({"said": reason.trim(), "person": parsed.shown(), "scope": scope.to_string()});
    let stop = Stop {
        contact_id: None,
        phone: number.map(|number| {
            (i64::try_from(number.key()).unwrap_or(i64::MAX), i64::try_from(number.e164()).unwrap_or(i64::MAX))
        }),
        user_id: parsed.user_id().map(str::to_owned),
        parent_user_id: None,
        quoted_wamid: None,
        campaign_id: None,
        scope,
        source: "manual",
        at: app.clock.now_ms(),
        evidence: evidence::entry(app, "opt-out", actor, &detail).map_err(Fault::internal)?,
    };
    let stopped = app.store.stop(&stop).await?;
    if stopped.new > 0 {
        metrics::counter!("hudhud_optouts_total", "source" => "manual").increment(1);
    }
    webhook::await_departures(app, &stopped.contact_ids).await?;
    check(app, person).await
}

/// A suppressed person in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OptOutRow {
    /// The person's id here: the cursor of the next page.
    pub id: i64,
    /// The number, where there is one.
    pub phone: Option<String>,
    /// What is stopped, the widest where there are several: `all`, `marketing`, `brand:NAME`, `number:PHONE_NUMBER_ID`.
    pub scope: String,
    /// All that is stopped, the widest first.
    pub scopes: Vec<String>,
    /// Since when, RFC 3339.
    pub since: String,
    /// How it was said.
    pub source: String,
    /// Through which campaign.
    pub campaign_id: Option<i64>,
    /// The ledger entry.
    pub evidence_id: Option<i64>,
}

/// A page of the opt-out list: people suppressed since `since` (epoch milliseconds), after a person's id.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, since: Option<i64>, after: Option<i64>, limit: u32) -> Result<Vec<OptOutRow>> {
    let rows = app.store.suppressions(since.unwrap_or(0), after.unwrap_or(0), i64::from(limit)).await?;
    let mut people: Vec<OptOutRow> = Vec::new();
    for row in rows {
        match people.last_mut() {
            Some(person) if person.id == row.contact_id => person.scopes.push(row.scope),
            _ => people.push(OptOutRow {
                id: row.contact_id,
                phone: crate::views::phone(row.phone),
                scopes: vec![row.scope.clone()],
                scope: row.scope,
                since: iso(row.since),
                source: row.source,
                campaign_id: row.campaign_id,
                evidence_id: row.evidence_id,
            }),
        }
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_a_number_with_its_country_or_a_user_id() {
        assert!(matches!(Person::parse("+20 100 000 0001"), Ok(Person::Phone(_))));
        assert!(matches!(Person::parse("201000000001"), Ok(Person::Phone(_))));
        assert!(matches!(Person::parse("EG.1349abc"), Ok(Person::UserId(_))));
        for bad in ["", "mona", "12", "eg.1349"] {
            assert!(Person::parse(bad).is_err(), "{bad}");
        }
    }
}
