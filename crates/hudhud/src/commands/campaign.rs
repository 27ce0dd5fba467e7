//! `hudhud campaign`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use engine::campaigns::BlackoutDays;
use serde_json::{Value, json};

use super::rules::blackout;
use super::wait::wait;
use super::{segment, with_client};
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;
use crate::http::problem::Problem;

/// `hudhud campaign …`
#[derive(Debug, Subcommand)]
pub enum Campaign {
    /// Draft a campaign
    Create(Box<Create>),
    /// Say what a launch would do, and what stands against it
    Preflight {
        /// Name or id
        campaign: String,
    },
    /// Freeze the audience and begin to send
    Launch {
        /// Refuse unless the audience has exactly this many people
        #[arg(long, value_name = "N")]
        expect_recipients: Option<u64>,
        /// Launch in spite of warnings
        #[arg(long)]
        yes: bool,
        /// Name or id
        campaign: String,
    },
    /// Send its message to a number of the house (see `hudhud rules`), to try it out; not counted in the campaign
    Test {
        /// The number, with its country code
        #[arg(long, value_name = "PHONE")]
        to: String,
        /// Name or id
        campaign: String,
    },
    /// Approve it exactly as it is, so that somebody else may launch it: see `hudhud rules`
    Approve {
        /// Name or id
        campaign: String,
    },
    /// Send nothing more for now
    Pause {
        /// Shown with the campaign
        #[arg(long)]
        reason: Option<String>,
        /// Name or id
        campaign: String,
    },
    /// Go on sending
    Resume {
        /// Name or id
        campaign: String,
    },
    /// End it: whatever has not gone will not go
    Cancel {
        /// Name or id
        campaign: String,
    },
    /// Change its own cap, also while it runs
    Rate {
        /// Name or id
        campaign: String,
        /// At most so many messages in any sliding second; none: no cap of its own
        #[arg(value_name = "N", value_parser = cap)]
        rate: Cap,
    },
    /// Draft a copy under another name
    Clone {
        /// Name or id
        campaign: String,
        /// The copy's name, unique
        new: String,
    },
    /// Draft a campaign for those whose message failed, never for the skipped
    RetryFailed {
        /// Name or id
        campaign: String,
        /// Only those who failed for this reason, as `campaign show` counts them: 131026
        #[arg(long)]
        code: Option<String>,
    },
    /// Show where it stands
    Show {
        /// Name or id
        campaign: String,
    },
    /// Wait until it is over
    Wait {
        /// Give up after so many seconds (or 10m, 2h); the campaign goes on
        #[arg(long, value_name = "S", value_parser = duration)]
        timeout: Option<Duration>,
        /// Name or id
        campaign: String,
    },
    /// Write every recipient and their state to a CSV file
    Export {
        /// The file to write
        file: PathBuf,
        /// Name or id
        campaign: String,
    },
    /// Show what it came to: who got it, what failed and why, what it cost, by hour, country and button
    Report {
        /// Name or id
        campaign: String,
    },
    /// Show two to six campaigns side by side
    Compare {
        /// Names or ids
        #[arg(required = true, num_args = 2..=6)]
        campaigns: Vec<String>,
    },
    /// List the campaigns, newest first
    Ls {
        /// Only those whose last check found that a second person must approve them, and nobody has
        #[arg(long)]
        awaiting_approval: bool,
    },
}

