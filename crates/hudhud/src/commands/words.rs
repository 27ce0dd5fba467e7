//! `hudhud words`.

use clap::Subcommand;
use serde_json::json;

use super::{segment, with_client};
use crate::cli::Session;
use crate::exit::Exit;
use crate::http::{NewWordBody, TextBody};

/// What a phrase means, on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Means {
    /// No more messages
    Stop,
    /// A person reads it
    Doubtful,
    /// Messages again
    Start,
    /// Nothing, whatever the built-in words say
    Nothing,
}

impl Means {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Doubtful => "doubtful",
            Self::Start => "start",
            Self::Nothing => "nothing",
        }
    }
}

/// `hudhud words …`
#[derive(Debug, Subcommand)]
pub enum Words {
    /// List the phrases that were added to the built-in ones
    Ls,
    /// Say what a phrase means, as a whole message or button label
    Add {
        /// The phrase
        phrase: String,
        /// What it means
        #[arg(long, value_enum, default_value = "stop")]
        means: Means,
    },
    /// Leave a phrase to the built-in words again
    Rm {
        /// The phrase
        phrase: String,
    },
    /// Say what a text would mean; nothing follows from it
    Try {
        /// The text
        text: String,
    },
}

impl Words {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Ls => {
                let words = with_client(session, async |client| client.list("/api/v1/words").await).await?;
                let columns = [("PHRASE", "phrase"), ("MEANS", "verdict"), ("BY", "by"), ("AT", "at")];
                session.out.table(&columns, &words)?;
            }
            Self::Add { phrase, means } => {
                let body = NewWordBody { phrase, means: means.as_str().to_owned() };
                let word = with_client(session, async |client| client.post("/api/v1/words", &body).await).await?;
                session.out.document(&word)?;
            }
            Self::Rm { phrase } => {
                let path = format!("/api/v1/words/{}", segment(&phrase));
                with_client(session, async |client| client.delete(&path).await).await?;
                if session.out.is_json() {
                    session.out.document(&json!({"removed": phrase}))?;
                }
                session.out.remark("Removed.");
            }
            Self::Try { text } => {
                let body = TextBody { text };
                let reading =
                    with_client(session, async |client| client.post("/api/v1/words/read", &body).await).await?;
                session.out.document(&reading)?;
            }
        }
        Ok(Exit::Done)
    }
}
