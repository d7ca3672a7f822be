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
    end: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::holding(0)
    }
}

impl Scratch {
    /// An empty one that holds so many bytes in memory before it makes a file; more only where it can make none.
    #[must_use]
    pub fn holding(bytes: usize) -> Self {
        Self { file: Mutex::new(tempfile::spooled_tempfile(bytes.max(WITHOUT_FILE))), held: bytes, end: 0 }
    }

    /// How many bytes there are: where the next will lie.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Adds bytes, and says where they begin.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (start, end) = (self.end, self.end + bytes.len() as u64);
        if end > self.held as u64 && !file.is_rolled() {
            // Where it cannot be made, writing more than may be in memory says why.
            let _ = file.roll();
        }
        file.seek(SeekFrom::Start(start))?;
        file.write_all(bytes)?;
        self.end = end;
        Ok(start)
    }

    /// Reads the bytes from `at`.
    ///
    /// # Errors
    /// There are fewer, or the file cannot be read.
    pub fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(into)
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
        let left = usize::try_from(self.of.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = into.len().min(left);
        self.of.read(self.at, &mut into[..length])?;
        self.at += length as u64;
        Ok(length)
    }
}
