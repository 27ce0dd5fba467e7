//! Business numbers: how fast each may send, and pausing them.

use serde::Serialize;
use store::BusinessNumber;

use crate::App;
use crate::fault::{Fault, Result};

/// Messages per second that Meta lets a number send as a rule (as of 2026-09), and while it says nothing else.
const STANDARD_RATE: u32 = 80;
/// After Meta's upgrade to the level HIGH.
const HIGH_RATE: u32 = 1_000;
/// While staff also use the number in the WhatsApp Business app.
const BIZ_APP_RATE: u32 = 20;
/// Messages that came in are counted over so many seconds.
const LATELY: u32 = 3;
/// The longest reason for a pause, in characters.
const LONGEST_REASON: usize = 500;

/// A rate as a person sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// At most so many messages in any sliding second.
    PerSecond(u32),
    /// No limit of ours: for a simulator on this machine only.
    Unlimited,
    /// What Meta's throughput level allows.
    FromLevel,
}

impl std::str::FromStr for Rate {
    type Err = Fault;

    /// `40`, `unlimited` or `level`.
    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "unlimited" => Ok(Self::Unlimited),
            "level" => Ok(Self::FromLevel),
            number => number.parse().map(Self::PerSecond).map_err(|_| {
                Fault::invalid(format!(
                    "The rate {number:?} is neither a number of messages per second, `unlimited` nor `level`."
                ))
            }),
        }
    }
}

/// A business number as it is shown. Words in capitals are Meta's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NumberView {
    /// Ours.
    pub id: i64,
    /// The account's name.
    pub account: String,
    /// Meta's id.
    pub phone_number_id: String,
    /// The number as Meta writes it.
    pub display: String,
    /// The name that people see.
    pub verified_name: String,
    /// GREEN, YELLOW, RED, UNKNOWN.
    pub quality: String,
    /// STANDARD, HIGH, NOT_APPLICABLE.
    pub throughput: String,
    /// People per moving 24 hours that its portfolio may message, UNLIMITED, or empty where Meta does not say.
    pub messaging_limit: String,
    /// CONNECTED and others; REMOVED when Meta no longer lists it.
    pub status: String,
    /// Whether staff also use it in the WhatsApp Business app.
    pub on_biz_app: bool,
    /// The brand whose messages it sends, where somebody said so; a stop may be for one brand.
    pub brand: Option<String>,
    /// Messages per second in force; `null` is unlimited.
    pub rate: Option<u32>,
    /// The rate a person set; `null`: none.
    pub set_rate: Option<i64>,
    /// Why it is paused.
    pub paused_reason: Option<String>,
    /// Since when, RFC 3339.
    #[serde(serialize_with = "crate::views::iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub paused_at: Option<i64>,
    /// When Meta was last asked, RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub synced_at: i64,
}

/// Messages per second that Meta lets a number send.
#[must_use]
pub fn rate_of_level(number: &BusinessNumber) -> u32 {
    let level = match number.throughput.as_str() {
        _ if number.on_biz_app => BIZ_APP_RATE,
        "HIGH" => HIGH_RATE,
        // A word that we do not know promises nothing more.
        _ => STANDARD_RATE,
    };
    // People have begun to complain: fewer at a time get what the rest may be spared.
    if number.quality == "YELLOW" { level / 2 } else { level }
}

/// What is left of a rate while so many messages a second come in, which count against what Meta lets a number do.
pub(crate) fn beside_inbound(rate: Option<u32>, level: u32, inbound: u32) -> Option<u32> {
    // A simulator on this machine may be asked for more than Meta's level.
    rate.map(|rate| rate.min(level.max(rate).saturating_sub(inbound)).max(1))
}

/// Messages a second that came in on a number lately, rounded up to twentieths of what Meta lets it do, so that the pace
/// does not follow every single one.
///
/// # Errors
/// When the database is away.
pub(crate) async fn inbound_lately(app: &App, number: &BusinessNumber) -> store::Result<u32> {
    let since = app.clock.now_ms().saturating_sub(i64::from(LATELY) * 1_000);
    let came = u32::try_from(app.store.inbound_since(number.id, since).await?).unwrap_or(u32::MAX);
    let step = (rate_of_level(number) / 20).max(1);
    Ok(came.div_ceil(LATELY).div_ceil(step).saturating_mul(step))
}

/// Messages that a number may send in any sliding second, now; `None`: as many as it can. What a person set is in
/// force when it is lower than what Meta allows; against a simulator on this machine also when it is higher.
#[must_use]
pub fn rate_in_force(app: &App, number: &BusinessNumber) -> Option<u32> {
    rate(number, app.graph_is_loopback)
}

