//! Rows of a CSV file, framed so that one bad quote costs one row and not the rest of the file.
//!
//! RFC 4180 lets a quoted cell run over line ends; so a quote that is never closed swallows everything after it. Here a
//! row may run over several lines only if its quotes are in order and it has the header's number of cells. Else the
//! line with the open quote is one bad row, and the next line is read afresh.

use std::collections::VecDeque;
use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use domain::delimiter;

use super::table::{Framed, HEAD, HeadRow, Shape, Table};

/// The longest row, in bytes. No row of people comes near it.
pub(super) const LONGEST_ROW: usize = 256 * 1024;
/// The most lines of one row.
const MOST_LINES: usize = 32;
/// Bytes read at once.
const BLOCK: usize = 64 * 1024;
/// Bytes in which the first rows are looked for.
const HEAD_BYTES: usize = 512 * 1024;

/// One line of the file without its end.
struct Line {
    /// From 1.
    number: u64,
    bytes: Vec<u8>,
    /// Longer than [`LONGEST_ROW`]; the rest is left out.
    cut: bool,
}

/// Cuts a stream into lines at `\n`, `\r\n` or `\r`.
struct Lines<R> {
    from: R,
    /// `buffer[at..end]` is read and not yet given out; what follows is room.
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    ended: bool,
    number: u64,
    /// Lines to be given out again.
    again: VecDeque<Line>,
}

impl<R: Read> Lines<R> {
    fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), at: 0, end: 0, ended: false, number: 0, again: VecDeque::new() }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.buffer.len() < self.end + BLOCK {
            self.buffer.resize(self.end + BLOCK, 0);
        }
        let read = self.from.read(&mut self.buffer[self.end..])?;
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..self.end]
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Line { number: self.number + 1, bytes: Vec::new(), cut: false };
        loop {
            let rest = self.rest();
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            // A \r at the end of what is there may be the first half of \r\n.
            let half = end.is_some_and(|end| rest[end] == b'\r' && end + 1 == rest.len()) && !self.ended;
            if half {
                self.fill()?;
                continue;
            }
            let text = &rest[..end.unwrap_or(rest.len())];
            let room = LONGEST_ROW - line.bytes.len();
            line.cut |= text.len() > room;
            line.bytes.extend_from_slice(&text[..text.len().min(room)]);
            match end {
                Some(end) => {
                    let ends = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
                    self.at += end + ends;
                    break;
                }
                None => {
                    self.at = self.end;
                    if self.ended {
                        if line.bytes.is_empty() {
                            return Ok(None);
                        }
                        break;
                    }
                    self.fill()?;
                }
            }
        }
        self.number = line.number;
        Ok(Some(line))
    }
}

/// Cuts a stream into rows, and the last row into cells.
pub(super) struct Frames<R> {
    lines: Lines<R>,
    delimiter: u8,
    core: Reader,
    cells: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    /// How many cells a row of several lines must have.
    columns: Option<usize>,
    head: Vec<HeadRow>,
}

impl<R: Read> Table for Frames<R> {
    fn head(&self) -> &[HeadRow] {
        &self.head
    }

    fn set_columns(&mut self, columns: usize) {
        self.columns = Some(columns);
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends[..self.count]).map(|(start, end)| &self.cells[start..*end])
    }

    fn next(&mut self) -> io::Result<Option<Framed>> {
        loop {
            let Some(first) = self.lines.next()? else { return Ok(None) };
            if first.bytes.is_empty() {
                continue;
            }
            if first.cut {
                return Ok(Some(Framed { line: first.number, text: first.bytes, shape: Shape::TooLong }));
            }
            if self.split(&first.bytes) {
                return Ok(Some(Framed { line: first.number, text: first.bytes, shape: Shape::Cells }));
            }
            return self.over_several_lines(first).map(Some);
        }
    }

    fn is_rounded(&self, _: usize) -> bool {
        false
    }
}

impl<R: Read> Frames<R> {
    /// A file in UTF-8, without its byte order mark. `beginning` is how it begins, if not all of it (`whole`). Excel's
    /// line `sep=;` is no row of it.
    pub(super) fn new(from: R, delimiter: u8, beginning: &[u8], whole: bool) -> io::Result<Self> {
        let mut frames = Frames::plain(from, delimiter)?;
        let looked_at = &beginning[..beginning.len().min(HEAD_BYTES)];
        let mut sample = Frames::plain(looked_at, delimiter)?;
        while frames.head.len() <= HEAD
            && let Some(row) = Table::next(&mut sample)?
        {
            if frames.head.is_empty() && row.shape == Shape::Cells {
                sample.set_columns(sample.count);
            }
            let cells = match row.shape {
                Shape::Cells => sample.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
                Shape::OpenQuote | Shape::TooLong => Vec::new(),
            };
            frames.head.push(HeadRow { line: row.line, shape: row.shape, cells });
        }
        // The last of them may be half a row.
        let cut = !whole || looked_at.len() < beginning.len();
        if frames.head.len() > HEAD || cut && frames.head.len() > 1 {
            frames.head.pop();
        }
        Ok(frames)
    }

