//! Outcomes are written in groups by one task of the process. What cannot be written, because the database is away, is
//! kept and tried again; nothing is claimed meanwhile, so little piles up.

use std::sync::Arc;
use std::time::Duration;

use store::{Happening, Priority};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{App, indoubt};

/// The most outcomes of one transaction.
const GROUP: usize = 400;
/// How long an outcome waits for others to join it.
const GATHER: Duration = Duration::from_millis(4);
/// Outcomes that may wait; senders wait when it is full.
const WAITING: usize = 8192;

/// An outcome with its place in flight, which it keeps until it is written.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub happening: Happening,
    /// Held until the outcome is durable.
    pub place: Option<OwnedSemaphorePermit>,
}

/// Where outcomes are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    outcomes: mpsc::Sender<Outcome>,
}

impl Recorder {
    /// Starts the task that writes. It ends, with everything written, once every clone of the recorder is gone.
    #[must_use]
    pub fn start(app: Arc<App>) -> (Self, tokio::task::JoinHandle<()>) {
        let (outcomes, waiting) = mpsc::channel(WAITING);
        (Self { outcomes }, tokio::spawn(write_all(app, waiting)))
    }

    /// Hands an outcome in; it will be written unless the process dies.
    #[crate::boxed]
    pub async fn record(&self, outcome: Outcome) {
        if self.outcomes.send(outcome).await.is_err() {
            tracing::error!("the recorder is gone: an outcome was not written and its send will be in doubt");
        }
    }

    /// Whether nobody writes outcomes any more; then nothing may be sent.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.outcomes.is_closed()
    }
}

async fn write_all(app: Arc<App>, mut waiting: mpsc::Receiver<Outcome>) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        group.clear();
        if waiting.recv_many(&mut group, GROUP).await == 0 {
            return;
        }
        let gather = app.clock.sleep(GATHER);
        tokio::pin!(gather);
        while group.len() < GROUP {
            let room = GROUP - group.len();
            tokio::select! {
                more = waiting.recv_many(&mut group, room) => if more == 0 { break },
                () = &mut gather => break,
            }
        }
        write_group(&app, &group).await;
    }
}

async fn write_group(app: &App, group: &[Outcome]) {
    // Plain acceptances by themselves: they are written quickest, and the few others do not slow them down.
    let happenings = group.iter().map(|outcome| outcome.happening.clone());
    let (plain, others): (Vec<Happening>, Vec<Happening>) = happenings.partition(Happening::is_plain_acceptance);
    for happenings in [plain, others] {
        if !happenings.is_empty() {
            write_together(app, happenings).await;
        }
    }
}

async fn write_together(app: &App, happenings: Vec<Happening>) {
    if write(app, &happenings).await {
        return;
    }
    // One of them is what the database cannot take; the others must not suffer for it.
    for happening in happenings {
        let (campaign, contact) = (happening.campaign_id, happening.contact_id);
        if !write(app, &[happening]).await {
            tracing::error!(campaign, contact, "an outcome cannot be written; its send will be in doubt");
        }
    }
}

/// Writes outcomes, however long the database is away. `false`: a defect keeps them from being written.
async fn write(app: &App, happenings: &[Happening]) -> bool {
    let mut pause = Duration::from_millis(50);
    let mut away = false;
    loop {
        match indoubt::apply(app, Priority::Urgent, happenings).await {
            Ok(applied) => {
                for (place, illegal) in &applied.illegal {
                    let happening = &happenings[*place];
                    if away {
                        // The first try was kept and only its answer was lost.
                        tracing::debug!(campaign = happening.campaign_id, %illegal, "an outcome was written before");
                        continue;
                    }
                    tracing::warn!(campaign = happening.campaign_id, contact = happening.contact_id, %illegal,
                        "an outcome does not fit its send; the send is as it was");
                    metrics::counter!("hudhud_reconcile_mismatches_total", "kind" => "illegal_step").increment(1);
                }
                if away {
                    tracing::info!(outcomes = happenings.len(), "the database is back, outcomes are written");
                }
                look_for_late_sends(app, happenings).await;
                return true;
            }
            Err(error) if error.is_unavailable() => {
                if !std::mem::replace(&mut away, true) {
                    tracing::error!(%error, outcomes = happenings.len(),
                        "outcomes cannot be written; they are kept and nothing new is sent until the database is back");
                }
                app.clock.sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            Err(error) => {
                tracing::error!(%error, outcomes = happenings.len(), "outcomes cannot be written for a defect");
                return false;
            }
        }
    }
}

/// A claim's time and a stop's are taken on two hosts, and a stop is committed a moment after its time is taken.
const STOP_SLACK_MS: i64 = 1_000;

/// Counts sends that were taken in though they were claimed after their person's stop: there should be none, and if
/// there is one nobody should have to look for it.
async fn look_for_late_sends(app: &App, happenings: &[Happening]) {
    let taken: Vec<store::SendKey> = happenings
        .iter()
        .filter(|happening| happening.event == domain::send::SendEvent::Accepted)
        .map(|happening| (happening.campaign_id, happening.contact_id))
        .collect();
    if taken.is_empty() {
        return;
    }
    // The outcomes are durable; a check that cannot be made now is not worth holding them up.
    if let Ok(late) = app.store.claimed_after_stop(&taken, STOP_SLACK_MS).await
        && late > 0
    {
        metrics::counter!("hudhud_sent_after_optout_total").increment(late.unsigned_abs());
        tracing::error!(sends = late, "messages went to people whose stop was taken in before: this is a defect");
    }
}
