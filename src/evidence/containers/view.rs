//! Ranges of bytes that can be read anywhere: of a file, or of what was unpacked.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::tape::{Tape, read_at};

/// Where the bytes lie.
#[derive(Clone)]
pub enum Holder {
    File(Arc<Path>),
    Tape(Arc<Tape>),
}

/// A range of them.
#[derive(Clone)]
pub struct View {
    pub holder: Holder,
    pub start: u64,
    pub len: u64,
}

impl View {
    /// A file as a whole.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Ok(Self { holder: Holder::File(path.into()), start: 0, len: path.metadata()?.len() })
    }

    /// All that was unpacked.
    pub fn of_tape(tape: Tape) -> Self {
        let len = tape.len();
        Self { holder: Holder::Tape(Arc::new(tape)), start: 0, len }
    }

    /// A range within it, as much of it as there is.
    pub fn part(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        Self { holder: self.holder.clone(), start: self.start + start, len: len.min(self.len - start) }
    }

    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(&self) -> io::Result<Window> {
        let handle = match &self.holder {
            Holder::File(path) => Handle::File(File::open(path)?),
            Holder::Tape(tape) => Handle::Tape(Arc::clone(tape)),
        };
        Ok(Window { handle, start: self.start, len: self.len, at: 0 })
    }
}

enum Handle {
    File(File),
    Tape(Arc<Tape>),
}

/// A view being read.
pub struct Window {
    handle: Handle,
    start: u64,
    len: u64,
    at: u64,
}

impl Window {
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Reads as many bytes as there are from `at` on, at most `buf`.
    ///
    /// # Errors
    /// The bytes cannot be read.
    pub fn fill(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match rawzip::ReaderAt::read_at(self, &mut buf[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

impl rawzip::ReaderAt for Window {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(rest);
        if wanted == 0 {
            return Ok(0);
        }
        match &self.handle {
            Handle::File(file) => read_at(file, &mut buf[..wanted], self.start + at),
            Handle::Tape(tape) => tape.read_at(&mut buf[..wanted], self.start + at),
        }
    }
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = rawzip::ReaderAt::read_at(self, buf, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
