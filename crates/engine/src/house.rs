//! The rules of the house: what holds for every campaign, whoever makes it.

use std::str::FromStr;

use domain::frequency::FrequencyCap;
use domain::phone::PhoneNumber;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::campaigns::{BlackoutDays, blackout_days, read_blackouts, single};
use crate::fault::{Fault, Result};
use crate::{Actor, App, evidence};

/// The rules as they are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RulesView {
    /// At most so many marketing messages to one person in so many days, over all campaigns (`4/7d`); `null`: no cap.
    pub frequency_cap: Option<String>,
    /// A campaign to more people than this needs a second person's approval; `null`: none does.
    pub approval_above: Option<i64>,
    /// The numbers of the house itself, which test messages go to.
    pub test_numbers: Vec<String>,
    /// Days on which nothing of a marketing campaign is sent, by each person's own calendar.
    pub blackouts: Vec<BlackoutDays>,
}

/// Rules to be changed. What is left out stays; `null` takes a rule away.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesChange {
    /// At most so many marketing messages to one person in so many days: `4/7d`.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub frequency_cap: Option<Option<String>>,
    /// A campaign to more people than this needs a second person's approval.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub approval_above: Option<Option<i64>>,
    /// The numbers of the house itself, with their country codes: all of them, in the place of those that there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_numbers: Option<Vec<String>>,
    /// Days on which nothing of a marketing campaign is sent: all of them, in the place of those that there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackouts: Option<Vec<BlackoutDays>>,
}

/// More would be a campaign.
const MOST_TEST_NUMBERS: usize = 50;

/// `null` is said, and something else than nothing.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A person's number as it is written.
fn written(person: &store::Contact) -> Option<String> {
    person.phone.map(|digits| format!("+{digits}"))
}

/// The rules in force.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn rules(app: &App) -> Result<RulesView> {
    Ok(RulesView {
        frequency_cap: app.store.house_frequency_cap().await?.map(|cap| cap.to_string()),
        approval_above: app.store.approval_above().await?,
        test_numbers: app.store.test_people().await?.iter().filter_map(written).collect(),
        blackouts: app.store.house_blackouts().await?.iter().map(blackout_days).collect(),
    })
}

/// Changes rules. They hold from the next claim, and the next launch, on; the ledger keeps who changed them.
///
/// # Errors
/// `Invalid` for a rule that cannot be read; then none is changed.
#[crate::boxed]
pub async fn set_rules(app: &App, actor: &Actor, change: &RulesChange) -> Result<RulesView> {
    let cap = match &change.frequency_cap {
        None => None,
        Some(None) => Some(None),
        Some(Some(text)) => Some(Some(
            FrequencyCap::from_str(text)
                .map_err(|error| Fault::invalid(format!("The frequency cap cannot be read: {error}.")))?,
        )),
    };
    if change.approval_above.flatten().is_some_and(|people| people < 0) {
        return Err(Fault::invalid("A number of people is not below zero."));
    }
    let numbers = change.test_numbers.as_deref().map(read_numbers).transpose()?;
    let blackouts = change.blackouts.as_deref().map(read_blackouts).transpose()?;
    let before = rules(app).await?;
    if let Some(numbers) = numbers {
        let mut people = Vec::new();
        for number in numbers {
            people.push(single::person(app, number).await?);
        }
        app.store.set_test_people(&people).await?;
    }
    if let Some(cap) = cap {
        app.store.set_house_frequency_cap(cap).await?;
    }
    if let Some(people) = change.approval_above {
        app.store.set_approval_above(people).await?;
    }
    if let Some(blackouts) = blackouts {
        app.store.set_house_blackouts(&blackouts).await?;
        if before.blackouts.iter().any(|days| !blackouts.iter().any(|kept| blackout_days(kept) == *days)) {
            wake(app).await?;
        }
    }
    let after = rules(app).await?;
    if before != after {
        let detail = json!({"from": counted(&before), "to": counted(&after)});
        let entry = evidence::entry(app, "rules", actor, &detail).map_err(Fault::internal)?;
        app.store.append_entry(&entry).await?;
    }
    Ok(after)
}

/// Rules as the ledger keeps them: who can be tested with is counted there, and not named.
fn counted(rules: &RulesView) -> serde_json::Value {
    json!({
        "frequency_cap": rules.frequency_cap,
        "approval_above": rules.approval_above,
        "test_numbers": rules.test_numbers.len(),
        "blackouts": rules.blackouts,
    })
}

/// Lets whoever waits for the end of blackout days be looked at again, since some were taken away. In short writes; where
/// it breaks off, those who are left wait until the end that was told them.
async fn wake(app: &App) -> Result<()> {
    let now = app.clock.now_ms();
    for lane in app.store.feedable().await? {
        while app.store.wake_from_blackouts(lane.campaign_id, lane.number_id, now).await? > 0 {}
    }
    app.scheduler_wake.notify_waiters();
    Ok(())
}

fn read_numbers(numbers: &[String]) -> Result<Vec<PhoneNumber>> {
    if numbers.len() > MOST_TEST_NUMBERS {
        return Err(Fault::invalid(format!("At most {MOST_TEST_NUMBERS} numbers can be tested with.")));
    }
    numbers.iter().map(|number| single::read_number(number)).collect()
}
