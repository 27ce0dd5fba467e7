//! Feeding: keeps a few batches of every running campaign in each of its lanes' queues, never more.

use std::collections::HashMap;
use std::sync::Arc;

use domain::pacing::{Micros, SECOND};
use store::{Batch, Feedable};

use crate::{App, numbers};

/// Open batches of a campaign on a lane: one is sent while the next ones wait.
const OPEN: i64 = 3;
/// The same where the campaign's own cap is slower than the lane.
const OPEN_CAPPED: i64 = 2;
/// Sends of a batch: a second's worth, within these bounds.
const SIZES: std::ops::RangeInclusive<i64> = 50..=1_000;
/// Sends of a batch on a lane without a rate.
const FREE_SIZE: i64 = 2_000;
/// Planned sends that no batch holds for so long are looked for from the start.
const STRAY_AFTER: Micros = 5 * SECOND;

/// What the feeder remembers between rounds.
#[derive(Debug, Default)]
pub struct Feeder {
    strays: HashMap<(i64, i64), Micros>,
    redis_away: bool,
}

impl Feeder {
    /// One round. `true`: there is more to feed at once.
    ///
    /// # Errors
    /// When the database is away.
    #[crate::boxed]
    pub async fn tick(&mut self, app: &Arc<App>) -> anyhow::Result<bool> {
        let lanes = app.store.feedable().await?;
        if lanes.is_empty() {
            self.strays.clear();
            return Ok(false);
        }
        let rates: HashMap<i64, Option<u32>> = app
            .store
            .numbers()
            .await?
            .into_iter()
            .map(|number| (number.id, numbers::rate_in_force(app, &number)))
            .collect();
        let mut fed = false;
        for lane in &lanes {
            let rate = rates.get(&lane.number_id).copied().flatten().map(i64::from);
            // A campaign's own cap may be slower than its lane; then its batches are smaller and fewer, so that they do
            // not fill the lane's hand.
            let cap = own_cap(lane);
            let capped = cap.is_some_and(|cap| rate.is_none_or(|rate| cap < rate));
            let size = match if capped { cap } else { rate } {
                Some(rate) => rate.clamp(*SIZES.start(), *SIZES.end()),
                None => FREE_SIZE,
            };
            let batches = self.feed(app, lane, size, if capped { OPEN_CAPPED } else { OPEN }).await?;
            if !batches.is_empty() {
                fed = true;
                self.push(app, lane.number_id, &batches).await?;
            }
        }
        // A batch may be done within milliseconds on a lane without a rate.
        Ok(fed && rates.values().any(Option::is_none))
    }

    async fn feed(&mut self, app: &App, lane: &Feedable, size: i64, open: i64) -> anyhow::Result<Vec<Batch>> {
        let now = app.clock.now_ms();
        let key = (lane.campaign_id, lane.number_id);
        let mut batches = Vec::new();
        if lane.due_open == 0 && lane.next_due.is_some_and(|due| due <= now) {
            batches.extend(app.store.due_batch(lane.campaign_id, lane.number_id, now).await?);
        }
        let mut at_the_end = false;
        for _ in lane.fresh_open..open {
            match app.store.next_batch(lane.campaign_id, lane.number_id, size, now).await? {
                Some(batch) => batches.push(batch),
                None => {
                    at_the_end = true;
                    break;
                }
            }
        }
        // Planned, yet in no batch and waiting for no time: nothing should come here, and if it does it heals.
        let stray = batches.is_empty()
            && at_the_end
            && lane.planned
            && !lane.held_back
            && lane.fresh_open == 0
            && lane.due_open == 0
            && lane.next_due.is_none()
            && lane.open > 0;
        if !stray {
            self.strays.remove(&key);
        } else if self.strays.entry(key).or_insert(app.clock.boot_us()).saturating_add(STRAY_AFTER)
            < app.clock.boot_us()
        {
            self.strays.remove(&key);
            tracing::warn!(
                campaign = lane.campaign_id,
                number = lane.number_id,
                open = lane.open,
                "planned sends are in no batch; looking through the campaign from its start"
            );
            app.store.refeed(lane.campaign_id, lane.number_id).await?;
        }
        Ok(batches)
    }

    /// Pushes the tasks. If Redis is away the lane pushes them when it is back.
    async fn push(&mut self, app: &App, number_id: i64, batches: &[Batch]) -> anyhow::Result<()> {
        let ids: Vec<i64> = batches.iter().map(|batch| batch.id).collect();
        let Some(redis) = &app.redis else { return Ok(()) };
        match redis.push(number_id, &ids).await {
            Ok(()) => {
                if std::mem::take(&mut self.redis_away) {
                    tracing::info!("Redis is back: feeding goes on");
                }
                app.store.mark_pushed(&ids, app.clock.now_ms()).await?;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.redis_away, true) {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "Redis is away: batches wait in the database and are pushed when it is back"
                    );
                }
            }
        }
        Ok(())
    }
}

/// How many messages of the campaign leave in a second at most, by its own cap and its spread.
fn own_cap(lane: &Feedable) -> Option<i64> {
    let spread = lane.spread.zip(lane.spread_people);
    let spread = spread.map(|(length, people)| people.saturating_mul(1_000) / length.max(1) + 1);
    lane.rate_cap.into_iter().chain(spread).min()
}
