//! Which encoding a text file is in, and the text in UTF-8.

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, WINDOWS_1256};

use crate::fault::{Fault, Result};

/// Bytes decoded at once.
const BLOCK: usize = 64 * 1024;

/// The encoding of that label.
pub(super) fn encoding_of(label: &str) -> Result<&'static Encoding> {
    match Encoding::for_label(label.trim().as_bytes()) {
        Some(encoding) if encoding != REPLACEMENT => Ok(encoding),
        _ => Err(Fault::invalid(format!("The encoding {label:?} is not known."))
            .action("Use utf-8, utf-16le, windows-1256 (Arabic), windows-1252 (Western) or another WHATWG label.")),
    }
}

/// The encoding that a file's beginning is in: by its byte order mark, by the zero bytes of UTF-16, by being UTF-8, or
/// else by its letters. A beginning in plain ASCII is UTF-8.
pub(super) fn detect(beginning: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(beginning) {
        return encoding;
    }
    if let Some(encoding) = wide(beginning) {
        return encoding;
    }
    let (letters, strays) = utf8_letters(beginning);
    // A stray byte among UTF-8 is the mistake of its row. Text of one byte a letter hardly ever looks like UTF-8.
    if strays == 0 || letters > 2 * strays {
        return UTF_8;
    }
    if looks_arabic(beginning) {
        return WINDOWS_1256;
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(beginning, true);
    match detector.guess(None, chardetng::Utf8Detection::Deny) {
        // It takes short lists of Latin names for many things; what is not Arabic in 1256 reads the same in 1252.
        encoding if encoding == WINDOWS_1256 || is_scattered(beginning) => WINDOWS_1252,
        encoding => encoding,
    }
}

/// UTF-16 without its mark: the digits and delimiters of any file of people have a zero byte each, on one side.
fn wide(beginning: &[u8]) -> Option<&'static Encoding> {
    let pairs = beginning.chunks_exact(2).take(2048);
    let (mut all, mut little, mut big) = (0, 0, 0);
    for pair in pairs {
        all += 1;
        little += usize::from(pair[0] != 0 && pair[1] == 0);
        big += usize::from(pair[0] == 0 && pair[1] != 0);
    }
    let most = |some: usize, others: usize| some * 4 > all && others * 20 <= some;
    match () {
        () if all >= 4 && most(little, big) => Some(UTF_16LE),
        () if all >= 4 && most(big, little) => Some(UTF_16BE),
        () => None,
    }
}

/// How many letters of several bytes there are, and how many bytes that belong to none. A letter cut off by the end of
/// the beginning is neither.
fn utf8_letters(mut bytes: &[u8]) -> (usize, usize) {
    let (mut letters, mut strays) = (0, 0);
    let count = |text: &str| text.chars().filter(|c| !c.is_ascii()).count();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(text) => return (letters + count(text), strays),
            Err(error) => {
                let (good, rest) = bytes.split_at(error.valid_up_to());
                letters += std::str::from_utf8(good).map_or(0, count);
                let Some(bad) = error.error_len() else { return (letters, strays) };
                strays += bad;
                bytes = &rest[bad..];
            }
        }
    }
}

/// Runs of bytes above ASCII: how many are words of their own, with no Latin letter beside them, and how many bytes
/// stand among Latin letters.
fn runs(bytes: &[u8]) -> (usize, usize, usize) {
    let (mut words, mut bytes_of_words, mut among_latin) = (0, 0, 0);
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|byte| !byte.is_ascii()).map(|offset| at + offset) {
        let length = bytes[start..].iter().take_while(|byte| !byte.is_ascii()).count();
        let end = start + length;
        let latin_before = start > 0 && bytes[start - 1].is_ascii_alphabetic();
        let latin_after = bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
        if latin_before || latin_after {
            among_latin += length;
        } else if length > 1 {
            words += 1;
            bytes_of_words += length;
        }
        at = end;
    }
    (words, bytes_of_words, among_latin)
}

