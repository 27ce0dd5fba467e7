//! Sends in doubt: listed, and settled by a person.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::send::{SendEvent, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Applied, Doubt, DoubtFilter, DoubtPlace, Happening, NewEntry, Priority, SETTLED_BY_HAND, SendKey};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::views::{self, iso};
use crate::{Actor, App, campaigns, evidence, numbers};

/// Doubts settled in one transaction.
const GROUP: i64 = 250;
/// More than this are settled without a choice only if somebody says yes to it.
const MANY: i64 = 100;

/// A send in doubt.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DoubtView {
    /// Names it to `settle`: campaign and person, `12.9981`.
    pub id: String,
    /// The campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// The person's number.
    pub phone: Option<String>,
    /// The business number.
    pub phone_number_id: String,
    /// The attempt in doubt.
    pub attempt: i64,
    /// When it was claimed, RFC 3339.
    pub since: Option<String>,
    /// What is known of why.
    pub reason: Option<String>,
    #[serde(skip)]
    #[schema(ignore)]
    place: DoubtPlace,
}

impl DoubtView {
    /// Its place in the list.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor(self.place)
    }
}

impl From<Doubt> for DoubtView {
    fn from(doubt: Doubt) -> Self {
        Self {
            id: format!("{}.{}", doubt.campaign_id, doubt.contact_id),
            place: (doubt.claimed_at.unwrap_or(i64::MIN), doubt.campaign_id, doubt.contact_id),
            campaign_id: doubt.campaign_id,
            campaign: doubt.campaign,
            phone: views::phone(doubt.phone),
            phone_number_id: doubt.phone_number_id,
            attempt: doubt.attempt,
            since: doubt.claimed_at.map(iso),
            reason: doubt.reason,
        }
    }
}

/// How a person settles a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It went out.
    Sent,
    /// It did not; it is counted as failed, and not sent again.
    NotSent,
}

/// Which sends in doubt a person means; without any of these, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only those of this campaign, by name or id.
    pub campaign: Option<String>,
    /// Only those of this business number, by Meta's id.
    pub number: Option<String>,
    /// Only those that were claimed longer ago than this.
    pub older_than: Option<Duration>,
}

impl Which {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.campaign.is_none() && self.number.is_none() && self.older_than.is_none()
    }

    async fn filter(&self, app: &App) -> Result<DoubtFilter> {
        let campaign_id = match &self.campaign {
            Some(campaign) => Some(campaigns::find(app, campaign).await?),
            None => None,
        };
        let number_id = match &self.number {
            Some(number) => Some(numbers::show(app, number).await?.id),
            None => None,
        };
        let age = i64::try_from(self.older_than.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
        Ok(DoubtFilter { campaign_id, number_id, claimed_by: app.clock.now_ms().saturating_sub(age) })
    }
}

/// Reads an age as people write it: seconds, or a whole number with s, m, h or d.
///
/// # Errors
/// `Invalid` for anything else.
pub fn parse_age(text: &str) -> Result<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let unit = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = unit.zip(digits.parse::<u64>().ok()).and_then(|(unit, number)| number.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Fault::invalid(format!("The age {text:?} is neither seconds nor a whole number with s, m, h or d."))
    })
}

/// A place in a list of sends in doubt: after it begins the next page. Written `1800000000000.12.9981`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(DoubtPlace);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, campaign, contact) = self.0;
        write!(f, "{at}.{campaign}.{contact}")
    }
}

impl FromStr for Cursor {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Option<Vec<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some([at, campaign, contact]) => Ok(Self((*at, *campaign, *contact))),
            _ => Err(Fault::invalid("This is not a cursor of the sends in doubt.")),
        }
    }
}

/// A page of sends in doubt, oldest first.
///
/// # Errors
/// `NotFound` for a campaign or number that is not there.
#[crate::boxed]
pub async fn ls(app: &App, which: &Which, after: Option<Cursor>, limit: u32) -> Result<Vec<DoubtView>> {
    let filter = which.filter(app).await?;
    let doubts = app.store.doubts(&filter, after.map(|cursor| cursor.0), i64::from(limit)).await?;
    Ok(doubts.into_iter().map(DoubtView::from).collect())
}

/// How many sends are in doubt.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn count(app: &App) -> Result<i64> {
    Ok(app.store.doubt_count().await?)
}

/// Settles one doubt, with the reason kept in the ledger.
///
/// # Errors
/// When there is no such send, it is not in doubt, or the reason is empty.
#[crate::boxed]
pub async fn settle(app: &Arc<App>, actor: &Actor, id: &str, verdict: Verdict, reason: &str) -> Result<()> {
    let key = id.split_once('.').and_then(|(campaign, contact)| Some((campaign.parse().ok()?, contact.parse().ok()?)));
    let Some(key): Option<SendKey> = key else {
        return Err(Fault::invalid("An id of a send in doubt looks like 12.9981; `hudhud indoubt ls` shows them."));
    };
    let said = Said { actor, verdict, reason: checked_reason(reason)?, with: None };
    let applied = app.store.settle(vec![said.of(app, key)?]).await?;
    if !applied.unknown.is_empty() {
        return Err(Fault::not_found("There is no such send."));
    }
    if applied.moved == 0 {
        return Err(Fault::wrong_state("This send is not in doubt (any more)."));
    }
    app.scheduler_wake.notify_one();
    Ok(())
}

