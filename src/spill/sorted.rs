//! Entries in ascending order, sorted outside of memory where there are many, and found by how they begin.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::{Scratch, reading, writing};
use crate::error::Result;

/// Bytes of entries that are sorted in memory.
const HELD: usize = 4 << 20;
/// Entries that are read at a time, of which only the first is always in memory.
const BLOCK: usize = 256;
/// Bytes that are written at a time.
const WRITTEN: usize = 256 * 1024;

/// Entries of `N` words that are being gathered, in any order.
pub struct Sorter<const N: usize> {
    open: Vec<[u64; N]>,
    /// How many are sorted in memory.
    held: usize,
    /// Where the sorted runs lie, in entries.
    runs: Vec<Range<u64>>,
    file: Scratch,
}

impl<const N: usize> Default for Sorter<N> {
    fn default() -> Self {
        Self::holding(HELD / (8 * N))
    }
}

impl<const N: usize> Sorter<N> {
    fn holding(held: usize) -> Self {
        Self { open: Vec::new(), held, runs: Vec::new(), file: Scratch::default() }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, entry: [u64; N]) -> Result<()> {
        if self.open.len() == self.held {
            self.open.sort_unstable();
            let start = self.runs.last().map_or(0, |run| run.end);
            self.file.append(bytemuck::cast_slice(self.open.as_flattened())).map_err(writing)?;
            self.runs.push(start..start + self.open.len() as u64);
            self.open.clear();
        }
        self.open.push(entry);
        Ok(())
    }

    /// All of them in order.
    ///
    /// # Errors
    /// The temporary file cannot be read, or another not be written.
    pub fn finish(mut self) -> Result<Sorted<N>> {
        self.open.sort_unstable();
        if self.runs.is_empty() {
            self.open.shrink_to_fit();
            return Ok(Sorted { len: self.open.len(), firsts: Vec::new(), lie: Lie::InMemory(self.open) });
        }
        let mut runs: Vec<Run<N>> = self.runs.iter().map(|run| Run::new(run.clone())).collect();
        let mut last = self.open.into_iter();
        let mut heads = BinaryHeap::new();
        for (n, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next(&self.file)?.map(|entry| Reverse((entry, n))));
        }
        let in_memory = runs.len();
        heads.extend(last.next().map(|entry| Reverse((entry, in_memory))));
        let mut merged = Ascending { held: 0, ..Ascending::default() };
        while let Some(Reverse((entry, n))) = heads.pop() {
            merged.push(entry)?;
            let next = if n == in_memory { last.next() } else { runs[n].next(&self.file)? };
            heads.extend(next.map(|entry| Reverse((entry, n))));
        }
        merged.finish()
    }
}

/// A sorted run in the file, gone through once.
struct Run<const N: usize> {
    rest: Range<u64>,
    block: std::vec::IntoIter<[u64; N]>,
}

impl<const N: usize> Run<N> {
    fn new(rest: Range<u64>) -> Self {
        Self { rest, block: Vec::new().into_iter() }
    }

    fn next(&mut self, file: &Scratch) -> Result<Option<[u64; N]>> {
        if self.block.as_slice().is_empty() && !self.rest.is_empty() {
            let end = self.rest.end.min(self.rest.start + BLOCK as u64);
            self.block = entries(file, self.rest.start..end)?.into_iter();
            self.rest.start = end;
        }
        Ok(self.block.next())
    }
}

/// Entries that are gathered in ascending order.
pub struct Ascending<const N: usize> {
    firsts: Vec<[u64; N]>,
    /// What is not yet in the file.
    open: Vec<[u64; N]>,
    len: usize,
    /// Bytes that need no file.
    held: usize,
    file: Scratch,
}

impl<const N: usize> Default for Ascending<N> {
    fn default() -> Self {
        Self { firsts: Vec::new(), open: Vec::new(), len: 0, held: HELD, file: Scratch::default() }
    }
}

