//! `hudhud account`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{read_secret, segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;
use crate::http::{NewAccountBody, RotateBody, SecretBody};

/// `hudhud account …`
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Store an account and its secrets, sealed
    Add {
        /// What to call it here
        #[arg(long)]
        name: String,
        /// Meta's id of the WhatsApp Business Account
        #[arg(long)]
        waba_id: String,
        /// The business portfolio, whose accounts share one messaging limit
        #[arg(long)]
        portfolio: Option<String>,
        /// The file with the system user's access token
        #[arg(long, value_name = "FILE")]
        access_token_file: PathBuf,
        /// The file with the app secret, which signs the webhooks
        #[arg(long, value_name = "FILE")]
        app_secret_file: PathBuf,
        /// The file with the verify token, which answers the webhook's handshake
        #[arg(long, value_name = "FILE")]
        verify_token_file: PathBuf,
    },
    /// Put a new access token in the old one's place
    Rotate {
        /// The account
        name: String,
        /// The file with the new token
        #[arg(long, value_name = "FILE")]
        access_token_file: PathBuf,
    },
    /// Rotate the app secret: webhooks signed with either are taken until the old one is dropped
    #[command(group = clap::ArgGroup::new("step").required(true))]
    RotateSecret {
        /// The account; all that have the same app secret go along
        name: String,
        /// Begin: the file with the new app secret
        #[arg(long, value_name = "FILE", group = "step")]
        app_secret_file: Option<PathBuf>,
        /// End: drop the old secret, once Meta signs with the new one and repeats nothing from before
        #[arg(long, group = "step")]
        end: bool,
    },
    /// Read business numbers and templates from the Graph API
    Sync {
        /// The account; all of them if absent
        name: Option<String>,
    },
    /// List the accounts
    #[command(alias = "ls")]
    List,
}

impl Account {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Add { name, waba_id, portfolio, access_token_file, app_secret_file, verify_token_file } => {
                let body = NewAccountBody {
                    name,
                    waba_id,
                    portfolio,
                    access_token: read_secret(&access_token_file)?.into(),
                    app_secret: read_secret(&app_secret_file)?.into(),
                    verify_token: read_secret(&verify_token_file)?.into(),
                };
                let account = with_client(session, async |client| client.post("/api/v1/accounts", &body).await).await?;
                session.out.document(&account)?;
                session.out.remark("Next: hudhud account sync");
            }
            Self::Rotate { name, access_token_file } => {
                let body = RotateBody { access_token: read_secret(&access_token_file)?.into() };
                let path = format!("/api/v1/accounts/{}/rotate", segment(&name));
                let account = with_client(session, async |client| client.post(&path, &body).await).await?;
                session.out.document(&account)?;
            }
            Self::RotateSecret { name, app_secret_file, end: _ } => {
                let path = format!("/api/v1/accounts/{}/secret", segment(&name));
                let account = match app_secret_file {
                    Some(file) => {
                        let body = SecretBody { app_secret: read_secret(&file)?.into() };
                        with_client(session, async |client| client.post(&path, &body).await).await?
                    }
                    None => with_client(session, async |client| client.delete(&path).await).await?,
                };
                session.out.document(&account)?;
                if !account["secret_rotation_since"].is_null() {
                    session.out.remark("Both secrets are taken. Next: change it at Meta, and some days later");
                    session.out.remark(&format!("  hudhud account rotate-secret {name} --end"));
                }
            }
            Self::Sync { name } => {
                let path = match name {
                    Some(name) => format!("/api/v1/accounts/{}/sync", segment(&name)),
                    None => "/api/v1/accounts/sync".to_owned(),
                };
                let report = with_client(session, async |client| client.post(&path, &json!({})).await).await?;
                session.out.document(&report)?;
            }
            Self::List => {
                let accounts = with_client(session, async |client| client.list("/api/v1/accounts").await).await?;
                let columns = [
                    ("NAME", "name"),
                    ("WABA ID", "waba_id"),
                    ("PORTFOLIO", "portfolio"),
                    ("SYNCED", "synced_at"),
                    ("STOPPED", "stopped_reason"),
                ];
                session.out.table(&columns, &accounts)?;
            }
        }
        Ok(Exit::Done)
    }
}
