//! The outline of an archive: what one pass over it keeps of every event, some 170 bytes, however long the record is.
//!
//! Ids are kept as keyed 64-bit hashes and recurring names as numbers; whatever a report says is read again from the
//! records themselves. The keys are fresh in each run: nobody can prepare two ids that are taken for one, and by chance
//! two of ten million ids clash in one of some hundred thousand archives.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::jobs::{Jobs, Statements};
use super::steps::{self, Steps};
use super::symbols::{Symbol, Symbols};
use super::table::Row;
use crate::evidence::{Digest, Locator};
use crate::ingest::{Collect, Event, Outcome, Text, Wanted};

/// The columns whose values tie records together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Job,
    Session,
    Recording,
    Conversation,
    Object,
    Role,
    Key,
    Request,
    Correlation,
    Hold,
}

const IDS: [(Id, Text); 10] = [
    (Id::Job, Text::JobId),
    (Id::Session, Text::SessionName),
    (Id::Recording, Text::RecordingId),
    (Id::Conversation, Text::ConversationId),
    (Id::Object, Text::ObjectKey),
    (Id::Role, Text::RoleArn),
    (Id::Key, Text::KeyArn),
    (Id::Request, Text::RequestId),
    (Id::Correlation, Text::CorrelationId),
    (Id::Hold, Text::HoldId),
];

impl Id {
    /// The column of the event frame that it is the hash of.
    #[must_use]
    pub const fn column(self) -> Text {
        IDS[self as usize].1
    }
}

/// An id's keyed hash; 0 where the record has none.
pub type IdHash = u64;

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
}

/// Stands for an unknown time.
pub const NO_TIME: i64 = i64::MIN;

/// One entry an event, column by column, in the order of the archive.
pub struct Outline {
    pub keys: RandomState,
    steps: Arc<Steps>,
    pub symbols: Symbols,
    /// Microseconds since 1970, UTC.
    pub time: Vec<i64>,
    pub flags: Vec<u8>,
    pub source: Vec<Symbol>,
    /// The step it is an attempt at; 0 for events that are none.
    pub phase: Vec<Symbol>,
    /// The step as the source names it.
    pub step: Vec<Symbol>,
    pub principal: Vec<Symbol>,
    pub bucket: Vec<Symbol>,
    pub region: Vec<Symbol>,
    ids: [Vec<IdHash>; IDS.len()],
    /// Hash of the source's own id of the record.
    pub uid: Vec<IdHash>,
    pub fingerprint: Vec<u64>,
    pub at: Vec<Locator>,
    pub jobs: Jobs,
    pub statements: Statements,
    /// Tenant, media type and scopes of the last event of a job.
    stated: [Symbol; 3],
}

