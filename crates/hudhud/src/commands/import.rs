//! `hudhud import` and `hudhud imports`.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::file_hints::FileHints;
use super::with_client;
use crate::cli::{Bar, Line, Session};
use crate::client::{ApiClient, Upload, query_encoded};
use crate::exit::Exit;

/// `hudhud import FILE …`
#[derive(Debug, Args)]
pub struct Import {
    /// The file: CSV or TSV in any encoding, XLSX, XLSB, XLS or ODS, packed with gzip or not; - for standard input
    file: PathBuf,
    /// The list its people go to; made if it is not there
    #[arg(long)]
    list: String,
    /// The country of numbers written without +, such as EG
    #[arg(long, value_name = "CC")]
    region: Option<String>,
    /// Take a field from this column; fields are phone, user_id, name, language, country, time_zone, opt_in_at,
    /// opt_in_source, opt_in_wording. May be repeated, and is remembered for files with the same header
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Where their consent comes from, in words
    #[arg(long, value_name = "TEXT")]
    opt_in_source: String,
    /// The words in which they were asked, for the record
    #[arg(long, value_name = "TEXT")]
    opt_in_wording: Option<String>,
    /// When they consented: a time, or @COLUMN
    #[arg(long, value_name = "RFC3339|@COLUMN")]
    opt_in_at: String,
    /// The file's encoding, if it should not be detected
    #[arg(long)]
    encoding: Option<String>,
    /// The character between cells, if it should not be detected
    #[arg(long)]
    delimiter: Option<String>,
    #[command(flatten)]
    hints: FileHints,
    /// Write the rejected rows, with line, column and reason, to this file
    #[arg(long, value_name = "OUT.csv")]
    rejects: Option<PathBuf>,
    /// Check every row and change nothing
    #[arg(long)]
    dry_run: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, column)) if !field.is_empty() && !column.is_empty() => Ok((field.to_owned(), column.to_owned())),
        _ => Err("it must look like field=column".to_owned()),
    }
}

impl Import {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        // Before anything is opened: a wrong path should not cost a migration.
        let upload = Upload::open(&self.file).await?;
        let path = self.path();
        let summary = with_client(session, async |client| {
            let mut summary = self.upload(session, client, upload, &path).await?;
            let rejected = summary["rejected"].as_u64().unwrap_or(0);
            if let (Some(out), Some(import), true) = (&self.rejects, summary["import_id"].as_i64(), rejected > 0) {
                client.download(&format!("/api/v1/imports/{import}/rejects"), out).await?;
                summary["rejects_file"] = json!(out.display().to_string());
            }
            Ok(summary)
        })
        .await?;
        session.out.document(&summary)?;
        if let (Some(same), Some(at)) = (summary["same_as"]["import_id"].as_i64(), summary["same_as"]["at"].as_str()) {
            session.out.remark(&format!("This is the same file as on {at}, import {same}."));
        }
        for remark in summary["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            session.out.remark(remark);
        }
        if summary["rejected"].as_u64().unwrap_or(0) > 0 {
            let file = summary["rejects_file"].as_str().unwrap_or("the import's rejects");
            session.out.remark(&format!("The rejected rows and their reasons are in {file}. Nothing was sent."));
            return Ok(Exit::DoneWithRejects);
        }
        Ok(Exit::Done)
    }

    async fn upload(&self, session: &Session, client: &ApiClient, upload: Upload, path: &str) -> anyhow::Result<Value> {
        let (sent, total) = (upload.sent(), upload.length.unwrap_or(0));
        let mut bar = Bar::new(session.out, true);
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let began = tokio::time::Instant::now();
        let uploading = client.upload(path, upload);
        tokio::pin!(uploading);
        // The import takes rows as fast as it stores them, so bytes that left are a fair measure.
        let summary = loop {
            tokio::select! {
                summary = &mut uploading => break summary,
                _ = tick.tick() => {
                    let done = sent.load(Ordering::Relaxed);
                    bar.show(&Line { done, total, text: pace(done, total, began.elapsed()) });
                }
            }
        };
        bar.clear();
        summary
    }

    fn path(&self) -> String {
        let mut query = vec![
            ("list", self.list.clone()),
            ("file_name", crate::client::file_name(&self.file)),
            ("opt_in_source", self.opt_in_source.clone()),
            ("opt_in_at", self.opt_in_at.clone()),
        ];
        let optional = [("opt_in_wording", &self.opt_in_wording), ("region", &self.region)];
        for (key, value) in optional.into_iter().chain([("encoding", &self.encoding), ("delimiter", &self.delimiter)]) {
            query.extend(value.iter().map(|value| (key, value.clone())));
        }
        query.extend(self.hints.query());
        query.extend(self.map.iter().map(|(field, column)| ("map", format!("{field}={column}"))));
        if self.dry_run {
            query.push(("dry_run", "true".to_owned()));
        }
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", query_encoded(value))).collect();
        format!("/api/v1/imports?{}", query.join("&"))
    }
}

/// How fast, and for how long still.
fn pace(done: u64, total: u64, so_far: Duration) -> String {
    let seconds = so_far.as_secs_f64();
    // In the first moments the pace says nothing.
    if done == 0 || seconds < 1.0 {
        return "bytes imported".to_owned();
    }
    let per_second = done as f64 / seconds;
    let mut text = format!("bytes imported, {:.1} MB/s", per_second / 1e6);
    if total > done {
        let left = ((total - done) as f64 / per_second).ceil();
        text.push_str(&format!(", {left} s left"));
    }
    text
}

/// `hudhud imports …`
#[derive(Debug, Subcommand)]
pub enum Imports {
    /// List past imports
    Ls,
    /// Show one import
    Show {
        /// Its id
        id: i64,
    },
    /// Take an import back, as long as no campaign has used it; what later imports brought, too, stays
    Undo {
        /// Its id
        id: i64,
    },
}

impl Imports {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Ls => {
                let mut imports = with_client(session, async |client| client.list("/api/v1/imports").await).await?;
                for import in imports.iter_mut().filter(|_| !session.out.is_json()) {
                    import["same"] = import["same_as"]["import_id"].take();
                }
                let columns = [
                    ("ID", "import_id"),
                    ("LIST", "list"),
                    ("FILE", "file_name"),
                    ("STATE", "state"),
                    ("ROWS", "rows"),
                    ("ACCEPTED", "accepted"),
                    ("REJECTED", "rejected"),
                    ("STARTED", "started_at"),
                    ("SHA-256", "sha256"),
                    ("SAME FILE AS", "same"),
                ];
                session.out.table(&columns, &imports)?;
            }
            Self::Show { id } => {
                let import =
                    with_client(session, async |client| client.get(&format!("/api/v1/imports/{id}")).await).await?;
                session.out.document(&import)?;
            }
            Self::Undo { id } => {
                let path = format!("/api/v1/imports/{id}/undo");
                let undone = with_client(session, async |client| client.post(&path, &json!({})).await).await?;
                session.out.document(&undone)?;
            }
        }
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_tells_how_long_it_still_takes() {
        let soon = Duration::from_millis(500);
        assert_eq!(pace(10, 100, soon), "bytes imported");
        assert_eq!(pace(20_000_000, 50_000_000, Duration::from_secs(4)), "bytes imported, 5.0 MB/s, 6 s left");
        assert_eq!(pace(20_000_000, 0, Duration::from_secs(4)), "bytes imported, 5.0 MB/s");
    }
}
