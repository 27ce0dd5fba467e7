//! What a refusal means beyond its message, done: a campaign paused, a number paused, an account stopped, a person
//! suppressed. Failing to do it is logged; the next refusal tries again.

use domain::campaign::CampaignEvent;
use store::{Moved, Stop};

use crate::{Actor, App, evidence};

/// Pauses a campaign for a reason that a person must look at.
pub(crate) async fn pause_campaign(app: &App, campaign_id: i64, reason: &str) {
    let now = app.clock.now_ms();
    match app.store.move_campaign(campaign_id, CampaignEvent::Paused, Some(reason), None, now).await {
        Ok(Moved::To(_)) => {
            tracing::warn!(campaign = campaign_id, reason, "the campaign is paused; everyone keeps their place")
        }
        // It was paused, cancelled or finished before.
        Ok(Moved::Refused(_) | Moved::NotFound) => {}
        Err(error) => tracing::error!(campaign = campaign_id, %error, "the campaign could not be paused"),
    }
}

/// Pauses the lane's number.
pub(crate) async fn pause_number(app: &App, number_id: i64, reason: &str) {
    let paused = async {
        let number = app.store.number(number_id).await?;
        if let Some(number) = number.filter(|number| number.paused_reason.is_none()) {
            app.store.set_number_paused(&number.phone_number_id, Some(reason), app.clock.now_ms()).await?;
            tracing::warn!(number = number_id, reason, "the number is paused; everyone keeps their place");
        }
        Ok::<_, store::Error>(())
    };
    if let Err(error) = paused.await {
        tracing::error!(number = number_id, %error, "the number could not be paused");
    }
}

/// Stops the account of the lane's number. `refused_token`: its sealed token that was refused; where the account has
/// another one by now, it is not stopped.
pub(crate) async fn stop_account(app: &App, number_id: i64, refused_token: Option<&[u8]>, reason: &str) {
    let stopped = async {
        let Some(number) = app.store.number(number_id).await? else { return Ok(()) };
        let Some(account) = app.store.account(number.account_id).await? else { return Ok(()) };
        if refused_token.is_some_and(|refused| refused != account.access_token) {
            tracing::info!(account = account.id, "Meta refused a token that was replaced meanwhile");
            return Ok(());
        }
        if account.stopped_reason.is_none() {
            app.store.set_account_stopped(number.account_id, Some(reason), app.clock.now_ms()).await?;
            tracing::warn!(account = number.account_id, reason, "the account is stopped; everyone keeps their place");
        }
        Ok::<_, store::Error>(())
    };
    if let Err(error) = stopped.await {
        tracing::error!(number = number_id, %error, "the account could not be stopped");
    }
}

/// Suppresses a person whom Meta says has opted out (131050).
pub(crate) async fn suppress(app: &App, contact_id: i64, campaign_id: i64) {
    let detail = serde_json::json!({"said": "Meta refuses marketing to this person: they stopped it", "code": 131_050});
    let stopped = async {
        let evidence = evidence::entry(app, "opt-out", &Actor::system(), &detail)?;
        let stop = Stop {
            contact_id: Some(contact_id),
            phone: None,
            user_id: None,
            parent_user_id: None,
            quoted_wamid: None,
            campaign_id: Some(campaign_id),
            scope: "marketing",
            source: "meta",
            at: app.clock.now_ms(),
            evidence,
        };
        app.store.stop(&stop).await?;
        anyhow::Ok(())
    };
    match stopped.await {
        Ok(()) => metrics::counter!("hudhud_optouts_total", "source" => "meta").increment(1),
        Err(error) => tracing::error!(
            contact = contact_id,
            error = format!("{error:#}"),
            "a person whom Meta calls opted out could not be suppressed"
        ),
    }
}
