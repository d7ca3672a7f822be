//! Legal holds on record: when each was placed on a conversation, and when it was in force everywhere.

use std::collections::BTreeSet;

use super::by_ids::ByIds;
use crate::correlate::Held;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind};

/// A hold on a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// The change that placed it.
    pub placed: &'a Change,
    /// The change by which it was in force everywhere, or lifted.
    pub ended: Option<&'a Change>,
    /// The place of the one that placed it.
    place: usize,
}

impl<'a> Hold<'a> {
    /// When it was in force everywhere, microseconds since 1970, UTC.
    #[must_use]
    pub fn synced(&self) -> Option<i64> {
        self.ended.filter(|change| change.kind == ChangeKind::HoldSynced).map(|change| change.time)
    }

    /// The records of its placing and of its end.
    pub fn records(&self) -> impl Iterator<Item = Locator> + use<'a> {
        [Some(self.placed), self.ended].into_iter().flatten().map(|change| change.at)
    }
}

/// Some holds on record.
pub struct Holds<'a> {
    all: Vec<Hold<'a>>,
    placings: ByIds<'a>,
}

impl<'a> Holds<'a> {
    /// Indexes `held`.
    #[must_use]
    pub fn new(held: &'a Held) -> Self {
        let change = |place: usize| &held.changes[place];
        let all = held.holds.iter().map(|(place, ended)| Hold {
            placed: change(*place),
            ended: ended.map(change),
            place: *place,
        });
        let placings = ByIds::new(&held.changes, true, |c| c.kind == ChangeKind::HoldPlaced);
        Self { all: all.collect(), placings }
    }

    /// The holds that go by any of `ids`, in order of their placing. A hold may cover many conversations, each of which
    /// synchronises by itself: where both name the conversation, it must be the same.
    #[must_use]
    pub fn of(&self, ids: &BTreeSet<&str>, conversation: Option<&str>) -> Vec<Hold<'a>> {
        let places: BTreeSet<usize> =
            ids.iter().flat_map(|id| self.placings.of_conversation(id, conversation)).collect();
        let number = |place: usize| self.all.binary_search_by_key(&place, |hold| hold.place).ok();
        let mut found: Vec<Hold> = places.into_iter().filter_map(number).map(|number| self.all[number]).collect();
        found.sort_by(|a, b| a.placed.time.cmp(&b.placed.time).then_with(|| a.records().cmp(b.records())));
        found.dedup_by(|b, a| a.records().eq(b.records()));
        found
    }
}

/// Whether two ids are equal where both are known.
#[must_use]
pub fn agree(a: Option<&String>, b: Option<&String>) -> bool {
    a.is_none() || b.is_none() || a == b
}
