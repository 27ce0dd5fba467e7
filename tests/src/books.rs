//! Two ledgers side by side: what we say of each recipient, and what the simulator saw arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::simulator::LedgerRow;

/// A recipient of a campaign, as `hudhud campaign export` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// E.164, with `+`.
    pub phone: String,
    /// The send's state.
    pub state: String,
}

/// Our books of one campaign.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Every recipient.
    pub recipients: Vec<Recipient>,
}

impl Books {
    /// Reads an export.
    ///
    /// # Panics
    /// When it has no columns `phone` and `state`, or cannot be read.
    #[must_use]
    pub fn read(export: &Path) -> Self {
        let text = std::fs::read_to_string(export).expect("the export is there");
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let header = reader.headers().expect("the export has a header").clone();
        let column = |name: &str| {
            let found = header.iter().position(|title| title == name);
            found.unwrap_or_else(|| panic!("the export has no column {name}, only {header:?}"))
        };
        let (phone, state) = (column("phone"), column("state"));
        let recipients = reader
            .records()
            .map(|row| {
                let row = row.expect("a row of the export");
                // A spreadsheet must not take the number for a formula, so a quote may stand before the plus.
                Recipient { phone: row[phone].trim_start_matches('\'').to_owned(), state: row[state].to_owned() }
            })
            .collect();
        Self { recipients }
    }

    /// The phone numbers of those in one of these states.
    #[must_use]
    pub fn phones(&self, states: &[&str]) -> BTreeSet<String> {
        let wanted = self.recipients.iter().filter(|one| states.contains(&one.state.as_str()));
        wanted.map(|one| one.phone.clone()).collect()
    }

    /// How many there are in each state.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for one in &self.recipients {
            *counts.entry(one.state.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// Where these books and the simulator's rows of the same campaign disagree; nothing, when they are equal.
    ///
    /// `to_the_status`: every webhook was delivered, so that each state must be the message's last status.
    #[must_use]
    pub fn disagreements(&self, rows: &[LedgerRow], to_the_status: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut callbacks = BTreeSet::new();
        let mut taken: BTreeMap<&str, Vec<&LedgerRow>> = BTreeMap::new();
        for row in rows {
            if !callbacks.insert(row.callback.as_str()) {
                found.push(format!("row {}: the same attempt was POSTed twice ({})", row.seq, row.callback));
            }
            match &row.to {
                Some(to) if row.was_taken_in() => taken.entry(to).or_default().push(row),
                _ => {}
            }
        }
        let mut ours = BTreeSet::new();
        for Recipient { phone, state } in &self.recipients {
            if !ours.insert(phone.as_str()) {
                found.push(format!("{phone} is twice in our books"));
            }
            let all = taken.get(phone.as_str()).map_or(&[][..], Vec::as_slice);
            // A message that failed later did not reach the person, so another attempt is allowed.
            let good: Vec<_> = all.iter().filter(|row| row.status.as_deref() != Some("failed")).collect();
            let expected = match state.as_str() {
                "accepted" | "sent" | "delivered" | "read" => 1,
                "failed" | "skipped" => 0,
                open => {
                    found.push(format!("{phone} is still {open}"));
                    continue;
                }
            };
            if good.len() != expected {
                let outcomes: Vec<_> = all.iter().map(|row| (&row.callback, &row.outcome, &row.status)).collect();
                found.push(format!("{phone} is {state}, and got {} messages: {outcomes:?}", good.len()));
            } else if let ([row], true) = (good.as_slice(), to_the_status) {
                let last = match row.status.as_deref() {
                    None | Some("held") => "accepted",
                    Some(status) => status,
                };
                if last != state {
                    found.push(format!(
                        "{phone} is {state}, and the message's last status is {last} ({})",
                        row.callback
                    ));
                }
            }
        }
        for (to, rows) in taken {
            if !ours.contains(to) {
                found.push(format!("{to} is not in our books, and got {} messages", rows.len()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(rows: &[(&str, &str)]) -> Books {
        let recipient = |(phone, state): &(&str, &str)| Recipient { phone: (*phone).into(), state: (*state).into() };
        Books { recipients: rows.iter().map(recipient).collect() }
    }

    fn row(seq: u64, to: &str, outcome: &str, status: Option<&str>) -> LedgerRow {
        LedgerRow {
            seq,
            at_us: 0,
            phone_number_id: "1".into(),
            to: Some(to.into()),
            callback: format!("hh1.abcdefgh.7.{seq}.1"),
            outcome: outcome.into(),
            status: status.map(Into::into),
        }
    }

    #[test]
    fn equal_books_have_no_disagreement() {
        let ours = books(&[("+1", "read"), ("+2", "failed"), ("+3", "skipped"), ("+4", "accepted")]);
        let rows =
            [row(1, "+1", "accepted", Some("read")), row(2, "+2", "refused:131026", None), row(3, "+4", "lost", None)];
        assert_eq!(ours.disagreements(&rows, true), Vec::<String>::new());
    }

    #[test]
    fn a_message_that_failed_may_be_followed_by_one_that_does_not() {
        let rows = [row(1, "+1", "accepted", Some("failed")), row(2, "+1", "accepted", Some("sent"))];
        assert_eq!(books(&[("+1", "sent")]).disagreements(&rows, true), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_disagreement_is_found() {
        let found = |ours: &[(&str, &str)], rows: &[LedgerRow]| books(ours).disagreements(rows, true).len();
        let accepted = |seq| row(seq, "+1", "accepted", Some("sent"));
        assert_eq!(found(&[("+1", "sent")], &[accepted(1), accepted(2)]), 1, "twice");
        assert_eq!(found(&[("+1", "sent")], &[]), 1, "missing");
        assert_eq!(found(&[("+1", "skipped")], &[accepted(1)]), 1, "skipped, and yet sent");
        assert_eq!(found(&[], &[accepted(1)]), 1, "a stranger");
        assert_eq!(found(&[("+1", "delivered")], &[accepted(1)]), 1, "another status");
        assert_eq!(found(&[("+1", "in_doubt")], &[accepted(1)]), 1, "open");
        assert_eq!(found(&[("+1", "sent"), ("+1", "sent")], &[accepted(1)]), 1, "twice in our books");
        let mut again = row(2, "+1", "redirected", None);
        again.callback = accepted(1).callback;
        assert_eq!(found(&[("+1", "sent")], &[accepted(1), again]), 1, "an attempt POSTed again");
    }
}