/// Words of windows-1256 stand apart from Latin letters and are made of Arabic letters alone, of which lam, meem, noon,
/// heh, waw and yeh are a third. These lie among the small letters of other alphabets' code pages, most of which are
/// letters of French in this one; and where such alphabets are in capitals, they have none there.
fn looks_arabic(bytes: &[u8]) -> bool {
    let (words, bytes_of_words, among_latin) = runs(bytes);
    let high = || bytes.iter().filter(|byte| !byte.is_ascii());
    let arabic =
        high().filter(|byte| matches!(byte, 0xc0..=0xd6 | 0xd8..=0xdf) || is_common(**byte) || is_rare(**byte));
    let common = high().filter(|byte| is_common(**byte)).count();
    let arabic = arabic.count().saturating_sub(among_latin);
    words > 0 && bytes_of_words > among_latin && arabic * 20 >= bytes_of_words * 19 && common * 10 >= bytes_of_words
}

/// Lam, meem, noon, heh, waw, alef maksura, yeh.
const fn is_common(byte: u8) -> bool {
    matches!(byte, 0xe1 | 0xe3..=0xe6 | 0xec | 0xed)
}

/// Letters of Persian and Urdu, Arabic comma, semicolon and question mark, vowel marks, and the hard blank.
const fn is_rare(byte: u8) -> bool {
    matches!(byte, 0x81 | 0x8d..=0x90 | 0x98 | 0x9a | 0x9f..=0xa1 | 0xaa | 0xba | 0xbf | 0xf0..=0xf3 | 0xf5 | 0xf6 | 0xf8 | 0xfa | 0xff)
}

/// Whether the bytes above ASCII stand one by one among Latin letters, as in French and Spanish.
fn is_scattered(bytes: &[u8]) -> bool {
    let (_, bytes_of_words, among_latin) = runs(bytes);
    bytes_of_words <= among_latin
}

/// The beginning of a file in UTF-8; a letter cut off by its end is left out.
pub(super) fn beginning_in_utf8(beginning: &[u8], encoding: &'static Encoding) -> Vec<u8> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let room = decoder.max_utf8_buffer_length(beginning.len()).unwrap_or(beginning.len() * 3 + 16);
    let mut text = vec![0; room];
    let (_, _, written, _) = decoder.decode_to_utf8(beginning, &mut text, false);
    text.truncate(written);
    text
}

