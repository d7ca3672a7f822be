//! The changes of an archive in order of time, found by whom or what they are of. Those of holds are many: the ones that a
//! wave of failures has to do with are at hand, the others are asked for in the log.

use std::collections::BTreeSet;

use super::by_ids::ByIds;
use crate::correlate::Held;
use crate::error::Result;
use crate::ingest::{Change, HoldLog, HoldPlace};

/// Place of a change in the chronicle: those of holds come behind all others.
pub type Place = usize;

/// Changes in order of time, by their ids.
pub struct Listed<'a> {
    changes: &'a [Change],
    by_id: ByIds<'a>,
}

impl<'a> Listed<'a> {
    /// Indexes `changes`, which are in order of time.
    #[must_use]
    pub fn new(changes: &'a [Change]) -> Self {
        Self { changes, by_id: ByIds::new(changes, false, |_| true) }
    }

    /// Changes within `span` of anything that goes by one of `ids`, in order of time.
    #[must_use]
    pub fn of(&self, ids: &BTreeSet<&str>, span: Span) -> Vec<&'a Change> {
        self.places(ids, span).into_iter().map(|place| &self.changes[place]).collect()
    }

    /// The places of those, ascending.
    fn places(&self, ids: &BTreeSet<&str>, span: Span) -> Vec<usize> {
        let mut found = Vec::new();
        for id in ids {
            let within = self.by_id.of(id, Some(span.start()));
            let within = within.take_while(|place| self.changes[*place].time <= span.last);
            found.extend(within.filter(|place| span.holds(&self.changes[*place])));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Answers which changes fell into a span of time.
pub struct Chronicle<'a> {
    /// All but those of holds.
    others: &'a Listed<'a>,
    /// Those of holds that are at hand, and where each lies in the log of all.
    held: Listed<'a>,
    held_places: &'a [HoldPlace],
    log: &'a HoldLog,
}

/// A span of time, microseconds since 1970, UTC. Sources that write whole seconds may have cut off up to one, so a change
/// in the second of `first` is counted as after it.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub first: i64,
    pub last: i64,
}

const SECOND: i64 = 1_000_000;

impl Span {
    const fn start(self) -> i64 {
        self.first - (SECOND - 1)
    }

    /// Whether a change lies within.
    #[must_use]
    pub fn holds(self, change: &Change) -> bool {
        change.time <= self.last && self.is_after_start(change.time)
    }

    /// Whether a time lies after the start.
    #[must_use]
    pub const fn is_after_start(self, time: i64) -> bool {
        time >= self.first || (time >= self.start() && time % SECOND == 0)
    }
}

impl<'a> Chronicle<'a> {
    /// That of the changes in `others` and of those of holds in `log`, of which `held` are at hand.
    #[must_use]
    pub fn new(others: &'a Listed<'a>, held: &'a Held, log: &'a HoldLog) -> Self {
        Self { others, held: Listed::new(&held.changes), held_places: &held.places, log }
    }

    /// The change at a place.
    #[must_use]
    pub fn at(&self, place: Place) -> &'a Change {
        let others = self.others.changes;
        others.get(place).unwrap_or_else(|| &self.held.changes[place - others.len()])
    }

    /// Changes within `span` of anything that goes by one of `ids`, in order of time.
    #[must_use]
    pub fn of(&self, ids: &BTreeSet<&str>, span: Span) -> Vec<Place> {
        let (mut found, held) = (self.others.places(ids, span), self.held.places(ids, span));
        if !held.is_empty() {
            found.extend(held.into_iter().map(|place| self.others.changes.len() + place));
            found.sort_by_key(|place| self.at(*place).order());
        }
        found
    }

    /// How many changes fell into `span`.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn count(&self, span: Span) -> Result<usize> {
        let changes = self.others.changes;
        let before = |time: i64| changes.partition_point(|change| change.time < time);
        let cut_off = changes[before(span.start())..before(span.first)].iter().filter(|c| span.holds(c)).count();
        let others = cut_off + before(span.last.saturating_add(1)).saturating_sub(before(span.first));
        let cut_off = self.log.times(span.start(), span.first)?;
        let cut_off = cut_off.into_iter().filter(|time| *time <= span.last && span.is_after_start(*time)).count();
        let held = self.log.before(span.last.saturating_add(1))?.saturating_sub(self.log.before(span.first)?);
        Ok(others + cut_off + held)
    }

    /// The first `many` changes within `span` but for those at `skipped`, which is ascending.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn others(&self, span: Span, skipped: &[Place], many: usize) -> Result<Vec<Change>> {
        let changes = self.others.changes;
        let start = changes.partition_point(|change| change.time < span.start());
        let within = changes.iter().enumerate().skip(start).take_while(|(_, change)| change.time <= span.last);
        let others = within.filter(|(place, change)| span.holds(change) && skipped.binary_search(place).is_err());
        let mut found: Vec<Change> = others.map(|(_, change)| change.clone()).take(many).collect();
        let named = |place: &Place| Some(self.held_places[place.checked_sub(changes.len())?]);
        let skipped: BTreeSet<HoldPlace> = skipped.iter().filter_map(named).collect();
        let mut left = many;
        self.log.since(span.start(), |place, change| {
            let time = change.time;
            if span.holds(&change) && !skipped.contains(&place) {
                found.push(change);
                left -= 1;
            }
            Ok(left > 0 && time <= span.last)
        })?;
        found.sort_by_key(Change::order);
        found.truncate(many);
        Ok(found)
    }
}