    fn plain(from: R, delimiter: u8) -> io::Result<Self> {
        let mut lines = Lines::new(from);
        while lines.end < BLOCK && !lines.ended {
            lines.fill()?;
        }
        if lines.rest().starts_with(b"\xef\xbb\xbf") {
            lines.at = 3;
        }
        let first = lines.rest().split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        if std::str::from_utf8(first).is_ok_and(|line| delimiter::named_in(line).is_some()) {
            lines.next()?;
        }
        let core = ReaderBuilder::new().delimiter(delimiter).build();
        let (cells, ends) = (vec![0; 4096], vec![0; 64]);
        Ok(Self { lines, delimiter, core, cells, ends, count: 0, columns: None, head: Vec::new() })
    }

    fn over_several_lines(&mut self, first: Line) -> io::Result<Framed> {
        let mut text = first.bytes.clone();
        let mut taken = Vec::new();
        while taken.len() + 1 < MOST_LINES && text.len() < LONGEST_ROW {
            let Some(next) = self.lines.next()? else { break };
            text.push(b'\n');
            text.extend_from_slice(&next.bytes);
            let cut = next.cut;
            taken.push(next);
            if cut {
                break;
            }
            if self.split(&text) {
                if is_well_quoted(&text, self.delimiter) && self.fits() {
                    return Ok(Framed { line: first.number, text, shape: Shape::Cells });
                }
                break;
            }
        }
        for line in taken.into_iter().rev() {
            self.lines.again.push_front(line);
        }
        Ok(Framed { line: first.number, text: first.bytes, shape: Shape::OpenQuote })
    }

    /// Whether the last row has as many cells as the header, or more only because of blank ones at its end.
    fn fits(&self) -> bool {
        self.columns.is_none_or(|columns| {
            self.count >= columns && self.cells().skip(columns).all(|cell| cell.trim_ascii().is_empty())
        })
    }

    /// Cuts a row into its cells. `false` when a quote is still open at its end.
    fn split(&mut self, row: &[u8]) -> bool {
        self.core.reset();
        let (mut written, mut ends) = (0, 0);
        // The row's end is given apart, so that the row need not be copied to have one.
        for part in [row, b"\n"] {
            let mut part = part;
            loop {
                let (result, read, wrote, ended) =
                    self.core.read_record(part, &mut self.cells[written..], &mut self.ends[ends..]);
                part = &part[read..];
                written += wrote;
                ends += ended;
                match result {
                    ReadRecordResult::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                    ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                    ReadRecordResult::InputEmpty => break,
                    ReadRecordResult::Record | ReadRecordResult::End => {
                        self.count = ends;
                        return true;
                    }
                }
                if part.is_empty() {
                    break;
                }
            }
        }
        self.count = ends;
        false
    }
}

