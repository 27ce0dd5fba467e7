//! A lane: the queue and the pacer of one business number, while this process owns it.
//!
//! Claim, re-check, turn, POST. One task runs the lane and takes its decisions in order; POSTs run beside it, at most
//! as many as the number's rate and latency need. Claims are made in groups for the turns of the next moment, so that a
//! commit is not jitter and a crash leaves little in doubt.

mod hand;
mod lessons;
mod meters;
mod orphans;
mod outage;
pub mod pace;
mod post;
mod recorder;
mod shares;
mod tasks;
mod term;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cloud_api::{Message, Sender};
use domain::pacing::Micros;
use domain::send::SendEvent;
use store::{Batch, Claim, ClaimOrder, Halt, Happening, OPTED_OUT};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::journal::{AttemptKey, Journal};
use crate::{App, consequences, limits};
use hand::{Ask, Campaign, Hand, InHand, Ready, Task};
use lessons::Follow;
use meters::Meters;
use outage::Circuit;
use pace::Pace;
use post::{Lesson, Post, post};
pub use recorder::{Outcome, Recorder};
pub use term::{Term, run};

/// How long a claim is valid, from before its statement: law 5. The claim itself looks so far ahead for whatever ends.
pub const CLAIM_VALID: Micros = 250_000;
const _: () = assert!(CLAIM_VALID == store::CLAIM_LASTS.unsigned_abs() * 1_000);
/// A group of claims covers the turns of this long; with the half of it that may still wait, well within a claim's time.
const GROUP_TIME: Micros = 100_000;
/// A slow lane claims so long before its turn, so that the claim is committed when the turn comes and valid after it.
const AHEAD: Micros = 60_000;
/// From when a send may go that never left: whatever the wall clock does meanwhile.
const AT_ONCE: i64 = 0;
/// With nothing to do, look again after this.
const IDLE: Micros = 200_000;
/// The group of a lane without a rate.
const FREE_GROUP: usize = 256;
/// POSTs under way on a lane without a rate, those included that wait to be written down: room for two groups of
/// outcomes beside those on the wire.
const FREE_IN_FLIGHT: usize = 1_024;
/// What a lane without a rate takes for one while it goes on after an outage.
const FREE_AFTER_OUTAGE: u32 = 1_000;
/// A lane without a rate claims when so many places are free: fewer would cost a commit each.
const FREE_ROOM: usize = 128;
/// While something forbids sending, look again after this.
const HALTED_FOR: Micros = 250_000;
/// A lane that waits for a place within the messaging limit looks again after this, at the soonest and at the latest.
const LEAST_PLACE_WAIT: Duration = Duration::from_secs(1);
const MOST_PLACE_WAIT: Duration = Duration::from_secs(10);
/// POSTs under way when the process is asked to stop have so long to be answered. With what follows it stays within the
/// 24 s that `serve` gives its workers.
const DRAIN: Duration = Duration::from_secs(15);
/// After that, what had no answer is in doubt, and has so long to be written down.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The lane shows itself this often, however often it turns.
const SHOW: Micros = 20_000;
/// Claims in a row that came back too late to be used: then the log says so.
const VOID_IN_A_ROW: u32 = 3;
/// Campaigns that a lane remembers before it forgets those that it no longer sends.
const CAMPAIGNS: usize = 64;

/// What the keeper of the term tells the lane.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// The number's rate; `None`: unlimited.
    pub(super) rate: Option<u32>,
    /// Ready to send with the account's current token.
    pub(super) sender: Option<Sender>,
    /// The account's sealed token, as it stands in the database: tells which token a refusal was about.
    pub(super) sealed_token: Arc<[u8]>,
    /// The caps of running campaigns on this lane, messages in any sliding second; `None`: none of its own.
    pub(super) caps: Arc<HashMap<i64, Option<u32>>>,
}

/// What comes to a lane from outside.
struct Inlets {
    /// Batches from the queue.
    handed: mpsc::Receiver<Handed>,
    /// The number's rate and token.
    orders: watch::Receiver<Orders>,
    /// What POSTs taught.
    lessons: mpsc::UnboundedReceiver<Lesson>,
}

/// What the lane shows of itself.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Showing {
    /// Messages handed over in the last second.
    pub pace: u32,
    /// The rate in force; `None`: unlimited.
    pub rate: Option<u32>,
    /// POSTs under way.
    pub in_flight: usize,
    /// `sending`, `idle`, `paused`, `outage`.
    pub state: String,
    /// One sentence for people: why it is not sending.
    pub reason: Option<String>,
}

