//! Legal holds on record: when each was placed on a conversation, and when it was in force everywhere.

use std::collections::BTreeSet;

use super::by_ids::ByIds;
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

    /// How long that took, microseconds.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        Some(self.synced()? - self.placed.time)
    }

    /// The records of its placing and of its end.
    pub fn records(&self) -> impl Iterator<Item = Locator> + use<'a> {
        [Some(self.placed), self.ended].into_iter().flatten().map(|change| change.at)
    }
}

/// All holds on record.
pub struct Holds<'a> {
    all: Vec<Hold<'a>>,
    placings: ByIds<'a>,
}

impl<'a> Holds<'a> {
    /// Finds the holds among `changes`.
    #[must_use]
    pub fn new(changes: &'a [Change]) -> Self {
        let endings =
            ByIds::new(changes, true, |c| matches!(c.kind, ChangeKind::HoldSynced | ChangeKind::HoldReleased));
        let placings = ByIds::new(changes, true, |c| c.kind == ChangeKind::HoldPlaced);
        let placed = changes.iter().enumerate().filter(|(_, change)| change.kind == ChangeKind::HoldPlaced);
        let hold = |(place, placed): (usize, &'a Change)| {
            let candidates = placed.ids().flat_map(|id| endings.of_conversation(id, placed.conversation.as_deref()));
            let candidates = candidates.map(|place| &changes[place]);
            let ended = candidates.filter(|c| c.time >= placed.time && ends(c, placed)).min_by_key(|c| (c.time, c.at));
            Hold { placed, ended, place }
        };
        Self { all: placed.map(hold).collect(), placings }
    }

    /// All of them, in order of the changes that placed them.
    #[must_use]
    pub fn all(&self) -> &[Hold<'a>] {
        &self.all
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

    /// Longest time from placing to synchronising, microseconds.
    #[must_use]
    pub fn longest_lag(&self) -> Option<i64> {
        self.all.iter().filter_map(Hold::lag).max()
    }

    /// When holds that go by an id were placed, for all ids, in order of placing.
    pub fn placings(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.all.iter().flat_map(|hold| hold.placed.ids().map(|id| (id, hold.placed.time)))
    }
}

/// Whether two ids are equal where both are known.
#[must_use]
pub fn agree(a: Option<&String>, b: Option<&String>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// Whether an ending is of the hold that was placed: they share hold or conversation, and differ in neither.
fn ends(end: &Change, placed: &Change) -> bool {
    let same_hold = end.hold.is_some() && end.hold == placed.hold;
    let shares = same_hold || end.subject == placed.subject;
    shares
        && agree(end.hold.as_ref(), placed.hold.as_ref())
        && agree(end.conversation.as_ref(), placed.conversation.as_ref())
}
