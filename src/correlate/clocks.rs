//! Sources whose clocks disagree, recognised from requests that both record; and how surely times of two sources can be
//! put in order.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use super::columns::Column;
use super::outline::{Block, Id, IdHash, Outline, flag};
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;
use crate::ingest::{Change, Ingested, MAPPED, source_named};
use crate::spill::{Size, Tell, Twice, by_share, halves, joined};

/// How far the clock of a source is from that of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockOffset {
    pub source: String,
    /// The source it is compared with: the export trail, where there is one.
    pub against: String,
    /// Median of the differences, seconds; positive where the source is ahead. Null where too few requests are recorded by
    /// both: then it is not known.
    pub offset_seconds: Option<f64>,
    /// Where the differences lie, seconds; what is nearer to each other is not put in order.
    pub low_seconds: Option<f64>,
    /// See above.
    pub high_seconds: Option<f64>,
    /// Requests that both record.
    pub pairs: usize,
    /// Whether the source's times were put right by it.
    pub applied: bool,
}

impl ClockOffset {
    /// What is known of the clock, in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { source, against, pairs, .. } = self;
        let known = self.offset_seconds.zip(self.low_seconds.zip(self.high_seconds));
        let Some((offset, (low, high))) = known else {
            return format!("the clock of {source} is taken to agree with {against}'s");
        };
        let then = if self.applied { "; put right" } else { "" };
        format!("the clock of {source} is {offset} s off {against}'s ({low} to {high}, {pairs} requests){then}")
    }
}

/// Fewer requests than this may differ for reasons of their own.
const ENOUGH_PAIRS: usize = 3;
/// Smaller offsets are left alone, microseconds: one source writes when a call begins, the other when it ends.
const TOLERATED: i64 = 60_000_000;
/// The middle half of the differences must lie within this, microseconds; else it is no matter of the clock.
const MAX_SPREAD: i64 = 60_000_000;
/// Of more pairs than this the outermost fortieth on either side is left out.
const MANY_PAIRS: usize = 40;

/// Bounds on the differences between two clocks, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub low: i64,
    pub high: i64,
}

/// The clocks of an archive.
#[derive(Default)]
pub struct Clocks {
    pub offsets: Vec<ClockOffset>,
    /// Microseconds to add to the times of sources that are off.
    pub shifts: BTreeMap<String, i64>,
    /// How far the times of each source may still be ahead of those of the one that all are compared with.
    bounds: BTreeMap<String, Bounds>,
}

impl Clocks {
    /// How far the times of source `a` may be ahead of those of `b`; `None` where it is not known, or there is only one.
    #[must_use]
    pub fn between(&self, a: &str, b: &str) -> Option<Bounds> {
        let (of_a, of_b) = (self.bounds.get(a)?, self.bounds.get(b)?);
        (a != b).then(|| Bounds { low: of_a.low - of_b.high, high: of_a.high - of_b.low })
    }

    /// Which of two moments, each a source and a time, came first; `None` where they are nearer than the clocks of their
    /// sources agree. Clocks of which that is not known are taken to agree.
    #[must_use]
    pub fn order(&self, a: (&str, i64), b: (&str, i64)) -> Option<Ordering> {
        let apart = a.1.saturating_sub(b.1);
        let Some(Bounds { low, high }) = self.between(a.0, b.0) else { return Some(apart.cmp(&0)) };
        match (apart.saturating_sub(high), apart.saturating_sub(low)) {
            (least, _) if least > 0 => Some(Ordering::Greater),
            (_, most) if most < 0 => Some(Ordering::Less),
            _ => None,
        }
    }

    /// The furthest that any two clocks may disagree, microseconds.
    #[must_use]
    pub fn widest(&self) -> i64 {
        let low = self.bounds.values().map(|b| b.low).min().unwrap_or(0);
        let high = self.bounds.values().map(|b| b.high).max().unwrap_or(0);
        high - low
    }

    /// How far a source's times may be ahead of those of the one that all are compared with, seconds; `None` for that one
    /// itself, and where it is not known.
    #[must_use]
    pub fn ahead(&self, source: &str) -> Option<[f64; 2]> {
        self.bounds.get(source).filter(|bounds| **bounds != Bounds::default()).map(|b| b.seconds())
    }
}

