//! Tables that leave as CSV for a spreadsheet: UTF-8 with BOM, lines that end in CR LF, and no cell that would be run.

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::fault::{Fault, Result};

/// A table on its way out, written a page at a time.
pub(crate) struct Sheet<'a, W> {
    out: &'a mut W,
    page: csv::Writer<Vec<u8>>,
    rows: u64,
}

fn page() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

impl<'a, W: AsyncWrite + Unpin + Send> Sheet<'a, W> {
    /// With the names of its columns.
    pub(crate) async fn begin(out: &'a mut W, columns: &[&str]) -> Result<Self> {
        let mut sheet = Self { out, page: page(), rows: 0 };
        sheet.write("\u{feff}".as_bytes()).await?;
        sheet.page.write_record(columns).map_err(Fault::internal)?;
        sheet.end_page().await?;
        Ok(sheet)
    }

    /// Adds a row to the page; whatever a person wrote goes through [`disarm`] first.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) -> Result<()> {
        self.page.write_record(cells).map_err(Fault::internal)?;
        self.rows += 1;
        Ok(())
    }

    /// Writes what was added since the last page.
    pub(crate) async fn end_page(&mut self) -> Result<()> {
        let done = std::mem::replace(&mut self.page, page());
        let bytes = done.into_inner().map_err(|error| Fault::internal(anyhow::anyhow!("{error}")))?;
        self.write(&bytes).await
    }

    /// How many rows it has, all of them written.
    pub(crate) async fn end(mut self) -> Result<u64> {
        self.end_page().await?;
        self.out.flush().await.map_err(unwritten)?;
        Ok(self.rows)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).await.map_err(unwritten)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unwritten(error: std::io::Error) -> Fault {
    Fault::unavailable(format!("The export could not be written: {error}."))
}

/// A cell that a spreadsheet would run as a formula, or reckon with, becomes text.
pub(crate) fn disarm(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_table_begins_with_its_mark_and_columns_and_runs_nothing() {
        let mut out = Vec::new();
        let mut sheet = Sheet::begin(&mut out, &["phone", "name"]).await.unwrap();
        sheet.row([disarm("+201005550001"), disarm("=1+1")]).unwrap();
        sheet.end_page().await.unwrap();
        sheet.row([disarm("EG.1349"), disarm("\tMona, \"of Giza\"")]).unwrap();
        assert_eq!(sheet.end().await.unwrap(), 2);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\u{feff}phone,name\r\n'+201005550001,'=1+1\r\nEG.1349,\"'\tMona, \"\"of Giza\"\"\"\r\n");
    }
}
