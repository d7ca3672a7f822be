//! The columns of an outline, in memory and as they lie on disk.

use std::io::{self, Read};

use super::outline::{Id, IdHash, NO_TIME};
use super::symbols::Symbol;
use crate::evidence::Locator;

/// A column of an outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Time,
    Source,
    Phase,
    Step,
    Principal,
    Bucket,
    Region,
    Media,
    /// What its record says that the caller holds, for records of a job.
    Scopes,
    Id(Id),
    Uid,
    Fingerprint,
    At,
}

/// Names that recur, by their numbers.
pub const NAMES: [Column; 8] = [
    Column::Source,
    Column::Phase,
    Column::Step,
    Column::Principal,
    Column::Bucket,
    Column::Region,
    Column::Media,
    Column::Scopes,
];

/// One entry an event, column by column; a column that was not asked for is empty.
#[derive(Default)]
pub struct Columns {
    /// Microseconds since 1970, UTC; [`NO_TIME`](super::outline::NO_TIME) where it is unknown.
    pub time: Vec<i64>,
    names: [Vec<Symbol>; NAMES.len()],
    ids: [Vec<IdHash>; Id::ALL.len()],
    /// Hash of the source's own id of the record.
    pub uid: Vec<IdHash>,
    pub fingerprint: Vec<u64>,
    pub at: Vec<Locator>,
}

/// An entry that is being added: what is not named is unknown.
pub struct Entry {
    pub time: i64,
    /// In the order of [`NAMES`].
    pub names: [Symbol; NAMES.len()],
    pub ids: [IdHash; Id::ALL.len()],
    pub uid: IdHash,
    pub fingerprint: u64,
    pub at: Locator,
}

impl Columns {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// The numbers in a column of [`NAMES`]; of another there are none.
    #[must_use]
    pub fn names(&self, column: Column) -> &[Symbol] {
        NAMES.iter().position(|known| *known == column).map_or(&[], |n| &self.names[n])
    }

    /// The hashes in an id column.
    #[must_use]
    pub fn id(&self, id: Id) -> &[IdHash] {
        &self.ids[id as usize]
    }

    /// The names of the last entry.
    #[must_use]
    pub fn last_names(&self) -> [Symbol; NAMES.len()] {
        std::array::from_fn(|n| self.names[n].last().copied().unwrap_or(0))
    }

    /// Makes room.
    pub fn reserve(&mut self, rows: usize) {
        self.time.reserve_exact(rows);
        self.names.iter_mut().for_each(|column| column.reserve_exact(rows));
        let hashes = self.ids.iter_mut().chain([&mut self.uid, &mut self.fingerprint]);
        hashes.for_each(|column| column.reserve_exact(rows));
        self.at.reserve_exact(rows);
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: &Entry) {
        self.time.push(entry.time);
        self.names.iter_mut().zip(entry.names).for_each(|(column, name)| column.push(name));
        self.ids.iter_mut().zip(entry.ids).for_each(|(column, id)| column.push(id));
        self.uid.push(entry.uid);
        self.fingerprint.push(entry.fingerprint);
        self.at.push(entry.at);
    }

    /// Appends the entries of `later`; `numbers` gives its symbols as symbols here.
    pub fn append(&mut self, later: &mut Self, numbers: &[Symbol]) {
        self.time.append(&mut later.time);
        for (column, more) in self.names.iter_mut().zip(&later.names) {
            column.extend(more.iter().map(|symbol| numbers[*symbol as usize]));
        }
        self.ids.iter_mut().zip(&mut later.ids).for_each(|(column, more)| column.append(more));
        self.uid.append(&mut later.uid);
        self.fingerprint.append(&mut later.fingerprint);
        self.at.append(&mut later.at);
    }
}

/// Columns in the order in which they lie on disk.
fn all() -> impl Iterator<Item = Column> {
    let ids = Id::ALL.into_iter().map(Column::Id);
    [Column::Time].into_iter().chain(NAMES).chain(ids).chain([Column::Uid, Column::Fingerprint, Column::At])
}

/// Bytes of one entry of a column on disk.
const fn width(column: Column) -> u64 {
    match column {
        Column::Time | Column::Id(_) | Column::Uid | Column::Fingerprint => 8,
        Column::At => 32,
        _ => 4,
    }
}

/// Where a column of `rows` entries begins, bytes.
#[must_use]
pub fn place(column: Column, rows: usize) -> u64 {
    let before: u64 = all().take_while(|other| *other != column).map(width).sum();
    before * rows as u64
}

impl Columns {
    /// All columns as they lie on disk, for this process only: the bytes are in the order of the machine.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let widths: u64 = all().map(width).sum();
        let mut bytes = Vec::with_capacity(usize::try_from(widths).unwrap_or(0) * self.len());
        bytes.extend_from_slice(bytemuck::cast_slice(&self.time));
        self.names.iter().for_each(|column| bytes.extend_from_slice(bytemuck::cast_slice(column)));
        let hashes = self.ids.iter().chain([&self.uid, &self.fingerprint]);
        hashes.for_each(|column| bytes.extend_from_slice(bytemuck::cast_slice(column)));
        self.at.iter().for_each(|at| bytes.extend_from_slice(bytemuck::cast_slice(&at.to_words())));
        bytes
    }

    /// Reads `rows` entries of a column.
    ///
    /// # Errors
    /// There are fewer bytes.
    pub fn fill(&mut self, column: Column, rows: usize, mut from: impl Read) -> io::Result<()> {
        match column {
            Column::Time => filled(&mut self.time, rows, from),
            Column::Id(id) => filled(&mut self.ids[id as usize], rows, from),
            Column::Uid => filled(&mut self.uid, rows, from),
            Column::Fingerprint => filled(&mut self.fingerprint, rows, from),
            Column::At => {
                let mut words: Vec<u64> = Vec::new();
                filled(&mut words, rows * 4, &mut from)?;
                self.at = words.as_chunks().0.iter().copied().map(Locator::from_words).collect();
                Ok(())
            }
            name => match NAMES.iter().position(|known| *known == name) {
                Some(n) => filled(&mut self.names[n], rows, from),
                None => Ok(()),
            },
        }
    }
}

/// A time that lay in a word.
#[must_use]
pub fn known(time: u64) -> Option<i64> {
    Some(time.cast_signed()).filter(|time| *time != NO_TIME)
}

fn filled<T: bytemuck::Pod>(column: &mut Vec<T>, rows: usize, mut from: impl Read) -> io::Result<()> {
    column.clear();
    column.resize(rows, T::zeroed());
    from.read_exact(bytemuck::cast_slice_mut(column))
}
