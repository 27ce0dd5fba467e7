//! What a command prints: data on stdout, as a table or as one JSON document; remarks on stderr.

use std::io::{self, Write};

use serde_json::Value;

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
}

/// Fields that a person looks for first, in this order; the rest follows by name.
const FIRST: [&str; 27] = [
    "id",
    "import_id",
    "name",
    "list",
    "phone",
    "phone_number_id",
    "state",
    "reason",
    "suppressed",
    "ok",
    "total",
    "rows",
    "accepted",
    "eligible",
    "excluded",
    "blockers",
    "warnings",
    "counts",
    "planned",
    "queued",
    "submitting",
    "in_doubt",
    "sent",
    "delivered",
    "read",
    "failed",
    "skipped",
];

/// The columns of a table: heading, and the JSON pointer of the field without its first slash.
pub type Columns<'a> = &'a [(&'a str, &'a str)];

impl Output {
    /// `json`: one document instead of tables. `quiet`: no remarks.
    #[must_use]
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether the caller is a program.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether remarks and progress are unwanted.
    #[must_use]
    pub fn is_quiet(self) -> bool {
        self.quiet
    }

    /// One document: as it is, or field by field for a person.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn document(self, document: &Value) -> io::Result<()> {
        if self.json {
            return self.line(&document.to_string());
        }
        let mut lines = Vec::new();
        flatten("", document, &mut lines);
        let width = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        for (key, value) in lines {
            self.line(&format!("{}  {value}", padded(&key, width)))?;
        }
        Ok(())
    }

    /// Text as it is, for a person.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn text(self, text: &str) -> io::Result<()> {
        self.line(text)
    }

    /// Rows: as one JSON array, or as a table.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn table(self, columns: Columns<'_>, rows: &[Value]) -> io::Result<()> {
        if self.json {
            return self.line(&Value::from(rows).to_string());
        }
        if rows.is_empty() {
            self.remark("Nothing here yet.");
            return Ok(());
        }
        let cells: Vec<Vec<String>> =
            std::iter::once(columns.iter().map(|(heading, _)| (*heading).to_owned()).collect())
                .chain(rows.iter().map(|row| columns.iter().map(|(_, field)| cell(row, field)).collect()))
                .collect();
        let widths: Vec<usize> = (0..columns.len())
            .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in cells {
            let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
            self.line(line.join("  ").trim_end())?;
        }
        Ok(())
    }

    /// A remark for a person, on stderr.
    pub fn remark(self, text: &str) {
        if !self.quiet && !self.json {
            eprintln!("{text}");
        }
    }

    fn line(self, text: &str) -> io::Result<()> {
        match writeln!(io::stdout().lock(), "{text}") {
            // `hudhud campaign ls | head -1` is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
}

fn cell(row: &Value, field: &str) -> String {
    row.pointer(&format!("/{field}")).map(plain).unwrap_or_default()
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Fields as `outer.inner  value` lines; lists of objects one line each.
fn flatten(prefix: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
            for (key, value) in fields {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, lines);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                lines.push((if at == 0 { prefix.to_owned() } else { String::new() }, plain(item)));
            }
        }
        Value::Object(_) => lines.push((prefix.to_owned(), "-".to_owned())),
        other => lines.push((prefix.to_owned(), plain(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_reads_field_by_field() {
        let mut lines = Vec::new();
        let document = json!({"id": 3, "counts": {"sent": 2, "read": 1}, "reason": null, "blockers": []});
        flatten("", &document, &mut lines);
        let lines: Vec<String> = lines.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(lines, ["id=3", "reason=-", "blockers=-", "counts.sent=2", "counts.read=1"]);
    }

    #[test]
    fn a_cell_takes_a_field_deep_inside_a_row() {
        let row = json!({"name": "eid", "counts": {"sent": 2}});
        assert_eq!(
            (cell(&row, "name"), cell(&row, "counts/sent"), cell(&row, "none")),
            ("eid".into(), "2".into(), String::new())
        );
    }
}