/// A batch that the queue hands in.
struct Handed {
    batch_id: i64,
    task: Task,
}

struct ClaimDone {
    batch_id: i64,
    started: Micros,
    claim: store::Result<(Claim, Vec<i64>)>,
}

/// Why a lane stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Somebody else owns it.
    Lost,
    /// A claim's answer was lost: the rows must be swept before going on.
    ClaimLost,
    /// The process is stopping.
    Shutdown,
}

/// The lane's own state.
pub(super) struct Lane {
    app: Arc<App>,
    number_id: i64,
    /// Meta's id of the number, as metrics name it.
    phone_number_id: Arc<str>,
    lease: String,
    token: i64,
    journal: Arc<Journal>,
    recorder: Recorder,
    pace: Pace,
    orders: Orders,
    hand: Hand,
    campaigns: HashMap<i64, Arc<Campaign>>,
    places: Arc<Semaphore>,
    in_flight_limit: usize,
    circuit: Circuit,
    /// The share of the rate, in per cent, that the circuit lets through.
    share: u32,
    /// Set while the circuit is not closed, for the POSTs under way.
    troubled: Arc<AtomicBool>,
    /// Set while something forbids claiming: until when, and why.
    halted: Option<(Micros, String)>,
    /// The share of the rate that is left after 130429.
    throttle: f64,
    throttled_at: Micros,
    unknown_in_a_row: HashMap<i64, u32>,
    lessons: mpsc::UnboundedSender<Lesson>,
    showing: watch::Sender<Showing>,
    /// What follows from refusals was done lately: what, and when.
    done_lately: HashMap<(Follow, i64), Micros>,
    /// Cancelled when POSTs under way are no longer waited for.
    give_up: CancellationToken,
    /// Claims in a row that were void by the time they came back.
    void_claims: u32,
    meters: Arc<Meters>,
    /// When the lane last showed itself.
    shown_at: Micros,
    /// How many stops this process had noted when what is claimed was last held against them.
    stops_seen: u64,
}

impl Lane {
    fn now(&self) -> Micros {
        self.app.clock.boot_us()
    }

    /// Runs until shut down or lost. On return everything claimed and not posted was written as such, and no POST is
    /// under way; only where the process stops may what had no answer by then still wait to be written. May be called
    /// again: what was learnt stays.
    async fn run(&mut self, inlets: &mut Inlets, lost: &CancellationToken, shutdown: &CancellationToken) -> Stopped {
        let mut claiming: Option<tokio::task::JoinHandle<ClaimDone>> = None;
        let orders = inlets.orders.borrow_and_update().clone();
        self.follow(orders);
        let stopped = loop {
            while let Ok(lesson) = inlets.lessons.try_recv() {
                self.learn(lesson).await;
            }
            self.mind_outage();
            self.hand.drop_done();
            let mut claim_at = self.now() + IDLE;
            if claiming.is_none() {
                match self.start_claim() {
                    Ok(claim) => claiming = Some(claim),
                    Err(at) => claim_at = at,
                }
            }
            let wake_at = self.send_ready().await.min(claim_at);
            self.show_now_and_then();
            let pace = self.pace.clone();
            let clock = self.app.clock.clone();
            let places = Arc::clone(&self.places);
            let wanted = u32::try_from(self.least_room()).unwrap_or(1);
            tokio::select! {
                biased;
                () = lost.cancelled() => break if shutdown.is_cancelled() { Stopped::Shutdown } else { Stopped::Lost },
                done = async { claiming.as_mut().expect("guarded by the branch's condition").await }, if claiming.is_some() => {
                    claiming = None;
                    let Ok(done) = done else { break Stopped::ClaimLost };
                    if let Some(stopped) = self.claimed(done).await {
                        break stopped;
                    }
                }
                Some(lesson) = inlets.lessons.recv() => self.learn(lesson).await,
                Some(handed) = inlets.handed.recv() => self.accept(handed).await,
                Ok(()) = inlets.orders.changed() => {
                    let orders = inlets.orders.borrow_and_update().clone();
                    self.follow(orders);
                }
                () = pace.freed() => {}
                // Too few places in flight were free: a claim, or a claimed send, waits for them.
                Ok(_) = places.acquire_many(wanted), if self.hand.len() > 0 && self.places.available_permits() < self.least_room() => {}
                () = clock.sleep_until(wake_at) => {}
            }
        };
        if let Some(claiming) = claiming
            && let Ok(done) = claiming.await
        {
            let _ = self.claimed(done).await;
        }
        for ready in self.hand.put_all_down() {
            self.give_back(&ready.claimed, None).await;
        }
        self.drain(shutdown).await;
        stopped
    }

