//! A temporary file that is written from front to back and read anywhere.

use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use tempfile::SpooledTempFile;

/// Bytes that are held in memory where no file can be made, as in a container without any folder that may be written.
const WITHOUT_FILE: usize = 64 << 20;

/// Bytes of which the first may be held in memory; the others lie in an unnamed file, which is made when there are more.
pub struct Scratch {
    file: Mutex<SpooledTempFile>,
    /// How many need no file.
    held: usize,
    /// How many are in the file.
    written: u64,
    /// Those behind them: many are added few at a time.
    tail: Vec<u8>,
}

/// Bytes that are gathered before they are written.
const TAIL: usize = 64 << 10;

impl Default for Scratch {
    fn default() -> Self {
        Self::holding(0)
    }
}

impl Scratch {
    /// An empty one that holds so many bytes in memory before it makes a file; more only where it can make none.
    #[must_use]
    pub fn holding(bytes: usize) -> Self {
        Self {
            file: Mutex::new(tempfile::spooled_tempfile(bytes.max(WITHOUT_FILE))),
            held: bytes,
            written: 0,
            tail: Vec::new(),
        }
    }

    /// How many bytes there are: where the next will lie.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    /// Adds bytes, and says where they begin.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let start = self.end();
        if self.tail.len() + bytes.len() < TAIL {
            self.tail.extend_from_slice(bytes);
            return Ok(start);
        }
        let tail = std::mem::take(&mut self.tail);
        self.write(&tail)?;
        self.write(bytes)?;
        self.tail = tail;
        self.tail.clear();
        Ok(start)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let end = self.written + bytes.len() as u64;
        if end > self.held as u64 && !file.is_rolled() {
            // Where it cannot be made, writing more than may be in memory says why.
            let _ = file.roll();
        }
        file.seek(SeekFrom::Start(self.written))?;
        file.write_all(bytes)?;
        self.written = end;
        Ok(())
    }

    /// Reads the bytes from `at`.
    ///
    /// # Errors
    /// There are fewer, or the file cannot be read.
    pub fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let in_file = usize::try_from(self.written.saturating_sub(at)).unwrap_or(usize::MAX).min(into.len());
        let (written, behind) = into.split_at_mut(in_file);
        if !written.is_empty() {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(written)?;
        }
        if !behind.is_empty() {
            let start = usize::try_from(at.saturating_sub(self.written)).unwrap_or(usize::MAX);
            let held = self.tail.get(start..).and_then(|held| held.get(..behind.len()));
            behind.copy_from_slice(held.ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        Ok(())
    }

    /// The bytes from `at` on, one after the other.
    #[must_use]
    pub const fn reader(&self, at: u64) -> Reader<'_> {
        Reader { of: self, at }
    }
}

/// Reads on from a place.
pub struct Reader<'a> {
    of: &'a Scratch,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.of.end().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = into.len().min(left);
        self.of.read(self.at, &mut into[..length])?;
        self.at += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::{Scratch, TAIL};

    proptest! {
        #[test]
        fn bytes_are_read_as_they_were_added_wherever_they_lie(
            held in prop_oneof![Just(0), Just(TAIL), Just(5 * TAIL)],
            lengths in prop::collection::vec(prop_oneof![8 => 0..300usize, 1 => TAIL - 2..TAIL + 2, 1 => 0..3 * TAIL], 0..30),
            (from, many) in (0..4 * TAIL, 0..2 * TAIL),
        ) {
            let mut scratch = Scratch::holding(held);
            let mut all: Vec<u8> = Vec::new();
            for (n, length) in (0u8..).zip(lengths) {
                prop_assert_eq!(scratch.append(&vec![n; length]).expect("room"), all.len() as u64);
                all.resize(all.len() + length, n);
            }
            prop_assert_eq!(scratch.end(), all.len() as u64);
            let mut found = vec![0xff; many];
            match all.get(from..from + many) {
                Some(expected) => {
                    scratch.read(from as u64, &mut found).expect("they are there");
                    prop_assert_eq!(&found[..], expected);
                }
                None => prop_assert!(scratch.read(from as u64, &mut found).is_err()),
            }
            let mut rest = Vec::new();
            scratch.reader(from.min(all.len()) as u64).read_to_end(&mut rest).expect("they are there");
            prop_assert_eq!(&rest[..], &all[from.min(all.len())..]);
        }
    }
}
