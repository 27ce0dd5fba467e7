//! `hudhud optout`.

use std::path::PathBuf;

use clap::Subcommand;

use super::with_client;
use crate::cli::Session;
use crate::client::{Upload, query_encoded};
use crate::exit::Exit;
use crate::http::{NewOptOutBody, NewStopBody, PersonBody, ReachBody, RulingBody};

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
        /// What to stop: all, marketing, brand:NAME or number:PHONE_NUMBER_ID; left out: as far as stops by hand reach
        #[arg(long)]
        scope: Option<String>,
    },
    /// How far stops reach: by button, text and so on
    #[command(subcommand)]
    Scope(ScopeCommand),
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
    /// Suppress everybody whom a file names: one number a line, our own export, Twilio's or listmonk's
    Import {
        /// The file; - for stdin
        file: PathBuf,
        /// The country of national numbers, ISO 3166 alpha-2
        #[arg(long, value_name = "CC")]
        region: Option<String>,
        /// What they stop: all, marketing, brand:NAME or number:PHONE_NUMBER_ID; left out: as far as imports reach
        #[arg(long)]
        scope: Option<String>,
    },
    /// Write the people who may not be messaged into a file, as CSV
    Export {
        /// The file
        file: PathBuf,
    },
    /// Ask that a person may be messaged again: pending until a second person approves
    Lift {
        /// A phone number in any form, or a business-scoped user id
        person: String,
        /// Why, for the ledger
        #[arg(long)]
        reason: String,
    },
    /// List the lifts that wait, approve or refuse one
    #[command(subcommand)]
    Lifts(Lifts),
    /// What people said that may mean stop: a person decides
    #[command(subcommand)]
    Review(Review),
}

/// `hudhud optout scope …`
#[derive(Debug, Subcommand)]
pub enum ScopeCommand {
    /// List how far stops reach, by the way they come
    Ls,
    /// Set how far stops of one way reach from now on; stops that stand keep their scope
    Set {
        /// button, text, user_preferences, meta, manual or import
        way: String,
        /// all: every message; marketing; of a button or text also brand or number, of what it was said to
        reach: String,
    },
}

impl ScopeCommand {
    async fn run(self, session: &Session) -> anyhow::Result<()> {
        const PATH: &str = "/api/v1/optouts/scopes";
        match self {
            Self::Ls => {
                let ways = with_client(session, async |client| client.list(PATH).await).await?;
                let columns = [("WAY", "way"), ("REACH", "reach"), ("USUAL", "usual"), ("BY", "by"), ("SINCE", "at")];
                session.out.table(&columns, &ways)?;
            }
            Self::Set { way, reach } => {
                let body = ReachBody { way, reach };
                let set = with_client(session, async |client| client.post(PATH, &body).await).await?;
                session.out.document(&set)?;
            }
        }
        Ok(())
    }
}

/// `hudhud optout lifts …`
#[derive(Debug, Subcommand)]
pub enum Lifts {
    /// List the lifts that wait for a second person
    Ls,
    /// Approve a lift that somebody else asked for: the block is gone
    Approve {
        /// The lift's id
        id: i64,
    },
    /// Refuse a lift that somebody else asked for: the block stays
    Refuse {
        /// The lift's id
        id: i64,
    },
}

impl Lifts {
    async fn run(self, session: &Session) -> anyhow::Result<()> {
        let (id, ruling) = match self {
            Self::Ls => {
                let waiting = with_client(session, async |client| client.list("/api/v1/optouts/lifts").await).await?;
                let columns =
                    [("ID", "id"), ("AT", "at"), ("PERSON", "person"), ("BY", "requested_by"), ("REASON", "reason")];
                session.out.table(&columns, &waiting)?;
                return Ok(());
            }
            Self::Approve { id } => (id, "approve"),
            Self::Refuse { id } => (id, "refuse"),
        };
        let path = format!("/api/v1/optouts/lifts/{id}/{ruling}");
        let decided = with_client(session, async |client| client.post(&path, &serde_json::json!({})).await).await?;
        session.out.document(&decided)?;
        Ok(())
    }
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
            Self::Add { person, reason, scope } => {
                let body = NewStopBody { person, reason, scope };
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
            Self::Import { file, region, scope } => {
                let given = [("region", region), ("scope", scope)];
                let query: Vec<String> = given
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("{name}={}", query_encoded(&value?))))
                    .collect();
                let path = format!("/api/v1/optouts/import?{}", query.join("&"));
                let upload = Upload::open(&file).await?;
                let done = with_client(session, async |client| client.upload(&path, upload).await).await?;
                session.out.document(&done)?;
                if done["rejected"].as_i64() != Some(0) {
                    return Ok(Exit::DoneWithRejects);
                }
            }
            Self::Export { file } => {
                let length =
                    with_client(session, async |client| client.download("/api/v1/optouts/export", &file).await).await?;
                session.out.document(&serde_json::json!({"file": file, "bytes": length}))?;
            }
            Self::Lift { person, reason } => {
                let body = NewOptOutBody { person, reason };
                let asked =
                    with_client(session, async |client| client.post("/api/v1/optouts/lifts", &body).await).await?;
                session.out.document(&asked)?;
                session.out.remark("It holds until somebody else approves: hudhud optout lifts approve ID");
            }
            Self::Scope(command) => command.run(session).await?,
            Self::Lifts(lifts) => lifts.run(session).await?,
            Self::Review(review) => review.run(session).await?,
        }
        Ok(Exit::Done)
    }
}
