//! Sources whose clocks disagree, recognised from requests that both record.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::outline::{Id, IdHash, NO_TIME, Outline, flag};
use crate::ingest::{Change, Document, MAPPED};

/// How far the clock of a source is from that of the export trail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockOffset {
    pub source: String,
    /// Median of the differences, seconds; positive where the source is ahead.
    pub offset_seconds: f64,
    /// Requests that both record.
    pub pairs: usize,
    /// Whether the source's times were put right by it.
    pub applied: bool,
}

/// Fewer requests than this may differ for reasons of their own.
const ENOUGH_PAIRS: usize = 3;
/// Smaller offsets are left alone, microseconds: one source writes when a call begins, the other when it ends.
const TOLERATED: i64 = 60_000_000;
/// The middle half of the differences must lie within this, microseconds; else it is no matter of the clock.
const MAX_SPREAD: i64 = 60_000_000;

/// The clocks of an archive.
#[derive(Default)]
pub struct Clocks {
    pub offsets: Vec<ClockOffset>,
    /// Microseconds to add to the times of sources that are off.
    pub shifts: BTreeMap<String, i64>,
}

/// Estimates the offset of every source against the export trail and puts the times of those that are off right.
pub fn align(outline: &mut Outline, changes: &mut [Change], documents: &mut [Document]) -> Clocks {
    let mut clocks = Clocks::default();
    for (source, mut differences) in differences(outline) {
        differences.sort_unstable();
        let at = |share: usize| differences[(differences.len() - 1) * share / 4];
        let median = at(2);
        let steady = differences.len() >= ENOUGH_PAIRS && at(3) - at(1) <= MAX_SPREAD;
        let applied = steady && median.abs() > TOLERATED;
        if applied {
            clocks.shifts.insert(source.clone(), -median);
        }
        #[expect(clippy::cast_precision_loss, reason = "offsets of clocks stay far below 2^53 microseconds")]
        let offset_seconds = (median as f64 / 1e5).round() / 10.0;
        clocks.offsets.push(ClockOffset { source, offset_seconds, pairs: differences.len(), applied });
    }
    shift(&clocks.shifts, outline, changes, documents);
    clocks
}

/// By source: time in it less time in the trail, for each request that both record.
fn differences(outline: &Outline) -> BTreeMap<String, Vec<i64>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (own, other) in [(Id::Correlation, Id::Request), (Id::Request, Id::Request), (Id::Correlation, Id::Correlation)]
    {
        let rows = |of_trail: bool, id: Id| {
            let ids = outline.id(id).iter().zip(&outline.time).zip(&outline.flags).enumerate();
            let known = ids.filter(|(_, ((id, time), _))| **id != 0 && **time != NO_TIME);
            let of_side = known.filter(move |(_, (_, flags))| (**flags & flag::TRAIL != 0) == of_trail);
            of_side.map(|(row, ((id, time), _))| (row, *id, *time))
        };
        let mut theirs: HashMap<IdHash, Vec<(usize, i64)>, foldhash::fast::RandomState> = HashMap::default();
        for (row, id, time) in rows(false, other) {
            theirs.entry(id).or_default().push((row, time));
        }
        if theirs.is_empty() {
            continue;
        }
        for (_, id, ours) in rows(true, own) {
            for (row, theirs) in theirs.get(&id).into_iter().flatten() {
                let source = outline.symbols.name(outline.source[*row]).unwrap_or_default();
                // Records of many clocks, some of them the trail's own.
                if source == MAPPED {
                    continue;
                }
                match found.get_mut(source) {
                    Some(differences) => differences.push(theirs - ours),
                    None => drop(found.insert(source.to_owned(), vec![theirs - ours])),
                }
            }
        }
    }
    found
}

fn shift(shifts: &BTreeMap<String, i64>, outline: &mut Outline, changes: &mut [Change], documents: &mut [Document]) {
    for (source, by) in shifts {
        let symbol = outline.symbols.find(source);
        for (time, of) in outline.time.iter_mut().zip(&outline.source) {
            if Some(*of) == symbol && *time != NO_TIME {
                *time += by;
            }
        }
        for change in changes.iter_mut().filter(|c| c.source == source) {
            change.time += by;
        }
        for document in documents.iter_mut().filter(|d| d.source == source) {
            document.time = document.time.map(|time| time + by);
        }
    }
    changes.sort_by_key(|change| (change.time, change.at, change.kind));
}
