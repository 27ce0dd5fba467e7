//! `hudhud demo`: the whole thing at work, in a temporary directory, against a simulated Cloud API.
//!
//! A simulator, a private Redis and an embedded database; the made-up people of `fixtures/`; a campaign at a paced rate
//! whose recipients read, tap and opt out; a second campaign that must skip exactly those who did; and a report that
//! holds our books against the simulator's own ledger.

mod books;
mod people;
mod stage;

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::{Bar, Line, Session};
use crate::exit::Exit;
use books::Books;
use stage::Stage;

/// A campaign of the demo may take so much longer than its pace says before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(180);

/// `hudhud demo …`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many people to import
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    contacts: u32,
    /// Messages a second
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// End when the report is printed, instead of leaving the console running
    #[arg(long)]
    exit: bool,
}

pub(crate) async fn run(args: DemoArgs, session: Session) -> anyhow::Result<Exit> {
    let (stage, mut running) = Stage::set(&session.settings, args.rate).await?;
    let played = tokio::select! {
        played = play(&args, &session, &stage) => played,
        failed = running.failed() => Err(failed),
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped by hand")),
    };
    let books = match played {
        Ok(books) => books,
        Err(error) => {
            stage.clear(running).await;
            return Err(error);
        }
    };
    books.print(&session)?;
    let exit = if books.agree() { Exit::Done } else { Exit::Failed };
    if !args.exit {
        session.out.remark(&format!(
            "\nThe console is open on this data. This link signs you in, once:\n  {}\n(API description: \
             {}/api/openapi.json · data directory: {})\nEnd the demo with Ctrl-C; the directory is removed then.",
            stage.sign_in_link().await?,
            stage.url(),
            stage.data_dir().display()
        ));
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            failed = running.failed() => tracing::error!(error = format!("{failed:#}"), "the demo ended by itself"),
        }
    }
    stage.clear(running).await;
    Ok(exit)
}

async fn play(args: &DemoArgs, session: &Session, stage: &Stage) -> anyhow::Result<Books> {
    let say = |text: &str| session.out.remark(text);
    say("An account at the simulated Cloud API: business numbers and templates are read.");
    stage.connect(args.rate).await?;

    say(&format!("Importing {} made-up people who opted in, and some rows that are bad on purpose.", args.contacts));
    let imports = people::import(stage.client(), stage.data_dir(), args.contacts).await?;
    for import in &imports.summaries {
        say(&format!(
            "  {}: {} rows = {} accepted + {} duplicates + {} rejected",
            import["file"].as_str().unwrap_or_default(),
            import["rows"],
            import["accepted"],
            import["duplicates"],
            import["rejected"]
        ));
    }

    say(&format!(
        "\nFirst campaign, at {} messages a second. Some will tap \"Stop promotions\" or write STOP.",
        args.rate
    ));
    let first = campaign(session, stage, "Eid offer", "en", &imports.lists).await?;
    stage.quiet().await?;
    // By the simulator's books: whose stop was acknowledged before the second campaign begins.
    let stopped = stage.simulator().report().opt_outs_acknowledged;
    say("\nSecond campaign, to the same people. Whoever opted out is skipped.");
    let second = campaign(session, stage, "Eid reminder", "ar", &imports.lists).await?;
    stage.quiet().await?;

    let first = stage.client().get(&format!("/api/v1/campaigns/{}", first["id"])).await?;
    let second = stage.client().get(&format!("/api/v1/campaigns/{}", second["id"])).await?;
    Books::read(stage, args.rate, imports.summaries, &[first, second], stopped).await
}

/// Creates, checks, launches and follows a campaign to its end.
async fn campaign(
    session: &Session,
    stage: &Stage,
    name: &str,
    language: &str,
    lists: &[String],
) -> anyhow::Result<Value> {
    let client = stage.client();
    let created = client
        .post(
            "/api/v1/campaigns",
            &json!({
                "name": name, "template": "eid_offer", "language": language, "lists": lists,
                "numbers": [stage::NUMBER], "params": {"1": "{name|friend}", "2": "{code|20%}"},
            }),
        )
        .await?;
    let path = format!("/api/v1/campaigns/{}", created["id"]);
    let checked = client.post(&format!("{path}/preflight"), &json!({})).await?;
    session.out.remark(&format!(
        "  preflight: {} would get it, excluded {}, estimated {:.2} {}, done by {}",
        checked["eligible"],
        checked["excluded"],
        checked["estimated_cost"]["total"].as_f64().unwrap_or(0.0),
        checked["estimated_cost"]["currency"].as_str().unwrap_or_default(),
        checked["estimated_finish"].as_str().unwrap_or("at once"),
    ));
    client.post(&format!("{path}/launch"), &json!({"expect_recipients": checked["eligible"], "yes": true})).await?;
    let mut bar = Bar::new(session.out, false);
    let eligible = checked["eligible"].as_u64().unwrap_or(0);
    let deadline = Instant::now() + PATIENCE + Duration::from_secs(eligible / u64::from(stage.rate()).max(1));
    loop {
        let shown = client.get(&path).await?;
        let count = |state: &str| shown["counts"][state].as_u64().unwrap_or(0);
        let total = shown["total"].as_u64().unwrap_or(0);
        let open = count("planned") + count("queued") + count("submitting");
        let pace = stage.pace().await?;
        bar.show(&Line {
            done: total.saturating_sub(open),
            total,
            text: format!(
                "{pace} msg/s, limit {} · {} delivered · {} read · {} failed · {} in doubt",
                stage.rate(),
                count("delivered") + count("read"),
                count("read"),
                count("failed"),
                count("in_doubt")
            ),
        });
        if shown["state"] == "finished" {
            bar.clear();
            session.out.remark(&format!("  finished: {}", shown["counts"]));
            return Ok(shown);
        }
        anyhow::ensure!(Instant::now() < deadline, "the campaign {name} did not end in time: {shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The name of the demo's temporary directory; unguessable, since others may write to the system's.
fn temporary_dir() -> anyhow::Result<std::path::PathBuf> {
    let name = format!("hudhud-demo-{:016x}", rand::random::<u64>());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}
