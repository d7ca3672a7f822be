//! The changes of an archive in order of time, found by whom or what they are of.

use std::collections::BTreeSet;

use super::by_ids::ByIds;
use crate::ingest::Change;

/// Place of a change in the chronicle.
pub type Place = usize;

/// Answers which changes fell into a span of time.
pub struct Chronicle<'a> {
    /// In order of time.
    changes: &'a [Change],
    /// By subject, by its other ids and by hold.
    by_id: ByIds<'a>,
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
    fn start(self) -> i64 {
        self.first - (SECOND - 1)
    }

    /// Whether a change lies within.
    #[must_use]
    pub fn holds(self, change: &Change) -> bool {
        change.time <= self.last && self.is_after_start(change)
    }

    /// Whether a change lies after the start.
    #[must_use]
    pub fn is_after_start(self, change: &Change) -> bool {
        change.time >= self.first || (change.time >= self.start() && change.time % SECOND == 0)
    }
}

impl<'a> Chronicle<'a> {
    /// Indexes `changes`, which are in order of time.
    #[must_use]
    pub fn new(changes: &'a [Change]) -> Self {
        Self { changes, by_id: ByIds::new(changes, false, |_| true) }
    }

    /// The change at a place.
    #[must_use]
    pub fn at(&self, place: Place) -> &'a Change {
        &self.changes[place]
    }

    /// Changes within `span` of anything that goes by one of `ids`, in order of time.
    #[must_use]
    pub fn of(&self, ids: &BTreeSet<&str>, span: Span) -> Vec<Place> {
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

    /// How many changes fell into `span`.
    #[must_use]
    pub fn count(&self, span: Span) -> usize {
        let before = |time: i64| self.changes.partition_point(|change| change.time < time);
        let cut_off = self.changes[before(span.start())..before(span.first)].iter().filter(|c| span.holds(c)).count();
        cut_off + before(span.last.saturating_add(1)).saturating_sub(before(span.first))
    }

    /// The first `many` changes within `span` but for those at `skipped`, which is ascending.
    #[must_use]
    pub fn others(&self, span: Span, skipped: &[Place], many: usize) -> Vec<&'a Change> {
        let start = self.changes.partition_point(|change| change.time < span.start());
        let within = self.changes.iter().enumerate().skip(start).take_while(|(_, change)| change.time <= span.last);
        let others = within.filter(|(place, change)| span.holds(change) && skipped.binary_search(place).is_err());
        others.map(|(_, change)| change).take(many).collect()
    }
}
