//! The commands (contract.md): each turns its arguments into requests to the HTTP API and prints the answers.

mod account;
mod apikey;
mod audit;
mod campaign;
mod doctor;
mod file_hints;
mod import;
mod indoubt;
mod ledger;
mod list;
mod message;
mod number;
mod optout;
mod person;
mod queue;
mod rate_card;
mod rules;
mod setup;
mod template;
pub(crate) mod user;
mod wait;
mod words;

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;

use crate::cli::Session;
use crate::client::query_encoded;
use crate::demo;
use crate::exit::Exit;
use crate::serve;

/// What Hudhud can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole thing at work against a simulated Cloud API
    Demo(demo::DemoArgs),
    /// Run the API, the scheduler and the workers
    Serve(serve::ServeArgs),
    /// Create or migrate the database
    Migrate,
    /// Check the settings and show where each comes from
    CheckConfig,
    /// Check everything that Hudhud needs
    Doctor,
    /// WhatsApp Business Accounts
    #[command(subcommand)]
    Account(account::Account),
    /// Business numbers: rates and pauses
    #[command(subcommand)]
    Number(number::Number),
    /// Stop sending on every business number
    PauseAll {
        /// Shown to everybody who asks why nothing is sent
        #[arg(long)]
        reason: String,
    },
    /// Lift pause-all
    ResumeAll,
    /// Message templates
    #[command(subcommand)]
    Template(template::Template),
    /// Import a CSV file of people who opted in
    Import(Box<import::Import>),
    /// Past imports
    #[command(subcommand)]
    Imports(import::Imports),
    /// Lists of people
    #[command(subcommand)]
    List(list::List),
    /// Campaigns
    #[command(subcommand)]
    Campaign(campaign::Campaign),
    /// Single messages, ahead of what is sent to many
    #[command(subcommand)]
    Message(message::Message),
    /// Sends that may or may not have gone
    #[command(subcommand)]
    Indoubt(indoubt::InDoubt),
    /// People who may not be messaged
    #[command(subcommand)]
    Optout(optout::OptOut),
    /// Words that stop, beside the built-in ones
    #[command(subcommand)]
    Words(words::Words),
    /// Rules of the house: what holds for every campaign
    #[command(subcommand)]
    Rules(rules::Rules),
    /// What messages cost: prices by market and category
    #[command(subcommand)]
    RateCard(rate_card::RateCard),
    /// The record of consents and stops
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Everything held of one person: handed out, or erased
    #[command(subcommand)]
    Person(person::Person),
    /// Depth, age, pace and limit of each business number
    Queue,
    /// People who sign in to the console
    #[command(subcommand)]
    User(user::User),
    /// Keys for the HTTP API
    #[command(subcommand)]
    Apikey(apikey::ApiKey),
    /// Who did what, the newest first
    Audit(audit::Audit),
    /// Print the HTTP API's description (OpenAPI 3.1)
    Openapi,
}

impl Command {
    /// Whether it runs until it is stopped, and logs rather than talks.
    #[must_use]
    pub fn is_a_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }

    /// Does it.
    ///
    /// # Errors
    /// Whatever kept it from being done; [`crate::exit::code_of`] gives the exit code.
    pub async fn run(self, session: Session) -> anyhow::Result<Exit> {
        match self {
            Self::Demo(args) => demo::run(args, session).await,
            Self::Serve(args) => serve::run(args, session).await,
            Self::Migrate => setup::migrate(&session).await,
            Self::CheckConfig => setup::check_config(&session),
            Self::Doctor => doctor::run(&session).await,
            Self::Account(command) => command.run(&session).await,
            Self::Number(command) => command.run(&session).await,
            Self::PauseAll { reason } => number::pause_all(&session, reason).await,
            Self::ResumeAll => number::resume_all(&session).await,
            Self::Template(command) => command.run(&session).await,
            Self::Import(command) => command.run(&session).await,
            Self::Imports(command) => command.run(&session).await,
            Self::List(command) => command.run(&session).await,
            Self::Campaign(command) => command.run(&session).await,
            Self::Message(command) => command.run(&session).await,
            Self::Indoubt(command) => command.run(&session).await,
            Self::Optout(command) => command.run(&session).await,
            Self::Words(command) => command.run(&session).await,
            Self::Rules(command) => command.run(&session).await,
            Self::RateCard(command) => command.run(&session).await,
            Self::Ledger(command) => command.run(&session).await,
            Self::Person(command) => command.run(&session).await,
            Self::Queue => queue::run(&session).await,
            Self::User(command) => command.run(&session).await,
            Self::Apikey(command) => command.run(&session).await,
            Self::Audit(command) => command.run(&session).await,
            Self::Openapi => setup::openapi(&session),
        }
    }
}

/// Asks one question, closes the way to Hudhud in order, and gives the answer.
///
/// A closure of a client would need its future to borrow from its argument, which is what `async` closures are for.
async fn with_client<T>(
    session: &Session,
    ask: impl AsyncFnOnce(&crate::client::ApiClient) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let client = session.client().await?;
    let answer = ask(&client).await;
    client.close().await;
    answer
}

/// A secret from its file, without its last line break.
fn read_secret(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let secret = text.trim();
    anyhow::ensure!(!secret.is_empty(), "{} is empty", path.display());
    Ok(secret.to_owned())
}

/// One segment of a path, escaped.
fn segment(name: &str) -> String {
    query_encoded(name)
}
