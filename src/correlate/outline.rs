//! The outline of an archive: what one pass over it keeps of every event, some 170 bytes (fewer as they are packed), however long the record is.
//!
//! Ids are kept as keyed 64-bit hashes and recurring names as numbers; whatever a report says is read again from the
//! records themselves. The keys are fresh in each run: nobody can prepare two ids that are taken for one, and by chance
//! two of ten million ids clash in one of some hundred thousand archives.
//!
//! One byte an event, its flags, is always in memory. The columns are gone through block by block.

use std::hash::BuildHasher;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use foldhash::quality::RandomState;
use rayon::prelude::*;

use super::blocks::{BLOCK, Blocks};
use super::columns::{Column, Columns, Entry, NAMES};
use super::ids::TEXTS;
pub use super::ids::{Id, IdHash};
use super::jobs::Jobs;
use super::steps::{self, Steps};
use super::symbols::{Symbol, Symbols};
use super::table::Row;
use crate::error::Result;
use crate::evidence::{Digest, Locator};
use crate::ingest::{Collect, Event, Outcome, Text, Wanted};
use crate::spill::temporary;

/// What else is to be known of an event, bit by bit.
pub mod flag {
    pub const FAILING: u8 = 1;
    pub const OK: u8 = 2;
    pub const TRAIL: u8 = 4;
    pub const PROBE: u8 = 8;
    /// It got through with the hold not acknowledged.
    pub const UNACKNOWLEDGED: u8 = 16;
    /// It repeats an earlier one.
    pub const DUPLICATE: u8 = 32;
    /// It is an attempt at a step of an export, and the only record of it in its source.
    pub const ATTEMPT: u8 = 64;
    /// An amended record takes its place.
    pub const SUPERSEDED: u8 = 128;
}

/// Stands for an unknown time.
pub const NO_TIME: i64 = i64::MIN;

/// One entry an event, in the order of the archive.
pub struct Outline {
    pub keys: RandomState,
    steps: Arc<Steps>,
    pub symbols: Symbols,
    flags: Vec<u8>,
    blocks: Blocks,
    /// What is not yet in a block.
    open: Columns,
    /// Why a block could not be put away.
    unwritten: Option<io::Error>,
    /// Events without an id of the source's own.
    pub without_uid: usize,
    /// Events that issued a credential.
    pub issued: usize,
    /// Events that amend another record, with the hash of its id; ascending.
    pub amendments: Vec<(Row, IdHash)>,
    /// The sources that were met, in no order.
    sources: Vec<Symbol>,
    pub jobs: Jobs,
    /// Tenant and scopes that an event named last.
    last_tenant: Symbol,
    last_scopes: Symbol,
}

/// Some consecutive rows of an outline, with the columns that were asked for.
pub struct Block<'a> {
    first: Row,
    flags: &'a [u8],
    columns: Columns,
}

impl Deref for Block<'_> {
    type Target = Columns;

    fn deref(&self) -> &Columns {
        &self.columns
    }
}

impl Block<'_> {
    /// The places in the block.
    #[must_use]
    pub fn places(&self) -> Range<usize> {
        0..self.flags.len()
    }

    /// The place of a row, if it lies in the block.
    #[must_use]
    pub fn place(&self, row: Row) -> Option<usize> {
        let place = row.checked_sub(self.first)? as usize;
        (place < self.flags.len()).then_some(place)
    }

    /// The places of those of `rows` (ascending) that lie in the block.
    pub fn places_of(&self, rows: &[Row]) -> impl Iterator<Item = usize> {
        let from = rows.partition_point(|row| *row < self.first);
        rows[from..].iter().map_while(|row| self.place(*row))
    }

    /// The row at a place.
    #[must_use]
    pub fn row(&self, place: usize) -> Row {
        self.first + Row::try_from(place).unwrap_or(0)
    }

    /// Whether the event at a place has a flag.
    #[must_use]
    pub fn is(&self, place: usize, flag: u8) -> bool {
        self.flags[place] & flag != 0
    }

    /// Whether the event at a place is neither a repetition of another nor superseded.
    #[must_use]
    pub fn counts(&self, place: usize) -> bool {
        !self.is(place, flag::DUPLICATE | flag::SUPERSEDED)
    }

    /// The time at a place, if it is known.
    #[must_use]
    pub fn known_time(&self, place: usize) -> Option<i64> {
        Some(self.time[place]).filter(|time| *time != NO_TIME)
    }
}