/// `hudhud campaign create NAME …`
#[derive(Debug, Args)]
pub struct Create {
    /// Its name, unique
    name: String,
    /// The approved template
    #[arg(long)]
    template: String,
    /// The template's language, exactly as Meta writes it
    #[arg(long)]
    language: String,
    /// A list of its audience. May be repeated
    #[arg(long = "list", value_name = "LIST", required = true)]
    lists: Vec<String>,
    /// A list whose people are left out. May be repeated
    #[arg(long = "exclude-list", value_name = "LIST")]
    exclude_lists: Vec<String>,
    /// Who of these people is meant, as `hudhud list count` takes it; whoever is not is skipped
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// A business number to send from. May be repeated
    #[arg(long = "number", value_name = "PHONE_NUMBER_ID", required = true)]
    numbers: Vec<String>,
    /// A parameter of the template: 1, 2, a name, header.1, button.0; the text may use {column} and {column|fallback}
    #[arg(long = "param", value_name = "KEY=TEXT", value_parser = parameter)]
    params: Vec<(String, String)>,
    /// At most so many messages in any sliding second
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Its share of a number that several campaigns send from, against theirs: 1 to 100
    #[arg(long, value_name = "N", default_value_t = 10)]
    weight: u32,
    /// Start at this time instead of at the launch
    #[arg(long, value_name = "RFC3339")]
    at: Option<String>,
    /// Called off where it could not start within so long after --at (2h, 30m)
    #[arg(long, value_name = "LENGTH")]
    latest_start: Option<String>,
    /// Leave evenly over so long (6h, 90m, 1h30m, 2d), where that is slower than the numbers and --rate
    #[arg(long, value_name = "LENGTH")]
    spread: Option<String>,
    /// How far apart messages leave that have --rate or --spread: evenly, or as a person's would, drawn at random with the
    /// mean kept
    #[arg(long, value_name = "even|human", value_parser = ["even", "human"], default_value = "even")]
    gaps: String,
    /// Write to nobody then, by their own clock: from a column timezone, else from the country of their number
    #[arg(long, value_name = "21:00-09:00")]
    quiet_hours: Option<String>,
    /// Write to nobody on these days, by their own calendar: 2026-12-25, 2026-05-27..2026-05-29=Eid, or every year 12-25. May
    /// be repeated; those of `hudhud rules` hold for marketing as well
    #[arg(long = "blackout", value_name = "DATES[=NAME]", value_parser = blackout)]
    blackouts: Vec<BlackoutDays>,
    /// The time zone of --cron, and of people whose own is not known
    #[arg(long, value_name = "Africa/Cairo")]
    timezone: Option<String>,
    /// Recur at the times of this crontab line, by the clock of --timezone: each run is a campaign of its own
    #[arg(long, value_name = "0 10 * * 1")]
    cron: Option<String>,
    /// Of a campaign that recurs: a run whose audience differs from the last one's by more than so many per cent waits
    #[arg(long, value_name = "PERCENT", requires = "cron")]
    audience_guard: Option<u32>,
    /// The offer ends then: whoever is left is skipped
    #[arg(long, value_name = "RFC3339")]
    stop_at: Option<String>,
    /// At most so many marketing messages to one person in so many days, over all campaigns; beside that of the house
    #[arg(long, value_name = "N/Dd")]
    frequency_cap: Option<String>,
    /// So many people (100, or 1%) go first, and the others only if it did them no harm
    #[arg(long, value_name = "N|P%")]
    canary: Option<String>,
    /// How long after the canary's last message the others wait; 30m unless given
    #[arg(long, value_name = "LENGTH", requires = "canary")]
    canary_wait: Option<String>,
    /// The canary fails when more than so many per cent of its messages fail; 5 unless given
    #[arg(long, value_name = "PERCENT", requires = "canary")]
    canary_failures: Option<f64>,
    /// The canary fails when more than so many per cent of its people opt out; 2 unless given
    #[arg(long, value_name = "PERCENT", requires = "canary")]
    canary_opt_outs: Option<f64>,
}

/// A campaign's cap as it is typed.
#[derive(Clone, Copy, Debug)]
pub struct Cap(Option<u32>);

fn cap(text: &str) -> Result<Cap, String> {
    match text {
        "none" => Ok(Cap(None)),
        number => {
            number.parse().map(|rate| Cap(Some(rate))).map_err(|_| "it must be messages a second, or none".to_owned())
        }
    }
}

pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, text)) if !key.is_empty() => Ok((key.to_owned(), text.to_owned())),
        _ => Err("it must look like KEY=TEXT".to_owned()),
    }
}

/// Seconds, or a number with s, m or h.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "it must be seconds, or a number with s, m or h".to_owned();
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

