//! Legal holds: which change ended which, and those that the failures of a wave have to do with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::failures::Failure;
use super::table::EventTable;
use crate::error::Result;
use crate::ingest::{Change, ChangeKind, HoldEntry, HoldLog, HoldPlace, Named, Text};
use crate::spill::{Sorted, Sorter, ordered, time_of};

/// The holds of an archive.
#[derive(Default)]
pub struct Holds {
    log: HoldLog,
    /// The place of the change that placed a hold, and of the one that ended it, and the times of both; ascending.
    ends: Sorted<4>,
    longest_lag: Option<i64>,
}

/// Some changes of holds, with the holds among them.
#[derive(Default)]
pub struct Held {
    /// In order of time, then of records, then of kind.
    pub changes: Vec<Change>,
    /// Where each lies in the log.
    pub places: Vec<HoldPlace>,
    /// Which of them placed a hold, and which ended it.
    pub holds: Vec<(usize, Option<usize>)>,
}

impl Holds {
    /// Finds what ended each hold of `log`, which is indexed.
    ///
    /// # Errors
    /// A temporary file cannot be read or written.
    pub fn find(log: HoldLog) -> Result<Self> {
        let mut pairing = Pairing::default();
        log.ids(|entry| pairing.take(&entry))?;
        let (mut ends, mut longest_lag, mut last) = (Sorter::default(), None, None);
        pairing.finish()?.each(|[placed, end, ended, synced, placed_at]| {
            // The first is the one that ended it.
            if last.replace(placed) == Some(placed) {
                return Ok(());
            }
            longest_lag = longest_lag.max((synced == 1).then(|| time_of(end) - time_of(placed_at)));
            ends.push([placed, ended, placed_at, end])
        })?;
        Ok(Self { log, ends: ends.finish()?, longest_lag })
    }

    /// All changes of holds.
    #[must_use]
    pub const fn log(&self) -> &HoldLog {
        &self.log
    }

    /// Longest time from placing to synchronising, microseconds.
    #[must_use]
    pub const fn longest_lag(&self) -> Option<i64> {
        self.longest_lag
    }

    /// Shows each hold whose placing is `wanted` to `see`, in order of these: the change that placed it, and the one that ended
    /// it.
    ///
    /// # Errors
    /// A temporary file cannot be read; those of `see`.
    pub fn each(
        &self,
        wanted: impl Fn(&Change) -> bool,
        mut see: impl FnMut(&Change, Option<&Change>) -> Result<()>,
    ) -> Result<()> {
        let mut ends = self.ends.cursor();
        self.log.since(i64::MIN, |place, placed| {
            if placed.kind == ChangeKind::HoldPlaced && wanted(&placed) {
                let mut ended = None;
                ends.beginning([place], |[_, end, ..]| {
                    ended = Some(self.log.change(end)?);
                    Ok(())
                })?;
                see(&placed, ended.as_ref())?;
            }
            Ok(true)
        })
    }

    /// When each hold that ended was placed and when it ended, microseconds since 1970, UTC; in no order.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn spans(&self) -> Result<Vec<(i64, i64)>> {
        let mut found = Vec::with_capacity(self.ends.len());
        self.ends.each(|[_, _, placed, ended]| {
            found.push((time_of(placed), time_of(ended)));
            Ok(())
        })?;
        Ok(found)
    }

    /// Those that name the conversation, the recording or a hold of one of `failures`. A hold may cover many conversations,
    /// each of which synchronises by itself: where both name the conversation, it is the same.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn of(&self, table: &EventTable, failures: &[Failure]) -> Result<Held> {
        let mut asked = BTreeSet::new();
        for failure in failures {
            let conversation = failure.conversation_id.as_deref();
            let named = failure.attempts.iter().filter_map(|row| table.text(Text::HoldId, *row));
            let own = failure.conversation_id.iter().chain(&failure.recording_id).map(String::as_str);
            asked.extend(own.chain(named).map(|id| (id, conversation)));
        }
        let mut places = BTreeSet::new();
        for (id, conversation) in asked {
            places.extend(self.log.under(id, conversation)?);
        }
        let mut ended = BTreeMap::new();
        for place in &places {
            self.ends.beginning([*place], |[placed, end, ..]| {
                ended.insert(placed, end);
                Ok(())
            })?;
        }
        places.extend(ended.values());
        let changes = places.into_iter().map(|place| Ok((self.log.change(place)?, place)));
        Ok(Held::new(changes.collect::<Result<_>>()?, &ended))
    }
}

