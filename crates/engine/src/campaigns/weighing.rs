//! Who of a campaign's audience would get its message: the count that a preflight shows, that a launch may be held to,
//! and that planning comes to person by person.
//!
//! Weighing a million people takes seconds. What a preflight found is kept with everything it rests on, so that a launch
//! after it need not weigh again, unless something has changed since.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use domain::phone::{self, PhoneNumber, Region};
use domain::pricing::{self, BilledAs, Card, Micros};
use domain::schedule::Whereabouts;
use domain::template::Category;
use ring::digest;
use serde::{Deserialize, Serialize};
use store::{Audience, AudienceMarks, AudienceRow, CampaignRow, Detail};

use crate::campaigns::recur;
use crate::fault::Result;
use crate::rate_card::Cards;
use crate::renderer::Renderer;
use crate::{App, lists};

/// People read at once.
const PAGE: i64 = 4_000;
/// The first page of a look for anybody at all.
const FIRST_LOOK: i64 = 100;

/// Says of each person of one campaign why nothing is sent to them, if so: the one rule of preflight and planning.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    renderer: &'a Renderer,
    /// What holds for everybody, where no message draws on the person.
    alike: Option<Option<String>>,
}

/// Why a marketing message is not sent to a number of the United States: Meta has delivered none there since 2025-04-01,
/// and counts each as a failure. Canada and the Caribbean, which share the prefix, are not meant.
pub(crate) const US_MARKETING: &str = "us-marketing";

/// Whether a number is one of the United States.
pub(crate) fn is_of_the_us(phone: Option<i64>) -> bool {
    // Few begin with +1, and the plan of the others need not be looked up.
    phone
        .filter(|digits| (10_000_000_000..20_000_000_000).contains(digits))
        .and_then(|digits| PhoneNumber::from_e164(digits.unsigned_abs()))
        .and_then(PhoneNumber::region)
        .is_some_and(|region| region.as_str() == "US")
}

impl<'a> Judge<'a> {
    /// Of the messages that this renderer would write.
    #[must_use]
    pub(crate) fn of(renderer: &'a Renderer) -> Self {
        Self { renderer, alike: renderer.check_all_alike().map(std::result::Result::err) }
    }

    /// What it has to know of each person.
    #[must_use]
    pub(crate) fn needs(&self) -> Detail {
        if self.alike.is_some() { Detail::Verdicts } else { Detail::Fields }
    }

    /// Why nothing is sent to a person, as it is counted; `None`: they get the message.
    #[must_use]
    pub(crate) fn objection(&self, person: &AudienceRow) -> Option<Cow<'static, str>> {
        if let Some(barred) = person.barred() {
            return Some(Cow::Borrowed(barred));
        }
        if self.renderer.is_marketing && is_of_the_us(person.phone) {
            return Some(Cow::Borrowed(US_MARKETING));
        }
        match &self.alike {
            Some(alike) => alike.clone(),
            None => self.renderer.check(person).err(),
        }
        .map(Cow::Owned)
    }
}

/// What an audience came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Weighing {
    /// It is of the members of the campaign's lists who were added by then, epoch ms.
    pub at: i64,
    /// People who would get the message.
    pub eligible: i64,
    /// People who would not, by reason.
    pub excluded: BTreeMap<String, i64>,
    /// The eligible by market: how many, and what a message to one of them costs; `None`: the card does not say.
    pub markets: BTreeMap<String, (i64, Option<Micros>)>,
    /// The card's currency.
    #[serde(default)]
    pub currency: String,
    /// Where the card is from.
    #[serde(default)]
    pub source: String,
    /// From which day on it is valid.
    #[serde(default)]
    pub valid_from: String,
    /// The eligible by where their day is counted ([`domain::schedule::Whereabouts`]); empty where nothing is quiet.
    #[serde(default)]
    pub zones: BTreeMap<String, i64>,
    /// SHA-256 over the eligible, one after the other: tells one audience from another of the same size.
    #[serde(default)]
    pub people: String,
    rests_on: Grounds,
}

/// Everything that a weighing rests on: while it is the same, so is the weighing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Grounds {
    marks: AudienceMarks,
    template: String,
    params: String,
    card: String,
    /// Where a filter or a frequency cap asks for it: what was sent, read and answered so far.
    #[serde(default)]
    history: Vec<(i64, i64)>,
    /// How often one person may be written to.
    #[serde(default)]
    caps: Vec<String>,
    /// On which days nobody is.
    #[serde(default)]
    blackouts: Vec<String>,
}

