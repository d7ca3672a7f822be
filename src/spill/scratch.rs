//! A temporary file that is written from front to back and read anywhere.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

/// Bytes that lie in a file, which is made for the first of them.
#[derive(Default)]
pub struct Scratch {
    file: Option<Mutex<File>>,
    end: u64,
}

impl Scratch {
    /// Adds bytes.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Mutex::new(tempfile::tempfile()?)),
        };
        let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Reads the bytes from `at`.
    ///
    /// # Errors
    /// There are fewer, or the file cannot be read.
    pub fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let Some(file) = &self.file else {
            return if into.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(into)
    }
}
