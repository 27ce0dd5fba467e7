//! What a webhook says of an account's or a number's standing, followed at once; the account is read anew afterwards,
//! since such a webhook tells only a part.

use std::sync::Arc;

use cloud_api::MessagingLimit;
use cloud_api::webhook::StandingEvent;

use crate::{App, accounts, consequences};

/// Follows one event about an account (our id).
///
/// # Errors
/// When the database is away.
pub(crate) async fn follow(app: &Arc<App>, account_id: i64, event: &StandingEvent) -> anyhow::Result<()> {
    match event {
        StandingEvent::Capability { messaging_limit } => set_limit(app, account_id, messaging_limit.as_ref()).await?,
        StandingEvent::Number { display_phone_number, event, messaging_limit } => {
            tracing::info!(account = account_id, event, "Meta tells of a change of a business number");
            if event == "THROUGHPUT_UPGRADE" {
                upgrade(app, account_id, display_phone_number.as_deref()).await?;
            }
            set_limit(app, account_id, messaging_limit.as_ref()).await?;
        }
        StandingEvent::Account { event, ban_state, restrictions, violation } => {
            let why = why_stopped(event, ban_state.as_deref(), restrictions);
            tracing::warn!(
                account = account_id,
                event,
                ?ban_state,
                ?restrictions,
                ?violation,
                "Meta tells of the account"
            );
            if let Some(why) = why {
                consequences::stop_this_account(app, account_id, &why).await;
                return Ok(());
            }
        }
    }
    let app = Arc::clone(app);
    // Beside the statuses, which must not wait for the Graph API.
    tokio::spawn(async move {
        if let Err(fault) = accounts::reread_one(&app, account_id).await {
            tracing::warn!(account = account_id, %fault, "the account could not be read anew; the nightly sync will");
        }
    });
    Ok(())
}

async fn set_limit(app: &App, account_id: i64, limit: Option<&MessagingLimit>) -> anyhow::Result<()> {
    let words = match limit {
        Some(MessagingLimit::People(people)) => people.to_string(),
        Some(MessagingLimit::Unlimited) => "UNLIMITED".to_owned(),
        // Nothing that could be followed.
        Some(MessagingLimit::Other(_)) | None => return Ok(()),
    };
    app.store.set_messaging_limit(account_id, &words).await?;
    app.store.count_reached(account_id, app.clock.now_ms()).await?;
    tracing::info!(account = account_id, people = words, "Meta changed the messaging limit");
    Ok(())
}

/// The number may send as fast as Meta's level HIGH from now on.
async fn upgrade(app: &App, account_id: i64, display: Option<&str>) -> anyhow::Result<()> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let Some(wanted) = display.map(digits).filter(|digits| !digits.is_empty()) else { return Ok(()) };
    for number in app.store.numbers().await? {
        if number.account_id == account_id && digits(&number.display) == wanted {
            app.store.set_throughput(number.id, "HIGH").await?;
        }
    }
    Ok(())
}

/// Why an account may not send any more, and what a person must do; `None`: it may.
fn why_stopped(event: &str, ban_state: Option<&str>, restrictions: &[String]) -> Option<String> {
    let what = match (event, ban_state) {
        ("DISABLED_UPDATE", Some("DISABLE")) => "Meta disabled the account".to_owned(),
        ("ACCOUNT_DELETED", _) => "the account was deleted at Meta".to_owned(),
        ("ACCOUNT_OFFBOARDED", _) => "the account was taken off the Cloud API".to_owned(),
        ("ACCOUNT_RESTRICTION", _) if restrictions.is_empty() => "Meta restricted the account".to_owned(),
        // What forbids other things, calls or new numbers, does not forbid campaigns.
        ("ACCOUNT_RESTRICTION", _) => {
            let first = restrictions.iter().find(|restriction| restriction.contains("BIZ_INITIATED_MESSAGING"))?;
            format!("Meta restricted the account ({first})")
        }
        _ => return None,
    };
    Some(format!("{what}; look at it in WhatsApp Manager, appeal if you must, and then `hudhud account sync`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_stopped_by_what_forbids_campaigns_and_by_nothing_else() {
        let restricted = |what: &str| [what.to_owned()];
        for (event, ban, restrictions, stops) in [
            ("DISABLED_UPDATE", Some("DISABLE"), &[][..], true),
            ("DISABLED_UPDATE", Some("SCHEDULE_FOR_DISABLE"), &[], false),
            ("DISABLED_UPDATE", Some("REINSTATE"), &[], false),
            ("ACCOUNT_DELETED", None, &[], true),
            ("ACCOUNT_OFFBOARDED", None, &[], true),
            ("ACCOUNT_RECONNECTED", None, &[], false),
            ("ACCOUNT_VIOLATION", None, &[], false),
            ("ACCOUNT_RESTRICTION", None, &[], true),
            ("ACCOUNT_RESTRICTION", None, &restricted("RESTRICTED_BIZ_INITIATED_MESSAGING"), true),
            ("ACCOUNT_RESTRICTION", None, &restricted("RESTRICTED_ADD_PHONE_NUMBER_ACTION"), false),
            ("VOLUME_BASED_PRICING_TIER_UPDATE", None, &[], false),
        ] {
            assert_eq!(why_stopped(event, ban, restrictions).is_some(), stops, "{event} {ban:?} {restrictions:?}");
        }
    }
}
