//! Making a campaign: everything it names must exist and fit together.

use std::collections::BTreeMap;
use std::str::FromStr;

use domain::frequency::FrequencyCap;
use domain::names::CampaignName;
use domain::phone::PhoneNumber;
use domain::schedule::{CronLine, QuietHours, Tz, parse_at, parse_length, parse_zone, zone_of_region};
use domain::template::Plan;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::campaigns::terms::read_blackouts;
use crate::campaigns::{BlackoutDays, CampaignView, CanaryOrder, Gaps, canary, show};
use crate::fault::{Fault, FaultKind, Result};
use crate::renderer::KeptTemplate;
use crate::{Actor, App, lists};

/// The weight of a campaign that nobody gave one.
const USUAL_WEIGHT: u32 = 10;

/// What a person says of a new campaign.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// A name that no other campaign has.
    pub name: String,
    /// The template's name.
    pub template: String,
    /// The template's exact language key.
    pub language: String,
    /// Lists whose members are its audience.
    pub lists: Vec<String>,
    /// Lists whose members are skipped.
    #[serde(default)]
    pub excluded_lists: Vec<String>,
    /// Who of these people is meant, in the words of the filter language: `city = Cairo and not messaged within 30
    /// days`. Whoever is not is skipped.
    #[serde(default)]
    pub filter: Option<String>,
    /// Meta's ids of the business numbers that send it.
    pub numbers: Vec<String>,
    /// What fills the template's variables: KEY to TEXT, where TEXT may use `{column}` and `{column|fallback}`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// A hard cap in any sliding second.
    #[serde(default)]
    pub rate: Option<u32>,
    /// Its share of a number that several campaigns send from, against theirs: 1 to 100, 10 unless given.
    #[serde(default)]
    pub weight: Option<u32>,
    /// When to start by itself, RFC 3339.
    #[serde(default)]
    pub at: Option<String>,
    /// Its messages leave evenly over so long, for example `6h`.
    #[serde(default)]
    pub spread: Option<String>,
    /// How far apart its messages leave: evenly unless given; `human` needs a rate or a spread.
    #[serde(default)]
    pub gaps: Gaps,
    /// Nobody is written to then, by their own clock: `21:00-09:00`.
    #[serde(default)]
    pub quiet_hours: Option<String>,
    /// Nobody is written to on these days, by their own calendar; those of the house hold for marketing as well.
    #[serde(default)]
    pub blackouts: Vec<BlackoutDays>,
    /// The time zone of people whose own is not known, for example `Africa/Cairo`.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Recurs at the times of this crontab line, by the clock of `timezone`: `0 10 * * 1`.
    #[serde(default)]
    pub cron: Option<String>,
    /// Of a campaign that recurs: a run whose audience differs from the last one's by more than so many per cent waits
    /// for a person.
    #[serde(default)]
    pub audience_guard: Option<u32>,
    /// Nothing is sent from then on, since the offer has ended: RFC 3339.
    #[serde(default)]
    pub stop_at: Option<String>,
    /// Cancelled where it could not start by itself within so long after its time, for example `2h`.
    #[serde(default)]
    pub latest_start: Option<String>,
    /// At most so many marketing messages to one person in so many days, over all campaigns: `2/7d`. The cap of the house,
    /// if there is one, holds as well.
    #[serde(default)]
    pub frequency_cap: Option<String>,
    /// Who goes first, and what must hold before the others follow.
    #[serde(default)]
    pub canary: Option<CanaryOrder>,
}

/// Makes a draft.
///
/// # Errors
/// Names whatever does not exist or does not fit.
#[crate::boxed]
pub async fn create(app: &App, actor: &Actor, new: &NewCampaign) -> Result<CampaignView> {
    make(app, actor, new, None).await
}

/// Makes a draft that names another campaign as its parent.
pub(super) async fn create_child(app: &App, actor: &Actor, new: &NewCampaign, parent: i64) -> Result<CampaignView> {
    make(app, actor, new, Some(parent)).await
}

