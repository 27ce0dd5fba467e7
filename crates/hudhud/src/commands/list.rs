//! `hudhud list`.

use clap::Subcommand;
use serde_json::json;

use super::{segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;

/// The language of filters, for the long help.
const FILTERS: &str = "\
Filters:
  city = Cairo            also != < <= > >=, contains, is empty, is not empty, in (Cairo, Giza), not in (…)
                          numbers are compared as numbers, days written 2026-01-31 as days; name and language are
                          columns like any other; \"quotes\" around what has spaces or is a word of the language
  country = EG            the country of their number: =, !=, in (EG, SA), not in (…)
  time zone = Africa/Cairo   their column timezone, else that of their number's country
  messaged within 30 days    a message left for them, of any campaign; not messaged within 30 days
  read campaign \"spring\"    or a run or retry of it; read last campaign: the last one that was sent to them
  replied                 they wrote to us; replied within 30 days; replied to campaign \"spring\"
  joined since 2026-01-31 they came to one of the lists since; midnight UTC, or a time with its offset
  never opted out         ever opted out: whether the stop stands or was lifted
  and, or, not and brackets join them: country = EG and (city = Cairo or city is empty) and not replied

Each person is counted once, at the first that holds: excluded, filtered out, opted out, no address.";

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
    /// Count whom a campaign to some lists would write to, less others, by a filter
    #[command(after_long_help = FILTERS)]
    Count {
        /// A list whose people are meant. May be repeated; whoever is on several is one person
        #[arg(long = "list", value_name = "LIST", required = true)]
        lists: Vec<String>,
        /// A list whose people are left out. May be repeated
        #[arg(long = "exclude", visible_alias = "exclude-list", value_name = "LIST")]
        excluded: Vec<String>,
        /// Who of them is meant: 'city = Cairo and not messaged within 30 days' (--help has the language)
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
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
            Self::Count { lists, excluded, filter } => {
                let order = json!({"lists": lists, "excluded_lists": excluded, "filter": filter});
                let count = with_client(session, async |client| client.post("/api/v1/lists/count", &order).await);
                let count = count.await?;
                session.out.document(&count)?;
                for warning in count["warnings"].as_array().into_iter().flatten().filter_map(|text| text.as_str()) {
                    session.out.remark(warning);
                }
            }
            Self::Rm { list } => {
                with_client(session, async |client| client.delete(&path(&list)).await).await?;
                if session.out.is_json() {
                    session.out.document(&json!({"removed": list}))?;
                }
                session.out.remark(&format!("Removed the list {list}. Its people, consents and opt-outs stay."));
            }
        }
        Ok(Exit::Done)
    }
}
