//! Changes by the ids that they go by: a few bytes an id, because an archive may tell of very many holds.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

use crate::ingest::Change;

/// Finds changes by their ids.
pub struct ByIds<'a> {
    changes: &'a [Change],
    keys: RandomState,
    /// Ascending.
    entries: Vec<Entry>,
}

/// An id of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: u64,
    /// 0 where the change names none, or it is not looked up by it.
    conversation: u64,
    place: u32,
}

impl<'a> ByIds<'a> {
    /// Those of `changes` that are `wanted`; by id alone, or under each id by conversation.
    pub fn new(changes: &'a [Change], by_conversation: bool, wanted: impl Fn(&Change) -> bool) -> Self {
        let keys = RandomState::default();
        let mut entries = Vec::new();
        for (place, change) in (0..).zip(changes).filter(|(_, change)| wanted(change)) {
            let conversation = conversation(&keys, change.conversation.as_deref().filter(|_| by_conversation));
            entries.extend(change.ids().map(|id| Entry { id: keys.hash_one(id), conversation, place }));
        }
        entries.sort_unstable();
        entries.dedup();
        entries.shrink_to_fit();
        Self { changes, keys, entries }
    }

    /// The places of those that go by `id`, ascending where they are not kept by conversation; with `from` only those of
    /// that time, microseconds, or later.
    pub fn of(&self, id: &str, from: Option<i64>) -> impl Iterator<Item = usize> {
        let of_id = self.under(id);
        let start = from.map_or(0, |from| of_id.partition_point(|entry| self.change(entry).time < from));
        self.places(&of_id[start..], id)
    }

    /// The places of those that go by `id` and are of `conversation`, as far as they say; of all that go by it, where that
    /// is not known.
    pub fn of_conversation(&self, id: &str, conversation: Option<&str>) -> impl Iterator<Item = usize> {
        let of_id = self.under(id);
        let part = |wanted: u64| {
            let start = of_id.partition_point(|entry| entry.conversation < wanted);
            let length = of_id[start..].partition_point(|entry| entry.conversation == wanted);
            &of_id[start..start + length]
        };
        let parts = match conversation {
            Some(_) => [part(self::conversation(&self.keys, conversation)), part(0)],
            None => [of_id, &[]],
        };
        let same = move |place: &usize| {
            let own = self.changes[*place].conversation.as_deref();
            own.is_none() || conversation.is_none() || own == conversation
        };
        let [own, of_none] = parts.map(|part| self.places(part, id));
        let found: Vec<usize> = own.chain(of_none).filter(same).collect();
        found.into_iter()
    }

    fn under(&self, id: &str) -> &[Entry] {
        let id = self.keys.hash_one(id);
        let start = self.entries.partition_point(|entry| entry.id < id);
        let length = self.entries[start..].partition_point(|entry| entry.id == id);
        &self.entries[start..start + length]
    }

    /// The places of `entries` that are of `id` indeed: hashes may clash.
    fn places(&self, entries: &[Entry], id: &str) -> impl Iterator<Item = usize> {
        entries
            .iter()
            .filter(move |entry| self.change(entry).ids().any(|own| own == id))
            .map(|entry| entry.place as usize)
    }

    fn change(&self, entry: &Entry) -> &'a Change {
        &self.changes[entry.place as usize]
    }
}

fn conversation(keys: &RandomState, conversation: Option<&str>) -> u64 {
    conversation.map_or(0, |conversation| keys.hash_one(conversation).max(1))
}
