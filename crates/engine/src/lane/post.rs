//! One POST and what follows from its outcome.

use std::sync::Arc;

use cloud_api::{NotPostedCause, SendOutcome, Sender, TemplateMessage, UnknownCause};
use domain::pacing::{Beyond, Micros, Retry, react};
use domain::refusal::RefusalClass;
use domain::send::SendEvent;
use store::Happening;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::journal::{AttemptKey, Journal};
use crate::lane::pace::{Trip, Turn};
use crate::refusals::class_of;

/// After a message that never left, when it may be tried again.
const SOON: i64 = 1_000;

/// What it takes to post one claimed send.
pub(super) struct Post {
    pub(super) app: Arc<App>,
    pub(super) sender: Sender,
    pub(super) journal: Arc<Journal>,
    pub(super) key: AttemptKey,
    pub(super) message: TemplateMessage,
    /// Earlier refusals and failures for later.
    pub(super) tries: i64,
    /// Boot time after which the claim is void.
    pub(super) deadline: Micros,
    pub(super) turns: Vec<Turn>,
    /// The account's sealed token that it is sent with.
    pub(super) sealed_token: Arc<[u8]>,
    /// Cancelled when its answer is no longer waited for.
    pub(super) give_up: CancellationToken,
}

/// What the lane learns from a POST.
#[derive(Debug)]
pub(super) struct Lesson {
    /// As counted: `accepted`, `retry`, `failed`, `in_doubt` or `not_posted`.
    pub(super) outcome: &'static str,
    pub(super) campaign_id: i64,
    pub(super) contact_id: i64,
    /// What follows beyond the message.
    pub(super) beyond: Beyond,
    /// The class and code of a refusal.
    pub(super) refusal: Option<(RefusalClass, i64)>,
    /// `Some(true)`: the platform failed; `Some(false)`: it answered; `None`: says nothing of it.
    pub(super) platform_failed: Option<bool>,
    /// From hand-over to answer.
    pub(super) round_trip: Option<Micros>,
    /// Why the platform failed, for the log.
    pub(super) trouble: Option<String>,
    /// The journal could not be written.
    pub(super) journal_failed: bool,
    /// The account's sealed token that it was sent with.
    pub(super) sealed_token: Arc<[u8]>,
}

/// Posts once. The happening to record, and what the lane learns.
pub(super) async fn post(post: Post) -> (Happening, Lesson) {
    let Post { app, sender, journal, key, message, tries, deadline, mut turns, sealed_token, give_up } = post;
    let clock = app.clock.clone();
    let handed_over = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let trips: Vec<Trip> = turns.iter().map(Turn::trip).collect();
    let journal_failed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let gate = {
        let (clock, handed_over, journal_failed) =
            (clock.clone(), Arc::clone(&handed_over), Arc::clone(&journal_failed));
        move || {
            // The journal comes before the look at the clock: a process that is stopped between the two finds its
            // claim void when it wakes, and one that is stopped after both left its record.
            if clock.boot_us() > deadline {
                return false;
            }
            if journal.note(key).is_err() {
                journal_failed.store(true, std::sync::atomic::Ordering::Relaxed);
                return false;
            }
            let now = clock.boot_us();
            if now > deadline {
                return false;
            }
            handed_over.store(now, std::sync::atomic::Ordering::Relaxed);
            for turn in &mut turns {
                turn.hand_over(now);
            }
            true
        }
    };
    let outcome = tokio::select! {
        outcome = sender.send(&message, gate) => outcome,
        // The sending is dropped by now, and with it a gate that was not asked yet can no longer open.
        () = give_up.cancelled() => match handed_over.load(std::sync::atomic::Ordering::Relaxed) {
            0 => SendOutcome::NotPosted(NotPostedCause::Stopped),
            _ => SendOutcome::Unknown(UnknownCause::TimedOut),
        },
    };
    let handed_over = handed_over.load(std::sync::atomic::Ordering::Relaxed);
    let answered = matches!(
        outcome,
        SendOutcome::Accepted { .. } | SendOutcome::Refused(_) | SendOutcome::Unknown(UnknownCause::Unreadable { .. })
    );
    let now = clock.boot_us();
    if answered && handed_over > 0 {
        trips.iter().for_each(|trip| trip.answered(handed_over, now));
    }
    let round_trip = (handed_over > 0).then(|| now.saturating_sub(handed_over));
    let (happening, mut lesson) = judge(key, outcome, tries, clock.now_ms());
    lesson.round_trip = round_trip;
    lesson.sealed_token = sealed_token;
    lesson.journal_failed = journal_failed.load(std::sync::atomic::Ordering::Relaxed);
    (happening, lesson)
}

