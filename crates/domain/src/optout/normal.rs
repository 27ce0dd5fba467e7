//! Texts as they are compared: what changes how a word looks, and not which word it is, is taken off.

use unicode_normalization::UnicodeNormalization;

/// A text as it is compared: compatibility forms folded, lower case, without accents, vowel marks, tatweel, joiners,
/// punctuation and emoji; Arabic letters that people use for one another made one; letters repeated three times or
/// more written once; single spaces.
pub fn normalise(text: &str) -> String {
    let mut normal = Normal::default();
    for c in text.nfkd().flat_map(char::to_lowercase) {
        normal.take(c);
    }
    normal.text
}

#[derive(Default)]
struct Normal {
    text: String,
    gap: bool,
    /// How often the last letter stands in a row, in the text.
    run: usize,
    last: Option<char>,
    /// Letters of the word so far.
    word: usize,
}

impl Normal {
    fn take(&mut self, c: char) {
        let c = match c {
            'ٱ' => 'ا',
            'ى' | 'ی' => 'ي',
            'ة' => 'ه',
            'ک' | 'ڪ' => 'ك',
            'ھ' => 'ه',
            'ı' => 'i',
            'ß' => return ['s', 's'].into_iter().for_each(|s| self.take(s)),
            'œ' => return ['o', 'e'].into_iter().for_each(|c| self.take(c)),
            // "m'envoyer" is two words, "don't" is one.
            '\'' | '’' | '`' | 'ʼ' if self.word == 1 && !self.gap => return self.end_word(),
            c if is_silent(c) => return,
            c => c,
        };
        if !c.is_alphanumeric() {
            return self.end_word();
        }
        if self.gap {
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            (self.gap, self.word) = (false, 0);
        }
        self.word += 1;
        self.run = if self.last == Some(c) { self.run + 1 } else { 1 };
        self.last = Some(c);
        if self.run >= 3 && c.is_alphabetic() {
            // The second of the row was written before anybody knew that a third would come.
            if self.run == 3 {
                self.text.pop();
            }
            return;
        }
        self.text.push(c);
    }

    fn end_word(&mut self) {
        (self.gap, self.last) = (true, None);
    }
}

/// Marks that change how a word looks and not which word it is.
fn is_silent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}'       // accents, taken off by the decomposition
        | '\u{640}'                 // tatweel
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}' // Arabic marks
        | '\u{900}'..='\u{902}' | '\u{93c}' | '\u{94d}' // Devanagari nasals, nukta and virama
        | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\'' | '’' | '`' | 'ʼ')
}

/// A message that is spelt letter by letter is one word.
pub(super) fn joined(text: String) -> String {
    let is_spelt = text.contains(' ') && text.split(' ').all(|word| word.chars().nth(1).is_none());
    if is_spelt { text.replace(' ', "") } else { text }
}

/// How many letters must be added, left out, changed or swapped with their neighbour to make one word of another;
/// `most` + 1 where it is more than `most`.
pub(super) fn distance(one: &str, other: &str, most: usize) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > most {
        return most + 1;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut steps = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                steps = steps.min(before_last[j - 1] + 1);
            }
            row.push(steps);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()].min(most + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_three_times_in_a_row_stand_once_and_twice_stay() {
        assert_eq!(normalise("stooop aab"), "stop aab");
        assert_eq!(normalise("سلاااام"), "سلام");
        assert_eq!(normalise("1000"), "1000", "digits are no letters");
    }

    #[test]
    fn marks_cases_and_widths_do_not_count() {
        for (one, other) in [
            ("ＳＴＯＰ", "stop"),
            ("s\u{200b}to\u{202e}p", "stop"),
            ("S.T.O.P.", "s t o p"),
            ("إِيقـــاف", "ايقاف"),
            ("كفاية", "كفايه"),
            ("DÉSABONNER", "desabonner"),
            ("ÇIK", "cik"),
            ("çık", "cik"),
            ("Schluß", "schluss"),
            ("don’t", "dont"),
            ("m'envoyer", "m envoyer"),
            ("नहीं", "नही"),
        ] {
            assert_eq!(normalise(one), other, "{one}");
        }
    }

    #[test]
    fn a_distance_counts_swapped_neighbours_once() {
        assert_eq!(distance("unsubscribe", "unsubscirbe", 2), 1);
        assert_eq!(distance("unsubscribe", "unsuscribe", 2), 1);
        assert_eq!(distance("unsubscribe", "subscribe", 2), 2);
        assert_eq!(distance("stop", "shopping", 2), 3);
    }

    proptest! {
        #[test]
        fn normalising_breaks_on_no_text_and_leaves_no_edge_blanks(text in "\\PC{0,60}") {
            let normal = normalise(&text);
            prop_assert_eq!(normal.trim(), &normal);
            prop_assert!(!normal.contains("  "));
        }
    }
}
