//! A lane: the queue and the pacer of one business number, while this process owns it.
//!
//! Claim, re-check, turn, POST. One task runs the lane and takes its decisions in order; POSTs run beside it, at most
//! as many as the number's rate and latency need. Claims are made in groups for the turns of the next moment, so that a
//! commit is not jitter and a crash leaves little in doubt.

mod hand;
mod outage;
pub mod pace;
mod post;
mod recorder;
mod term;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cloud_api::{Sender, TemplateMessage};
use domain::pacing::{Beyond, Micros};
use domain::refusal::RefusalClass;
use domain::send::SendEvent;
use store::{Batch, Claim, ClaimOrder, Halt, Happening, OPTED_OUT};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::journal::{AttemptKey, Journal};
use crate::refusals::advice;
use crate::{App, consequences};
use hand::{Campaign, Hand, InHand, Ready};
use outage::{Circuit, Turned};
use pace::Pace;
use post::{Lesson, Post, post};
pub use recorder::{Outcome, Recorder};
pub use term::{Term, run};

/// How long a claim is valid, from before its statement: law 5.
pub const CLAIM_VALID: Micros = 250_000;
/// A group of claims covers the turns of this long.
const GROUP_TIME: Micros = 60_000;
/// The group of a lane without a rate.
const FREE_GROUP: usize = 256;
/// POSTs under way on a lane without a rate.
const FREE_IN_FLIGHT: usize = 256;
/// While something forbids sending, look again after this.
const HALTED_FOR: Micros = 250_000;
/// Unknown refusals in a row that pause a campaign.
const UNKNOWN_IN_A_ROW: u32 = 5;
/// After a 130429 the rate is cut to this share…
const CUT: f64 = 0.7;
/// …and climbs back by this share of the full rate at a time…
const CLIMB: f64 = 0.05;
/// …this often.
const CLIMB_EVERY: Micros = 2_000_000;

/// What the keeper of the term tells the lane.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// The number's rate; `None`: unlimited.
    pub(super) rate: Option<u32>,
    /// Ready to send with the account's current token.
    pub(super) sender: Option<Sender>,
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

/// A batch that the queue hands in; dropping the sender tells the queue that it was done or put down.
pub(super) struct Handed {
    pub(super) batch_id: i64,
    pub(super) task: oneshot::Sender<()>,
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
    /// Set while something forbids claiming: until when, and why.
    halted: Option<(Micros, String)>,
    /// The share of the rate that is left after 130429.
    throttle: f64,
    throttled_at: Micros,
    unknown_in_a_row: HashMap<i64, u32>,
    lessons: mpsc::UnboundedSender<Lesson>,
    showing: watch::Sender<Showing>,
}

impl Lane {
    fn now(&self) -> Micros {
        self.app.clock.boot_us()
    }

