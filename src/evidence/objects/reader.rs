//! Reading an object like a file: parts are asked for ahead, in order, and never more than a few.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use super::object::{Object, PART, Part};

/// Parts under way at the same time, at most.
const DEPTH: usize = 4;
/// Bytes asked for after a jump; reading on from there asks for more and more.
const AFTER_JUMP: u64 = PART / 4;

/// An object being read.
pub(in crate::evidence) struct Reader {
    object: Arc<Object>,
    at: u64,
    /// What came last, and where it begins.
    current: Vec<u8>,
    base: u64,
    /// Parts under way, one behind the other.
    parts: VecDeque<(Range<u64>, Part)>,
    depth: usize,
    step: u64,
}

impl Reader {
    /// Opens an object. If nobody has opened it before, it and those behind it are asked for now.
    pub(in crate::evidence) fn open(object: &Arc<Object>) -> Self {
        let first = object.first().map(|part| (0..object.size().min(PART), part));
        Self {
            object: object.clone(),
            at: 0,
            current: Vec::new(),
            base: 0,
            parts: first.into_iter().collect(),
            depth: DEPTH,
            step: PART,
        }
    }

    /// Size as listed.
    pub(in crate::evidence) fn size(&self) -> u64 {
        self.object.size()
    }

    fn current(&self) -> &[u8] {
        let from = self.at.checked_sub(self.base).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.current.get(from..)).unwrap_or_default()
    }

    /// Waits for the part in which the position lies, and asks for more behind it.
    fn fetch(&mut self) {
        while self.parts.front().is_some_and(|(range, _)| range.end <= self.at) {
            self.parts.pop_front();
        }
        if self.parts.front().is_none_or(|(range, _)| range.start > self.at) {
            self.parts.clear();
        }
        if self.at != self.base + self.current.len() as u64 {
            (self.depth, self.step) = (1, AFTER_JUMP);
        }
        self.ask(self.depth);
        let Some((range, part)) = self.parts.pop_front() else { return };
        self.current = self.object.take(part, range.start);
        self.base = range.start;
        (self.depth, self.step) = ((self.depth * 2).min(DEPTH), (self.step * 2).min(PART));
        if self.current.len() as u64 == range.end - range.start {
            self.ask(self.depth - 1);
        } else {
            self.parts.clear();
        }
    }

    fn ask(&mut self, depth: usize) {
        while self.parts.len() < depth {
            let behind = if self.current().is_empty() { self.at } else { self.base + self.current.len() as u64 };
            let start = self.parts.back().map_or(behind, |(range, _)| range.end);
            let end = start.saturating_add(self.step).min(self.size());
            if start >= end {
                return;
            }
            self.parts.push_back((start..end, self.object.ask(start..end)));
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.current().is_empty() {
            if let Some(n) = self.object.at_hand(self.at, buf)? {
                self.at += n as u64;
                return Ok(n);
            }
            self.fetch();
            if self.current().is_empty() {
                // Nothing came, and why is known now.
                let known = self.object.at_hand(self.at, buf)?;
                return known.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
            }
        }
        let n = self.current().len().min(buf.len());
        buf[..n].copy_from_slice(&self.current()[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
