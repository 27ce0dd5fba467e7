//! Making a campaign: everything it names must exist and fit together.

use std::collections::BTreeMap;
use std::str::FromStr;

use domain::names::CampaignName;
use domain::template::Plan;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::campaigns::{CampaignView, show};
use crate::fault::{Fault, FaultKind, Result};
use crate::renderer::KeptTemplate;
use crate::{Actor, App};

/// The weight of a campaign that nobody gave one.
const USUAL_WEIGHT: u32 = 10;

/// What a person says of a new campaign.
#[derive(Clone, Debug, Deserialize, ToSchema)]
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
}

/// Makes a draft.
///
/// # Errors
/// Names whatever does not exist or does not fit.
pub async fn create(app: &App, actor: &Actor, new: &NewCampaign) -> Result<CampaignView> {
    let name = CampaignName::from_str(&new.name)
        .map_err(|error| Fault::invalid(format!("The campaign's name cannot be used: {error}.")))?;
    let (lists, excluded) = (list_ids(app, &new.lists).await?, list_ids(app, &new.excluded_lists).await?);
    if lists.is_empty() {
        return Err(Fault::invalid("A campaign needs at least one list.").action("Name one with --list."));
    }
    if let Some(both) = new.lists.iter().find(|list| new.excluded_lists.contains(list)) {
        return Err(Fault::invalid(format!("The list {both:?} is both included and excluded.")));
    }
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
        .map(domain::schedule::parse_at)
        .transpose()
        .map_err(|error| Fault::invalid(format!("The start time cannot be read: {error}.")))?;
    if start_at.is_some_and(|at| at < app.clock.now_ms() - 60_000) {
        return Err(Fault::invalid("The start time is in the past.").action("Leave it out to start at launch."));
    }
    let made = store::NewCampaign {
        name: name.as_str(),
        account_id,
        template_id: template.id,
        template: &serde_json::to_string(&kept).map_err(Fault::internal)?,
        params: &serde_json::to_string(&new.params).map_err(Fault::internal)?,
        rate_cap: new.rate.map(i64::from),
        weight: i64::from(weight),
        start_at,
        lists: &lists,
        excluded_lists: &excluded,
        numbers: &numbers,
        created_by: actor.as_str(),
    };
    match app.store.create_campaign(&made, app.clock.now_ms()).await {
        Ok(id) => show(app, id).await,
        Err(store::Error::Conflict(_)) => {
            Err(Fault::conflict(format!("There is a campaign {:?} already.", name.as_str()))
                .action("Choose another name."))
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes a draft; its name is free again.
///
/// # Errors
/// `WrongState` for a campaign that is no draft any more: what was launched stays for the record.
pub async fn discard(app: &App, id: i64) -> Result<()> {
    if app.store.remove_draft(id).await? {
        return Ok(());
    }
    let campaign = show(app, id).await?;
    Err(Fault::wrong_state(format!("The campaign is {}, and only a draft can be removed.", campaign.state))
        .action("Cancel it, if nothing more of it is to be sent."))
}

async fn list_ids(app: &App, names: &[String]) -> Result<Vec<i64>> {
    let mut ids = Vec::new();
    for name in names {
        let id = app.store.list_id(name.trim()).await?;
        ids.push(id.ok_or_else(|| {
            Fault::not_found(format!("There is no list {name:?}.")).action("`hudhud list ls` shows what there is.")
        })?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Our ids of the numbers, in their order, and the one account they all belong to.
async fn numbers(app: &App, ids: &[String]) -> Result<(Vec<i64>, i64)> {
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

async fn template(app: &App, account_id: i64, name: &str, language: &str) -> Result<store::TemplateRow> {
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
