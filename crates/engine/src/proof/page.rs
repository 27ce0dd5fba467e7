//! A proof as a document: one HTML file that needs nothing else, reads from the verdict down, and prints well.
//!
//! Whatever comes from the database is escaped. Numbers, times and hashes stand in elements of their own direction, so
//! that a document that reads from right to left never reorders their digits.

use std::fmt::Write;

use super::words::{Language, Words, words};
use super::{Proof, ProofVerdict};

const STYLE: &str = "
:root{color-scheme:light}
*{box-sizing:border-box}
body{font:11pt/1.5 system-ui,'Segoe UI','Noto Sans','Noto Sans Arabic',sans-serif;color:#16181d;background:#fff;
max-width:60rem;margin:0 auto;padding:2rem 1.5rem}
h1{font-size:1.5rem;margin:0 0 .25rem}
h2{font-size:1.1rem;margin:2rem 0 .5rem;border-block-end:1px solid #c6cad2;padding-block-end:.25rem;break-after:avoid}
.meta{color:#4a5060;margin:0}
.verdict{border:2px solid;border-radius:.5rem;padding:1rem 1.25rem;margin:1.25rem 0;break-inside:avoid}
.verdict p{margin:.2rem 0}
.verdict p:first-of-type{font-size:1.2rem;font-weight:600}
.good{border-color:#1b7a3d;background:#f0f9f2}
.bad{border-color:#b3261e;background:#fdf1f0}
.plain{border-color:#5b6270;background:#f6f7f9}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:start;vertical-align:top;padding:.35rem .5rem;border-block-end:1px solid #dfe2e8;overflow-wrap:anywhere}
th{font-weight:600;color:#3a404e}
tr{break-inside:avoid}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.5rem 0}
dt{color:#4a5060}dd{margin:0;overflow-wrap:anywhere}
.v{direction:ltr;unicode-bidi:isolate}
.h{font:.78rem/1.4 ui-monospace,'Cascadia Mono','DejaVu Sans Mono',monospace;direction:ltr;unicode-bidi:isolate;
overflow-wrap:anywhere}
pre{direction:ltr;text-align:left;white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f7f9;border:1px solid #dfe2e8;
border-radius:.35rem;padding:.6rem;font-size:.78rem;margin:.3rem 0}
.event{border:1px solid #dfe2e8;border-radius:.5rem;padding:.6rem 1rem;margin:.6rem 0}
ol{padding-inline-start:1.4rem}
@page{size:A4;margin:16mm}
@media print{body{padding:0;max-width:none;font-size:9.5pt}.good,.bad,.plain,pre{background:none}}
";

/// The document of a proof.
#[must_use]
pub fn html(proof: &Proof, language: Language) -> String {
    let words = words(language);
    let mut page = Page { out: String::with_capacity(16 * 1024), words };
    page.head(proof);
    page.verdict(&proof.verdict, proof.consents.len());
    page.person(proof);
    page.stops(proof);
    page.consents(proof);
    page.messages(proof);
    page.exclusions(proof);
    page.lifts(proof);
    page.replies(proof);
    page.ledger(proof);
    page.how_to_verify();
    page.raw("</main></body></html>\n");
    page.out
}

struct Page {
    out: String,
    words: &'static Words,
}

/// Text that means nothing to a browser.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Marks that turn the direction of what follows would let a message rewrite the document around it.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A number, time or id: from left to right, wherever it stands.
fn value(text: &str) -> String {
    format!("<bdi class=\"v\">{}</bdi>", escaped(text))
}

fn maybe(text: Option<&str>) -> String {
    text.map_or_else(|| "–".to_owned(), value)
}

fn hash(text: &str) -> String {
    format!("<span class=\"h\">{}</span>", escaped(text))
}

/// What somebody said: in whichever direction its own letters have.
fn said(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

/// A time for people: without its milliseconds' noise it would not tell what happened first.
fn time(at: &str) -> String {
    value(&at.replace('T', " ").replace('Z', " UTC"))
}

/// What a stop of this scope stops, in words.
fn stopped(words: &Words, scope: &str) -> String {
    match scope.split_once(':') {
        Some(("brand", name)) => escaped(words.scope_brand).replace("{name}", &value(name)),
        Some(("number", id)) => escaped(words.scope_number).replace("{name}", &value(id)),
        _ if scope == "all" => escaped(words.scope_all),
        _ => escaped(words.scope_marketing),
    }
}

fn maybe_time(at: Option<&str>) -> String {
    at.map_or_else(|| "–".to_owned(), time)
}

impl Page {
    fn raw(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn heading(&mut self, text: &str) {
        let _ = write!(self.out, "<h2>{}</h2>", escaped(text));
    }

    /// A table of rows that are markup already; a word where there are none.
    fn table(&mut self, heading: &str, columns: &[&str], rows: &[Vec<String>]) {
        self.heading(heading);
        if rows.is_empty() {
            let _ = write!(self.out, "<p>{}</p>", escaped(self.words.none));
            return;
        }
        self.raw("<table><thead><tr>");
        for column in columns {
            let _ = write!(self.out, "<th scope=\"col\">{}</th>", escaped(column));
        }
        self.raw("</tr></thead><tbody>");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                let _ = write!(self.out, "<td>{cell}</td>");
            }
            self.raw("</tr>");
        }
        self.raw("</tbody></table>");
    }

    fn facts(&mut self, facts: &[(&str, String)]) {
        self.raw("<dl>");
        for (name, fact) in facts {
            let _ = write!(self.out, "<dt>{}</dt><dd>{fact}</dd>", escaped(name));
        }
        self.raw("</dl>");
    }

    fn head(&mut self, proof: &Proof) {
        let words = self.words;
        let made = escaped(words.made).replace("{at}", &time(&proof.made_at)).replace("{who}", &value(&proof.made_for));
        let _ = write!(
            self.out,
            "<!doctype html><html lang=\"{}\" dir=\"{}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"referrer\" content=\"no-referrer\"><meta name=\"robots\" content=\"noindex\">\
             <title>{}</title><style>{STYLE}</style></head><body><main><h1>{}</h1><p class=\"meta\">{made}</p>",
            words.code,
            words.dir,
            escaped(words.title),
            escaped(words.title),
        );
    }

    fn verdict(&mut self, verdict: &ProofVerdict, consents: usize) {
        let words = self.words;
        let counted = |text: &str, n: usize| escaped(text).replace("{n}", &value(&n.to_string()));
        let mut lines = Vec::new();
        if !verdict.known {
            lines.push(escaped(words.unknown));
        } else {
            lines.push(if verdict.suppressed {
                let scopes: Vec<String> = verdict.scopes.iter().map(|scope| stopped(words, scope)).collect();
                let scopes = if scopes.is_empty() { stopped(words, "marketing") } else { scopes.join("; ") };
                escaped(words.suppressed)
                    .replace("{scope}", &scopes)
                    .replace("{at}", &maybe_time(verdict.since.as_deref()))
            } else {
                escaped(words.free)
            });
            lines.push(match (verdict.unexplained, verdict.after_stop) {
                (0, 0) => escaped(words.kept),
                (0, n) => counted(words.explained, n),
                (n, _) => counted(words.broken, n),
            });
            if verdict.excluded_since > 0 {
                lines.push(counted(words.excluded, verdict.excluded_since));
            }
            if verdict.erased {
                lines.push(escaped(words.erased));
            }
            lines.push(if consents > 0 { counted(words.consented, consents) } else { escaped(words.no_consent) });
        }
        let class = match verdict {
            _ if !verdict.known => "plain",
            _ if verdict.unexplained > 0 => "bad",
            _ => "good",
        };
        let _ = write!(self.out, "<section class=\"verdict {class}\"><strong>{}</strong>", escaped(words.verdict));
        for line in lines {
            let _ = write!(self.out, "<p>{line}</p>");
        }
        self.raw("</section>");
    }

    fn person(&mut self, proof: &Proof) {
        let words = self.words;
        let mut facts = vec![(words.person, value(&proof.person))];
        let others: Vec<String> =
            proof.known_as.iter().filter(|name| **name != proof.person).map(|name| value(name)).collect();
        if !others.is_empty() {
            facts.push((words.known_as, others.join(" · ")));
        }
        self.facts(&facts);
    }

    fn stops(&mut self, proof: &Proof) {
        let words = self.words;
        self.heading(words.stops);
        if proof.stops.is_empty() {
            let _ = write!(self.out, "<p>{}</p>", escaped(words.none));
        }
        for stop in &proof.stops {
            self.raw("<div class=\"event\">");
            let mut facts = vec![
                (words.said_at, time(&stop.said_at)),
                (words.recorded_at, time(&stop.recorded_at)),
                (words.effective, value(&format!("{:.3}", stop.seconds_until_effective))),
            ];
            if stop.erased {
                facts.push((words.raw, escaped(words.detail_erased)));
            } else {
                facts.push((words.how, escaped(&words.of(&stop.source))));
                facts.push((words.said, said(&stop.said)));
            }
            if let Some(scope) = &stop.scope {
                facts.push((words.scope, stopped(words, scope)));
            }
            if let Some(campaign) = &stop.campaign {
                facts.push((words.campaign, said(campaign)));
            }
            facts.push((words.who, value(&stop.actor)));
            facts.push((words.entry, value(&stop.entry.to_string())));
            if let Some(body) = &stop.body_sha256 {
                facts.push((words.body_hash, hash(body)));
            }
            if let Some(signature) = &stop.signature {
                facts.push((words.signature, hash(signature)));
            }
            self.facts(&facts);
            if let Some(raw) = stop.raw.as_deref().filter(|raw| !raw.is_empty()) {
                let _ = write!(self.out, "<p>{}</p><pre>{}</pre>", escaped(words.raw), escaped(raw));
            }
            self.raw("</div>");
        }
    }

    fn consents(&mut self, proof: &Proof) {
        let words = self.words;
        let rows: Vec<_> = proof
            .consents
            .iter()
            .map(|consent| {
                let import = consent.import.as_ref().map_or_else(
                    || "–".to_owned(),
                    |import| {
                        let (id, name) = (value(&import.id.to_string()), said(&import.file_name));
                        let file = hash(&import.sha256);
                        format!(
                            "{id} · {name} · {} · {}<br>{}: {file}",
                            time(&import.at),
                            value(&import.actor),
                            escaped(words.file_hash)
                        )
                    },
                );
                let entry = consent.entry.map(|entry| entry.to_string());
                let wording = said(&consent.wording);
                vec![time(&consent.at), said(&consent.source), wording, import, maybe(entry.as_deref())]
            })
            .collect();
        let columns = [words.when, words.source, words.wording, words.import, words.entry];
        self.table(words.consents, &columns, &rows);
    }

    fn messages(&mut self, proof: &Proof) {
        let words = self.words;
        let rows: Vec<_> = proof
            .messages
            .iter()
            .map(|message| {
                let after = message.after_stop.as_ref().map_or_else(
                    || "–".to_owned(),
                    |after| format!("{} · {}", value(&format!("{} ms", after.ms)), escaped(&words.of(&after.why))),
                );
                vec![
                    said(&message.campaign),
                    value(&message.template),
                    escaped(&words.of(&message.state)),
                    maybe_time(message.claimed_at.as_deref()),
                    maybe_time(message.accepted_at.as_deref()),
                    maybe_time(message.delivered_at.as_deref()),
                    maybe_time(message.read_at.as_deref()),
                    after,
                ]
            })
            .collect();
        let columns = [
            words.campaign,
            words.template,
            words.state,
            words.claimed,
            words.accepted,
            words.delivered,
            words.read,
            words.after_stop,
        ];
        self.table(words.messages, &columns, &rows);
    }

    fn exclusions(&mut self, proof: &Proof) {
        let words = self.words;
        let rows: Vec<_> = proof
            .exclusions
            .iter()
            .map(|one| {
                vec![
                    said(&one.campaign),
                    escaped(&words.of(&one.reason)),
                    escaped(&words.of(&one.found_at)),
                    maybe_time(one.at.as_deref()),
                ]
            })
            .collect();
        self.table(words.exclusions, &[words.campaign, words.reason, words.found_at, words.when], &rows);
    }

    fn lifts(&mut self, proof: &Proof) {
        let words = self.words;
        let rows: Vec<_> = proof
            .lifts
            .iter()
            .map(|lift| vec![time(&lift.at), value(&lift.actor), said(&lift.said), value(&lift.entry.to_string())])
            .collect();
        self.table(words.lifts, &[words.when, words.who, words.reason, words.entry], &rows);
    }

    fn replies(&mut self, proof: &Proof) {
        let words = self.words;
        let rows: Vec<_> = proof
            .replies
            .iter()
            .map(|reply| vec![time(&reply.at), escaped(&words.of(&reply.kind)), said(&reply.said)])
            .collect();
        self.table(words.replies, &[words.when, words.how, words.said], &rows);
    }

    fn ledger(&mut self, proof: &Proof) {
        let words = self.words;
        let rows: Vec<_> = proof
            .entries
            .iter()
            .map(|entry| {
                let seq = entry.seq.map_or_else(|| "–".to_owned(), |seq| seq.to_string());
                let hashes = [
                    (words.hash_before, &entry.before),
                    (words.commitment, &entry.commitment),
                    (words.hash, &entry.hash),
                ];
                let hashes: Vec<String> =
                    hashes.iter().map(|(name, text)| format!("{}: {}", escaped(name), hash(text))).collect();
                vec![
                    format!("{}<br>№ {}", value(&entry.id.to_string()), value(&seq)),
                    value(&entry.kind),
                    time(&crate::views::iso(entry.at)),
                    value(&entry.actor),
                    hashes.join("<br>"),
                ]
            })
            .collect();
        self.table(words.ledger, &[words.entry, words.kind, words.when, words.who, words.hash], &rows);
        let heads: Vec<_> = proof
            .signed_heads
            .iter()
            .map(|head| {
                let key = format!("{}: {}", escaped(words.public_key), hash(&head.public_key));
                let signed = format!("{}<br>{key}<br>{}", hash(&head.hash), hash(&head.signature));
                vec![value(&head.entries.to_string()), time(&head.signed_at), signed]
            })
            .collect();
        self.table(words.signed, &[words.covers, words.when, words.hash], &heads);
    }

    fn how_to_verify(&mut self) {
        let words = self.words;
        self.heading(words.verify);
        self.raw("<ol>");
        for step in words.verify_steps {
            let _ = write!(self.out, "<li>{}</li>", escaped(step));
        }
        let _ = write!(self.out, "</ol><p class=\"meta\">{}</p>", escaped(words.times));
    }
}
