//! The rows of an outline in blocks, which are held in memory only where they are few: an archive may have more records than
//! memory has room for. Then they lie in an unnamed temporary file and are read column by column when they are asked for.

use std::io;
use std::sync::Arc;

use super::columns::{Column, Columns, Form};
use super::outline::NO_TIME;
use super::symbols::Symbol;
use crate::spill::Scratch;

/// Entries of a block.
pub const BLOCK: usize = 32 * 1024;
/// Entries of an archive of which all are held in memory, some 25 MB of them; of a larger one none is.
const HELD: usize = 5 * BLOCK;

/// All blocks, in order.
#[derive(Default)]
pub struct Blocks {
    all: Vec<Block>,
    /// Entries in all of them.
    rows: usize,
    /// What is added to the times of a source, microseconds.
    shifts: Vec<(Symbol, i64)>,
    file: Scratch,
    /// Columns and bytes of a block that lies in the file, to be used for the next: fresh memory costs more than what is put
    /// into it.
    spare: Columns,
    bytes: Vec<u8>,
}

struct Block {
    rows: usize,
    columns: Lies,
}

enum Lies {
    InMemory(Arc<Columns>),
    /// At this offset of the file.
    OnDisk(u64, Box<Form>),
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
        self.all.push(Block { rows, columns: Lies::InMemory(Arc::new(columns)) });
        if self.rows > HELD {
            self.put_aside()?;
        }
        Ok(())
    }

    /// Moves the blocks that are in memory into the file.
    fn put_aside(&mut self) -> io::Result<()> {
        let Self { all, file, spare, bytes, .. } = self;
        for block in all.iter_mut().rev() {
            let Lies::InMemory(columns) = &block.columns else { break };
            bytes.clear();
            let form = columns.to_bytes(bytes);
            let aside = Lies::OnDisk(file.append(bytes)?, Box::new(form));
            if let Lies::InMemory(columns) = std::mem::replace(&mut block.columns, aside) {
                *spare = Arc::into_inner(columns).map(Columns::emptied).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// The entries of a block with at least the columns `wanted`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn load(&self, block: usize, wanted: &[Column]) -> io::Result<Arc<Columns>> {
        let (at, form) = match &self.all[block].columns {
            Lies::InMemory(columns) => return Ok(Arc::clone(columns)),
            Lies::OnDisk(at, form) => (*at, form),
        };
        let mut bytes = Vec::new();
        let mut columns = Columns::default();
        let shifted = wanted.contains(&Column::Time) && !self.shifts.is_empty();
        for column in wanted.iter().copied().chain(shifted.then_some(Column::Source)) {
            let (start, length) = form.span(column);
            bytes.resize(length, 0);
            self.file.read(at + start, &mut bytes)?;
            columns.fill(column, self.all[block].rows, form, &bytes);
        }
        self.shifts.iter().for_each(|shift| apply(&mut columns, *shift));
        Ok(Arc::new(columns))
    }

    /// Adds `by` microseconds to all times of a source.
    pub fn shift(&mut self, source: Symbol, by: i64) {
        for block in &mut self.all {
            if let Lies::InMemory(columns) = &mut block.columns
                && let Some(columns) = Arc::get_mut(columns)
            {
                apply(columns, (source, by));
            }
        }
        self.shifts.push((source, by));
    }
}

fn apply(columns: &mut Columns, (source, by): (Symbol, i64)) {
    let times = std::mem::take(&mut columns.time);
    let shifted = times.into_iter().zip(columns.names(Column::Source));
    let shifted = shifted.map(|(time, of)| if *of == source && time != NO_TIME { time + by } else { time });
    columns.time = shifted.collect();
}
