//! From what stands in a cell to bare digits, without asking any numbering plan.

use super::{MOST_DIGITS, PhoneError};

/// Room for a number with a doubled prefix; digits beyond it are only counted.
const ROOM: usize = 20;
/// So many digits in one piece may be a number by themselves.
const A_NUMBER: usize = 7;

/// The digits of a cell, and whether a `+` led them. Lives on the stack: a million rows pass through here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling {
    /// `+` and then the digits, in ASCII, so that either reading is a slice of it.
    text: [u8; ROOM + 1],
    /// How many digits there were, of which at most [`ROOM`] are kept.
    count: usize,
    plus: bool,
    /// The place of a zero that stood alone in brackets after other digits: `+44 (0)20…`.
    bracketed_zero: Option<usize>,
    /// How many pieces between separators were long enough for a number.
    numbers: usize,
}

impl Spelling {
    /// Takes the digits out of a cell.
    pub(super) fn read(raw: &str) -> Result<Spelling, PhoneError> {
        let cell = unwrapped(raw);
        let mut spelling = Spelling { text: [b'+'; ROOM + 1], count: 0, plus: false, bracketed_zero: None, numbers: 0 };
        let mut piece = 0;
        let mut bracket = None;
        let mut slash = None;
        // A mark after which no digit of the same number can follow.
        let mut end = None;
        let mut trailing_plus = false;
        for c in cell.chars() {
            if let Some(digit) = digit(c) {
                if let Some(mark) = end {
                    return Err(second_part(cell, spelling.count, mark));
                }
                spelling.push(digit);
                piece += 1;
                spelling.numbers += usize::from(piece == A_NUMBER);
                continue;
            }
            if is_invisible(c) {
                continue;
            }
            piece = 0;
            match c {
                '+' | '＋' if spelling.count == 0 => spelling.plus = true,
                // Right-to-left text may leave the plus at the other end.
                '+' | '＋' => (trailing_plus, end) = (true, Some(c)),
                '(' | '（' => bracket = Some(spelling.count),
                ')' | '）' => {
                    if let Some(place) = bracket.take().filter(|place| *place > 0)
                        && spelling.count == place + 1
                        && spelling.kept().get(place) == Some(&b'0')
                    {
                        spelling.bracketed_zero = Some(place);
                    }
                }
                '/' => slash = slash.or(Some(spelling.count)),
                ',' | ';' | '|' | '&' | '\n' | '\r' | '،' | '؛' if spelling.count > 0 => end = end.or(Some(c)),
                _ if is_separator(c) => {}
                _ if c.is_alphabetic() => return Err(with_letters(cell)),
                _ => return Err(PhoneError::UnexpectedCharacter(c)),
            }
        }
        if spelling.count == 0 {
            return Err(PhoneError::Empty);
        }
        // `030/1234567` is one number, an area and a subscriber; two long halves are two.
        if slash.is_some_and(|place| place + 1 >= A_NUMBER && spelling.count - place + 1 >= A_NUMBER) {
            return Err(PhoneError::TwoNumbers);
        }
        spelling.plus |= trailing_plus;
        Ok(spelling)
    }

    /// True if a `+` said that a country code comes first.
    pub(super) const fn plus(&self) -> bool {
        self.plus
    }

    /// True if the cell was in pieces of which two could be numbers.
    pub(super) const fn may_be_two(&self) -> bool {
        self.numbers > 1
    }

    /// True if these are more digits than any number has with its country code.
    pub(super) const fn is_too_long(&self) -> bool {
        self.count > MOST_DIGITS as usize
    }

    /// `+` and the digits.
    pub(super) fn international(&self) -> Result<&str, PhoneError> {
        self.slice(0)
    }

    /// The digits alone.
    pub(super) fn national(&self) -> Result<&str, PhoneError> {
        self.slice(1)
    }

    /// The same number with `+` for a leading `00`.
    pub(super) fn with_plus_for_00(&self) -> Option<Spelling> {
        self.kept().starts_with(b"00").then(|| Spelling { plus: true, ..self.without(0, 2) })
    }