impl Bounds {
    /// Rounded outwards to tenths of seconds.
    fn seconds(self) -> [f64; 2] {
        [tenths(self.low.div_euclid(TENTH)), tenths(-(-self.high).div_euclid(TENTH))]
    }
}

const TENTH: i64 = 100_000;

fn tenths(count: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "offsets of clocks stay far below 2^53 tenths of seconds")]
    let seconds = count as f64 / 10.0;
    seconds
}

/// Estimates the offset of every source and puts the times of those that are off right.
///
/// # Errors
/// The outline cannot be read.
pub fn align(outline: &mut Outline, ingested: &mut Ingested) -> Result<Clocks> {
    let mut clocks = Clocks::default();
    let sources = sources(outline)?;
    let shared = if sources.len() > 1 { shared(outline, &sources)? } else { Shared::new() };
    let first = sources.iter().max_by_key(|(name, (trail, bearing, _))| (*trail, *bearing, Reverse((*name).clone())));
    let Some((root, _)) = first else { return Ok(clocks) };
    clocks.bounds.insert(root.clone(), Bounds::default());
    // From the root on, each source is compared with one that has been placed.
    let mut placed: Vec<&str> = vec![root];
    while let Some((name, other, estimate)) = next(&sources, &shared, &placed) {
        clocks.place(name, other, &estimate);
        placed.push(name);
    }
    let unknown = sources.keys().filter(|name| !placed.contains(&name.as_str()));
    clocks.offsets.extend(unknown.map(|name| not_known(&sources, &shared, name, root)));
    clocks.offsets.sort_by(|a, b| a.source.cmp(&b.source));
    shift(&clocks.shifts, outline, ingested);
    Ok(clocks)
}

/// A source that is not placed and shares requests with one that is.
fn next<'s>(sources: &'s Sources, shared: &Shared, placed: &[&'s str]) -> Option<(&'s str, &'s str, Estimate)> {
    let mut free = sources.keys().map(String::as_str).filter(|name| !placed.contains(name));
    let with = |name| placed.iter().find_map(|other| Some((name, *other, estimate(sources, shared, name, other)?)));
    free.find_map(with)
}

impl Clocks {
    /// Places a source by how it compares with one that has been placed.
    fn place(&mut self, name: &str, other: &str, estimate: &Estimate) {
        let shift_of_other = self.shifts.get(other).copied().unwrap_or(0);
        let median = estimate.median - shift_of_other;
        let applied = estimate.steady && median.abs() > TOLERATED;
        if applied {
            self.shifts.insert(name.to_owned(), -median);
        }
        let put_right = if applied { estimate.median } else { shift_of_other };
        let (mut low, mut high) = (estimate.bounds.low - put_right, estimate.bounds.high - put_right);
        if !applied {
            // Whether it is the clock or the time that calls take is not known: the clocks may as well agree.
            (low, high) = (low.min(0), high.max(0));
        }
        let of_other = self.bounds.get(other).copied().unwrap_or_default();
        self.bounds.insert(name.to_owned(), Bounds { low: low + of_other.low, high: high + of_other.high });
        let [low, high] = estimate.bounds.seconds().map(Some);
        self.offsets.push(ClockOffset {
            source: name.to_owned(),
            against: other.to_owned(),
            offset_seconds: Some(tenths((estimate.median + TENTH / 2).div_euclid(TENTH))),
            low_seconds: low,
            high_seconds: high,
            pairs: estimate.pairs,
            applied,
        });
    }
}

fn not_known(sources: &Sources, shared: &Shared, name: &str, root: &str) -> ClockOffset {
    let pairs = pairs_of(sources, shared, name, root).map_or(0, |(pairs, _)| pairs.of.len());
    ClockOffset {
        source: name.to_owned(),
        against: root.to_owned(),
        offset_seconds: None,
        low_seconds: None,
        high_seconds: None,
        pairs,
        applied: false,
    }
}

/// By name: whether it is the trail, how many of its events bear an id of a request, its number.
type Sources = BTreeMap<String, (bool, usize, Symbol)>;

const REQUESTS: [Id; 2] = [Id::Request, Id::Correlation];

