//! `hudhud message`.

use clap::Subcommand;
use engine::campaigns::MessageOrder;

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
            Self::Show { key } => {
                let path = format!("/api/v1/messages/{}", query_encoded(&key));
                with_client(session, async |client| client.get(&path).await).await?
            }
        };
        session.out.document(&message)?;
        Ok(Exit::Done)
    }
}
