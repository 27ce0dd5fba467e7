//! Going through a campaign's sends. Pure: rows in, sums out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::phone::{self, Region};
use domain::pricing::{Billed, Micros, market_of};
use domain::schedule::Tz;
use domain::send::SendState;
use serde::{Deserialize, Serialize};
use store::{CampaignReply, ReportRow};
use utoipa::ToSchema;

use crate::rate_card::Cards;

/// All clocks' offsets are whole quarters of an hour.
const QUARTER: i64 = 15 * 60_000;
/// So many different buttons that are not the template's are told apart; the rest is one.
const MOST_LABELS: usize = 50;

/// From the plan to the answers, in people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Funnel {
    /// Whoever was to get the message: the audience without those who were left out.
    pub planned: i64,
    /// Left out, for a reason.
    pub skipped: i64,
    /// Taken up for sending.
    pub queued: i64,
    /// Accepted by Meta.
    pub accepted: i64,
    /// On the way to the person, or there.
    pub sent: i64,
    /// On the person's device.
    pub delivered: i64,
    /// Opened.
    pub read: i64,
    /// Wrote or tapped something in answer.
    pub replied: i64,
    /// Said stop to this campaign, and the stop stands.
    pub opted_out: i64,
    /// Failed for good.
    pub failed: i64,
    /// Nobody knows whether it went out.
    pub in_doubt: i64,
}

/// How the people of one country fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// Whoever was to get the message.
    pub people: i64,
    /// Accepted by Meta.
    pub accepted: i64,
    /// Delivered.
    pub delivered: i64,
    /// Read.
    pub read: i64,
    /// Answered.
    pub replied: i64,
    /// Opted out.
    pub opted_out: i64,
    /// Failed.
    pub failed: i64,
}

/// Delivered messages of one market that Meta bills alike, by the cards of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CostSum {
    pub market: String,
    pub category: String,
    pub billable: bool,
    pub currency: String,
    pub messages: i64,
    /// `None`: the card has no price.
    pub micros: Option<Micros>,
}

/// Taps on one button.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tap {
    pub label: String,
    pub stops: bool,
    pub taps: i64,
    pub people: i64,
}

/// What a campaign's sends came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub funnel: Funnel,
    pub failures: BTreeMap<String, i64>,
    /// By ISO 3166; empty: of none that is known.
    pub countries: BTreeMap<String, Place>,
    /// By local hour: accepted, delivered, read.
    pub hours: Vec<(String, [i64; 3])>,
    pub costs: Vec<CostSum>,
    /// Delivered, and nothing was said of the price.
    pub unsaid: i64,
    /// By the button's place in the template, or `text:` and what it says.
    pub taps: BTreeMap<String, Tap>,
}

/// What tells one sum of money from another; whether there is a price belongs to it.
type CostKey = (&'static str, Billed, String, bool);

/// Sums that are being made.
pub(super) struct Counting<'a> {
    cards: &'a Cards,
    zone: Tz,
    now: i64,
    known: phone::Countries,
    countries: HashMap<Option<Region>, Place>,
    quarters: BTreeMap<i64, [i64; 3]>,
    costs: BTreeMap<CostKey, (i64, Micros)>,
    sums: Sums,
}

impl<'a> Counting<'a> {
    pub(super) fn new(cards: &'a Cards, zone: Tz, now: i64) -> Self {
        Self {
            cards,
            zone,
            now,
            known: phone::Countries::default(),
            countries: HashMap::new(),
            quarters: BTreeMap::new(),
            costs: BTreeMap::new(),
            sums: Sums::default(),
        }
    }

    /// Takes a page in, with what its people answered, both in the order of the people.
    pub(super) fn take(&mut self, page: &[ReportRow], replies: &[CampaignReply]) {
        let mut replies = replies;
        for row in page {
            let end = replies.iter().position(|reply| reply.contact_id > row.contact_id).unwrap_or(replies.len());
            let (own, rest) = replies.split_at(end);
            replies = rest;
            self.one(row, !own.is_empty());
            self.taps(own);
        }
    }

