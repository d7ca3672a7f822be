//! The rows of an outline in blocks, which are held in memory only where they are few: an archive may have more records than
//! memory has room for. Then they lie in an unnamed temporary file and are read column by column when they are asked for.

use std::io;

use super::columns::{Column, Columns, Form};
use super::outline::NO_TIME;
use super::symbols::Symbol;
use crate::spill::Scratch;

/// Entries of a block.
pub const BLOCK: usize = 32 * 1024;
/// Entries of an archive of which all are held in memory, some 25 MB of them; of a larger one none is.
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
    /// Columns of the block before, to be used for the next, and bytes for one that goes into the file: fresh memory costs
    /// more than what is put into it.
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
            match lies {
                Lies::InMemory(all) => columns.fill(column, *rows, form, all.get(start..).unwrap_or_default()),
                Lies::OnDisk(at) => {
                    bytes.resize(length, 0);
                    self.file.read(at + start as u64, &mut bytes)?;
                    columns.fill(column, *rows, form, &bytes);
                }
            }
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
