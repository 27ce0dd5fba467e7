//! What an operator sees of the queues: depth, age, pace, owner, and why a lane is idle.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::Result;
use crate::lane::Showing;
use crate::views::iso;
use crate::worker::lane_name;
use crate::{App, numbers};

/// A beat older than this, by the wall clock, is shown as no owner.
const STALE: i64 = 15_000;

/// How the messaging limit of a number's portfolio stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimitView {
    /// Distinct people per moving 24 hours.
    pub people: i64,
    /// Of them reached in the last 24 hours.
    pub used: i64,
    /// Whether everybody of the last 24 hours is counted; nothing is sent before.
    pub counted: bool,
    /// When the next place is free, RFC 3339; `null`: none is taken.
    pub free_at: Option<String>,
}

/// One business number's queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueRow {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// Planned sends of running campaigns that may go now.
    pub ready: i64,
    /// Planned sends that wait for a time.
    pub delayed: i64,
    /// Claimed, the answer not known yet.
    pub in_flight: i64,
    /// How long the oldest batch has waited, in seconds.
    pub oldest_seconds: f64,
    /// The rate in force, messages a second; `null`: unlimited.
    pub rate: Option<u32>,
    /// Messages handed over in the last second.
    pub pace: u32,
    /// The worker that owns the lane.
    pub owner: Option<String>,
    /// `sending`, `idle`, `paused`, `outage`, or `no-worker`.
    pub state: String,
    /// Why it is not sending, in one sentence.
    pub reason: Option<String>,
    /// The messaging limit that it shares with the other numbers of its portfolio; `null`: none that is known.
    pub limit: Option<LimitView>,
}

/// Every business number's queue.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn view(app: &App) -> Result<Vec<QueueRow>> {
    let now = app.clock.now_ms();
    let leases: HashMap<String, store::Lease> =
        app.store.leases().await?.into_iter().map(|lease| (lease.name.clone(), lease)).collect();
    let depths: HashMap<i64, store::Depth> =
        app.store.depths(now).await?.into_iter().map(|depth| (depth.number_id, depth)).collect();
    let in_flight: HashMap<i64, i64> =
        app.store.in_flight().await?.into_iter().map(|(number, n, _)| (number, n)).collect();
    let all_paused = numbers::why_all_paused(app).await?;
    let mut rows = Vec::new();
    for number in app.store.numbers().await? {
        let lease = leases
            .get(&lane_name(number.id))
            .filter(|lease| !lease.owner.is_empty() && (now - lease.beat_at).abs() < STALE);
        let showing: Option<Showing> = lease.and_then(|lease| serde_json::from_str(&lease.note).ok());
        let depth = depths.get(&number.id);
        let paused = all_paused.clone().or_else(|| number.paused_reason.clone());
        let (state, reason) = match (&paused, &showing, lease) {
            (Some(reason), _, _) => ("paused".to_owned(), Some(reason.clone())),
            (None, Some(showing), _) => (showing.state.clone(), showing.reason.clone()),
            (None, None, Some(_)) => ("idle".to_owned(), Some("the lane was just taken".to_owned())),
            (None, None, None) => {
                ("no-worker".to_owned(), Some("no worker owns this number: is `hudhud serve` running?".to_owned()))
            }
        };
        rows.push(QueueRow {
            phone_number_id: number.phone_number_id.clone(),
            ready: depth.map_or(0, |depth| depth.planned - depth.delayed),
            delayed: depth.map_or(0, |depth| depth.delayed),
            in_flight: in_flight.get(&number.id).copied().unwrap_or(0),
            #[expect(clippy::cast_precision_loss, reason = "an age in milliseconds, shown in seconds")]
            oldest_seconds: depth
                .and_then(|depth| depth.oldest)
                .map_or(0.0, |oldest| (now - oldest).max(0) as f64 / 1000.0),
            rate: numbers::rate_in_force(app, &number),
            pace: showing.as_ref().map_or(0, |showing| showing.pace),
            owner: lease.map(|lease| lease.owner.clone()),
            state,
            reason,
            limit: app.store.limit_of(number.id, now).await?.map(|limit| LimitView {
                people: limit.people,
                used: limit.used,
                counted: limit.counted,
                free_at: limit.free_at.map(iso),
            }),
        });
    }
    Ok(rows)
}
