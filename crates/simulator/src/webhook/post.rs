//! The postman: takes what is due, writes it into signed bodies, posts them, tries again until they get their 200.

use crate::chance::{Draw, Salt, mix};
use crate::clock::duration;
use crate::fate::{self, End, Reply};
use crate::identity::Direction;
use crate::ledger::Status;
use crate::platform::Platform;
use crate::webhook::compose::{self, Face, Piece, Said, StatusText};
use crate::webhook::outbox::{Ack, Due, Kind, Next, Parcel, Rules};
use crate::webhook::plan::Course;
use crate::world::World;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::Arc;
use std::time::Duration;

type Poster = Client<HttpConnector, Full<Bytes>>;

/// The client that webhooks are posted with.
pub(crate) fn poster() -> Poster {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        // A retry must be counted and must wait, so the client makes none of its own.
        .retry_canceled_requests(false)
        .build(connector)
}

/// Delivers for ever; ends with the runtime it was spawned on.
pub(crate) async fn deliver(platform: Arc<Platform>) {
    let poster = poster();
    loop {
        let world = platform.world();
        let webhook = &world.settings.webhook;
        let wake = platform.outbox.wake.notified();
        let now_us = platform.clock.now_us();
        let rules = Rules {
            now_us,
            batch: webhook.batch,
            linger_us: i64::try_from(webhook.linger_ms).unwrap_or(0) * 1000,
            hold: webhook.hold || webhook.url.is_none(),
        };
        if platform.posts_in_flight() >= webhook.concurrency {
            wake.await;
            continue;
        }
        match platform.outbox.next(rules) {
            Next::Compose(changes) => {
                for parcel in parcels(&platform, &world, &changes) {
                    dispatch(&platform, &poster, parcel);
                }
            }
            Next::Retry(parcel) => dispatch(&platform, &poster, parcel),
            Next::Wait(None) => wake.await,
            Next::Wait(Some(until_us)) => {
                let wait = duration(until_us - now_us).max(Duration::from_millis(1));
                let _ = tokio::time::timeout(wait, wake).await;
            }
        }
        // Posting must not starve the requests that share this thread.
        tokio::task::yield_now().await;
    }
}

fn dispatch(platform: &Arc<Platform>, poster: &Poster, parcel: Parcel) {
    platform.post_began();
    tokio::spawn(post(platform.clone(), poster.clone(), parcel));
}

/// Posts one body once, and settles it or puts it back.
async fn post(platform: Arc<Platform>, poster: Poster, mut parcel: Parcel) {
    let world = platform.world();
    let webhook = &world.settings.webhook;
    let confirmed = match &webhook.url {
        Some(url) => {
            let limit = Duration::from_millis(webhook.timeout_ms);
            tokio::time::timeout(limit, post_once(&platform, &poster, url, &parcel)).await.unwrap_or(None)
        }
        None => None,
    };
    platform.post_ended();
    parcel.tries += 1;
    if let Some(at_us) = confirmed {
        platform.webhook_confirmed(&parcel, at_us);
    } else {
        platform.webhook_failed();
        let now_us = platform.clock.now_us();
        let age_ms = (now_us - parcel.first_try_us) / 1000;
        if age_ms >= i64::try_from(webhook.give_up_ms).unwrap_or(i64::MAX) {
            platform.webhook_given_up(&parcel);
        } else {
            let doubled = webhook.retry_ms.saturating_mul(1 << parcel.tries.saturating_sub(1).min(20));
            let wait_ms = doubled.min(webhook.retry_max_ms);
            // Between half and the whole of it, so that bodies which failed together do not come back together.
            let unit = Draw::new(mix(now_us.unsigned_abs())).unit(Salt::Delay);
            let wait_us = (wait_ms as f64 * 1000.0 * (0.5 + unit / 2.0)) as i64;
            platform.outbox.retry(parcel, now_us + wait_us);
        }
    }
    platform.outbox.wake.notify_one();
}

/// Posts one body and returns the time of its 200.
async fn post_once(platform: &Platform, poster: &Poster, url: &str, parcel: &Parcel) -> Option<i64> {
    let request = http::Request::post(url)
        .header("content-type", "application/json")
        .header("user-agent", "facebookexternalua")
        .header("x-hub-signature-256", &parcel.signature)
        .body(Full::new(parcel.body.clone()))
        .ok()?;
    let response = poster.request(request).await.ok()?;
    // The head is the acknowledgement; the time is taken before anything else is done with it.
    let at_us = platform.clock.now_us();
    let status = response.status();
    // Reading to the end lets the connection be used again.
    let _ = http_body_util::Limited::new(response.into_body(), 1 << 20).collect().await;
    (status == http::StatusCode::OK).then_some(at_us)
}