/// What was kept of the last preflight.
#[derive(Debug)]
pub(super) enum Kept {
    /// There was none.
    Nothing,
    /// Nothing it rests on has changed.
    Valid(Weighing),
    /// Something has; it may come to the same all the same.
    Stale(Weighing),
}

impl Weighing {
    /// The whole audience.
    pub(super) fn audience(&self) -> i64 {
        self.eligible + self.excluded.values().sum::<i64>()
    }
}

/// When a campaign's messages are expected to be billed: the time to look its prices up by.
fn planned_time(app: &App, campaign: &CampaignRow) -> i64 {
    let now = app.clock.now_ms();
    let first_run = recur::first_run(campaign, now).unwrap_or(None);
    campaign.started_at.unwrap_or_else(|| first_run.or(campaign.start_at).unwrap_or(now).max(now))
}

/// Names a card among all: a correction of it is another.
fn name_of(cards: &Cards, card: &Card) -> String {
    format!("{} {} {}", cards.stamp(), card.valid_from, card.source)
}

async fn grounds(app: &App, campaign: &CampaignRow) -> Result<Grounds> {
    let cards = Cards::load(app).await?;
    let caps = app.store.frequency_caps(campaign.id).await?;
    let hours = app.store.hours(campaign.id).await?;
    let filter = campaign.filter.as_deref().map(lists::read_filter).transpose()?.flatten();
    let history = match filter {
        Some(filter) if filter.rests_on_history() => app.store.history_marks().await?,
        _ if !caps.is_empty() => app.store.history_marks().await?,
        _ => Vec::new(),
    };
    Ok(Grounds {
        history,
        caps: caps.iter().map(ToString::to_string).collect(),
        blackouts: hours.iter().flat_map(|hours| &hours.calendar.blackouts).map(ToString::to_string).collect(),
        marks: app.store.audience_marks().await?,
        template: campaign.template.clone(),
        params: campaign.params.clone(),
        card: name_of(&cards, cards.at(planned_time(app, campaign))),
    })
}

/// What the last preflight found. `campaign` carries the template that would be sent now.
pub(super) async fn kept(app: &App, campaign: &CampaignRow) -> Result<Kept> {
    let kept = app.store.kept_check(campaign.id).await?;
    // What an older version wrote may not be read any more: then it is as if nothing were there.
    let Some(kept) = kept.and_then(|text| serde_json::from_str::<Weighing>(&text).ok()) else {
        return Ok(Kept::Nothing);
    };
    Ok(if kept.rests_on == grounds(app, campaign).await? { Kept::Valid(kept) } else { Kept::Stale(kept) })
}

