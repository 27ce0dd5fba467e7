//! `hudhud rules`.

use clap::Subcommand;
use domain::schedule::{Blackout, BlackoutError};
use engine::campaigns::BlackoutDays;
use engine::house::RulesChange;

use super::with_client;
use crate::cli::Session;
use crate::exit::{Exit, Usage};

/// `hudhud rules …`
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Show the rules in force
    Show,
    /// Change rules; what is not named stays
    Set {
        /// At most so many marketing messages to one person in so many days, over all campaigns: `4/7d`, or `none`
        #[arg(long, value_name = "N/Dd")]
        frequency_cap: Option<String>,
        /// A campaign to more people than this needs the approval of a second person; `none`: none does
        #[arg(long, value_name = "PEOPLE")]
        approval_above: Option<String>,
        /// A number of the house that test messages may go to, with its country code; all of them, or `none`
        #[arg(long = "test-number", value_name = "PHONE")]
        test_numbers: Vec<String>,
        /// Days on which nothing of a marketing campaign is sent, as `hudhud campaign create` takes them, here also for one
        /// country (`EG:2026-05-27..2026-05-29=Eid al-Adha`); all of them, or `none`
        #[arg(long = "blackout", value_name = "[CC:]DATES[=NAME]")]
        blackouts: Vec<String>,
    },
}

/// What was given for a rule; `none` takes it away.
fn given(text: Option<String>) -> Option<Option<String>> {
    text.map(|text| (!text.trim().eq_ignore_ascii_case("none")).then_some(text))
}

/// All of a list that was given; `none` empties it.
fn all(texts: Vec<String>) -> Option<Vec<String>> {
    let is_none = texts.iter().all(|text| text.trim().eq_ignore_ascii_case("none"));
    (!texts.is_empty()).then(|| if is_none { Vec::new() } else { texts })
}

/// Blackout days as they are typed.
pub(super) fn blackout(text: &str) -> Result<BlackoutDays, String> {
    let read: Blackout = text.parse().map_err(|error: BlackoutError| error.to_string())?;
    let country = read.country().map(|country| country.to_string());
    Ok(BlackoutDays { dates: read.dates(), name: read.name().map(str::to_owned), country })
}

impl Rules {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let rules = match self {
            Self::Show => with_client(session, async |client| client.get("/api/v1/rules").await).await?,
            Self::Set { frequency_cap, approval_above, test_numbers, blackouts } => {
                let people = given(approval_above).map(|people| people.map(|text| text.trim().parse()).transpose());
                let people =
                    people.transpose().map_err(|_| anyhow::anyhow!("--approval-above is a number of people"))?;
                let blackouts = all(blackouts).map(|texts| texts.iter().map(|text| blackout(text)).collect());
                let change = RulesChange {
                    frequency_cap: given(frequency_cap),
                    approval_above: people,
                    test_numbers: all(test_numbers),
                    blackouts: blackouts.transpose().map_err(Usage)?,
                };
                with_client(session, async |client| client.post("/api/v1/rules", &change).await).await?
            }
        };
        session.out.document(&rules)?;
        Ok(Exit::Done)
    }
}
