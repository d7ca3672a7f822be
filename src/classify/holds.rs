//! Legal holds on record: when each was placed on a conversation, and when it was in force everywhere.

use std::collections::{BTreeSet, HashMap};

use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind};

/// A hold on a conversation. Times are microseconds since 1970, UTC.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Index of the change that placed it.
    pub change: usize,
    pub conversation: Option<String>,
    pub placed: i64,
    /// The source that tells of the placing.
    pub placed_by: &'static str,
    /// When it was in force everywhere.
    pub synced: Option<i64>,
    /// When it was in force everywhere, or lifted.
    pub ended: Option<i64>,
    /// The source that tells of that.
    pub ended_by: Option<&'static str>,
    pub records: Vec<Locator>,
}

/// Things by the ids they go by, and under each id by conversation: one hold may be on very many.
struct ByIds<'a, T>(HashMap<&'a str, HashMap<Option<&'a str>, Vec<T>, Keys>, Keys>);

type Keys = foldhash::fast::RandomState;

impl<'a, T: Copy> ByIds<'a, T> {
    fn add(&mut self, change: &'a Change, thing: T) {
        for id in change.ids().collect::<BTreeSet<&str>>() {
            self.0.entry(id).or_default().entry(change.conversation.as_deref()).or_default().push(thing);
        }
    }

    /// What goes by `id` and is of `conversation`, as far as both say.
    fn find(&self, id: &str, conversation: Option<&str>) -> Vec<T> {
        let Some(by_conversation) = self.0.get(id) else { return Vec::new() };
        let Some(conversation) = conversation else {
            // In no order: those who ask sort.
            return by_conversation.values().flatten().copied().collect();
        };
        let of = [Some(conversation), None].into_iter().filter_map(|key| by_conversation.get(&key));
        of.flatten().copied().collect()
    }
}

/// All holds on record.
pub struct Holds<'a> {
    all: Vec<Hold>,
    by_ids: ByIds<'a, usize>,
}

impl<'a> Holds<'a> {
    /// Finds the holds among `changes`.
    #[must_use]
    pub fn new(changes: &'a [Change]) -> Self {
        let mut endings = ByIds(HashMap::default());
        for change in changes.iter().filter(|c| matches!(c.kind, ChangeKind::HoldSynced | ChangeKind::HoldReleased)) {
            endings.add(change, change);
        }
        let mut holds = Self { all: Vec::new(), by_ids: ByIds(HashMap::default()) };
        let all_placed = changes.iter().enumerate().filter(|(_, c)| c.kind == ChangeKind::HoldPlaced);
        for (change, placed) in all_placed {
            let candidates = placed.ids().flat_map(|id| endings.find(id, placed.conversation.as_deref()));
            let ended = candidates.filter(|c| c.time >= placed.time && ends(c, placed)).min_by_key(|c| (c.time, c.at));
            let mut records = vec![placed.at];
            records.extend(ended.map(|c| c.at));
            holds.by_ids.add(placed, holds.all.len());
            holds.all.push(Hold {
                change,
                conversation: placed.conversation.clone(),
                placed: placed.time,
                placed_by: placed.source,
                synced: ended.filter(|c| c.kind == ChangeKind::HoldSynced).map(|c| c.time),
                ended: ended.map(|c| c.time),
                ended_by: ended.map(|c| c.source),
                records,
            });
        }
        holds
    }

    /// All of them, in order of the changes that placed them.
    #[must_use]
    pub fn all(&self) -> &[Hold] {
        &self.all
    }

    /// The holds that go by any of `ids`, in order of their placing. A hold may cover many conversations, each of which
    /// synchronises by itself: where both name the conversation, it must be the same.
    #[must_use]
    pub fn of(&self, ids: &BTreeSet<&str>, conversation: Option<&str>) -> Vec<&Hold> {
        let places: BTreeSet<usize> = ids.iter().flat_map(|id| self.by_ids.find(id, conversation)).collect();
        let mut found: Vec<&Hold> = places.into_iter().map(|place| &self.all[place]).collect();
        found.sort_by(|a, b| (a.placed, &a.records).cmp(&(b.placed, &b.records)));
        found.dedup_by(|b, a| a.records == b.records);
        found
    }

    /// Longest time from placing to synchronising, microseconds.
    #[must_use]
    pub fn longest_lag(&self) -> Option<i64> {
        self.all.iter().filter_map(|hold| Some(hold.synced? - hold.placed)).max()
    }

    /// When the first hold that goes by an id was placed, for all ids, in no order.
    pub fn first_placed(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.by_ids.0.iter().filter_map(|(id, by_conversation)| {
            let placed = by_conversation.values().flatten().map(|place| self.all[*place].placed);
            Some((*id, placed.min()?))
        })
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
