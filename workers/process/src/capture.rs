//! Keeps what a program writes, in bounded memory, and always reads to the end.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// One read: the size of a pipe.
const CHUNK: usize = 64 * 1024;

/// The beginning and the end of what was written, when all of it is too much.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    half: usize,
}

impl Captured {
    /// Keeps `limit` bytes, half from the beginning and half from the end.
    pub(crate) fn keeping(limit: u64) -> Self {
        Self { half: usize::try_from(limit / 2).unwrap_or(usize::MAX), ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.half)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// Bytes that were written.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that are not kept.
    pub fn dropped(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// What is kept, as text; what is missing between beginning and end is said, what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        let head = String::from_utf8_lossy(&self.head);
        if self.tail.is_empty() {
            return head;
        }
        let mut text = if self.dropped() == 0 {
            let whole: Vec<u8> = self.head.iter().chain(&self.tail).copied().collect();
            return String::from_utf8_lossy(&whole).into_owned().into();
        } else {
            format!("{head}\n… {} bytes left out …\n", self.dropped())
        };
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        text.push_str(&String::from_utf8_lossy(&tail));
        text.into()
    }
}

/// Reads to the end and hands every piece over.
pub(crate) async fn drain(mut from: impl AsyncRead + Unpin, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk).await? {
            0 => return Ok(()),
            read => take(&chunk[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: u64, pieces: &[&str], text: &str, dropped: u64) {
        let mut kept = Captured::keeping(limit);
        pieces.iter().for_each(|piece| kept.push(piece.as_bytes()));
        assert_eq!((kept.text().as_ref(), kept.dropped()), (text, dropped));
        assert_eq!(kept.total(), pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    }

    // spec: X-2
    #[test]
    fn beginning_and_end_are_kept() {
        check(8, &[], "", 0);
        check(8, &["abc"], "abc", 0);
        check(8, &["abcdefgh"], "abcdefgh", 0);
        check(8, &["ab", "cdef", "gh"], "abcdefgh", 0);
        check(8, &["abcdefghi"], "abcd\n… 1 bytes left out …\nfghi", 1);
        check(8, &["abcdefgh", "ijkl", "m"], "abcd\n… 5 bytes left out …\njklm", 5);
        check(0, &["abc"], "", 3);
        // A character that spans the middle is whole when nothing is missing.
        check(6, &["aaä", "bb"], "aaäbb", 0);
    }
}