async fn make(app: &App, actor: &Actor, new: &NewCampaign, parent_id: Option<i64>) -> Result<CampaignView> {
    let name = CampaignName::from_str(&new.name)
        .map_err(|error| Fault::invalid(format!("The campaign's name cannot be used: {error}.")))?;
    let chosen = lists::choose(app, &new.lists, &new.excluded_lists, new.filter.as_deref()).await?;
    let filter = chosen.filter.as_ref().map(ToString::to_string);
    let (numbers, account_id) = numbers(app, &new.numbers).await?;
    let template = template(app, account_id, &new.template, &new.language).await?;
    let kept = KeptTemplate::of(&template)?;
    Plan::new(&kept.parse()?, &new.params).map_err(|errors| {
        let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Fault::invalid(format!("The parameters do not fit the template {}: {}.", new.template, list.join("; ")))
            .action("`hudhud template show` names the variables; give each with --param KEY=TEXT.")
    })?;
    let weight = new.weight.unwrap_or(USUAL_WEIGHT);
    if !(1..=100).contains(&weight) {
        return Err(Fault::invalid("A campaign's weight is a number from 1 to 100."));
    }
    if new.rate == Some(0) {
        return Err(Fault::invalid("A campaign's rate is at least 1 message a second."));
    }
    if new.rate.is_some_and(|rate| (rate as usize) < numbers.len()) {
        return Err(Fault::invalid("A campaign's rate must be at least 1 message a second for each of its numbers."));
    }
    let start_at = new
        .at
        .as_deref()
        .map(parse_at)
        .transpose()
        .map_err(|error| Fault::invalid(format!("The start time cannot be read: {error}.")))?;
    if start_at.is_some_and(|at| at < app.clock.now_ms() - 60_000) {
        return Err(Fault::invalid("The start time is in the past.").action("Leave it out to start at launch."));
    }
    let terms = terms(app, new, start_at, &numbers).await?;
    let made = store::NewCampaign {
        name: name.as_str(),
        account_id,
        template_id: Some(template.id),
        template: &serde_json::to_string(&kept).map_err(Fault::internal)?,
        params: &serde_json::to_string(&new.params).map_err(Fault::internal)?,
        rate_cap: new.rate.map(i64::from),
        weight: i64::from(weight),
        start_at,
        lists: &chosen.lists,
        excluded_lists: &chosen.excluded,
        filter: filter.as_deref(),
        numbers: &numbers,
        created_by: actor.as_str(),
        terms,
        parent_id,
    };
    match app.store.create_campaign(&made, app.clock.now_ms()).await {
        Ok(id) => {
            let mut made = show(app, id).await?;
            if let Some(filter) = &chosen.filter {
                made.note = lists::unknown_columns(app, &chosen.lists, filter, app.clock.now_ms()).await?;
            }
            Ok(made)
        }
        Err(store::Error::Conflict(_)) => {
            Err(Fault::conflict(format!("There is a campaign {:?} already.", name.as_str()))
                .action("Choose another name."))
        }
        Err(error) => Err(error.into()),
    }
}

/// When its messages may leave, read and held against each other.
async fn terms(app: &App, new: &NewCampaign, start_at: Option<i64>, numbers: &[i64]) -> Result<store::Terms> {
    let length = |what: &str, text: &Option<String>| {
        let read = text.as_deref().map(parse_length).transpose();
        read.map_err(|error| Fault::invalid(format!("{what} cannot be read: {error}.")))
    };
    let quiet_hours = new.quiet_hours.as_deref().map(QuietHours::from_str).transpose();
    let quiet_hours =
        quiet_hours.map_err(|error| Fault::invalid(format!("The quiet hours cannot be read: {error}.")))?;
    let zone = new.timezone.as_deref().map(parse_zone).transpose();
    let zone = zone.map_err(|error| Fault::invalid(format!("The time zone cannot be used: {error}.")))?;
    let stop_at = new.stop_at.as_deref().map(parse_at).transpose();
    let stop_at = stop_at.map_err(|error| Fault::invalid(format!("The end of the offer cannot be read: {error}.")))?;
    let latest_start = length("The latest start", &new.latest_start)?;
    let begins = start_at.unwrap_or_else(|| app.clock.now_ms());
    if stop_at.is_some_and(|stop_at| stop_at <= begins) {
        return Err(Fault::invalid("The offer ends before the campaign can start.")
            .action("Give --stop-at a time after the start."));
    }
    let cron = new.cron.as_deref().map(CronLine::from_str).transpose();
    let cron = cron.map_err(|error| Fault::invalid(format!("The crontab line cannot be read: {error}.")))?;
    if new.audience_guard.is_some() && cron.is_none() {
        return Err(Fault::invalid("An audience guard is for a campaign that recurs.").action("Give it --cron, too."));
    }
    if latest_start.is_some() && start_at.is_none() && cron.is_none() {
        return Err(Fault::invalid("A latest start is for a campaign that starts by itself.")
            .action("Give it a time to start with --at, or leave --latest-start out."));
    }
    if new.gaps == Gaps::Human && new.rate.is_none() && new.spread.is_none() {
        return Err(Fault::invalid("Human gaps are for a campaign with a pace of its own.")
            .action("Give it --rate or --spread, too: below the rate of its numbers."));
    }
    // Also without quiet hours: blackout days of the house may be added while it runs.
    let timezone = match zone {
        Some(zone) => zone,
        None => zone_of_numbers(app, numbers).await?,
    };
    Ok(store::Terms {
        spread: length("The spread", &new.spread)?,
        quiet_hours: quiet_hours.map(|quiet| quiet.to_string()),
        timezone: Some(timezone.name().to_owned()),
        stop_at,
        latest_start,
        cron: cron.map(|line| line.to_string()),
        size_guard: new.audience_guard.map(i64::from),
        frequency_cap: frequency_cap(new.frequency_cap.as_deref())?,
        canary: new.canary.as_ref().map(canary::read).transpose()?,
        human_gaps: new.gaps == Gaps::Human,
        blackouts: store::blackouts_written(&read_blackouts(&new.blackouts)?)?,
    })
}

