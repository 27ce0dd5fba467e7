//! Campaigns as rows: what was ordered, where it stands, and the guarded moves between its states.

use domain::campaign::{CampaignEvent, CampaignState, CampaignStep, IllegalCampaignStep};

use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};
use crate::frequency::is_marketing;
use crate::import_undo;
use crate::tallies;
use crate::terms::Terms;

/// A campaign as it is stored.
#[derive(Clone, Debug)]
pub struct CampaignRow {
    /// Our id.
    pub id: i64,
    /// Unique name.
    pub name: String,
    state: i16,
    /// Why it is where it is, for people.
    pub reason: Option<String>,
    /// The account whose template and numbers it uses.
    pub account_id: i64,
    /// Its template.
    pub template_id: Option<i64>,
    /// The template as last checked: JSON of its components, format, category, name and language.
    pub template: String,
    /// KEY to TEXT, JSON.
    pub params: String,
    /// Hard cap of the campaign in any sliding second.
    pub rate_cap: Option<i64>,
    /// Its share of a number that several campaigns send from, against theirs.
    pub weight: i64,
    /// Who of its lists is meant, as `domain::filter` writes it; `None`: everyone.
    pub filter: Option<String>,
    /// When to start by itself.
    pub start_at: Option<i64>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was launched (or scheduled).
    pub launched_at: Option<i64>,
    /// When its audience was frozen and the first send could go.
    pub started_at: Option<i64>,
    /// When it was finished or cancelled.
    pub finished_at: Option<i64>,
    /// The audience: members of its lists added by then.
    pub frozen_at: Option<i64>,
    /// How many people the frozen audience holds.
    pub audience: i64,
    /// Planning got to this contact id.
    pub planned_through: i64,
    /// Planning is complete.
    pub planned: bool,
    /// Of a campaign that is spread: over how many people, as its launch found.
    pub spread_people: Option<i64>,
    /// The campaign that it is a part of: whose failed ones it tries again, or whose occurrence it is.
    pub parent_id: Option<i64>,
    /// Of an occurrence: at which time, epoch ms.
    pub occurrence: Option<i64>,
    /// Of a campaign that recurs: how many people the last one was for.
    pub last_eligible: Option<i64>,
    /// What it is: [`crate::CAMPAIGN`], or else a [`crate::MessageKind`].
    pub kind: i16,
    /// Where it has a canary: how that stands.
    pub(crate) canary_state: Option<i16>,
    /// While everybody else is held back: the last one of the canary (a contact id), once that is known.
    pub canary_through: Option<i64>,
    /// When its messages may leave.
    pub terms: Terms,
}

from_row!(CampaignRow {
    id, name, state, reason, account_id, template_id, template, params, rate_cap, weight, filter, start_at,
    created_by, created_at, launched_at, started_at, finished_at, frozen_at, audience, planned_through, planned,
    spread_people, parent_id, occurrence, last_eligible, kind, canary_state, canary_through; terms
});

impl CampaignRow {
    /// Where it stands.
    ///
    /// # Errors
    /// [`Error::Bug`] for a state that this version does not know.
    pub fn state(&self) -> Result<CampaignState> {
        CampaignState::try_from(self.state).map_err(|_| Error::bug(format!("a campaign in state {}", self.state)))
    }
}

/// What it takes to make a campaign.
#[derive(Clone, Debug)]
pub struct NewCampaign<'a> {
    /// Unique name.
    pub name: &'a str,
    /// The account.
    pub account_id: i64,
    /// The template; `None`: free text.
    pub template_id: Option<i64>,
    /// The template as checked, JSON.
    pub template: &'a str,
    /// KEY to TEXT, JSON.
    pub params: &'a str,
    /// Hard cap in any sliding second.
    pub rate_cap: Option<i64>,
    /// Its share of a number that several campaigns send from, against theirs.
    pub weight: i64,
    /// When to start by itself.
    pub start_at: Option<i64>,
    /// Lists whose members are its audience.
    pub lists: &'a [i64],
    /// Lists whose members are skipped.
    pub excluded_lists: &'a [i64],
    /// Who of them is meant, as `domain::filter` writes it; `None`: everyone.
    pub filter: Option<&'a str>,
    /// Our ids of the business numbers, in their order.
    pub numbers: &'a [i64],
    /// Who makes it.
    pub created_by: &'a str,
    /// When its messages may leave.
    pub terms: Terms,
    /// The campaign that it is a part of.
    pub parent_id: Option<i64>,
}

