//! Entries that are gone through from first to last, of which only the latest are in memory.

use super::{Scratch, reading, writing};
use crate::error::Result;

/// Entries that are in memory before a file is needed.
const HELD: usize = 4 * BLOCK;
/// Entries that are written and read at a time.
const BLOCK: usize = 4 * 1024;

/// Entries of `N` words; what does not fit lies in an unnamed temporary file, for this process only.
pub struct Spilled<const N: usize> {
    open: Vec<[u64; N]>,
    file: Scratch,
    /// How many lie in the file.
    written: usize,
}

impl<const N: usize> Default for Spilled<N> {
    fn default() -> Self {
        Self { open: Vec::new(), file: Scratch::default(), written: 0 }
    }
}

impl<const N: usize> Spilled<N> {
    /// Adds an entry.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, entry: [u64; N]) -> Result<()> {
        let full = if self.written == 0 { HELD } else { BLOCK };
        if self.open.len() == full {
            self.file.append(bytemuck::cast_slice(self.open.as_flattened())).map_err(writing)?;
            self.written += self.open.len();
            self.open = Vec::with_capacity(BLOCK);
        }
        self.open.push(entry);
        Ok(())
    }

    /// Goes through them in the order in which they were added.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn each(&self, mut see: impl FnMut([u64; N]) -> Result<()>) -> Result<()> {
        let mut entries = Vec::new();
        for number in 0..self.written / BLOCK {
            entries.resize(BLOCK, [0; N]);
            let at = (number * BLOCK * N * 8) as u64;
            self.file.read(at, bytemuck::cast_slice_mut(entries.as_flattened_mut())).map_err(reading)?;
            entries.iter().copied().try_for_each(&mut see)?;
        }
        self.open.iter().copied().try_for_each(see)
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
                let note = |entry| {
                    found.push(entry);
                    Ok(())
                };
                spilled.each(note).expect("a temporary file");
                assert!(found.iter().zip(0..).all(|(entry, n)| *entry == [n, !n]));
                assert_eq!(found.len(), count);
            }
        }
    }
}