/// The sources of events that have a time.
fn sources(outline: &Outline) -> Result<Sources> {
    let of_block = |block: &Block<'_>| {
        let mut counts: BTreeMap<Symbol, (bool, usize)> = BTreeMap::new();
        for n in block.places().filter(|n| block.known_time(*n).is_some()) {
            let count = counts.entry(block.names(Column::Source)[n]).or_default();
            count.0 |= block.is(n, flag::TRAIL);
            count.1 += usize::from(REQUESTS.iter().any(|id| block.id(*id)[n] != 0));
        }
        counts
    };
    let mut found = Sources::new();
    for (symbol, (trail, bearing)) in outline.look(&LOOKED_AT, of_block)?.into_iter().flatten() {
        // Mapped records are of many clocks, some of them the trail's own.
        let Some(name) = outline.symbols.name(symbol).filter(|name| *name != MAPPED) else { continue };
        let held = found.entry(name.to_owned()).or_insert((trail, 0, symbol));
        held.1 += bearing;
    }
    Ok(found)
}

const LOOKED_AT: [Column; 4] = [Column::Time, Column::Source, Column::Id(REQUESTS[0]), Column::Id(REQUESTS[1])];

/// Requests whose records are held at a time.
const LOOKED_UP: usize = 1 << 18;

/// By two sources, the requests that both record.
type Shared = BTreeMap<(Symbol, Symbol), Pairs>;

#[derive(Default)]
struct Pairs {
    /// The two records, and by how much the first source's is ahead.
    of: Vec<(Row, Row, i64)>,
    /// What the two clocks count in, microseconds.
    units: [i64; 2],
}

impl Pairs {
    fn add(&mut self, a: &Bearing, b: &Bearing) {
        self.of.push((a.row, b.row, a.time - b.time));
        for (unit, time) in self.units.iter_mut().zip([a.time, b.time]) {
            let fits = |unit: &i64| time % unit == 0;
            let coarsest = if *unit == 0 { UNITS[0] } else { *unit };
            *unit = UNITS.into_iter().filter(|unit| *unit <= coarsest).find(fits).unwrap_or(1);
        }
    }
}

/// Seconds, milliseconds, microseconds.
const UNITS: [i64; 3] = [1_000_000, 1_000, 1];

/// A record that bears the id of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bearing {
    id: IdHash,
    row: Row,
    source: Symbol,
    time: i64,
}

/// The requests that two sources record, each once: an id that several records of a source bear names no request.
fn shared(outline: &Outline, sources: &Sources) -> Result<Shared> {
    let mut found = Shared::new();
    // Of most requests only the source that has most of them tells: those need not be compared.
    let most =
        sources.values().max_by_key(|(_, bearing, symbol)| (*bearing, *symbol)).map_or(0, |(.., symbol)| *symbol);
    let bearing: usize = sources.values().filter(|(.., symbol)| *symbol != most).map(|(_, bearing, _)| bearing).sum();
    let of_others = Twice::of(bearing * REQUESTS.len());
    let note = |block: &Block<'_>| {
        let places = block.places().filter(|n| block.names(Column::Source)[*n] != most);
        places.for_each(|n| REQUESTS.iter().for_each(|id| of_others.note(block.id(*id)[n])));
    };
    outline.look(&LOOKED_AT, note)?;
    let tell_all = |tell: &mut Tell<'_, 3>| -> Result<()> {
        outline.tell(
            &LOOKED_AT,
            |block, say| {
                let sources = block.names(Column::Source);
                for n in block.places().filter(|n| block.counts(*n) && block.known_time(*n).is_some()) {
                    let [request, correlation] = REQUESTS.map(|id| block.id(id)[n]);
                    let ids = [request, if correlation == request { 0 } else { correlation }];
                    let (known, time) = (joined(block.row(n), sources[n]), block.time[n].cast_unsigned());
                    let told = |id: &IdHash| *id != 0 && (sources[n] != most || of_others.may_have_met(*id));
                    ids.into_iter().filter(told).for_each(|id| say(id, [id, known, time]));
                }
            },
            tell,
        )
    };
    let take = |bearing: &mut Vec<Bearing>, [id, known, time]: [u64; 3]| {
        let [row, source] = halves(known);
        bearing.push(Bearing { id, row, source, time: time.cast_signed() });
    };
    let size = Size { expected: outline.len(), most: LOOKED_UP };
    by_share(size, tell_all, Vec::new, take, |mut bearing: Vec<Bearing>| {
        let sources: BTreeSet<Symbol> = bearing.iter().map(|b| b.source).collect();
        if sources.len() < 2 {
            return Ok(());
        }
        bearing.par_sort_unstable();
        for same in bearing.chunk_by(|a, b| a.id == b.id).filter(|same| same.len() > 1) {
            let only = |one: &&Bearing| same.iter().filter(|other| other.source == one.source).count() == 1;
            // Whoever writes one id into all records makes no pairs, and no work.
            let alone: Vec<&Bearing> = same.iter().take(16).filter(only).collect();
            for a in &alone {
                let others = alone.iter().filter(|b| a.source < b.source);
                others.for_each(|b| found.entry((a.source, b.source)).or_default().add(a, b));
            }
        }
        Ok(())
    })?;
    for pairs in found.values_mut() {
        pairs.of.sort_unstable();
        pairs.of.dedup();
    }
    Ok(found)
}

