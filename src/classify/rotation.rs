//! Whether a credential would have been replaced while an export was still being retried.

use std::collections::BTreeSet;

use serde::Serialize;

use super::archive::Whole;
use super::chronicle::Span;
use super::figures::{Cites, Figure, Observed, Records};
use super::lag::Course;
use super::retries::CITED;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind};

/// Several records of one rotation lie at most this far apart, microseconds.
const SAME: i64 = 60_000_000;

/// Credentials against the time in which a schedule retries.
#[derive(Clone, Debug, Serialize)]
pub struct Credentials {
    /// The schedule's span, seconds; null where there is no schedule.
    pub span_seconds: Option<f64>,
    /// Failures whose caller is known.
    pub failures: usize,
    /// Rotations of their callers' credentials on record, at whatever time.
    pub rotations: usize,
    /// Failures whose caller's credential was replaced within the span after their first failing attempt.
    pub rotated_in_span: usize,
    /// Whether a rotation would have cut into the retries; null where no rotation, or no schedule, is known.
    pub cuts: Option<bool>,
    /// The shortest time between two rotations of one caller's credential.
    pub shortest_between: Option<Figure>,
    /// Credentials whose lifetime is on record, and the shortest of these. Events carry no lifetimes: none is known.
    pub lifetimes: usize,
    pub shortest_lifetime_seconds: Option<f64>,
    /// The first failing attempts and the rotations that cut in.
    pub records: Records,
}

impl Cites for Credentials {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        self.shortest_between.cites(each);
        self.records.cites(each);
    }
}

impl Credentials {
    /// Looks the rotations up for a schedule that retries for `span` seconds.
    #[must_use]
    pub fn against(archive: &Whole<'_>, courses: &[Course], span: Option<f64>) -> Self {
        let name = |course: &Course| archive.outline.symbols.name(course.principal);
        let known = || courses.iter().filter_map(|course| Some((course, name(course)?)));
        let callers: BTreeSet<&str> = known().map(|(_, caller)| caller).collect();
        let mut between: Vec<Observed> = Vec::new();
        let mut rotations = 0;
        for caller in callers {
            let times = apart(&rotations_of(archive, caller, Span { first: i64::MIN / 2, last: i64::MAX / 2 }));
            rotations += times.len();
            let pairs = times.windows(2);
            between.extend(pairs.map(|p| Observed { micros: p[1].0 - p[0].0, records: [p[0].1, p[1].1] }));
        }
        let window = span.map(micros);
        let mut cut: Vec<(i64, Locator, Locator)> = known()
            .filter_map(|(course, caller)| {
                let first = course.first_failed;
                let within = rotations_of(archive, caller, Span { first, last: first.saturating_add(window?) });
                within.first().map(|change| (first, course.record, change.at))
            })
            .collect();
        cut.sort_unstable();
        Self {
            span_seconds: span,
            failures: known().count(),
            rotations,
            rotated_in_span: cut.len(),
            cuts: (rotations > 0 && span.is_some()).then_some(!cut.is_empty()),
            shortest_between: between.iter().min().map(Figure::from),
            lifetimes: 0,
            shortest_lifetime_seconds: None,
            records: Records::new(cut.iter().flat_map(|(_, failed, rotated)| [*failed, *rotated]).take(CITED)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "schedules end within a day")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

/// The replacements of a caller's credential within `span`, in order of time.
fn rotations_of<'a>(archive: &Whole<'a>, caller: &str, span: Span) -> Vec<&'a Change> {
    let names = archive.authority.names_of(caller);
    let own = |change: &&Change| change.kind == ChangeKind::Credential && names.iter().any(|name| change.is_of(name));
    archive.others.of(&names, span).into_iter().filter(own).collect()
}

/// Time and first record of each rotation: several sources may tell of one.
fn apart(changes: &[&Change]) -> Vec<(i64, Locator)> {
    let mut found: Vec<(i64, Locator)> = Vec::new();
    for change in changes {
        if found.last().is_none_or(|(time, _)| change.time - time > SAME) {
            found.push((change.time, change.at));
        }
    }
    found
}
