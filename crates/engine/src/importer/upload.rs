//! The file's bytes on their way from the network or the disk to the thread that reads them.

use std::io::{self, Read};

use ring::digest::{Context, SHA256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::source::BrokeOff;

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

/// A block of the file as it came; or that there are no more, though the file is not at its end.
pub(super) type Block = Result<Vec<u8>, BrokeOff>;

/// How the handing over ended.
pub(super) enum Fed {
    /// The whole file, or as much as the reading thread wanted; with its SHA-256 in hexadecimal.
    Whole(String),
    /// The file broke off.
    BrokeOff(io::Error),
}

/// Reads the file to its end and hands it over block by block.
pub(super) async fn feed<R: AsyncRead + Unpin>(reader: &mut R, to: mpsc::Sender<Block>) -> Fed {
    let mut hash = Context::new(&SHA256);
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        match reader.read_buf(&mut block).await {
            Ok(0) => return Fed::Whole(hex::encode(hash.finish())),
            Ok(_) => {}
            Err(error) => {
                // The thread must not take the half of a row at the end for a row.
                let _ = to.send(Err(BrokeOff)).await;
                return Fed::BrokeOff(error);
            }
        }
        hash.update(&block);
        // A closed channel: the thread has said why it wants no more.
        if to.send(Ok(block)).await.is_err() {
            return Fed::Whole(hex::encode(hash.finish()));
        }
    }
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
                    self.block = block.map_err(|broke_off| io::Error::new(io::ErrorKind::UnexpectedEof, broke_off))?;
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

    #[tokio::test]
    async fn the_hash_is_of_the_file_as_it_came_and_no_byte_is_lost() {
        let (to, blocks) = mpsc::channel(100);
        // One byte at a time, as the worst network would.
        let pieces = b"abc".map(|byte| Ok::<_, io::Error>(bytes::Bytes::copy_from_slice(&[byte])));
        let mut reader = tokio_util::io::StreamReader::new(futures::stream::iter(pieces));
        let end = feed(&mut reader, to).await;
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(matches!(end, Fed::Whole(hash) if hash == expected));
        let read = tokio::task::spawn_blocking(|| {
            let mut text = String::new();
            Pipe::new(blocks).read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(read.await.unwrap().unwrap(), "abc");
    }
}
