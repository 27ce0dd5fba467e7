use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::testing::{NOW, TestApp, app};

fn order(list: &str) -> ImportOrder {
    ImportOrder {
        list: list.to_owned(),
        file_name: format!("{list}.csv"),
        region: Some("EG".to_owned()),
        mapping: Vec::new(),
        opt_in_source: "web shop, newsletter box".to_owned(),
        opt_in_at: Some(OptInTime::Fixed(NOW - 86_400_000)),
        encoding: None,
        delimiter: None,
        dry_run: false,
        actor: Actor::cli("amr"),
    }
}

async fn run(app: &App, order: ImportOrder, file: &[u8]) -> Result<ImportSummary> {
    import(app, order, file, |_| {}).await
}

fn counts(summary: &ImportSummary) -> [i64; 6] {
    let ImportSummary { rows, accepted, created, updated, duplicates, rejected, .. } = *summary;
    [rows, accepted, created, updated, duplicates, rejected]
}

/// The rejects of an import, by line.
fn rejects(summary: &ImportSummary) -> BTreeMap<u64, HashMap<String, String>> {
    let Some(file) = &summary.rejects_file else { return BTreeMap::new() };
    let mut reader = csv::Reader::from_path(file).unwrap();
    let rows: Vec<HashMap<String, String>> = reader.deserialize().map(|row| row.unwrap()).collect();
    rows.into_iter().map(|row| (row["line"].parse().unwrap(), row)).collect()
}

/// Ten kinds of bad rows, and the code of each. `LINE` becomes something of its own.
const BAD: [(&[u8], &str); 10] = [
    (b",Nobody,Cairo", "phone-empty"),
    (b"2.01E+11,Sheet,Cairo", "phone-scientific-notation"),
    (b"010012,Short,Cairo", "phone-too-short"),
    (b"01001234567 / 01001234568,Two,Cairo", "phone-two-numbers"),
    (b"call me,Words,Cairo", "phone-letters"),
    (b"+999123456789,Nowhere,Cairo", "phone-unknown-country-code"),
    (b"01001234567", "row-too-few-cells"),
    (b"01001234567,Comma,Cairo,Egypt", "row-too-many-cells"),
    (b"01001234567,Be\xf1o,Cairo", "cell-not-utf8"),
    (b"01001234567,\"Open,Cairo", "row-open-quote"),
];

/// 2,000 good rows with a bad one after every hundredth, a zero byte in one, and 7 repeats at the end.
fn generated() -> (Vec<u8>, BTreeMap<u64, &'static str>) {
    let mut file = b"phone,name,city\r\n".to_vec();
    let mut expected = BTreeMap::new();
    let mut line = 1;
    for n in 0..2_000_u32 {
        file.extend(format!("0100{:07},Person {n},\"Giza, {}\"\r\n", 1_000_000 + n, n % 7).bytes());
        line += 1;
        if n % 100 == 99 {
            let (row, code) = BAD[n as usize / 100 % BAD.len()];
            file.extend(row);
            file.extend(b"\r\n");
            line += 1;
            expected.insert(line, code);
        }
    }
    file.extend(b"01001000000,Zero\0,Cairo\r\n");
    line += 1;
    expected.insert(line, "cell-binary");
    for n in 0..7 {
        file.extend(format!("+20 100 {:07},Again {n},Cairo\r\n", 1_000_000 + n * 3).bytes());
    }
    (file, expected)
}

