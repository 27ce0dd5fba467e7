//! Files whose beginning is in plain ASCII: which encoding they are in is found out where their first other letter comes.

use std::cell::OnceCell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use encoding_rs::{Encoding, UTF_8};

use super::encoding::{self, Decoded};
use super::source::BEGINNING;

/// What was found out, as soon as it is: set when reading comes to the first letter beyond ASCII.
pub(super) type Told = Rc<OnceCell<&'static Encoding>>;

/// A reader of UTF-8 over a file that has begun in ASCII.
pub(super) struct Late<R> {
    stage: Stage<R>,
    told: Told,
}

enum Stage<R> {
    /// Nothing but ASCII so far.
    Ascii(R),
    /// Its encoding is known.
    Known(Box<dyn Read>),
    /// Between the two, and after an error.
    Over,
}

impl<R: Read + 'static> Late<R> {
    pub(super) fn new(from: R) -> (Self, Told) {
        let told = Told::default();
        (Self { stage: Stage::Ascii(from), told: Rc::clone(&told) }, told)
    }

    /// Looks at the text from its first letter beyond ASCII on, as much of it as is looked at of a file's beginning.
    fn find_out(&mut self, mut from: R, letter: &[u8]) {
        let mut ahead = letter.to_vec();
        let failed = (&mut from).take(BEGINNING as u64).read_to_end(&mut ahead).err();
        let encoding = encoding::detect(&ahead);
        // What came before the file broke off is read, and then that it did.
        let rest = Cursor::new(ahead).chain(Failed(failed)).chain(from);
        self.stage = Stage::Known(match encoding == UTF_8 {
            true => Box::new(rest),
            false => Box::new(Decoded::new(rest, encoding)),
        });
        // It is found out once.
        let _ = self.told.set(encoding);
    }
}

impl<R: Read + 'static> Read for Late<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ascii(mut from) => {
                let read = from.read(out)?;
                let Some(letter) = out[..read].iter().position(|byte| !byte.is_ascii()) else {
                    self.stage = Stage::Ascii(from);
                    return Ok(read);
                };
                self.find_out(from, &out[letter..read]);
                match letter {
                    0 => self.read(out),
                    _ => Ok(letter),
                }
            }
            Stage::Known(mut text) => {
                let read = text.read(out);
                self.stage = Stage::Known(text);
                read
            }
            Stage::Over => Ok(0),
        }
    }
}

/// An error that was met while looking ahead, told when reading comes to it.
pub(super) struct Failed(pub(super) Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{WINDOWS_1252, WINDOWS_1256};
    use proptest::prelude::*;

    use super::*;
    use crate::importer::source::BrokeOff;

    /// A file that comes in pieces.
    struct Pieces(Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let room = out.len().min(self.1);
            self.0.read(&mut out[..room])
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_comes_late_is_read_in_its_encoding_however_it_is_cut(
            rows in 0..3_000_usize, piece in prop::sample::select(vec![1_usize, 7, 4_096, 100_000]), which in 0..3_usize
        ) {
            let (encoding, name) =
                [(UTF_8, "Begoña Muñoz, José"), (WINDOWS_1252, "Begoña Muñoz, José"), (WINDOWS_1256, "منى أحمد، سارة محمد")][which];
            let text = format!("{}{name}\n{}", "0100123,Ann,x\n".repeat(rows), "0100124,Bob,y\n".repeat(rows));
            let (bytes, _, _) = encoding.encode(&text);
            let (mut late, told) = Late::new(Pieces(Cursor::new(bytes.into_owned()), piece));
            let mut read = String::new();
            late.read_to_string(&mut read).unwrap();
            prop_assert_eq!(read, text);
            prop_assert_eq!(told.get().copied(), Some(encoding));
        }
    }

    #[test]
    fn nothing_is_found_out_of_a_file_in_ascii_and_a_file_that_breaks_off_says_so_after_what_came() {
        let (mut late, told) = Late::new(Cursor::new(b"0100123,Ann\n".to_vec()));
        assert_eq!(late.read_to_end(&mut Vec::new()).unwrap(), 12);
        assert_eq!(told.get(), None);
        let broken = Cursor::new(b"Ann\nBego\xf1a\n".to_vec()).chain(Failed(Some(io::Error::other(BrokeOff))));
        let (mut late, _) = Late::new(broken);
        let mut text = Vec::new();
        assert!(late.read_to_end(&mut text).is_err());
        assert_eq!(String::from_utf8(text).unwrap(), "Ann\nBegoña\n");
    }
}
