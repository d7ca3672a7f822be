//! What the archive advises: how long things take to settle, which retries are enough, which hours and rotations are in the
//! way, which permissions steps need. Every figure comes with its count and records it rests on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Judge;
use super::archive::Whole;
use super::figures::{Cites, HUNDRED, LEAST, Records};
use super::hours::{self, Attempts, HourToAvoid};
use super::lag::{self, Began, Course, Courses, Lag};
use super::permissions::{self, StepNeeds};
use super::retries::{Backoff, OwnSchedule};
use super::rotation::Credentials;
use super::tally::Suspects;
use crate::correlate::{attempts_by_hour, hour_of_day};
use crate::error::Result;
use crate::evidence::Locator;

/// How many observations a figure takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Minimum {
    /// Of fewer, no percentile is given and no schedule sought.
    pub observations: usize,
    /// Of fewer, the 99th percentile is the longest, and "99 of 100" is said of none.
    pub ninety_nine_of_hundred: usize,
}

/// Legal holds, from placing to synchronising.
#[derive(Clone, Debug, Serialize)]
pub struct HoldLags {
    pub placed: usize,
    pub synced: usize,
    /// Without a synchronising on record, of which some were lifted first.
    pub open: usize,
    pub lifted: usize,
    /// Records of a placing that is already counted.
    pub told_again: usize,
    pub lags: Vec<Lag>,
}

/// Failures whose cause is time, from the first conflict to success.
#[derive(Clone, Debug, Serialize)]
pub struct ConflictLags {
    pub failures: usize,
    pub recovered: usize,
    pub open: usize,
    /// Failures that met a conflict or were a race and ended otherwise than by time, by mechanism or class.
    pub set_aside: BTreeMap<String, usize>,
    pub lags: Vec<Lag>,
}

/// The advice.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    pub minimum: Minimum,
    pub holds: HoldLags,
    pub conflicts: ConflictLags,
    /// For all failures, then for each mechanism.
    pub own_schedule: Vec<OwnSchedule>,
    /// For all failures, then for each mechanism.
    pub backoff: Vec<Backoff>,
    pub hours_to_avoid: Vec<HourToAvoid>,
    pub credentials: Credentials,
    pub permissions: Vec<StepNeeds>,
}

impl Cites for Advice {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        self.holds.lags.cites(each);
        self.conflicts.lags.cites(each);
        self.own_schedule.cites(each);
        self.backoff.cites(each);
        self.hours_to_avoid.cites(each);
        self.credentials.cites(each);
        self.permissions.cites(each);
    }
}

impl Judge<'_> {
    /// What the archive advises; `courses` and `suspects` are those of all failures.
    ///
    /// # Errors
    /// The outline cannot be read.
    pub fn advice(&self, courses: &Courses, suspects: &Suspects) -> Result<Advice> {
        let archive = &self.whole;
        let (holds, slow_holds) = hold_lags(archive)?;
        let (conflicts, slow_conflicts) = conflict_lags(archive, courses);
        let all = &courses.all;
        let end = archive.contrast.span.map(|(_, last)| last);
        let groups = by_mechanism(courses);
        let own_schedule: Vec<OwnSchedule> =
            groups.iter().map(|(mechanism, of)| OwnSchedule::learn(*mechanism, of, end)).collect();
        let backoff: Vec<Backoff> = groups.iter().map(|(mechanism, of)| Backoff::find(*mechanism, of)).collect();
        let advised = backoff.first().and_then(|backoff| backoff.schedule.as_ref());
        let own = own_schedule.first().and_then(|own| own.replay.as_ref());
        let span = advised.or(own).map(|replay| replay.span_seconds);
        let crowded = hours::crowded(&first_records(archive, courses), &attempts(archive)?);
        Ok(Advice {
            minimum: Minimum { observations: LEAST, ninety_nine_of_hundred: HUNDRED },
            holds,
            conflicts,
            credentials: Credentials::against(archive, all, span),
            own_schedule,
            backoff,
            hours_to_avoid: [slow_holds, slow_conflicts, crowded].concat(),
            permissions: permissions::learn(archive, suspects)?,
        })
    }
}

impl Judge<'_> {
    /// How long holds took to synchronise.
    ///
    /// # Errors
    /// The outline cannot be read.
    pub fn hold_lags(&self) -> Result<HoldLags> {
        Ok(hold_lags(&self.whole)?.0)
    }
}

/// All failures, then those of each mechanism.
fn by_mechanism(courses: &Courses) -> BTreeMap<Option<&str>, Vec<&Course>> {
    let mut groups: BTreeMap<Option<&str>, Vec<&Course>> = BTreeMap::from([(None, courses.all.iter().collect())]);
    for course in &courses.all {
        if let Some(mechanism) = &course.mechanism {
            groups.entry(Some(mechanism)).or_default().push(course);
        }
    }
    groups
}

fn hold_lags(archive: &Whole<'_>) -> Result<(HoldLags, Vec<HourToAvoid>)> {
    let placed = lag::placed(archive)?;
    let cells = placed.began;
    let synced: usize = cells.values().map(|sample| sample.observed().len()).sum();
    let all = synced + cells.values().map(|sample| sample.censored).sum::<usize>();
    let lags = HoldLags {
        placed: all,
        synced,
        open: all - synced,
        lifted: placed.lifted,
        told_again: placed.told_again,
        lags: lag::lags(&cells),
    };
    Ok((lags, hours::slow(&cells, "holds_synchronise_slowly")))
}

fn conflict_lags(archive: &Whole<'_>, courses: &Courses) -> (ConflictLags, Vec<HourToAvoid>) {
    let began = courses.all.iter().map(|course| Began {
        region: region(archive, course),
        time: course.began,
        took: course.to_success,
    });
    let cells = lag::by_hour(began);
    let recovered = courses.all.iter().filter(|course| course.to_success.is_some()).count();
    let lags = ConflictLags {
        failures: courses.all.len(),
        recovered,
        open: courses.all.len() - recovered,
        set_aside: courses.set_aside.clone(),
        lags: lag::lags(&cells),
    };
    (lags, hours::slow(&cells, "conflicts_clear_slowly"))
}

/// The first failing records, in order, by where and when the failures began.
fn first_records(archive: &Whole<'_>, courses: &Courses) -> BTreeMap<(Option<String>, usize), Vec<Locator>> {
    let mut found: BTreeMap<(Option<String>, usize), Vec<Locator>> = BTreeMap::new();
    for course in &courses.all {
        let key = (region(archive, course), hour_of_day(course.first_failed));
        found.entry(key).or_default().push(course.record);
    }
    for records in found.values_mut() {
        records.sort_unstable();
    }
    found
}

fn attempts(archive: &Whole<'_>) -> Result<Attempts> {
    let counts = attempts_by_hour(archive.outline)?;
    let named =
        counts.into_iter().map(|(region, counts)| (archive.outline.symbols.name(region).map(str::to_owned), counts));
    Ok(named.collect())
}

fn region(archive: &Whole<'_>, course: &Course) -> Option<String> {
    archive.outline.symbols.name(course.region).map(str::to_owned)
}
