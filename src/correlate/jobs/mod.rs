//! What is known of jobs as wholes: exporters may state caller, bucket and tenant once, at the start.
//!
//! Jobs grow with the archive. In memory is of each, once all is read, its hash and which of a few sets of statements it
//! makes; what else is known of it lies in a temporary file.

mod aside;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::outline::IdHash;
use super::symbols::{Symbol, Symbols};
use crate::error::Result;
use crate::ingest::{Event, Text};
use aside::{Aside, Whole, first_bits};

/// Columns that hold for the whole of a job.
const STATED: [Text; 5] = [Text::Principal, Text::Bucket, Text::TenantId, Text::Region, Text::MediaType];

/// Place of the media type in [`STATED`].
const MEDIA: usize = 4;

/// What a job's records in the trail state for all of it, first come first served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stated {
    /// The values of [`STATED`].
    values: [Symbol; STATED.len()],
    /// Whether its records state different media types.
    pub several_media: bool,
}

impl Stated {
    /// What is stated of `column`.
    #[must_use]
    pub fn of(&self, column: Text) -> Symbol {
        STATED.iter().position(|known| *known == column).map_or(0, |n| self.values[n])
    }

    /// What is stated of `column`, as text.
    #[must_use]
    pub fn text(&self, column: Text, symbols: &Symbols) -> Option<String> {
        symbols.name(self.of(column)).map(str::to_owned)
    }

    /// Adds what later records state.
    fn add(&mut self, later: &Self) {
        let (media, more) = (self.values[MEDIA], later.values[MEDIA]);
        self.several_media |= later.several_media || (media != 0 && more != 0 && media != more);
        for (held, more) in self.values.iter_mut().zip(later.values) {
            if *held == 0 {
                *held = more;
            }
        }
    }
}

/// When a job was at work.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// Time of its first record in the trail and of its last in any source, microseconds since 1970, UTC.
    began: Option<i64>,
    last: Option<i64>,
    started: bool,
    ended: bool,
}

impl Course {
    /// Adds what later records say.
    fn add(&mut self, later: &Self) {
        self.began = [self.began, later.began].into_iter().flatten().min();
        self.last = self.last.max(later.last);
        self.started |= later.started;
        self.ended |= later.ended;
    }
}

/// A job that starts and does not end.
#[derive(Clone, Debug)]
pub struct Unended {
    pub id: String,
    /// Time of its last record, microseconds since 1970, UTC.
    pub last: Option<i64>,
}

/// The jobs by the hash of their ids.
#[derive(Default)]
pub struct Jobs {
    /// Those of which records were read last.
    open: HashMap<IdHash, Open, foldhash::fast::RandomState>,
    /// The others, as far as the archive has been read; only the outline that others are appended to has any.
    aside: Option<Box<Aside>>,
    /// All of them, once all is read.
    whole: Whole,
}

struct Open {
    id: Box<str>,
    course: Course,
    stated: Stated,
}

/// Jobs that are in memory while the archive is read.
const OPEN: usize = if cfg!(test) { 4 } else { 1 << 15 };

impl Jobs {
    /// Takes in one event of a job; `stated` are the values of [`STATED`], for events of the trail.
    pub fn note(&mut self, job: IdHash, id: &str, event: &Event<'_>, stated: Option<[Symbol; STATED.len()]>) {
        let step = event.get(Text::Step);
        let course = Course {
            began: event.time.filter(|_| stated.is_some()),
            last: event.time,
            started: step == Some("job.started"),
            ended: matches!(step, Some("job.completed" | "job.failed" | "job.cancelled")),
        };
        let stated = Stated { values: stated.unwrap_or_default(), several_media: false };
        match self.open.entry(job) {
            Entry::Occupied(mut held) => held.get_mut().add(&course, &stated),
            Entry::Vacant(free) => drop(free.insert(Open { id: id.into(), course, stated })),
        }
    }

    /// Takes in the jobs of a later part of the archive; `numbers` gives its symbols as symbols here.
    pub fn merge(&mut self, later: Self, numbers: &[Symbol]) {
        #[expect(clippy::iter_over_hash_type, reason = "each entry goes to its own place")]
        for (hash, mut job) in later.open {
            job.stated.values = job.stated.values.map(|symbol| numbers[symbol as usize]);
            match self.open.entry(hash) {
                Entry::Occupied(mut held) => held.get_mut().add(&job.course, &job.stated),
                Entry::Vacant(free) => drop(free.insert(job)),
            }
        }
        if self.open.len() >= OPEN {
            self.put_aside();
        }
    }

