//! Entries that are gone through from first to last, of which only the latest are in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Entries that are in memory before a file is needed: as many as the first blocks of an outline have rows, more or less.
const HELD: usize = 4 * BLOCK;
/// Entries that are written and read at a time.
const BLOCK: usize = 32 * 1024;

/// Entries of `N` words; what does not fit lies in an unnamed temporary file, for this process only.
pub struct Spilled<const N: usize> {
    open: Vec<[u64; N]>,
    file: Option<Mutex<File>>,
    /// How many lie in the file.
    written: usize,
}

impl<const N: usize> Default for Spilled<N> {
    fn default() -> Self {
        Self { open: Vec::new(), file: None, written: 0 }
    }
}

impl<const N: usize> Spilled<N> {
    /// Adds an entry.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, entry: [u64; N]) -> io::Result<()> {
        let full = if self.file.is_none() { HELD } else { BLOCK };
        if self.open.len() == full {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(Mutex::new(tempfile::tempfile()?)),
            };
            file.get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(bytemuck::cast_slice(self.open.as_flattened()))?;
            self.written += self.open.len();
            self.open = Vec::with_capacity(BLOCK);
        }
        self.open.push(entry);
        Ok(())
    }

    /// Goes through them in the order in which they were added.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn each(&self, mut see: impl FnMut([u64; N])) -> io::Result<()> {
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(0))?;
            let mut entries = Vec::new();
            entries.resize(BLOCK, [0; N]);
            for _ in 0..self.written / BLOCK {
                file.read_exact(bytemuck::cast_slice_mut(entries.as_flattened_mut()))?;
                entries.iter().copied().for_each(&mut see);
            }
            file.seek(SeekFrom::End(0))?;
        }
        self.open.iter().copied().for_each(see);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, HELD, Spilled};

    #[test]
    fn entries_come_back_in_order_from_file_and_memory() {
        for count in [0, 1, HELD, HELD + 1, HELD + BLOCK, 3 * HELD + 7] {
            let mut spilled = Spilled::<2>::default();
            (0..count as u64).for_each(|n| spilled.push([n, !n]).expect("a temporary file"));
            for _ in 0..2 {
                let mut found = Vec::new();
                spilled.each(|entry| found.push(entry)).expect("a temporary file");
                assert!(found.iter().zip(0..).all(|(entry, n)| *entry == [n, !n]));
                assert_eq!(found.len(), count);
            }
        }
    }
}
