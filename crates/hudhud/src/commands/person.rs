//! `hudhud person`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::with_client;
use crate::cli::Session;
use crate::exit::Exit;
use crate::http::{EraseBody, PersonBody};

/// `hudhud person …`
#[derive(Debug, Subcommand)]
pub enum Person {
    /// Write everything that is held of a person into a file, as JSON
    Export {
        /// A phone number in any form, or a business-scoped user id
        person: String,
        /// The file
        file: PathBuf,
    },
    /// Erase a person everywhere; they stay suppressed, and imports do not bring them back
    Erase {
        /// A phone number in any form, or a business-scoped user id
        person: String,
        /// Why, for the ledger; it should not name the person
        #[arg(long)]
        reason: String,
    },
}

impl Person {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Export { person, file } => {
                let body = PersonBody { person };
                let held =
                    with_client(session, async |client| client.post("/api/v1/persons/export", &body).await).await?;
                let text = format!("{held:#}\n");
                std::fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
                session.out.document(&json!({"file": file, "bytes": text.len()}))?;
            }
            Self::Erase { person, reason } => {
                let body = EraseBody { person, reason };
                let erased =
                    with_client(session, async |client| client.post("/api/v1/persons/erase", &body).await).await?;
                session.out.document(&erased)?;
                if erased["file"] == "later" {
                    session
                        .out
                        .remark("The database's file was in use: repeat this to clear what is left in free pages.");
                }
            }
        }
        Ok(Exit::Done)
    }
}