impl Held {
    /// Those of `changes`, with the place of each; `ended` gives the place of what ended a hold by that of its placing.
    fn new(mut changes: Vec<(Change, HoldPlace)>, ended: &BTreeMap<HoldPlace, HoldPlace>) -> Self {
        changes.sort_by_key(|(change, place)| (change.order(), *place));
        let numbers: HashMap<HoldPlace, usize, foldhash::fast::RandomState> =
            changes.iter().enumerate().map(|(n, (_, place))| (*place, n)).collect();
        let placings = changes.iter().enumerate().filter(|(_, (change, _))| change.kind == ChangeKind::HoldPlaced);
        let end = |place: &HoldPlace| numbers.get(ended.get(place)?).copied();
        let holds = placings.map(|(n, (_, place))| (n, end(place))).collect();
        let (changes, places) = changes.into_iter().unzip();
        Self { changes, places, holds }
    }
}

/// Changes that ended holds, by their hold: the first after a time is the one that ended it.
#[derive(Default)]
struct Endings {
    all: Vec<End>,
    of_hold: HashMap<u64, Vec<End>, foldhash::fast::RandomState>,
}

/// When, where in the log, and whether it was in force everywhere then.
type End = (i64, HoldPlace, bool);

impl Endings {
    fn add(&mut self, entry: &HoldEntry) {
        let end = (entry.time, entry.place, entry.kind == ChangeKind::HoldSynced);
        self.all.push(end);
        self.of_hold.entry(entry.hold).or_default().push(end);
    }

    fn sort(&mut self) {
        self.all.sort_unstable();
        #[expect(clippy::iter_over_hash_type, reason = "each is sorted by itself")]
        for ends in self.of_hold.values_mut() {
            ends.sort_unstable();
        }
    }

    fn clear(&mut self) {
        self.all.clear();
        self.of_hold.clear();
    }

    /// The first that is not before a placing, of the same hold where both name theirs.
    fn first(&self, placed: &HoldEntry) -> Option<End> {
        let first = |ends: &Vec<End>| ends.get(ends.partition_point(|(time, ..)| *time < placed.time)).copied();
        if placed.hold == 0 {
            return first(&self.all);
        }
        [placed.hold, 0].iter().filter_map(|hold| first(self.of_hold.get(hold)?)).min()
    }
}

/// Goes through the ids of changes in their order, and finds for every placing what ended it: a change that names the same
/// hold or the same subject, and no other hold or conversation.
#[derive(Default)]
struct Pairing {
    id: u64,
    conversation: u64,
    /// For subjects, and for holds.
    sides: [Side; 2],
    /// Place of the placing, time and place of the end, whether it was in force then, time of the placing.
    found: Sorter<5>,
}

/// The changes that name an id in the same way.
#[derive(Default)]
struct Side {
    /// Of the conversation at hand.
    placed: Vec<HoldEntry>,
    endings: Endings,
    /// Of no conversation.
    placed_anywhere: Vec<HoldEntry>,
    endings_anywhere: Endings,
    /// Of any, where a placing of none asks for them.
    whole: Endings,
}

impl Pairing {
    fn take(&mut self, entry: &HoldEntry) -> Result<()> {
        if entry.id != self.id {
            self.end_id()?;
        } else if entry.conversation != self.conversation {
            self.end_conversation()?;
        }
        (self.id, self.conversation) = (entry.id, entry.conversation);
        let side = match entry.named {
            Named::Subject => &mut self.sides[0],
            Named::Hold => &mut self.sides[1],
            Named::Also => return Ok(()),
        };
        match (entry.kind == ChangeKind::HoldPlaced, entry.conversation == 0) {
            (true, true) => side.placed_anywhere.push(*entry),
            (true, false) => side.placed.push(*entry),
            (false, anywhere) => {
                if anywhere { &mut side.endings_anywhere } else { &mut side.endings }.add(entry);
                // Those of no conversation come first.
                if anywhere || !side.placed_anywhere.is_empty() {
                    side.whole.add(entry);
                }
            }
        }
        Ok(())
    }

    fn end_conversation(&mut self) -> Result<()> {
        for side in &mut self.sides {
            side.endings.sort();
            // They are complete from the first conversation on.
            if self.conversation == 0 {
                side.endings_anywhere.sort();
            }
            for placed in side.placed.drain(..) {
                let end = [&side.endings, &side.endings_anywhere].iter().filter_map(|ends| ends.first(&placed)).min();
                note(&mut self.found, &placed, end)?;
            }
            side.endings.clear();
        }
        Ok(())
    }

