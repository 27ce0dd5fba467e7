//! `hudhud audit`.

use clap::Args;
use serde_json::{Value, json};

use super::with_client;
use crate::cli::Session;
use crate::client::query_encoded;
use crate::exit::Exit;

/// `hudhud audit …`
#[derive(Debug, Args)]
pub struct Audit {
    /// Only what this one did: cli:NAME, key:NAME, user:EMAIL
    #[arg(long)]
    actor: Option<String>,
    /// Only this operation, by its name in the API's description, such as campaigns_launch
    #[arg(long)]
    action: Option<String>,
    /// Only since this time (RFC 3339)
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// At most so many rows
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Audit {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let mut path = format!("/api/v1/audit?limit={}", self.limit);
        for (name, value) in [("actor", self.actor), ("action", self.action), ("since", self.since)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", query_encoded(&value)));
            }
        }
        let page = with_client(session, async |client| client.get(&path).await).await?;
        let rows = page["items"].as_array().cloned().unwrap_or_default();
        let columns = [
            ("AT", "at"),
            ("ACTOR", "actor"),
            ("ACTION", "action"),
            ("TARGET", "target"),
            ("STATUS", "status"),
            ("FROM", "address"),
        ];
        session.out.table(&columns, &rows)?;
        if page.get("next").is_some_and(|next: &Value| *next != json!(null)) {
            session.out.remark("There are more: ask for fewer with --since, --actor or --action, or raise --limit.");
        }
        Ok(Exit::Done)
    }
}
