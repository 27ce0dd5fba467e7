//! `hudhud ledger`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use engine::proof::Language;
use serde_json::{Value, json};

use super::{segment, with_client};
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;
use crate::http::{PersonBody, ProveBody};

/// `hudhud ledger …`
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Check every link of the ledger's chain
    Verify {
        /// An exported ledger, or a proof about a person: checked by itself, without database or server
        file: Option<PathBuf>,
    },
    /// Write the ledger into a file, lines of JSON
    Export {
        /// The file
        file: PathBuf,
    },
    /// Show what is on record about a person: consent, messages, stops, exclusions, and the entries behind them
    Prove {
        /// A phone number in any form, or a business-scoped user id
        person: String,
        /// Write a document that a court can read and print, too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// The document's language: en, ar or es
        #[arg(long, value_name = "L", default_value = "en", value_parser = ["en", "ar", "es"])]
        language: String,
    },
    /// Show whom a campaign left out and why
    Exclusions {
        /// The campaign's name or id
        campaign: String,
        /// Write all of them into a file, as CSV, instead
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
    },
    /// Look for messages that Meta took after a stop: there are none, or each is explained
    SentAfterStop {
        /// Only this campaign's, by name or id
        #[arg(long)]
        campaign: Option<String>,
    },
    /// List who looked at a person and who took data out
    Disclosures,
    /// List the signed heads, newest first
    Heads,
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
            Self::Prove { person, html, language } => {
                let body = PersonBody { person: person.clone() };
                let language = match language.as_str() {
                    "ar" => Language::Ar,
                    "es" => Language::Es,
                    _ => Language::En,
                };
                let (proof, document) = with_client(session, async |client| {
                    let proof = client.post("/api/v1/ledger/prove", &body).await?;
                    let wanted = ProveBody { person, language };
                    let document = match &html {
                        Some(_) => Some(client.post_for_text("/api/v1/ledger/prove/document", &wanted).await?),
                        None => None,
                    };
                    Ok((proof, document))
                })
                .await?;
                if let (Some(file), Some(document)) = (&html, document) {
                    std::fs::write(file, document).with_context(|| format!("writing {}", file.display()))?;
                }
                session.out.document(&proof)?;
                Ok(Exit::Done)
            }
            Self::Exclusions { campaign, csv } => {
                let path = format!("/api/v1/ledger/exclusions/{}", segment(&campaign));
                if let Some(file) = csv {
                    let path = format!("{path}/export");
                    let length = with_client(session, async |client| client.download(&path, &file).await).await?;
                    session.out.document(&json!({"file": file, "bytes": length}))?;
                    return Ok(Exit::Done);
                }
                let rows = with_client(session, async |client| client.list(&path).await).await?;
                let columns = [("PHONE", "phone"), ("REASON", "reason"), ("FOUND", "found_at"), ("AT", "at")];
                session.out.table(&columns, &rows)?;
                Ok(Exit::Done)
            }
            Self::SentAfterStop { campaign } => {
                let query = campaign.map(|campaign| format!("?campaign={}", query_encoded(&campaign)));
                let path = format!("/api/v1/ledger/sent-after-stop{}", query.unwrap_or_default());
                let report = with_client(session, async |client| client.get(&path).await).await?;
                session.out.document(&report)?;
                Ok(if report["ok"].as_bool() == Some(true) { Exit::Done } else { Exit::Failed })
            }
            Self::Disclosures => {
                let rows = with_client(session, async |client| client.list("/api/v1/ledger/disclosures").await).await?;
                let columns =
                    [("AT", "at"), ("WHO", "actor"), ("WHAT", "what"), ("PERSON", "contact_id"), ("", "detail")];
                session.out.table(&columns, &rows)?;
                Ok(Exit::Done)
            }
            Self::Heads => {
                let rows = with_client(session, async |client| client.list("/api/v1/ledger/heads").await).await?;
                let columns = [("SIGNED", "signed_at"), ("ENTRIES", "entries"), ("HASH", "hash")];
                session.out.table(&columns, &rows)?;
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
                        check(BufReader::new(opened))?
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

/// Checks a file by itself: a proof is one JSON document, an exported ledger a line for each entry.
fn check(mut file: impl BufRead) -> anyhow::Result<Value> {
    // A proof names its format within its first bytes; an exported ledger in a line of its own.
    let beginning = file.fill_buf()?;
    let beginning = String::from_utf8_lossy(&beginning[..beginning.len().min(400)]).into_owned();
    if beginning.contains(engine::proof::FORMAT) {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        return Ok(serde_json::to_value(engine::proof::verify(&text)?)?);
    }
    Ok(serde_json::to_value(engine::ledger::file::verify(file)?)?)
}
