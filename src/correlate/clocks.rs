//! Sources whose clocks disagree, recognised from requests that both record.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::columns::Column;
use super::outline::{Block, Id, IdHash, Outline, Share, flag};
use super::symbols::Symbol;
use crate::error::Result;
use crate::ingest::{Change, Document};

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
///
/// # Errors
/// The outline cannot be read.
pub fn align(outline: &mut Outline, changes: &mut [Change], documents: &mut [Document]) -> Result<Clocks> {
    let mut clocks = Clocks::default();
    for (source, mut differences) in differences(outline)? {
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
    Ok(clocks)
}

/// Requests of other sources that are held at a time.
const LOOKED_UP: usize = 1 << 20;

/// By source: time in it less time in the trail, for each request that both record, in no order.
fn differences(outline: &Outline) -> Result<BTreeMap<String, Vec<i64>>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for ids in [(Id::Correlation, Id::Request), (Id::Request, Id::Request), (Id::Correlation, Id::Correlation)] {
        for share in Share::of(outline.len(), LOOKED_UP) {
            compare(outline, ids, share, &mut found)?;
        }
    }
    Ok(found)
}

/// Adds the differences for the requests whose ids are in `share`: the id `own` of the trail is the id `other` of a source.
fn compare(
    outline: &Outline,
    (own, other): (Id, Id),
    share: Share,
    found: &mut BTreeMap<String, Vec<i64>>,
) -> Result<()> {
    let of_block = |block: &Block<'_>, of_trail: bool, id: Id| -> Vec<(IdHash, i64, usize)> {
        let places = block.places().filter(|n| block.is(*n, flag::TRAIL) == of_trail);
        let known = places.filter_map(|n| Some((block.id(id)[n], block.known_time(n)?, n)));
        known.filter(|(id, ..)| *id != 0 && share.has(*id)).collect()
    };
    let mut theirs: HashMap<IdHash, Vec<(Symbol, i64)>, foldhash::fast::RandomState> = HashMap::default();
    for block in outline.blocks(&[Column::Time, Column::Source, Column::Id(other)]) {
        let block = block?;
        for (id, time, n) in of_block(&block, false, other) {
            theirs.entry(id).or_default().push((block.names(Column::Source)[n], time));
        }
    }
    if theirs.is_empty() {
        return Ok(());
    }
    for block in outline.blocks(&[Column::Time, Column::Id(own)]) {
        for (id, ours, _) in of_block(&block?, true, own) {
            for (source, theirs) in theirs.get(&id).into_iter().flatten() {
                let source = outline.symbols.name(*source).unwrap_or_default();
                match found.get_mut(source) {
                    Some(differences) => differences.push(theirs - ours),
                    None => drop(found.insert(source.to_owned(), vec![theirs - ours])),
                }
            }
        }
    }
    Ok(())
}

fn shift(shifts: &BTreeMap<String, i64>, outline: &mut Outline, changes: &mut [Change], documents: &mut [Document]) {
    for (source, by) in shifts {
        outline.shift(source, *by);
        for change in changes.iter_mut().filter(|c| c.source == source) {
            change.time += by;
        }
        for document in documents.iter_mut().filter(|d| d.source == source) {
            document.time = document.time.map(|time| time + by);
        }
    }
    changes.sort_by_key(|change| (change.time, change.at, change.kind));
}
