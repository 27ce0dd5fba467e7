//! Rows, wherever they come from.

use std::io;

/// How many rows are looked at before the first is read: for the header, the columns and what they hold.
pub(super) const HEAD: usize = 101;

/// A row of a table.
pub(super) struct Framed {
    /// The number of its first line, or of its row in the sheet, from 1.
    pub(super) line: u64,
    /// Its bytes, lines joined by `\n`; empty for a row of a sheet.
    pub(super) text: Vec<u8>,
    /// Whether its cells can be read.
    pub(super) shape: Shape,
}

/// What a row looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Its cells are in [`Table::cells`].
    Cells,
    /// A quote is opened and not closed.
    OpenQuote,
    /// Longer than rows may be.
    TooLong,
}

/// A row that is looked at before it is read.
#[derive(Clone, Debug)]
pub(super) struct HeadRow {
    pub(super) line: u64,
    pub(super) shape: Shape,
    pub(super) cells: Vec<String>,
}

/// A table that is read from its first row to its last.
pub(super) trait Table {
    /// The first rows, [`HEAD`] of them at most. They come again from [`Table::next`].
    fn head(&self) -> &[HeadRow];

    /// From now on rows should have so many cells.
    fn set_columns(&mut self, columns: usize);

    /// The next row that is not blank.
    ///
    /// # Errors
    /// When the file breaks off or is damaged.
    fn next(&mut self) -> io::Result<Option<Framed>>;

    /// The cells of the last row.
    fn cells(&self) -> impl Iterator<Item = &[u8]>;

    /// Whether that cell of the last row holds a number that is rounded: a spreadsheet that showed `2.01E+11` once, and
    /// was fed what it showed, has forgotten the rest.
    fn is_rounded(&self, place: usize) -> bool;
}