/// Settles every doubt of a choice that was one when this began, each with its own entry in the ledger, some at a time.
/// How many: those that a webhook settles meanwhile are not among them.
///
/// # Errors
/// `Invalid` without a reason, and for more than 100 sends that nothing chooses from, unless `yes` is said;
/// `NotFound` for a campaign or number that is not there. Where the database fails in the middle, the fault says how
/// many are settled; asked again, the rest follows.
#[crate::boxed]
pub async fn settle_all(
    app: &Arc<App>,
    actor: &Actor,
    which: &Which,
    verdict: Verdict,
    reason: &str,
    yes: bool,
) -> Result<usize> {
    let reason = checked_reason(reason)?;
    if which.is_all() && !yes {
        let count = count(app).await?;
        if count > MANY {
            return Err(Fault::invalid(format!("This would settle all {count} sends in doubt."))
                .action("Choose some by campaign, number or age, or say yes to all of them (`--yes`)."));
        }
    }
    let filter = which.filter(app).await?;
    let chosen =
        json!({"campaign_id": filter.campaign_id, "phone_number_id": which.number, "claimed_by": filter.claimed_by});
    let said = Said { actor, verdict, reason, with: Some(chosen) };
    let mut after = None;
    let mut settled = 0;
    loop {
        let group = match settle_group(app, &said, &filter, after).await {
            Ok(group) => group,
            Err(fault) if settled > 0 => return Err(fault.kept(format!("{settled} sends are settled and stay so."))),
            Err(fault) => return Err(fault),
        };
        settled += group.settled;
        app.scheduler_wake.notify_one();
        match group.last {
            Some(last) => after = Some(last),
            None => return Ok(settled),
        }
        tokio::task::yield_now().await;
    }
}

/// What came of one group.
struct Group {
    settled: usize,
    /// Where the next one begins; `None`: it was the last.
    last: Option<DoubtPlace>,
}

async fn settle_group(app: &App, said: &Said<'_>, filter: &DoubtFilter, after: Option<DoubtPlace>) -> Result<Group> {
    let doubts = app.store.doubts(filter, after, GROUP).await?;
    let last = doubts.last().map(|last| (last.claimed_at.unwrap_or(i64::MIN), last.campaign_id, last.contact_id));
    let mut group = Vec::with_capacity(doubts.len());
    for doubt in &doubts {
        group.push(said.of(app, (doubt.campaign_id, doubt.contact_id))?);
    }
    let settled = if group.is_empty() { 0 } else { app.store.settle(group).await?.moved };
    Ok(Group { settled, last })
}

/// What a person says of sends in doubt.
struct Said<'a> {
    actor: &'a Actor,
    verdict: Verdict,
    reason: &'a str,
    /// How the sends were chosen, where they were not named one by one.
    with: Option<serde_json::Value>,
}

impl Said<'_> {
    /// The event in the life of one send, and its entry in the ledger.
    fn of(&self, app: &App, key: SendKey) -> Result<(Happening, NewEntry)> {
        let event = match self.verdict {
            Verdict::Sent => SendEvent::SettledSent,
            Verdict::NotSent => SendEvent::SettledNotSent { replan: false },
        };
        let mut happening = Happening::new(key, None, event, app.clock.now_ms());
        happening.reason = Some(SETTLED_BY_HAND.to_owned());
        let mut detail = json!({"verdict": self.verdict, "reason": self.reason});
        if let Some(chosen) = &self.with {
            detail["chosen"] = chosen.clone();
        }
        let mut entry = evidence::entry(app, "settled", self.actor, &detail).map_err(Fault::internal)?;
        (entry.campaign_id, entry.contact_id) = (Some(key.0), Some(key.1));
        Ok((happening, entry))
    }
}

fn checked_reason(reason: &str) -> Result<&str> {
    match reason.trim() {
        "" => Err(Fault::invalid("Settling a doubt by hand needs a reason: how you know.")),
        reason => Ok(reason),
    }
}

/// Applies what came from Meta. Where it contradicts what a person had settled, the ledger gets an entry of it beside
/// the person's, in the same transaction.
///
/// # Errors
/// As [`store::Store::apply`].
#[crate::boxed]
pub async fn apply(app: &App, priority: Priority, happenings: &[Happening]) -> store::Result<Applied> {
    let applied = app.store.apply_with_evidence(priority, happenings, |happening| overruled(app, happening)).await?;
    for place in &applied.overruled {
        tracing::warn!(
            campaign = happenings[*place].campaign_id,
            contact = happenings[*place].contact_id,
            "a send that a person had settled turned out otherwise; the books follow Meta's word"
        );
        metrics::counter!("hudhud_reconcile_mismatches_total", "kind" => "settled_otherwise").increment(1);
    }
    Ok(applied)
}

fn overruled(app: &App, happening: &Happening) -> store::Result<NewEntry> {
    let told = match happening.event {
        SendEvent::Status(Status::Sent, _) => "sent",
        SendEvent::Status(Status::Delivered, _) => "delivered",
        SendEvent::Status(Status::Read, _) => "read",
        SendEvent::Accepted => "accepted",
        SendEvent::Refused { .. } => "refused",
        _ => "not-posted",
    };
    let detail = json!({"told": told, "at": iso(happening.at), "attempt": happening.attempt, "wamid": happening.wamid,
        "code": happening.code});
    let entry = evidence::entry(app, "settling-overruled", &Actor::system(), &detail);
    let mut entry = entry.map_err(|error| store::Error::bug(format!("no ledger entry: {error:#}")))?;
    (entry.campaign_id, entry.contact_id) = (Some(happening.campaign_id), Some(happening.contact_id));
    Ok(entry)
}

#[cfg(test)]
mod tests;
