//! What happens to sends, applied in groups. The state machine decides ([`SendState::next`]); this room reads the rows
//! of a group under lock, folds every event in order, and writes each row once, with its tallies.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use domain::send::{Current, IllegalStep, SendEvent, SendState, Status, Step};
use serde::{Deserialize, Serialize};

use crate::accepted;
use crate::chunks::Chunks;
use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};
use crate::limits::{self, Unreached};
use crate::tallies::{Deltas, marks};
use crate::wamids::{self, Entry, wamid_hash};

/// Our word for why a send stands where it does after a person settled its doubt.
pub const SETTLED_BY_HAND: &str = "settled-by-hand";

/// Which send: one person in one campaign.
pub type SendKey = (i64, i64);

/// One event in the life of one send.
#[derive(Clone, Debug)]
pub struct Happening {
    /// The campaign.
    pub campaign_id: i64,
    /// The person.
    pub contact_id: i64,
    /// Which attempt it speaks of; `None`: of the current one, whichever that is (a person's decision).
    pub attempt: Option<i64>,
    /// What happened. For a status, `Current` is decided here by comparing the attempt.
    pub event: SendEvent,
    /// When, by the clock of whoever saw it (epoch milliseconds).
    pub at: i64,
    /// Meta's error code, where there was one.
    pub code: Option<i64>,
    /// Our word for why: the reason of a skip, a plan again or a doubt.
    pub reason: Option<String>,
    /// The message's id, where one is known.
    pub wamid: Option<String>,
    /// From when the send may be tried again, where it goes back to planned.
    pub not_before: Option<i64>,
    /// Meta holds it for a quality check.
    pub held: bool,
    /// The business number whose lane saw it, where a lane did. Only saves a look at the row.
    pub number_id: Option<i64>,
    /// What a status says of the price, as [`domain::pricing::Billed::code`].
    pub billed: Option<i16>,
}

impl Happening {
    /// An event with nothing else known.
    #[must_use]
    pub fn new((campaign_id, contact_id): SendKey, attempt: Option<i64>, event: SendEvent, at: i64) -> Self {
        Self {
            campaign_id,
            contact_id,
            attempt,
            event,
            at,
            code: None,
            reason: None,
            wamid: None,
            not_before: None,
            held: false,
            number_id: None,
            billed: None,
        }
    }
}

/// What came of a group of events.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// How many events moved a send or added a fact to it.
    pub moved: usize,
    /// How many left it as it was: repeated, late, or of an older attempt.
    pub stayed: usize,
    /// Events that the state machine forbids: the row is untouched. With the event's place in the group.
    pub illegal: Vec<(usize, IllegalStep)>,
    /// Places of events whose send does not exist here.
    pub unknown: Vec<usize>,
    /// Places of events by which Meta contradicted what a person had settled. They count as moved, too.
    pub overruled: Vec<usize>,
}

/// A send as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendRow {
    /// The campaign.
    pub campaign_id: i64,
    /// The person.
    pub contact_id: i64,
    /// The business number it is planned on (our id).
    pub number_id: i64,
    /// [`SendState`] as its number.
    pub state: i16,
    /// How often it was claimed; names the current attempt.
    pub attempt: i64,
    /// How many attempts were refused or failed for later.
    pub tries: i64,
    /// Set when it was planned again: from when it may go.
    pub not_before: Option<i64>,
    /// When the current attempt was claimed.
    pub claimed_at: Option<i64>,
    /// The lane's token at that claim.
    pub term: Option<i64>,
    /// Meta's last error code.
    pub code: Option<i64>,
    /// Our word for why it is where it is.
    pub reason: Option<String>,
    /// Accepted, and held by Meta for a quality check.
    pub held: bool,
    /// The template's time to live ran out undelivered.
    pub expired: bool,
    /// The message's id at Meta.
    pub wamid: Option<String>,
    /// When Meta accepted it.
    pub accepted_at: Option<i64>,
    /// When it was sent.
    pub sent_at: Option<i64>,
    /// When it was delivered.
    pub delivered_at: Option<i64>,
    /// When it was read.
    pub read_at: Option<i64>,
    /// When it failed for good; of a send that is planned again: when the attempt before failed by a status.
    pub failed_at: Option<i64>,
    /// What Meta said of its price, as [`domain::pricing::Billed::code`].
    #[serde(default)]
    pub billed: Option<i16>,
}