impl Campaign {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::Preflight { campaign } => preflight(session, &campaign).await,
            Self::Launch { expect_recipients, yes, campaign } => {
                let order = json!({"expect_recipients": expect_recipients, "yes": yes});
                let launched = post(session, &campaign, "launch", &order).await;
                // A refusal rests on the preflight's document, which is data.
                if let Some(verdict) = launched.as_ref().err().and_then(preflight_of) {
                    session.out.document(verdict)?;
                }
                let launched = launched?;
                session.out.document(&launched)?;
                session.out.remark(&format!("Follow it with: hudhud campaign wait {campaign}"));
                Ok(Exit::Done)
            }
            Self::Test { to, campaign } => act(session, &campaign, "test", &json!({"to": to})).await,
            Self::Approve { campaign } => act(session, &campaign, "approve", &json!({})).await,
            Self::Pause { campaign, reason } => act(session, &campaign, "pause", &json!({"reason": reason})).await,
            Self::Resume { campaign } => act(session, &campaign, "resume", &json!({})).await,
            Self::Cancel { campaign } => act(session, &campaign, "cancel", &json!({})).await,
            Self::Rate { campaign, rate: Cap(rate) } => act(session, &campaign, "rate", &json!({"rate": rate})).await,
            Self::Clone { campaign, new } => draft(session, &campaign, "clone", &json!({"name": new})).await,
            Self::RetryFailed { campaign, code } => {
                let only = code.map(|code| format!("?code={}", query_encoded(&code))).unwrap_or_default();
                draft(session, &campaign, &format!("retry-failed{only}"), &json!({})).await
            }
            Self::Show { campaign } => {
                let shown = with_client(session, async |client| client.get(&path(&campaign, "")).await).await?;
                session.out.document(&shown)?;
                Ok(Exit::Done)
            }
            Self::Wait { timeout, campaign } => wait(session, &campaign, timeout).await,
            Self::Export { file, campaign } => {
                let bytes =
                    with_client(session, async |client| client.download(&path(&campaign, "/export"), &file).await)
                        .await?;
                if session.out.is_json() {
                    session.out.document(&json!({"file": file.display().to_string(), "bytes": bytes}))?;
                }
                session.out.remark(&format!("Wrote {}.", file.display()));
                Ok(Exit::Done)
            }
            Self::Report { campaign } => report(session, &campaign).await,
            Self::Compare { campaigns } => compare(session, &campaigns).await,
            Self::Ls { awaiting_approval } => {
                let path = if awaiting_approval { "/api/v1/campaigns?awaiting=approval" } else { "/api/v1/campaigns" };
                let campaigns = with_client(session, async |client| client.list(path).await).await?;
                let columns = [
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("STATE", "state"),
                    ("TOTAL", "total"),
                    ("SENT", "counts/sent"),
                    ("DELIVERED", "counts/delivered"),
                    ("READ", "counts/read"),
                    ("FAILED", "counts/failed"),
                    ("REASON", "reason"),
                ];
                session.out.table(&columns, &campaigns)?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Create {
    async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let mut params = BTreeMap::new();
        for (key, text) in self.params {
            if params.insert(key.clone(), text).is_some() {
                return Err(crate::exit::Usage(format!("--param {key} is given twice")).into());
            }
        }
        let canary = self.canary.map(|size| {
            json!({"size": size, "wait": self.canary_wait, "most_failed": self.canary_failures,
                "most_opted_out": self.canary_opt_outs})
        });
        let body = json!({
            "name": self.name,
            "template": self.template,
            "language": self.language,
            "lists": self.lists,
            "excluded_lists": self.exclude_lists,
            "filter": self.filter,
            "numbers": self.numbers,
            "params": params,
            "rate": self.rate,
            "weight": self.weight,
            "at": self.at,
            "latest_start": self.latest_start,
            "spread": self.spread,
            "quiet_hours": self.quiet_hours,
            "gaps": self.gaps,
            "blackouts": self.blackouts,
            "timezone": self.timezone,
            "cron": self.cron,
            "audience_guard": self.audience_guard,
            "stop_at": self.stop_at,
            "frequency_cap": self.frequency_cap,
            "canary": canary,
        });
        let created = with_client(session, async |client| client.post("/api/v1/campaigns", &body).await).await?;
        session.out.document(&created)?;
        if let Some(note) = created["note"].as_str() {
            session.out.remark(note);
        }
        session.out.remark(&format!("Nothing is sent yet. Next: hudhud campaign preflight {}", created["id"]));
        Ok(Exit::Done)
    }
}

async fn preflight(session: &Session, campaign: &str) -> anyhow::Result<Exit> {
    let verdict = post(session, campaign, "preflight", &json!({})).await?;
    session.out.document(&verdict)?;
    let count = |field: &str| verdict[field].as_array().map_or(0, Vec::len);
    if count("blockers") > 0 {
        session.out.remark("A launch would be refused. Nothing was sent.");
        return Ok(Exit::PreflightRefuses);
    }
    if count("warnings") > 0 {
        session.out.remark("A launch needs --yes because of the warnings.");
    }
    Ok(Exit::Done)
}

async fn act(session: &Session, campaign: &str, verb: &str, body: &Value) -> anyhow::Result<Exit> {
    let shown = post(session, campaign, verb, body).await?;
    session.out.document(&shown)?;
    if let Some(note) = shown["note"].as_str() {
        session.out.remark(note);
    }
    Ok(Exit::Done)
}

/// Drafts a campaign out of another one.
async fn draft(session: &Session, campaign: &str, verb: &str, body: &Value) -> anyhow::Result<Exit> {
    let made = post(session, campaign, verb, body).await?;
    session.out.document(&made)?;
    session.out.remark(&format!("Nothing is sent yet. Next: hudhud campaign preflight {}", made["id"]));
    Ok(Exit::Done)
}

/// How long a report is waited for that is being counted.
const COUNTED_WITHIN: Duration = Duration::from_secs(120);

/// Asks until a report's sums are there. A large campaign's first ones are made behind the answer.
async fn counted(session: &Session, path: &str, is_counted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let began = tokio::time::Instant::now();
    with_client(session, async |client| {
        loop {
            let report: Value = client.get(path).await?;
            if is_counted(&report) || began.elapsed() > COUNTED_WITHIN {
                return Ok(report);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
    .await
}

async fn report(session: &Session, campaign: &str) -> anyhow::Result<Exit> {
    let report = counted(session, &path(campaign, "/report"), |report| !report["counted_at"].is_null()).await?;
    session.out.document(&report)?;
    Ok(Exit::Done)
}

async fn compare(session: &Session, campaigns: &[String]) -> anyhow::Result<Exit> {
    // A name may have a comma; an id has none.
    let mut ids = Vec::new();
    for campaign in campaigns {
        let shown = with_client(session, async |client| client.get(&path(campaign, "")).await).await?;
        ids.push(shown["id"].to_string());
    }
    let asked = format!("/api/v1/campaigns/compare?campaigns={}", ids.join(","));
    let is_counted = |report: &Value| {
        report["campaigns"].as_array().is_some_and(|all| all.iter().all(|one| !one["counted_at"].is_null()))
    };
    let compared = counted(session, &asked, is_counted).await?;
    if session.out.is_json() {
        session.out.document(&compared)?;
        return Ok(Exit::Done);
    }
    let columns = [
        ("NAME", "name"),
        ("STATE", "state"),
        ("PLANNED", "funnel/planned"),
        ("ACCEPTED", "funnel/accepted"),
        ("DELIVERED", "funnel/delivered"),
        ("READ", "funnel/read"),
        ("REPLIED", "funnel/replied"),
        ("OPTED OUT", "funnel/opted_out"),
        ("FAILED", "funnel/failed"),
        ("DELIVERED OF ACCEPTED", "shares/delivered"),
        ("READ OF DELIVERED", "shares/read"),
        ("COST", "actual"),
    ];
    session.out.table(&columns, compared["campaigns"].as_array().map_or(&[][..], Vec::as_slice))?;
    Ok(Exit::Done)
}

fn preflight_of(error: &anyhow::Error) -> Option<&Value> {
    error.downcast_ref::<Problem>()?.document.as_ref()
}

async fn post(session: &Session, campaign: &str, verb: &str, body: &Value) -> anyhow::Result<Value> {
    let path = path(campaign, &format!("/{verb}"));
    with_client(session, async |client| client.post(&path, body).await).await
}

pub(super) fn path(campaign: &str, rest: &str) -> String {
    format!("/api/v1/campaigns/{}{rest}", segment(campaign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_seconds_unless_it_names_its_unit() {
        assert_eq!(duration("30").unwrap(), Duration::from_secs(30));
        assert_eq!(duration("0.5s").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        for wrong in ["", "h", "-3", "3d", "1hm"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_parameters_text_may_hold_anything_even_an_equals_sign_or_nothing() {
        assert_eq!(parameter("button.0=a=b").unwrap(), ("button.0".to_owned(), "a=b".to_owned()));
        assert_eq!(parameter("1=").unwrap(), ("1".to_owned(), String::new()));
        assert!(parameter("novalue").is_err());
    }
}