on_both_databases! {
    async fn good_rows_are_kept_bad_ones_are_named_and_the_same_file_again_changes_nothing(db: Database) {
        let app = app(db).await;
        let (file, expected) = generated();
        let first = run(&app, order("people"), &file).await.unwrap();
        assert_eq!(counts(&first), [2_028, 2_000, 2_000, 0, 7, 21]);
        let found = rejects(&first);
        let codes: BTreeMap<u64, &str> = found.iter().map(|(line, row)| (*line, row["code"].as_str())).collect();
        assert_eq!(codes, expected);
        assert!(found.values().all(|row| !row["reason"].is_empty()));
        let utf8 = found.values().find(|row| row["code"] == "cell-not-utf8").unwrap();
        assert_eq!((utf8["column"].as_str(), utf8["value"].as_str()), ("name", "Be\u{fffd}o"));
        let short = found.values().find(|row| row["code"] == "phone-too-short").unwrap();
        assert_eq!((short["phone"].as_str(), short["name"].as_str(), short["value"].as_str()), ("010012", "Short", "010012"));

        // One ledger entry per chunk of a thousand, and a name for the first of the repeats.
        assert_eq!(app.store.ledger_size().await.unwrap(), 2);
        let key = domain::phone::parse("+201001000000", None).unwrap().key().cast_signed();
        let person = app.store.contact_of_phone(key).await.unwrap().unwrap();
        assert_eq!(person.name.as_deref(), Some("Person 0"));
        assert_eq!(app.store.opt_ins(person.id).await.unwrap()[0].source, "web shop, newsletter box");

        app.clock.advance(Duration::from_secs(60));
        let again = run(&app, order("people"), &file).await.unwrap();
        assert_eq!(counts(&again), [2_028, 2_000, 0, 0, 7, 21]);
        assert_eq!(app.store.ledger_size().await.unwrap(), 2);
        assert_eq!(app.store.contact_of_phone(key).await.unwrap().unwrap(), person);
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 2_000);

        let shown = crate::imports::show(&app, again.import_id.unwrap()).await.unwrap();
        assert_eq!((shown.state.as_str(), shown.sha256.len()), ("done", 64));
        assert_eq!(counts(&shown.summary), counts(&again));
        assert!(crate::imports::rejects(&app, again.import_id.unwrap()).await.unwrap().exists());
    }

    async fn the_root_in_the_ledger_follows_from_the_evidence(db: Database) {
        let app = app(db).await;
        run(&app, order("people"), b"phone\n01001000001\n01001000002\n01001000003\n").await.unwrap();
        let entry = app.store.unsealed(10).await.unwrap().remove(0);
        assert_eq!((entry.kind.as_str(), entry.actor.as_str()), ("opt-in", "cli:amr"));
        assert_eq!(commitment(&entry.salt, &entry.detail), entry.commitment);
        let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap();
        let mut leaves = Vec::new();
        for id in detail["first_contact"].as_i64().unwrap()..=detail["last_contact"].as_i64().unwrap() {
            let person = app.store.contact(id).await.unwrap().unwrap();
            let evidence = app.store.opt_ins(id).await.unwrap().remove(0);
            assert_eq!((evidence.import_id, evidence.chunk), (entry.import_id, Some(1)));
            let salt = evidence.salt.unwrap().try_into().unwrap();
            leaves.push(tree::leaf(&salt, person.phone_key.unwrap(), evidence.at, &evidence.source));
        }
        assert_eq!(detail["root"], hex::encode(tree::root(leaves)));
        assert_eq!(detail["people"], 3);
    }

    async fn opted_out_people_are_counted_and_stay_opted_out(db: Database) {
        let app = app(db).await;
        let phone = domain::phone::parse("+201001000002", None).unwrap();
        let stop = store::Stop {
            contact_id: None,
            phone: Some((phone.key().cast_signed(), phone.e164().cast_signed())),
            user_id: None,
            parent_user_id: None,
            quoted_wamid: None,
            campaign_id: None,
            scope: "all",
            source: "text",
            at: NOW,
            evidence: store::testing::entry("opt-out", NOW),
        };
        app.store.stop(&stop).await.unwrap();
        let summary = run(&app, order("people"), b"phone,name\n01001000001,A\n01001000002,B\n").await.unwrap();
        assert_eq!((summary.accepted, summary.created, summary.updated, summary.suppressed), (2, 1, 1, 1));
        let list = crate::lists::show(&app, "people").await.unwrap();
        assert_eq!((list.members, list.suppressed), (2, 1));
    }

    async fn a_dry_run_counts_and_keeps_nothing(db: Database) {
        let app = app(db).await;
        let (file, _) = generated();
        let dry = ImportOrder { dry_run: true, ..order("people") };
        let summary = run(&app, dry, &file).await.unwrap();
        assert_eq!(counts(&summary), [2_028, 2_000, 2_000, 0, 7, 21]);
        assert_eq!(summary.first_rejects.len(), 21);
        assert!(summary.first_rejects.iter().all(|row| row.line > 1 && !row.code.is_empty() && !row.reason.is_empty()));
        assert_eq!((summary.import_id, summary.rejects_file), (None, None));
        assert!(crate::lists::ls(&app).await.unwrap().is_empty());
        assert!(crate::imports::ls(&app, None, 10).await.unwrap().is_empty());
        assert_eq!(app.store.ledger_size().await.unwrap(), 0);
        assert_eq!(std::fs::read_dir(app.data_dir.path()).unwrap().count(), 0);
    }
}

