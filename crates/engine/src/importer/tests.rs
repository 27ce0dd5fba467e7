use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::FaultKind;
use crate::ledger::{commitment, tree};
use crate::testing::{NOW, TestApp, app};

pub(crate) fn order(list: &str) -> ImportOrder {
    ImportOrder {
        list: list.to_owned(),
        file_name: format!("{list}.csv"),
        region: Some("EG".to_owned()),
        mapping: Vec::new(),
        opt_in_source: "web shop, newsletter box".to_owned(),
        opt_in_wording: "Send me offers by WhatsApp".to_owned(),
        opt_in_at: Some(OptInTime::Fixed(NOW - 86_400_000)),
        encoding: None,
        delimiter: None,
        hints: Hints::default(),
        dry_run: false,
        actor: Actor::cli("amr"),
    }
}

pub(crate) async fn run(app: &App, order: ImportOrder, file: &[u8]) -> Result<ImportSummary> {
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
        file.extend(format!("0100{:07},Person {n},\"Gíza, {}\"\r\n", 1_000_000 + n, n % 7).bytes());
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

        // One ledger entry per chunk of two thousand, and a name for the first of the repeats.
        assert_eq!(app.store.ledger_size().await.unwrap(), 1);
        let key = domain::phone::parse("+201001000000", None).unwrap().key().cast_signed();
        let person = app.store.contact_of_phone(key).await.unwrap().unwrap();
        assert_eq!(person.name.as_deref(), Some("Person 0"));
        assert_eq!(app.store.opt_ins(person.id).await.unwrap()[0].source, "web shop, newsletter box");

        app.clock.advance(Duration::from_secs(60));
        let again = run(&app, order("people"), &file).await.unwrap();
        assert_eq!(counts(&again), [2_028, 2_000, 0, 0, 7, 21]);
        assert_eq!(app.store.ledger_size().await.unwrap(), 1);
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
            let text = store::ConsentText { source: evidence.source, wording: evidence.wording };
            leaves.push(tree::leaf(&salt, person.phone_key.unwrap(), evidence.at, &text));
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
            scope: domain::optout::scope::Scope::All,
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
    for (file, word) in [
        (&b""[..], "empty"),
        (b"\n\n", "empty"),
        (b"shoe,size\n1,2\n", "phone"),
        (b"\"phone,name\n1,2\n", "quote"),
        ("name,d\u{fffd}te\n1,2\n".as_bytes(), "encoding"),
        (b"PK\x03\x04....", "spreadsheet"),
        (b"%PDF-1.7", "PDF"),
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
    assert_eq!((summary.found.encoding.as_deref(), summary.found.delimiter.as_deref()), (Some("utf-16le"), Some(";")));
    // The same number under a national spelling, and a name: an update. Nothing is said, and all of it found out.
    let summary = run(&app, order("people"), b"phone|name\n+201001000001|\xe3\xed\n").await.unwrap();
    assert_eq!(
        (summary.found.encoding.as_deref(), summary.found.delimiter.as_deref()),
        (Some("windows-1256"), Some("|"))
    );
    let shown = crate::imports::show(&app, summary.import_id.unwrap()).await.unwrap();
    assert_eq!(shown.summary.found, summary.found);
    let said =
        ImportOrder { encoding: Some("windows-1256".to_owned()), delimiter: Some("pipe".to_owned()), ..order("new") };
    let again = run(&app, said, b"phone|name\n+201001000001|\xe3\xed\n").await.unwrap();
    assert_eq!(counts(&again), [1, 1, 0, 0, 0, 0]);
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
    assert_eq!(counts(&summary), [2, 1, 1, 0, 0, 1], "a row with a cell too many is not cut to one that looks good");
    let whole = std::fs::read_to_string(summary.rejects_file.unwrap()).unwrap();
    let mended = whole.replace("\"01001000001,Cairo,x\",", "01001000001,\"Cairo, x\"");
    let summary = run(&app, order("people"), mended.as_bytes()).await.unwrap();
    assert_eq!(counts(&summary), [1, 1, 1, 0, 0, 0]);
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
    assert!(fault.kept.contains("7999 people"), "{fault}");
    assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 7_999);
    let import = crate::imports::ls(&app, None, 1).await.unwrap().remove(0);
    assert_eq!((import.state.as_str(), import.summary.accepted, import.sha256.as_str()), ("failed", 7_999, ""));
    let again = run(&app, order("people"), &whole).await.unwrap();
    assert_eq!((again.accepted, again.created), (8_000, 1));
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
    assert!(seen.len() >= 2);
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

#[tokio::test]
async fn what_was_said_of_a_header_holds_for_the_next_file_with_it() {
    let app = app(Database::sqlite().await).await;
    let file = b"reach,who\n01001000001,Mona\n";
    let fault = run(&app, order("people"), file).await.unwrap_err();
    assert!(fault.detail.contains("--map phone=reach"), "{fault}");
    let pair = |field: &str, column: &str| (field.to_owned(), column.to_owned());
    let said = ImportOrder { mapping: vec![pair("phone", "reach"), pair("name", "who")], ..order("people") };
    let dry = ImportOrder { dry_run: true, ..said.clone() };
    run(&app, dry, file).await.unwrap();
    assert!(run(&app, order("people"), file).await.is_err(), "a dry run is not remembered");
    assert_eq!(run(&app, said, file).await.unwrap().found.mapping_from, "flags");
    let next = run(&app, order("people"), b"Reach;WHO\n01001000002;Omar\n").await.unwrap();
    assert_eq!((next.accepted, next.found.mapping_from.as_str()), (1, "remembered"));
    assert_eq!(next.found.mapping["name"], "WHO");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let recalled = super::recalled(&app.app, &names(&["reach", " Who"])).await.unwrap();
    assert_eq!(recalled, [(Field::Name, "who".to_owned()), (Field::Phone, "reach".to_owned())]);
    assert_eq!(super::recalled(&app.app, &names(&["who", "reach"])).await.unwrap(), []);
}

#[tokio::test]
async fn people_without_a_number_come_by_their_user_id_and_reasons_in_the_readers_language() {
    let app = app(Database::sqlite().await).await;
    let file = "phone,user_id,name\n,EG.1349A,Mona\n01001000001,EG.77,Omar\n,EG.1349A,Again\n01001000002,EG.77,Other\n,,Nobody\n";
    let arabic = ImportOrder { hints: Hints { lang: Some("ar".to_owned()), ..Hints::default() }, ..order("people") };
    let summary = run(&app, arabic.clone(), file.as_bytes()).await.unwrap();
    assert_eq!(counts(&summary), [5, 2, 2, 0, 1, 2]);
    let codes: Vec<String> = rejects(&summary).values().map(|row| row["code"].clone()).collect();
    assert_eq!(codes, ["user-id-of-two-numbers", "phone-empty"]);
    assert!(rejects(&summary)[&6]["reason"].starts_with("رقم الهاتف فارغ"));
    let again = run(&app, arabic, file.as_bytes()).await.unwrap();
    assert_eq!(counts(&again), [5, 2, 0, 0, 1, 2]);
}

/// An import of one of the hostile files, with what its verdict says is given.
fn hostile_order(verdict: &serde_json::Value) -> ImportOrder {
    let given = &verdict["given"];
    let text = |key: &str| given[key].as_str().map(str::to_owned);
    let maps = given["map"].as_array().into_iter().flatten().filter_map(|map| map.as_str()?.split_once('='));
    let file = verdict["file"].as_str().unwrap();
    ImportOrder {
        file_name: file.to_owned(),
        region: Some(text("region").unwrap_or_else(|| "EG".to_owned())),
        mapping: maps.map(|(field, column)| (field.to_owned(), column.to_owned())).collect(),
        opt_in_at: text("opt_in_at").map(|at| at.parse().unwrap()).or(Some(OptInTime::Fixed(NOW - 1))),
        encoding: text("encoding"),
        hints: Hints {
            sheet: text("sheet"),
            header: text("header").map(|header| header == "yes"),
            date_order: text("date_order"),
            ..Hints::default()
        },
        ..order(file)
    }
}

#[tokio::test]
async fn the_hostile_files_become_what_their_manifest_says() {
    let app = app(Database::sqlite().await).await;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hostile");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut walked = 0;
    for verdict in manifest["files"].as_array().unwrap() {
        let name = verdict["file"].as_str().unwrap();
        let bytes = std::fs::read(dir.join(name)).unwrap();
        let outcome = run(&app, hostile_order(verdict), &bytes).await;
        walked += 1;
        let summary = match (outcome, verdict["refused"].as_str()) {
            (Err(fault), Some(word)) if fault.kind == FaultKind::Invalid && fault.detail.contains(word) => continue,
            (Err(fault), _) => {
                wrong.push(format!("{name}: {fault}"));
                continue;
            }
            (Ok(_), Some(word)) => {
                wrong.push(format!("{name} is not refused for {word:?}"));
                continue;
            }
            (Ok(summary), None) => summary,
        };
        let codes: Vec<String> = rejects(&summary).into_values().map(|mut row| row.remove("code").unwrap()).collect();
        let found = serde_json::to_value(&summary.found).unwrap();
        let mut got = serde_json::json!({
            "rows": summary.rows, "accepted": summary.accepted, "duplicates": summary.duplicates, "codes": codes,
            "found": {},
        });
        for key in verdict["found"].as_object().unwrap().keys() {
            got["found"][key] = found[key].clone();
        }
        for key in ["rows", "accepted", "duplicates", "codes", "found"] {
            if got[key] != verdict[key] {
                wrong.push(format!("{name}: {key} is {} and not {}", got[key], verdict[key]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(walked >= 60);
}

/// A workbook with one text that unpacks to a thousand times its size.
fn swollen_workbook() -> Vec<u8> {
    use std::io::Write;
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut workbook = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    workbook.start_file("xl/workbook.xml", options).unwrap();
    workbook.write_all(b"<workbook/>").unwrap();
    workbook.start_file("xl/sharedStrings.xml", options).unwrap();
    workbook.write_all(&vec![b'x'; 4 * 1024 * 1024]).unwrap();
    workbook.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_workbook_that_swells_is_refused_before_it_is_read() {
    let app = app(Database::sqlite().await).await;
    let workbook = swollen_workbook();
    assert!(workbook.len() < 16 * 1024, "{}", workbook.len());
    let fault = run(&app, order("people"), &workbook).await.unwrap_err();
    assert!(fault.detail.contains("bounded memory"), "{fault}");
}

on_both_databases! {
    async fn the_same_file_is_told_with_its_day_and_undoing_leaves_what_a_later_import_brought_too(db: Database) {
        let app = app(db).await;
        let file = b"phone,name\n01001000001,A\n01001000002,B\n";
        let first = run(&app, order("people"), file).await.unwrap();
        assert_eq!(first.same_as, None);
        let at = app.clock.now_ms();
        app.clock.advance(Duration::from_secs(60));
        let again = run(&app, order("people"), file).await.unwrap();
        let same = again.same_as.clone().unwrap();
        assert_eq!((same.import_id, same.at), (first.import_id.unwrap(), at));
        let dry = run(&app, ImportOrder { dry_run: true, ..order("people") }, file).await.unwrap();
        assert_eq!(dry.same_as.unwrap().import_id, again.import_id.unwrap());
        assert_eq!(crate::imports::ls(&app, None, 10).await.unwrap()[0].summary.same_as, again.same_as);

        let (first, again) = (first.import_id.unwrap(), again.import_id.unwrap());
        let actor = Actor::cli("amr");
        let kept = crate::imports::undo(&app, first, &actor).await.unwrap();
        assert_eq!((kept.removed, kept.left_list, kept.evidence, kept.kept_for), (0, 0, 0, vec![again]));
        assert_eq!((kept.kept_people, kept.kept_on_list, kept.kept_evidence), (2, 2, 2));
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 2);
        // The ledger vouches for their consent as before, through the import that has it now.
        while crate::ledger::seal_next(&app, 100).await.unwrap() > 0 {}
        let check = crate::ledger::verify(&app).await.unwrap();
        assert_eq!((check.ok, check.entries, check.evidence), (true, 3, 2));
        let undone = crate::imports::undo(&app, again, &actor).await.unwrap();
        assert_eq!((undone.removed, undone.left_list, undone.evidence, undone.kept_people), (2, 2, 2, 0));
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 0);
        assert_eq!(crate::imports::undo(&app, first, &actor).await.unwrap_err().kind, FaultKind::WrongState);
        // Two entries for the consents, two for what was undone; the evidence is gone with them, and that is in order.
        while crate::ledger::seal_next(&app, 100).await.unwrap() > 0 {}
        let check = crate::ledger::verify(&app).await.unwrap();
        assert_eq!((check.ok, check.entries, check.evidence), (true, 4, 0));
    }

    async fn imports_that_run_at_the_same_time_and_share_people_make_each_person_once(db: Database) {
        let app = app(db).await;
        let file = |numbers: std::ops::Range<u32>| {
            let rows = numbers.map(|n| format!("010{:08},A\n", 2_000_000 + n));
            std::iter::once("phone,name\n".to_owned()).chain(rows).collect::<String>()
        };
        let [one, two, three] = [file(0..2_000), file(1_000..3_000), file(500..2_500)];
        let (one, two, three) = tokio::join!(
            run(&app, order("people"), one.as_bytes()),
            run(&app, order("people"), two.as_bytes()),
            run(&app, order("other"), three.as_bytes()),
        );
        let all = [one.unwrap(), two.unwrap(), three.unwrap()];
        assert!(all.iter().all(|summary| (summary.accepted, summary.rejected) == (2_000, 0)), "{all:?}");
        assert_eq!(all.iter().map(|summary| summary.created).sum::<i64>(), 3_000);
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 3_000);
        assert_eq!(crate::lists::show(&app, "other").await.unwrap().members, 2_000);
        while crate::ledger::seal_next(&app, 100).await.unwrap() > 0 {}
        let check = crate::ledger::verify(&app).await.unwrap();
        assert_eq!((check.ok, check.evidence), (true, 3_000));
        // In whatever order they are undone, whoever another one brought stays until that one goes.
        let actor = Actor::cli("amr");
        let ids: Vec<i64> = all.iter().filter_map(|summary| summary.import_id).collect();
        crate::imports::undo(&app, ids[1], &actor).await.unwrap();
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 2_000);
        crate::imports::undo(&app, ids[0], &actor).await.unwrap();
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 0);
        assert_eq!(crate::lists::show(&app, "other").await.unwrap().members, 2_000);
        crate::imports::undo(&app, ids[2], &actor).await.unwrap();
        let left = app.store.contact_of_phone(201_002_001_000).await.unwrap();
        assert!(left.is_none(), "{left:?}");
        while crate::ledger::seal_next(&app, 100).await.unwrap() > 0 {}
        assert!(crate::ledger::verify(&app).await.unwrap().ok);
    }

    async fn evidence_of_consent_that_was_changed_breaks_the_ledger(db: Database) {
        let app = app(db).await;
        run(&app, order("other"), b"phone\n01001000009\n").await.unwrap();
        run(&app, order("people"), b"phone\n01001000001\n01001000002\n01001000003\n").await.unwrap();
        while crate::ledger::seal_next(&app, 100).await.unwrap() > 0 {}
        let check = crate::ledger::verify(&app).await.unwrap();
        assert_eq!((check.ok, check.evidence), (true, 4));
        for (tampering, back) in [
            ("UPDATE opt_ins SET at = at + 1 WHERE contact_id = 3", "UPDATE opt_ins SET at = at - 1 WHERE contact_id = 3"),
            ("UPDATE consent_texts SET wording = 'x'", "UPDATE consent_texts SET wording = 'Send me offers by WhatsApp'"),
            ("UPDATE opt_ins SET import_id = NULL WHERE contact_id = 3", "UPDATE opt_ins SET import_id = 2 WHERE contact_id = 3"),
            ("UPDATE contacts SET phone_key = 1 WHERE id = 3", "UPDATE contacts SET phone_key = phone WHERE id = 3"),
            (
                "INSERT INTO opt_ins (contact_id, at, text_id, import_id, chunk, salt)
                 SELECT 900, at, text_id, import_id, chunk, salt FROM opt_ins WHERE contact_id = 3",
                "DELETE FROM opt_ins WHERE contact_id = 900",
            ),
        ] {
            app.store.tamper(tampering).await;
            let check = crate::ledger::verify(&app).await.unwrap();
            assert!(!check.ok && check.first_broken.is_some(), "{tampering}");
            app.store.tamper(back).await;
            assert!(crate::ledger::verify(&app).await.unwrap().ok, "after {tampering}");
        }
    }

    async fn an_import_whose_process_died_is_interrupted_and_the_file_again_doubles_nobody(db: Database) {
        let app = app(db).await;
        // A file that begins and never goes on.
        let mut file = b"phone,name\n".to_vec();
        for n in 0..5_000 {
            file.extend(format!("0100{:07},Person\n", 1_000_000 + n).bytes());
        }
        let ours = store::Owner { instance: "watcher".into(), host: String::new(), boot: String::new() };
        let mut watch = crate::imports::Watch::default();
        {
            let stalling = tokio::io::AsyncReadExt::chain(&file[..], Pending);
            let importing = import(&app, order("people"), stalling, |_| {});
            tokio::pin!(importing);
            // Until what had come is written: a COPY that is cut off in its middle would break its connection too.
            let begun = async {
                let (mut members, mut unchanged) = (0, 0);
                while members == 0 || unchanged < 30 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let now = crate::lists::show(&app, "people").await.map_or(0, |list| list.members);
                    unchanged = if now == members { unchanged + 1 } else { 0 };
                    members = now;
                }
            };
            tokio::select! {
                _ = &mut importing => panic!("it cannot end"),
                () = begun => {}
            }
            watch.tick(&app, &ours).await.unwrap();
        }
        // Its future is dropped, as when a process dies.
        app.clock.advance(Duration::from_secs(19));
        watch.tick(&app, &ours).await.unwrap();
        assert_eq!(crate::imports::ls(&app, None, 1).await.unwrap()[0].state, "running");
        app.clock.advance(Duration::from_secs(2));
        watch.tick(&app, &ours).await.unwrap();
        let shown = crate::imports::ls(&app, None, 1).await.unwrap().remove(0);
        assert_eq!(shown.state, "interrupted");
        assert_eq!(shown.summary.rows, shown.summary.accepted + shown.summary.duplicates + shown.summary.rejected);
        let again = run(&app, order("people"), &file).await.unwrap();
        assert_eq!((again.accepted, again.created), (5_000, 5_000 - shown.summary.created));
        assert_eq!(crate::lists::show(&app, "people").await.unwrap().members, 5_000);
    }
}

/// A file of which nothing comes.
struct Pending;

impl AsyncRead for Pending {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }
}