impl Outline {
    /// An empty one with room for `rows` events.
    #[must_use]
    pub fn with_capacity(keys: RandomState, steps: Arc<Steps>, rows: usize) -> Self {
        let mut open = Columns::default();
        open.reserve(rows);
        Self {
            keys,
            steps,
            symbols: Symbols::default(),
            flags: Vec::new(),
            blocks: Blocks::default(),
            open,
            unwritten: None,
            without_uid: 0,
            issued: 0,
            amendments: Vec::new(),
            sources: Vec::new(),
            jobs: Jobs::default(),
            last_tenant: 0,
            last_scopes: 0,
        }
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// All rows.
    pub fn rows(&self) -> Range<Row> {
        0..Row::try_from(self.len()).unwrap_or(Row::MAX)
    }

    /// The hash of an id.
    #[must_use]
    pub fn hash(&self, text: &str) -> IdHash {
        hash(&self.keys, text)
    }

    /// Whether an event has a flag.
    #[must_use]
    pub fn is(&self, row: Row, flag: u8) -> bool {
        self.flags[row as usize] & flag != 0
    }

    /// Whether an event is neither a repetition of another nor superseded.
    #[must_use]
    pub fn counts(&self, row: Row) -> bool {
        !self.is(row, flag::DUPLICATE | flag::SUPERSEDED)
    }

    /// Number of events that have all flags of `flags`.
    #[must_use]
    pub fn count(&self, flags: u8) -> usize {
        self.flags.iter().filter(|own| **own & flags == flags).count()
    }

    /// Sets flags of some rows, and takes others away.
    pub fn mark(&mut self, rows: impl IntoIterator<Item = Row>, set: u8, taken: u8) {
        for row in rows {
            let flags = &mut self.flags[row as usize];
            *flags = (*flags | set) & !taken;
        }
    }

    /// The names of the sources that were met, in no order.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|symbol| self.symbols.name(*symbol))
    }

    /// Adds `by` microseconds to all times of a source.
    pub fn shift(&mut self, source: &str, by: i64) {
        if let Some(symbol) = self.symbols.find(source) {
            self.blocks.shift(symbol, by);
        }
    }

    /// The blocks in order, one after the other.
    pub fn blocks(&self, columns: &[Column]) -> impl Iterator<Item = Result<Block<'_>>> {
        self.spans().map(move |span| self.block(span, columns))
    }

    /// What `look` finds in each block, in order.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn look<R: Send>(&self, columns: &[Column], look: impl Fn(&Block<'_>) -> R + Sync) -> Result<Vec<R>> {
        let spans: Vec<(usize, usize)> = self.spans().collect();
        spans.into_par_iter().map(|span| self.block(span, columns).map(|block| look(&block))).collect()
    }

    /// What is needed to read the events at `rows` (ascending) again.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn wanted(&self, rows: &[Row]) -> Result<Vec<Wanted>> {
        let mut found = Vec::with_capacity(rows.len());
        for span in self.spans_of(rows) {
            let block = self.block(span, &[Column::At, Column::Fingerprint])?;
            let places = block.places_of(rows);
            found.extend(places.map(|n| Wanted { at: block.at[n], fingerprint: block.fingerprint[n] }));
        }
        Ok(found)
    }

    /// Number and first row of each block that has some of `rows` (ascending).
    pub(super) fn spans_of(&self, rows: &[Row]) -> impl Iterator<Item = (usize, usize)> {
        self.spans().filter(|(number, first)| {
            let from = rows.partition_point(|row| (*row as usize) < *first);
            rows.get(from).is_some_and(|row| (*row as usize) < first + self.blocks.rows(*number))
        })
    }

    /// Number and first row of each block.
    pub(super) fn spans(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.blocks.len()).scan(0, |next, number| {
            let first = *next;
            *next += self.blocks.rows(number);
            Some((number, first))
        })
    }

    pub(super) fn block(&self, (number, first): (usize, usize), columns: &[Column]) -> Result<Block<'_>> {
        let held = self.blocks.load(number, columns).map_err(|e| temporary("reading", e))?;
        let flags = &self.flags[first..first + self.blocks.rows(number)];
        Ok(Block { first: Row::try_from(first).unwrap_or(Row::MAX), flags, columns: held })
    }

    /// Appends the outline of the next part of the archive.
    pub fn append(&mut self, mut part: Self) {
        let numbers = self.symbols.merge(&part.symbols);
        let before = Row::try_from(self.len()).unwrap_or(Row::MAX);
        self.amendments.extend(part.amendments.iter().map(|(row, original)| (before + row, *original)));
        self.open.append(&mut part.open, &numbers);
        self.flags.append(&mut part.flags);
        self.without_uid += part.without_uid;
        self.issued += part.issued;
        for source in part.sources {
            self.note_source(numbers[source as usize]);
        }
        self.jobs.merge(part.jobs, &numbers);
        if self.open.len() >= BLOCK {
            self.close();
        }
    }

    /// Puts what was read last into a block.
    fn close(&mut self) {
        if self.open.len() == 0 || self.unwritten.is_some() {
            return;
        }
        let full = std::mem::take(&mut self.open);
        self.unwritten = self.blocks.add(full).err();
        self.open = self.blocks.empty();
    }

    /// Ends the reading: all rows are in blocks from here on.
    ///
    /// # Errors
    /// The temporary file could not be written.
    pub fn finish(&mut self) -> Result<()> {
        self.close();
        self.open = Columns::default();
        self.blocks.end();
        match self.unwritten.take() {
            Some(error) => Err(temporary("writing what is known of the records", error)),
            None => self.jobs.finish(),
        }
    }

    fn note_source(&mut self, source: Symbol) {
        if self.sources.last() != Some(&source) && !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }
}