    /// Waits for every POST under way: each ends by its answer or its timeout, and holds a place until its outcome is
    /// durable, as does what was given back. When the process stops there is less time than that.
    async fn drain(&self, shutdown: &CancellationToken) {
        let clock = &self.app.clock;
        let all = self.places.acquire_many(u32::try_from(self.in_flight_limit).unwrap_or(u32::MAX));
        tokio::pin!(all);
        tokio::select! {
            _ = &mut all => return,
            () = async { shutdown.cancelled().await; clock.sleep(DRAIN).await } => {}
        }
        tracing::warn!(
            number = self.number_id,
            "some messages have no answer yet and the process stops: they are in doubt until a webhook settles them"
        );
        self.give_up.cancel();
        tokio::select! {
            _ = &mut all => {}
            () = clock.sleep(LAST_WORDS) => {}
        }
    }

    /// Takes new orders in: the rate and the token.
    fn follow(&mut self, orders: Orders) {
        self.orders = orders;
        self.apply_rate();
        for (id, cap) in self.orders.caps.iter() {
            if let Some(campaign) = self.campaigns.get(id) {
                campaign.set_cap(&self.app.clock, *cap);
            }
        }
    }

    fn apply_rate(&mut self) {
        // After an outage a lane without a rate has one for a moment.
        let is_slowed = self.share < 100;
        let rate = self.orders.rate.or(is_slowed.then_some(FREE_AFTER_OUTAGE)).map(|rate| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a u32, rounded down"
            )]
            let cut = (f64::from(rate) * self.throttle * f64::from(self.share) / 100.0) as u32;
            cut.max(1)
        });
        self.pace.set_rate(rate);
        let limit = rate.map_or(FREE_IN_FLIGHT, |rate| (rate as usize * 3).clamp(32, 1024));
        if limit > self.in_flight_limit {
            self.places.add_permits(limit - self.in_flight_limit);
            self.in_flight_limit = limit;
        }
    }

    /// How many places must be free before a claim is worth its commit.
    fn least_room(&self) -> usize {
        if self.pace.rate().is_none() { FREE_ROOM } else { 1 }
    }

    /// How many turns the next claims are made for.
    fn group(&self) -> usize {
        let turns = self.pace.turns_within(GROUP_TIME).unwrap_or(FREE_GROUP);
        // A database that is slow may be quick enough with less.
        (turns >> self.void_claims.min(8)).max(1)
    }

    /// A claim that takes longer than it is valid is made in vain, and so may be all that follow: say so.
    fn mind_slow_claims(&mut self, started: Micros) {
        let took = self.now().saturating_sub(started);
        if took < CLAIM_VALID {
            self.void_claims = 0;
            return;
        }
        self.void_claims += 1;
        if self.void_claims == VOID_IN_A_ROW {
            tracing::warn!(
                number = self.number_id,
                milliseconds = took / 1_000,
                "the database is too slow: a claim takes longer than it may, so that nothing can be sent by it"
            );
        }
    }

    /// Starts a claim, or says when it may be worth another look. Whatever ends sooner wakes the lane by itself.
    fn start_claim(&mut self) -> std::result::Result<tokio::task::JoinHandle<ClaimDone>, Micros> {
        let now = self.now();
        let idle = now + IDLE;
        if self.recorder.is_gone() {
            self.halt("outcomes cannot be written", "their writer is gone; restart the process");
            return Err(idle);
        }
        if self.orders.sender.is_none() {
            self.halt("the account's access token cannot be read", "rotate it");
            return Err(idle);
        }
        if let Some((until, _)) = &self.halted
            && now < *until
        {
            return Err(*until);
        }
        if self.hand.len() == 0 {
            // What forbade sending is over, or nobody knows; nothing is due in any case.
            self.halted = None;
            return Err(idle);
        }
        let soon = now + AHEAD;
        let group = self.group();
        if self.hand.pressing(now) >= group {
            return Err(idle);
        }
        // A slow lane claims just before the turn, or the claim would be void when its turn comes.
        let turn_at = self.pace.next_turn_at(now);
        if turn_at > soon {
            return Err(turn_at - AHEAD);
        }
        let probes = self.circuit.allowance(now);
        if let Some(probes) = probes
            && (probes == 0 || self.hand.ready() > 0)
        {
            return Err(self.circuit.until().filter(|until| *until > now).unwrap_or(idle));
        }
        let room = self.places.available_permits().saturating_sub(self.hand.ready());
        let limit = group.min(room).min(probes.unwrap_or(usize::MAX));
        if limit == 0 || room < self.least_room() {
            return Err(idle);
        }
        let ask = Ask { limit, group, least: self.least_room(), now, soon };
        let (batch, after, limit, pace) = match self.hand.hungry(ask) {
            Ok((in_hand, limit)) => {
                let pace = in_hand.campaign.pace().filter(|pace| pace.gap().is_some());
                (in_hand.batch.clone(), in_hand.after, limit, pace.cloned())
            }
            Err(turn_at) => return Err(turn_at.map_or(idle, |at| at.saturating_sub(AHEAD).max(now + 1_000))),
        };
        if probes.is_some() {
            self.circuit.probe(now);
        }
        let (app, lease, token) = (Arc::clone(&self.app), self.lease.clone(), self.token);
        Ok(tokio::spawn(claim_group(app, lease, token, batch, (after, limit), pace)))
    }

    /// Waits for a place within the messaging limit, milliseconds; or less, since one may be given back, and the limit
    /// may be raised. Not for single places of many that come free one after the other.
    fn wait_for_a_place(&mut self, words: String, wait: i64) {
        self.circuit.unprobe();
        if self.halted.is_none() {
            tracing::info!(number = self.number_id, reason = words, "sending waits; nothing is lost");
        }
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0)).clamp(LEAST_PLACE_WAIT, MOST_PLACE_WAIT);
        let wait = Micros::try_from(wait.as_micros()).unwrap_or(IDLE);
        self.halted = Some((self.now() + wait, words));
    }

    /// A claim came back.
    async fn claimed(&mut self, done: ClaimDone) -> Option<Stopped> {
        let (claim, suppressed) = match done.claim {
            Ok(claim) => claim,
            Err(error) => {
                self.circuit.unprobe();
                if error.is_unavailable() {
                    self.halt("the database is unavailable", &error.to_string());
                } else {
                    tracing::error!(number = self.number_id, %error, "a claim failed for a defect");
                }
                return Some(Stopped::ClaimLost);
            }
        };
        match claim {
            Claim::Halted(Halt::LaneLost) => return Some(Stopped::Lost),
            Claim::Halted(Halt::CampaignNotRunning(_) | Halt::OfferEnded) => {
                self.circuit.unprobe();
                for ready in self.hand.put_down(done.batch_id) {
                    self.give_back(&ready.claimed, None).await;
                }
            }
            Claim::Halted(Halt::AllPaused(reason)) => self.halt("everything is paused", &reason),
            Claim::Halted(Halt::AccountStopped(reason)) => self.halt("the account is stopped", &reason),
            Claim::Halted(Halt::NumberPaused(reason)) => self.halt("the number is paused", &reason),
            Claim::Halted(Halt::LimitReached { people, free_at }) => {
                let wait = free_at.saturating_sub(self.app.clock.now_ms());
                self.wait_for_a_place(limits::reached(people, free_at), wait);
            }
            Claim::Halted(Halt::LimitUncounted { people }) => {
                self.wait_for_a_place(limits::uncounted(people), i64::MAX);
            }
            Claim::Made { sends, skipped, exhausted, .. } => {
                if self.halted.take().is_some() {
                    tracing::info!(number = self.number_id, "sending goes on");
                }
                if sends.is_empty() {
                    self.circuit.unprobe();
                }
                if skipped > 0 {
                    metrics::counter!("hudhud_suppressed_total", "reason" => OPTED_OUT).increment(skipped as u64);
                }
                self.mind_slow_claims(done.started);
                let deadline = done.started + CLAIM_VALID;
                let Some(in_hand) = self.hand.get_mut(done.batch_id) else {
                    for claimed in &sends {
                        self.give_back(claimed, None).await;
                    }
                    return None;
                };
                in_hand.exhausted = exhausted;
                in_hand.after = sends.last().map_or(in_hand.after, |last| last.contact_id);
                let campaign = Arc::clone(&in_hand.campaign);
                for claimed in sends {
                    if suppressed.contains(&claimed.contact_id) {
                        self.give_back(&claimed, Some(OPTED_OUT.to_owned())).await;
                        continue;
                    }
                    // Their stop may be for less than this message: the next claim asks the database.
                    if self.app.departures.is_stopped(claimed.contact_id, done.started) {
                        self.give_back(&claimed, None).await;
                        continue;
                    }
                    match message_of(&self.app.install, &campaign, &claimed) {
                        Ok(message) => {
                            if let Some(in_hand) = self.hand.get_mut(done.batch_id) {
                                in_hand.ready.push_back(Ready { claimed, message, deadline });
                            }
                        }
                        Err(reason) => self.give_back(&claimed, Some(reason)).await,
                    }
                }
            }
        }
        None
    }

    fn show_now_and_then(&mut self) {
        let now = self.now();
        if now >= self.shown_at + SHOW || self.places.available_permits() >= self.in_flight_limit {
            self.shown_at = now;
            self.show();
        }
    }

    /// Gives back what is claimed for people who said stop since: found at the gate, each would have taken a turn.
    async fn turn_back_stopped(&mut self) {
        let departures = Arc::clone(&self.app.departures);
        let stops = departures.stops();
        if stops == self.stops_seen {
            return;
        }
        self.stops_seen = stops;
        let is_stopped =
            |ready: &Ready| departures.is_stopped(ready.claimed.contact_id, ready.deadline.saturating_sub(CLAIM_VALID));
        for ready in self.hand.take_stopped(is_stopped) {
            self.give_back(&ready.claimed, None).await;
        }
    }

    /// Hands over what has a turn now. Boot time at which to look again.
    async fn send_ready(&mut self) -> Micros {
        loop {
            let now = self.now();
            let idle = now + IDLE;
            self.turn_back_stopped().await;
            // A turn of the lane is not taken while every campaign holds back: given back, it would wake the lane.
            match self.hand.earliest(now) {
                None => return idle,
                Some(at) if at > now => return at.min(idle),
                Some(_) => {}
            }
            let Some(sender) = self.orders.sender.clone() else { return idle };
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return idle };
            let turn = match self.pace.try_turn() {
                Ok(turn) => turn,
                Err(until) => return until,
            };
            let (ready, campaign_turn) = match self.hand.next(now) {
                Ok(next) => next,
                Err(until) => return until.unwrap_or(idle),
            };
            if self.now() > ready.deadline {
                drop((turn, campaign_turn, place));
                self.give_back(&ready.claimed, None).await;
                continue;
            }
            let mut turns = vec![turn];
            turns.extend(campaign_turn);
            self.dispatch(ready, turns, sender, place);
        }
    }

    fn dispatch(
        &mut self,
        ready: Ready,
        turns: Vec<pace::Turn>,
        sender: Sender,
        place: tokio::sync::OwnedSemaphorePermit,
    ) {
        let key = key_of(&ready.claimed);
        let began = self.now();
        self.circuit.began(began);
        let order = Post {
            app: Arc::clone(&self.app),
            sender,
            journal: Arc::clone(&self.journal),
            key,
            message: ready.message,
            began,
            tries: ready.claimed.tries,
            deadline: ready.deadline,
            turns,
            sealed_token: Arc::clone(&self.orders.sealed_token),
            give_up: self.give_up.clone(),
            troubled: Arc::clone(&self.troubled),
        };
        let (recorder, lessons) = (self.recorder.clone(), self.lessons.clone());
        let (number_id, meters) = (self.number_id, Arc::clone(&self.meters));
        tokio::spawn(async move {
            let (mut happening, lesson) = post(order).await;
            happening.number_id = Some(number_id);
            if let Some(round_trip) = lesson.round_trip {
                meters.took(Duration::from_micros(round_trip));
            }
            meters.count(lesson.outcome);
            // The lane may be gone while it waits for its last POSTs; then nobody needs the lesson.
            let _ = lessons.send(lesson);
            recorder.record(Outcome { happening, place: Some(place) }).await;
        });
    }

    /// A claimed send that does not leave: skipped with a reason, or planned again.
    async fn give_back(&mut self, claimed: &store::ClaimedSend, skip: Option<String>) {
        // If it was the probe of an open circuit, it will teach nothing.
        self.circuit.unprobe();
        let key = key_of(claimed);
        let at = self.app.clock.now_ms();
        let event = SendEvent::NotPosted { back_to_planned: skip.is_none() };
        let mut happening = Happening::new((key.campaign_id, key.contact_id), Some(key.attempt), event, at);
        happening.not_before = Some(AT_ONCE);
        happening.reason = skip;
        // Claims leave room for a place each, so this one is free; holding it lets a drain wait for the writing.
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        self.recorder.record(Outcome { happening, place }).await;
    }

    /// A batch from the queue.
    async fn accept(&mut self, handed: Handed) {
        if self.hand.holds(handed.batch_id) {
            return;
        }
        let batch = match self.app.store.batch(handed.batch_id).await {
            Ok(Some(batch)) if batch.number_id == self.number_id => batch,
            Ok(_) => return,
            Err(error) => {
                self.halt("the database is unavailable", &error.to_string());
                return;
            }
        };
        if let Some(campaign) = self.campaign(&batch).await {
            let after = batch.lo - 1;
            let ready = std::collections::VecDeque::new();
            self.hand.take(InHand { batch, campaign, after, ready, exhausted: false, _task: handed.task });
        }
    }

    async fn campaign(&mut self, batch: &Batch) -> Option<Arc<Campaign>> {
        if let Some(campaign) = self.campaigns.get(&batch.campaign_id) {
            return Some(Arc::clone(campaign));
        }
        if self.campaigns.len() >= CAMPAIGNS {
            // Not those in hand, nor those whose cap still counts what left.
            self.campaigns.retain(|_, campaign| {
                Arc::strong_count(campaign) > 1 || campaign.pace().is_some_and(|pace| !pace.is_rested())
            });
        }
        match term::load_campaign(&self.app, batch.campaign_id, self.number_id).await {
            Ok(campaign) => {
                let campaign = Arc::new(campaign);
                self.campaigns.insert(batch.campaign_id, Arc::clone(&campaign));
                Some(campaign)
            }
            Err(fault) => {
                tracing::error!(campaign = batch.campaign_id, %fault, "a campaign cannot be sent");
                if fault.kind == crate::FaultKind::Invalid {
                    consequences::pause_campaign(&self.app, batch.campaign_id, &fault.detail).await;
                }
                None
            }
        }
    }
}