    /// Runs until shut down or lost. On return everything claimed and not posted was handed to the recorder as such,
    /// and no POST is under way.
    async fn run(
        mut self,
        mut handed: mpsc::Receiver<Handed>,
        mut orders: watch::Receiver<Orders>,
        mut lessons: mpsc::UnboundedReceiver<Lesson>,
        shutdown: CancellationToken,
    ) -> Stopped {
        let mut claiming: Option<tokio::task::JoinHandle<ClaimDone>> = None;
        self.follow(orders.borrow_and_update().clone());
        let stopped = loop {
            while let Ok(lesson) = lessons.try_recv() {
                self.learn(lesson).await;
            }
            self.hand.drop_done();
            if claiming.is_none() {
                claiming = self.start_claim();
            }
            let wake_at = self.send_ready().await;
            self.show();
            let pace = self.pace.clone();
            let clock = self.app.clock.clone();
            let freed = self.places.clone();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Stopped::Shutdown,
                done = async { claiming.as_mut().expect("guarded by the branch's condition").await }, if claiming.is_some() => {
                    claiming = None;
                    let Ok(done) = done else { break Stopped::ClaimLost };
                    if let Some(stopped) = self.claimed(done).await {
                        break stopped;
                    }
                }
                Some(lesson) = lessons.recv() => self.learn(lesson).await,
                Some(handed) = handed.recv() => self.accept(handed).await,
                Ok(()) = orders.changed() => {
                    let orders = orders.borrow_and_update().clone();
                    self.follow(orders);
                }
                () = pace.freed() => {}
                // A place in flight came free while a claimed send waited for one.
                Ok(_) = freed.acquire(), if self.hand.ready() > 0 && self.places.available_permits() == 0 => {}
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
        // Every POST under way ends, by its answer or its timeout; each holds a place until its outcome is durable.
        let _ = self.places.acquire_many(u32::try_from(self.in_flight_limit).unwrap_or(u32::MAX)).await;
        stopped
    }

    /// Takes new orders in: the rate and the token.
    fn follow(&mut self, orders: Orders) {
        self.orders = orders;
        self.apply_rate();
    }

    fn apply_rate(&mut self) {
        let rate = self.orders.rate.map(|rate| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a u32, rounded down"
            )]
            let cut = (f64::from(rate) * self.throttle) as u32;
            cut.max(1)
        });
        self.pace.set_rate(rate);
        let limit = rate.map_or(FREE_IN_FLIGHT, |rate| (rate as usize * 3).clamp(32, 1024));
        if limit > self.in_flight_limit {
            self.places.add_permits(limit - self.in_flight_limit);
            self.in_flight_limit = limit;
        }
    }

    /// How many claims the next group holds, and below how many waiting ones it is made.
    fn group(&self) -> (usize, usize) {
        match self.pace.rate() {
            None => (FREE_GROUP, FREE_GROUP / 2),
            Some(rate) => {
                let turns = usize::try_from(u64::from(rate) * GROUP_TIME / 1_000_000).unwrap_or(1).clamp(1, 200);
                (turns, turns / 2)
            }
        }
    }

    fn start_claim(&mut self) -> Option<tokio::task::JoinHandle<ClaimDone>> {
        let now = self.now();
        if self.orders.sender.is_none() {
            self.halted = Some((now + HALTED_FOR, "the account's access token cannot be read".to_owned()));
            return None;
        }
        match &self.halted {
            Some((until, _)) if now < *until => return None,
            _ => {}
        }
        let (group, low_water) = self.group();
        // A slow lane claims just before the turn, or the claim would be void when its turn comes.
        let soon = now + GROUP_TIME;
        if self.hand.ready() == 0 && self.pace.next_turn_at() > soon {
            return None;
        }
        let room = self.places.available_permits().saturating_sub(self.hand.ready());
        let allowance = self.circuit.allowance(now);
        let limit = group.min(room).min(allowance.unwrap_or(usize::MAX));
        if limit == 0 || (allowance.is_some() && self.hand.ready() > 0) {
            return None;
        }
        let in_hand = self.hand.hungry(low_water, soon)?;
        let (batch, after) = (in_hand.batch.clone(), in_hand.after);
        if allowance.is_some() {
            self.circuit.probe();
        }
        let (app, lease, token) = (Arc::clone(&self.app), self.lease.clone(), self.token);
        Some(tokio::spawn(claim_group(app, lease, token, batch, after, limit)))
    }

    /// A claim came back.
    async fn claimed(&mut self, done: ClaimDone) -> Option<Stopped> {
        let now = self.now();
        let (claim, suppressed) = match done.claim {
            Ok(claim) => claim,
            Err(error) => {
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
            Claim::Halted(Halt::CampaignNotRunning(_)) => {
                self.circuit.unprobe();
                for ready in self.hand.put_down(done.batch_id) {
                    self.give_back(&ready.claimed, None).await;
                }
            }
            Claim::Halted(Halt::AllPaused(reason)) => self.halt("everything is paused", &reason),
            Claim::Halted(Halt::AccountStopped(reason)) => self.halt("the account is stopped", &reason),
            Claim::Halted(Halt::NumberPaused(reason)) => self.halt("the number is paused", &reason),
            Claim::Made { sends, skipped, exhausted } => {
                if self.halted.take().is_some() {
                    tracing::info!(number = self.number_id, "sending goes on");
                }
                if sends.is_empty() {
                    self.circuit.unprobe();
                }
                if skipped > 0 {
                    metrics::counter!("hudhud_suppressed_total", "reason" => OPTED_OUT).increment(skipped as u64);
                }
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
                    match message_of(&self.app.install, &campaign, &claimed) {
                        Ok(message) => {
                            if let Some(in_hand) = self.hand.get_mut(done.batch_id) {
                                in_hand.ready.push_back(Ready { claimed, message, deadline });
                            }
                        }
                        Err(reason) => self.give_back(&claimed, Some(reason)).await,
                    }
                }
                let _ = now;
            }
        }
        None
    }

    /// Hands over what has a turn now. Boot time at which to look again.
    async fn send_ready(&mut self) -> Micros {
        loop {
            let now = self.now();
            let idle = now + 200_000;
            if self.hand.ready() == 0 {
                let halted = self.halted.as_ref().map_or(idle, |(until, _)| *until);
                let probe = self.circuit.until().unwrap_or(idle);
                let turn = self.pace.next_turn_at().saturating_sub(GROUP_TIME).max(now + 1_000);
                return if self.hand.len() > 0 { idle.min(halted.max(probe.min(idle)).max(turn)) } else { idle };
            }
            let Some(sender) = self.orders.sender.clone() else { return idle };
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return idle };
            let turn = match self.pace.try_turn() {
                Ok(turn) => turn,
                Err(until) => return until,
            };
            let (ready, campaign_turn) = match self.hand.next() {
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

    fn dispatch(&self, ready: Ready, turns: Vec<pace::Turn>, sender: Sender, place: tokio::sync::OwnedSemaphorePermit) {
        let key = key_of(&ready.claimed);
        let order = Post {
            app: Arc::clone(&self.app),
            sender,
            journal: Arc::clone(&self.journal),
            key,
            message: ready.message,
            tries: ready.claimed.tries,
            deadline: ready.deadline,
            turns,
        };
        let (recorder, lessons, pace) = (self.recorder.clone(), self.lessons.clone(), self.pace.clone());
        tokio::spawn(async move {
            let (happening, lesson) = post(order).await;
            if let Some(round_trip) = lesson.round_trip {
                pace.round_trip(round_trip);
            }
            // The lane may be gone while it waits for its last POSTs; then nobody needs the lesson.
            let _ = lessons.send(lesson);
            recorder.record(Outcome { happening, place: Some(place) }).await;
        });
    }

    /// A claimed send that does not leave: skipped with a reason, or planned again.
    async fn give_back(&self, claimed: &store::ClaimedSend, skip: Option<String>) {
        let key = key_of(claimed);
        let at = self.app.clock.now_ms();
        let event = SendEvent::NotPosted { back_to_planned: skip.is_none() };
        let mut happening = Happening::new((key.campaign_id, key.contact_id), Some(key.attempt), event, at);
        happening.not_before = Some(at);
        happening.reason = skip;
        self.recorder.record(Outcome { happening, place: None }).await;
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
        let loaded = term::load_campaign(&self.app, batch.campaign_id).await;
        match loaded {
            Ok((campaign, _)) => {
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

    fn halt(&mut self, what: &str, reason: &str) {
        self.circuit.unprobe();
        let words = format!("{what}: {reason}");
        if self.halted.as_ref().is_none_or(|(_, told)| *told != words) {
            tracing::warn!(number = self.number_id, reason = words, "sending waits; nothing is lost");
        }
        self.halted = Some((self.now() + HALTED_FOR, words));
    }

    /// What a POST's outcome means for the lane.
    async fn learn(&mut self, lesson: Lesson) {
        let now = self.now();
        if lesson.journal_failed {
            self.halt("the journal cannot be written", "look at the data directory's disk");
        }
        if let Some(failed) = lesson.platform_failed {
            match self.circuit.record(now, failed) {
                Some(Turned::Opened) => tracing::warn!(
                    number = self.number_id,
                    trouble = lesson.trouble.as_deref().unwrap_or("unknown"),
                    "the Graph API fails: sending waits and tries with one message at a time; everyone keeps their place"
                ),
                Some(Turned::Closed) => {
                    tracing::info!(number = self.number_id, "the Graph API answers again: sending goes on")
                }
                None => {}
            }
        } else {
            self.circuit.unprobe();
        }
        let Some((class, code)) = lesson.refusal else {
            self.unknown_in_a_row.remove(&lesson.campaign_id);
            return;
        };
        metrics::counter!("hudhud_send_errors_total", "class" => class.as_str(), "code" => code.to_string())
            .increment(1);
        if class != RefusalClass::Unknown {
            self.unknown_in_a_row.remove(&lesson.campaign_id);
        }
        match lesson.beyond {
            Beyond::Nothing | Beyond::CountAgainstNumber => {}
            Beyond::SuppressPerson => consequences::suppress(&self.app, lesson.contact_id, lesson.campaign_id).await,
            Beyond::SlowNumber => {
                // One cut for all refusals of a moment.
                if now >= self.throttled_at + 1_000_000 {
                    self.throttled_at = now;
                    self.throttle = (self.throttle * CUT).max(0.05);
                    tracing::warn!(
                        number = self.number_id,
                        share = self.throttle,
                        "Meta says too fast: the rate is cut"
                    );
                    self.apply_rate();
                }
            }
            Beyond::CountAgainstCampaign => {
                let count = self.unknown_in_a_row.entry(lesson.campaign_id).or_default();
                *count += 1;
                if *count >= UNKNOWN_IN_A_ROW {
                    *count = 0;
                    consequences::pause_campaign(&self.app, lesson.campaign_id, &advice(class, code)).await;
                }
            }
            Beyond::PauseCampaign => {
                consequences::pause_campaign(&self.app, lesson.campaign_id, &advice(class, code)).await;
            }
            Beyond::PauseNumber => {
                self.halt("the number is paused", &advice(class, code));
                consequences::pause_number(&self.app, self.number_id, &advice(class, code)).await;
            }
            Beyond::PauseAccount => {
                self.halt("the account is stopped", &advice(class, code));
                consequences::stop_account(&self.app, self.number_id, &advice(class, code)).await;
            }
        }
    }

    fn show(&mut self) {
        let now = self.now();
        if self.throttle < 1.0 && now >= self.throttled_at + CLIMB_EVERY {
            self.throttled_at = now;
            self.throttle = (self.throttle + CLIMB).min(1.0);
            self.apply_rate();
        }
        let in_flight = self.in_flight_limit - self.places.available_permits().min(self.in_flight_limit);
        let (state, reason) = if self.circuit.is_open() {
            ("outage", Some("the Graph API fails; one message at a time is tried".to_owned()))
        } else if let Some((_, words)) = &self.halted {
            ("paused", Some(words.clone()))
        } else if self.hand.len() > 0 || in_flight > 0 {
            ("sending", None)
        } else {
            ("idle", Some("nothing is due".to_owned()))
        };
        let showing = Showing {
            pace: self.pace.in_last_second(),
            rate: self.pace.rate(),
            in_flight,
            state: state.to_owned(),
            reason,
        };
        self.showing.send_replace(showing);
    }
}

fn key_of(claimed: &store::ClaimedSend) -> AttemptKey {
    AttemptKey { campaign_id: claimed.campaign_id, contact_id: claimed.contact_id, attempt: claimed.attempt }
}

fn message_of(
    install: &str,
    campaign: &Campaign,
    claimed: &store::ClaimedSend,
) -> std::result::Result<TemplateMessage, String> {
    let to = hand::recipient(claimed).ok_or_else(|| "no-address".to_owned())?;
    Ok(TemplateMessage {
        to,
        template: campaign.renderer.name.clone(),
        language: campaign.renderer.language.clone(),
        components: campaign.renderer.render(claimed)?,
        callback_data: crate::callback::encode(install, key_of(claimed)),
    })
}

/// Claims a group and reads the suppressions a second time (law 4).
async fn claim_group(app: Arc<App>, lease: String, token: i64, batch: Batch, after: i64, limit: usize) -> ClaimDone {
    let started = app.clock.boot_us();
    let order = ClaimOrder { lane: &lease, token, batch: &batch, after, limit, now: app.clock.now_ms() };
    let claim = async {
        let claim = app.store.claim(&order).await?;
        let suppressed = match &claim {
            Claim::Made { sends, .. } if !sends.is_empty() => {
                let people: Vec<i64> = sends.iter().map(|send| send.contact_id).collect();
                app.store.suppressed_among(&people).await?
            }
            _ => Vec::new(),
        };
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