/// A reader of UTF-8 over one of any encoding. What cannot be decoded becomes U+FFFD, which rejects its row later.
pub(super) struct Decoded<R> {
    from: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(from: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { from, decoder, raw: vec![0; BLOCK], text: Vec::new(), at: 0, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = self.from.read(&mut self.raw)?;
        self.ended = read == 0;
        let bytes = &self.raw[..read];
        let room = self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16);
        self.text.resize(room, 0);
        let (result, taken, written, _) = self.decoder.decode_to_utf8(bytes, &mut self.text, self.ended);
        debug_assert!(result == CoderResult::InputEmpty && taken == read);
        self.text.truncate(written);
        self.at = 0;
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.ended {
            self.fill()?;
        }
        let rest = &self.text[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wide_of(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf_16_is_told_with_its_mark_and_without() {
        for text in ["phone,name\n0100,x\n", "الهاتف;الاسم\r\n٠١٠٠١٠٠٠٠٠١;مريم\r\n+201001000001;منى\r\n"]
        {
            assert_eq!(detect(&wide_of(text, u16::to_le_bytes)), UTF_16LE, "{text}");
            assert_eq!(detect(&wide_of(text, u16::to_be_bytes)), UTF_16BE, "{text}");
        }
        assert_eq!(detect(b"\xff\xfea\0"), UTF_16LE);
        assert_eq!(detect(b"\xfe\xff\0a"), UTF_16BE);
        assert_eq!(detect(b"\xef\xbb\xbfa"), UTF_8);
        assert_eq!(detect(b"phone\n0100\x00123\n"), UTF_8, "one zero byte is a fault of its row");
        assert_eq!(detect(&[0; 100]), UTF_8, "and nothing but zeros is no text at all");
        assert_eq!(detect(b""), UTF_8);
    }

    #[test]
    fn a_stray_byte_among_utf_8_is_its_rows_mistake() {
        assert_eq!(detect("a,b\n1,Begoña Peña\n2,José\n3,Be\u{f1}o\n".as_bytes()), UTF_8);
        assert_eq!(detect(b"a,b\n1,Bego\xc3\xb1a Mu\xc3\xb1oz\n2,Jos\xc3\xa9\n3,Be\xf1o\n"), UTF_8);
        assert_eq!(detect(&"phone,نص".as_bytes()[..9]), UTF_8, "cut within a letter");
    }

    /// Names as they are; every list of one to eight of them is told, in either encoding.
    const ARABIC: [&str; 12] = [
        "منى أحمد",
        "سارة محمد",
        "فاطمة علي",
        "نورة خالد",
        "مريم يوسف",
        "هدى عمر",
        "ليلى حسن",
        "ريم إبراهيم",
        "دينا طارق",
        "أمل سلمان",
        "الاسم",
        "المدينة",
    ];
    const LATIN: [&str; 14] = [
        "Begoña Muñoz",
        "José Núñez",
        "Íñigo Álvarez",
        "Conceição Assunção",
        "João Araújo",
        "Antônio Magalhães",
        "Renée Lefèvre",
        "Zoë Gonçalves",
        "Françoise Müller",
        "Óscar Ruíz",
        "teléfono",
        "número",
        "É",
        "Ángel",
    ];

    proptest! {
        #[test]
        fn arabic_and_western_lists_of_names_are_told_apart(
            places in prop::collection::vec(0..12_usize, 1..8), ascii in prop::collection::vec("[a-z0-9 ]{0,12}", 8)
        ) {
            let list = |names: &[&str]| -> String {
                let lines = places.iter().zip(&ascii).map(|(place, word)| format!("0100123,{},{word}\r\n", names[*place]));
                lines.collect()
            };
            for (encoding, names) in [(WINDOWS_1256, &ARABIC[..]), (WINDOWS_1252, &LATIN)] {
                let list = list(names);
                let (bytes, _, _) = encoding.encode(&list);
                prop_assert_eq!(detect(&bytes), encoding);
            }
        }

        #[test]
        fn what_is_decoded_piece_by_piece_is_what_was_encoded(text in "\\PC{0,200}") {
            for (encoding, bytes) in [
                (UTF_16LE, wide_of(&text, u16::to_le_bytes)),
                (UTF_16BE, wide_of(&text, u16::to_be_bytes)),
                (UTF_8, text.clone().into_bytes()),
            ] {
                let mut read = String::new();
                Decoded::new(bytes.chunks(3).fold(Box::new(io::empty()) as Box<dyn Read>, |so_far, piece| {
                    Box::new(so_far.chain(piece))
                }), encoding).read_to_string(&mut read).unwrap();
                prop_assert_eq!(read.trim_start_matches('\u{feff}'), text.trim_start_matches('\u{feff}'));
            }
        }
    }

    #[test]
    fn other_alphabets_are_not_taken_for_arabic() {
        let (cyrillic, _, _) =
            encoding_rs::WINDOWS_1251.encode("имя,город\nМария Петрова,Москва\nИван Смирнов,Казань\n");
        assert_eq!(detect(&cyrillic), encoding_rs::WINDOWS_1251);
        let (greek, _, _) = encoding_rs::WINDOWS_1253.encode("όνομα,πόλη\nΜαρία Παπαδοπούλου,Αθήνα\nΓιώργος,Πάτρα\n");
        assert_eq!(detect(&greek), encoding_rs::WINDOWS_1253);
    }
}
