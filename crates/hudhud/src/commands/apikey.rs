//! `hudhud apikey`.

use clap::Subcommand;

use super::{segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;
use crate::http::NewKeyBody;
use crate::http::access::Role;

/// `hudhud apikey …`
#[derive(Debug, Subcommand)]
pub enum ApiKey {
    /// Make a key; it is shown this once
    Create {
        /// Its name, unique
        name: String,
        /// What its holder may do
        #[arg(long)]
        role: Role,
    },
    /// List the keys
    Ls,
    /// Revoke a key
    Revoke {
        /// Its name
        name: String,
    },
}

impl ApiKey {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Create { name, role } => {
                let body = NewKeyBody { name, role };
                let key = with_client(session, async |client| client.post("/api/v1/apikeys", &body).await).await?;
                session.out.document(&key)?;
                session.out.remark("Keep the key now: it is not shown again.");
            }
            Self::Ls => {
                let keys = with_client(session, async |client| client.list("/api/v1/apikeys").await).await?;
                let columns = [
                    ("NAME", "name"),
                    ("ROLE", "role"),
                    ("BY", "created_by"),
                    ("CREATED", "created_at"),
                    ("LAST USED", "last_used_at"),
                    ("REVOKED", "revoked_at"),
                ];
                session.out.table(&columns, &keys)?;
            }
            Self::Revoke { name } => {
                let path = format!("/api/v1/apikeys/{}", segment(&name));
                with_client(session, async |client| client.delete(&path).await).await?;
                if session.out.is_json() {
                    session.out.document(&serde_json::json!({"revoked": name}))?;
                }
                session.out.remark(&format!("Revoked {name}."));
            }
        }
        Ok(Exit::Done)
    }
}
