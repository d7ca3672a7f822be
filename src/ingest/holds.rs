//! Changes of legal holds. An archive may tell of millions, of which only those on conversations of which something failed
//! are ever looked at: they lie in a temporary file, and are found by their ids, their time and their record.

use std::hash::BuildHasher as _;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;

use super::facts::{Change, ChangeKind};
use super::source_named;
use crate::error::Result;
use crate::evidence::{Digest, Locator};
use crate::spill::{Sorted, Sorter, temporary};

/// Bytes of changes that are held in memory before a file is needed.
const HELD: usize = 2 << 20;

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
    lines: Mutex<SpooledTempFile>,
    end: u64,
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
            lines: Mutex::new(tempfile::spooled_tempfile(HELD)),
            end: 0,
            unwritten: None,
            shifts: Vec::new(),
            by_time: Sorted::default(),
            by_record: Sorted::default(),
            by_id: Sorted::default(),
        }
    }

    /// Adds a change.
    pub fn push(&mut self, change: &Change) {
        let mut line = vec![0; LENGTH];
        let packed = postcard::to_extend(&Line::of(change), line);
        line = packed.unwrap_or_default();
        let length = u32::try_from(line.len().saturating_sub(LENGTH)).unwrap_or(0);
        line[..LENGTH].copy_from_slice(&length.to_ne_bytes());
        let lines = self.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
        match lines.write_all(&line) {
            Ok(()) => self.end += line.len() as u64,
            Err(error) => self.unwritten = self.unwritten.take().or(Some(error)),
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
        let mut place = 0;
        while place < self.end {
            let (change, next) = self.line(place)?;
            if counts(&change.at) {
                let Locator { file, record, offset, length } = change.at;
                let at = [u64::from(file), record, offset, length];
                let [file, record, offset, length] = at;
                let time = ordered(change.time);
                let added = by_time.push([time, file, record, offset, length, change.kind as u64, place]);
                let added = added.and_then(|()| by_record.push([file, record, offset, length, place]));
                let entries = self.entries(&change, place);
                let added = added.and_then(|()| entries.iter().try_for_each(|entry| by_id.push(entry.to_words())));
                added.map_err(|e| temporary("writing what is known of legal holds", e))?;
            }
            place = next;
        }
        let finish = || Ok((by_time.finish()?, by_record.finish()?, by_id.finish()?));
        (self.by_time, self.by_record, self.by_id) =
            finish().map_err(|e| temporary("writing what is known of legal holds", e))?;
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
        Ok(self.line(place)?.0)
    }

    /// Shows each change to `see`, in order of time, then of records, then of kind.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn each(&self, mut see: impl FnMut(Change)) -> Result<()> {
        self.since(i64::MIN, |_, change| {
            see(change);
            true
        })
    }

    /// Shows each change from `time` on to `see` in that order, as long as it returns true.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn since(&self, time: i64, mut see: impl FnMut(Place, Change) -> bool) -> Result<()> {
        let mut failed = None;
        let from = [ordered(time), 0, 0, 0, 0, 0, 0];
        let gone_through = self.by_time.from(from, |[.., place]| match self.change(place) {
            Ok(change) => see(place, change),
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        gone_through.map_err(reading)?;
        failed.map_or(Ok(()), Err)
    }

    /// How many there are before `time`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn before(&self, time: i64) -> Result<usize> {
        self.by_time.before([ordered(time), 0, 0, 0, 0, 0, 0]).map_err(reading)
    }

    /// The times of those from `first` to before `end`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn times(&self, first: i64, end: i64) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        let from = [ordered(first), 0, 0, 0, 0, 0, 0];
        let gone_through = self.by_time.from(from, |[time, ..]| {
            let within = time < ordered(end);
            found.extend(within.then(|| as_it_was(time)));
            within
        });
        gone_through.map_err(reading)?;
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
                within
            };
            self.by_id.from([id, part, 0, 0, 0, 0], take).map_err(reading)?;
        }
        Ok(found)
    }

    /// Shows each id of each change to `see`: ordered by its hash, then by the conversation's, then by time.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn ids(&self, mut see: impl FnMut(Entry)) -> Result<()> {
        self.by_id.each(|words| see(Entry::from_words(words))).map_err(reading)
    }

    /// The changes that a record tells of.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn of_record(&self, at: &Locator) -> Result<Vec<Change>> {
        let wanted = [u64::from(at.file), at.record, at.offset, at.length];
        let [file, record, offset, length] = wanted;
        let mut places = Vec::new();
        let take = |[file, record, offset, length, place]: [u64; 5]| {
            let same = [file, record, offset, length] == wanted;
            places.extend(same.then_some(place));
            same
        };
        self.by_record.from([file, record, offset, length, 0], take).map_err(reading)?;
        places.into_iter().map(|place| self.change(place)).collect()
    }

    /// The change at a place, and the place behind it.
    fn line(&self, place: Place) -> Result<(Change, Place)> {
        let mut length = [0; LENGTH];
        let mut line = Vec::new();
        let mut read = || -> io::Result<()> {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.seek(SeekFrom::Start(place))?;
            lines.read_exact(&mut length)?;
            line.resize(u32::from_ne_bytes(length) as usize, 0);
            lines.read_exact(&mut line)
        };
        read().map_err(reading)?;
        let packed: Line<'_> = postcard::from_bytes(&line).map_err(|e| reading(io::Error::other(e)))?;
        let mut change = packed.change();
        let of_source = self.shifts.iter().filter(|(source, _)| *source == change.source);
        change.time += of_source.map(|(_, by)| by).sum::<i64>();
        Ok((change, place + (LENGTH + line.len()) as u64))
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

/// Bytes that say how long a line is.
const LENGTH: usize = 4;

fn reading(error: io::Error) -> crate::Error {
    temporary("reading what is known of legal holds", error)
}

/// A time as a word that is ordered as times are, and back.
const fn ordered(time: i64) -> u64 {
    time.cast_unsigned() ^ (1 << 63)
}

const fn as_it_was(word: u64) -> i64 {
    (word ^ (1 << 63)).cast_signed()
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
        Self { id, named, kind, conversation, hold, time: as_it_was(time), place }
    }
}

