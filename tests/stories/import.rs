//! A large file with bad rows of ten kinds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use e2e::{Database, Setup, World, at_length, phone, story};
use serde_json::json;

/// A kind of bad row: the phone, the opt-in time, and the code it must be rejected with.
const KINDS: [(&str, &str, &str); 10] = [
    ("", "2026-03-25", "phone-empty"),
    ("2.01E+11", "2026-03-25", "phone-scientific-notation"),
    ("+201000000001 / +201000000002", "2026-03-25", "phone-two-numbers"),
    ("call Mona", "2026-03-25", "phone-letters"),
    ("+20100", "2026-03-25", "phone-too-short"),
    ("+20100000000000000", "2026-03-25", "phone-too-long"),
    ("+99912345678", "2026-03-25", "phone-unknown-country-code"),
    ("+201099999999", "2126-03-25", "opt-in-future"),
    ("+201099999998", "03/04/2026", "opt-in-ambiguous"),
    // Two cells only: handled where the file is written.
    ("+201099999997", "", "row-too-few-cells"),
];

#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) rows: u64,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    /// Line of the file → code.
    pub(crate) reasons: BTreeMap<u64, &'static str>,
}

/// One bad row in a hundred, of the ten kinds in turn; one duplicate in two hundred, spelt otherwise.
pub(crate) fn file(rows: u32) -> (String, Expected) {
    let mut csv = String::from("phone,name,opted_in_at\n");
    let mut expected = Expected::default();
    for n in 0..rows {
        expected.rows += 1;
        let line = u64::from(n) + 2;
        if n % 100 == 50 {
            let (phone, at, code) = KINDS[(n / 100) as usize % KINDS.len()];
            match code {
                "row-too-few-cells" => writeln!(csv, "{phone},Bad"),
                _ => writeln!(csv, "{phone},Bad,{at}"),
            }
            .expect("a string takes everything");
            expected.rejected += 1;
            expected.reasons.insert(line, code);
        } else if n % 200 == 99 {
            // The row before, as an Egyptian writes it at home.
            let national = phone(n - 1).replace("+20", "0");
            writeln!(csv, "{national},Again,2026-03-25").expect("a string takes everything");
            expected.duplicates += 1;
        } else {
            writeln!(csv, "{},منى {n},2026-03-25", phone(n)).expect("a string takes everything");
            expected.accepted += 1;
        }
    }
    (csv, expected)
}

#[tokio::test]
async fn every_row_of_a_large_file_is_accepted_a_duplicate_or_rejected_for_the_right_reason() {
    let rows = std::env::var("HUDHUD_IMPORT_ROWS").ok().and_then(|text| text.parse().ok());
    let rows = rows.unwrap_or_else(|| at_length(20_000, 100_000));
    story(Duration::from_secs(300), async move {
        let world = World::new(Setup::on(Database::Sqlite)).await;
        let (csv, expected) = file(rows);
        let file = world.file("people.csv", &csv);
        let rejects = world.dir().join("rejects.csv").display().to_string();
        let import = ["import", &file, "--list", "spring", "--region", "EG", "--opt-in-source", "web form"];
        let import = [&import[..], &["--opt-in-at", "@opted_in_at", "--rejects", &rejects]].concat();

        let tried = world.hudhud(&[&import[..], &["--dry-run"]].concat()).await.coded(3);
        assert_eq!((&tried["rows"], &tried["rejected"]), (&json!(expected.rows), &json!(expected.rejected)));

        let first = world.hudhud(&import).await.coded(3);
        assert_eq!(first["rows"], json!(expected.rows), "{first}");
        assert_eq!(first["accepted"], json!(expected.accepted), "{first}");
        assert_eq!(first["created"], json!(expected.accepted), "a dry run had changed nothing: {first}");
        assert_eq!(first["duplicates"], json!(expected.duplicates), "{first}");
        assert_eq!(first["rejected"], json!(expected.rejected), "{first}");
        assert_eq!(first["rejects_file"], json!(rejects), "{first}");
        assert_eq!(reasons(&rejects), expected.reasons);

        let again = world.hudhud(&import).await.coded(3);
        assert_eq!((&again["created"], &again["updated"]), (&json!(0), &json!(0)), "{again}");
        for same in ["rows", "accepted", "duplicates", "rejected"] {
            assert_eq!(again[same], first[same], "{same}");
        }
        let list = world.hudhud(&["list", "show", "spring"]).await.ok();
        assert_eq!(list["members"], json!(expected.accepted), "{list}");
        eprintln!("imported {rows} rows in {} s, again in {} s", first["seconds"], again["seconds"]);
    })
    .await;
}

/// The line and code of each rejected row. Each has its column, value and reason in words, too.
pub(crate) fn reasons(file: &str) -> BTreeMap<u64, &'static str> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).expect("the rejects file");
    let header = reader.headers().expect("a header").clone();
    let column =
        |name: &str| header.iter().position(|title| title == name).unwrap_or_else(|| panic!("no column {name}"));
    let (line, code, reason) = (column("line"), column("code"), column("reason"));
    column("column");
    column("value");
    let mut found = BTreeMap::new();
    for row in reader.records() {
        let row = row.expect("a row");
        assert!(row[reason].len() > 10, "a reason in words: {row:?}");
        let known = KINDS.iter().map(|(_, _, known)| *known).find(|known| *known == &row[code]);
        let known = known.unwrap_or_else(|| panic!("an unexpected code: {row:?}"));
        found.insert(row[line].parse().expect("a line"), known);
    }
    found
}