/// Writes due changes into bodies, one per account, and puts what follows them into the outbox.
pub(crate) fn parcels(platform: &Platform, world: &World, changes: &[Due]) -> Vec<Parcel> {
    let generation = platform.outbox.generation();
    let mut by_account: Vec<(usize, Vec<Piece>, Vec<Ack>, usize)> = Vec::new();
    for due in changes {
        let Some((piece, ack)) = written(platform, world, due) else {
            platform.outbox.settled(1, generation);
            continue;
        };
        let account = match &piece {
            Piece::Status { number, .. } => number.account,
            Piece::Change { account, .. } => *account,
        };
        let at = match by_account.iter().position(|(known, ..)| *known == account) {
            Some(at) => at,
            None => {
                by_account.push((account, Vec::new(), Vec::new(), 0));
                by_account.len() - 1
            }
        };
        let group = &mut by_account[at];
        group.1.push(piece);
        group.2.extend(ack);
        group.3 += 1;
    }
    let first_try_us = platform.clock.now_us();
    by_account
        .into_iter()
        .filter_map(|(account, pieces, acks, changes)| {
            let body = Bytes::from(compose::body(world, account, &pieces));
            let signature = world.signature(account, &body)?;
            Some(Parcel { body, signature, acks, changes, tries: 0, first_try_us, generation })
        })
        .collect()
}

/// Writes one due change. `None` when there is nothing to deliver: dropped by chance, or its number is gone.
fn written(platform: &Platform, world: &World, due: &Due) -> Option<(Piece, Option<Ack>)> {
    if due.kind == Kind::Ready {
        let ready = platform.outbox.take_ready(due.seq)?;
        return Some((Piece::Change { account: ready.account, change: ready.change }, ready.ack));
    }
    let settings = &world.settings;
    let mut state = platform.state();
    let row = *state.ledger.row(due.seq)?;
    let wa_id = state.ledger.wa_id(row.person)?;
    let number = world.number(state.ledger.number_id(row.number))?.clone();
    let (name, language) = state.ledger.template(&row);
    let template = world.template(number.account, name, language).ok()?.clone();
    let draw = fate::draw(settings.seed, wa_id, &template);
    let end = if row.failed_code > 0 { End::Failed(row.failed_code) } else { fate::good_end(settings, draw) };
    let reply = fate::reply(settings, draw, wa_id, &template, end);
    let course =
        Course { draw, end, skips_delivered: fate::skips_delivered(settings, draw, end), replies: reply.is_some() };
    let aspect = draw.about(due.kind as u64);
    let mut follow: Vec<Due> = course.next(settings, due).into_iter().collect();
    if !due.copy && aspect.within(Salt::Duplicate, settings.webhook.duplicate_share) {
        let later = settings.webhook.duplicate_ms.at_us(aspect.unit(Salt::DuplicateDelay));
        follow.push(Due { due_us: due.due_us + later, alone: true, copy: true, ..*due });
    }
    platform.outbox.push(follow);

    let face = Face::of(settings, wa_id);
    let generation = platform.outbox.generation();
    let id = |direction| compose::id_of(direction, settings, wa_id, row.to > 0, generation, u64::from(due.seq));
    if due.kind == Kind::Reply {
        let reply = reply?;
        let context =
            (!draw.within(Salt::Context, settings.people.tap_without_context_share)).then(|| id(Direction::Outbound));
        let ack = reply.is_opt_out().then_some(Ack::OptOut(row.person));
        if ack.is_some() && !due.copy {
            state.tally.opt_outs_sent += 1;
        }
        if reply != Reply::NativeStop {
            state.hear(row.number, row.person, due.at_us);
        }
        let inbound = id(Direction::Inbound);
        let piece = match &reply {
            Reply::OptOutTap(button) | Reply::OtherTap(button) => {
                let label = template.shape.buttons.get(*button).map_or("", |b| b.label.as_str());
                let payload = state.ledger.payload(&row, *button).unwrap_or(label);
                let said = Said::Tap { payload, label };
                compose::message(&face, &number, &inbound, due.at_us, aspect, &said, context.as_deref())
            }
            Reply::StopText(text) => {
                compose::message(&face, &number, &inbound, due.at_us, aspect, &Said::Text(text), None)
            }
            Reply::NativeStop => {
                state.native_stop(row.person, true);
                compose::preference(&face, &number, due.at_us, "stop")
            }
        };
        return Some((piece, ack));
    }

    let (word, status) = match due.kind {
        Kind::Sent => ("sent", Status::Sent),
        Kind::Delivered => ("delivered", Status::Delivered),
        Kind::Read => ("read", Status::Read),
        _ => ("failed", Status::Failed),
    };
    state.reached(due.seq, status);
    if aspect.within(Salt::Dropped, settings.webhook.drop_share) {
        state.tally.webhooks_dropped += u64::from(!due.copy);
        return None;
    }
    // Meta prices `sent` and one of the later two.
    let priced = match due.kind {
        Kind::Sent | Kind::Delivered => true,
        Kind::Read => course.skips_delivered,
        _ => false,
    };
    let text = StatusText {
        wamid: &id(Direction::Outbound),
        status: word,
        at_us: due.at_us,
        callback: state.ledger.callback(&row),
        category: &template.category,
        priced,
        failed_code: (due.kind == Kind::Failed).then_some(row.failed_code),
        draw: aspect,
    };
    Some((compose::status(&face, number, &text), None))
}