from_row!(SendRow {
    campaign_id,
    contact_id,
    number_id,
    state,
    attempt,
    tries,
    not_before,
    claimed_at,
    term,
    code,
    reason,
    held,
    expired,
    wamid,
    accepted_at,
    sent_at,
    delivered_at,
    read_at,
    failed_at,
    billed
});

/// An attempt that a newer one will replace.
#[derive(Serialize)]
struct PastAttempt {
    campaign_id: i64,
    contact_id: i64,
    attempt: i64,
    code: Option<i64>,
    reason: Option<String>,
    wamid: Option<String>,
    wamid_hash: Option<i64>,
    at: i64,
}

impl SendRow {
    fn state(&self) -> Result<SendState> {
        SendState::try_from(self.state).map_err(|_| Error::bug(format!("a send in state {}", self.state)))
    }

    /// Whether a person settled its doubt, and nothing has come from Meta since: that would have replaced the reason.
    fn is_settled_by_hand(&self) -> bool {
        let is_settled = self.state == SendState::Accepted as i16 || self.state == SendState::Failed as i16;
        is_settled && self.reason.as_deref() == Some(SETTLED_BY_HAND)
    }

    fn count(&self, deltas: &mut Deltas, n: i64) -> Result<()> {
        for (mark, detail) in marks(self.state()?, self.reason.as_deref(), self.code, self.held, self.expired) {
            deltas.add(self.campaign_id, self.number_id, mark, &detail, n);
        }
        Ok(())
    }

    /// Whether the event speaks of an attempt that is over: an older one, or one that a status already ended. Of the
    /// latter only that it was delivered after all is news.
    fn is_past(&self, happening: &Happening) -> bool {
        let Some(attempt) = happening.attempt else { return false };
        let has_failed_for_now = self.state == SendState::Planned as i16 && self.failed_at.is_some();
        let is_delivery = matches!(happening.event, SendEvent::Status(Status::Delivered | Status::Read, _));
        attempt != self.attempt || has_failed_for_now && !is_delivery
    }

    /// Takes a message id and the time of a status into the row. True when something was new. A planned row takes
    /// none: they belong to an attempt that is over, and the next one would inherit them.
    fn learn(&mut self, happening: &Happening) -> bool {
        if self.state == SendState::Planned as i16 {
            return false;
        }
        let mut new = false;
        if self.wamid.is_none() && happening.wamid.is_some() {
            self.wamid.clone_from(&happening.wamid);
            new = true;
        }
        // Whatever became of it, it was accepted before: that webhook, or our own answer, may come later or never. The
        // earliest time wins, so that the order in which they come leaves no trace.
        let (accepted, other) = match happening.event {
            SendEvent::Accepted | SendEvent::SettledSent => (true, None),
            SendEvent::Status(Status::Sent, _) => (true, Some(&mut self.sent_at)),
            SendEvent::Status(Status::Delivered, _) => (true, Some(&mut self.delivered_at)),
            SendEvent::Status(Status::Read, _) => (true, Some(&mut self.read_at)),
            SendEvent::Status(Status::Failed { .. }, _) => (true, None),
            _ => (false, None),
        };
        for slot in accepted.then_some(&mut self.accepted_at).into_iter().chain(other) {
            if slot.is_none_or(|known| happening.at < known) {
                *slot = Some(happening.at);
                new = true;
            }
        }
        if happening.billed > self.billed {
            self.billed = happening.billed;
            new = true;
        }
        new
    }

    /// Moves the row as the state machine says. `Some` holds the attempt that ended here, if one did.
    fn step_to(&mut self, to: SendState, happening: &Happening) -> Option<PastAttempt> {
        let was_posted = !matches!(happening.event, SendEvent::NotPosted { .. } | SendEvent::Claimed);
        let past = (to == SendState::Planned && was_posted).then(|| {
            // The webhook of a failure may be the first to name the message.
            let wamid = self.wamid.take().or_else(|| happening.wamid.clone());
            PastAttempt {
                campaign_id: self.campaign_id,
                contact_id: self.contact_id,
                attempt: self.attempt,
                code: happening.code,
                reason: happening.reason.clone(),
                wamid_hash: wamid.as_deref().map(wamid_hash),
                wamid,
                at: happening.at,
            }
        });
        self.state = to as i16;
        self.not_before = None;
        match to {
            SendState::Planned => {
                self.not_before = Some(happening.not_before.unwrap_or(happening.at));
                self.tries += i64::from(past.is_some());
                (self.held, self.expired) = (false, false);
                self.wamid = None;
                (self.accepted_at, self.sent_at, self.billed) = (None, None, None);
                self.failed_at = matches!(happening.event, SendEvent::Status(..)).then_some(happening.at);
                (self.code, self.reason) = (happening.code, happening.reason.clone());
            }
            SendState::Failed => {
                self.failed_at = Some(happening.at);
                (self.code, self.reason) = (happening.code, happening.reason.clone());
            }
            SendState::Skipped | SendState::InDoubt => {
                (self.code, self.reason) = (happening.code, happening.reason.clone());
            }
            SendState::Accepted => {
                self.held = happening.held;
                self.failed_at = None;
                (self.code, self.reason) = (None, happening.reason.clone());
            }
            SendState::Sent | SendState::Delivered | SendState::Read => {
                self.held = false;
                self.failed_at = None;
                (self.code, self.reason) = (None, None);
            }
            SendState::Submitting => {}
        }
        past
    }
}

