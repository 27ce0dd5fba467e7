//! WhatsApp Business Accounts: adding them, their secrets, and reading their numbers and templates from Meta.

mod inspect;
mod rotation;

use cloud_api::{AccountId, GraphError, MessagingLimit, MetaTemplate, Quality, RefusalKind, ThroughputLevel};
use domain::template::{MetaFields, ParameterFormat, Template};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use store::{Account, SyncedNumber, SyncedTemplate};

use crate::fault::{Fault, FaultKind, Result};
use crate::vault::UnsealError;
use crate::{App, consequences, refusals};
pub(crate) use inspect::inspect;

pub(crate) use rotation::app_secrets;
pub use rotation::{begin_rotation, end_rotation};

/// An account to be added. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// What people will call it here: 1 to 100 characters. Unique.
    pub name: String,
    /// Meta's id of the WhatsApp Business Account.
    pub waba_id: String,
    /// Meta's id of the business portfolio, where known: its accounts share one messaging limit.
    pub portfolio: Option<String>,
    /// A system user's token with the two WhatsApp permissions.
    pub access_token: SecretString,
    /// The app's secret, which signs the webhooks.
    pub app_secret: SecretString,
    /// The word that answers the webhook's handshake.
    pub verify_token: SecretString,
}

/// An account as it may be shown: without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AccountView {
    /// Ours.
    pub id: i64,
    /// What people call it here.
    pub name: String,
    /// Meta's id.
    pub waba_id: String,
    /// The business portfolio.
    pub portfolio: Option<String>,
    /// Since when its app secret is being rotated: until that ends, the old one vouches for webhooks, too. RFC 3339.
    #[serde(serialize_with = "crate::views::iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub secret_rotation_since: Option<i64>,
    /// Why nothing of it is sent.
    pub stopped_reason: Option<String>,
    /// Since when, RFC 3339.
    #[serde(serialize_with = "crate::views::iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub stopped_at: Option<i64>,
    /// When its numbers and templates were last read, RFC 3339.
    #[serde(serialize_with = "crate::views::iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub synced_at: Option<i64>,
    /// RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub created_at: i64,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            waba_id: account.waba_id,
            portfolio: account.portfolio,
            secret_rotation_since: account.secret_rotation_since,
            stopped_reason: account.stopped_reason,
            stopped_at: account.stopped_at,
            synced_at: account.synced_at,
            created_at: account.created_at,
        }
    }
}

/// What a sync read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SyncReport {
    /// One per account.
    pub accounts: Vec<AccountSync>,
}

/// What a sync read of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AccountSync {
    /// The account's name.
    pub account: String,
    /// How many business numbers Meta lists.
    pub numbers: usize,
    /// How many templates Meta lists, one per name and language.
    pub templates: usize,
    /// How many templates Meta no longer lists and are marked as deleted now.
    pub templates_gone: u64,
}

/// Which of an account's secrets; each is sealed for its own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secret {
    Access,
    App,
    Verify,
}

impl Secret {
    fn place(self, waba_id: &str) -> String {
        let name = match self {
            Self::Access => "access-token",
            Self::App => "app-secret",
            Self::Verify => "verify-token",
        };
        format!("accounts/{waba_id}/{name}")
    }

    /// The secret without the line end that a file brings, if it can be one: visible ASCII on one line.
    fn checked(self, secret: &SecretString) -> Result<SecretString> {
        let what = match self {
            Self::Access => "access token",
            Self::App => "app secret",
            Self::Verify => "verify token",
        };
        let text = secret.expose_secret().trim();
        if text.is_empty() {
            return Err(Fault::invalid(format!("The {what} is empty.")));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::invalid(format!(
                "The {what} holds a blank, a line break or a character outside ASCII."
            )));
        }
        Ok(SecretString::from(text))
    }
}

/// Adds an account. Nothing is asked of Meta yet: that is [`sync`].
///
/// # Errors
/// `Invalid` for a name, id or secret that cannot be one; `Conflict` when the name or the WABA id is taken.
#[crate::boxed]
pub async fn add(app: &App, new: NewAccount) -> Result<AccountView> {
    let name: domain::names::ListName =
        new.name.parse().map_err(|error| Fault::invalid(format!("Account: {error}.")))?;
    let waba_id = AccountId::parse(new.waba_id.trim()).map_err(|error| Fault::invalid(format!("WABA id: {error}.")))?;
    let seal = |secret: Secret, text: &SecretString| -> Result<Vec<u8>> {
        Ok(app.vault.seal(&secret.place(waba_id.as_str()), &secret.checked(text)?)?)
    };
    let access_token = seal(Secret::Access, &new.access_token)?;
    let app_secret = seal(Secret::App, &new.app_secret)?;
    let verify_token = seal(Secret::Verify, &new.verify_token)?;
    let row = store::NewAccount {
        name: name.as_str(),
        waba_id: waba_id.as_str(),
        portfolio: new.portfolio.as_deref().map(str::trim).filter(|text| !text.is_empty()),
        access_token: &access_token,
        app_secret: &app_secret,
        verify_token: &verify_token,
        now: app.clock.now_ms(),
    };
    let added = app.store.add_account(row).await;
    if let Err(store::Error::Conflict(_)) = added {
        return Err(Fault::conflict(format!(
            "An account called {name}, or with the WABA id {waba_id}, is there already."
        ))
        .action("`hudhud account rotate` gives an account a new token."));
    }
    added?;
    find(app, name.as_str()).await.map(AccountView::from)
}