/// Keeps a weighing that somebody is about to be shown.
pub(super) async fn keep(app: &App, campaign: &CampaignRow, weighing: &Weighing) {
    let kept = match serde_json::to_string(weighing) {
        Ok(text) => app.store.keep_check(campaign.id, &text).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = kept {
        tracing::debug!(%error, campaign = campaign.id, "the preflight is not kept; a launch weighs again");
    }
}

/// Goes through the whole audience. Without a renderer (there is a blocker) everybody's message counts as writable.
pub(super) async fn weigh(
    app: &App,
    campaign: &CampaignRow,
    renderer: Option<&Renderer>,
    category: &Category,
) -> Result<Weighing> {
    let at = campaign.frozen_at.unwrap_or_else(|| app.clock.now_ms());
    // Read before the people: a change in between makes it stale at once, and never goes unseen.
    let rests_on = grounds(app, campaign).await?;
    let audience = app.store.audience(campaign.id, at).await?;
    let judge = renderer.map(Judge::of);
    let mut excluded: BTreeMap<Cow<'static, str>, i64> = BTreeMap::new();
    let mut countries = Countries::default();
    let mut eligible = 0;
    let mut people = digest::Context::new(&digest::SHA256);
    let hours = app.store.hours(campaign.id).await?;
    let mut zones: HashMap<Whereabouts, i64> = HashMap::new();
    let mut pages = Pages::of(app, &audience, judge.as_ref(), PAGE);
    if hours.is_some() {
        // A column of theirs may name their zone.
        pages.detail = Detail::Fields;
    }
    let mut page = pages.next().await?;
    while !page.is_empty() {
        // The next one is read while this one is looked at.
        let look = async {
            for person in &page {
                if let Some(reason) = objection(judge.as_ref(), person) {
                    *excluded.entry(reason).or_default() += 1;
                } else {
                    eligible += 1;
                    people.update(&person.contact_id.to_le_bytes());
                    let country = countries.count(person.phone);
                    if let Some(hours) = &hours {
                        *zones.entry(hours.whereabouts_in(|| country, &person.attributes)).or_default() += 1;
                    }
                }
            }
        };
        let (next, ()) = tokio::join!(pages.next(), look);
        page = next?;
    }
    let excluded = excluded.into_iter().map(|(reason, n)| (reason.into_owned(), n)).collect();
    let zones = zones.into_iter().map(|(zone, n)| (zone.to_string(), n)).collect();
    let people = hex::encode(people.finish());
    let cards = Cards::load(app).await?;
    let card = cards.at(planned_time(app, campaign));
    Ok(Weighing {
        at,
        eligible,
        excluded,
        markets: countries.markets(card, category),
        currency: card.currency.clone(),
        source: card.source.clone(),
        valid_from: card.valid_from.to_string(),
        zones,
        people,
        rests_on,
    })
}

/// Whether anybody at all would get the message; looks no further than the first who would.
pub(super) async fn is_for_anybody(app: &App, campaign: &CampaignRow, renderer: Option<&Renderer>) -> Result<bool> {
    let at = campaign.frozen_at.unwrap_or_else(|| app.clock.now_ms());
    let audience = app.store.audience(campaign.id, at).await?;
    let judge = renderer.map(Judge::of);
    let mut pages = Pages::of(app, &audience, judge.as_ref(), FIRST_LOOK);
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(false);
        }
        if page.iter().any(|person| objection(judge.as_ref(), person).is_none()) {
            return Ok(true);
        }
        pages.size = PAGE;
    }
}

fn objection(judge: Option<&Judge<'_>>, person: &AudienceRow) -> Option<Cow<'static, str>> {
    judge.map_or_else(|| person.barred().map(Cow::Borrowed), |judge| judge.objection(person))
}

/// An audience, page by page.
pub(crate) struct Pages<'a> {
    app: &'a App,
    audience: &'a Audience,
    detail: Detail,
    size: i64,
    after: i64,
    is_over: bool,
}

impl<'a> Pages<'a> {
    /// Whoever is in it, and what forbids a message to them.
    pub(crate) fn verdicts(app: &'a App, audience: &'a Audience) -> Self {
        Self::of(app, audience, None, PAGE)
    }

    fn of(app: &'a App, audience: &'a Audience, judge: Option<&Judge<'_>>, size: i64) -> Self {
        let detail = judge.map_or(Detail::Verdicts, Judge::needs);
        Self { app, audience, detail, size, after: 0, is_over: false }
    }

    /// The next people; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<AudienceRow>> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let page = self.app.store.audience_page(self.audience, self.after, self.size, self.detail).await?;
        self.is_over = i64::try_from(page.len()).unwrap_or(self.size) < self.size;
        self.after = page.last().map_or(self.after, |person| person.contact_id);
        Ok(page)
    }
}

/// How many people are of which country.
#[derive(Debug, Default)]
struct Countries {
    known: phone::Countries,
    people: HashMap<Option<Region>, i64>,
}

impl Countries {
    /// Counts one, and says which.
    fn count(&mut self, phone: Option<i64>) -> Option<Region> {
        let digits = phone.and_then(|digits| u64::try_from(digits).ok());
        let country = digits.and_then(|digits| self.known.of(digits));
        *self.people.entry(country).or_default() += 1;
        country
    }

    fn markets(self, card: &Card, category: &Category) -> BTreeMap<String, (i64, Option<Micros>)> {
        let mut markets: BTreeMap<String, (i64, Option<Micros>)> = BTreeMap::new();
        for (country, people) in self.people {
            let market = pricing::market_of(country);
            let rate = card.price(market, BilledAs::of_template(category));
            markets.entry(market.to_owned()).or_insert((0, rate)).0 += people;
        }
        markets
    }
}
