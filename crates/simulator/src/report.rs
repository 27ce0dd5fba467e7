//! The books: what the simulator saw, in figures and row by row. Off the hot path: the state is locked for short
//! stretches only, and rows are copied out before anything is sorted.

use crate::identity::user_id;
use crate::ledger::{Row, Status};
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows copied under one lock.
const CHUNK: usize = 20_000;
/// One second in the ledger's microseconds.
const SECOND_US: i64 = 1_000_000;
/// Late messages that a report lists one by one.
const LISTED: usize = 20;

/// What the simulator saw since its start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Requests to the Graph API, whatever became of them.
    pub requests: u64,
    /// Messages taken in, whether or not the answer arrived.
    pub accepted: u64,
    /// Those among them whose answer did not arrive whole.
    pub lost_responses: u64,
    /// Messages thrown away, redirected or met by a gateway's error page: not taken in.
    pub turned_away: u64,
    /// Refusals by code, those of other requests than messages included.
    pub refused_by_code: BTreeMap<u32, u64>,
    /// Different people among all accepted messages.
    pub distinct_recipients: u64,
    /// Accepted messages by campaign: the callback data up to its third dot.
    pub accepted_by_campaign: BTreeMap<String, u64>,
    /// Different people by campaign.
    pub distinct_recipients_by_campaign: BTreeMap<String, u64>,
    /// Accepted messages that repeat an earlier one to the same person with the same template in the same campaign.
    pub duplicates: u64,
    /// The most arrivals in any sliding second, by `phone_number_id`; arrivals that were refused count too.
    pub max_in_sliding_second: BTreeMap<String, u64>,
    /// Messages to a person, whatever their outcome, whose first byte came after that person's opt-out was acknowledged.
    pub after_opt_out: u64,
    /// The first of them.
    pub after_opt_out_rows: Vec<Late>,
    /// Free texts that were taken in after the person's opt-out was acknowledged: answers to whoever wrote.
    pub texts_after_opt_out: u64,
    /// Opt-outs that people made, by tap, text or WhatsApp's own switch.
    pub opt_outs_sent: u64,
    /// People whose opt-out webhook got its 200.
    pub opt_outs_acknowledged: u64,
    /// Accepted messages whose `to` had no `+`, so that a stranger got them.
    pub strangers: u64,
    /// Accepted messages by their latest status: `accepted` (none yet), `held`, `sent`, `delivered`, `read`, `failed`.
    pub by_status: BTreeMap<String, u64>,
    /// Accepted messages that failed, by code.
    pub failed_by_code: BTreeMap<u32, u64>,
    /// Webhooks.
    pub webhooks: Webhooks,
}

/// A message after an acknowledged opt-out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Its row.
    pub seq: u32,
    /// How long after the acknowledgement its first byte came, in microseconds.
    pub late_us: i64,
}

/// Webhooks so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhooks {
    /// Changes that wait or are on their way. A message's next status is added when the one before is made, so 0 means
    /// that nothing is left.
    pub pending: u64,
    /// Changes whose body got its 200.
    pub delivered: u64,
    /// Bodies that got their 200.
    pub bodies: u64,
    /// Posts that got something else, or nothing.
    pub failed: u64,
    /// Bodies that wait for another try.
    pub retrying: u64,
    /// Bodies given up.
    pub given_up: u64,
    /// Changes lost on purpose.
    pub dropped: u64,
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Counts from 1.
    pub seq: u32,
    /// When it arrived, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The business number it was sent from.
    pub phone_number_id: String,
    /// `+` and digits; absent when it was addressed by user id.
    pub to: Option<String>,
    /// The person's WhatsApp id; absent when the address was unreadable.
    pub wa_id: Option<String>,
    /// The person's user id.
    pub user_id: Option<String>,
    /// The template's name.
    pub template: String,
    /// Its language.
    pub language: String,
    /// `biz_opaque_callback_data`.
    pub callback: String,
    /// The message id; absent when it was not taken in.
    pub wamid: Option<String>,
    /// `accepted`, `lost`, `refused:CODE`, `dropped`, `redirected` or `bad-gateway`.
    pub outcome: String,
    /// `held`, `sent`, `delivered`, `read` or `failed`; absent until a webhook was made.
    pub status: Option<String>,
    /// The code of a failure.
    pub failed_code: Option<u32>,
}

/// Rows copied out in short stretches.
fn copied(platform: &Platform) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let seq = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let state = platform.state();
        let chunk = state.ledger.after(seq, CHUNK);
        if chunk.is_empty() {
            return rows;
        }
        rows.extend_from_slice(chunk);
    }
}

