//! `hudhud list`.

use clap::Subcommand;

use super::{segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;

/// `hudhud list …`
#[derive(Debug, Subcommand)]
pub enum List {
    /// List the lists
    Ls,
    /// Show one list
    Show {
        /// The list
        list: String,
    },
    /// Remove a list; its people, their consents and opt-outs stay
    Rm {
        /// The list
        list: String,
    },
}

impl List {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let path = |list: &str| format!("/api/v1/lists/{}", segment(list));
        match self {
            Self::Ls => {
                let lists = with_client(session, async |client| client.list("/api/v1/lists").await).await?;
                let columns =
                    [("NAME", "name"), ("MEMBERS", "members"), ("OPTED OUT", "suppressed"), ("CREATED", "created_at")];
                session.out.table(&columns, &lists)?;
            }
            Self::Show { list } => {
                let list = with_client(session, async |client| client.get(&path(&list)).await).await?;
                session.out.document(&list)?;
            }
            Self::Rm { list } => {
                with_client(session, async |client| client.delete(&path(&list)).await).await?;
                if session.out.is_json() {
                    session.out.document(&serde_json::json!({"removed": list}))?;
                }
                session.out.remark(&format!("Removed the list {list}. Its people, consents and opt-outs stay."));
            }
        }
        Ok(Exit::Done)
    }
}
