//! `hudhud number`, `hudhud pause-all` and `hudhud resume-all`.

use clap::Subcommand;
use serde_json::json;

use super::{segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;
use crate::http::{BrandBody, RateBody, ReasonBody, WantedRate};

/// `hudhud number …`
#[derive(Debug, Subcommand)]
pub enum Number {
    /// List the business numbers
    #[command(alias = "ls")]
    List,
    /// Set a business number's rate, or its brand
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Set {
        /// Meta's id of the business number
        phone_number_id: String,
        /// Messages a second; level: what Meta grants it; unlimited: only against a simulator on this machine
        #[arg(long, value_parser = rate, group = "what")]
        rate: Option<WantedRate>,
        /// The brand whose messages it sends, so that people can stop a brand; empty: none
        #[arg(long, value_name = "NAME", group = "what")]
        brand: Option<String>,
    },
    /// Stop sending on a business number
    Pause {
        /// Meta's id of the business number
        phone_number_id: String,
        /// Shown to everybody who asks why
        #[arg(long)]
        reason: String,
    },
    /// Send on a business number again
    Resume {
        /// Meta's id of the business number
        phone_number_id: String,
    },
}

fn rate(text: &str) -> Result<WantedRate, String> {
    text.parse()
}

impl Number {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let path = |id: &str, verb: &str| format!("/api/v1/numbers/{}/{verb}", segment(id));
        let number = match self {
            Self::List => {
                let numbers = with_client(session, async |client| client.list("/api/v1/numbers").await).await?;
                let columns = [
                    ("PHONE NUMBER ID", "phone_number_id"),
                    ("NAME", "verified_name"),
                    ("ACCOUNT", "account"),
                    ("BRAND", "brand"),
                    ("RATE", "rate"),
                    ("QUALITY", "quality"),
                    ("STATUS", "status"),
                    ("PAUSED", "paused_reason"),
                ];
                session.out.table(&columns, &numbers)?;
                return Ok(Exit::Done);
            }
            Self::Set { phone_number_id, rate, brand } => {
                with_client(session, async |client| {
                    let mut number = serde_json::Value::Null;
                    if let Some(brand) = &brand {
                        let brand = Some(brand.trim().to_owned()).filter(|brand| !brand.is_empty());
                        number = client.post(&path(&phone_number_id, "brand"), &BrandBody { brand }).await?;
                    }
                    if let Some(rate) = rate {
                        number = client.post(&path(&phone_number_id, "rate"), &RateBody { rate }).await?;
                    }
                    Ok(number)
                })
                .await?
            }
            Self::Pause { phone_number_id, reason } => {
                let body = ReasonBody { reason };
                with_client(session, async |client| client.post(&path(&phone_number_id, "pause"), &body).await).await?
            }
            Self::Resume { phone_number_id } => {
                with_client(session, async |client| client.post(&path(&phone_number_id, "resume"), &json!({})).await)
                    .await?
            }
        };
        session.out.document(&number)?;
        Ok(Exit::Done)
    }
}

pub(super) async fn pause_all(session: &Session, reason: String) -> anyhow::Result<Exit> {
    let body = ReasonBody { reason };
    let state = with_client(session, async |client| client.post("/api/v1/numbers/pause-all", &body).await).await?;
    session.out.document(&state)?;
    session.out.remark("Nothing is sent until hudhud resume-all. Webhooks and opt-outs go on.");
    Ok(Exit::Done)
}

pub(super) async fn resume_all(session: &Session) -> anyhow::Result<Exit> {
    let state =
        with_client(session, async |client| client.post("/api/v1/numbers/resume-all", &json!({})).await).await?;
    session.out.document(&state)?;
    Ok(Exit::Done)
}
