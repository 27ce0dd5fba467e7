//! `hudhud message`.

use clap::Subcommand;
use engine::campaigns::{MessageOrder, ReplyOrder};
use engine::inbound::WindowOrder;
use serde_json::Value;

use super::campaign::parameter;
use super::with_client;
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;

/// `hudhud message …`
#[derive(Debug, Subcommand)]
pub enum Message {
    /// Send one message to one person, ahead of what is sent to many
    Send {
        /// Names the message, for good: with the same key it is sent once, however often it is asked for
        #[arg(long)]
        key: String,
        /// The person's number, with its country code
        #[arg(long, value_name = "PHONE")]
        to: String,
        /// Meta's id of the business number
        #[arg(long, value_name = "ID")]
        number: String,
        /// The template's name
        #[arg(long)]
        template: String,
        /// The template's exact language key
        #[arg(long)]
        language: String,
        /// A parameter of the template
        #[arg(long = "param", value_name = "KEY=TEXT", value_parser = parameter)]
        params: Vec<(String, String)>,
    },
    /// Answer somebody in free text, within 24 hours after they wrote to that business number
    Reply {
        /// Names the message, for good: with the same key it is sent once, however often it is asked for
        #[arg(long)]
        key: String,
        /// The person: a phone number in any form, or a business-scoped user id
        #[arg(long, value_name = "PERSON")]
        to: String,
        /// Meta's id of the business number that they wrote to
        #[arg(long, value_name = "ID")]
        number: String,
        /// What to say: up to 4,096 characters
        #[arg(long)]
        text: String,
        /// Meta's id of the message that it quotes
        #[arg(long, value_name = "WAMID")]
        answers: Option<String>,
    },
    /// What people wrote to us, newest first. The look is recorded
    Inbound {
        /// Only answers to this campaign
        #[arg(long, value_name = "C")]
        campaign: Option<String>,
        /// Only what was sent to this business number
        #[arg(long, value_name = "ID")]
        number: Option<String>,
        /// Only this person's: a phone number in any form, or a business-scoped user id
        #[arg(long)]
        person: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Until when a person may be answered in free text, by business number
    Window {
        /// A phone number in any form, or a business-scoped user id
        person: String,
        /// Only at this business number
        #[arg(long, value_name = "ID")]
        number: Option<String>,
    },
    /// Show how a message stands
    Show {
        /// Its key
        key: String,
    },
    /// List the messages that were asked for, newest first
    Ls,
}

impl Message {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let message = match self {
            Self::Send { key, to, number, template, language, params } => {
                let params = params.into_iter().collect();
                let order = MessageOrder { key, to, number, template, language, params };
                with_client(session, async |client| client.post("/api/v1/messages", &order).await).await?
            }
            Self::Ls => {
                let messages = with_client(session, async |client| client.list("/api/v1/messages").await).await?;
                let columns = [
                    ("KEY", "key"),
                    ("STATE", "state"),
                    ("TEMPLATE", "template"),
                    ("NUMBER", "number"),
                    ("ASKED", "created_at"),
                    ("BY", "created_by"),
                    ("REASON", "reason"),
                ];
                session.out.table(&columns, &messages)?;
                return Ok(Exit::Done);
            }
            Self::Reply { key, to, number, text, answers } => {
                let order = ReplyOrder { key, to, number, text, answers };
                with_client(session, async |client| client.post("/api/v1/messages/reply", &order).await).await?
            }
            Self::Window { person, number } => {
                let order = WindowOrder { person, number };
                with_client(session, async |client| client.post("/api/v1/messages/window", &order).await).await?
            }
            Self::Inbound { campaign, number, person, limit } => {
                let items = with_client(session, async |client| {
                    let contact_id = match person {
                        None => None,
                        // Nobody is named in a path.
                        Some(person) => {
                            let order = WindowOrder { person, number: None };
                            let known: Value = client.post("/api/v1/messages/window", &order).await?;
                            let Some(id) = known["contact_id"].as_i64() else { return Ok(Vec::new()) };
                            Some(id.to_string())
                        }
                    };
                    let mut path = format!("/api/v1/messages/inbound?limit={limit}");
                    for (name, value) in [("campaign", &campaign), ("number", &number), ("contact_id", &contact_id)] {
                        if let Some(value) = value {
                            path.push_str(&format!("&{name}={}", query_encoded(value)));
                        }
                    }
                    let mut page = client.get(&path).await?;
                    let items = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
                    Ok(items.unwrap_or_default())
                })
                .await?;
                let columns = [
                    ("ID", "id"),
                    ("AT", "at"),
                    ("FROM", "from"),
                    ("NUMBER", "number"),
                    ("CAMPAIGN", "campaign"),
                    ("KIND", "kind"),
                    ("TEXT", "text"),
                ];
                session.out.table(&columns, &items)?;
                return Ok(Exit::Done);
            }
            Self::Show { key } => {
                let path = format!("/api/v1/messages/{}", query_encoded(&key));
                with_client(session, async |client| client.get(&path).await).await?
            }
        };
        session.out.document(&message)?;
        Ok(Exit::Done)
    }
}