fn rate(number: &BusinessNumber, loopback: bool) -> Option<u32> {
    let level = rate_of_level(number);
    match number.set_rate {
        Some(0) if loopback => None,
        Some(set) if set > 0 => {
            let set = u32::try_from(set).unwrap_or(u32::MAX);
            Some(if loopback { set } else { set.min(level) })
        }
        _ => Some(level),
    }
}

/// Whether a number can send, by what Meta says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// Nothing speaks against it.
    Fit,
    /// It can, and something is to be known.
    Doubtful(String),
    /// It cannot, and why.
    Unfit(String),
}

/// Meta's words for numbers that send nothing: not yet registered, cut off, banned or gone.
const UNFIT: [&str; 7] = ["PENDING", "UNVERIFIED", "DISCONNECTED", "BANNED", "MIGRATED", "DELETED", "OFFLINE"];

/// Says so before a campaign leaves by it. A number that was removed is another matter: [`store::REMOVED`].
pub(crate) fn fitness(number: &BusinessNumber) -> Fitness {
    let (id, status) = (&number.phone_number_id, number.status.as_str());
    if UNFIT.contains(&status) {
        return Fitness::Unfit(format!(
            "The business number {id} cannot send: Meta says it is {status}. Register or reconnect it in WhatsApp Manager, \
             then sync the account."
        ));
    }
    if number.quality == "RED" {
        return Fitness::Doubtful(format!(
            "Meta rates the quality of the business number {id} as low (RED): what it sends now may get it restricted."
        ));
    }
    match status {
        "" | "CONNECTED" | store::REMOVED => Fitness::Fit,
        _ => Fitness::Doubtful(format!("Meta says of the business number {id} that it is {status}.")),
    }
}

fn view(app: &App, number: BusinessNumber) -> NumberView {
    NumberView {
        rate: rate_in_force(app, &number),
        id: number.id,
        account: number.account,
        phone_number_id: number.phone_number_id,
        display: number.display,
        verified_name: number.verified_name,
        quality: number.quality,
        throughput: number.throughput,
        messaging_limit: number.messaging_limit,
        status: number.status,
        on_biz_app: number.on_biz_app,
        brand: number.brand,
        set_rate: number.set_rate,
        paused_reason: number.paused_reason,
        paused_at: number.paused_at,
        synced_at: number.synced_at,
    }
}

/// Every business number, by account.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn list(app: &App) -> Result<Vec<NumberView>> {
    Ok(app.store.numbers().await?.into_iter().map(|number| view(app, number)).collect())
}

/// One business number, by Meta's id.
///
/// # Errors
/// `NotFound`.
#[crate::boxed]
pub async fn show(app: &App, phone_number_id: &str) -> Result<NumberView> {
    find(app, phone_number_id).await.map(|number| view(app, number))
}

async fn find(app: &App, phone_number_id: &str) -> Result<BusinessNumber> {
    let found = app.store.number_of_meta(phone_number_id).await?;
    found.ok_or_else(|| {
        Fault::not_found(format!("There is no business number with the id {phone_number_id}."))
            .action("`hudhud number list` shows the ids; `hudhud account sync` reads new numbers from Meta.")
    })
}

/// Sets how fast a number may send. In force within a second or so.
///
/// # Errors
/// `NotFound`; `Invalid` for 0, for more than Meta allows, and for `Unlimited` while the Graph URL leads to Meta.
#[crate::boxed]
pub async fn set_rate(app: &App, phone_number_id: &str, wanted: Rate) -> Result<NumberView> {
    let number = find(app, phone_number_id).await?;
    let level = rate_of_level(&number);
    let set = match wanted {
        Rate::FromLevel => None,
        Rate::Unlimited if app.graph_is_loopback => Some(0),
        Rate::Unlimited => {
            return Err(Fault::invalid(
                "A number may send without a limit only while the Graph URL leads to this machine.",
            )
            .action("Set a number of messages per second."));
        }
        Rate::PerSecond(0) => {
            return Err(Fault::invalid("A rate of 0 would send nothing.")
                .action("`hudhud number pause` stops a number and keeps the reason."));
        }
        Rate::PerSecond(set) if set > level && !app.graph_is_loopback => {
            return Err(Fault::invalid(format!("Meta lets this number send {level} messages a second at the most."))
                .action("Set a lower rate; when Meta has raised its level, `hudhud account sync` reads it."));
        }
        Rate::PerSecond(set) => Some(i64::from(set)),
    };
    app.store.set_number_rate(phone_number_id, set).await?;
    show(app, phone_number_id).await
}

/// Pauses a number: nothing is claimed for it from the next claim on.
///
/// # Errors
/// `NotFound`; `Invalid` without a reason.
#[crate::boxed]
pub async fn pause(app: &App, phone_number_id: &str, reason: &str) -> Result<NumberView> {
    let reason = checked_reason(reason)?;
    if !app.store.set_number_paused(phone_number_id, Some(reason), app.clock.now_ms()).await? {
        return find(app, phone_number_id).await.map(|number| view(app, number));
    }
    show(app, phone_number_id).await
}