/// What an outcome means: for the send, and beyond it. Pure.
fn judge(key: AttemptKey, outcome: SendOutcome, tries: i64, now: i64) -> (Happening, Lesson) {
    let happened = |event| Happening::new((key.campaign_id, key.contact_id), Some(key.attempt), event, now);
    let mut lesson = Lesson {
        outcome: "accepted",
        campaign_id: key.campaign_id,
        contact_id: key.contact_id,
        beyond: Beyond::Nothing,
        refusal: None,
        platform_failed: None,
        round_trip: None,
        trouble: None,
        journal_failed: false,
        sealed_token: Arc::from([]),
    };
    let happening = match outcome {
        SendOutcome::Accepted { wamid, held, .. } => {
            lesson.platform_failed = Some(false);
            let mut happening = happened(SendEvent::Accepted);
            happening.wamid = Some(wamid);
            happening.held = held;
            happening
        }
        SendOutcome::Refused(refusal) => {
            let class = class_of(refusal.kind);
            let tried = u32::try_from(tries).unwrap_or(u32::MAX).saturating_add(1);
            let pause = refusal.retry_after.map(|pause| i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
            let reaction = react(class, tried, pause);
            lesson.beyond = reaction.beyond;
            lesson.refusal = Some((class, refusal.code));
            lesson.outcome = if reaction.message.is_later() { "retry" } else { "failed" };
            lesson.platform_failed = Some(reaction.beyond == Beyond::CountAgainstNumber);
            lesson.trouble = lesson.platform_failed.filter(|failed| *failed).map(|_| format!("code {}", refusal.code));
            let mut happening = happened(SendEvent::Refused { later: reaction.message.is_later() });
            happening.code = Some(refusal.code);
            happening.reason = Some(class.as_str().to_owned());
            if let Retry::After(delay) = reaction.message {
                happening.not_before = Some(now.saturating_add(delay));
            }
            happening
        }
        SendOutcome::Unknown(cause) => {
            lesson.outcome = "in_doubt";
            lesson.platform_failed = Some(true);
            lesson.trouble = Some(cause.to_string());
            let mut happening = happened(SendEvent::Unknown);
            happening.reason = Some(
                match cause {
                    UnknownCause::TimedOut => "no-answer",
                    UnknownCause::Lost { .. } => "connection-lost",
                    UnknownCause::Unreadable { .. } => "unreadable-answer",
                }
                .to_owned(),
            );
            happening
        }
        SendOutcome::NotPosted(cause) => {
            lesson.outcome = "not_posted";
            let (back, word, pause) = match &cause {
                NotPostedCause::Stopped => (true, None, 0),
                NotPostedCause::Unreachable { .. } => (true, Some("unreachable"), SOON),
                NotPostedCause::Token => (true, Some("token"), SOON),
                NotPostedCause::Malformed(_) => (false, Some("malformed"), 0),
            };
            if matches!(cause, NotPostedCause::Unreachable { .. }) {
                lesson.platform_failed = Some(true);
                lesson.trouble = Some(cause.to_string());
            }
            let mut happening = happened(SendEvent::NotPosted { back_to_planned: back });
            happening.reason = word.map(str::to_owned);
            happening.not_before = Some(now + pause);
            happening
        }
    };
    (happening, lesson)
}

#[cfg(test)]
mod tests {
    use cloud_api::{Refusal, RefusalKind};

    use super::*;

    const KEY: AttemptKey = AttemptKey { campaign_id: 1, contact_id: 2, attempt: 1 };

    fn refused(kind: RefusalKind, code: i64) -> SendOutcome {
        SendOutcome::Refused(Refusal {
            kind,
            code,
            subcode: None,
            message: None,
            details: None,
            fbtrace_id: None,
            retry_after: None,
        })
    }

    #[test]
    fn what_may_have_left_is_in_doubt_and_never_planned_again() {
        for cause in [
            UnknownCause::TimedOut,
            UnknownCause::Lost { reason: "reset".into() },
            UnknownCause::Unreadable { status: 503, retry_after: None },
        ] {
            let (happening, lesson) = judge(KEY, SendOutcome::Unknown(cause), 0, 1_000);
            assert_eq!(happening.event, SendEvent::Unknown);
            assert_eq!(lesson.platform_failed, Some(true));
        }
    }

    #[test]
    fn what_never_left_is_planned_again_and_costs_no_try() {
        let cause = NotPostedCause::Unreachable { reason: "refused".into() };
        let (happening, lesson) = judge(KEY, SendOutcome::NotPosted(cause), 0, 1_000);
        assert_eq!(happening.event, SendEvent::NotPosted { back_to_planned: true });
        assert_eq!(happening.not_before, Some(2_000));
        assert_eq!(lesson.platform_failed, Some(true));
    }

    #[test]
    fn a_refused_token_fails_nobody_and_stops_the_account() {
        let (happening, lesson) = judge(KEY, refused(RefusalKind::Credential, 190), 40, 1_000);
        assert_eq!(happening.event, SendEvent::Refused { later: true });
        assert_eq!(lesson.beyond, Beyond::PauseAccount);
        assert_eq!(lesson.platform_failed, Some(false));
    }

    #[test]
    fn a_person_without_whatsapp_fails_for_good() {
        let (happening, lesson) = judge(KEY, refused(RefusalKind::Recipient, 131_026), 0, 1_000);
        assert_eq!(happening.event, SendEvent::Refused { later: false });
        assert_eq!((happening.code, lesson.beyond), (Some(131_026), Beyond::Nothing));
    }
}