impl<const N: usize> Ascending<N> {
    /// Adds an entry that is before none of those that are there.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, entry: [u64; N]) -> Result<()> {
        if self.len.is_multiple_of(BLOCK) {
            self.firsts.push(entry);
            let most = if self.file.end() == 0 { self.held.max(WRITTEN) } else { WRITTEN };
            if self.open.len() * N * 8 >= most {
                self.file.append(bytemuck::cast_slice(self.open.as_flattened())).map_err(writing)?;
                self.open = Vec::new();
            }
        }
        self.open.push(entry);
        self.len += 1;
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn finish(mut self) -> Result<Sorted<N>> {
        if self.file.end() == 0 && self.open.len() * N * 8 <= self.held {
            self.open.shrink_to_fit();
            return Ok(Sorted { len: self.len, firsts: Vec::new(), lie: Lie::InMemory(self.open) });
        }
        self.file.append(bytemuck::cast_slice(self.open.as_flattened())).map_err(writing)?;
        Ok(Sorted { len: self.len, firsts: self.firsts, lie: Lie::OnDisk(self.file) })
    }
}

fn entries<const N: usize>(file: &Scratch, numbers: Range<u64>) -> Result<Vec<[u64; N]>> {
    let mut found = Vec::new();
    found.resize(usize::try_from(numbers.end - numbers.start).unwrap_or(0), [0; N]);
    let at = numbers.start * (N * 8) as u64;
    file.read(at, bytemuck::cast_slice_mut(found.as_flattened_mut())).map_err(reading)?;
    Ok(found)
}

/// Entries of `N` words in ascending order.
pub struct Sorted<const N: usize> {
    len: usize,
    /// The first entry of each block in the file.
    firsts: Vec<[u64; N]>,
    lie: Lie<N>,
}

enum Lie<const N: usize> {
    InMemory(Vec<[u64; N]>),
    OnDisk(Scratch),
}

impl<const N: usize> Default for Sorted<N> {
    fn default() -> Self {
        Self { len: 0, firsts: Vec::new(), lie: Lie::InMemory(Vec::new()) }
    }
}

impl<const N: usize> Sorted<N> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many lie before `entry`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn before(&self, entry: [u64; N]) -> Result<usize> {
        self.cursor().before(entry)
    }

    /// Shows those that are not before `entry` to `see` in order, as long as it returns true.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn from(&self, entry: [u64; N], see: impl FnMut([u64; N]) -> Result<bool>) -> Result<()> {
        self.cursor().from(entry, see)
    }

    /// Shows those that begin with `prefix` to `see` in order.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn beginning<const P: usize>(&self, prefix: [u64; P], see: impl FnMut([u64; N]) -> Result<()>) -> Result<()> {
        self.cursor().beginning(prefix, see)
    }

    /// Shows all of them to `see` in order.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn each(&self, mut see: impl FnMut([u64; N]) -> Result<()>) -> Result<()> {
        self.cursor().behind(0, |entry| see(entry).map(|()| true))
    }

    /// For looking up one after the other.
    #[must_use]
    pub const fn cursor(&self) -> Cursor<'_, N> {
        Cursor { of: self, start: 0, block: Vec::new() }
    }
}

/// Looks up one after the other, without reading again what was read last: best asked in order.
pub struct Cursor<'a, const N: usize> {
    of: &'a Sorted<N>,
    /// Where the block that is held begins.
    start: usize,
    block: Vec<[u64; N]>,
}

