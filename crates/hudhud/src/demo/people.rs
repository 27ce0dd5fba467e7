//! The demo's people: the files of `fixtures/`, inside the executable, and more of the kind when more are wanted.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{ApiClient, Upload, query_encoded};

macro_rules! fixtures {
    ($($name:literal),+) => {
        &[$(($name, include_bytes!(concat!("../../../../fixtures/", $name)))),+]
    };
}

const FILES: &[(&str, &[u8])] =
    fixtures!("egypt.csv", "saudi-arabia.tsv", "mexico.csv", "spain-excel.csv", "brazil.csv", "event-guests.csv");
const MANIFEST: &str = include_str!("../../../../fixtures/manifest.json");

#[derive(Deserialize)]
struct Manifest {
    people: u32,
    files: Vec<Described>,
}

/// How a file is imported and what must come of it.
#[derive(Deserialize)]
struct Described {
    file: String,
    list: String,
    region: Option<String>,
    delimiter: String,
    map: Vec<String>,
    opt_in_source: String,
    opt_in_at: String,
    rows: i64,
    accepted: i64,
    duplicates: i64,
    rejected: i64,
}

pub(super) struct Imports {
    pub(super) lists: Vec<String>,
    /// The import's own summary, with `file` beside it.
    pub(super) summaries: Vec<Value>,
}

/// Imports so many people.
pub(super) async fn import(client: &ApiClient, dir: &Path, wanted: u32) -> anyhow::Result<Imports> {
    let manifest: Manifest = serde_json::from_str(MANIFEST).context("the manifest of the fixtures")?;
    let mut imports = Imports { lists: Vec::new(), summaries: Vec::new() };
    let whole = wanted >= manifest.people;
    for described in &manifest.files {
        let (_, bytes) = FILES
            .iter()
            .find(|(name, _)| *name == described.file)
            .with_context(|| format!("{} is in the manifest and not among the fixtures", described.file))?;
        let bytes = if whole { bytes.to_vec() } else { share(bytes, wanted, manifest.people) };
        let summary = upload(client, dir, described, &bytes).await?;
        if whole {
            let expected = [described.rows, described.accepted, described.duplicates, described.rejected];
            let counted = ["rows", "accepted", "duplicates", "rejected"].map(|key| summary[key].as_i64().unwrap_or(-1));
            anyhow::ensure!(expected == counted, "{}: {counted:?} instead of {expected:?}", described.file);
        }
        imports.lists.push(described.list.clone());
        imports.summaries.push(summary);
    }
    if let Some(more) = wanted.checked_sub(manifest.people).filter(|more| *more > 0) {
        let crowd = Described {
            file: "crowd.csv".to_owned(),
            list: "crowd".to_owned(),
            region: None,
            delimiter: ",".to_owned(),
            map: Vec::new(),
            opt_in_source: "made up for the demo".to_owned(),
            opt_in_at: "2025-01-01T00:00:00Z".to_owned(),
            rows: i64::from(more),
            accepted: i64::from(more),
            duplicates: 0,
            rejected: 0,
        };
        imports.summaries.push(upload(client, dir, &crowd, made_up(more).as_bytes()).await?);
        imports.lists.push(crowd.list);
    }
    Ok(imports)
}

/// The header and the file's share of the rows. Rows with line ends inside quotes may be cut, and are then rejected.
fn share(bytes: &[u8], wanted: u32, people: u32) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let rows = (lines.len() as u64 * u64::from(wanted)).div_ceil(u64::from(people.max(1)));
    lines
        .iter()
        .take(usize::try_from(rows).unwrap_or(usize::MAX).saturating_add(1))
        .copied()
        .flatten()
        .copied()
        .collect()
}

/// More people, with numbers in a row from `+20 102 000 0000`.
fn made_up(count: u32) -> String {
    let mut csv = String::from("phone,name,code\n");
    for n in 0..count {
        // Writing to a string cannot fail.
        let _ = writeln!(csv, "+20102{n:07},Guest {n},C{n}");
    }
    csv
}

async fn upload(client: &ApiClient, dir: &Path, described: &Described, bytes: &[u8]) -> anyhow::Result<Value> {
    let path = dir.join(&described.file);
    tokio::fs::write(&path, bytes).await.with_context(|| format!("writing {}", path.display()))?;
    let mut query = vec![
        ("list", described.list.as_str()),
        ("file_name", &described.file),
        ("opt_in_source", &described.opt_in_source),
        ("opt_in_at", &described.opt_in_at),
        ("delimiter", &described.delimiter),
    ];
    query.extend(described.region.as_deref().map(|region| ("region", region)));
    query.extend(described.map.iter().map(|map| ("map", map.as_str())));
    let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", query_encoded(value))).collect();
    let mut summary =
        client.upload(&format!("/api/v1/imports?{}", query.join("&")), Upload::open(&path).await?).await?;
    summary["file"] = json!(described.file);
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_manifest_is_in_the_executable() {
        let manifest: Manifest = serde_json::from_str(MANIFEST).unwrap();
        assert_eq!(manifest.files.len(), FILES.len());
        for described in &manifest.files {
            assert!(FILES.iter().any(|(name, _)| *name == described.file), "{}", described.file);
        }
    }

    #[test]
    fn a_share_of_a_file_keeps_its_header() {
        let file = b"phone,name\n1,a\n2,b\n3,c\n4,d\n";
        assert_eq!(share(file, 1, 4), b"phone,name\n1,a\n2,b\n");
    }
}
