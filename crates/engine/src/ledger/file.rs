//! The ledger as a file, and checking such a file without any database.
//!
//! JSON, a line each: first what the file is, then every sealed entry in the chain's order, and at the end how many
//! there were, the head, and the heads that were signed. Binary values are hexadecimal. An erased entry has an empty
//! `detail` and `salt`.

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use store::{EntryRow, LedgerHead};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::heads::HeadView;
use super::{LedgerCheck, PAGE, follows};
use crate::App;
use crate::fault::{Fault, Result};
use crate::views::iso;

/// What the first line says the file is.
const FORMAT: &str = "hudhud ledger 1";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Title {
    format: String,
    exported_at: String,
}

/// A line of an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    seq: i64,
    id: i64,
    at: i64,
    kind: String,
    actor: String,
    contact_id: Option<i64>,
    campaign_id: Option<i64>,
    import_id: Option<i64>,
    detail: String,
    salt: String,
    commitment: String,
    hash: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    entries: i64,
    head: String,
    signed: Vec<HeadView>,
}

impl Line {
    fn of(entry: EntryRow) -> Self {
        Self {
            seq: entry.sealed_seq.unwrap_or_default(),
            id: entry.id,
            at: entry.at,
            kind: entry.kind,
            actor: entry.actor,
            contact_id: entry.contact_id,
            campaign_id: entry.campaign_id,
            import_id: entry.import_id,
            detail: entry.detail,
            salt: hex::encode(entry.salt),
            commitment: hex::encode(entry.commitment),
            hash: entry.hash.map(hex::encode).unwrap_or_default(),
        }
    }

    fn entry(self) -> Option<EntryRow> {
        Some(EntryRow {
            id: self.id,
            at: self.at,
            kind: self.kind,
            actor: self.actor,
            contact_id: self.contact_id,
            campaign_id: self.campaign_id,
            import_id: self.import_id,
            detail: self.detail,
            salt: hex::decode(self.salt).ok()?,
            commitment: hex::decode(self.commitment).ok()?,
            sealed_seq: Some(self.seq),
            hash: Some(hex::decode(self.hash).ok()?),
        })
    }
}

