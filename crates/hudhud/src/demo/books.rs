//! The report: our books beside the simulator's ledger. They are kept by code that shares nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::stage::{NUMBER, Stage};
use crate::cli::Session;

/// One statement of the report: what ours says, what the ledger says, and whether that is as it must be.
struct Line {
    what: String,
    ours: u64,
    ledger: u64,
    holds: bool,
}

pub(super) struct Books {
    imports: Vec<Value>,
    campaigns: Vec<Value>,
    lines: Vec<Line>,
}

impl Books {
    pub(super) async fn read(
        stage: &Stage,
        rate: u32,
        imports: Vec<Value>,
        campaigns: &[Value],
        stopped_before: u64,
    ) -> anyhow::Result<Self> {
        let report = stage.simulator().report();
        let rows = stage.simulator().all_messages();
        let mut lines = Vec::new();
        for campaign in campaigns {
            let id = campaign["id"].to_string();
            // Our callback data: hh1.<install>.<campaign>.<contact>.<attempt>.
            let arrived: Vec<_> = rows
                .iter()
                .filter(|row| row.callback.split('.').nth(2) == Some(&id))
                .filter(|row| matches!(row.outcome.as_str(), "accepted" | "lost"))
                .collect();
            let people: BTreeSet<&str> = arrived.iter().filter_map(|row| row.wa_id.as_deref()).collect();
            let name = campaign["name"].as_str().unwrap_or_default();
            let count = |state: &str| campaign["counts"][state].as_u64().unwrap_or(0);
            let mut statuses: BTreeMap<&str, u64> = BTreeMap::new();
            for row in &arrived {
                *statuses.entry(row.status.as_deref().unwrap_or("accepted")).or_default() += 1;
            }
            let taken =
                ["accepted", "sent", "delivered", "read"].map(count).iter().sum::<u64>() + failed_late(campaign);
            lines.push(same(format!("{name}: messages taken in"), taken, arrived.len() as u64));
            lines.push(same(format!("{name}: people reached once"), taken, people.len() as u64));
            for status in ["sent", "delivered", "read", "failed"] {
                let theirs = statuses.get(status).copied().unwrap_or(0);
                lines.push(same(format!("{name}: {status}"), count(status), theirs));
            }
            lines.push(same(
                format!("{name}: open or in doubt"),
                count("planned") + count("queued") + count("submitting") + count("in_doubt"),
                0,
            ));
        }
        let opted_out = stage.opted_out().await?.len() as u64;
        lines.push(same("opted out".to_owned(), opted_out, report.opt_outs_acknowledged));
        if let [_, second] = campaigns {
            let id = second["id"].to_string();
            let skipped = second["skipped_by_reason"]["opted-out"].as_u64().unwrap_or(0);
            let total = second["total"].as_u64().unwrap_or(0);
            let reached: BTreeSet<&str> = rows
                .iter()
                .filter(|row| row.callback.split('.').nth(2) == Some(&id))
                .filter_map(|row| row.wa_id.as_deref())
                .collect();
            lines.push(same(
                "second campaign: everyone but the skipped".to_owned(),
                total - skipped,
                reached.len() as u64,
            ));
            lines.push(same("opted out before it, and skipped by it".to_owned(), skipped, stopped_before));
        }
        lines.push(same("duplicates".to_owned(), 0, report.duplicates));
        lines.push(same("messages after an acknowledged opt-out".to_owned(), 0, report.after_opt_out));
        lines.push(same("messages to a stranger (a number without +)".to_owned(), 0, report.strangers));
        let most = report.max_in_sliding_second.get(NUMBER).copied().unwrap_or(0);
        lines.push(Line {
            what: format!("most in any sliding second (rate {rate})"),
            ours: u64::from(rate),
            ledger: most,
            holds: most <= u64::from(rate),
        });
        Ok(Self { imports, campaigns: campaigns.to_vec(), lines })
    }

    pub(super) fn agree(&self) -> bool {
        self.lines.iter().all(|line| line.holds)
    }

    pub(super) fn print(&self, session: &Session) -> anyhow::Result<()> {
        let document = json!({
            "equal_books": self.agree(),
            "lines": self.lines.iter().map(|line| json!({
                "what": line.what, "ours": line.ours, "ledger": line.ledger, "holds": line.holds,
            })).collect::<Vec<_>>(),
            "imports": self.imports,
            "campaigns": self.campaigns,
        });
        if session.out.is_json() {
            session.out.document(&document)?;
            return Ok(());
        }
        let mut text = format!("\n{:<52} {:>10} {:>10}\n", "", "our books", "ledger");
        for line in &self.lines {
            let mark = if line.holds { "" } else { "   <- differs" };
            text.push_str(&format!("{:<52} {:>10} {:>10}{mark}\n", line.what, line.ours, line.ledger));
        }
        text.push_str(if self.agree() { "\nEqual books." } else { "\nTHE BOOKS DIFFER." });
        session.out.text(&text)?;
        Ok(())
    }
}

/// Failures that came by webhook: Meta had taken the message in before.
fn failed_late(campaign: &Value) -> u64 {
    campaign["counts"]["failed"].as_u64().unwrap_or(0)
}

fn same(what: String, ours: u64, ledger: u64) -> Line {
    Line { what, ours, ledger, holds: ours == ledger }
}