    fn one(&mut self, row: &ReportRow, has_replied: bool) {
        let Ok(state) = SendState::try_from(row.state) else { return };
        let funnel = &mut self.sums.funnel;
        if state == SendState::Skipped {
            funnel.skipped += 1;
            return;
        }
        let is_delivered = matches!(state, SendState::Delivered | SendState::Read);
        let is_sent = is_delivered || state == SendState::Sent || row.sent_at.is_some();
        let is_accepted = is_sent || state == SendState::Accepted || row.accepted_at.is_some();
        let one = |is: bool| i64::from(is);
        funnel.planned += 1;
        funnel.queued += one(row.attempt > 0 || state != SendState::Planned);
        funnel.accepted += one(is_accepted);
        funnel.sent += one(is_sent);
        funnel.delivered += one(is_delivered);
        funnel.read += one(state == SendState::Read);
        funnel.replied += one(has_replied);
        funnel.opted_out += one(row.opted_out_at.is_some());
        funnel.failed += one(state == SendState::Failed);
        funnel.in_doubt += one(state == SendState::InDoubt);
        if state == SendState::Failed {
            let why = row
                .code
                .map_or_else(|| row.reason.clone().unwrap_or_else(|| "unknown".to_owned()), |code| code.to_string());
            *self.sums.failures.entry(why).or_default() += 1;
        }
        let country = row.phone.and_then(|digits| u64::try_from(digits).ok()).and_then(|digits| self.known.of(digits));
        let place = self.countries.entry(country).or_default();
        place.people += 1;
        place.accepted += one(is_accepted);
        place.delivered += one(is_delivered);
        place.read += one(state == SendState::Read);
        place.replied += one(has_replied);
        place.opted_out += one(row.opted_out_at.is_some());
        place.failed += one(state == SendState::Failed);
        for (which, at) in [row.accepted_at, row.delivered_at, row.read_at].into_iter().enumerate() {
            if let Some(at) = at {
                self.quarters.entry(at.div_euclid(QUARTER)).or_default()[which] += 1;
            }
        }
        if is_delivered {
            self.bill(row, country);
        }
    }

    /// Meta bills what was delivered, and says of each message as what.
    fn bill(&mut self, row: &ReportRow, country: Option<Region>) {
        let Some(billed) = row.billed.and_then(Billed::from_code) else {
            self.sums.unsaid += 1;
            return;
        };
        let market = market_of(country);
        // Of a message that was read at once no delivery may be told.
        let at = row.delivered_at.or(row.read_at).unwrap_or(self.now);
        let card = self.cards.at(at);
        let price = if billed.billable { card.price(market, billed.category) } else { Some(0) };
        let key = (market, billed, card.currency.clone(), price.is_some());
        let (messages, micros) = self.costs.entry(key).or_default();
        *messages += 1;
        *micros = micros.saturating_add(price.unwrap_or(0));
    }

    /// One person's answers.
    fn taps(&mut self, replies: &[CampaignReply]) {
        let mut tapped: BTreeSet<String> = BTreeSet::new();
        for reply in replies.iter().filter(|reply| reply.kind == "button") {
            let (key, label, stops) = button_of(reply);
            let taps = &mut self.sums.taps;
            let key = if taps.contains_key(&key) || taps.len() < MOST_LABELS { key } else { "text:…".to_owned() };
            let tap = taps.entry(key.clone()).or_default();
            tap.taps += 1;
            tap.stops |= stops;
            if tap.label.is_empty() {
                tap.label = label;
            }
            if tapped.insert(key) {
                tap.people += 1;
            }
        }
    }

    /// The sums.
    pub(super) fn end(mut self) -> Sums {
        let mut hours: BTreeMap<String, [i64; 3]> = BTreeMap::new();
        for (quarter, counted) in self.quarters {
            let Some(at) = chrono::DateTime::from_timestamp_millis(quarter * QUARTER) else { continue };
            let hour = at.with_timezone(&self.zone).format("%Y-%m-%dT%H:00").to_string();
            let sum = hours.entry(hour).or_default();
            for (sum, counted) in sum.iter_mut().zip(counted) {
                *sum += counted;
            }
        }
        self.sums.hours = hours.into_iter().collect();
        let countries = self.countries.into_iter();
        self.sums.countries = countries
            .map(|(country, place)| (country.map(|country| country.as_str().to_owned()).unwrap_or_default(), place))
            .collect();
        self.sums.costs = self
            .costs
            .into_iter()
            .map(|((market, billed, currency, is_priced), (messages, micros))| CostSum {
                market: market.to_owned(),
                category: billed.category.as_str().to_owned(),
                billable: billed.billable,
                currency,
                messages,
                micros: is_priced.then_some(micros),
            })
            .collect();
        self.sums
    }
}

/// Which button was tapped: its place in the template, where its payload is ours; what it says; and whether it stops.
pub(in crate::campaigns) fn button_of(reply: &CampaignReply) -> (String, String, bool) {
    let detail: serde_json::Value = serde_json::from_str(&reply.detail).unwrap_or_default();
    let text = |field: &str| detail[field].as_str().unwrap_or_default().chars().take(60).collect::<String>();
    match domain::payload::decode(detail["payload"].as_str().unwrap_or_default()) {
        Some(ours) => (ours.button.to_string(), text("text"), ours.intent == domain::payload::Intent::OptOut),
        None => (format!("text:{}", text("text")), text("text"), false),
    }
}

#[cfg(test)]
mod tests;
