//! `/api/v1/events`: what moves, as server-sent events, for pages that are looked at.
//!
//! Each event is the whole of what it is about, not a change of it: whoever comes back after a break has missed
//! nothing. An event is sent when what it says differs from the last time. Streams end after some minutes, or when the
//! process does, and clients come back by themselves; who may no longer look is refused then.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::{App, campaigns, queue_view};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::extract::Query;
use super::problem::{Kind, Problem};

/// How often to look whether something moved.
const LOOK: Duration = Duration::from_secs(2);
/// How long a stream lasts: a role that was taken away, or a session that is over, counts after that.
const LASTS: Duration = Duration::from_secs(300);
/// Proxies close what is silent; a comment keeps it open.
const ALIVE: Duration = Duration::from_secs(15);
/// Streams of one process: each looks into the database every two seconds.
const MOST: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(stream_of))
}

/// The streams that a process may still open.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// What to tell of.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct What {
    /// A campaign's name or id: its document is told as `campaign`.
    campaign: Option<String>,
}

/// Server-sent events, each with JSON as its data: `queue` (as `/api/v1/queue`) and, if asked for, `campaign` (as
/// `/api/v1/campaigns/{campaign}`), at once and whenever they differ, at most every two seconds. `looked` says every two
/// seconds that what was told last still holds; `away` that something that Hudhud needs does not answer.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(What),
    responses((status = 200, description = "A stream that lasts some minutes", content_type = "text/event-stream", body = String)))]
async fn stream_of(
    State(app): State<Arc<App>>,
    State(streams): State<Streams>,
    Query(What { campaign }): Query<What>,
) -> Result<Response, Problem> {
    let campaign = match campaign {
        Some(named) => Some(campaigns::find(&app, &named).await?),
        None => None,
    };
    let permit = streams.0.try_acquire_owned().map_err(|_| {
        let detail = "As many pages look on as this process serves.";
        Problem::new(Kind::TooMany, detail, "Ask for single answers meanwhile, or come back later.").retry_after(30)
    })?;
    let answer = Sse::new(events(app, campaign, permit)).keep_alive(KeepAlive::new().interval(ALIVE));
    // A proxy that gathers answers would hold back what is meant to be seen at once.
    Ok(([("x-accel-buffering", "no")], answer).into_response())
}

struct Watch {
    app: Arc<App>,
    campaign: Option<i64>,
    tick: Interval,
    ends: Instant,
    queue: Said,
    told: Said,
    _permit: OwnedSemaphorePermit,
}

/// What was said last.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    /// An event, if this is something new.
    fn event(&mut self, name: &str, value: &impl Serialize) -> Option<Event> {
        let text = serde_json::to_vec(value).ok()?;
        if text == self.0 {
            return None;
        }
        let event = Event::default().event(name).data(String::from_utf8_lossy(&text));
        self.0 = text;
        Some(event)
    }
}

fn events(
    app: Arc<App>,
    campaign: Option<i64>,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ends = Instant::now() + LASTS;
    let (queue, told) = (Said::default(), Said::default());
    let watch = Watch { app, campaign, tick, ends, queue, told, _permit: permit };
    stream::unfold(watch, |mut watch| async move {
        let found = watch.next().await?;
        Some((stream::iter(found.into_iter().map(Ok)), watch))
    })
    .flatten()
}

impl Watch {
    /// What is to be said at the next look; `None` at the end.
    async fn next(&mut self) -> Option<Vec<Event>> {
        tokio::select! {
            _ = self.tick.tick() => {}
            () = self.app.ending.cancelled() => return None,
        }
        if Instant::now() >= self.ends {
            return None;
        }
        let (mut found, mut is_away) = (Vec::new(), false);
        match queue_view::view(&self.app).await {
            Ok(rows) => found.extend(self.queue.event("queue", &rows)),
            Err(_) => {
                found.push(self.away());
                is_away = true;
            }
        }
        if let Some(id) = self.campaign {
            match campaigns::show(&self.app, id).await {
                Ok(shown) => found.extend(self.told.event("campaign", &shown)),
                Err(_) => {
                    found.push(self.away());
                    is_away = true;
                }
            }
        }
        if !is_away {
            found.push(Event::default().event("looked").data("{}"));
        }
        Some(found)
    }

    /// Says that what is shown is old, and will say it all again when it can.
    fn away(&mut self) -> Event {
        (self.queue, self.told) = (Said::default(), Said::default());
        Event::default().event("away").data("{}")
    }
}
