//! One POST and what follows from its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cloud_api::{Message, NotPostedCause, SendOutcome, Sender, UnknownCause};
use domain::pacing::{Beyond, Circumstances, Micros, Retry, react};
use domain::refusal::RefusalClass;
use domain::send::SendEvent;
use store::Happening;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::journal::{AttemptKey, Journal};
use crate::lane::CLAIM_VALID;
use crate::lane::outage::Sign;
use crate::lane::pace::{Trip, Turn};
use crate::refusals::{class_of, least_pause};

/// After a message that never left, when it may be tried again.
const SOON: i64 = 1_000;

/// What it takes to post one claimed send.
pub(super) struct Post {
    pub(super) app: Arc<App>,
    pub(super) sender: Sender,
    pub(super) journal: Arc<Journal>,
    pub(super) key: AttemptKey,
    pub(super) message: Message,
    /// Boot time at which it is begun: its name in the lane's circuit.
    pub(super) began: Micros,
    /// Earlier refusals and failures for later.
    pub(super) tries: i64,
    /// Boot time after which the claim is void.
    pub(super) deadline: Micros,
    pub(super) turns: Vec<Turn>,
    /// The account's sealed token that it is sent with.
    pub(super) sealed_token: Arc<[u8]>,
    /// Cancelled when its answer is no longer waited for.
    pub(super) give_up: CancellationToken,
    /// Set while the lane's circuit is not closed.
    pub(super) troubled: Arc<AtomicBool>,
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
    /// Meta's answer, where it says that the person opted out.
    pub(super) answer: Option<Box<str>>,
    /// What it says of the platform.
    pub(super) sign: Sign,
    /// When the POST began.
    pub(super) began: Micros,
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
    let Post { app, sender, journal, key, message, began, tries, deadline, mut turns, .. } = post;
    let clock = app.clock.clone();
    let handed_over = Arc::new(AtomicU64::new(0));
    let trips: Vec<Trip> = turns.iter().map(Turn::trip).collect();
    let journal_failed = Arc::new(AtomicBool::new(false));
    // Under way until this task is done with it, however that comes.
    let way = app.departures.way(key.contact_id, deadline.saturating_sub(CLAIM_VALID));
    let gate = {
        let (clock, handed_over, journal_failed) =
            (clock.clone(), Arc::clone(&handed_over), Arc::clone(&journal_failed));
        let way = Arc::clone(&way);
        let hand_over = move || {
            // The journal comes before the look at the clock: a process that is stopped between the two finds its
            // claim void when it wakes, and one that is stopped after both left its record.
            if clock.boot_us() > deadline {
                return false;
            }
            if journal.note(key).is_err() {
                journal_failed.store(true, Ordering::Relaxed);
                return false;
            }
            let now = clock.boot_us();
            if now > deadline {
                return false;
            }
            handed_over.store(now, Ordering::Relaxed);
            for turn in &mut turns {
                turn.hand_over(now);
            }
            true
        };
        move || way.leave(hand_over)
    };
    let outcome = tokio::select! {
        outcome = sender.send(&message, gate) => outcome,
        // The sending is dropped by now, and with it a gate that was not asked yet can no longer open.
        () = post.give_up.cancelled() => match handed_over.load(Ordering::Relaxed) {
            0 => SendOutcome::NotPosted(NotPostedCause::Stopped),
            _ => SendOutcome::Unknown(UnknownCause::TimedOut),
        },
    };
    let handed_over = handed_over.load(Ordering::Relaxed);
    let answered = matches!(
        outcome,
        SendOutcome::Accepted { .. } | SendOutcome::Refused(_) | SendOutcome::Unknown(UnknownCause::Unreadable { .. })
    );
    let now = clock.boot_us();
    if answered && handed_over > 0 {
        trips.iter().for_each(|trip| trip.answered(handed_over, now));
    }
    let round_trip = (handed_over > 0).then(|| now.saturating_sub(handed_over));
    let before = match &outcome {
        SendOutcome::Refused(refusal) if tries > 0 => refusals_before(&app, key, refusal.code).await,
        _ => 0,
    };
    let circumstances = Circumstances {
        in_outage: post.troubled.load(Ordering::Relaxed),
        ..Circumstances::tried(before.saturating_add(1))
    };
    let (happening, mut lesson) = judge(key, outcome, circumstances, clock.now_ms());
    lesson.began = began;
    lesson.round_trip = round_trip;
    lesson.sealed_token = post.sealed_token;
    lesson.journal_failed = journal_failed.load(Ordering::Relaxed);
    (happening, lesson)
}

/// How often the send was refused for this reason before. A look that cannot be made costs nobody their message.
async fn refusals_before(app: &App, key: AttemptKey, code: i64) -> u32 {
    let before = app.store.refusals_with((key.campaign_id, key.contact_id), code).await.unwrap_or(0);
    u32::try_from(before).unwrap_or(u32::MAX)
}