/// Writes the sealed ledger, as far as it was sealed when this began. How many entries were written.
///
/// # Errors
/// When reading or writing fails; what was written until then is no whole file, and a check says so.
pub async fn export(app: &App, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<i64> {
    let head = app.store.ledger_head().await?;
    let title = Title { format: FORMAT.to_owned(), exported_at: iso(app.clock.now_ms()) };
    write_line(out, &title).await?;
    let mut seq = 0;
    while seq < head.seq {
        let page = app.store.sealed_entries(seq, PAGE.min(head.seq - seq)).await?;
        let Some(last) = page.last().and_then(|entry| entry.sealed_seq) else { break };
        seq = last;
        for entry in page {
            write_line(out, &Line::of(entry)).await?;
        }
    }
    let signed = app.store.signed_heads().await?.into_iter().filter(|signed| signed.seq <= head.seq);
    let end = End { entries: head.seq, head: hex::encode(&head.hash), signed: signed.map(HeadView::from).collect() };
    write_line(out, &end).await?;
    out.flush().await.map_err(unwritten)?;
    Ok(head.seq)
}

async fn write_line(out: &mut (impl AsyncWrite + Unpin + Send), line: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec(line).map_err(Fault::internal)?;
    bytes.push(b'\n');
    out.write_all(&bytes).await.map_err(unwritten)
}

fn unwritten(error: std::io::Error) -> Fault {
    Fault::unavailable(format!("The export could not be written: {error}."))
}

/// Checks a file that [`export`] wrote: every entry against the one before, its detail against its commitment, the end
/// against the last one, and every signed head against its entry and its signature. Needs nothing but the file.
///
/// # Errors
/// When it cannot be read, or is no such file from its first line on. A broken chain is no error but an answer.
pub fn verify(file: impl BufRead) -> anyhow::Result<LedgerCheck> {
    let mut lines = file.lines();
    let title = lines.next().transpose()?.and_then(|line| serde_json::from_str::<Title>(&line).ok());
    anyhow::ensure!(
        title.is_some_and(|title| title.format == FORMAT),
        "this is no ledger that Hudhud exported: its first line does not say {FORMAT:?}"
    );
    let mut good = LedgerHead::default();
    let mut end: Option<End> = None;
    let mut hashes = Vec::new();
    for line in lines {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        if end.is_some() {
            // Something stands behind the end.
            return Ok(broken(&good));
        }
        if let Ok(last) = serde_json::from_str::<End>(&line) {
            end = Some(last);
            continue;
        }
        let entry = serde_json::from_str::<Line>(&line).ok().and_then(Line::entry);
        match entry.as_ref().and_then(|entry| follows(&good, entry)) {
            Some(next) => {
                hashes.push(next.hash.clone());
                good = next;
            }
            None => return Ok(broken(&good)),
        }
    }
    let Some(end) = end.filter(|end| end.entries == good.seq && end.head == hex::encode(&good.hash)) else {
        return Ok(broken(&good));
    };
    for signed in &end.signed {
        let place = usize::try_from(signed.entries).ok().and_then(|entries| entries.checked_sub(1));
        let covered = place.and_then(|place| hashes.get(place)).map(hex::encode);
        if !signed.holds() || covered.as_deref() != Some(signed.hash.as_str()) {
            return Ok(LedgerCheck { ok: false, first_broken: Some(signed.entries), ..checked(&good) });
        }
    }
    Ok(checked(&good))
}

fn checked(good: &LedgerHead) -> LedgerCheck {
    LedgerCheck {
        ok: true,
        entries: good.seq,
        unsealed: 0,
        head: hex::encode(&good.hash),
        first_broken: None,
        // It stands in the database, not in the file.
        evidence: 0,
    }
}

fn broken(good: &LedgerHead) -> LedgerCheck {
    LedgerCheck { ok: false, first_broken: Some(good.seq + 1), ..checked(good) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::Actor;
    use crate::ledger::{entry, heads, seal};
    use crate::testing::{TestApp, app};

    /// A ledger of eight entries, signed after five and at the end, as the lines of its export.
    async fn exported(app: &TestApp) -> Vec<String> {
        for n in 0..8 {
            let said = entry(app, "opt-out", &Actor::system(), &json!({ "said": format!("STOP {n}") })).unwrap();
            app.store.append_entry(&said).await.unwrap();
            if n == 4 || n == 7 {
                seal(app).await.unwrap();
                assert!(heads::sign(app).await.unwrap().unwrap().holds());
            }
        }
        let mut out = Vec::new();
        assert_eq!(export(app, &mut out).await.unwrap(), 8);
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn check(lines: &[String]) -> LedgerCheck {
        verify(lines.join("\n").as_bytes()).unwrap()
    }

    fn first_broken(lines: &[String]) -> Option<i64> {
        let check = check(lines);
        assert_eq!(check.ok, check.first_broken.is_none());
        check.first_broken
    }

    on_both_databases! {
        async fn a_file_that_nobody_touched_holds_and_one_changed_entry_is_named(db: Database) {
            let app = app(db).await;
            let lines = exported(&app).await;
            let whole = check(&lines);
            assert_eq!((whole.ok, whole.entries, whole.head.len()), (true, 8, 64));
            // Line 0 is the title, so line n is entry n; line 9 is the end.
            for n in 1..=8_usize {
                let broken = Some(i64::try_from(n).unwrap());
                let with = |change: &dyn Fn(&mut Vec<String>)| {
                    let mut changed = lines.clone();
                    change(&mut changed);
                    first_broken(&changed)
                };
                assert_eq!(with(&|lines| lines[n] = lines[n].replace("STOP", "GO ON")), broken, "flipped {n}");
                assert_eq!(with(&|lines| drop(lines.remove(n))), broken, "deleted {n}");
                assert_eq!(with(&|lines| lines.insert(n, lines[n % 8 + 1].clone())), broken, "inserted {n}");
                assert_eq!(with(&|lines| lines.truncate(n)), broken, "cut off at {n}");
                assert_eq!(with(&|lines| lines[n] = lines[n].replace("\"seq\":", "\"seq\":1")), broken, "renumbered {n}");
                if n < 8 {
                    assert_eq!(with(&|lines| lines.swap(n, n + 1)), broken, "turned {n}");
                }
            }
        }

        async fn a_signature_or_an_end_that_does_not_fit_is_found(db: Database) {
            let app = app(db).await;
            let lines = exported(&app).await;
            let changed = |change: &dyn Fn(&mut End)| {
                let mut lines = lines.clone();
                let mut end: End = serde_json::from_str(&lines[9]).unwrap();
                change(&mut end);
                lines[9] = serde_json::to_string(&end).unwrap();
                first_broken(&lines)
            };
            assert_eq!(changed(&|_| ()), None);
            assert_eq!(changed(&|end| end.signed[0].signed_ms += 1), Some(5));
            assert_eq!(changed(&|end| end.signed[0].hash = end.signed[1].hash.clone()), Some(5));
            assert_eq!(changed(&|end| end.head = end.signed[0].hash.clone()), Some(9));
            assert_eq!(changed(&|end| end.entries = 7), Some(9));
            let mut longer = lines.clone();
            longer.push(lines[8].clone());
            assert_eq!(first_broken(&longer), Some(9));
            assert!(verify("{}".as_bytes()).is_err());
            assert!(verify("".as_bytes()).is_err());
        }

        async fn an_erased_entry_leaves_the_file_whole_and_the_signing_key_stays(db: Database) {
            let app = app(db).await;
            exported(&app).await;
            app.store.tamper("UPDATE ledger SET detail = '', salt = substr(salt, 1, 0) WHERE sealed_seq = 3").await;
            let mut out = Vec::new();
            export(&app, &mut out).await.unwrap();
            assert!(verify(out.as_slice()).unwrap().ok);
            assert!(!String::from_utf8_lossy(&out).contains("STOP 2"));
            let keys: std::collections::HashSet<_> =
                app.store.signed_heads().await.unwrap().into_iter().map(|head| head.public_key).collect();
            assert_eq!(keys.len(), 1);
            let kept = std::fs::read(app.data_dir.path().join("ledger-signing.key")).unwrap();
            assert!(kept.len() > 64);
        }
    }
}
