//! `hudhud rules`.

use clap::Subcommand;
use engine::house::RulesChange;

use super::with_client;
use crate::cli::Session;
use crate::exit::Exit;

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
    },
}

/// What was given for a rule; `none` takes it away.
fn given(text: Option<String>) -> Option<Option<String>> {
    text.map(|text| (!text.trim().eq_ignore_ascii_case("none")).then_some(text))
}

impl Rules {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let rules = match self {
            Self::Show => with_client(session, async |client| client.get("/api/v1/rules").await).await?,
            Self::Set { frequency_cap, approval_above, test_numbers } => {
                let people = given(approval_above).map(|people| people.map(|text| text.trim().parse()).transpose());
                let people =
                    people.transpose().map_err(|_| anyhow::anyhow!("--approval-above is a number of people"))?;
                let is_none = test_numbers.iter().all(|text| text.trim().eq_ignore_ascii_case("none"));
                let test_numbers = (!test_numbers.is_empty()).then(|| if is_none { Vec::new() } else { test_numbers });
                let change = RulesChange { frequency_cap: given(frequency_cap), approval_above: people, test_numbers };
                with_client(session, async |client| client.post("/api/v1/rules", &change).await).await?
            }
        };
        session.out.document(&rules)?;
        Ok(Exit::Done)
    }
}