async fn lock_rows(tx: &mut Link, keys: &[SendKey]) -> Result<Vec<SendRow>> {
    // CROSS JOIN keeps SQLite from scanning the campaign once per key.
    let sql = tx.pick(
        "SELECT s.* FROM json_each($1) k CROSS JOIN sends s
         ON s.campaign_id = k.value ->> 0 AND s.contact_id = k.value ->> 1",
        "SELECT s.* FROM sends s JOIN (SELECT (v ->> 0)::bigint AS a, (v ->> 1)::bigint AS b
                                       FROM jsonb_array_elements($1::jsonb) AS e(v)) k
         ON s.campaign_id = k.a AND s.contact_id = k.b ORDER BY s.campaign_id, s.contact_id FOR UPDATE OF s",
    );
    let json = serde_json::to_string(keys)?;
    Ok(on!(tx, c => sqlx::query_as(sql).bind(json).fetch_all(c).await)?)
}

async fn write_rows(tx: &mut Link, rows: &[&SendRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    match tx {
        Link::Sqlite(held, _) => {
            for (statement, rows) in WRITE_SQLITE.over(rows) {
                let mut query = sqlx::query(statement);
                for row in rows {
                    query = query
                        .bind(row.campaign_id)
                        .bind(row.contact_id)
                        .bind(row.number_id)
                        .bind(row.state)
                        .bind(row.attempt)
                        .bind(row.tries)
                        .bind(row.not_before)
                        .bind(row.code)
                        .bind(row.reason.as_deref())
                        .bind(row.held)
                        .bind(row.expired)
                        .bind(row.wamid.as_deref())
                        .bind(row.accepted_at)
                        .bind(row.sent_at)
                        .bind(row.delivered_at)
                        .bind(row.read_at)
                        .bind(row.failed_at)
                        .bind(row.billed);
                }
                query.execute(&mut **held).await?;
            }
        }
        Link::Postgres(held) => {
            let json = serde_json::to_string(rows)?;
            sqlx::query(WRITE_POSTGRES).bind(json).execute(&mut **held).await?;
        }
    }
    Ok(())
}

/// An upsert of rows that are there: see [`crate::accepted`].
static WRITE_SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(18, |values| {
        format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, attempt, tries, not_before, code, reason,
                 held, expired, wamid, accepted_at, sent_at, delivered_at, read_at, failed_at, billed)
             VALUES {values}
             ON CONFLICT (campaign_id, contact_id) DO UPDATE SET state = excluded.state, attempt = excluded.attempt,
                 tries = excluded.tries, not_before = excluded.not_before, code = excluded.code,
                 reason = excluded.reason, held = excluded.held, expired = excluded.expired, wamid = excluded.wamid,
                 accepted_at = excluded.accepted_at, sent_at = excluded.sent_at,
                 delivered_at = excluded.delivered_at, read_at = excluded.read_at, failed_at = excluded.failed_at,
                 billed = excluded.billed"
        )
    })
});

const WRITE_POSTGRES: &str = "UPDATE sends s SET state = n.state, attempt = n.attempt, tries = n.tries,
         not_before = n.not_before, code = n.code, reason = n.reason, held = n.held, expired = n.expired,
         wamid = n.wamid, accepted_at = n.accepted_at, sent_at = n.sent_at,
         delivered_at = n.delivered_at, read_at = n.read_at, failed_at = n.failed_at, billed = n.billed
     FROM jsonb_to_recordset($1::jsonb) AS n(campaign_id bigint, contact_id bigint, state smallint, attempt bigint,
         tries bigint, not_before bigint, code bigint, reason text, held boolean, expired boolean, wamid text,
         accepted_at bigint, sent_at bigint, delivered_at bigint, read_at bigint, failed_at bigint,
         billed smallint)
     WHERE s.campaign_id = n.campaign_id AND s.contact_id = n.contact_id";

