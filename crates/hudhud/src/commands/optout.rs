//! `hudhud optout`.

use clap::Subcommand;

use super::with_client;
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;
use crate::http::{NewOptOutBody, PersonBody, RulingBody};

/// `hudhud optout …`
#[derive(Debug, Subcommand)]
pub enum OptOut {
    /// Never message this person again
    Add {
        /// A phone number in any form, or a business-scoped user id
        person: String,
        /// Why, for the ledger
        #[arg(long)]
        reason: String,
    },
    /// Say whether this person may be messaged
    Check {
        /// A phone number in any form, or a business-scoped user id
        person: String,
    },
    /// List the people who may not be messaged
    Ls {
        /// Only those since this time (RFC 3339)
        #[arg(long, value_name = "T")]
        since: Option<String>,
    },
    /// What people said that may mean stop: a person decides
    #[command(subcommand)]
    Review(Review),
}

/// `hudhud optout review …`
#[derive(Debug, Subcommand)]
pub enum Review {
    /// List what waits to be read
    Ls,
    /// It means stop: never message this person again
    Confirm {
        /// The review's id
        id: i64,
        /// Why, for the ledger
        #[arg(long)]
        reason: String,
    },
    /// It does not mean stop
    Dismiss {
        /// The review's id
        id: i64,
        /// Why, for the ledger
        #[arg(long)]
        reason: String,
    },
}

impl Review {
    async fn run(self, session: &Session) -> anyhow::Result<()> {
        let (id, ruling, reason) = match self {
            Self::Ls => {
                let waiting = with_client(session, async |client| client.list("/api/v1/optouts/reviews").await).await?;
                let columns = [("ID", "id"), ("AT", "at"), ("PERSON", "person"), ("ASKS", "asks"), ("SAID", "said")];
                session.out.table(&columns, &waiting)?;
                return Ok(());
            }
            Self::Confirm { id, reason } => (id, "confirm", reason),
            Self::Dismiss { id, reason } => (id, "dismiss", reason),
        };
        let path = format!("/api/v1/optouts/reviews/{id}/{ruling}");
        let decided = with_client(session, async |client| client.post(&path, &RulingBody { reason }).await).await?;
        session.out.document(&decided)?;
        Ok(())
    }
}

impl OptOut {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Add { person, reason } => {
                let body = NewOptOutBody { person, reason };
                let verdict = with_client(session, async |client| client.post("/api/v1/optouts", &body).await).await?;
                session.out.document(&verdict)?;
            }
            Self::Check { person } => {
                let body = PersonBody { person };
                let verdict =
                    with_client(session, async |client| client.post("/api/v1/optouts/check", &body).await).await?;
                session.out.document(&verdict)?;
            }
            Self::Ls { since } => {
                let query = since.map(|since| format!("?since={}", query_encoded(&since)));
                let path = format!("/api/v1/optouts{}", query.unwrap_or_default());
                let people = with_client(session, async |client| client.list(&path).await).await?;
                let columns = [("PHONE", "phone"), ("SINCE", "since"), ("SOURCE", "source"), ("SCOPE", "scope")];
                session.out.table(&columns, &people)?;
            }
            Self::Review(review) => review.run(session).await?,
        }
        Ok(Exit::Done)
    }
}
