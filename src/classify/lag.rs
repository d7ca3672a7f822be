//! How long things took to settle: holds from their placing to their synchronising, failures whose cause is time from the
//! first conflict to success. What has no end on record is counted as such and is no value.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;
use serde::Serialize;

use super::OfWave;
use super::archive::{Archive, Whole};
use super::figures::{Cites, Observed, Records, Sample, Spread};
use super::holds::Hold;
use super::verdict::{Class, Verdict};
use crate::correlate::{EventTable, Failure, Row, Symbol, hour_of_day, regions_at};
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, Text};

/// It is over when the caller acknowledges the hold, not when time has passed.
const OVER_WHEN_ACKNOWLEDGED: &str = "missing_hold_acknowledgement";
/// What a hold that has not synchronised delays: writing the metadata and handing over the item.
const DELAYED: [&str; 3] = ["metadata_injection", "hold_sync", "export"];

/// The wait between two attempts at the same step that follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// 1 for that after the first attempt.
    pub number: u32,
    pub observed: Observed,
}

/// What became of a failure whose cause is time.
#[derive(Clone, Debug)]
pub struct Course {
    pub mechanism: Option<String>,
    /// Region and caller by their numbers in the outline; 0 where they are unknown.
    pub region: Symbol,
    pub principal: Symbol,
    /// When it failed first.
    pub first_failed: i64,
    pub last_failed: i64,
    /// From the first conflict (409, 412), else the first failing attempt, to success; and when that began.
    pub to_success: Option<Observed>,
    pub began: i64,
    /// From the first failing attempt to when it had settled: its hold's synchronising, else its success.
    pub to_settle: Option<Observed>,
    pub waits: Vec<Wait>,
    /// Retries after the first attempt at the step it failed at last.
    pub retries: u32,
    /// Its first failing attempt.
    pub record: Locator,
}

/// What became of the failures whose cause is time.
#[derive(Debug, Default)]
pub struct Courses {
    /// In no order.
    pub all: Vec<Course>,
    /// Failures that met a conflict, or were a race, and ended otherwise than by time: by mechanism, else class.
    pub set_aside: BTreeMap<String, usize>,
}

impl Courses {
    /// Adds those of other failures.
    pub fn add(&mut self, mut others: Self) {
        self.all.append(&mut others.all);
        for (why, count) in others.set_aside {
            *self.set_aside.entry(why).or_default() += count;
        }
    }
}

impl OfWave<'_, '_> {
    /// What became of `failures`, which have these verdicts.
    #[must_use]
    pub fn follow(&self, failures: &[&Failure], verdicts: &[Verdict]) -> Courses {
        let archive = &self.archive;
        let mut courses = Courses::default();
        for (failure, verdict) in failures.iter().zip(verdicts) {
            let conflict = conflict(archive.table, failure);
            let race = verdict.class == Class::SyncRace;
            if !race && conflict.is_none() {
                continue;
            }
            let by_time = match verdict.class {
                Class::SyncRace => verdict.mechanism.as_deref() != Some(OVER_WHEN_ACKNOWLEDGED),
                class => class == Class::Inconclusive,
            };
            if let Some(course) = course(archive, failure, verdict, conflict).filter(|_| by_time) {
                courses.all.push(course);
            } else {
                let why = verdict.mechanism.as_deref().unwrap_or_else(|| verdict.class.name());
                *courses.set_aside.entry(why.to_owned()).or_default() += 1;
            }
        }
        courses
    }
}

/// The first attempt that met a conflict.
fn conflict(table: &EventTable, failure: &Failure) -> Option<Row> {
    failure.failing.iter().copied().find(|row| matches!(table.status(*row), Some(409 | 412)))
}