/// Gives an account a new access token, and lifts a stop that the old one caused.
///
/// # Errors
/// `NotFound`; `Invalid` for a token that cannot be one.
#[crate::boxed]
pub async fn rotate(app: &App, name: &str, access_token: &SecretString) -> Result<AccountView> {
    let account = find(app, name).await?;
    let token = Secret::Access.checked(access_token)?;
    let sealed = app.vault.seal(&Secret::Access.place(&account.waba_id), &token)?;
    app.store.rotate_token(&account.name, &sealed).await?;
    app.scheduler_wake.notify_waiters();
    find(app, name).await.map(AccountView::from)
}

/// Every account, by name.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn list(app: &App) -> Result<Vec<AccountView>> {
    Ok(app.store.accounts().await?.into_iter().map(AccountView::from).collect())
}

/// Reads the business numbers and templates of one account, or of all, from the Graph API, all pages, and keeps them.
/// An account that answers is no longer stopped.
///
/// # Errors
/// `NotFound`; `Forbidden` when Meta refuses the token; `Unavailable` when the Graph API cannot be reached. Of several
/// accounts the others are read all the same; the fault is the first one's, and says which were.
#[crate::boxed]
pub async fn sync(app: &App, name: Option<&str>) -> Result<SyncReport> {
    let accounts = match name {
        Some(name) => vec![find(app, name).await?],
        None => app.store.accounts().await?,
    };
    sync_each(app, &accounts).await
}

/// As [`sync`] of all, without being asked: heals what missed webhooks would have told. Stopped accounts are left alone:
/// whether one may go on is for a person to say.
///
/// # Errors
/// As [`sync`].
#[crate::boxed]
pub async fn reread(app: &App) -> Result<SyncReport> {
    let mut accounts = app.store.accounts().await?;
    accounts.retain(|account| account.stopped_reason.is_none());
    sync_each(app, &accounts).await
}