/// The report as of now.
pub(crate) fn report(platform: &Platform) -> Report {
    let rows = copied(platform);
    let mut report = Report { requests: platform.requests(), ..Report::default() };
    let mut by_status: BTreeMap<&str, u64> = BTreeMap::new();
    let mut keys: Vec<(u32, u32, u32)> = Vec::with_capacity(rows.len());
    let mut arrivals: BTreeMap<u16, Vec<i64>> = BTreeMap::new();
    for row in &rows {
        arrivals.entry(row.number).or_default().push(row.at_us);
        if row.outcome.taken_in() {
            report.accepted += 1;
            report.lost_responses += u64::from(row.outcome == crate::ledger::Outcome::Lost);
            keys.push((row.campaign, row.person, row.template));
            *by_status.entry(row.status.word().unwrap_or("accepted")).or_insert(0) += 1;
            if row.status == Status::Failed {
                *report.failed_by_code.entry(row.failed_code).or_insert(0) += 1;
            }
        } else if !matches!(row.outcome, crate::ledger::Outcome::Refused(_)) {
            report.turned_away += 1;
        }
    }
    report.by_status = by_status.into_iter().map(|(word, count)| (word.to_owned(), count)).collect();
    let campaigns = count_keys(&mut report, &mut keys);
    let most: Vec<(u16, u64)> = arrivals.iter_mut().map(|(number, times)| (*number, most_in_a_second(times))).collect();

    let state = platform.state();
    for (campaign, accepted, people) in campaigns {
        let name = state.ledger.campaign(campaign).to_owned();
        report.accepted_by_campaign.insert(name.clone(), accepted);
        report.distinct_recipients_by_campaign.insert(name, people);
    }
    for (number, most) in most {
        report.max_in_sliding_second.insert(state.ledger.number_id(number).to_owned(), most);
    }
    report.after_opt_out = state.after_opt_out.len() as u64;
    report.after_opt_out_rows =
        state.after_opt_out.iter().take(LISTED).map(|(seq, late_us)| Late { seq: *seq, late_us: *late_us }).collect();
    report.texts_after_opt_out = state.texts_after_opt_out;
    let tally = state.tally.clone();
    drop(state);
    report.refused_by_code = tally.refused_by_code;
    report.opt_outs_sent = tally.opt_outs_sent;
    report.opt_outs_acknowledged = tally.opt_outs_acknowledged;
    report.strangers = tally.strangers;
    report.webhooks = Webhooks {
        pending: platform.outbox.pending() as u64,
        delivered: tally.changes_delivered,
        bodies: tally.bodies_delivered,
        failed: tally.posts_failed,
        retrying: platform.outbox.retrying() as u64,
        given_up: tally.bodies_given_up,
        dropped: tally.webhooks_dropped,
    };
    report
}

/// Counts duplicates and different people from (campaign, person, template) keys; returns campaign, accepted, people.
fn count_keys(report: &mut Report, keys: &mut [(u32, u32, u32)]) -> Vec<(u32, u64, u64)> {
    keys.sort_unstable();
    report.duplicates = keys.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
    let mut people: Vec<u32> = keys.iter().map(|(_, person, _)| *person).collect();
    people.sort_unstable();
    people.dedup();
    report.distinct_recipients = people.len() as u64;
    keys.chunk_by(|a, b| a.0 == b.0)
        .map(|campaign| {
            let people = campaign.chunk_by(|a, b| a.1 == b.1).count();
            (campaign[0].0, campaign.len() as u64, people as u64)
        })
        .collect()
}

/// The most arrivals in any half-open second.
fn most_in_a_second(times: &mut [i64]) -> u64 {
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while times[first] <= at - SECOND_US {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most as u64
}

/// Up to `limit` rows after `seq`.
pub(crate) fn messages(platform: &Platform, after: u32, limit: usize) -> Vec<LedgerRow> {
    let world = platform.world();
    let settings = &world.settings;
    let state = platform.state();
    let generation = platform.outbox.generation();
    let ledger = &state.ledger;
    let rows = ledger.after(after, limit.min(CHUNK));
    rows.iter()
        .zip(after.saturating_add(1)..)
        .map(|(row, seq)| {
            let wa_id = ledger.wa_id(row.person);
            let (template, language) = ledger.template(row);
            LedgerRow {
                seq,
                at_us: row.at_us,
                phone_number_id: ledger.number_id(row.number).to_owned(),
                to: (row.to > 0).then(|| format!("+{}", row.to)),
                wa_id: wa_id.map(|id| id.to_string()),
                user_id: wa_id.map(|id| user_id(settings.seed, id)),
                template: template.to_owned(),
                language: language.to_owned(),
                callback: ledger.callback(row).to_owned(),
                wamid: wa_id.filter(|_| row.outcome.taken_in()).map(|id| {
                    let out = crate::identity::Direction::Outbound;
                    crate::webhook::compose::id_of(out, settings, id, row.to > 0, generation, u64::from(seq))
                }),
                outcome: row.outcome.word(),
                status: row.status.word().map(str::to_owned),
                failed_code: (row.status == Status::Failed).then_some(row.failed_code),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_found_wherever_it_lies() {
        assert_eq!(most_in_a_second(&mut []), 0);
        assert_eq!(most_in_a_second(&mut [5]), 1);
        assert_eq!(most_in_a_second(&mut [0, 999_999, 1_000_000]), 2, "a second is half open");
        assert_eq!(most_in_a_second(&mut [3_000_000, 2_500_000, 2_400_000, 0]), 3);
    }

    proptest::proptest! {
        #[test]
        fn the_busiest_second_equals_the_naive_count(mut times in proptest::collection::vec(0_i64..5_000_000, 0..200)) {
            let naive = times
                .iter()
                .map(|end| times.iter().filter(|at| **at <= *end && **at > end - SECOND_US).count())
                .max()
                .unwrap_or(0);
            proptest::prop_assert_eq!(most_in_a_second(&mut times), naive as u64);
        }
    }

    #[test]
    fn duplicates_are_counted_within_a_campaign_and_a_template() {
        let mut report = Report::default();
        let mut keys = vec![(1, 7, 0), (1, 7, 0), (1, 7, 1), (2, 7, 0), (1, 8, 0), (1, 7, 0)];
        let campaigns = count_keys(&mut report, &mut keys);
        assert_eq!(report.duplicates, 2);
        assert_eq!(report.distinct_recipients, 2);
        assert_eq!(campaigns, [(1, 5, 2), (2, 1, 1)]);
    }
}
