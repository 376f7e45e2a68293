//! The last lines that a process wrote, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

/// A longer line is cut into several: no program fills the memory by not ending one.
const MAX_LINE: usize = 4096;

/// A ring of lines; also where a process says that it is ready.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<Arc<str>>,
    keep: usize,
    awaited: Option<String>,
    seen: bool,
}

impl Log {
    pub(super) fn new(keep: usize, awaited: Option<String>) -> Self {
        Self { lines: VecDeque::new(), keep, awaited, seen: false }
    }

    pub(super) fn push(&mut self, line: Arc<str>) {
        self.seen |= self.awaited.as_ref().is_some_and(|text| line.contains(text.as_str()));
        if self.keep == 0 {
            return;
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The awaited text was in some line.
    pub(super) fn is_ready(&self) -> bool {
        self.seen
    }

    pub(super) fn lines(&self) -> Vec<Arc<str>> {
        self.lines.iter().cloned().collect()
    }
}

/// Cuts what comes in pieces into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    part: Vec<u8>,
}

impl Lines {
    /// Hands over each line that ends here.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let room = MAX_LINE - self.part.len();
            let reach = &bytes[..bytes.len().min(room)];
            let (used, ended) = match reach.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at, true),
                None => (reach.len(), reach.len() == room),
            };
            self.part.extend_from_slice(&bytes[..used]);
            let newline = bytes.get(used) == Some(&b'\n');
            bytes = &bytes[used + usize::from(ended && newline)..];
            if ended {
                self.end(&mut line);
            }
        }
    }

    /// Hands over what has no end.
    pub(super) fn rest(&mut self, mut line: impl FnMut(&str)) {
        if !self.part.is_empty() {
            self.end(&mut line);
        }
    }

    fn end(&mut self, line: &mut impl FnMut(&str)) {
        line(String::from_utf8_lossy(&self.part).trim_end_matches('\r'));
        self.part.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &[&str]) {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        pieces.iter().for_each(|piece| lines.take(piece.as_bytes(), |line| got.push(line.to_owned())));
        lines.rest(|line| got.push(line.to_owned()));
        assert_eq!(got, expected);
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        check(&["a\nb\n"], &["a", "b"]);
        check(&["a", "b\n\nc"], &["ab", "", "c"]);
        check(&["a\r\nb"], &["a", "b"]);
        check(&[], &[]);
        let long = "x".repeat(MAX_LINE);
        check(&[&format!("{long}\nb")], &[&long, "b"]);
        check(&[&format!("{long}yy\n")], &[&long, "yy"]);
        check(&[&long, "\nb"], &[&long, "", "b"]);
    }

    #[test]
    fn the_last_lines_are_kept_and_the_awaited_one_is_remembered() {
        let mut log = Log::new(2, Some("listening".into()));
        for line in ["now listening on 80", "b", "c"] {
            log.push(line.into());
        }
        assert_eq!(log.lines(), ["b".into(), "c".into()]);
        assert!(log.is_ready());
        let mut none = Log::new(0, Some("x".into()));
        none.push("y".into());
        assert!(none.lines().is_empty() && !none.is_ready());
    }
}