/// The audience of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Members of its lists who were added by then, epoch ms.
    pub at: i64,
    /// How many they are.
    pub people: i64,
}

/// What came of asking a campaign to change its state.
#[derive(Clone, Debug)]
pub enum Moved {
    /// It is in this state now (and may have been before).
    To(CampaignState),
    /// The state machine forbids it.
    Refused(IllegalCampaignStep),
    /// That import, which went to one of its lists, is being taken back at the moment.
    AwaitsUndo(i64),
    /// There is no such campaign.
    NotFound,
}

const SELECT: &str = "SELECT id, name, state, reason, account_id, template_id, template, params, rate_cap, weight,
    filter, start_at, created_by, created_at, launched_at, started_at, finished_at, frozen_at, audience, planned_through, planned,
    spread_people, parent_id, occurrence, last_eligible, spread, quiet_hours, timezone, stop_at, latest_start, cron,
    size_guard, frequency_cap, canary, canary_state, canary_through, kind, blackouts, human_gaps
    FROM campaigns";

/// Writes a draft with its lists and numbers.
pub(crate) async fn insert(tx: &mut Link, new: &NewCampaign<'_>, now: i64) -> Result<i64> {
    let id: i64 = on!(tx, c => sqlx::query_scalar(
        "INSERT INTO campaigns (name, state, account_id, template_id, template, params, rate_cap, weight,
                                start_at, created_by, created_at, spread, quiet_hours, timezone, stop_at,
                                latest_start, parent_id, cron, size_guard, filter, frequency_cap, marketing, canary, canary_state,
                                blackouts, human_gaps)
         VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
                 $24, $25)
         RETURNING id")
        .bind(new.name).bind(new.account_id).bind(new.template_id).bind(new.template).bind(new.params)
        .bind(new.rate_cap).bind(new.weight).bind(new.start_at).bind(new.created_by).bind(now)
        .bind(new.terms.spread).bind(&new.terms.quiet_hours).bind(&new.terms.timezone).bind(new.terms.stop_at)
        .bind(new.terms.latest_start).bind(new.parent_id).bind(&new.terms.cron).bind(new.terms.size_guard)
        .bind(new.filter).bind(&new.terms.frequency_cap).bind(is_marketing(new.template))
        .bind(&new.terms.canary).bind(new.terms.canary.as_ref().map(|_| 0_i16))
        .bind(&new.terms.blackouts).bind(new.terms.human_gaps).fetch_one(c).await)?;
    // A list that is named as both is excluded: whoever is left out can still be sent to, not the other way round.
    for (lists, included) in [(new.excluded_lists, false), (new.lists, true)] {
        let sql = tx.pick(
            "INSERT INTO campaign_lists (campaign_id, list_id, included)
             SELECT $1, value, $3 FROM json_each($2) WHERE true ON CONFLICT DO NOTHING",
            "INSERT INTO campaign_lists (campaign_id, list_id, included)
             SELECT $1, v::bigint, $3 FROM jsonb_array_elements_text($2::jsonb) AS e(v) ON CONFLICT DO NOTHING",
        );
        let json = serde_json::to_string(lists)?;
        on!(tx, c => sqlx::query(sql).bind(id).bind(json).bind(included).execute(c).await.map(drop))?;
    }
    let sql = tx.pick(
        "INSERT INTO campaign_numbers (campaign_id, number_id, position)
         SELECT $1, value, key FROM json_each($2) WHERE true ON CONFLICT DO NOTHING",
        "INSERT INTO campaign_numbers (campaign_id, number_id, position)
         SELECT $1, v::bigint, o - 1 FROM jsonb_array_elements_text($2::jsonb) WITH ORDINALITY AS e(v, o)
         ON CONFLICT DO NOTHING",
    );
    // Positions have no gaps: a person falls to the number at the remainder of their id.
    let mut numbers = Vec::with_capacity(new.numbers.len());
    for number in new.numbers {
        if !numbers.contains(number) {
            numbers.push(*number);
        }
    }
    let json = serde_json::to_string(&numbers)?;
    on!(tx, c => sqlx::query(sql).bind(id).bind(json).execute(c).await.map(drop))?;
    Ok(id)
}

