//! `hudhud indoubt`.

use clap::{Args, Subcommand, ValueEnum};
use engine::indoubt::Verdict;

use super::{segment, with_client};
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;
use crate::http::{SettleAllBody, SettleBody};

/// `hudhud indoubt …`
#[derive(Debug, Subcommand)]
pub enum InDoubt {
    /// List the sends that may or may not have gone, oldest first
    Ls {
        #[command(flatten)]
        which: Which,
    },
    /// Say what became of one, or of many, from evidence of your own
    Settle {
        /// Its id, from indoubt ls
        #[arg(required_unless_present = "all", conflicts_with_all = ["all", "campaign", "number", "older_than"])]
        id: Option<String>,
        /// Settle every one of the chosen campaign, number and age
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
        /// What became of it
        #[arg(long = "as", value_name = "OUTCOME")]
        outcome: Outcome,
        /// How you know
        #[arg(long)]
        reason: String,
        /// Go on with more than 100 where neither campaign, number nor age chooses
        #[arg(long, requires = "all")]
        yes: bool,
    },
}

/// Which of them.
#[derive(Debug, Args)]
pub struct Which {
    /// Only those of this campaign
    #[arg(long, value_name = "C")]
    campaign: Option<String>,
    /// Only those of this business number
    #[arg(long, value_name = "PHONE_NUMBER_ID")]
    number: Option<String>,
    /// Only those that were claimed longer ago, such as 90s, 15m, 2h or 3d
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
}

impl Which {
    fn query(&self) -> String {
        let parts = [("campaign", &self.campaign), ("number", &self.number), ("older_than", &self.older_than)];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", query_encoded(value.as_deref()?))))
            .collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// What became of a send in doubt.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Outcome {
    /// It went.
    Sent,
    /// It did not go.
    NotSent,
}

impl InDoubt {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Ls { which } => {
                let path = format!("/api/v1/sends/in-doubt{}", which.query());
                let sends = with_client(session, async |client| client.list(&path).await).await?;
                let columns = [
                    ("ID", "id"),
                    ("CAMPAIGN", "campaign"),
                    ("PHONE", "phone"),
                    ("NUMBER", "phone_number_id"),
                    ("SINCE", "since"),
                    ("REASON", "reason"),
                ];
                session.out.table(&columns, &sends)?;
            }
            Self::Settle { id, all: _, which, outcome, reason, yes } => {
                let outcome = match outcome {
                    Outcome::Sent => Verdict::Sent,
                    Outcome::NotSent => Verdict::NotSent,
                };
                let settled = if let Some(id) = id {
                    let body = SettleBody { outcome, reason };
                    let path = format!("/api/v1/sends/in-doubt/{}/settle", segment(&id));
                    with_client(session, async |client| client.post(&path, &body).await).await?
                } else {
                    let Which { campaign, number, older_than } = which;
                    let body = SettleAllBody { outcome, reason, campaign, number, older_than, yes };
                    let path = "/api/v1/sends/in-doubt/settle";
                    with_client(session, async |client| client.post(path, &body).await).await?
                };
                session.out.document(&settled)?;
            }
        }
        Ok(Exit::Done)
    }
}
