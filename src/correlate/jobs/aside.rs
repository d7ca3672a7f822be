//! Jobs that are not in memory, and what is in memory of them.

use std::collections::HashMap;

use super::{Course, Open, Stated};
use crate::correlate::columns::known;
use crate::correlate::outline::{IdHash, NO_TIME};
use crate::error::{Error, Result};
use crate::spill::{Scratch, Sorted, Sorter, halves, joined, temporary};

/// Jobs whose records were read a while ago: of each one entry or, where its records lie far apart, several.
#[derive(Default)]
pub struct Aside {
    pub entries: Sorter<6>,
    pub ids: Scratch,
    pub sets: Sets,
    /// Why a job could not be put aside.
    pub unwritten: Option<Error>,
}

/// The sets of statements that jobs make: few, and each held once.
#[derive(Default)]
pub struct Sets {
    all: Vec<Stated>,
    numbers: HashMap<Stated, u32, foldhash::fast::RandomState>,
}

impl Sets {
    /// The number of a set, which becomes one of those that are known.
    fn number(&mut self, set: Stated) -> u32 {
        let Self { all, numbers } = self;
        *numbers.entry(set).or_insert_with(|| {
            all.push(set);
            u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The set of a number.
    pub fn get(&self, number: u32) -> Option<&Stated> {
        self.all.get(number as usize)
    }
}

/// All jobs, once all is read.
#[derive(Default)]
pub struct Whole {
    /// Ascending; with the set that each job states.
    pub hashes: Vec<IdHash>,
    pub stated: Vec<u32>,
    pub sets: Sets,
    /// Where the hashes begin that have the same first bits.
    pub starts: Vec<u32>,
    /// By hash, then as they were read.
    pub entries: Sorted<6>,
    pub ids: Scratch,
    pub longest: Option<i64>,
    pub latest: Option<i64>,
}

/// Hashes that have the same first bits, more or less.
const ALIKE: usize = 4;

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

/// What all that lies there of a job tells.
pub struct Told {
    hash: IdHash,
    pub course: Course,
    /// The sets of what it states, in the order of its records.
    stated: Vec<u32>,
    /// Where its id lies.
    pub id: (u64, u32),
}

impl Told {
    fn of(first: &Put) -> Self {
        let Put { hash, course, stated, id } = *first;
        Self { hash, course, stated: vec![stated], id }
    }

    fn add(&mut self, later: &Put) {
        self.course.add(&later.course);
        self.stated.push(later.stated);
    }
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
    /// Adds a job, or what later records say of one.
    pub fn push(&mut self, hash: IdHash, job: &Open) -> Result<()> {
        let at = self.ids.append(job.id.as_bytes()).map_err(|e| temporary("writing what is known of the jobs", e))?;
        let id = (at, u32::try_from(job.id.len()).unwrap_or(u32::MAX));
        let stated = self.sets.number(job.stated);
        self.entries.push(Put { hash, course: job.course, stated, id }.to_words())
    }
}

impl Whole {
    /// Goes through all entries once, for what is in memory of each job.
    pub fn of_entries(entries: Sorted<6>, ids: Scratch, sets: Sets) -> Result<Self> {
        let mut whole = Self { entries, ids, ..Self::default() };
        let (mut sets, mut hashes, mut stated) = (sets, Vec::new(), Vec::new());
        let (mut longest, mut latest) = (None, None);
        whole.each(|job| {
            let Course { began, last, started, ended } = job.course;
            let took = last.zip(began).filter(|_| started && ended).map(|(last, began)| last - began);
            longest = longest.max(took);
            latest = latest.max(last);
            let mut all = job.stated.iter().filter_map(|number| sets.get(*number).copied());
            let mut set = all.next().unwrap_or_default();
            all.for_each(|more| set.add(&more));
            hashes.push(job.hash);
            stated.push(sets.number(set));
        })?;
        let groups = (hashes.len() / ALIKE).next_power_of_two();
        let bits = groups.trailing_zeros();
        let start = |group: usize| hashes.partition_point(|hash| first_bits(*hash, bits) < group);
        whole.starts = (0..=groups).map(|group| u32::try_from(start(group)).unwrap_or(u32::MAX)).collect();
        hashes.shrink_to_fit();
        stated.shrink_to_fit();
        Ok(Self { hashes, stated, sets, longest, latest, ..whole })
    }

    /// Shows every job once, in order of hash, as far as all its entries tell.
    pub fn each(&self, mut see: impl FnMut(Told)) -> Result<()> {
        let mut job: Option<Told> = None;
        self.entries.each(|words| {
            let put = Put::from_words(words);
            match job.as_mut().filter(|job| job.hash == put.hash) {
                Some(job) => job.add(&put),
                None => job.replace(Told::of(&put)).into_iter().for_each(&mut see),
            }
            Ok(())
        })?;
        job.into_iter().for_each(see);
        Ok(())
    }

    /// A job, as far as all its entries tell.
    pub fn find(&self, job: IdHash) -> Result<Option<Told>> {
        let mut found: Option<Told> = None;
        self.entries.beginning([job], |words| {
            let put = Put::from_words(words);
            match &mut found {
                Some(job) => job.add(&put),
                None => found = Some(Told::of(&put)),
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The id that lies somewhere.
    pub fn text(&self, (at, length): (u64, u32)) -> Result<String> {
        let mut bytes = vec![0; length as usize];
        self.ids.read(at, &mut bytes).map_err(|e| temporary("reading what is known of the jobs", e))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The first so many bits of a hash.
pub fn first_bits(hash: IdHash, bits: u32) -> usize {
    usize::try_from(hash.checked_shr(IdHash::BITS - bits).unwrap_or(0)).unwrap_or(0)
}