/// Lifts a number's pause.
///
/// # Errors
/// `NotFound`.
#[crate::boxed]
pub async fn resume(app: &App, phone_number_id: &str) -> Result<NumberView> {
    find(app, phone_number_id).await?;
    app.store.set_number_paused(phone_number_id, None, app.clock.now_ms()).await?;
    app.scheduler_wake.notify_waiters();
    show(app, phone_number_id).await
}

/// Pauses everything: nothing is claimed for any number from the next claim on.
///
/// # Errors
/// `Invalid` without a reason.
#[crate::boxed]
pub async fn pause_all(app: &App, reason: &str) -> Result<()> {
    app.store.set_paused_all(Some(checked_reason(reason)?)).await?;
    Ok(())
}

/// Why nothing at all is sent, if so: this database is held, or everything was paused.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn why_all_paused(app: &App) -> Result<Option<String>> {
    let paused = app.store.paused_all().await?;
    // A hold is never without a pause, and whoever paused for another reason must not hide it.
    if paused.is_some() { Ok(app.store.held().await?.or(paused)) } else { Ok(None) }
}

/// Lifts the pause of everything, and the hold of a restored database. Numbers and campaigns that were paused by
/// themselves stay so.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn resume_all(app: &App) -> Result<()> {
    app.store.set_paused_all(None).await?;
    app.scheduler_wake.notify_waiters();
    Ok(())
}

fn checked_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(Fault::invalid(format!("A pause needs a reason of 1 to {LONGEST_REASON} characters.")));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(throughput: &str, on_biz_app: bool, set_rate: Option<i64>) -> BusinessNumber {
        BusinessNumber {
            id: 1,
            account_id: 1,
            account: "shop".to_owned(),
            phone_number_id: "1".to_owned(),
            display: String::new(),
            verified_name: String::new(),
            quality: "GREEN".to_owned(),
            throughput: throughput.to_owned(),
            messaging_limit: String::new(),
            status: "CONNECTED".to_owned(),
            on_biz_app,
            brand: None,
            set_rate,
            paused_reason: None,
            paused_at: None,
            synced_at: 0,
        }
    }

    #[test]
    fn the_level_gives_the_rate_and_an_unknown_level_promises_nothing() {
        assert_eq!(rate(&number("STANDARD", false, None), false), Some(80));
        assert_eq!(rate(&number("HIGH", false, None), false), Some(1_000));
        assert_eq!(rate(&number("LUDICROUS", false, None), false), Some(80));
        assert_eq!(rate(&number("HIGH", true, None), false), Some(20));
    }

    #[test]
    fn a_number_whose_quality_falls_goes_at_half_its_level() {
        let yellow = |throughput| BusinessNumber { quality: "YELLOW".into(), ..number(throughput, false, None) };
        assert_eq!(rate(&yellow("STANDARD"), false), Some(40));
        assert_eq!(rate(&yellow("HIGH"), false), Some(500));
        assert_eq!(rate(&BusinessNumber { set_rate: Some(30), ..yellow("HIGH") }, false), Some(30));
    }

    #[test]
    fn what_comes_in_counts_against_the_level_and_not_against_a_lower_rate() {
        assert_eq!(beside_inbound(Some(80), 80, 12), Some(68));
        assert_eq!(beside_inbound(Some(40), 80, 12), Some(40));
        assert_eq!(beside_inbound(Some(40), 80, 50), Some(30));
        assert_eq!(beside_inbound(Some(80), 80, 500), Some(1), "never nothing at all");
        assert_eq!(beside_inbound(Some(2_000), 80, 100), Some(1_900), "against a simulator");
        assert_eq!(beside_inbound(None, 80, 500), None);
    }

    #[test]
    fn a_set_rate_only_lowers_and_unlimited_is_for_this_machine() {
        assert_eq!(rate(&number("STANDARD", false, Some(40)), false), Some(40));
        assert_eq!(rate(&number("STANDARD", false, Some(500)), false), Some(80));
        assert_eq!(rate(&number("STANDARD", false, Some(500)), true), Some(500));
        assert_eq!(rate(&number("STANDARD", false, Some(0)), true), None);
        // The same database later pointed at Meta: back to the level.
        assert_eq!(rate(&number("STANDARD", false, Some(0)), false), Some(80));
    }

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        assert_eq!("40".parse::<Rate>().unwrap(), Rate::PerSecond(40));
        assert_eq!("unlimited".parse::<Rate>().unwrap(), Rate::Unlimited);
        assert_eq!("level".parse::<Rate>().unwrap(), Rate::FromLevel);
        assert!("-1".parse::<Rate>().is_err());
    }
}