/// The files that the demo imports, and what must come of each, as `fixtures/manifest.json` has it.
/// Each is imported twice.
async fn fixtures(app: &TestApp) -> Vec<(serde_json::Value, [ImportSummary; 2])> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    let mut done = Vec::new();
    for file in manifest["files"].as_array().unwrap() {
        let text = |key: &str| file[key].as_str().unwrap().to_owned();
        let mapping = file["map"].as_array().unwrap().iter().map(|map| {
            let (field, column) = map.as_str().unwrap().split_once('=').unwrap();
            (field.to_owned(), column.to_owned())
        });
        let order = ImportOrder {
            list: text("list"),
            file_name: text("file"),
            region: file["region"].as_str().map(str::to_owned),
            mapping: mapping.collect(),
            opt_in_source: text("opt_in_source"),
            opt_in_at: Some(text("opt_in_at").parse().unwrap()),
            ..order("unused")
        };
        let bytes = std::fs::read(dir.join(text("file"))).unwrap();
        let first = run(app, order.clone(), &bytes).await.unwrap();
        done.push((file.clone(), [first, run(app, order, &bytes).await.unwrap()]));
    }
    done
}

on_both_databases! {
    async fn the_fixtures_become_what_their_manifest_says(db: Database) {
        let app = app(db).await;
        for (file, [summary, again]) in fixtures(&app).await {
            let name = &file["file"];
            for (key, count) in [
                ("rows", summary.rows),
                ("accepted", summary.accepted),
                ("duplicates", summary.duplicates),
                ("rejected", summary.rejected),
            ] {
                assert_eq!(file[key], count, "{key} of {name}");
            }
            let mut by_code: BTreeMap<String, u64> = BTreeMap::new();
            for row in rejects(&summary).values() {
                *by_code.entry(row["code"].clone()).or_default() += 1;
            }
            assert_eq!(file["rejected_by_code"], serde_json::to_value(by_code).unwrap(), "{name}");
            assert_eq!((again.rows, again.created, again.updated), (summary.rows, 0, 0), "{name} again");
        }
    }
}

/// A file that must not be touched.
struct Untouched;

impl AsyncRead for Untouched {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        panic!("the file was read")
    }
}

#[tokio::test]
async fn an_order_without_source_or_time_is_refused_before_the_file_is_read() {
    let app = app(Database::sqlite().await).await;
    let bad = [
        ImportOrder { opt_in_source: "  ".to_owned(), ..order("people") },
        ImportOrder { opt_in_source: "two\nlines".to_owned(), ..order("people") },
        ImportOrder { opt_in_at: None, ..order("people") },
        ImportOrder { opt_in_at: Some(OptInTime::Fixed(NOW + 1)), ..order("people") },
        ImportOrder { mapping: vec![("opt_in_at".to_owned(), "when".to_owned())], ..order("people") },
        ImportOrder { mapping: vec![("shoe size".to_owned(), "size".to_owned())], ..order("people") },
        ImportOrder { region: Some("Egypt".to_owned()), ..order("people") },
        ImportOrder { encoding: Some("ebcdic".to_owned()), ..order("people") },
        ImportOrder { delimiter: Some("::".to_owned()), ..order("people") },
        ImportOrder { list: " ".to_owned(), ..order("people") },
    ];
    for order in bad {
        let fault = import(&app, order, Untouched, |_| {}).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid, "{fault}");
    }
    assert!(crate::imports::ls(&app, None, 10).await.unwrap().is_empty());
}

