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
pub struct Jobs(HashMap<IdHash, Job, foldhash::fast::RandomState>);

impl Jobs {
    /// Takes in one event of a job; `stated` are the values of [`STATED`], for events of the trail.
    pub fn note(&mut self, job: IdHash, id: &str, event: &Event<'_>, stated: Option<[Symbol; STATED.len()]>) {
        let step = event.get(Text::Step);
        let began = event.time.filter(|_| stated.is_some());
        let ended = matches!(step, Some("job.completed" | "job.failed" | "job.cancelled"));
        let (begins, stated) = (step == Some("job.started"), stated.unwrap_or_default());
        match self.0.entry(job) {
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
        for (hash, mut job) in later.0 {
            job.stated = job.stated.map(|symbol| numbers[symbol as usize]);
            match self.0.entry(hash) {
                Entry::Occupied(mut held) => held.get_mut().add(&job),
                Entry::Vacant(free) => {
                    free.insert(job);
                }
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A job.
    #[must_use]
    pub fn get(&self, job: IdHash) -> Option<&Job> {
        self.0.get(&job)
    }

    /// Jobs that start and neither complete nor fail nor are cancelled, by their last record, then their id.
    #[must_use]
    pub fn without_end(&self) -> Vec<&Job> {
        let mut found: Vec<&Job> = self.0.values().filter(|job| job.started && !job.ended).collect();
        found.sort_by(|a, b| (a.last, &a.id).cmp(&(b.last, &b.id)));
        found
    }

    /// How long the longest job took that is on record from its beginning to its end, microseconds.
    #[must_use]
    pub fn longest(&self) -> Option<i64> {
        let whole = self.0.values().filter(|job| job.started && job.ended);
        whole.filter_map(|job| Some(job.last? - job.began?)).max()
    }

    /// Time of the last record of any job.
    #[must_use]
    pub fn latest(&self) -> Option<i64> {
        self.0.values().filter_map(|job| job.last).max()
    }
}