/// What an outcome means: for the send, and beyond it. Pure.
pub(super) fn judge(
    key: AttemptKey,
    outcome: SendOutcome,
    circumstances: Circumstances,
    now: i64,
) -> (Happening, Lesson) {
    let happened = |event| Happening::new((key.campaign_id, key.contact_id), Some(key.attempt), event, now);
    let mut lesson = Lesson {
        outcome: "accepted",
        campaign_id: key.campaign_id,
        contact_id: key.contact_id,
        beyond: Beyond::Nothing,
        refusal: None,
        answer: None,
        sign: Sign::Nothing,
        began: 0,
        round_trip: None,
        trouble: None,
        journal_failed: false,
        sealed_token: Arc::from([]),
    };
    let happening = match outcome {
        SendOutcome::Accepted { wamid, held, .. } => {
            lesson.sign = Sign::Answered;
            let mut happening = happened(SendEvent::Accepted);
            happening.wamid = Some(wamid);
            happening.held = held;
            happening
        }
        SendOutcome::Refused(refusal) => {
            let class = class_of(refusal.kind);
            let pause = refusal.retry_after.map(|pause| i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
            let reaction =
                react(class, &Circumstances { asked: pause.max(least_pause(refusal.code)), ..circumstances });
            lesson.beyond = reaction.beyond;
            lesson.refusal = Some((class, refusal.code));
            lesson.answer = refusal.raw;
            lesson.outcome = if reaction.message.is_later() { "retry" } else { "failed" };
            lesson.sign = match (reaction.beyond, class) {
                (Beyond::CountAgainstNumber, RefusalClass::Platform) => Sign::Failed,
                (Beyond::CountAgainstNumber, _) => Sign::Stumbled,
                _ => Sign::Answered,
            };
            lesson.trouble = (lesson.sign != Sign::Answered).then(|| format!("code {}", refusal.code));
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
            lesson.sign = Sign::Failed;
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
                lesson.sign = Sign::Failed;
                lesson.trouble = Some(cause.to_string());
            }
            let mut happening = happened(SendEvent::NotPosted { back_to_planned: back });
            happening.reason = word.map(str::to_owned);
            happening.not_before = Some(if pause > 0 { now + pause } else { super::AT_ONCE });
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
    const ONCE: Circumstances = Circumstances::tried(1);

    fn refused(kind: RefusalKind, code: i64) -> SendOutcome {
        SendOutcome::Refused(Refusal {
            kind,
            code,
            subcode: None,
            message: None,
            details: None,
            fbtrace_id: None,
            retry_after: None,
            raw: None,
        })
    }

    #[test]
    fn what_may_have_left_is_in_doubt_and_never_planned_again() {
        for cause in [
            UnknownCause::TimedOut,
            UnknownCause::Lost { reason: "reset".into() },
            UnknownCause::Unreadable { status: 503, retry_after: None },
        ] {
            let (happening, lesson) = judge(KEY, SendOutcome::Unknown(cause), ONCE, 1_000);
            assert_eq!(happening.event, SendEvent::Unknown);
            assert_eq!(lesson.sign, Sign::Failed);
        }
    }

    #[test]
    fn what_never_left_is_planned_again_and_costs_no_try() {
        let cause = NotPostedCause::Unreachable { reason: "refused".into() };
        let (happening, lesson) = judge(KEY, SendOutcome::NotPosted(cause), ONCE, 1_000);
        assert_eq!(happening.event, SendEvent::NotPosted { back_to_planned: true });
        assert_eq!(happening.not_before, Some(2_000));
        assert_eq!(lesson.sign, Sign::Failed);
    }

    #[test]
    fn a_refused_token_fails_nobody_and_stops_the_account() {
        let (happening, lesson) = judge(KEY, refused(RefusalKind::Credential, 190), Circumstances::tried(41), 1_000);
        assert_eq!(happening.event, SendEvent::Refused { later: true });
        assert_eq!(lesson.beyond, Beyond::PauseAccount);
        assert_eq!(happening.not_before, Some(2_000), "the stop keeps it back, and nothing else once that is lifted");
        assert_eq!(lesson.sign, Sign::Answered);
    }

    #[test]
    fn a_person_without_whatsapp_fails_for_good() {
        let (happening, lesson) = judge(KEY, refused(RefusalKind::Recipient, 131_026), ONCE, 1_000);
        assert_eq!(happening.event, SendEvent::Refused { later: false });
        assert_eq!((happening.code, lesson.beyond), (Some(131_026), Beyond::Nothing));
    }

    #[test]
    fn an_outage_told_in_words_fails_nobody_and_counts_as_one() {
        let (happening, lesson) = judge(KEY, refused(RefusalKind::Platform, 131_016), Circumstances::tried(99), 1_000);
        assert_eq!((happening.event, lesson.sign), (SendEvent::Refused { later: true }, Sign::Failed));
        let stumble = |in_outage| {
            let circumstances = Circumstances { in_outage, ..Circumstances::tried(4) };
            let (happening, lesson) = judge(KEY, refused(RefusalKind::Transient, 131_000), circumstances, 1_000);
            (happening.event, lesson.sign)
        };
        assert_eq!(stumble(false), (SendEvent::Refused { later: false }, Sign::Stumbled));
        assert_eq!(stumble(true), (SendEvent::Refused { later: true }, Sign::Stumbled));
    }

    #[test]
    fn the_longest_of_all_pauses_is_kept() {
        let after = |code, asked: Option<u64>| {
            let SendOutcome::Refused(refusal) = refused(RefusalKind::Transient, code) else { unreachable!() };
            let retry_after = asked.map(std::time::Duration::from_secs);
            let (happening, _) = judge(KEY, SendOutcome::Refused(Refusal { retry_after, ..refusal }), ONCE, 0);
            happening.not_before
        };
        assert_eq!(after(131_000, None), Some(2_000));
        assert_eq!(after(131_000, Some(30)), Some(30_000));
        assert_eq!(after(132_069, Some(30)), Some(3_600_000), "a Flow's ten messages an hour");
    }

    #[test]
    fn what_meta_holds_is_accepted_and_marked() {
        let held = |held| {
            let accepted = SendOutcome::Accepted { wamid: "wamid.1".into(), wa_id: None, user_id: None, held };
            let (happening, _) = judge(KEY, accepted, ONCE, 1_000);
            (happening.event, happening.held)
        };
        assert_eq!([held(true), held(false)], [(SendEvent::Accepted, true), (SendEvent::Accepted, false)]);
    }
}
