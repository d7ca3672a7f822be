//! What is known of jobs as wholes: exporters may state caller, bucket and tenant once, at the start.
//!
//! Jobs grow with the archive. In memory is of each, once all is read, its hash and which of a few sets of statements it
//! makes; what else is known of it lies in a temporary file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::columns::known;
use super::outline::{IdHash, NO_TIME};
use super::symbols::{Symbol, Symbols};
use crate::error::{Error, Result};
use crate::ingest::{Event, Text};
use crate::spill::{Scratch, Sorted, Sorter, halves, joined, temporary};

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

/// Jobs whose records were read a while ago: of each one entry or, where its records lie far apart, several.
#[derive(Default)]
struct Aside {
    entries: Sorter<6>,
    ids: Scratch,
    sets: Vec<Stated>,
    numbers: HashMap<Stated, u32, foldhash::fast::RandomState>,
    /// Why a job could not be put aside.
    unwritten: Option<Error>,
}

#[derive(Default)]
struct Whole {
    /// Ascending; with the set that each job states.
    hashes: Vec<IdHash>,
    stated: Vec<u32>,
    sets: Vec<Stated>,
    /// Where the hashes begin that have the same first bits.
    starts: Vec<u32>,
    /// By hash, then as they were read.
    entries: Sorted<6>,
    ids: Scratch,
    longest: Option<i64>,
    latest: Option<i64>,
}

/// Jobs that are in memory while the archive is read.
const OPEN: usize = 1 << 15;
/// Hashes that have the same first bits, more or less.
const ALIKE: usize = 4;

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
        let Aside { entries, ids, sets, numbers, .. } = aside;
        self.whole = Whole { entries: entries.finish()?, ids, ..Whole::default() };
        self.whole.index(sets, numbers)
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
        self.whole.sets.get(self.whole.stated[place] as usize)
    }

    /// The id of a job.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn id(&self, job: IdHash) -> Result<Option<String>> {
        let mut lies = None;
        self.whole.of(job, |entry| lies = lies.or(Some(entry.id)))?;
        lies.map(|lies| self.whole.text(lies)).transpose()
    }

    /// When a job began, microseconds since 1970, UTC.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn began(&self, job: IdHash) -> Result<Option<i64>> {
        let mut course = Course::default();
        self.whole.of(job, |entry| course.add(&entry.course))?;
        Ok(course.began)
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

const STARTED: u32 = 1;
const ENDED: u32 = 2;

/// What lies in the temporary file of a job.
struct Put {
    hash: IdHash,
    course: Course,
    /// The set of what it states.
    stated: u32,
    /// Where its id lies, and how long it is.
    id: (u64, u32),
}

impl Put {
    /// In order of hash; of a hash as they were put there.
    fn to_words(&self) -> [u64; 6] {
        let Course { began, last, started, ended } = self.course;
        let [began, last] = [began, last].map(|time| time.unwrap_or(NO_TIME).cast_unsigned());
        let flags = if started { STARTED } else { 0 } | if ended { ENDED } else { 0 };
        [self.hash, self.id.0, began, last, joined(self.id.1, flags), u64::from(self.stated)]
    }

    fn from_words([hash, at, began, last, length, set]: [u64; 6]) -> Self {
        let ([length, flags], [_, set]) = (halves(length), halves(set));
        let (started, ended) = (flags & STARTED != 0, flags & ENDED != 0);
        let course = Course { began: known(began), last: known(last), started, ended };
        Self { hash, course, stated: set, id: (at, length) }
    }
}

impl Aside {
    fn push(&mut self, hash: IdHash, job: &Open) -> Result<()> {
        let at = self.ids.append(job.id.as_bytes()).map_err(|e| temporary("writing what is known of the jobs", e))?;
        let id = (at, u32::try_from(job.id.len()).unwrap_or(u32::MAX));
        let stated = number(&mut self.sets, &mut self.numbers, job.stated);
        self.entries.push(Put { hash, course: job.course, stated, id }.to_words())
    }
}

/// The number of a set, which becomes one of those that are known.
fn number(sets: &mut Vec<Stated>, numbers: &mut HashMap<Stated, u32, foldhash::fast::RandomState>, set: Stated) -> u32 {
    *numbers.entry(set).or_insert_with(|| {
        sets.push(set);
        u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
    })
}

impl Whole {
    /// Goes through all entries once, for what is in memory of each job.
    fn index(
        &mut self,
        sets: Vec<Stated>,
        mut numbers: HashMap<Stated, u32, foldhash::fast::RandomState>,
    ) -> Result<()> {
        self.sets = sets;
        let (mut hashes, mut stated, mut sets) = (Vec::new(), Vec::new(), std::mem::take(&mut self.sets));
        let (mut longest, mut latest) = (None, None);
        self.entries.each(|words| {
            let put = Put::from_words(words);
            if hashes.last() == Some(&put.hash) {
                let more = sets[put.stated as usize];
                let last: &mut u32 = stated.last_mut().expect("as many as hashes");
                let mut set = sets[*last as usize];
                set.add(&more);
                *last = number(&mut sets, &mut numbers, set);
            } else {
                hashes.push(put.hash);
                stated.push(put.stated);
            }
            Ok(())
        })?;
        self.each(|job| {
            let Course { began, last, started, ended } = job.course;
            let took = last.zip(began).filter(|_| started && ended).map(|(last, began)| last - began);
            longest = longest.max(took);
            latest = latest.max(last);
        })?;
        let groups = (hashes.len() / ALIKE).next_power_of_two();
        let bits = groups.trailing_zeros();
        let start = |group: usize| hashes.partition_point(|hash| first_bits(*hash, bits) < group);
        self.starts = (0..=groups).map(|group| u32::try_from(start(group)).unwrap_or(u32::MAX)).collect();
        hashes.shrink_to_fit();
        stated.shrink_to_fit();
        (self.hashes, self.stated, self.sets, self.longest, self.latest) = (hashes, stated, sets, longest, latest);
        Ok(())
    }

    /// Shows every job once, in order of hash, as far as all its entries tell; what it states aside.
    fn each(&self, mut see: impl FnMut(Put)) -> Result<()> {
        let mut job: Option<Put> = None;
        self.entries.each(|words| {
            let put = Put::from_words(words);
            match job.as_mut().filter(|job| job.hash == put.hash) {
                Some(job) => job.course.add(&put.course),
                None => {
                    if let Some(job) = job.replace(put) {
                        see(job);
                    }
                }
            }
            Ok(())
        })?;
        job.into_iter().for_each(see);
        Ok(())
    }

    /// Shows the entries of a job.
    fn of(&self, job: IdHash, mut see: impl FnMut(Put)) -> Result<()> {
        self.entries.from([job, 0, 0, 0, 0, 0], |words| {
            let put = Put::from_words(words);
            let is_of_job = put.hash == job;
            if is_of_job {
                see(put);
            }
            Ok(is_of_job)
        })
    }

    fn text(&self, (at, length): (u64, u32)) -> Result<String> {
        let mut bytes = vec![0; length as usize];
        self.ids.read(at, &mut bytes).map_err(|e| temporary("reading what is known of the jobs", e))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn first_bits(hash: IdHash, bits: u32) -> usize {
    usize::try_from(hash.checked_shr(IdHash::BITS - bits).unwrap_or(0)).unwrap_or(0)
}