/// The pairs of two sources, and whether `name` comes second in them.
fn pairs_of<'s>(sources: &Sources, shared: &'s Shared, name: &str, other: &str) -> Option<(&'s Pairs, bool)> {
    let (own, other) = (sources.get(name)?.2, sources.get(other)?.2);
    let found = shared.get(&(own.min(other), own.max(other)))?;
    Some((found, own > other))
}

/// What the pairs of two sources tell, microseconds.
struct Estimate {
    median: i64,
    bounds: Bounds,
    pairs: usize,
    steady: bool,
}

/// Compares the times of `name` with those of `other`.
fn estimate(sources: &Sources, shared: &Shared, name: &str, other: &str) -> Option<Estimate> {
    let (pairs, second) = pairs_of(sources, shared, name, other).filter(|(p, _)| p.of.len() >= ENOUGH_PAIRS)?;
    let ahead = |(.., difference): &(Row, Row, i64)| if second { -difference } else { *difference };
    let mut differences: Vec<i64> = pairs.of.iter().map(ahead).collect();
    differences.sort_unstable();
    let at = |share: usize| differences[(differences.len() - 1) * share / 4];
    let [first, median, third] = [1, 2, 3].map(at);
    // Neither clock says more than what it counts in.
    let unit = pairs.units.into_iter().max().unwrap_or(1);
    let spread = third - first;
    let (least, most) = (first - spread * 3 / 2 - unit, third + spread * 3 / 2 + unit);
    let kept = &differences[differences.partition_point(|d| *d < least)..differences.partition_point(|d| *d <= most)];
    Some(Estimate { median, bounds: bounds(kept, unit), pairs: pairs.of.len(), steady: spread <= MAX_SPREAD })
}

/// Where differences, which ascend, are to be expected. Few of them hardly reach the ends: for evenly spread ones, the
/// range of n is on average (n - 1) / (n + 1) of the whole.
fn bounds(differences: &[i64], unit: i64) -> Bounds {
    let n = differences.len();
    let left_out = if n > MANY_PAIRS { n / MANY_PAIRS } else { 0 };
    let (low, high) = (differences[left_out], differences[n - 1 - left_out]);
    let beyond = if left_out > 0 { 0 } else { (high - low) / i64::try_from(n - 1).unwrap_or(i64::MAX).max(1) };
    Bounds { low: low - beyond - unit, high: high + beyond + unit }
}

fn shift(shifts: &BTreeMap<String, i64>, outline: &mut Outline, ingested: &mut Ingested) {
    let Ingested { changes, holds, documents, .. } = ingested;
    for (source, by) in shifts {
        outline.shift(source, *by);
        for change in changes.iter_mut().filter(|c| c.source == source) {
            change.time += by;
        }
        if let Some(source) = source_named(source) {
            holds.shift(source, *by);
        }
        for document in documents.iter_mut().filter(|d| d.source == source) {
            document.time = document.time.map(|time| time + by);
        }
    }
    changes.sort_by_key(Change::order);
}