    fn put_aside(&mut self) {
        let aside = self.aside.get_or_insert_default();
        #[expect(clippy::iter_over_hash_type, reason = "they are sorted by hash, and each hash comes once")]
        for (hash, job) in self.open.drain() {
            if aside.unwritten.is_none() {
                aside.unwritten = aside.push(hash, &job).err();
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub fn finish(&mut self) -> Result<()> {
        self.put_aside();
        self.open = HashMap::default();
        let aside = self.aside.take().map(|aside| *aside).unwrap_or_default();
        if let Some(error) = aside.unwritten {
            return Err(error);
        }
        self.whole = Whole::of_entries(aside.entries.finish()?, aside.ids, aside.sets)?;
        Ok(())
    }

    /// How many there are, once all is read.
    #[must_use]
    pub fn count(&self) -> usize {
        self.whole.hashes.len()
    }

    /// The number of a job among all of them; none before the reading has ended.
    #[must_use]
    pub fn place(&self, job: IdHash) -> Option<usize> {
        let Whole { hashes, starts, .. } = &self.whole;
        let groups = starts.len().checked_sub(1)?;
        let group = first_bits(job, groups.trailing_zeros());
        let [start, end] = [starts[group], starts[group + 1]].map(|place| place as usize);
        let place = hashes[start..end].iter().position(|hash| *hash == job)?;
        Some(start + place)
    }

    /// What a job states for all of it; nothing before the reading has ended.
    #[must_use]
    pub fn get(&self, job: IdHash) -> Option<&Stated> {
        let place = self.place(job)?;
        self.whole.sets.get(self.whole.stated[place])
    }

    /// The id of a job.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn id(&self, job: IdHash) -> Result<Option<String>> {
        self.whole.find(job)?.map(|job| self.whole.text(job.id)).transpose()
    }

    /// When a job began, microseconds since 1970, UTC.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn began(&self, job: IdHash) -> Result<Option<i64>> {
        Ok(self.whole.find(job)?.and_then(|job| job.course.began))
    }

    /// Jobs that start and neither complete nor fail nor are cancelled, by their last record, then their id.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn without_end(&self) -> Result<Vec<Unended>> {
        let mut open = Vec::new();
        self.whole.each(|job| {
            if job.course.started && !job.course.ended {
                open.push((job.id, job.course.last));
            }
        })?;
        let unended = |(id, last)| Ok(Unended { id: self.whole.text(id)?, last });
        let mut found = open.into_iter().map(unended).collect::<Result<Vec<Unended>>>()?;
        found.sort_by(|a, b| (a.last, &a.id).cmp(&(b.last, &b.id)));
        Ok(found)
    }

    /// How long the longest job took that is on record from its beginning to its end, microseconds.
    #[must_use]
    pub const fn longest(&self) -> Option<i64> {
        self.whole.longest
    }

    /// Time of the last record of any job.
    #[must_use]
    pub const fn latest(&self) -> Option<i64> {
        self.whole.latest
    }
}

impl Open {
    fn add(&mut self, course: &Course, stated: &Stated) {
        self.course.add(course);
        self.stated.add(stated);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Jobs, MEDIA, OPEN};
    use crate::ingest::{Event, Text};

    /// One record: which job, time, step, and caller and media type where it is of the trail.
    type Said = (u64, Option<i64>, usize, Option<[u32; 2]>);

    const STEPS: [&str; 4] = ["query", "job.started", "job.completed", "upload"];

    fn note(jobs: &mut Jobs, said: &Said) {
        let (job, time, step, stated) = *said;
        let mut event = Event::default();
        event.time = time;
        event.set(Text::Step, Some(STEPS[step]));
        let stated = stated.map(|[caller, media]| [caller, 0, 0, 0, media]);
        jobs.note(job, &format!("job {job}"), &event, stated);
    }

    fn said() -> impl Strategy<Value = Said> {
        let time = prop::option::of(0..1_000i64);
        (1..30u64, time, 0..STEPS.len(), prop::option::of([0..3u32, 0..3u32]))
    }

    proptest! {
        #[test]
        fn jobs_are_the_same_whether_they_were_put_aside_or_not(parts in prop::collection::vec(prop::collection::vec(said(), 0..20), 0..12)) {
            let mut jobs = Jobs::default();
            for part in &parts {
                let mut of_part = Jobs::default();
                for said in part {
                    note(&mut of_part, said);
                }
                jobs.merge(of_part, &[0, 1, 2]);
            }
            jobs.finish().expect("a temporary file");
            let mut by_job: BTreeMap<u64, Vec<&Said>> = BTreeMap::new();
            parts.iter().flatten().for_each(|said| by_job.entry(said.0).or_default().push(said));
            prop_assert_eq!(jobs.count(), by_job.len());
            prop_assert!(by_job.len() < OPEN || jobs.place(0).is_none());
            let mut unended = Vec::new();
            for (job, all) in &by_job {
                let of_trail = || all.iter().filter_map(|said| said.3);
                let first = |n: usize| of_trail().map(|stated| stated[n]).find(|symbol| *symbol != 0).unwrap_or(0);
                let media: std::collections::BTreeSet<u32> = of_trail().map(|stated| stated[1]).filter(|m| *m != 0).collect();
                let stated = jobs.get(*job).expect("a job");
                prop_assert_eq!([stated.of(Text::Principal), stated.values[MEDIA]], [first(0), first(1)]);
                prop_assert_eq!(stated.several_media, media.len() > 1);
                let began = all.iter().filter(|said| said.3.is_some()).filter_map(|said| said.1).min();
                prop_assert_eq!(jobs.began(*job).expect("a temporary file"), began);
                prop_assert_eq!(jobs.id(*job).expect("a temporary file"), Some(format!("job {job}")));
                let is = |step| all.iter().any(|said| STEPS[said.2] == step);
                if is("job.started") && !is("job.completed") {
                    unended.push((all.iter().filter_map(|said| said.1).max(), format!("job {job}")));
                }
            }
            unended.sort();
            let found: Vec<_> = jobs.without_end().expect("a temporary file").into_iter().map(|j| (j.last, j.id)).collect();
            prop_assert_eq!(found, unended);
            prop_assert_eq!(jobs.latest(), parts.iter().flatten().filter_map(|said| said.1).max());
        }
    }
}