    /// The same number without the zero that stood alone in brackets.
    pub(super) fn without_bracketed_zero(&self) -> Option<Spelling> {
        self.bracketed_zero.map(|place| self.without(place, 1))
    }

    fn without(mut self, place: usize, digits: usize) -> Spelling {
        let kept = self.kept().len();
        self.text.copy_within(1 + place + digits..=kept, 1 + place);
        self.count -= digits;
        self.bracketed_zero = None;
        self
    }

    fn slice(&self, from: usize) -> Result<&str, PhoneError> {
        let text = self.text.get(from..=self.count).ok_or(PhoneError::TooLong)?;
        std::str::from_utf8(text).map_err(|_| PhoneError::Empty)
    }

    fn kept(&self) -> &[u8] {
        &self.text[1..=self.count.min(ROOM)]
    }

    fn push(&mut self, digit: u8) {
        if let Some(place) = self.text.get_mut(self.count + 1) {
            *place = digit;
        }
        self.count += 1;
    }
}

/// The cell without what spreadsheets put round a number: `="…"`, quotes, a leading apostrophe, a trailing `.0`.
fn unwrapped(raw: &str) -> &str {
    let outer = |c: char| c.is_whitespace() || is_invisible(c);
    let quote = |c: char| matches!(c, '"' | '\'' | '’' | '‘' | '`' | '“' | '”') || outer(c);
    let cell = raw.trim_matches(outer);
    let cell = cell.strip_prefix('=').filter(|rest| rest.starts_with(['"', '+'])).unwrap_or(cell).trim_matches(quote);
    match cell.strip_suffix(".0") {
        Some(whole) if whole.len() >= A_NUMBER && whole.chars().all(|c| c == '+' || digit(c).is_some()) => whole,
        _ => cell,
    }
}

/// The ASCII digit for a digit in Latin, Arabic-Indic, Persian, Devanagari or full-width writing.
pub(crate) fn digit(c: char) -> Option<u8> {
    let zero = match c {
        '0'..='9' => '0',
        '٠'..='٩' => '٠',
        '۰'..='۹' => '۰',
        '०'..='९' => '०',
        '０'..='９' => '０',
        _ => return None,
    };
    u8::try_from(u32::from(c) - u32::from(zero)).ok().map(|value| b'0' + value)
}

/// Marks of direction, joiners and the like, that are in a text without being seen.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '.' | '_' | '~' | '[' | ']' | ',' | ';' | '|' | '&' | '·' | '•' | '−' | '－' | '．' | '،' | '؛'
        )
        || ('\u{2010}'..='\u{2015}').contains(&c)
}

/// What a digit means that comes after `before` digits and a mark that ends a number.
#[cold]
fn second_part(cell: &str, before: usize, mark: char) -> PhoneError {
    if cell.contains(char::is_alphabetic) {
        with_letters(cell)
    } else if before + 1 >= A_NUMBER {
        PhoneError::TwoNumbers
    } else {
        PhoneError::UnexpectedCharacter(mark)
    }
}

/// Which of the things that have letters in them this is.
#[cold]
fn with_letters(cell: &str) -> PhoneError {
    if is_scientific(cell) {
        return PhoneError::ScientificNotation;
    }
    // "0100… or 0111…", "0100… و 0111…": digits enough on both sides of a word.
    let first = cell.find(char::is_alphabetic).unwrap_or(0);
    let last = cell.rfind(char::is_alphabetic).unwrap_or(0);
    let digits = |part: &str| part.chars().filter(|c| digit(*c).is_some()).count();
    let (before, after) = (cell.get(..first).unwrap_or_default(), cell.get(last..).unwrap_or_default());
    if digits(before) >= A_NUMBER && digits(after) >= A_NUMBER { PhoneError::TwoNumbers } else { PhoneError::Letters }
}

/// `2.01E+11`, `2,01e11`.
fn is_scientific(cell: &str) -> bool {
    let Some((mantissa, exponent)) = cell.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| digit(c).is_some());
    digits(exponent) && mantissa.split(['.', ',', '٫']).all(digits)
}
