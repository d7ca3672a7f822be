//! The rows of an outline in blocks, which are held in memory only where they are few: an archive may have more records than
//! memory has room for. Then they lie in an unnamed temporary file and are read column by column when they are asked for.

use std::io;

use super::columns::{Column, Columns, Form};
use super::outline::NO_TIME;
use super::symbols::Symbol;
use crate::spill::Scratch;

/// Entries of a block.
pub const BLOCK: usize = 32 * 1024;
/// Entries of an archive of which all are held in memory; of a larger one none is.
const HELD: usize = 5 * BLOCK;

/// All blocks, in order, packed.
#[derive(Default)]
pub struct Blocks {
    all: Vec<Block>,
    /// Entries in all of them.
    rows: usize,
    /// What is added to the times of a source, microseconds.
    shifts: Vec<(Symbol, i64)>,
    file: Scratch,
    /// Columns of the block before, and what it was packed into, to be used for the next: fresh memory costs more than what
    /// is put into it.
    spare: Columns,
    bytes: Vec<u8>,
}

struct Block {
    rows: usize,
    form: Box<Form>,
    lies: Lies,
}

enum Lies {
    InMemory(Box<[u8]>),
    /// At this offset of the file.
    OnDisk(u64),
}

impl Blocks {
    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Number of entries in a block.
    #[must_use]
    pub fn rows(&self, block: usize) -> usize {
        self.all[block].rows
    }

    /// Columns without entries, with room for a block and what may still be appended to it.
    pub fn empty(&mut self) -> Columns {
        let mut columns = std::mem::take(&mut self.spare);
        columns.reserve(BLOCK + BLOCK / 4);
        columns
    }

    /// Gives up what would be used for further blocks.
    pub fn end(&mut self) {
        (self.spare, self.bytes) = (Columns::default(), Vec::new());
    }

    /// Adds a block.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn add(&mut self, columns: Columns) -> io::Result<()> {
        let rows = columns.len();
        self.rows += rows;
        self.bytes.clear();
        let form = Box::new(columns.to_bytes(&mut self.bytes));
        self.spare = columns.emptied();
        let lies = if self.rows > HELD {
            self.put_aside()?;
            Lies::OnDisk(self.file.append(&self.bytes)?)
        } else {
            Lies::InMemory(self.bytes.as_slice().into())
        };
        self.all.push(Block { rows, form, lies });
        Ok(())
    }

    /// Moves the blocks that are in memory into the file.
    fn put_aside(&mut self) -> io::Result<()> {
        let Self { all, file, .. } = self;
        for block in all.iter_mut().rev() {
            let Lies::InMemory(bytes) = &block.lies else { break };
            block.lies = Lies::OnDisk(file.append(bytes)?);
        }
        Ok(())
    }

    /// The columns `wanted` of the entries of a block.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn load(&self, block: usize, wanted: &[Column]) -> io::Result<Columns> {
        let Block { rows, form, lies } = &self.all[block];
        let mut bytes = Vec::new();
        let mut columns = Columns::default();
        let shifted = wanted.contains(&Column::Time) && !self.shifts.is_empty();
        for column in wanted.iter().copied().chain(shifted.then_some(Column::Source)) {
            let (start, length) = form.span(column);
            let packed = match lies {
                Lies::InMemory(all) => all.get(start..start + length).unwrap_or_default(),
                Lies::OnDisk(at) => {
                    bytes.resize(length, 0);
                    self.file.read(at + start as u64, &mut bytes)?;
                    &bytes
                }
            };
            columns.fill(column, *rows, form, packed);
        }
        self.shifts.iter().for_each(|shift| apply(&mut columns, *shift));
        Ok(columns)
    }

    /// Adds `by` microseconds to all times of a source.
    pub fn shift(&mut self, source: Symbol, by: i64) {
        self.shifts.push((source, by));
    }
}

fn apply(columns: &mut Columns, (source, by): (Symbol, i64)) {
    let times = std::mem::take(&mut columns.time);
    let shifted = times.into_iter().zip(columns.names(Column::Source));
    let shifted = shifted.map(|(time, of)| if *of == source && time != NO_TIME { time + by } else { time });
    columns.time = shifted.collect();
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Blocks, HELD};
    use crate::correlate::columns::{Column, Columns, Entry, NAMES};
    use crate::correlate::outline::{Id, NO_TIME};
    use crate::evidence::Locator;

    /// The entry of a number: some words zero, some large, some alike.
    fn entry(n: u64) -> Entry {
        let small = u32::try_from(n % 300).expect("small");
        let time = if n.is_multiple_of(7) { NO_TIME } else { 1_700_000_000_000_000 + (n * 1_001).cast_signed() };
        let at = Locator { file: small, record: n, offset: n * 640, length: 500 + n % 90 };
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut ids = [0; Id::ALL.len()];
        (ids[Id::Job as usize], ids[Id::Request as usize]) = (n / 100 + 1, if n.is_multiple_of(3) { hash } else { 0 });
        Entry { time, names: [small % 3; NAMES.len()], ids, uid: hash, fingerprint: !hash, at }
    }

    #[test]
    fn columns_are_the_same_from_memory_and_from_the_file() {
        for blocks in [1, HELD / BLOCK + 2] {
            let mut all = Blocks::default();
            for number in 0..blocks {
                let mut columns = if number == 0 { Columns::default() } else { all.empty() };
                (0..BLOCK).for_each(|n| columns.push(&entry((number * BLOCK + n) as u64)));
                all.add(columns).expect("a temporary file");
            }
            all.end();
            all.shift(1, 5);
            for (number, n) in (0..blocks).flat_map(|number| [0, 1, 7, 301, BLOCK - 1].map(|n| (number, n))) {
                let expected = entry((number * BLOCK + n) as u64);
                let load = |wanted: &[Column]| all.load(number, wanted).expect("a temporary file");
                let shifted = |time| if time != NO_TIME && expected.names[0] == 1 { time + 5 } else { time };
                assert_eq!(load(&[Column::Time]).time[n], shifted(expected.time));
                assert_eq!(load(&[Column::File]).file(n), expected.at.file);
                let some = load(&[Column::At, Column::Media, Column::Id(Id::Request), Column::Fingerprint]);
                assert_eq!((some.at[n], some.file(n)), (expected.at, expected.at.file));
                assert_eq!(
                    (some.names(Column::Media)[n], some.fingerprint[n]),
                    (expected.names[0], expected.fingerprint)
                );
                assert_eq!(some.id(Id::Request)[n], expected.ids[Id::Request as usize]);
                assert_eq!(load(&[Column::Uid, Column::Id(Id::Job)]).uid[n], expected.uid);
            }
        }
    }
}
