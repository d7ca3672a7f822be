//! Changes of legal holds. An archive may tell of millions, of which only those on conversations of which something failed
//! are ever looked at: they lie in a temporary file, and are found by their ids, their time and their record.

use std::hash::BuildHasher as _;
use std::io::{self, BufReader, Read};

use foldhash::quality::RandomState;

use super::facts::{Change, ChangeKind};
use crate::error::Result;
use crate::evidence::Locator;
use crate::spill::{Scratch, Sorted, Sorter, ordered, temporary, time_of};

/// Bytes of changes that are held in memory before a file is needed.
const HELD: usize = 2 << 20;
/// Bytes that are read at a time where all changes are gone through, and where one is looked up.
const ALL_AT_ONCE: usize = 256 * 1024;
const ONE: usize = 512;

/// Where a change lies among those that were added: those of a file ascend in the order of their records.
pub type Place = u64;

/// As what a change names an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// What it is of.
    Subject,
    /// The hold.
    Hold,
    /// Another id of the subject, or the conversation.
    Also,
}

/// An id of a change.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The hash of it.
    pub id: u64,
    pub named: Named,
    pub kind: ChangeKind,
    /// Hashes of the conversation and of the hold; 0 where the change names none.
    pub conversation: u64,
    pub hold: u64,
    /// Microseconds since 1970, UTC.
    pub time: i64,
    pub place: Place,
}

/// All changes of holds.
pub struct HoldLog {
    keys: RandomState,
    lines: Scratch,
    /// Why a change could not be put away.
    unwritten: Option<io::Error>,
    /// What is added to the times of a source, microseconds.
    shifts: Vec<(&'static str, i64)>,
    /// Time, file, record, offset, length, kind and place of each.
    by_time: Sorted<7>,
    /// File, record, offset, length and place of each.
    by_record: Sorted<5>,
    /// The words of an [`Entry`].
    by_id: Sorted<6>,
}

impl Default for HoldLog {
    fn default() -> Self {
        Self::new(RandomState::default())
    }
}

impl HoldLog {
    /// An empty one; `keys` are those by which ids are hashed.
    #[must_use]
    pub fn new(keys: RandomState) -> Self {
        Self {
            keys,
            lines: Scratch::holding(HELD),
            unwritten: None,
            shifts: Vec::new(),
            by_time: Sorted::default(),
            by_record: Sorted::default(),
            by_id: Sorted::default(),
        }
    }

    /// Adds a change.
    pub fn push(&mut self, change: &Change) {
        let packed = postcard::to_stdvec(change).map_err(io::Error::other);
        let put = packed.and_then(|packed| {
            let length = u32::try_from(packed.len()).map_err(io::Error::other)?;
            self.lines.append(&[&length.to_ne_bytes(), &packed[..]].concat())
        });
        if let Err(error) = put {
            self.unwritten.get_or_insert(error);
        }
    }

    /// Adds `by` microseconds to all times of a source.
    pub fn shift(&mut self, source: &'static str, by: i64) {
        self.shifts.push((source, by));
    }

    /// Makes those whose records count findable; the others are none from here on.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub fn index(&mut self, counts: impl Fn(&Locator) -> bool) -> Result<()> {
        if let Some(error) = self.unwritten.take() {
            return Err(temporary("writing what is known of legal holds", error));
        }
        let (mut by_time, mut by_record, mut by_id) = (Sorter::default(), Sorter::default(), Sorter::default());
        let (mut lines, mut place) = (BufReader::with_capacity(ALL_AT_ONCE, self.lines.reader(0)), 0);
        while place < self.lines.end() {
            let (change, length) = self.line(&mut lines)?;
            if counts(&change.at) {
                let [file, record, offset, size] = change.at.to_words();
                by_time.push([ordered(change.time), file, record, offset, size, change.kind as u64, place])?;
                by_record.push([file, record, offset, size, place])?;
                self.entries(&change, place).iter().try_for_each(|entry| by_id.push(entry.to_words()))?;
            }
            place += length;
        }
        (self.by_time, self.by_record, self.by_id) = (by_time.finish()?, by_record.finish()?, by_id.finish()?);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash of an id.
    #[must_use]
    pub fn hash(&self, id: &str) -> u64 {
        self.keys.hash_one(id).max(1)
    }

    /// The change at a place.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn change(&self, place: Place) -> Result<Change> {
        Ok(self.line(&mut BufReader::with_capacity(ONE, self.lines.reader(place)))?.0)
    }