/// A frequency cap as it is kept.
fn frequency_cap(text: Option<&str>) -> Result<Option<String>> {
    let read = text.map(FrequencyCap::from_str).transpose();
    let cap = read.map_err(|error| Fault::invalid(format!("The frequency cap cannot be read: {error}.")))?;
    Ok(cap.map(|cap| cap.to_string()))
}

/// The time zone of the first number's country, where it has one; else UTC.
async fn zone_of_numbers(app: &App, numbers: &[i64]) -> Result<Tz> {
    let Some(first) = numbers.first() else { return Ok(Tz::UTC) };
    let display = app.store.number(*first).await?.map(|number| number.display).unwrap_or_default();
    let number = domain::phone::parse(&display, None).ok();
    Ok(number.and_then(PhoneNumber::region).and_then(zone_of_region).unwrap_or(Tz::UTC))
}

/// Removes a draft; its name is free again.
///
/// # Errors
/// `WrongState` for a campaign that is no draft any more: what was launched stays for the record.
#[crate::boxed]
pub async fn discard(app: &App, id: i64) -> Result<()> {
    if app.store.remove_draft(id).await? {
        return Ok(());
    }
    let campaign = show(app, id).await?;
    Err(Fault::wrong_state(format!("The campaign is {}, and only a draft can be removed.", campaign.state))
        .action("Cancel it, if nothing more of it is to be sent."))
}

/// Our ids of the numbers, in their order, and the one account they all belong to.
pub(super) async fn numbers(app: &App, ids: &[String]) -> Result<(Vec<i64>, i64)> {
    let mut numbers = Vec::new();
    let mut account = None;
    for id in ids {
        let number = app.store.number_of_meta(id.trim()).await?.ok_or_else(|| {
            Fault::not_found(format!("There is no business number with the id {id:?}."))
                .action("`hudhud number list` shows what there is; `hudhud account sync` reads new ones.")
        })?;
        if *account.get_or_insert(number.account_id) != number.account_id {
            return Err(Fault::invalid("The numbers belong to different accounts; a template belongs to one."));
        }
        if !numbers.contains(&number.id) {
            numbers.push(number.id);
        }
    }
    account.map(|account| (numbers, account)).ok_or_else(|| {
        Fault::invalid("A campaign needs at least one business number.").action("Name one with --number.")
    })
}

pub(super) async fn template(app: &App, account_id: i64, name: &str, language: &str) -> Result<store::TemplateRow> {
    let found = app.store.templates_named(name.trim(), None).await?;
    let own: Vec<_> = found.into_iter().filter(|template| template.account_id == account_id).collect();
    if own.is_empty() {
        return Err(Fault::not_found(format!("The account of these numbers has no template {name:?}."))
            .action("`hudhud template list` shows what there is; `hudhud account sync` reads new ones."));
    }
    let languages: Vec<String> = own.iter().map(|template| template.language.clone()).collect();
    own.into_iter().find(|template| template.language == language.trim()).ok_or_else(|| {
        Fault::new(FaultKind::NotFound, format!("The template {name:?} has no language {language:?}."))
            .action(format!("It has {}: language keys are exact.", languages.join(", ")))
    })
}
