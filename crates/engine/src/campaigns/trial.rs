//! A campaign's message to a number of the house, to see it on a phone before anybody else does: through the lane that it
//! would take, and counted nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{MessageKind, NewMessage};
use utoipa::ToSchema;

use crate::campaigns::row;
use crate::campaigns::single::{Consent, MessageView, NOTHING, Outbound, fits, name_of, read_number, view};
use crate::campaigns::steer::note;
use crate::fault::{Fault, Result};
use crate::views::iso;
use crate::{Actor, App};

/// To whom a campaign's message is sent on trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestOrder {
    /// A number of the house, with its country code: one of those in the rules.
    pub to: String,
}

/// Sends a campaign's message to a number of the house, with its columns' names where the person has nothing to fill them.
/// It is not counted in the campaign, whose audience stays as it is.
///
/// # Errors
/// `WrongState` for a number that is not one of the house, and as [`crate::campaigns::send_message`].
#[crate::boxed]
pub async fn try_out(app: &Arc<App>, actor: &Actor, id: i64, order: &TestOrder) -> Result<MessageView> {
    let campaign = row(app, id).await?;
    let to = read_number(&order.to)?;
    let own = app.store.test_people().await?;
    let person = own.iter().find(|person| person.phone_key == i64::try_from(to.key()).ok()).ok_or_else(|| {
        Fault::wrong_state("A test goes to a number of the house, and this is none.")
            .kept(NOTHING)
            .action("`hudhud rules set --test-number PHONE` names those that there are.")
    })?;
    let synced = app.store.template_of(&campaign).await?;
    let template = synced.ok_or_else(|| Fault::wrong_state("The template is gone.").kept(NOTHING))?;
    let params: BTreeMap<String, String> = serde_json::from_str(&campaign.params).map_err(Fault::internal)?;
    let params = params.into_iter().map(|(key, text)| (key, with_names(&text))).collect();
    let number_id = sender_of(app, id, person.id).await?;
    let outbound = Outbound { template: &template, account_id: campaign.account_id, number_id, params: &params };
    let (kept, plan) = outbound.check(app, to).await?;
    outbound.is_welcome(app, person.id, Consent::OfTheHouse).await?;
    fits(app, &plan, person.id).await?;
    let (template_text, params) = (serde_json::to_string(&kept), serde_json::to_string(&params));
    let (template_text, params) = (template_text.map_err(Fault::internal)?, params.map_err(Fault::internal)?);
    let now = app.clock.now_ms();
    let first = format!("test of campaign {id} at {}", iso(now));
    for again in 0..100 {
        let key = if again == 0 { first.clone() } else { format!("{first} ({again})") };
        let new = NewMessage {
            name: &name_of(&key),
            kind: MessageKind::Test,
            account_id: campaign.account_id,
            template_id: Some(template.id),
            template: &template_text,
            params: &params,
            number_id,
            contact_id: person.id,
            created_by: actor.as_str(),
            parent_id: Some(id),
        };
        match app.store.queue_message(&new, now).await {
            Ok(made) => {
                note(app, actor, "tried out", id, &json!({"message": made})).await?;
                app.scheduler_wake.notify_waiters();
                return view(app, &key, made).await;
            }
            // Another test of this very second has the name.
            Err(store::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::conflict("It is tried out too often at once.").kept(NOTHING).action("Try again in a moment."))
}

/// The number (our id) that a campaign would write to a person from.
async fn sender_of(app: &App, id: i64, person: i64) -> Result<i64> {
    let numbers = app.store.campaign_number_ids(id).await?;
    let place = usize::try_from(person).unwrap_or(0).checked_rem(numbers.len()).unwrap_or(0);
    numbers.get(place).copied().ok_or_else(|| Fault::wrong_state("The campaign has no business number.").kept(NOTHING))
}

/// A text whose columns have their own names to fall back on: `{name}` becomes `{name|[name]}`.
fn with_names(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = from.find('}') else {
            rest = from;
            break;
        };
        let column = &from[1..end];
        let is_bare = !column.trim().is_empty() && !column.contains(['|', '{']);
        let filled = if is_bare { format!("{{{column}|[{}]}}", column.trim()) } else { from[..=end].to_owned() };
        out.push_str(&filled);
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_anything_to_fall_back_on_shows_its_name() {
        for (text, expected) in [
            ("Hi {name}!", "Hi {name|[name]}!"),
            ("{name|friend}, {city}", "{name|friend}, {city|[city]}"),
            ("20% off", "20% off"),
            ("an open {brace", "an open {brace"),
        ] {
            assert_eq!(with_names(text), expected);
        }
    }
}
