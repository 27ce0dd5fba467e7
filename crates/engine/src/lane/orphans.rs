//! Claims that outlived whoever made them: an earlier owner's, and those of our own of which nothing was heard.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::pacing::{Micros, SECOND};
use domain::send::SendEvent;
use store::{Happening, Orphan, Priority};
use tokio_util::sync::CancellationToken;

use super::pause_for as pause;
use super::term::Term;
use crate::App;
use crate::journal::{AttemptKey, Journal, Past};

/// Orphans settled in one transaction.
const GROUP: i64 = 500;
/// How often a lane looks for claims of its own that nothing was heard of.
const LOOK: Duration = Duration::from_secs(15);
/// A claim of our own that is older was lost within this process: no POST takes so long, nor does its recording while
/// the database can be read.
const LOST_AFTER: Micros = 90 * SECOND;
/// The most claims of its own that a lane looks at; more cannot be on the wire.
const AT_ONCE: i64 = 5_000;
/// How often the notes of claims that are over are removed, and how many in one transaction.
const FORGET: Duration = Duration::from_secs(1);
const FORGOTTEN: usize = 32;

/// Settles claims of terms before `before`: planned again where a journal of this boot proves that they never left, in
/// doubt otherwise.
///
/// # Errors
/// When the database is away.
pub(super) async fn settle(term: &Term, before: i64) -> anyhow::Result<()> {
    let app = &term.app;
    loop {
        let orphans = app.store.orphans(term.number.id, before, GROUP).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        let mut journals = HashMap::new();
        for past in app.store.unsettled_terms(term.number.id, before).await? {
            let trusted = past.host == term.owner.host && past.boot == term.owner.boot;
            let journal = if trusted { read_journal(app, &past.owner) } else { None };
            journals.insert(past.term, journal);
        }
        let now = app.clock.now_ms();
        let (mut planned, mut doubted) = (0, 0);
        let happenings: Vec<Happening> = orphans
            .iter()
            .map(|orphan| {
                let journal = orphan.term.and_then(|term| journals.get(&term)).and_then(Option::as_ref);
                let never_left =
                    journal.is_some_and(|journal| journal.proves_unsent(key_of(orphan), orphan.claimed_at));
                if never_left {
                    planned += 1;
                    happening(orphan, SendEvent::NotPosted { back_to_planned: true }, None, now)
                } else {
                    doubted += 1;
                    happening(orphan, SendEvent::Unknown, Some("owner-died"), now)
                }
            })
            .collect();
        app.store.apply(Priority::Urgent, &happenings).await?;
        tracing::info!(
            number = term.number.id,
            planned,
            in_doubt = doubted,
            "settled the claims of an earlier owner: what never left is planned again, the rest is in doubt"
        );
    }
}

fn read_journal(app: &App, instance: &str) -> Option<Past> {
    Journal::read(&app.data_dir, instance).unwrap_or_else(|error| {
        let error = format!("{error:#}");
        tracing::error!(error, "a journal of an earlier owner cannot be read: it proves nothing");
        None
    })
}

fn happening(orphan: &Orphan, event: SendEvent, reason: Option<&str>, now: i64) -> Happening {
    let mut happening = Happening::new((orphan.campaign_id, orphan.contact_id), Some(orphan.attempt), event, now);
    happening.not_before = Some(super::AT_ONCE);
    happening.reason = reason.map(str::to_owned);
    happening
}

fn key_of(orphan: &Orphan) -> AttemptKey {
    AttemptKey { campaign_id: orphan.campaign_id, contact_id: orphan.contact_id, attempt: orphan.attempt }
}

/// Puts claims of our own in doubt of which nothing was heard for long, so that no defect of this process can leave one
/// open for ever. An outcome that comes after all is taken from there.
pub(super) async fn sweep(app: Arc<App>, number_id: i64, token: i64, lost: CancellationToken) {
    let mut seen: HashMap<AttemptKey, Micros> = HashMap::new();
    while pause(&app, LOOK, &lost).await {
        let Ok(open) = app.store.orphans(number_id, token + 1, AT_ONCE).await else { continue };
        let now = app.clock.boot_us();
        let old = std::mem::take(&mut seen);
        seen.extend(open.iter().map(|claim| (key_of(claim), old.get(&key_of(claim)).copied().unwrap_or(now))));
        let late: Vec<Happening> = open
            .iter()
            .filter(|claim| seen.get(&key_of(claim)).is_some_and(|since| now - since > LOST_AFTER))
            .map(|claim| happening(claim, SendEvent::Unknown, Some("outcome-lost"), app.clock.now_ms()))
            .collect();
        if late.is_empty() {
            continue;
        }
        tracing::error!(
            number = number_id,
            claims = late.len(),
            "nothing was heard of these claims: they are in doubt"
        );
        metrics::counter!("hudhud_reconcile_mismatches_total", "kind" => "outcome_lost").increment(late.len() as u64);
        for group in late.chunks(500) {
            // What is not written now is found again at the next look.
            let _ = app.store.apply(Priority::Urgent, group).await;
        }
    }
}

/// Removes the notes of claims that are over, so that what is looked for among them stays as little as what is open. The
/// message ids that they stood for are looked up elsewhere from then on.
pub(super) async fn forget(app: Arc<App>, number_id: i64, lost: CancellationToken) {
    while pause(&app, FORGET, &lost).await {
        // What is not removed now is found again the next time.
        while app.store.forget_claims(number_id, FORGOTTEN).await.is_ok_and(|gone| gone == FORGOTTEN) {}
    }
}
