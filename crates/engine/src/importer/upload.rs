//! The file's bytes on their way from the network or the disk to the thread that reads them.

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, REPLACEMENT, UTF_8};
use ring::digest::{Context, SHA256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::fault::{Fault, Result};

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

/// A block of the file, in UTF-8 unless its bytes are wrong; or why there are no more.
pub(super) type Block = io::Result<Vec<u8>>;

/// How the handing over ended.
pub(super) enum Fed {
    /// The whole file, or as much as the reading thread wanted; with its SHA-256 in hexadecimal.
    Whole(String),
    /// The file broke off.
    BrokeOff(io::Error),
    /// It is no text.
    Refused(String),
}

/// The encoding of that label.
pub(super) fn encoding_of(label: &str) -> Result<&'static Encoding> {
    match Encoding::for_label(label.trim().as_bytes()) {
        Some(encoding) if encoding != REPLACEMENT => Ok(encoding),
        _ => Err(Fault::invalid(format!("The encoding {label:?} is not known."))
            .action("Use utf-8, utf-16le, windows-1256 (Arabic), windows-1252 (Western) or another WHATWG label.")),
    }
}

/// Reads the file to its end and hands it over block by block, in UTF-8.
pub(super) async fn feed<R: AsyncRead + Unpin>(
    reader: &mut R,
    encoding: Option<&'static Encoding>,
    to: mpsc::Sender<Block>,
) -> Fed {
    let mut hash = Context::new(&SHA256);
    let mut decoder: Option<Decoder> = None;
    let mut first = true;
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        // The first block must hold a whole byte order mark, however small the pieces that arrive.
        let ended = loop {
            match reader.read_buf(&mut block).await {
                Ok(0) => break true,
                Ok(_) if first && block.len() < 4 => {}
                Ok(_) => break false,
                Err(error) => {
                    // The thread must not take the half of a row at the end for a row.
                    let _ = to.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                    return Fed::BrokeOff(error);
                }
            }
        };
        if std::mem::take(&mut first) {
            if let Some(reason) = no_text(&block) {
                let _ = to.send(Err(io::ErrorKind::InvalidData.into())).await;
                return Fed::Refused(reason.to_owned());
            }
            let marked = Encoding::for_bom(&block).map(|(encoding, _)| encoding);
            decoder = encoding.or(marked).filter(|encoding| *encoding != UTF_8).map(Encoding::new_decoder);
        }
        hash.update(&block);
        if let Some(decoder) = &mut decoder {
            block = decoded(decoder, &block, ended);
        }
        // A closed channel: the thread has said why it wants no more.
        if (!block.is_empty() && to.send(Ok(block)).await.is_err()) || ended {
            return Fed::Whole(hex::encode(hash.finish()));
        }
    }
}

fn no_text(beginning: &[u8]) -> Option<&'static str> {
    if beginning.starts_with(b"PK\x03\x04") || beginning.starts_with(b"\xd0\xcf\x11\xe0") {
        return Some("This is a spreadsheet, not a CSV file. Save it as \"CSV UTF-8\" and import that.");
    }
    if beginning.starts_with(b"\x1f\x8b") {
        return Some("This is a compressed file. Unpack it and import what is in it.");
    }
    None
}

/// What cannot be decoded becomes U+FFFD, which rejects its row later.
fn decoded(decoder: &mut Decoder, bytes: &[u8], last: bool) -> Vec<u8> {
    let room = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16);
    let mut out = vec![0; room];
    let (result, read, written, _) = decoder.decode_to_utf8(bytes, &mut out, last);
    debug_assert!(result == CoderResult::InputEmpty && read == bytes.len());
    out.truncate(written);
    out
}

/// The blocks, as a blocking reader for the thread.
pub(super) struct Pipe {
    blocks: mpsc::Receiver<Block>,
    block: Vec<u8>,
    at: usize,
}

impl Pipe {
    pub(super) fn new(blocks: mpsc::Receiver<Block>) -> Self {
        Self { blocks, block: Vec::new(), at: 0 }
    }
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            match self.blocks.blocking_recv() {
                None => return Ok(0),
                Some(block) => {
                    self.block = block?;
                    self.at = 0;
                }
            }
        }
        let rest = self.block.get(self.at..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fed(bytes: &[u8], encoding: Option<&str>) -> (Vec<u8>, Fed) {
        let (to, mut blocks) = mpsc::channel(100);
        // One byte at a time, as the worst network would.
        let mut reader = tokio_test_reader(bytes);
        let encoding = encoding.map(|label| encoding_of(label).unwrap());
        let end = feed(&mut reader, encoding, to).await;
        let mut out = Vec::new();
        while let Some(block) = blocks.recv().await {
            if let Ok(block) = block {
                out.extend(block);
            }
        }
        (out, end)
    }

    fn tokio_test_reader(bytes: &[u8]) -> impl AsyncRead + Unpin {
        let mut pieces: Vec<std::io::Result<bytes::Bytes>> = Vec::new();
        for byte in bytes {
            pieces.push(Ok(bytes::Bytes::copy_from_slice(&[*byte])));
        }
        tokio_util::io::StreamReader::new(futures::stream::iter(pieces))
    }

    #[tokio::test]
    async fn utf_16_is_told_by_its_mark_and_windows_1256_by_its_label() {
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend("phone,اسم\n".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(fed(&utf16, None).await.0, "phone,اسم\n".as_bytes());
        assert_eq!(fed(b"\xc7\xd3\xe3", Some("windows-1256")).await.0, "اسم".as_bytes());
        assert_eq!(fed("اسم".as_bytes(), None).await.0, "اسم".as_bytes());
    }

    #[tokio::test]
    async fn a_spreadsheet_is_refused_by_name() {
        assert!(matches!(fed(b"PK\x03\x04rest", None).await.1, Fed::Refused(reason) if reason.contains("spreadsheet")));
    }

    #[tokio::test]
    async fn the_hash_is_of_the_file_as_it_came() {
        let (_, end) = fed(b"abc", Some("utf-16le")).await;
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(matches!(end, Fed::Whole(hash) if hash == expected));
    }
}