/// `None` where no failing attempt has a time.
fn course(archive: &Archive<'_, '_>, failure: &Failure, verdict: &Verdict, conflict: Option<Row>) -> Option<Course> {
    let table = archive.table;
    let timed = |row: Row| Some((table.time(row)?, table.locator(row)));
    let mut failing = failure.failing.iter().filter_map(|row| timed(*row));
    let first = failing.next()?;
    let last = failing.next_back().unwrap_or(first);
    let (began, since) = conflict.and_then(timed).unwrap_or(first);
    let recovered = failure.recovery.and_then(timed);
    let until = |start: (i64, Locator), end: Option<(i64, Locator)>| {
        end.map(|(end, at)| Observed { micros: (end - start.0).max(0), records: [start.1, at] })
    };
    let synced = synced(archive, failure, last.0);
    let settled = [synced, recovered].into_iter().flatten().min();
    let waits = waits(table, failure);
    let symbol = |name: &Option<String>| name.as_deref().and_then(|name| archive.outline.symbols.find(name));
    Some(Course {
        region: symbol(&failure.region).unwrap_or(0),
        principal: symbol(&failure.principal).unwrap_or(0),
        mechanism: verdict.mechanism.clone(),
        first_failed: first.0,
        last_failed: last.0,
        to_success: until((began, since), recovered),
        began,
        to_settle: until(first, settled),
        retries: waits.last().map_or(0, |wait| wait.number),
        waits,
        record: first.1,
    })
}

/// When the holds that the failure fell into were in force everywhere. One that was before the last failing attempt is not
/// what it waited for; one without an end leaves it open.
fn synced(archive: &Archive<'_, '_>, failure: &Failure, last_failed: i64) -> Option<(i64, Locator)> {
    if !DELAYED.contains(&failure.last_step.as_str()) {
        return None;
    }
    let holds = archive.holds_of(failure);
    let open =
        |hold: &&Hold<'_>| hold.placed.time <= last_failed && hold.ended.is_none_or(|end| end.time > last_failed);
    let ends = holds.iter().filter(open).map(|hold| Some((hold.synced()?, hold.ended?.at)));
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The waits between the attempts of one source at one step, the last of which may be the one that succeeded.
fn waits(table: &EventTable, failure: &Failure) -> Vec<Wait> {
    let steps = failure.steps.iter().map(String::as_str);
    let failing = failure.failing.iter().copied().zip(steps);
    let recovery = failure.recovery.map(|row| (row, table.text(Text::Step, row).unwrap_or("")));
    let attempts: Vec<(Row, &str)> = failing.chain(recovery).collect();
    let (mut found, mut number) = (Vec::new(), 0);
    for pair in attempts.windows(2) {
        let [(before, at_step), (after, step)] = [pair[0], pair[1]];
        let (Some(start), Some(end)) = (table.time(before), table.time(after)) else { continue };
        if at_step != step || table.source(before) != table.source(after) {
            number = 0;
            continue;
        }
        number += 1;
        let records = [table.locator(before), table.locator(after)];
        found.push(Wait { number, observed: Observed { micros: end - start, records } });
    }
    found
}

/// Times by where and when they began.
#[derive(Clone, Debug, Serialize)]
pub struct Lag {
    /// `all`, `region`, or `region_hour`.
    pub of: &'static str,
    /// Null for `all`, and where the records name none.
    pub region: Option<String>,
    /// Hour of the day in which it began, UTC.
    pub hour: Option<usize>,
    #[serde(flatten)]
    pub spread: Spread,
}

impl Cites for Lag {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        self.spread.cites(each);
    }
}

/// Something that takes time: where and when it began, and how long it took.
pub struct Began {
    pub region: Option<String>,
    pub time: i64,
    pub took: Option<Observed>,
}

/// Times by region and hour of the day.
pub type ByHour = BTreeMap<(Option<String>, usize), Sample>;

/// Sorts things by where and when they began.
#[must_use]
pub fn by_hour(things: impl Iterator<Item = Began>) -> ByHour {
    let mut found = ByHour::new();
    things.for_each(|thing| add(&mut found, thing));
    sorted(found)
}

fn add(found: &mut ByHour, thing: Began) {
    found.entry((thing.region, hour_of_day(thing.time))).or_default().add(thing.took);
}

fn sorted(found: ByHour) -> ByHour {
    found.into_iter().map(|(key, sample)| (key, sample.sorted())).collect()
}