fn key_of(claimed: &store::ClaimedSend) -> AttemptKey {
    AttemptKey { campaign_id: claimed.campaign_id, contact_id: claimed.contact_id, attempt: claimed.attempt }
}

fn message_of(
    install: &str,
    campaign: &Campaign,
    claimed: &store::ClaimedSend,
) -> std::result::Result<Message, String> {
    let to = hand::recipient(claimed).ok_or_else(|| "no-address".to_owned())?;
    Ok(Message {
        to,
        content: campaign.renderer.content(claimed)?,
        callback_data: crate::callback::encode(install, key_of(claimed)),
    })
}

/// Claims a group and reads the suppressions a second time (law 4).
///
/// Of a campaign that is spread, it is kept from when the next message may leave after these, before they do.
async fn claim_group(
    app: Arc<App>,
    lease: String,
    token: i64,
    batch: Batch,
    (after, limit): (i64, usize),
    spread: Option<Pace>,
) -> ClaimDone {
    let started = app.clock.boot_us();
    let order = ClaimOrder { lane: &lease, token, batch: &batch, after, limit, now: app.clock.now_ms() };
    let claim = async {
        let claim = app.store.claim(&order).await?;
        let suppressed = match &claim {
            Claim::Made { sends, forbidding, .. } if !sends.is_empty() => {
                let people: Vec<i64> = sends.iter().map(|send| send.contact_id).collect();
                app.store.suppressed_among(&people, forbidding).await?
            }
            _ => Vec::new(),
        };
        if let (Claim::Made { sends, .. }, Some(pace)) = (&claim, spread)
            && !sends.is_empty()
        {
            let next = term::after_so_many(&app.clock, &pace, sends.len());
            app.store.keep_next_of_spread(batch.campaign_id, batch.number_id, next).await?;
        }
        Ok((claim, suppressed))
    };
    ClaimDone { batch_id: batch.id, started, claim: claim.await }
}

/// Waits a little, unless shut down. `true`: go on.
pub(crate) async fn pause_for(app: &App, time: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = app.clock.sleep(time) => true,
        () = shutdown.cancelled() => false,
    }
}
