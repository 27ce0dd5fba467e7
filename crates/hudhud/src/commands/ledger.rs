//! `hudhud ledger`.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::with_client;
use crate::cli::Session;
use crate::exit::Exit;

/// `hudhud ledger …`
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Check every link of the ledger's chain
    Verify {
        /// An exported ledger: checked by itself, without database or server
        file: Option<PathBuf>,
    },
    /// Write the ledger into a file, lines of JSON
    Export {
        /// The file
        file: PathBuf,
    },
    /// Sign the head of the chain as it is now; keep it elsewhere, as a proof against later changes
    Head,
}

impl Ledger {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Export { file } => {
                let length =
                    with_client(session, async |client| client.download("/api/v1/ledger/export", &file).await).await?;
                if session.out.is_json() {
                    session.out.document(&json!({"file": file, "bytes": length}))?;
                }
                session.out.remark(&format!("Check it anywhere with: hudhud ledger verify {}", file.display()));
                Ok(Exit::Done)
            }
            Self::Head => {
                let head =
                    with_client(session, async |client| client.post("/api/v1/ledger/head", &json!({})).await).await?;
                session.out.document(&head)?;
                Ok(Exit::Done)
            }
            Self::Verify { file } => {
                let verdict = match file {
                    Some(file) => {
                        let opened = File::open(&file).with_context(|| format!("reading {}", file.display()))?;
                        serde_json::to_value(engine::ledger::file::verify(BufReader::new(opened))?)?
                    }
                    None => {
                        with_client(session, async |client| client.post("/api/v1/ledger/verify", &json!({})).await)
                            .await?
                    }
                };
                session.out.document(&verdict)?;
                if verdict["ok"].as_bool() == Some(true) {
                    return Ok(Exit::Done);
                }
                session.out.remark("The ledger was changed by another hand. Keep it as it is and compare a backup.");
                Ok(Exit::LedgerBroken)
            }
        }
    }
}
