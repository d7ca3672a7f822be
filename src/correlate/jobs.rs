//! What is known of jobs as wholes: exporters may state caller, bucket and tenant once, at the start.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::outline::IdHash;
use super::symbols::{Symbol, Symbols};
use crate::ingest::{Event, Text};

/// Columns that hold for the whole of a job.
const STATED: [Text; 5] = [Text::Principal, Text::Bucket, Text::TenantId, Text::Region, Text::MediaType];

/// What a job's records say of it, first come first served.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: Box<str>,
    /// Time of the job's first and last record, microseconds since 1970, UTC.
    pub began: Option<i64>,
    pub last: Option<i64>,
    pub started: bool,
    pub ended: bool,
    /// Whether its records state different media types.
    pub several_media: bool,
    /// The values of [`STATED`] in the trail.
    stated: [Symbol; STATED.len()],
}

/// Place of the media type in [`STATED`].
const MEDIA: usize = 4;

impl Job {
    /// What the job's records say of `column`.
    #[must_use]
    pub fn stated(&self, column: Text) -> Symbol {
        STATED.iter().position(|known| *known == column).map_or(0, |n| self.stated[n])
    }

    /// What the job's records say of `column`, as text.
    #[must_use]
    pub fn stated_text(&self, column: Text, symbols: &Symbols) -> Option<String> {
        symbols.name(self.stated(column)).map(str::to_owned)
    }

    /// Adds what later records say.
    fn add(&mut self, later: &Self) {
        self.began = [self.began, later.began].into_iter().flatten().min();
        self.last = self.last.max(later.last);
        self.started |= later.started;
        self.ended |= later.ended;
        let (media, more) = (self.stated[MEDIA], later.stated[MEDIA]);
        self.several_media |= later.several_media || (media != 0 && more != 0 && media != more);
        for (held, more) in self.stated.iter_mut().zip(later.stated) {
            if *held == 0 {
                *held = more;
            }
        }
    }
}

/// The jobs by the hash of their ids.
#[derive(Default)]
pub struct Jobs {
    /// While they are being read.
    open: HashMap<IdHash, Job, foldhash::fast::RandomState>,
    /// Afterwards, ascending, which takes half the memory; with the job of each.
    hashes: Vec<IdHash>,
    all: Vec<Job>,
    /// Where the hashes begin that have the same first bits.
    starts: Vec<u32>,
}

/// Hashes that have the same first bits, more or less.
const ALIKE: usize = 4;

impl Jobs {
    /// Takes in one event of a job; `stated` are the values of [`STATED`], for events of the trail.
    pub fn note(&mut self, job: IdHash, id: &str, event: &Event<'_>, stated: Option<[Symbol; STATED.len()]>) {
        let step = event.get(Text::Step);
        let began = event.time.filter(|_| stated.is_some());
        let ended = matches!(step, Some("job.completed" | "job.failed" | "job.cancelled"));
        let (begins, stated) = (step == Some("job.started"), stated.unwrap_or_default());
        match self.open.entry(job) {
            Entry::Occupied(mut held) => {
                held.get_mut().add(&Job {
                    id: Box::default(),
                    began,
                    last: event.time,
                    started: begins,
                    ended,
                    several_media: false,
                    stated,
                });
            }
            Entry::Vacant(free) => {
                let (id, last) = (id.into(), event.time);
                free.insert(Job { id, began, last, started: begins, ended, several_media: false, stated });
            }
        }
    }

    /// Takes in the jobs of a later part of the archive; `numbers` gives its symbols as symbols here.
    pub fn merge(&mut self, later: Self, numbers: &[Symbol]) {
        #[expect(clippy::iter_over_hash_type, reason = "each entry goes to its own place")]
        for (hash, mut job) in later.open {
            job.stated = job.stated.map(|symbol| numbers[symbol as usize]);
            match self.open.entry(hash) {
                Entry::Occupied(mut held) => held.get_mut().add(&job),
                Entry::Vacant(free) => {
                    free.insert(job);
                }
            }
        }
    }

    /// Ends the reading.
    pub fn finish(&mut self) {
        self.hashes = self.open.keys().copied().collect();
        self.hashes.sort_unstable();
        let open = &mut self.open;
        self.all = self.hashes.iter().filter_map(|hash| open.remove(hash)).collect();
        self.open = HashMap::default();
        let groups = (self.hashes.len() / ALIKE).next_power_of_two();
        let bits = groups.trailing_zeros();
        let start = |group: usize| self.hashes.partition_point(|hash| first_bits(*hash, bits) < group);
        self.starts = (0..=groups).map(|group| u32::try_from(start(group)).unwrap_or(u32::MAX)).collect();
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.len() + self.all.len()
    }

    /// A job; none before the reading has ended.
    #[must_use]
    pub fn get(&self, job: IdHash) -> Option<&Job> {
        let groups = self.starts.len().checked_sub(1)?;
        let group = first_bits(job, groups.trailing_zeros());
        let [start, end] = [self.starts[group], self.starts[group + 1]].map(|place| place as usize);
        let place = self.hashes[start..end].iter().position(|hash| *hash == job)?;
        self.all.get(start + place)
    }

    /// Jobs that start and neither complete nor fail nor are cancelled, by their last record, then their id.
    #[must_use]
    pub fn without_end(&self) -> Vec<&Job> {
        let mut found: Vec<&Job> = self.all.iter().filter(|job| job.started && !job.ended).collect();
        found.sort_by(|a, b| (a.last, &a.id).cmp(&(b.last, &b.id)));
        found
    }

    /// How long the longest job took that is on record from its beginning to its end, microseconds.
    #[must_use]
    pub fn longest(&self) -> Option<i64> {
        let whole = self.all.iter().filter(|job| job.started && job.ended);
        whole.filter_map(|job| Some(job.last? - job.began?)).max()
    }

    /// Time of the last record of any job.
    #[must_use]
    pub fn latest(&self) -> Option<i64> {
        self.all.iter().filter_map(|job| job.last).max()
    }
}

fn first_bits(hash: IdHash, bits: u32) -> usize {
    usize::try_from(hash.checked_shr(IdHash::BITS - bits).unwrap_or(0)).unwrap_or(0)
}