/// What several samples hold together.
#[must_use]
pub fn together<'s>(samples: impl Iterator<Item = &'s Sample>) -> Sample {
    let mut sum = Sample::default();
    for sample in samples {
        sample.observed().iter().for_each(|observed| sum.add(Some(*observed)));
        sum.censored += sample.censored;
    }
    sum.sorted()
}

/// The figures of all, of each region, of each region and hour.
#[must_use]
pub fn lags(cells: &ByHour) -> Vec<Lag> {
    let regions: BTreeSet<&Option<String>> = cells.keys().map(|(region, _)| region).collect();
    let mut found = vec![Lag { of: "all", region: None, hour: None, spread: together(cells.values()).spread() }];
    for region in &regions {
        let of_region = cells.iter().filter(|((own, _), _)| own == *region).map(|(_, sample)| sample);
        let spread = together(of_region).spread();
        found.push(Lag { of: "region", region: (*region).clone(), hour: None, spread });
    }
    found.extend(cells.iter().map(|((region, hour), sample)| Lag {
        of: "region_hour",
        region: region.clone(),
        hour: Some(*hour),
        spread: sample.spread(),
    }));
    found
}

/// Holds as they were placed, each counted once.
#[derive(Default)]
pub struct Placed {
    pub began: ByHour,
    /// Lifted before they were in force everywhere, as far as is on record; counted among those without an end.
    pub lifted: usize,
    /// Records of a placing that is already counted: other sources tell of it, or it was placed again before it had
    /// synchronised.
    pub told_again: usize,
}

/// The holds of the archive. The first of several placings with the same end is the one that counts.
///
/// # Errors
/// A temporary file cannot be read.
pub fn placed(archive: &Whole<'_>) -> Result<Placed> {
    let (mut found, mut seen) = (Placed::default(), Seen::new(&archive.outline.keys));
    let records = archive.all_holds.log().records()?;
    let regions = regions_at(archive.outline, &records)?;
    let region = |change: &Change| {
        let symbol = records.binary_search(&change.at).map_or(0, |n| regions[n]);
        archive.outline.symbols.name(symbol).map(str::to_owned)
    };
    // Those that name their hold come first: a record that does not may be another one of the same placing.
    for named in [true, false] {
        let is_wanted = |placed: &Change| placed.hold.is_some() == named;
        archive.all_holds.each(is_wanted, |placed, ended| {
            if !seen.is_new(placed, ended) {
                found.told_again += 1;
                return Ok(());
            }
            let synced = ended.filter(|change| change.kind == ChangeKind::HoldSynced);
            found.lifted += usize::from(ended.is_some() && synced.is_none());
            let took = synced.map(|end| Observed { micros: end.time - placed.time, records: [placed.at, end.at] });
            let region = region(placed).or_else(|| ended.and_then(region));
            add(&mut found.began, Began { region, time: placed.time, took });
            Ok(())
        })?;
    }
    Ok(Placed { began: sorted(found.began), ..found })
}

/// Which placings were met, by hashes.
struct Seen<'a> {
    keys: &'a RandomState,
    /// By subject and end; without one by subject and hold.
    met: HashSet<u64, foldhash::fast::RandomState>,
    /// Subjects of those without an end.
    open: HashSet<u64, foldhash::fast::RandomState>,
}

impl<'a> Seen<'a> {
    fn new(keys: &'a RandomState) -> Self {
        Self { keys, met: HashSet::default(), open: HashSet::default() }
    }

    /// Whether a placing is none that was met, of which it is one then.
    fn is_new(&mut self, placed: &Change, ended: Option<&Change>) -> bool {
        let subject = self.keys.hash_one(&placed.subject);
        if ended.is_none() && placed.hold.is_none() && self.open.contains(&subject) {
            return false;
        }
        let hold = placed.hold.as_deref().filter(|_| ended.is_none());
        let new = self.met.insert(self.keys.hash_one((&placed.subject, hold, ended.map(|end| end.at))));
        if new && ended.is_none() {
            self.open.insert(subject);
        }
        new
    }
}
