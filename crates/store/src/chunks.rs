//! Many rows in one statement, on SQLite: a list of values for each, in a few fixed lengths, so that each text is
//! prepared once. Handing rows over as JSON costs several times as much as the rows themselves; and parameters have no
//! names, since looking up hundreds of names costs as much again.

/// Rows of one statement, largest first.
const LENGTHS: [usize; 4] = [128, 32, 8, 1];
/// The same for whole files of rows, where a statement's own cost still shows in chunks of 128.
const BULK_LENGTHS: [usize; 5] = [512, 128, 32, 8, 1];

/// One statement in each length.
pub(crate) struct Chunks(Vec<(usize, String)>);

impl Chunks {
    /// `write` writes the statement around its list, which is `(?,?),(?,?)` and so on, with so many columns each.
    pub(crate) fn new(columns: usize, write: impl Fn(&str) -> String) -> Self {
        Self::of(&LENGTHS, columns, write)
    }

    /// As [`Self::new`], for thousands of rows at once.
    pub(crate) fn bulk(columns: usize, write: impl Fn(&str) -> String) -> Self {
        Self::of(&BULK_LENGTHS, columns, write)
    }

    fn of(lengths: &[usize], columns: usize, write: impl Fn(&str) -> String) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let statement = |length: &usize| (*length, write(&vec![row.as_str(); *length].join(",")));
        Self(lengths.iter().map(statement).collect())
    }

    /// The rows in pieces, each with its statement.
    pub(crate) fn over<'a, T>(&'static self, mut rows: &'a [T]) -> impl Iterator<Item = (&'static str, &'a [T])> {
        std::iter::from_fn(move || {
            let (length, statement) = self.0.iter().find(|(length, _)| *length <= rows.len())?;
            let (piece, rest) = rows.split_at(*length);
            rows = rest;
            Some((statement.as_str(), piece))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PAIRS: LazyLock<Chunks> = LazyLock::new(|| Chunks::new(2, |values| format!("VALUES {values}")));

    #[test]
    fn every_row_is_in_one_piece_and_each_statement_has_its_parameters() {
        let rows: Vec<usize> = (0..300).collect();
        let mut seen = Vec::new();
        for (statement, piece) in PAIRS.over(&rows) {
            assert_eq!(statement.matches('?').count(), piece.len() * 2);
            seen.extend_from_slice(piece);
        }
        assert_eq!(seen, rows);
        assert_eq!(PAIRS.over(&rows[..0]).count(), 0);
    }
}