async fn write_past(tx: &mut Link, past: &[PastAttempt]) -> Result<()> {
    if past.is_empty() {
        return Ok(());
    }
    let sql = tx.pick(
        "INSERT INTO past_attempts (campaign_id, contact_id, attempt, code, reason, wamid, wamid_hash, at)
         SELECT value ->> 'campaign_id', value ->> 'contact_id', value ->> 'attempt', value ->> 'code',
             value ->> 'reason', value ->> 'wamid', value ->> 'wamid_hash', value ->> 'at'
         FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
        "INSERT INTO past_attempts (campaign_id, contact_id, attempt, code, reason, wamid, wamid_hash, at)
         SELECT campaign_id, contact_id, attempt, code, reason, wamid, wamid_hash, at
         FROM jsonb_to_recordset($1::jsonb) AS n(campaign_id bigint, contact_id bigint, attempt bigint, code bigint,
             reason text, wamid text, wamid_hash bigint, at bigint)
         ON CONFLICT DO NOTHING",
    );
    let json = serde_json::to_string(past)?;
    on!(tx, c => sqlx::query(sql).bind(json).execute(c).await.map(drop))?;
    Ok(())
}

/// One row of a group, before and after.
struct Folding {
    before: SendRow,
    row: SendRow,
    touched: bool,
}

/// Folds the events into the rows, in their order. Pure: rows in, rows and verdicts out.
fn fold(
    rows: Vec<SendRow>,
    happenings: &[Happening],
) -> Result<(BTreeMap<SendKey, Folding>, Vec<PastAttempt>, Applied)> {
    let mut foldings: BTreeMap<SendKey, Folding> = rows
        .into_iter()
        .map(|row| ((row.campaign_id, row.contact_id), Folding { before: row.clone(), row, touched: false }))
        .collect();
    let mut past = Vec::new();
    let mut applied = Applied::default();
    for (place, happening) in happenings.iter().enumerate() {
        let Some(folding) = foldings.get_mut(&(happening.campaign_id, happening.contact_id)) else {
            applied.unknown.push(place);
            continue;
        };
        let row = &mut folding.row;
        let is_past = row.is_past(happening);
        let event = match happening.event {
            SendEvent::Status(status, _) => {
                // What Meta held and then dropped is not to be sent again, whatever its code says.
                let status = match status {
                    Status::Failed { later: true } if row.held => Status::Failed { later: false },
                    other => other,
                };
                SendEvent::Status(status, if is_past { Current::No } else { Current::Yes })
            }
            // An answer to an attempt that is over: the row has moved on, and this says nothing about it.
            _ if is_past => {
                applied.stayed += 1;
                continue;
            }
            other => other,
        };
        let state = row.state()?;
        let is_settled = row.is_settled_by_hand();
        let step = if is_settled { state.next_if_settled(&event) } else { state.next(&event) };
        match step {
            Ok(Step::To(to)) => {
                let went_out = !matches!(to, SendState::Failed | SendState::Planned);
                let settled_unsent = state == SendState::Failed;
                // A failure told by a status was a message that went out: it bears a person's "sent" out.
                if is_settled
                    && settled_unsent == went_out
                    && !matches!(event, SendEvent::Status(Status::Failed { .. }, _))
                {
                    applied.overruled.push(place);
                }
                past.extend(row.step_to(to, happening));
                row.learn(happening);
                folding.touched = true;
                applied.moved += 1;
            }
            Ok(Step::Stay) => {
                if !is_past && row.learn(happening) {
                    folding.touched = true;
                    applied.moved += 1;
                } else {
                    applied.stayed += 1;
                }
            }
            Err(illegal) => applied.illegal.push((place, illegal)),
        }
    }
    Ok((foldings, past, applied))
}

