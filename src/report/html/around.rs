//! The changes that belong into the timeline of a failure: those that rules cite, and others to what it used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::correlate::{EventTable, Failure};
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, HoldLog};

/// Changes that no rule cites, in one timeline.
const MOST: usize = 50;

/// Finds changes by their places, and by whom or what they are of.
pub struct Around<'e> {
    at: HashMap<Locator, &'e Change, foldhash::fast::RandomState>,
    /// In order of time.
    of: HashMap<&'e str, Vec<&'e Change>, foldhash::fast::RandomState>,
    /// Those of holds.
    log: &'e HoldLog,
}

impl<'e> Around<'e> {
    /// Indexes `changes`, which are in order of time; those of holds are in `log`.
    #[must_use]
    pub fn new(changes: &'e [Change], log: &'e HoldLog) -> Self {
        let mut of: HashMap<&str, Vec<&Change>, foldhash::fast::RandomState> = HashMap::default();
        for change in changes {
            for id in change.ids().chain(change.conversation.as_deref()).collect::<BTreeSet<_>>() {
                of.entry(id).or_default().push(change);
            }
        }
        Self { at: changes.iter().map(|change| (change.at, change)).collect(), of, log }
    }

    /// Those of `cited`, then those to the failure's caller, bucket and conversation from its first to its last attempt;
    /// a hold also where it was placed before.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn of(&self, failure: &Failure, table: &EventTable, cited: &BTreeSet<Locator>) -> Result<Vec<Change>> {
        let mut found: BTreeMap<Locator, Change> = BTreeMap::new();
        for at in cited {
            let of_hold = self.log.of_record(at)?.pop();
            found.extend(self.at.get(at).map(|change| (*change).clone()).or(of_hold).map(|change| (*at, change)));
        }
        let times = || failure.attempts.iter().filter_map(|row| table.time(*row));
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(found.into_values().collect());
        };
        let ids = [&failure.principal, &failure.bucket, &failure.conversation_id];
        let mut more = 0;
        for id in ids.into_iter().flatten() {
            let changes = self.under(id)?;
            let start = changes.partition_point(|change| change.time < first);
            let hold = changes[..start].last().filter(|change| change.kind == ChangeKind::HoldPlaced);
            let within = changes[start..].iter().take_while(|change| change.time <= last);
            for change in hold.into_iter().chain(within) {
                if more < MOST && found.insert(change.at, change.clone()).is_none() {
                    more += 1;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// All changes that name an id, in order of time.
    fn under(&self, id: &str) -> Result<Vec<Change>> {
        let mut found: Vec<Change> = self.of.get(id).into_iter().flatten().map(|change| (*change).clone()).collect();
        let places: BTreeSet<_> = self.log.under(id, None)?.into_iter().collect();
        for place in places {
            let change = self.log.change(place)?;
            // Hashes may clash.
            if change.ids().chain(change.conversation.as_deref()).any(|own| own == id) {
                found.push(change);
            }
        }
        found.sort_by_key(Change::order);
        Ok(found)
    }
}