    fn end_id(&mut self) -> Result<()> {
        self.end_conversation()?;
        for side in &mut self.sides {
            side.whole.sort();
            for placed in side.placed_anywhere.drain(..) {
                note(&mut self.found, &placed, side.whole.first(&placed))?;
            }
            side.whole.clear();
            side.endings_anywhere.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Sorted<5>> {
        self.end_id()?;
        self.found.finish()
    }
}

fn note(found: &mut Sorter<5>, placed: &HoldEntry, end: Option<End>) -> Result<()> {
    let Some((time, place, synced)) = end else { return Ok(()) };
    found.push([placed.place, ordered(time), place, u64::from(synced), ordered(placed.time)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Holds;
    use crate::evidence::Locator;
    use crate::ingest::{Change, ChangeKind, HoldLog};

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        const KINDS: [ChangeKind; 3] = [ChangeKind::HoldPlaced, ChangeKind::HoldSynced, ChangeKind::HoldReleased];
        let id = |prefix: &'static str| prop::option::of((0..3u8).prop_map(move |n| format!("{prefix}{n}")));
        let one = (prop::sample::select(&KINDS[..]), 0..12i64, id("c"), id("r"), id("h"));
        prop::collection::vec(one, 0..40).prop_map(|some| {
            let change = |(n, (kind, time, conversation, recording, hold)): (u64, _)| {
                let subject: Option<String> = Option::or(Option::clone(&conversation), Option::clone(&recording));
                let subject = subject.or_else(|| Option::clone(&hold)).unwrap_or_default();
                let at = Locator { file: 0, record: n, offset: 100 * n, length: 99 };
                let also = Option::into_iter(recording).collect();
                Change { also, conversation, hold, ..Change::new(kind, time, subject, "export_trail", at) }
            };
            (0..).zip(some).map(change).collect()
        })
    }

    /// Whether the first ends the hold that the second placed, by the definition.
    fn ends(end: &Change, placed: &Change) -> bool {
        let agree = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        let same_hold = end.hold.is_some() && end.hold == placed.hold;
        end.kind != ChangeKind::HoldPlaced
            && end.time >= placed.time
            && (same_hold || end.subject == placed.subject)
            && agree(&end.hold, &placed.hold)
            && agree(&end.conversation, &placed.conversation)
    }

    proptest! {
        #[test]
        fn every_hold_ends_with_the_first_change_that_is_of_it(changes in changes(), out in prop::collection::btree_set(0..40u64, 0..4)) {
            let mut log = HoldLog::default();
            for change in &changes {
                log.push(change);
            }
            log.index(|at| !out.contains(&at.record)).expect("a temporary file");
            let holds = Holds::find(log).expect("a temporary file");
            let mut found = Vec::new();
            let note = |placed: &Change, ended: Option<&Change>| {
                found.push((placed.at, ended.map(|change| change.at)));
                Ok(())
            };
            holds.each(|_| true, note).expect("a temporary file");
            let mut all: Vec<&Change> = changes.iter().filter(|change| !out.contains(&change.at.record)).collect();
            all.sort_by_key(|change| change.order());
            let mut longest = None;
            let (mut expected, mut spent) = (Vec::new(), Vec::new());
            for placed in all.iter().filter(|change| change.kind == ChangeKind::HoldPlaced) {
                let ended = all.iter().filter(|change| ends(change, placed)).min_by_key(|change| (change.time, change.at));
                let synced = ended.filter(|change| change.kind == ChangeKind::HoldSynced);
                longest = longest.max(synced.map(|change| change.time - placed.time));
                expected.push((placed.at, ended.map(|change| change.at)));
                spent.extend(ended.map(|change| (placed.time, change.time)));
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(holds.longest_lag(), longest);
            let mut spans = holds.spans().expect("a temporary file");
            spans.sort_unstable();
            spent.sort_unstable();
            prop_assert_eq!(spans, spent);
            let conversation = "c1";
            let of_it: BTreeSet<Locator> = all.iter().filter(|c| c.ids().any(|id| id == conversation)).map(|c| c.at).collect();
            let places = holds.log().under(conversation, Some(conversation)).expect("a temporary file");
            let under: BTreeSet<Locator> = places.iter().map(|place| holds.log().change(*place).expect("one").at).collect();
            prop_assert!(of_it.is_subset(&under));
        }
    }
}
