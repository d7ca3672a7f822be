//! The columns of an outline, in memory and as they lie on disk.

use super::outline::{Id, IdHash, NO_TIME};
use super::symbols::Symbol;
use crate::evidence::Locator;
use crate::spill::{Packed, pack, unpack};

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
    /// The number of the file alone, the first of the words of [`Column::At`].
    File,
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
    /// The numbers of the files, where only they were asked for.
    files: Vec<u32>,
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

    /// The number of the file that an entry is of.
    #[must_use]
    pub fn file(&self, place: usize) -> u32 {
        self.files.get(place).copied().unwrap_or_else(|| self.at[place].file)
    }

    /// The names of the last entry.
    #[must_use]
    pub fn last_names(&self) -> [Symbol; NAMES.len()] {
        std::array::from_fn(|n| self.names[n].last().copied().unwrap_or(0))
    }

    /// Without its entries, but with the room that they took.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        self.time.clear();
        self.names.iter_mut().for_each(Vec::clear);
        self.ids.iter_mut().chain([&mut self.uid, &mut self.fingerprint]).for_each(Vec::clear);
        self.at.clear();
        self
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

/// Columns as they lie on disk, one after the other; locators are four.
#[derive(Clone, Debug)]
pub struct Form([Packed; COLUMNS]);

/// Time, names, ids, uid, fingerprint, and the words of locators.
const COLUMNS: usize = 1 + NAMES.len() + Id::ALL.len() + 2 + 4;

/// Where a column is among those on disk, and how many it is there.
fn place(column: Column) -> (usize, usize) {
    let names = |column| NAMES.iter().position(|known| *known == column).unwrap_or(0);
    let behind = 1 + NAMES.len();
    match column {
        Column::Time => (0, 1),
        Column::Id(id) => (behind + id as usize, 1),
        Column::Uid => (behind + Id::ALL.len(), 1),
        Column::Fingerprint => (behind + Id::ALL.len() + 1, 1),
        Column::At => (COLUMNS - 4, 4),
        Column::File => (COLUMNS - 4, 1),
        name => (1 + names(name), 1),
    }
}

impl Form {
    /// Where the bytes of a column begin, and how many there are.
    #[must_use]
    pub fn span(&self, column: Column) -> (usize, usize) {
        let (first, count) = place(column);
        let before: usize = self.0[..first].iter().map(Packed::bytes).sum();
        (before, self.0[first..first + count].iter().map(Packed::bytes).sum())
    }
}

impl Columns {
    /// Puts all columns behind `bytes`, as they lie on disk.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) -> Form {
        bytes.reserve(self.len() * 100);
        let (mut form, mut next) = ([Packed::default(); COLUMNS], 0);
        let mut put = |words: &[u64]| {
            form[next] = pack(words, bytes);
            next += 1;
        };
        put(bytemuck::cast_slice(&self.time));
        let mut words = Vec::with_capacity(self.len());
        for column in &self.names {
            words.clear();
            words.extend(column.iter().map(|symbol| u64::from(*symbol)));
            put(&words);
        }
        self.ids.iter().chain([&self.uid, &self.fingerprint]).for_each(|column| put(column));
        for n in 0..4 {
            words.clear();
            words.extend(self.at.iter().map(|at| at.to_words()[n]));
            put(&words);
        }
        Form(form)
    }

    /// Takes in a column of `rows` entries that lay in `bytes`.
    pub fn fill(&mut self, column: Column, rows: usize, form: &Form, bytes: &[u8]) {
        const NOWHERE: Locator = Locator { file: 0, record: 0, offset: 0, length: 0 };
        let (first, count) = place(column);
        let mut rest = bytes;
        for (n, packed) in form.0[first..first + count].iter().enumerate() {
            let (own, behind) = rest.split_at(packed.bytes().min(rest.len()));
            rest = behind;
            let words = |into| unpack(packed, own, into, |slot, word| *slot = word);
            let numbers = |into| unpack(packed, own, into, |slot, word| *slot = number(word));
            match (column, n) {
                (Column::Time, _) => {
                    unpack(packed, own, empty(&mut self.time, 0, rows), |t, word| *t = word.cast_signed());
                }
                (Column::Id(id), _) => words(empty(&mut self.ids[id as usize], 0, rows)),
                (Column::Uid, _) => words(empty(&mut self.uid, 0, rows)),
                (Column::Fingerprint, _) => words(empty(&mut self.fingerprint, 0, rows)),
                (Column::File, _) => numbers(empty(&mut self.files, 0, rows)),
                (Column::At, 0) => {
                    unpack(packed, own, empty(&mut self.at, NOWHERE, rows), |at, word| at.file = number(word));
                }
                (Column::At, 1) => unpack(packed, own, &mut self.at, |at, word| at.record = word),
                (Column::At, 2) => unpack(packed, own, &mut self.at, |at, word| at.offset = word),
                (Column::At, _) => unpack(packed, own, &mut self.at, |at, word| at.length = word),
                (name, _) => {
                    if let Some(n) = NAMES.iter().position(|known| *known == name) {
                        numbers(empty(&mut self.names[n], 0, rows));
                    }
                }
            }
        }
    }
}

/// A column in which no word has been put yet.
fn empty<T: Clone>(column: &mut Vec<T>, nothing: T, rows: usize) -> &mut [T] {
    *column = vec![nothing; rows];
    column
}

/// A number that lay in a word.
fn number(word: u64) -> u32 {
    u32::try_from(word).unwrap_or(0)
}

/// A time that lay in a word.
#[must_use]
pub fn known(time: u64) -> Option<i64> {
    Some(time.cast_signed()).filter(|time| *time != NO_TIME)
}
