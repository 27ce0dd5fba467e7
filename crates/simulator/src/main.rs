//! The simulator as a program of its own: prints where it listens as one line of JSON, then runs until it is stopped.

use anyhow::Context as _;
use clap::Parser;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A simulated WhatsApp Cloud API.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Where the Graph API listens; port 0 takes a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the control API listens, also while an outage has closed the Graph API.
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Settings as a JSON file; what is left out keeps its default.
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut settings = match &arguments.config {
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", file.display()))?
        }
        None => simulator::Settings::default(),
    };
    settings.listen = arguments.listen.unwrap_or(settings.listen);
    settings.control_listen = arguments.control.unwrap_or(settings.control_listen);
    let simulator = simulator::start(settings).await?;
    let line = serde_json::json!({
        "listening": simulator.addr().to_string(),
        "control": simulator.control_url().trim_start_matches("http://"),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