async fn sync_each(app: &App, accounts: &[Account]) -> Result<SyncReport> {
    let mut read = Vec::with_capacity(accounts.len());
    let mut first_fault = None;
    for account in accounts {
        match sync_one(app, account).await {
            Ok(sync) => read.push(sync),
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    match first_fault {
        None => Ok(SyncReport { accounts: read }),
        Some(fault) if read.is_empty() => Err(fault),
        Some(fault) => {
            let names: Vec<_> = read.iter().map(|sync| sync.account.as_str()).collect();
            Err(fault.kept(format!("These accounts were read and kept: {}.", names.join(", "))))
        }
    }
}

/// Meta's word for a number that people complain about.
const RED: &str = "RED";
/// Why such a number is paused.
const FELL_TO_RED: &str =
    "Meta rates its quality as low (RED): find out what people complain about before you resume it";

/// Reads one account anew because a webhook says that something of it changed. A stop of the account stays.
///
/// # Errors
/// When the database is away. What Meta would not tell is read by the next sync.
pub(crate) async fn reread_one(app: &App, account_id: i64) -> Result<()> {
    if let Some(account) = app.store.account(account_id).await?
        && account.stopped_reason.is_none()
    {
        sync_one(app, &account).await?;
    }
    Ok(())
}

async fn sync_one(app: &App, account: &Account) -> Result<AccountSync> {
    let token = open_access_token(app, account)?;
    let waba = AccountId::parse(&account.waba_id).map_err(anyhow::Error::from)?;
    let (numbers, templates) = tokio::join!(app.graph.phone_numbers(&token, &waba), app.graph.templates(&token, &waba));
    let numbers: Vec<_> =
        numbers.map_err(|error| graph_fault(account, error))?.into_iter().map(synced_number).collect();
    let templates: Vec<_> =
        templates.map_err(|error| graph_fault(account, error))?.into_iter().map(synced_template).collect();
    let now = app.clock.now_ms();
    let before = app.store.numbers().await?;
    app.store.sync_numbers(account.id, &numbers, now).await?;
    for number in before.iter().filter(|number| number.quality != RED) {
        // A person may resume it all the same: only a fall to red pauses.
        if numbers.iter().any(|synced| synced.phone_number_id == number.phone_number_id && synced.quality == RED) {
            consequences::pause_number(app, number.id, FELL_TO_RED).await;
        }
    }
    app.store.count_reached(account.id, now).await?;
    let templates_gone = app.store.sync_templates(account.id, &templates, now).await?;
    app.store.mark_synced(account.id, now).await?;
    if account.stopped_reason.is_some() {
        app.store.set_account_stopped(account.id, None, now).await?;
    }
    consequences::resume_for_templates(app, account.id).await?;
    app.scheduler_wake.notify_waiters();
    Ok(AccountSync {
        account: account.name.clone(),
        numbers: numbers.len(),
        templates: templates.len(),
        templates_gone,
    })
}

fn graph_fault(account: &Account, error: GraphError) -> Fault {
    let name = &account.name;
    match error {
        GraphError::Refused(refusal) if refusal.kind == RefusalKind::Credential => {
            let advice = refusals::advice(refusals::class_of(refusal.kind), refusal.code);
            Fault::new(FaultKind::Forbidden, format!("Account {name}: {advice}"))
                .action(format!("`hudhud account rotate {name} --access-token-file FILE`, then sync again."))
        }
        GraphError::Token => Fault::new(FaultKind::Forbidden, format!("Account {name}: {error}."))
            .action(format!("`hudhud account rotate {name} --access-token-file FILE`, then sync again.")),
        other => Fault::unavailable(format!("Account {name}: {other}."))
            .action("Try again in some minutes; what was read before stays in use until then."),
    }
}

fn synced_number(number: cloud_api::BusinessNumber) -> SyncedNumber {
    let throughput = match number.throughput {
        None | Some(ThroughputLevel::Standard) => "STANDARD".to_owned(),
        Some(ThroughputLevel::High) => "HIGH".to_owned(),
        Some(ThroughputLevel::NotApplicable) => "NOT_APPLICABLE".to_owned(),
        Some(ThroughputLevel::Other(word)) => word,
    };
    let quality = match number.quality {
        Quality::Green => "GREEN".to_owned(),
        Quality::Yellow => "YELLOW".to_owned(),
        Quality::Red => "RED".to_owned(),
        Quality::Unrated => "UNKNOWN".to_owned(),
        Quality::Other(word) => word,
    };
    let messaging_limit = match number.messaging_limit {
        None => String::new(),
        Some(MessagingLimit::People(people)) => people.to_string(),
        Some(MessagingLimit::Unlimited) => "UNLIMITED".to_owned(),
        Some(MessagingLimit::Other(word)) => word,
    };
    SyncedNumber {
        phone_number_id: number.id,
        display: number.display_phone_number.unwrap_or_default(),
        verified_name: number.verified_name.unwrap_or_default(),
        quality,
        throughput,
        messaging_limit,
        status: number.status.unwrap_or_default(),
        on_biz_app: number.is_on_biz_app == Some(true),
    }
}

fn synced_template(template: MetaTemplate) -> SyncedTemplate {
    // Older templates come without a format; their placeholders tell it.
    let understood = Template::from_meta(&MetaFields {
        name: &template.name,
        language: &template.language,
        category: &template.category,
        status: &template.status,
        parameter_format: template.parameter_format.as_deref(),
        components: &template.components,
    });
    let named = understood.is_ok_and(|template| template.format == ParameterFormat::Named);
    SyncedTemplate {
        meta_id: template.id,
        name: template.name,
        language: template.language,
        status: template.status,
        category: template.category,
        parameter_format: if named { "NAMED" } else { "POSITIONAL" }.to_owned(),
        quality: template.quality_score.unwrap_or_default(),
        components: template.components.to_string(),
        ttl_seconds: template.message_send_ttl_seconds,
    }
}

async fn find(app: &App, name: &str) -> Result<Account> {
    let found = app.store.account_named(name.trim()).await?;
    found.ok_or_else(|| {
        Fault::not_found(format!("There is no account called {name}.")).action("`hudhud account sync` lists them.")
    })
}

/// The access token of the account of our id.
///
/// # Errors
/// `NotFound`; `Internal` when it was sealed under another key or is damaged.
#[crate::boxed]
pub async fn access_token(app: &App, account_id: i64) -> Result<SecretString> {
    let account = app.store.account(account_id).await?;
    open_access_token(app, &account.ok_or_else(|| Fault::not_found("There is no such account."))?)
}

/// The access token of an account.
///
/// # Errors
/// `Internal` when it was sealed under another key or is damaged.
pub fn open_access_token(app: &App, account: &Account) -> Result<SecretString> {
    open(app, account, Secret::Access, &account.access_token)
}

/// The app secret of an account, which signs its webhooks.
///
/// # Errors
/// `Internal` when it was sealed under another key or is damaged.
pub fn app_secret(app: &App, account: &Account) -> Result<SecretString> {
    open(app, account, Secret::App, &account.app_secret)
}

/// The verify token of an account, which answers the webhook's handshake.
///
/// # Errors
/// `Internal` when it was sealed under another key or is damaged.
pub fn verify_token(app: &App, account: &Account) -> Result<SecretString> {
    open(app, account, Secret::Verify, &account.verify_token)
}

fn open(app: &App, account: &Account, secret: Secret, sealed: &[u8]) -> Result<SecretString> {
    app.vault.open(&secret.place(&account.waba_id), sealed).map_err(|error: UnsealError| {
        Fault::new(FaultKind::Internal, format!("Account {}: {error}.", account.name))
            .action("Start with the HUDHUD_SECRET_KEY that this database was filled under.")
            .because(error)
    })
}

#[cfg(test)]
mod tests;
