//! The changes that belong into the timeline of a failure: those that rules cite, and others to what it used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::correlate::{EventTable, Failure};
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind};

/// Changes that no rule cites, in one timeline.
const MOST: usize = 50;

/// Finds changes by their places, and by whom or what they are of.
pub struct Around<'e> {
    at: HashMap<Locator, &'e Change, foldhash::fast::RandomState>,
    /// In order of time.
    of: HashMap<&'e str, Vec<&'e Change>, foldhash::fast::RandomState>,
}

impl<'e> Around<'e> {
    /// Indexes `changes`, which are in order of time.
    #[must_use]
    pub fn new(changes: &'e [Change]) -> Self {
        let mut of: HashMap<&str, Vec<&Change>, foldhash::fast::RandomState> = HashMap::default();
        for change in changes {
            for id in change.ids().chain(change.conversation.as_deref()).collect::<BTreeSet<_>>() {
                of.entry(id).or_default().push(change);
            }
        }
        Self { at: changes.iter().map(|change| (change.at, change)).collect(), of }
    }

    /// Those of `cited`, then those to the failure's caller, bucket and conversation from its first to its last attempt;
    /// a hold also where it was placed before.
    #[must_use]
    pub fn of(&self, failure: &Failure, table: &EventTable, cited: &BTreeSet<Locator>) -> Vec<&'e Change> {
        let mut found: BTreeMap<Locator, &Change> =
            cited.iter().filter_map(|at| Some((*at, *self.at.get(at)?))).collect();
        let times = || failure.attempts.iter().filter_map(|row| table.time(*row));
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return found.into_values().collect() };
        let ids = [&failure.principal, &failure.bucket, &failure.conversation_id];
        let lists = ids.into_iter().flatten().filter_map(|id| self.of.get(id.as_str()));
        let mut more = 0;
        for changes in lists {
            let start = changes.partition_point(|change| change.time < first);
            let hold = changes[..start].last().filter(|change| change.kind == ChangeKind::HoldPlaced);
            let within = changes[start..].iter().take_while(|change| change.time <= last);
            for change in hold.into_iter().chain(within) {
                if more < MOST && found.insert(change.at, change).is_none() {
                    more += 1;
                }
            }
        }
        found.into_values().collect()
    }
}
