//! `hudhud template`.

use clap::Subcommand;

use super::{segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;

/// `hudhud template …`
#[derive(Debug, Subcommand)]
pub enum Template {
    /// List the templates, as last read from the Graph API
    #[command(alias = "ls")]
    List,
    /// Show one template: its text, its parameters, whether it can be sent
    Show {
        /// The template
        name: String,
        /// Its language, exactly as Meta writes it: en and en_US are two
        #[arg(long)]
        language: String,
    },
}

impl Template {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::List => {
                let templates = with_client(session, async |client| client.list("/api/v1/templates").await).await?;
                let columns = [
                    ("NAME", "name"),
                    ("LANGUAGE", "language"),
                    ("STATUS", "status"),
                    ("CATEGORY", "category"),
                    ("ACCOUNT", "account"),
                ];
                session.out.table(&columns, &templates)?;
            }
            Self::Show { name, language } => {
                let path = format!("/api/v1/templates/{}/{}", segment(&name), segment(&language));
                let template = with_client(session, async |client| client.get(&path).await).await?;
                session.out.document(&template)?;
            }
        }
        Ok(Exit::Done)
    }
}
