//! What a refusal means beyond its message, done: a campaign paused, a number paused, an account stopped, a person
//! suppressed. Failing to do it is logged; the next refusal tries again.

use domain::campaign::{CampaignEvent, CampaignState};
use domain::optout::scope::Way;
use store::{Moved, Stop};

use crate::campaigns;
use crate::fault::FaultKind;
use crate::refusals::AWAITS_TEMPLATE;
use crate::{Actor, App, evidence};

/// The template is paused, or its pacing dropped the message.
const TEMPLATE_PAUSED: i64 = 132_015;

/// Pauses a campaign for a reason that a person must look at.
pub(crate) async fn pause_campaign(app: &App, campaign_id: i64, reason: &str) {
    let now = app.clock.now_ms();
    match app.store.move_campaign(campaign_id, CampaignEvent::Paused, Some(reason), None, now).await {
        Ok(Moved::To(_)) => {
            tracing::warn!(campaign = campaign_id, reason, "the campaign is paused; everyone keeps their place")
        }
        // It was paused, cancelled or finished before.
        Ok(Moved::Refused(_) | Moved::AwaitsUndo(_) | Moved::NotFound) => {}
        Err(error) => tracing::error!(campaign = campaign_id, %error, "the campaign could not be paused"),
    }
}

/// Pauses a campaign until its template may be sent again, and remembers that Meta paused it.
pub(crate) async fn pause_for_template(app: &App, campaign_id: i64, code: i64, reason: &str) {
    let noted = async {
        let Some(campaign) = app.store.campaign(campaign_id).await? else { return Ok(()) };
        // One that is only being prepared is approved already.
        if code == TEMPLATE_PAUSED
            && let Some(template) = app.store.template_of(&campaign).await?
        {
            let (name, language) = (&template.name, &template.language);
            app.store.set_template_status(campaign.account_id, name, language, "PAUSED").await?;
        }
        Ok::<_, store::Error>(())
    };
    if let Err(error) = noted.await {
        tracing::error!(campaign = campaign_id, %error, "it could not be noted that Meta paused the template");
    }
    pause_campaign(app, campaign_id, reason).await;
}

/// Lets the campaigns of an account go on that wait for a template which is approved by now. A campaign that a person
/// paused, or that anything else holds, stays paused.
///
/// # Errors
/// When the database is away.
pub(crate) async fn resume_for_templates(app: &App, account_id: i64) -> anyhow::Result<()> {
    for campaign in app.store.campaigns_alive().await? {
        let waits = campaign.account_id == account_id
            && campaign.state()? == CampaignState::Paused
            && campaign.reason.as_deref().is_some_and(|reason| reason.starts_with(AWAITS_TEMPLATE));
        if !waits || app.store.template_of(&campaign).await?.is_none_or(|found| found.status != "APPROVED") {
            continue;
        }
        match campaigns::resume(app, &Actor::system(), campaign.id).await {
            Ok(_) => tracing::info!(campaign = campaign.id, "its template is approved again: the campaign goes on"),
            Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault.into()),
            Err(fault) => {
                tracing::warn!(campaign = campaign.id, %fault, "its template is approved again; it stays paused")
            }
        }
    }
    Ok(())
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

/// Stops an account that Meta says may not send.
pub(crate) async fn stop_this_account(app: &App, account_id: i64, reason: &str) {
    let stopped = async {
        let Some(account) = app.store.account(account_id).await? else { return Ok(()) };
        if account.stopped_reason.is_none() {
            app.store.set_account_stopped(account_id, Some(reason), app.clock.now_ms()).await?;
            tracing::warn!(account = account_id, reason, "the account is stopped; everyone keeps their place");
        }
        Ok::<_, store::Error>(())
    };
    if let Err(error) = stopped.await {
        tracing::error!(account = account_id, %error, "the account could not be stopped");
    }
}

/// Stops every account of the business portfolio that the number belongs to; only its own where Meta's id of the
/// portfolio is not known.
pub(crate) async fn stop_portfolio(app: &App, number_id: i64, reason: &str) {
    let stopped = async {
        let Some(number) = app.store.number(number_id).await? else { return Ok(()) };
        let accounts = app.store.accounts().await?;
        let portfolio =
            accounts.iter().find(|account| account.id == number.account_id).and_then(|own| own.portfolio.as_ref());
        for account in &accounts {
            let shares = portfolio.is_some() && account.portfolio.as_ref() == portfolio;
            if (account.id == number.account_id || shares) && account.stopped_reason.is_none() {
                app.store.set_account_stopped(account.id, Some(reason), app.clock.now_ms()).await?;
                tracing::warn!(account = account.id, reason, "the account is stopped; everyone keeps their place");
            }
        }
        Ok::<_, store::Error>(())
    };
    if let Err(error) = stopped.await {
        tracing::error!(number = number_id, %error, "the portfolio could not be stopped");
    }
}

/// Suppresses a person whom Meta says has opted out (131050), with what it said, as it came, for evidence.
pub(crate) async fn suppress(app: &App, contact_id: i64, campaign_id: i64, raw: Option<&str>) {
    let stopped = async {
        let scope = app.scopes.known(app).await?.of(Way::Meta, None);
        let detail = serde_json::json!({
            "source": "meta", "said": "Meta refuses marketing to this person: they stopped it", "code": 131_050,
            "scope": scope.to_string(), "raw": raw,
        });
        let evidence = evidence::entry(app, "opt-out", &Actor::system(), &detail)?;
        let stop = Stop {
            contact_id: Some(contact_id),
            phone: None,
            user_id: None,
            parent_user_id: None,
            quoted_wamid: None,
            campaign_id: Some(campaign_id),
            scope,
            source: "meta",
            at: app.clock.now_ms(),
            evidence,
        };
        let stopped = app.store.stop(&stop).await?;
        app.departures.stop(&stopped.contact_ids, app.clock.boot_us());
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