impl Outline {
    /// An empty one.
    #[must_use]
    pub fn new(keys: RandomState, steps: Arc<Steps>) -> Self {
        Self {
            keys,
            steps,
            symbols: Symbols::default(),
            time: Vec::new(),
            flags: Vec::new(),
            source: Vec::new(),
            phase: Vec::new(),
            step: Vec::new(),
            principal: Vec::new(),
            bucket: Vec::new(),
            region: Vec::new(),
            ids: Default::default(),
            uid: Vec::new(),
            fingerprint: Vec::new(),
            at: Vec::new(),
            jobs: Jobs::default(),
            statements: Statements::default(),
            stated: [0; 3],
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
    pub fn rows(&self) -> std::ops::Range<Row> {
        0..Row::try_from(self.len()).unwrap_or(Row::MAX)
    }

    /// The hashes in an id column.
    #[must_use]
    pub fn id(&self, id: Id) -> &[IdHash] {
        &self.ids[id as usize]
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

    /// Gives up what only correlation and timelines need: most of the memory. Verdicts ask for times, flags, sources, steps,
    /// conversations and holds of events, and for jobs.
    pub fn give_up_links(&mut self) {
        for column in [&mut self.phase, &mut self.principal, &mut self.bucket, &mut self.region] {
            *column = Vec::new();
        }
        for (id, _) in IDS.iter().filter(|(id, _)| !matches!(id, Id::Conversation | Id::Hold)) {
            self.ids[*id as usize] = Vec::new();
        }
        self.uid = Vec::new();
        self.fingerprint = Vec::new();
        self.at = Vec::new();
    }

    /// An event's time, if it is known.
    #[must_use]
    pub fn time(&self, row: Row) -> Option<i64> {
        Some(self.time[row as usize]).filter(|time| *time != NO_TIME)
    }

    /// Whether an event is an attempt at a step, and the only record of it in its source.
    #[must_use]
    pub fn is_attempt(&self, row: Row) -> bool {
        self.phase[row as usize] != 0 && !self.is(row, flag::DUPLICATE)
    }

    /// What is needed to read an event again.
    #[must_use]
    pub fn wanted(&self, row: Row) -> Wanted {
        Wanted { at: self.at[row as usize], fingerprint: self.fingerprint[row as usize] }
    }

    /// An empty one with room for `rows` events.
    #[must_use]
    pub fn with_capacity(keys: RandomState, steps: Arc<Steps>, rows: usize) -> Self {
        let mut outline = Self::new(keys, steps);
        outline.reserve(rows);
        outline
    }

    fn reserve(&mut self, rows: usize) {
        for column in
            [&mut self.source, &mut self.phase, &mut self.step, &mut self.principal, &mut self.bucket, &mut self.region]
        {
            column.reserve_exact(rows);
        }
        for column in self.ids.iter_mut().chain([&mut self.uid, &mut self.fingerprint]) {
            column.reserve_exact(rows);
        }
        self.time.reserve_exact(rows);
        self.flags.reserve_exact(rows);
        self.at.reserve_exact(rows);
    }

    /// Appends the outline of the next part of the archive.
    pub fn append(&mut self, mut part: Self) {
        let numbers = self.symbols.merge(&part.symbols);
        let columns = |outline: &mut Self| {
            [
                std::mem::take(&mut outline.source),
                std::mem::take(&mut outline.phase),
                std::mem::take(&mut outline.step),
                std::mem::take(&mut outline.principal),
                std::mem::take(&mut outline.bucket),
                std::mem::take(&mut outline.region),
            ]
        };
        let (mut held, more) = (columns(self), columns(&mut part));
        for (column, more) in held.iter_mut().zip(more) {
            column.extend(more.into_iter().map(|symbol| numbers[symbol as usize]));
        }
        [self.source, self.phase, self.step, self.principal, self.bucket, self.region] = held;
        self.time.append(&mut part.time);
        self.flags.append(&mut part.flags);
        for (column, mut more) in self.ids.iter_mut().zip(part.ids) {
            column.append(&mut more);
        }
        self.uid.append(&mut part.uid);
        self.fingerprint.append(&mut part.fingerprint);
        self.at.append(&mut part.at);
        self.jobs.merge(part.jobs, &numbers);
        self.statements.merge(part.statements, &numbers);
    }
}

fn hash(keys: &RandomState, text: &str) -> IdHash {
    keys.hash_one(text).max(1)
}

impl Collect for Outline {
    fn event(&mut self, source: &'static str, event: &Event<'_>, at: Locator, fingerprint: u64, _: Option<Digest>) {
        let phase = self.steps.of(source, event);
        let step = event.get(Text::Step);
        let mut flags = 0;
        if phase.is_some() && steps::failed(source, event) {
            flags |= flag::FAILING;
        }
        let ok = event.outcome == Outcome::Success;
        for (set, bit) in [
            (ok, flag::OK),
            (steps::is_of_trail(source, event), flag::TRAIL),
            (step == Some("probe"), flag::PROBE),
            (ok && event.hold_acknowledged == Some(false), flag::UNACKNOWLEDGED),
        ] {
            flags |= if set { bit } else { 0 };
        }
        for (column, (_, text)) in self.ids.iter_mut().zip(IDS) {
            column.push(event.get(text).map_or(0, |text| hash(&self.keys, text)));
        }
        let source = self.symbols.near(Some(source), self.source.last());
        let phase = self.symbols.near(phase, self.phase.last());
        let step = self.symbols.near(step, self.step.last());
        let principal = self.symbols.near(event.get(Text::Principal), self.principal.last());
        let bucket = self.symbols.near(event.get(Text::Bucket), self.bucket.last());
        let region = self.symbols.near(event.get(Text::Region), self.region.last());
        self.source.push(source);
        self.phase.push(phase);
        self.step.push(step);
        self.principal.push(principal);
        self.bucket.push(bucket);
        self.region.push(region);
        self.time.push(event.time.unwrap_or(NO_TIME));
        self.flags.push(flags);
        self.uid.push(event.get(Text::Uid).map_or(0, |uid| hash(&self.keys, uid)));
        self.fingerprint.push(fingerprint);
        self.at.push(at);
        self.note_job(event, at, [principal, bucket, region]);
    }

    fn gathered(&self) -> usize {
        self.len()
    }
}

impl Outline {
    /// What the event says of its job as a whole.
    fn note_job(&mut self, event: &Event<'_>, at: Locator, [principal, bucket, region]: [Symbol; 3]) {
        let Some(name) = event.get(Text::JobId) else { return };
        let job = self.ids[Id::Job as usize].last().copied().unwrap_or(0);
        let [before_tenant, before_media, before_scopes] = &self.stated;
        let tenant = self.symbols.near(event.get(Text::TenantId), Some(before_tenant));
        let media = self.symbols.near(event.get(Text::MediaType), Some(before_media));
        let scopes = self.symbols.near(event.get(Text::Scopes), Some(before_scopes));
        self.stated = [tenant, media, scopes];
        let stated = [principal, bucket, tenant, region, media];
        let of_trail = self.flags.last().is_some_and(|flags| flags & flag::TRAIL != 0);
        self.jobs.note(job, name, event, of_trail.then_some(stated));
        if scopes != 0 {
            self.statements.note((job, principal, scopes), event.time, at);
        }
    }
}