/// Whether every quoted cell ends where its closing quote is.
fn is_well_quoted(row: &[u8], delimiter: u8) -> bool {
    let mut bytes = row.iter().copied().peekable();
    loop {
        if bytes.next_if_eq(&b'"').is_some() {
            loop {
                match bytes.next() {
                    None => return false,
                    Some(b'"') if bytes.next_if_eq(&b'"').is_none() => break,
                    Some(_) => {}
                }
            }
            match bytes.next() {
                None => return true,
                Some(byte) if byte == delimiter => {}
                Some(_) => return false,
            }
        } else {
            loop {
                match bytes.next() {
                    None => return true,
                    Some(byte) if byte == delimiter => break,
                    Some(_) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives one to seven bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            let count = self.0.len().min(self.1 % 7 + 1).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    type Row = (u64, Shape, Vec<String>);

    fn rows(file: &[u8]) -> Vec<Row> {
        let mut frames = Frames::new(Dribble(file, 0), b',', file, true).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = Table::next(&mut frames).unwrap() {
            let cells: Vec<String> = match row.shape {
                Shape::Cells => frames.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
                Shape::OpenQuote | Shape::TooLong => vec![String::from_utf8_lossy(&row.text).into_owned()],
            };
            if rows.is_empty() {
                frames.set_columns(cells.len());
            }
            rows.push((row.line, row.shape, cells));
        }
        rows
    }

    fn row(line: u64, cells: &[&str]) -> Row {
        (line, Shape::Cells, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn every_line_end_ends_a_row_and_blank_lines_are_none() {
        assert_eq!(
            rows(b"\xef\xbb\xbfa,b\r\n1,2\n\n\r\n3,4\r5,6"),
            [row(1, &["a", "b"]), row(2, &["1", "2"]), row(5, &["3", "4"]), row(6, &["5", "6"])]
        );
    }

    #[test]
    fn a_quoted_cell_may_run_over_lines() {
        assert_eq!(
            rows(b"a,b\n1,\"x\r\ny\"\n3,\"say \"\"hi\"\", then\"\n"),
            [row(1, &["a", "b"]), row(2, &["1", "x\ny"]), row(4, &["3", "say \"hi\", then"])]
        );
    }

    #[test]
    fn an_open_quote_costs_its_own_line_and_nothing_else() {
        let open = |line, text: &str| (line, Shape::OpenQuote, vec![text.to_owned()]);
        // Never closed; closed by the next quoted cell; at the start of a line; on the last line.
        assert_eq!(
            rows(b"a,b\n1,\"x\n2,y\n3,z\n"),
            [row(1, &["a", "b"]), open(2, "1,\"x"), row(3, &["2", "y"]), row(4, &["3", "z"])]
        );
        assert_eq!(
            rows(b"a,b\n1,\"x\n2,\"y\"\n3,z\n"),
            [row(1, &["a", "b"]), open(2, "1,\"x"), row(3, &["2", "y"]), row(4, &["3", "z"])]
        );
        assert_eq!(rows(b"a,b\n\"1,x\n2,\"y\""), [row(1, &["a", "b"]), open(2, "\"1,x"), row(3, &["2", "y"])]);
        assert_eq!(rows(b"a,b\n1,x\n2,\"y"), [row(1, &["a", "b"]), row(2, &["1", "x"]), open(3, "2,\"y")]);
    }

    #[test]
    fn excels_own_first_line_is_no_row_and_the_first_rows_are_seen_before() {
        let frames =
            Frames::new(&b"\xef\xbb\xbfsep=;\r\na;b\r\n1;2\r\n3;"[..], b';', b"sep=;\r\na;b\r\n1;2\r\n3;", false)
                .unwrap();
        let head: Vec<_> = frames.head().iter().map(|row| (row.line, row.cells.concat())).collect();
        assert_eq!(head, [(2, "ab".to_owned()), (3, "12".to_owned())]);
    }

    #[test]
    fn a_row_without_end_costs_itself() {
        let long = "x".repeat(LONGEST_ROW + 10);
        let file = format!("a,b\n1,{long}\n2,y\n");
        let rows = rows(file.as_bytes());
        assert_eq!((rows[1].0, rows[1].1, rows[1].2[0].len()), (2, Shape::TooLong, LONGEST_ROW));
        assert_eq!(rows[2], row(3, &["2", "y"]));
    }

    #[test]
    fn a_row_with_more_cells_and_longer_cells_than_the_buffers_is_whole() {
        let cells: Vec<String> = (0..500).map(|n| format!("{n}").repeat(20)).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        assert_eq!(rows(cells.join(",").as_bytes()), [row(1, &cells)]);
    }

    proptest! {
        /// What a proper writer wrote is read as it was, whatever is in the cells.
        #[test]
        fn a_proper_file_is_read_back(
            written in prop::collection::vec(prop::collection::vec("[a-zé\",; ]{0,8}|[\"\n]{1,3}[a-z]", 3), 1..20)
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in &written {
                writer.write_record(row).unwrap();
            }
            let file = writer.into_inner().unwrap();
            let read: Vec<_> = rows(&file).into_iter().skip(1).map(|row| row.2).collect();
            prop_assert_eq!(read, written);
        }

        /// A stray quote anywhere never costs a good row that starts on a later line.
        #[test]
        fn good_rows_survive_a_stray_quote(at in 0_usize..40, line in 0_usize..8) {
            let mut lines: Vec<String> = (0..10).map(|n| format!("+2010000000{n},name {n},city")).collect();
            let at = at.min(lines[line].len());
            lines[line].insert(at, '"');
            let file = format!("phone,name,city\n{}\n", lines.join("\n"));
            let read = rows(file.as_bytes());
            for (n, good) in lines.iter().enumerate().filter(|(n, _)| *n != line) {
                let cells: Vec<&str> = good.split(',').collect();
                prop_assert!(read.contains(&row(n as u64 + 2, &cells)), "row {} is lost", n);
            }
            prop_assert_eq!(read.len(), 11);
        }
    }
}