/// A change as it lies in the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    kind: ChangeKind,
    time: i64,
    #[serde(borrow)]
    subject: &'a str,
    also: Vec<&'a str>,
    permissions: Vec<&'a str>,
    name: Option<&'a str>,
    conversation: Option<&'a str>,
    hold: Option<&'a str>,
    actor: Option<&'a str>,
    source: &'a str,
    at: (u32, u64, u64, u64),
    sha256: Option<[u8; 32]>,
}

impl<'a> Line<'a> {
    fn of(change: &'a Change) -> Self {
        let Locator { file, record, offset, length } = change.at;
        Self {
            kind: change.kind,
            time: change.time,
            subject: &change.subject,
            also: change.also.iter().map(String::as_str).collect(),
            permissions: change.permissions.iter().map(String::as_str).collect(),
            name: change.name.as_deref(),
            conversation: change.conversation.as_deref(),
            hold: change.hold.as_deref(),
            actor: change.actor.as_deref(),
            source: change.source,
            at: (file, record, offset, length),
            sha256: change.sha256.map(|digest| digest.0),
        }
    }

    fn change(self) -> Change {
        let (file, record, offset, length) = self.at;
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        Change {
            kind: self.kind,
            time: self.time,
            subject: self.subject.to_owned(),
            also: owned(self.also),
            permissions: owned(self.permissions),
            name: self.name.map(str::to_owned),
            conversation: self.conversation.map(str::to_owned),
            hold: self.hold.map(str::to_owned),
            actor: self.actor.map(str::to_owned),
            source: source_named(self.source).unwrap_or(""),
            at: Locator { file, record, offset, length },
            sha256: self.sha256.map(Digest),
        }
    }
}
