//! `hudhud ledger`.

use clap::Subcommand;
use serde_json::json;

use super::with_client;
use crate::cli::Session;
use crate::exit::Exit;

/// `hudhud ledger …`
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Check every link of the ledger's chain
    Verify,
}

impl Ledger {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Verify => {
                let verdict =
                    with_client(session, async |client| client.post("/api/v1/ledger/verify", &json!({})).await).await?;
                session.out.document(&verdict)?;
                if verdict["ok"].as_bool() == Some(true) {
                    return Ok(Exit::Done);
                }
                session.out.remark("The ledger was changed by another hand. Keep this database and compare a backup.");
                Ok(Exit::LedgerBroken)
            }
        }
    }
}
