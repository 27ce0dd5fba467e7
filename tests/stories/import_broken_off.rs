//! Imports through a pipe, and imports that are killed in the middle.

use std::time::Duration;

use e2e::{Database, Setup, Started, World, at_length, story, until};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

use crate::import::{Expected, file, reasons};
use crate::on_both_databases;

const ORDER: [&str; 10] =
    ["import", "-", "--list", "spring", "--region", "EG", "--opt-in-source", "web form", "--opt-in-at", "@opted_in_at"];
/// What of a file is fed before its import is killed, at the least: so much that some of it is stored.
const FED: f64 = 0.5;

on_both_databases! {
    /// Whoever is killed, the server or a command that works by itself, and whenever: what is stored adds up, and the
    /// same file again doubles and loses nobody.
    async fn a_file_whose_import_is_killed_in_the_middle_is_imported_again_and_everybody_is_there_once(database)
    within 600; {
        let (rows, kills) = at_length((16_000, 3), (200_000, 20));
        let world = World::new(Setup::on(database)).await;
        let (csv, expected) = file(rows);
        for kill in 0..kills {
            let mut serve = (kill % 2 == 0).then(|| world.serve_unready("main", &[]));
            let mut known = 0;
            if let Some(serve) = &mut serve {
                serve.ready().await;
                known = imports(&world).await.len();
            }
            let mut import = world.start(&ORDER);
            let mut pipe = import.stdin();
            feed_half(&mut pipe, &csv).await;
            if serve.is_some() {
                stored(&world, known).await;
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
            match &mut serve {
                Some(serve) => {
                    serve.kill();
                    let said = import.answer().await;
                    assert_ne!(said.code, 0, "nobody is told that a file was imported which was not: {said:?}");
                }
                None => import.kill().await,
            }
            drop(pipe);
        }
        let _serve = world.serve("main", &[]).await;
        until("all broken imports are known as such", Duration::from_secs(30), async || {
            let imports = imports(&world).await;
            imports.iter().all(|import| import["state"] == "interrupted").then_some(())
        })
        .await;
        let so_far = created(&world).await;
        assert!(so_far > 0 && so_far < expected.accepted, "{so_far} people are stored");

        let (last, rejects) = import_whole(&world, &csv, &expected).await;
        assert_eq!(last["created"], json!(expected.accepted - so_far), "nobody is doubled and nobody lost: {last}");
        assert_eq!(last["updated"], json!(0), "{last}");
        assert_eq!(created(&world).await, expected.accepted);
        assert_eq!(reasons(&rejects), expected.reasons);
        let (again, _) = import_whole(&world, &csv, &expected).await;
        assert_eq!((&again["created"], &again["updated"]), (&json!(0), &json!(0)), "{again}");
        assert_eq!(again["same_as"]["import_id"], last["import_id"], "a broken import is of no known file: {again}");

        let ledger = until("the ledger is sealed", Duration::from_secs(60), async || {
            let ledger = world.hudhud(&["ledger", "verify"]).await.ok();
            (ledger["unsealed"] == 0).then_some(ledger)
        })
        .await;
        assert_eq!((&ledger["ok"], &ledger["evidence"]), (&json!(true), &json!(expected.accepted)), "{ledger}");
        eprintln!("{kills} kills left {so_far} of {} people", expected.accepted);
    }
}

/// Half of a file and more; never all of it.
async fn feed_half(pipe: &mut ChildStdin, csv: &str) {
    let share = FED + rand::random_range(0.0..0.4);
    let bytes = (csv.len() as f64 * share) as usize;
    pipe.write_all(&csv.as_bytes()[..bytes]).await.expect("the command reads on");
}

/// Waits until a new import runs, and some of it is stored if it is the first: of people who are there already an import
/// only notes now and then how far it came.
async fn stored(world: &World, known: usize) {
    until("the import is under way", Duration::from_secs(60), async || {
        let imports = imports(world).await;
        let newest = imports.first().filter(|_| imports.len() > known)?;
        let stored = known > 0 || newest["accepted"].as_u64() > Some(0);
        (newest["state"] == "running" && stored).then_some(())
    })
    .await;
}

/// All imports, newest first. The counts of each add up.
async fn imports(world: &World) -> Vec<Value> {
    let page = world.hudhud(&["imports", "ls"]).await.ok();
    let imports = page.as_array().unwrap_or_else(|| panic!("a page of imports: {page}")).clone();
    for import in &imports {
        let count = |name: &str| import[name].as_u64().unwrap_or_else(|| panic!("{name} of {import}"));
        assert_eq!(count("rows"), count("accepted") + count("duplicates") + count("rejected"), "{import}");
        assert!(count("created") + count("updated") <= count("accepted"), "{import}");
    }
    imports
}

/// How many people the imports say that they made, which is how many are on the list.
async fn created(world: &World) -> u64 {
    let said = imports(world).await.iter().filter_map(|import| import["created"].as_u64()).sum();
    let list = world.hudhud(&["list", "show", "spring"]).await.ok();
    assert_eq!(list["members"], json!(said), "the books and the list say the same: {list}");
    said
}

/// Imports all of it by its name: what came of it, and where its rejects are.
async fn import_whole(world: &World, csv: &str, expected: &Expected) -> (Value, String) {
    let file = world.file("people.csv", csv);
    let rejects = world.dir().join("rejects.csv").display().to_string();
    let order = [&["import", &file], &ORDER[2..], &["--rejects", &rejects]].concat();
    let summary = world.hudhud(&order).await.coded(3);
    assert_adds_up(&summary, expected);
    (summary, rejects)
}

fn assert_adds_up(summary: &Value, expected: &Expected) {
    for (name, count) in [
        ("rows", expected.rows),
        ("accepted", expected.accepted),
        ("duplicates", expected.duplicates),
        ("rejected", expected.rejected),
    ] {
        assert_eq!(summary[name], json!(count), "{name} of {summary}");
    }
}

#[tokio::test]
async fn a_file_through_standard_input_is_the_same_file_however_it_trickles_in() {
    story(Duration::from_secs(300), async {
        let world = World::new(Setup::on(Database::Sqlite)).await;
        let _serve = world.serve("main", &[]).await;
        let (csv, expected) = file(5_000);
        let mut import: Started = world.start(&ORDER);
        let mut pipe = import.stdin();
        let mut rest = csv.as_bytes();
        while !rest.is_empty() {
            // Cut anywhere: within a letter, within a row.
            let (piece, left) = rest.split_at(rest.len().min(rand::random_range(1..6_000)));
            pipe.write_all(piece).await.expect("the command reads on");
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..20))).await;
            rest = left;
        }
        drop(pipe);
        let piped = import.answer().await.coded(3);
        assert_adds_up(&piped, &expected);
        assert_eq!(piped["created"], json!(expected.accepted), "{piped}");
        let id = piped["import_id"].to_string();
        let shown = world.hudhud(&["imports", "show", &id]).await.ok();
        assert_eq!((&shown["file_name"], &shown["state"]), (&json!("(standard input)"), &json!("done")), "{shown}");

        let (again, rejects) = import_whole(&world, &csv, &expected).await;
        assert_eq!(again["created"], json!(0), "{again}");
        assert_eq!(again["same_as"]["import_id"], piped["import_id"], "{again}");
        assert_eq!(reasons(&rejects), expected.reasons);
    })
    .await;
}