    /// Shows each change from `time` on to `see`, in order of time, then of records, then of kind, as long as it returns true.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn since(&self, time: i64, mut see: impl FnMut(Place, Change) -> Result<bool>) -> Result<()> {
        self.by_time.from(from(time), |[.., place]| see(place, self.change(place)?))
    }

    /// Where the records lie that tell of changes, ascending, each once.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn records(&self) -> Result<Vec<Locator>> {
        let mut found: Vec<Locator> = Vec::new();
        self.by_record.each(|[file, record, offset, length, _]| {
            let at = Locator::from_words([file, record, offset, length]);
            if found.last() != Some(&at) {
                found.push(at);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// How many there are before `time`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn before(&self, time: i64) -> Result<usize> {
        self.by_time.before(from(time))
    }

    /// The times of those from `first` to before `end`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn times(&self, first: i64, end: i64) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        self.by_time.from(from(first), |[time, ..]| {
            let within = time < ordered(end);
            found.extend(within.then(|| time_of(time)));
            Ok(within)
        })?;
        Ok(found)
    }

    /// The places of those that name `id` and are of `conversation`, as far as they say; of all that name it, where that is
    /// not known. Hashes may clash, so a few may be of another.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn under(&self, id: &str, conversation: Option<&str>) -> Result<Vec<Place>> {
        let id = self.hash(id);
        let parts = match conversation {
            Some(conversation) => vec![self.hash(conversation), 0],
            None => vec![0],
        };
        let mut found = Vec::new();
        for part in parts {
            let take = |[own, of, .., place]: [u64; 6]| {
                let within = own == id && (conversation.is_none() || of == part);
                found.extend(within.then_some(place));
                Ok(within)
            };
            self.by_id.from([id, part, 0, 0, 0, 0], take)?;
        }
        Ok(found)
    }

    /// Shows each id of each change to `see`: ordered by its hash, then by the conversation's, then by time.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn ids(&self, mut see: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        self.by_id.each(|words| see(Entry::from_words(words)))
    }

    /// The changes that a record tells of, in their order.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn of_record(&self, at: &Locator) -> Result<Vec<Change>> {
        let mut found = Vec::new();
        self.by_record.beginning(at.to_words(), |[.., place]| {
            found.push(self.change(place)?);
            Ok(())
        })?;
        found.sort_by_key(Change::order);
        Ok(found)
    }

    /// The next change, and how many bytes it takes up.
    fn line(&self, from: &mut impl Read) -> Result<(Change, u64)> {
        let mut length = [0; 4];
        let mut line = Vec::new();
        let mut read = || -> io::Result<Change> {
            from.read_exact(&mut length)?;
            line.resize(u32::from_ne_bytes(length) as usize, 0);
            from.read_exact(&mut line)?;
            postcard::from_bytes(&line).map_err(io::Error::other)
        };
        let mut change = read().map_err(|e| temporary("reading what is known of legal holds", e))?;
        let of_source = self.shifts.iter().filter(|(source, _)| *source == change.source);
        change.time += of_source.map(|(_, by)| by).sum::<i64>();
        Ok((change, (length.len() + line.len()) as u64))
    }

    fn entries(&self, change: &Change, place: Place) -> Vec<Entry> {
        let hash = |id: &String| self.hash(id);
        let named = [(Named::Subject, &change.subject)].into_iter();
        let named = named.chain(change.hold.iter().map(|hold| (Named::Hold, hold)));
        let also = change.also.iter().chain(&change.conversation).filter(|id| **id != change.subject);
        let named = named.chain(also.map(|id| (Named::Also, id)));
        let (conversation, hold) = (change.conversation.as_ref().map_or(0, hash), change.hold.as_ref().map_or(0, hash));
        let Change { kind, time, .. } = *change;
        named.map(|(named, id)| Entry { id: hash(id), named, kind, conversation, hold, time, place }).collect()
    }
}

/// What entries by time are not before, from `time` on.
const fn from(time: i64) -> [u64; 7] {
    [ordered(time), 0, 0, 0, 0, 0, 0]
}

const NAMED: [Named; 3] = [Named::Subject, Named::Hold, Named::Also];
const KINDS: [ChangeKind; 3] = [ChangeKind::HoldPlaced, ChangeKind::HoldSynced, ChangeKind::HoldReleased];

impl Entry {
    fn to_words(self) -> [u64; 6] {
        let of = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(0) as u64;
        let what = of << 8 | self.named as u64;
        [self.id, self.conversation, ordered(self.time), what, self.hold, self.place]
    }

    fn from_words([id, conversation, time, what, hold, place]: [u64; 6]) -> Self {
        let [.., kind, named] = what.to_be_bytes();
        let (kind, named) = (KINDS[usize::from(kind) % KINDS.len()], NAMED[usize::from(named) % NAMED.len()]);
        Self { id, named, kind, conversation, hold, time: time_of(time), place }
    }
}
