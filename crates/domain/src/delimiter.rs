//! Which character separates the cells of a file.

/// What files separate their cells with, the commonest first.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
/// So many lines tell enough.
const LINES: usize = 50;

/// Tells from the beginning of a file whether its cells are separated by commas, semicolons, tabs or bars. `sample` should
/// hold the header and some rows; it may end anywhere.
///
/// The delimiter is the one that cuts the most lines into as many cells as the header; of two such, the one that makes
/// more cells. A file of one column has none, and a comma is as good as any.
pub fn detect(sample: &str) -> u8 {
    let sample = sample.strip_prefix('\u{feff}').unwrap_or(sample);
    let mut best = (0, 0, b',');
    for candidate in CANDIDATES {
        let counts = cells_by_line(sample, candidate);
        let Some(header) = counts.first().copied().filter(|cells| *cells > 1) else { continue };
        let alike = counts.iter().filter(|cells| **cells == header).count();
        if (alike, header) > (best.0, best.1) {
            best = (alike, header, candidate);
        }
    }
    best.2
}

/// What Excel's own first line says separates the cells: `sep=;`. It is not a row.
pub fn named_in(first_line: &str) -> Option<u8> {
    let line = first_line.strip_prefix('\u{feff}').unwrap_or(first_line).trim_matches(['"', ' ']);
    let name = line.get(..4).filter(|name| name.eq_ignore_ascii_case("sep="))?;
    // The tab is trimmed by some writers and not by others.
    match &line.as_bytes()[name.len()..] {
        [one] if CANDIDATES.contains(one) => Some(*one),
        _ => None,
    }
}

/// How many cells each line has. Quotes hide delimiters and line ends; the last line counts only if it is whole.
fn cells_by_line(sample: &str, delimiter: u8) -> Vec<usize> {
    let mut counts = Vec::new();
    let (mut cells, mut blank, mut quoted, mut at_start) = (1, true, false, true);
    for byte in sample.bytes() {
        match byte {
            // A quote opens only at a cell's start: the inch mark in 12" is text.
            b'"' if quoted || at_start => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => {
                if !blank {
                    counts.push(cells);
                    if counts.len() == LINES {
                        return counts;
                    }
                }
                (cells, blank, at_start) = (1, true, true);
                continue;
            }
            // Whichever it turns out to be, a cell may start after it: quotes hide what is in them from all of them.
            _ if CANDIDATES.contains(&byte) => {
                cells += usize::from(byte == delimiter);
                (blank, at_start) = (false, true);
                continue;
            }
            _ => {}
        }
        (blank, at_start) = (false, false);
    }
    if counts.is_empty() && !blank {
        counts.push(cells);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delimiter_is_told() {
        assert_eq!(detect("phone,name\n+201001234567,Mona\n"), b',');
        assert_eq!(detect("phone;name\r\n+201001234567;Mona\r\n"), b';');
        assert_eq!(detect("phone|name\n+201001234567|Salem, Mona\n"), b'|');
        assert_eq!(detect("\u{feff}phone\tname\n+201001234567\tMona\n"), b'\t');
    }

    #[test]
    fn excels_own_line_names_the_delimiter() {
        for (line, named) in [
            ("sep=;", Some(b';')),
            ("\u{feff}SEP=,", Some(b',')),
            ("sep=\t", Some(b'\t')),
            ("\"sep=|\"", Some(b'|')),
            ("sep=x", None),
            ("sep", None),
            ("separator;sep=;", None),
        ] {
            assert_eq!(named_in(line), named, "{line}");
        }
    }

    #[test]
    fn commas_within_cells_do_not_count() {
        assert_eq!(detect("phone;name;city\n1;Salem, Mona;Cairo\n2;Ali, Omar;Giza\n3;Ruiz;Madrid\n"), b';');
        assert_eq!(detect("phone,note\n1,\"a;b;c\"\n2,\"d;e\nf;g\"\n"), b',');
        assert_eq!(detect("phone;price\n1;10,5\n2;11,5\n"), b';');
    }

    #[test]
    fn a_file_of_one_column_or_none_has_commas() {
        assert_eq!(detect("phone\n+201001234567\n"), b',');
        assert_eq!(detect(""), b',');
        assert_eq!(detect("\n\n"), b',');
    }

    #[test]
    fn a_header_alone_is_enough_and_a_cut_line_does_no_harm() {
        assert_eq!(detect("phone;name;city"), b';');
        assert_eq!(detect("phone;name;city\n1;a;b\n2;a, b, c, d"), b';');
    }

    proptest::proptest! {
        /// Whatever stands in the cells, a proper file of two columns or more is cut where its writer cut it.
        #[test]
        fn a_quoted_file_is_told_whatever_is_in_its_cells(
            which in 0..4_usize,
            rows in proptest::collection::vec(proptest::collection::vec("[a-z,;|\t ]{1,6}", 3), 2..12),
        ) {
            let delimiter = char::from(CANDIDATES[which]);
            let line = |cells: &[String]| cells.iter().map(|cell| format!("\"{cell}\"")).collect::<Vec<_>>();
            let text: String =
                rows.iter().map(|cells| line(cells).join(&delimiter.to_string()) + "\r\n").collect();
            proptest::prop_assert_eq!(detect(&text), CANDIDATES[which]);
        }

        #[test]
        fn no_text_breaks_the_detector(text in "[\"a,;|\t\r\n=]{0,60}|\\PC{0,60}") {
            proptest::prop_assert!(CANDIDATES.contains(&detect(&text)));
            named_in(&text);
        }
    }

    #[test]
    fn an_inch_mark_within_a_cell_is_no_quote() {
        assert_eq!(cells_by_line("a;b\n12\" pizza;1\n9 pizzas;2\n", b';'), [2, 2, 2]);
    }
}