pub(crate) async fn apply_within(tx: &mut Link, happenings: &[Happening]) -> Result<Applied> {
    let keys: Vec<SendKey> = happenings
        .iter()
        .map(|happening| ((happening.campaign_id, happening.contact_id), ()))
        .collect::<HashMap<_, _>>()
        .into_keys()
        .collect();
    limits::hold(tx, happenings).await?;
    let rows = lock_rows(tx, &keys).await?;
    let (foldings, past, applied) = fold(rows, happenings)?;
    let touched: Vec<&Folding> = foldings.values().filter(|folding| folding.touched).collect();
    let mut deltas = Deltas::default();
    let (mut unreached, mut named) = (Vec::new(), Vec::new());
    for folding in &touched {
        folding.before.count(&mut deltas, -1)?;
        folding.row.count(&mut deltas, 1)?;
        let (before, row) = (&folding.before, &folding.row);
        if let Some(wamid) = row.wamid.as_deref().filter(|_| row.wamid != before.wamid) {
            named.push(Entry::of((row.campaign_id, row.contact_id), wamid));
        }
        if limits::is_unreached(before.state, row.state, row.is_settled_by_hand()) {
            unreached.push(Unreached(row.contact_id, row.campaign_id, before.attempt));
        }
    }
    write_past(tx, &past).await?;
    write_rows(tx, &touched.iter().map(|folding| &folding.row).collect::<Vec<_>>()).await?;
    wamids::add(tx, named).await?;
    deltas.write(tx).await?;
    limits::give_back(tx, &unreached).await?;
    Ok(applied)
}

impl Store {
    /// Applies events to sends, all or none, durable when it returns. Keep groups below a thousand or so.
    ///
    /// # Errors
    /// As every write. An event that the state machine forbids is no error: see [`Applied::illegal`].
    #[crate::boxed]
    pub async fn apply(&self, priority: Priority, happenings: &[Happening]) -> Result<Applied> {
        if happenings.is_empty() {
            return Ok(Applied::default());
        }
        let (tx, applied) = self.begin_to_apply(priority, happenings).await?;
        tx.commit().await?;
        Ok(applied)
    }

    /// Applies events within a transaction that is still to be committed.
    pub(crate) async fn begin_to_apply(&self, priority: Priority, happenings: &[Happening]) -> Result<(Link, Applied)> {
        if let Some(group) = accepted::plain(happenings) {
            let mut tx = self.write(priority).await?;
            if accepted::apply(&mut tx, group).await? {
                return Ok((tx, Applied { moved: happenings.len(), ..Applied::default() }));
            }
            // Dropped here, and with it what was written of this way.
        }
        let mut tx = self.write(priority).await?;
        let applied = apply_within(&mut tx, happenings).await?;
        Ok((tx, applied))
    }

    /// One send.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn send(&self, (campaign_id, contact_id): SendKey) -> Result<Option<SendRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM sends WHERE campaign_id = $1 AND contact_id = $2")
            .bind(campaign_id).bind(contact_id).fetch_optional(c).await)?)
    }

    /// How many earlier attempts of a send were refused, or failed for later, with this code.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn refusals_with(&self, (campaign_id, contact_id): SendKey, code: i64) -> Result<i64> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT count(*) FROM past_attempts WHERE campaign_id = $1 AND contact_id = $2 AND code = $3")
            .bind(campaign_id).bind(contact_id).bind(code).fetch_one(c).await)?)
    }

    /// The sends of a campaign after a contact id, in its order, with whom they go to: a page of an export.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn export_page(&self, campaign_id: i64, after: i64, limit: i64) -> Result<Vec<ExportRow>> {
        let mut link = self.read().await?;
        // Not joined: PostgreSQL would merge the two tables, from the first person of all, for every page.
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT s.*, (SELECT c.phone FROM contacts c WHERE c.id = s.contact_id) AS phone,
                    (SELECT c.name FROM contacts c WHERE c.id = s.contact_id) AS name,
                    (SELECT min(p.since) FROM suppressions p
                     WHERE p.contact_id = s.contact_id AND p.campaign_id = s.campaign_id) AS opted_out_at
             FROM sends s WHERE s.campaign_id = $1 AND s.contact_id > $2 ORDER BY s.contact_id LIMIT $3")
            .bind(campaign_id).bind(after).bind(limit).fetch_all(c).await)?)
    }
}

/// A send with its person, for an export.
#[derive(Clone, Debug)]
pub struct ExportRow {
    /// The send.
    pub send: SendRow,
    /// The person's number, digits.
    pub phone: Option<i64>,
    /// The person's name.
    pub name: Option<String>,
    /// Since when a stop stands that the person said to this campaign.
    pub opted_out_at: Option<i64>,
}

from_row!(ExportRow { phone, name, opted_out_at; send });

#[cfg(test)]
mod tests;