#[test]
fn the_time_of_the_opt_in_is_read_as_in_commands() {
    assert_eq!("2026-11-22T02:00:00+02:00".parse::<OptInTime>().unwrap(), OptInTime::Fixed(NOW));
    assert_eq!("@signed up".parse::<OptInTime>().unwrap(), OptInTime::Column("signed up".to_owned()));
    for bad in ["", "@", "yesterday", "2026-11-22"] {
        assert_eq!(bad.parse::<OptInTime>().unwrap_err().kind, FaultKind::Invalid, "{bad}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_used_leaves_no_trace() {
    let app = app(Database::sqlite().await).await;
    let wide: Vec<u8> = "phone,name\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (file, word) in [
        (&b""[..], "empty"),
        (b"\n\n", "empty"),
        (b"shoe,size\n1,2\n", "phone"),
        (b"\"phone,name\n1,2\n", "quote"),
        (b"t\xe9l\xe9phone\n1\n", "UTF-8"),
        (b"PK\x03\x04....", "spreadsheet"),
        (&wide, "utf-16le"),
    ] {
        let fault = run(&app, order("people"), file).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid);
        assert!(fault.detail.contains(word), "{fault}");
    }
    assert!(crate::lists::ls(&app).await.unwrap().is_empty());
    assert!(crate::imports::ls(&app, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn other_encodings_and_delimiters_are_read() {
    let app = app(Database::sqlite().await).await;
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend("الهاتف;الاسم\r\n٠١٠٠١٠٠٠٠٠١;مريم\r\n".encode_utf16().flat_map(u16::to_le_bytes));
    let summary = run(&app, order("people"), &utf16).await.unwrap();
    assert_eq!(counts(&summary), [1, 1, 1, 0, 0, 0]);
    let cp1256 = ImportOrder { encoding: Some("windows-1256".to_owned()), ..order("people") };
    // The same number under a national spelling, and a name: an update.
    let summary = run(&app, cp1256, b"phone|name\n+201001000001|\xe3\xed\n").await.unwrap_err();
    assert!(summary.detail.contains("header"), "a pipe is not guessed: {summary}");
    let cp1256 =
        ImportOrder { encoding: Some("windows-1256".to_owned()), delimiter: Some("|".to_owned()), ..order("people") };
    let summary = run(&app, cp1256, b"phone|name\n+201001000001|\xe3\xed\n").await.unwrap();
    assert_eq!(counts(&summary), [1, 1, 0, 1, 0, 0]);
    let key = domain::phone::parse("+201001000001", None).unwrap().key().cast_signed();
    assert_eq!(app.store.contact_of_phone(key).await.unwrap().unwrap().name.as_deref(), Some("مي"));
}

#[tokio::test]
async fn a_file_of_rejects_can_be_mended_and_imported() {
    let app = app(Database::sqlite().await).await;
    let summary = run(&app, order("people"), b"phone,city\n010012,Giza\n01001000001,Cairo,x\n").await.unwrap();
    let file = std::fs::read_to_string(summary.rejects_file.unwrap()).unwrap();
    assert!(file.starts_with("phone,city,line,column,value,code,reason\n010012,Giza,2,phone,010012,phone-too-short,"));
    let mended = file.replace("010012,Giza", "01001000002,Giza");
    let summary = run(&app, order("people"), mended.as_bytes()).await.unwrap();
    assert_eq!(counts(&summary), [2, 2, 2, 0, 0, 0]);
    let key = domain::phone::parse("+201001000002", None).unwrap().key().cast_signed();
    let person = app.store.contact_of_phone(key).await.unwrap().unwrap();
    assert_eq!(person.attributes, r#"{"city":"Giza"}"#);
}

#[tokio::test]
async fn a_file_without_rejects_leaves_no_file_behind() {
    let app = app(Database::sqlite().await).await;
    let summary = run(&app, order("people"), b"phone\n01001000001\n").await.unwrap();
    assert_eq!(summary.rejects_file, None);
    assert_eq!(std::fs::read_dir(app.data_dir.path().join("rejects")).unwrap().count(), 0);
    let none = crate::imports::rejects(&app, summary.import_id.unwrap()).await.unwrap_err();
    assert_eq!(none.kind, FaultKind::NotFound);
}

#[tokio::test]
async fn a_file_that_breaks_off_keeps_its_chunks_and_no_half_row() {
    let app = app(Database::sqlite().await).await;
    let mut file = b"phone\n".to_vec();
    for n in 0..8_000 {
        file.extend(format!("0100{:07}\n", 1_000_000 + n).bytes());
    }
    // Cut in the middle of a number that would also be one without its end.
    let whole = bytes::Bytes::from(file);
    let pieces = vec![Ok(whole.slice(..whole.len() - 4)), Err(std::io::Error::other("the peer went away"))];
    let reader = tokio_util::io::StreamReader::new(futures::stream::iter(pieces));
    let fault = import(&app.app, order("people"), reader, |_| {}).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.kept.contains("7000 people"), "{fault}");
    assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 7_000);
    let import = crate::imports::ls(&app, None, 1).await.unwrap().remove(0);
    assert_eq!((import.state.as_str(), import.summary.accepted, import.sha256.as_str()), ("failed", 7_000, ""));
    let again = run(&app, order("people"), &whole).await.unwrap();
    assert_eq!((again.accepted, again.created), (8_000, 1_000));
}

#[tokio::test]
async fn progress_is_told_and_never_goes_back() {
    let app = app(Database::sqlite().await).await;
    let (file, _) = generated();
    let mut seen = Vec::new();
    import(&app.app, order("people"), &file[..], |progress| seen.push(*progress)).await.unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].rows <= pair[1].rows));
    assert_eq!(seen.last().unwrap().rows, 2_028);
    assert!(seen.iter().all(|p| p.rows == p.accepted + p.duplicates + p.rejected));
    assert!(seen.len() >= 3);
}

#[tokio::test]
async fn rejects_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let app = app(Database::sqlite().await).await;
    let summary = run(&app, order("people"), b"phone\nx\n").await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = std::path::PathBuf::from(summary.rejects_file.unwrap());
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}
