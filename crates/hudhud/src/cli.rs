//! The command line: flags that every command takes, and the way from arguments to an exit code.

mod output;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser};

use crate::client::ApiClient;
use crate::commands::Command;
use crate::exit::{Exit, code_of};
use crate::http::problem::Problem;
use crate::settings::{Flags, LogFormat, Settings, Sources};
use crate::telemetry;

pub use output::{Columns, Output};
pub use progress::{Bar, Line};

/// Campaigns over the WhatsApp Cloud API: import, launch, send at the right pace, stop when told.
#[derive(Debug, Parser)]
#[command(name = "hudhud", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 done with rejected rows or failed messages, 4 preflight \
refused, 5 not found, 6 no permission, 7 wrong state, 8 database, Redis or server unreachable, 9 ledger broken."
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// Print one JSON document on stdout
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    /// Print only data and errors
    #[arg(short, long, global = true, help_heading = "Output", conflicts_with = "verbose")]
    quiet: bool,
    /// Log more on stderr (-vv: even more)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    verbose: u8,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Settings as flags: they win over the environment and hudhud.toml. Secrets come from files only.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct SettingFlags {
    /// Read settings from this file instead of ./hudhud.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the embedded database and everything else is kept
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// sqlite://PATH or postgres://…
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// managed, or redis://…
    #[arg(long, global = true, value_name = "URL")]
    redis_url: Option<String>,
    /// Speak to the Hudhud at this address
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The file with the API key for --url
    #[arg(long, global = true, value_name = "FILE")]
    api_key_file: Option<String>,
    /// Address of the API, the console and the webhooks
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Address of health and metrics
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    admin_listen: Option<String>,
    /// The origin that people and Meta see
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// The Cloud API's base
    #[arg(long, global = true, value_name = "URL")]
    graph_url: Option<String>,
    /// The Graph API's version
    #[arg(long, global = true, value_name = "vN.N")]
    graph_version: Option<String>,
    /// The file with the key that seals tokens at rest
    #[arg(long, global = true, value_name = "FILE")]
    secret_key_file: Option<String>,
    /// Log filter, such as info or hudhud=debug
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// auto, json or pretty
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl SettingFlags {
    fn sources(self) -> Sources {
        let mut flags = Flags::default();
        for (key, value) in [
            ("data_dir", self.data_dir),
            ("database_url", self.database_url),
            ("redis_url", self.redis_url),
            ("url", self.url),
            ("api_key_file", self.api_key_file),
            ("listen", self.listen),
            ("admin_listen", self.admin_listen),
            ("public_url", self.public_url),
            ("graph_url", self.graph_url),
            ("graph_version", self.graph_version),
            ("secret_key_file", self.secret_key_file),
            ("log", self.log),
            ("log_format", self.log_format),
        ] {
            if let Some(value) = value {
                flags.set(key, value);
            }
        }
        Sources::of_process(self.config, flags)
    }
}

/// What a command works with.
#[derive(Debug)]
pub struct Session {
    /// The settings of this process.
    pub settings: Settings,
    /// Where its data goes.
    pub out: Output,
}

impl Session {
    /// The way to Hudhud. Opening it may open the database, so a command asks when it needs it.
    ///
    /// # Errors
    /// As [`ApiClient::open`].
    pub async fn client(&self) -> anyhow::Result<ApiClient> {
        ApiClient::open(&self.settings).await
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { common, command } = Cli::parse();
    let json = common.json;
    match act(common, command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&error, json);
            code_of(&error).into()
        }
    }
}

fn act(common: Common, command: Command) -> anyhow::Result<Exit> {
    let settings = Settings::load(&common.settings.sources())?;
    let filter = match common.verbose {
        // Commands speak for themselves; a log line in between is for what is wrong.
        0 if !command.is_a_server() && settings.origin("log") == "the default" => "warn".to_owned(),
        0 => settings.log.clone(),
        1 => "info,hudhud=debug,engine=debug,store=debug,cloud_api=debug".to_owned(),
        _ => "debug,hudhud=trace,engine=trace,store=trace,cloud_api=trace".to_owned(),
    };
    let format = match settings.log_format {
        // A person who runs a command reads its stderr, even through a pipe.
        LogFormat::Auto if !command.is_a_server() => LogFormat::Pretty,
        format => format,
    };
    telemetry::log(&filter, format)?;
    let out = Output::new(common.json, common.quiet);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(command.run(Session { settings, out }));
    // Not a wait for whatever blocks: standard input, or a resolver that does not answer.
    runtime.shutdown_background();
    exit
}

/// Says on stderr what went wrong, what is kept and what to do.
fn complain(error: &anyhow::Error, json: bool) {
    let problem = error.downcast_ref::<Problem>();
    match problem {
        Some(problem) if json => eprintln!("{}", serde_json::to_string(problem).unwrap_or_default()),
        Some(problem) => eprintln!("error: {problem}"),
        None => eprintln!("error: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_flag_is_a_setting() {
        let cli = Cli::try_parse_from([
            "hudhud",
            "check-config",
            "--data-dir",
            "/tmp/x",
            "--database-url",
            "sqlite:///tmp/x.db",
            "--redis-url",
            "managed",
            "--url",
            "http://127.0.0.1:1",
            "--listen",
            "127.0.0.1:1",
            "--admin-listen",
            "127.0.0.1:2",
            "--public-url",
            "https://a.example",
            "--graph-url",
            "http://127.0.0.1:3",
            "--graph-version",
            "v25.0",
            "--log",
            "warn",
            "--log-format",
            "json",
        ])
        .unwrap();
        let sources = Sources { env: Vec::new(), default_config: None, ..cli.common.settings.sources() };
        let settings = Settings::load(&sources).unwrap();
        let from_flags = settings.effective().iter().filter(|one| one.origin.starts_with("flag --")).count();
        assert_eq!(from_flags, 11);
    }

    #[test]
    fn no_flag_takes_a_secret_itself() {
        for argument in Cli::command().get_arguments() {
            let name = argument.get_long().unwrap_or_default();
            assert!(!["api-key", "secret-key", "token"].contains(&name), "--{name}");
        }
    }
}
