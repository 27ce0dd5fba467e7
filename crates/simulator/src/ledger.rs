//! What arrived, in order. Compact: about 56 bytes a message beside its callback data, texts that repeat are kept once.

use crate::chance::IntMap;
use std::collections::HashMap;
use std::sync::Arc;

/// What was answered, or done instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Taken in and answered.
    Accepted,
    /// Taken in, and the answer did not arrive whole.
    Lost,
    /// Refused with a code.
    Refused(u32),
    /// Not taken in, connection closed.
    Dropped,
    /// Not taken in, redirected.
    Redirected,
    /// Not taken in, answered by a gateway's error page.
    BadGateway,
}

impl Outcome {
    /// Whether the message goes out.
    pub(crate) const fn taken_in(self) -> bool {
        matches!(self, Outcome::Accepted | Outcome::Lost)
    }

    /// As it stands in the ledger's rows.
    pub(crate) fn word(self) -> String {
        match self {
            Outcome::Accepted => "accepted".into(),
            Outcome::Lost => "lost".into(),
            Outcome::Refused(code) => format!("refused:{code}"),
            Outcome::Dropped => "dropped".into(),
            Outcome::Redirected => "redirected".into(),
            Outcome::BadGateway => "bad-gateway".into(),
        }
    }
}

/// The highest status that a webhook was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// None yet.
    #[default]
    None,
    Held,
    Sent,
    Failed,
    Delivered,
    Read,
}

impl Status {
    pub(crate) const fn word(self) -> Option<&'static str> {
        match self {
            Status::None => None,
            Status::Held => Some("held"),
            Status::Sent => Some("sent"),
            Status::Failed => Some("failed"),
            Status::Delivered => Some("delivered"),
            Status::Read => Some("read"),
        }
    }
}

/// One request that reached a business number and could be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// When it arrived, microseconds since 1970.
    pub(crate) at_us: i64,
    /// The digits it was addressed to; 0 when by user id.
    pub(crate) to: u64,
    /// The person, by position in the ledger's list; [`NOBODY`] when the address was unreadable.
    pub(crate) person: u32,
    /// The template's name and language, interned.
    pub(crate) template: u32,
    /// The callback data up to its third dot, interned.
    pub(crate) campaign: u32,
    /// The quick replies' payloads, interned; see [`PAYLOAD_SEPARATOR`].
    pub(crate) payloads: u32,
    pub(crate) outcome: Outcome,
    /// The code of a failed status.
    pub(crate) failed_code: u32,
    callback_at: u32,
    callback_len: u16,
    /// The business number, interned.
    pub(crate) number: u16,
    pub(crate) status: Status,
}

/// Stands for no person at all.
pub(crate) const NOBODY: u32 = u32::MAX;
/// Stands between the payloads of a row's buttons.
pub(crate) const PAYLOAD_SEPARATOR: char = '\u{1f}';

/// A row's texts, before they are interned.
pub(crate) struct NewRow<'a> {
    pub(crate) at_us: i64,
    pub(crate) to: u64,
    pub(crate) person: u32,
    pub(crate) number: u16,
    pub(crate) template: &'a str,
    pub(crate) language: &'a str,
    pub(crate) callback: &'a str,
    pub(crate) payloads: &'a str,
    pub(crate) outcome: Outcome,
    pub(crate) status: Status,
}

/// Texts that repeat, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    list: Vec<Arc<str>>,
    index: HashMap<Arc<str>, u32>,
}

impl Texts {
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if let Some(at) = self.index.get(text) {
            return *at;
        }
        let at = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let text: Arc<str> = text.into();
        self.list.push(text.clone());
        self.index.insert(text, at);
        at
    }

    pub(crate) fn get(&self, at: u32) -> &str {
        self.list.get(at as usize).map_or("", |text| text)
    }
}

/// All rows, with the people and texts they refer to. A row's number, `seq`, counts from 1.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: Vec<Row>,
    callbacks: Vec<u8>,
    people: Vec<u64>,
    person_of: IntMap<u64, u32>,
    pub(crate) numbers: Texts,
    templates: Texts,
    campaigns: Texts,
    payloads: Texts,
    /// A template's key is put together here, to spare an allocation per row.
    key: String,
}

/// The part of callback data that names its campaign: up to and with the third dot; empty when there are fewer.
pub(crate) fn campaign_of(callback: &str) -> &str {
    callback.match_indices('.').nth(2).map_or("", |(at, _)| &callback[..=at])
}

impl Ledger {
    /// The person with this `wa_id`, made known if need be.
    pub(crate) fn person(&mut self, wa_id: u64) -> u32 {
        let next = u32::try_from(self.people.len()).unwrap_or(NOBODY);
        *self.person_of.entry(wa_id).or_insert_with(|| {
            self.people.push(wa_id);
            next
        })
    }

    pub(crate) fn wa_id(&self, person: u32) -> Option<u64> {
        self.people.get(person as usize).copied()
    }

    pub(crate) fn number(&mut self, phone_number_id: &str) -> u16 {
        u16::try_from(self.numbers.intern(phone_number_id)).unwrap_or(u16::MAX)
    }