fn hash(keys: &RandomState, text: &str) -> IdHash {
    keys.hash_one(text).max(1)
}

impl Collect for Outline {
    fn event(&mut self, source: &'static str, event: &Event<'_>, at: Locator, fingerprint: u64, _: Option<Digest>) {
        let phase = self.steps.of(source, event);
        let step = event.get(Text::Step);
        let ok = event.outcome == Outcome::Success;
        let mut flags = 0;
        for (set, bit) in [
            (phase.is_some() && steps::failed(source, event), flag::FAILING),
            (phase.is_some(), flag::ATTEMPT),
            (ok, flag::OK),
            (steps::is_of_trail(source, event), flag::TRAIL),
            (step == Some("probe"), flag::PROBE),
            (ok && event.hold_acknowledged == Some(false), flag::UNACKNOWLEDGED),
        ] {
            flags |= if set { bit } else { 0 };
        }
        let own = [Text::Principal, Text::Bucket, Text::Region, Text::MediaType].map(|text| event.get(text));
        let scopes = event.get(Text::JobId).and(event.get(Text::Scopes));
        let texts = [Some(source), phase, step, own[0], own[1], own[2], own[3], scopes];
        let mut before = self.open.last_names();
        before[NAMES.len() - 1] = self.last_scopes;
        let names: [Symbol; NAMES.len()] = std::array::from_fn(|n| self.symbols.near(texts[n], Some(&before[n])));
        let ids = TEXTS.map(|text| event.get(text).map_or(0, |text| hash(&self.keys, text)));
        let uid = event.get(Text::Uid).map_or(0, |uid| hash(&self.keys, uid));
        if let Some(original) = event.get(Text::Amends) {
            self.amendments.push((self.rows().end, hash(&self.keys, original)));
        }
        self.open.push(&Entry { time: event.time.unwrap_or(NO_TIME), names, ids, uid, fingerprint, at });
        self.flags.push(flags);
        self.without_uid += usize::from(uid == 0);
        self.issued += usize::from(ids[Id::Issued as usize] != 0);
        self.note_source(names[0]);
        self.last_scopes = if scopes.is_some() { names[NAMES.len() - 1] } else { self.last_scopes };
        let [_, _, _, principal, bucket, region, media, _] = names;
        self.note_job(event, ids[Id::Job as usize], [principal, bucket, region, media]);
    }

    fn gathered(&self) -> usize {
        self.len()
    }
}

impl Outline {
    /// What the event says of its job as a whole.
    fn note_job(&mut self, event: &Event<'_>, job: IdHash, own: [Symbol; 4]) {
        let Some(name) = event.get(Text::JobId) else { return };
        let tenant = self.symbols.near(event.get(Text::TenantId), Some(&self.last_tenant));
        self.last_tenant = tenant;
        let [principal, bucket, region, media] = own;
        let stated = [principal, bucket, tenant, region, media];
        let of_trail = self.flags.last().is_some_and(|flags| flags & flag::TRAIL != 0);
        self.jobs.note(job, name, event, of_trail.then_some(stated));
    }
}