impl<const N: usize> Cursor<'_, N> {
    /// How many lie before `entry`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn before(&mut self, entry: [u64; N]) -> Result<usize> {
        if let Lie::InMemory(all) = &self.of.lie {
            return Ok(all.partition_point(|own| *own < entry));
        }
        // The block before the first that begins at or behind the entry is the only one that may hold both.
        let Some(number) = self.of.firsts.partition_point(|first| *first < entry).checked_sub(1) else {
            return Ok(0);
        };
        let start = number * BLOCK;
        Ok(start + self.block(start)?.partition_point(|own| *own < entry))
    }

    /// The last one before `entry`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn last_before(&mut self, entry: [u64; N]) -> Result<Option<[u64; N]>> {
        let Some(place) = self.before(entry)?.checked_sub(1) else { return Ok(None) };
        let start = place - place % BLOCK;
        Ok(self.block(start)?.get(place - start).copied())
    }

    /// Shows those that are not before `entry` to `see` in order, as long as it returns true.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn from(&mut self, entry: [u64; N], see: impl FnMut([u64; N]) -> Result<bool>) -> Result<()> {
        let place = self.before(entry)?;
        self.behind(place, see)
    }

    /// Shows those that begin with `prefix` to `see` in order.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn beginning<const P: usize>(
        &mut self,
        prefix: [u64; P],
        mut see: impl FnMut([u64; N]) -> Result<()>,
    ) -> Result<()> {
        let mut first = [0; N];
        first[..P].copy_from_slice(&prefix);
        self.from(first, |entry| {
            let begins = entry[..P] == prefix;
            if begins {
                see(entry)?;
            }
            Ok(begins)
        })
    }

    fn behind(&mut self, place: usize, mut see: impl FnMut([u64; N]) -> Result<bool>) -> Result<()> {
        let (mut start, mut skipped) = (place - place % BLOCK, place % BLOCK);
        while start < self.of.len {
            for entry in &self.block(start)?[skipped..] {
                if !see(*entry)? {
                    return Ok(());
                }
            }
            (start, skipped) = (start + BLOCK, 0);
        }
        Ok(())
    }

    /// The entries of the block that begins at `start`.
    fn block(&mut self, start: usize) -> Result<&[[u64; N]]> {
        let end = self.of.len.min(start + BLOCK);
        let file = match &self.of.lie {
            Lie::InMemory(all) => return Ok(&all[start..end]),
            Lie::OnDisk(file) => file,
        };
        if self.block.is_empty() || self.start != start {
            self.block = entries(file, start as u64..end as u64)?;
            self.start = start;
        }
        Ok(&self.block)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ascending, BLOCK, Sorter};

    proptest! {
        #[test]
        fn whatever_is_held_in_memory_entries_are_found_as_in_a_sorted_list(
            held in prop_oneof![1..40usize, Just(BLOCK), Just(5 * BLOCK), Just(100_000)],
            some in prop::collection::vec((0..50u64, 0..3u64), 0..2_000),
            asked in prop::collection::vec((0..51u64, 0..4u64), 1..20),
        ) {
            let mut sorter = Sorter::<2>::holding(held);
            let mut all: Vec<[u64; 2]> = some.into_iter().map(|(a, b)| [a, b]).collect();
            for entry in &all {
                sorter.push(*entry).expect("a temporary file");
            }
            let sorted = sorter.finish().expect("a temporary file");
            all.sort_unstable();
            prop_assert_eq!(sorted.len(), all.len());
            let mut ascending = Ascending { held: held * 16, ..Ascending::default() };
            for entry in &all {
                ascending.push(*entry).expect("a temporary file");
            }
            let also = ascending.finish().expect("a temporary file");
            let (mut cursor, mut same) = (sorted.cursor(), also.cursor());
            let mut seen = Vec::new();
            sorted
                .each(|entry| {
                    seen.push(entry);
                    Ok(())
                })
                .expect("a temporary file");
            prop_assert_eq!(&seen, &all);
            for (a, b) in asked {
                let place = all.partition_point(|entry| *entry < [a, b]);
                prop_assert_eq!(sorted.before([a, b]).expect("a temporary file"), place);
                prop_assert_eq!(same.before([a, b]).expect("a temporary file"), place);
                let last = cursor.last_before([a, b]).expect("a temporary file");
                prop_assert_eq!(last, place.checked_sub(1).map(|last| all[last]));
                prop_assert_eq!(same.last_before([a, b]).expect("a temporary file"), last);
                let mut found = Vec::new();
                sorted
                    .from([a, b], |entry| {
                        found.push(entry);
                        Ok(entry[0] == a)
                    })
                    .expect("a temporary file");
                let of_a = all[place..].iter().take_while(|entry| entry[0] == a).count();
                prop_assert_eq!(&found[..], &all[place..all.len().min(place + of_a + 1)]);
                let mut beginning = Vec::new();
                let note = |entry| {
                    beginning.push(entry);
                    Ok(())
                };
                sorted.beginning([a], note).expect("a temporary file");
                let with_a: Vec<[u64; 2]> = all.iter().copied().filter(|entry| entry[0] == a).collect();
                prop_assert_eq!(beginning, with_a);
            }
        }
    }
}
