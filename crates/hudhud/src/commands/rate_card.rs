//! `hudhud rate-card`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use engine::rate_card::NewCard;
use serde_json::Value;

use super::with_client;
use crate::cli::Session;
use crate::exit::Exit;

/// `hudhud rate-card …`
#[derive(Debug, Subcommand)]
pub enum RateCard {
    /// Show the prices that are valid now, or those of another card
    Show {
        /// The card's id, as `hudhud rate-card ls` shows it; 0 is the one that came with this version
        #[arg(long, value_name = "ID")]
        card: Option<i64>,
        /// Print it as the file that `set` takes
        #[arg(long)]
        csv: bool,
    },
    /// List the cards, the last one first
    Ls,
    /// Save the prices of a file as a new card; the older ones are kept
    Set {
        /// CSV: market,category,rate,currency,valid_from; a first line "# …" may say where the prices are from
        file: PathBuf,
        /// Where the prices are from, unless the file says so
        #[arg(long, value_name = "TEXT")]
        source: Option<String>,
    },
}

impl RateCard {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Show { card, csv } => {
                let path =
                    card.map_or_else(|| "/api/v1/rate-card".to_owned(), |id| format!("/api/v1/rate-card?card={id}"));
                let shown = with_client(session, async |client| client.get(&path).await).await?;
                if csv {
                    session.out.text(shown["csv"].as_str().unwrap_or_default().trim_end())?;
                } else {
                    print(session, &shown)?;
                }
            }
            Self::Ls => {
                let shown = with_client(session, async |client| client.get("/api/v1/rate-card").await).await?;
                let columns = [
                    ("ID", "id"),
                    ("VALID FROM", "valid_from"),
                    ("CURRENCY", "currency"),
                    ("NOW", "in_force"),
                    ("BY", "saved_by"),
                    ("SOURCE", "source"),
                ];
                session.out.table(&columns, shown["cards"].as_array().map_or(&[][..], Vec::as_slice))?;
            }
            Self::Set { file, source } => {
                let csv = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
                let new = NewCard { csv: Some(csv), source, ..NewCard::default() };
                let saved = with_client(session, async |client| client.post("/api/v1/rate-card", &new).await).await?;
                print(session, &saved)?;
                session.out.remark("Saved as a new card. The older ones are kept, for what was sent before.");
            }
        }
        Ok(Exit::Done)
    }
}

/// The head of a card and its prices.
fn print(session: &Session, shown: &Value) -> anyhow::Result<()> {
    if session.out.is_json() {
        session.out.document(shown)?;
        return Ok(());
    }
    session.out.document(&shown["card"])?;
    let columns = [("MARKET", "market"), ("CATEGORY", "category"), ("RATE", "rate")];
    session.out.table(&columns, shown["rates"].as_array().map_or(&[][..], Vec::as_slice))?;
    Ok(())
}