impl Store {
    /// Makes a draft with its lists and numbers.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the name is taken.
    #[crate::boxed]
    pub async fn create_campaign(&self, new: &NewCampaign<'_>, now: i64) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = insert(&mut tx, new, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Makes the child for one occurrence of a recurring campaign, scheduled for it, and moves the parent on to its next
    /// time, both or neither. `None`: the parent is no longer scheduled for `expected`: somebody else was faster, or it
    /// was cancelled.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the child's name is taken, or it was made before.
    #[crate::boxed]
    pub async fn occur(
        &self,
        parent: i64,
        expected: i64,
        (occurrence, next): (i64, Option<i64>),
        child: &NewCampaign<'_>,
        now: i64,
    ) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        let moved = on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET start_at = $3 WHERE id = $1 AND state = 1 AND start_at = $2 AND cron IS NOT NULL")
            .bind(parent).bind(expected).bind(next).execute(c).await.map(|done| done.rows_affected()))?;
        if moved == 0 {
            return Ok(None);
        }
        let id = insert(&mut tx, child, now).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET state = 1, launched_at = $2, occurrence = $3 WHERE id = $1")
            .bind(id).bind(now).bind(occurrence).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Keeps how many people the last occurrence of a recurring campaign was for.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_last_eligible(&self, id: i64, people: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET last_eligible = $2 WHERE id = $1 AND cron IS NOT NULL")
            .bind(id).bind(people).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The lists (our ids) of a campaign: included, excluded.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaign_list_ids(&self, id: i64) -> Result<(Vec<i64>, Vec<i64>)> {
        let mut link = self.read().await?;
        let rows: Vec<(i64, bool)> = on!(&mut link, c => sqlx::query_as(
            "SELECT list_id, included FROM campaign_lists WHERE campaign_id = $1 ORDER BY list_id")
            .bind(id).fetch_all(c).await)?;
        let (included, excluded): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, included)| *included);
        let ids = |rows: Vec<(i64, bool)>| rows.into_iter().map(|(id, _)| id).collect();
        Ok((ids(included), ids(excluded)))
    }

    /// A campaign by its id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaign(&self, id: i64) -> Result<Option<CampaignRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id = $1"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?)
    }

    /// A campaign by its name.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaign_named(&self, name: &str) -> Result<Option<CampaignRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE name = $1"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(name).fetch_optional(c).await)?)
    }

    /// Campaigns older than an id (all: `i64::MAX`), newest first: a page. Single messages are not among them.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaigns(&self, before: i64, limit: i64) -> Result<Vec<CampaignRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id < $1 AND kind = 0 ORDER BY id DESC LIMIT $2"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(before).bind(limit).fetch_all(c).await)?)
    }

    /// Campaigns that were checked and not launched yet, older than an id, newest first: a page. Of some of them a second
    /// person's approval is missing, which is for the engine to tell.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaigns_checked(&self, before: i64, limit: i64) -> Result<Vec<CampaignRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "{SELECT} WHERE id < $1 AND kind = 0 AND state IN (0, 1, 3) AND frozen_at IS NULL AND checked IS NOT NULL
             ORDER BY id DESC LIMIT $2"
        ));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(before).bind(limit).fetch_all(c).await)?)
    }

    /// Campaigns that the scheduler must look at: scheduled, running, paused, and cancelled ones with planned sends.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaigns_alive(&self) -> Result<Vec<CampaignRow>> {
        let mut link = self.read().await?;
        // Each part has its index, so that campaigns which are over cost nothing.
        let sql = sqlx::AssertSqlSafe(format!(
            "{SELECT} WHERE state IN (1, 2, 3)
               UNION ALL {SELECT} WHERE state = 4 AND NOT planned AND frozen_at IS NOT NULL
               UNION ALL {SELECT} WHERE state = 4 AND planned AND id IN (
                    SELECT campaign_id FROM tallies WHERE state IN (0, 1, 2) AND state = 0 AND n > 0)
             ORDER BY id"
        ));
        Ok(on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await)?)
    }

    /// Finished campaigns that have an open send again.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn finished_with_open(&self) -> Result<Vec<i64>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT DISTINCT t.campaign_id FROM tallies t JOIN campaigns c ON c.id = t.campaign_id
             WHERE t.state IN (0, 1, 2) AND t.n > 0 AND c.state = 5")
            .fetch_all(c).await)?)
    }

    /// The numbers (our ids) of a campaign, in their order.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaign_number_ids(&self, id: i64) -> Result<Vec<i64>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY position")
            .bind(id).fetch_all(c).await)?)
    }

    /// The names of a campaign's lists: included, excluded.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaign_list_names(&self, id: i64) -> Result<(Vec<String>, Vec<String>)> {
        let mut link = self.read().await?;
        let rows: Vec<(String, bool)> = on!(&mut link, c => sqlx::query_as(
            "SELECT l.name, cl.included FROM campaign_lists cl JOIN lists l ON l.id = cl.list_id
             WHERE cl.campaign_id = $1 ORDER BY l.name")
            .bind(id).fetch_all(c).await)?;
        let (included, excluded): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, included)| *included);
        let names = |rows: Vec<(String, bool)>| rows.into_iter().map(|(name, _)| name).collect();
        Ok((names(included), names(excluded)))
    }

    /// Moves a campaign as its state machine allows, with a reason for people. `Launched` freezes the audience.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn move_campaign(
        &self,
        id: i64,
        event: CampaignEvent,
        reason: Option<&str>,
        frozen: Option<Frozen>,
        now: i64,
    ) -> Result<Moved> {
        let mut tx = self.write(Priority::Urgent).await?;
        let sql = tx
            .pick("SELECT state FROM campaigns WHERE id = $1", "SELECT state FROM campaigns WHERE id = $1 FOR UPDATE");
        let state: Option<i16> = on!(&mut tx, c => sqlx::query_scalar(sql).bind(id).fetch_optional(c).await)?;
        let Some(state) = state else { return Ok(Moved::NotFound) };
        let state = CampaignState::try_from(state).map_err(|_| Error::bug(format!("a campaign in state {state}")))?;
        let to = match state.next(event) {
            Err(illegal) => return Ok(Moved::Refused(illegal)),
            Ok(CampaignStep::Stay) => return Ok(Moved::To(state)),
            Ok(CampaignStep::To(to)) => to,
        };
        if event == CampaignEvent::Launched
            && let Some(import) = import_undo::under_way(&mut tx, id).await?
        {
            return Ok(Moved::AwaitsUndo(import));
        }
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET state = $2, reason = $3 WHERE id = $1")
            .bind(id).bind(i16::from(to)).bind(reason).execute(c).await.map(drop))?;
        match event {
            CampaignEvent::Scheduled => on!(&mut tx, c => sqlx::query(
                "UPDATE campaigns SET launched_at = $2 WHERE id = $1")
                .bind(id).bind(now).execute(c).await.map(drop))?,
            CampaignEvent::Launched => on!(&mut tx, c => sqlx::query(
                "UPDATE campaigns SET launched_at = coalesce(launched_at, $2), started_at = $2, frozen_at = $3,
                                      audience = $4 WHERE id = $1")
                .bind(id).bind(now).bind(frozen.map_or(now, |frozen| frozen.at))
                .bind(frozen.map_or(0, |frozen| frozen.people)).execute(c).await.map(drop))?,
            CampaignEvent::Finished | CampaignEvent::Cancelled => {
                on!(&mut tx, c => sqlx::query("UPDATE campaigns SET finished_at = $2 WHERE id = $1")
                    .bind(id).bind(now).execute(c).await.map(drop))?;
                tallies::forget_empty(&mut tx, id).await?;
            }
            CampaignEvent::Reopened => on!(&mut tx, c => sqlx::query(
                "UPDATE campaigns SET finished_at = NULL WHERE id = $1")
                .bind(id).execute(c).await.map(drop))?,
            CampaignEvent::Paused => {}
            // Batches whose tasks were dropped while paused are pushed again at once.
            CampaignEvent::Resumed => on!(&mut tx, c => sqlx::query(
                "UPDATE batches SET pushed_at = NULL WHERE campaign_id = $1")
                .bind(id).execute(c).await.map(drop))?,
        }
        tx.commit().await?;
        Ok(Moved::To(to))
    }

    /// Removes a draft with what it names. Whether it was one; a campaign in any other state stays.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn remove_draft(&self, id: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        // A launch at the same moment waits for the row, or we for it.
        let sql = tx.pick(
            "SELECT id FROM campaigns WHERE id = $1 AND state = 0",
            "SELECT id FROM campaigns WHERE id = $1 AND state = 0 FOR UPDATE",
        );
        let draft: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(sql).bind(id).fetch_optional(c).await)?;
        if draft.is_none() {
            return Ok(false);
        }
        for sql in [
            "DELETE FROM campaign_lists WHERE campaign_id = $1",
            "DELETE FROM campaign_numbers WHERE campaign_id = $1",
            "DELETE FROM campaigns WHERE id = $1",
        ] {
            on!(&mut tx, c => sqlx::query(sql).bind(id).execute(c).await.map(drop))?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Gives a draft its time to start, or takes it away.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_start(&self, id: i64, start_at: Option<i64>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET start_at = $2 WHERE id = $1 AND state IN (0, 1)")
            .bind(id).bind(start_at).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Keeps over how many people a campaign is spread, as its launch found.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_spread(&self, id: i64, people: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET spread_people = $2 WHERE id = $1 AND spread IS NOT NULL")
            .bind(id).bind(people).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Changes the cap of a campaign, messages in any sliding second (`None`: none of its own). `false` when it is
    /// over, or there is none.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_rate_cap(&self, id: i64, rate: Option<i64>) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET rate_cap = $2 WHERE id = $1 AND state IN (0, 1, 2, 3)")
            .bind(id).bind(rate).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// The caps of the running campaigns that a number sends: campaign, messages in any sliding second over all its
    /// numbers, and how many those are.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn rate_caps(&self, number_id: i64) -> Result<Vec<(i64, Option<i64>, i64)>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT c.id, c.rate_cap,
                    (SELECT count(*) FROM campaign_numbers n WHERE n.campaign_id = c.id) AS numbers
             FROM campaigns c JOIN campaign_numbers cn ON cn.campaign_id = c.id AND cn.number_id = $1
             WHERE c.state = 2 ORDER BY c.id")
            .bind(number_id).fetch_all(c).await)?)
    }

    /// Keeps the template as it was checked for a launch.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_template(&self, id: i64, template: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET template = $2, marketing = $3 WHERE id = $1")
            .bind(id).bind(template).bind(is_marketing(template)).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Whether a campaign has a send that is planned, submitting or in doubt, by its rows and not by its tallies.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn has_open_sends(&self, id: i64) -> Result<bool> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sends WHERE campaign_id = $1 AND state IN (0, 1, 2))")
            .bind(id).fetch_one(c).await)?)
    }
}

#[cfg(test)]
mod tests;
