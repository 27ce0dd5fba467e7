//! What somebody who imports a file knows of it, and the file does not tell.

use clap::Args;

/// The flags of `hudhud import` that help to read the file.
#[derive(Debug, Args)]
pub(super) struct FileHints {
    /// The sheet of a spreadsheet; without it, the first that holds a table
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Whether the first row names the columns, if it should not be detected; without names they are column1, column2 …
    #[arg(long, value_name = "yes|no", value_parser = ["yes", "no"])]
    header: Option<String>,
    /// Which of 03/04/2026 is the day; without it, dates that could be two are rejected
    #[arg(long, value_name = "dmy|mdy", value_parser = ["dmy", "mdy"])]
    date_order: Option<String>,
    /// Whose clock shows the times without an offset, such as Africa/Cairo; UTC without it
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The language of the reasons in the rejects' file
    #[arg(long, value_name = "en|ar|es", value_parser = ["en", "ar", "es"])]
    lang: Option<String>,
}

impl FileHints {
    /// The same as parameters of the API.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("sheet", &self.sheet),
            ("header", &self.header),
            ("date_order", &self.date_order),
            ("time_zone", &self.time_zone),
            ("lang", &self.lang),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}
