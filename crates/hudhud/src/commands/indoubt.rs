//! `hudhud indoubt`.

use clap::{Subcommand, ValueEnum};
use engine::indoubt::Verdict;

use super::{segment, with_client};
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;
use crate::http::SettleBody;

/// `hudhud indoubt …`
#[derive(Debug, Subcommand)]
pub enum InDoubt {
    /// List the sends that may or may not have gone
    Ls {
        /// Only those of this campaign
        #[arg(long, value_name = "C")]
        campaign: Option<String>,
    },
    /// Say what became of one, from evidence of your own
    Settle {
        /// Its id, from indoubt ls
        id: String,
        /// What became of it
        #[arg(long = "as", value_name = "OUTCOME")]
        outcome: Outcome,
        /// How you know
        #[arg(long)]
        reason: String,
    },
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
            Self::Ls { campaign } => {
                let query = campaign.map(|campaign| format!("?campaign={}", query_encoded(&campaign)));
                let path = format!("/api/v1/sends/in-doubt{}", query.unwrap_or_default());
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
            Self::Settle { id, outcome, reason } => {
                let outcome = match outcome {
                    Outcome::Sent => Verdict::Sent,
                    Outcome::NotSent => Verdict::NotSent,
                };
                let body = SettleBody { outcome, reason };
                let path = format!("/api/v1/sends/in-doubt/{}/settle", segment(&id));
                let settled = with_client(session, async |client| client.post(&path, &body).await).await?;
                session.out.document(&settled)?;
            }
        }
        Ok(Exit::Done)
    }
}
