//! How a file was read: what was found out about it, and what it was taken for.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

/// How a file was read. Part of an import's document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Found {
    /// `csv` (text with any delimiter), `xlsx`, `xlsb`, `xls` or `ods`; empty for an import that never got so far.
    #[serde(default)]
    pub format: String,
    /// The text's encoding by its WHATWG name, in small letters; `null` for a spreadsheet.
    #[serde(default)]
    pub encoding: Option<String>,
    /// The character between cells; `null` for a spreadsheet.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// The sheet that was read; `null` for a text.
    #[serde(default)]
    pub sheet: Option<String>,
    /// Whether the first row names the columns. Without, they are `column1`, `column2` …
    #[serde(default)]
    pub header: bool,
    /// Which column each field was read from. Every other column became an attribute.
    #[serde(default)]
    pub mapping: BTreeMap<String, String>,
    /// Where the mapping comes from: `names` (the columns' own, or what they hold), `flags` or `remembered`.
    #[serde(default)]
    pub mapping_from: String,
    /// What was decided, in sentences for a person.
    #[serde(default)]
    pub remarks: Vec<String>,
}

impl Found {
    /// Takes in the encoding of a file that was taken for UTF-8 by its beginning in plain ASCII. What to say of it, if it
    /// is another one.
    pub(super) fn correct(&mut self, encoding: &'static Encoding) -> Option<String> {
        let name = encoding.name().to_ascii_lowercase();
        if self.encoding.as_deref() == Some(&name) {
            return None;
        }
        let remark = format!(
            "The file begins in plain ASCII; by its first other letters it is in {name}. If names look wrong, import it \
             again with --encoding."
        );
        self.encoding = Some(name);
        Some(remark)
    }
}
