//! Temporary disk: one file without a name for all that is unpacked, gone with the process however that ends.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The disk is given out in pieces of this many bytes; what of a piece is not written takes up no disk.
const PIECE: usize = 128 * 1024;

/// The file.
#[derive(Default)]
pub struct Store {
    file: OnceLock<File>,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    end: u64,
    /// Pieces that were given back.
    free: Vec<u64>,
}

impl Store {
    fn file(&self) -> io::Result<&File> {
        if self.file.get().is_none() {
            // Another thread may have been faster; its file is the one that stays.
            let _ = self.file.set(tempfile::tempfile()?);
        }
        self.file.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn piece(&self) -> u64 {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.free.pop().unwrap_or_else(|| {
            let at = room.end;
            room.end += PIECE as u64;
            at
        })
    }

    fn give_back(&self, pieces: &mut Vec<u64>) {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).free.append(pieces);
    }
}

/// Bytes in the file, from the first to the last.
pub struct Tape {
    store: Arc<Store>,
    pieces: Vec<u64>,
    len: u64,
}

impl Tape {
    pub fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store), pieces: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Writes at the end.
    ///
    /// # Errors
    /// There is no room on the disk.
    pub fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (piece, within) = place(self.len);
            if piece == self.pieces.len() {
                self.pieces.push(self.store.piece());
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - within));
            write_at(self.store.file()?, now, self.pieces[piece] + within as u64)?;
            self.len += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Reads at `at`; 0 bytes only at the end.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let (piece, within) = place(at);
        let wanted = buf.len().min(rest).min(PIECE - within);
        if wanted == 0 {
            return Ok(0);
        }
        read_at(self.store.file()?, &mut buf[..wanted], self.pieces[piece] + within as u64)
    }
}

/// The number of the piece in which `at` lies, and where in it.
fn place(at: u64) -> (usize, usize) {
    let piece = PIECE as u64;
    (usize::try_from(at / piece).unwrap_or(usize::MAX), usize::try_from(at % piece).unwrap_or(0))
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.store.give_back(&mut self.pieces);
    }
}

/// Reads at a place of a file that others read, too.
#[cfg(unix)]
pub fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
pub fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        (bytes, at) = (&bytes[written..], at + written as u64);
    }
    Ok(())
}