    /// Appends a row and returns its `seq`.
    pub(crate) fn push(&mut self, new: &NewRow<'_>) -> u32 {
        let campaign = self.campaigns.intern(campaign_of(new.callback));
        let payloads = self.payloads.intern(new.payloads);
        self.key.clear();
        self.key.extend([new.template, "/", new.language]);
        let template = self.templates.intern(&self.key);
        // Four gigabytes of callback data are beyond what this is for; from there on it is not kept.
        let callback_at = u32::try_from(self.callbacks.len()).ok();
        let callback_len = callback_at.and_then(|_| u16::try_from(new.callback.len()).ok()).unwrap_or(0);
        if callback_len > 0 {
            self.callbacks.extend_from_slice(new.callback.as_bytes());
        }
        self.rows.push(Row {
            at_us: new.at_us,
            to: new.to,
            person: new.person,
            template,
            campaign,
            payloads,
            outcome: new.outcome,
            failed_code: 0,
            callback_at: callback_at.unwrap_or(0),
            callback_len,
            number: new.number,
            status: new.status,
        });
        self.len()
    }

    /// The number of rows, which is the last `seq`.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn row(&self, seq: u32) -> Option<&Row> {
        self.rows.get((seq as usize).checked_sub(1)?)
    }

    pub(crate) fn row_mut(&mut self, seq: u32) -> Option<&mut Row> {
        self.rows.get_mut((seq as usize).checked_sub(1)?)
    }

    /// Up to `limit` rows after `seq`.
    pub(crate) fn after(&self, seq: u32, limit: usize) -> &[Row] {
        let from = (seq as usize).min(self.rows.len());
        let to = from.saturating_add(limit).min(self.rows.len());
        &self.rows[from..to]
    }

    pub(crate) fn callback(&self, row: &Row) -> &str {
        let from = row.callback_at as usize;
        let bytes = self.callbacks.get(from..from + usize::from(row.callback_len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The template's name and language.
    pub(crate) fn template(&self, row: &Row) -> (&str, &str) {
        self.templates.get(row.template).rsplit_once('/').unwrap_or_default()
    }

    pub(crate) fn campaign(&self, campaign: u32) -> &str {
        self.campaigns.get(campaign)
    }

    pub(crate) fn number_id(&self, number: u16) -> &str {
        self.numbers.get(u32::from(number))
    }

    /// What the button at this position echoes.
    pub(crate) fn payload(&self, row: &Row, button: usize) -> Option<&str> {
        self.payloads.get(row.payloads).split(PAYLOAD_SEPARATOR).nth(button).filter(|payload| !payload.is_empty())
    }

    /// The latest message that a person got, from this business number if one is given.
    pub(crate) fn latest_to(&self, person: u32, number: Option<u16>) -> Option<u32> {
        let fits = |row: &Row| {
            row.person == person && row.outcome.taken_in() && number.is_none_or(|number| row.number == number)
        };
        self.rows.iter().rposition(fits).and_then(|at| u32::try_from(at + 1).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_row(at_us: i64, person: u32, callback: &str) -> NewRow<'_> {
        NewRow {
            at_us,
            to: 201_000_000_001,
            person,
            number: 0,
            template: "eid_offer",
            language: "en",
            callback,
            payloads: "more\u{1f}stop",
            outcome: Outcome::Accepted,
            status: Status::None,
        }
    }

    #[test]
    fn a_campaign_is_the_callback_data_up_to_its_third_dot() {
        assert_eq!(campaign_of("hh1.abcdefgh.12.9981.1"), "hh1.abcdefgh.12.");
        assert_eq!(campaign_of("c12:r9981"), "");
        assert_eq!(campaign_of(""), "");
    }

    #[test]
    fn a_row_gives_back_what_it_was_made_of() {
        let mut ledger = Ledger::default();
        let person = ledger.person(201_000_000_001);
        let number = ledger.number("200100000000001");
        assert_eq!(ledger.person(201_000_000_001), person);
        let seq = ledger.push(&new_row(1, person, "hh1.abcdefgh.12.9981.1"));
        let other = ledger.person(201_000_000_002);
        ledger.push(&new_row(2, other, "hh1.abcdefgh.12.9982.1"));
        let row = *ledger.row(seq).expect("pushed");
        assert_eq!(ledger.callback(&row), "hh1.abcdefgh.12.9981.1");
        assert_eq!(ledger.template(&row), ("eid_offer", "en"));
        assert_eq!(ledger.campaign(row.campaign), "hh1.abcdefgh.12.");
        assert_eq!(ledger.number_id(number), "200100000000001");
        assert_eq!(ledger.payload(&row, 1), Some("stop"));
        assert_eq!(ledger.payload(&row, 2), None);
        assert_eq!(ledger.latest_to(person, None), Some(1));
        assert_eq!(ledger.latest_to(person, Some(9)), None);
        assert_eq!(ledger.after(1, 10).len(), 1);
        assert_eq!(ledger.after(9, 10).len(), 0);
    }

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= 64, "{} bytes", size_of::<Row>());
    }
}
