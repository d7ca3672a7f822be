//! A source that is silent while another is busy: what the trail says was stored, and another source usually tells of too,
//! is for a while not in that source.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Gap, GapKind, between, records_at};
use crate::correlate::columns::Column;
use crate::correlate::outline::{Block, Id, IdHash, Outline, flag};
use crate::correlate::symbols::Symbol;
use crate::error::Result;
use crate::spill::{Size, Tell, by_share, halves, joined};

/// Time is looked at in slots of this length, microseconds.
const SLOT: i64 = 300_000_000;
/// Ids of one source that are held at a time.
const HELD: usize = 1 << 18;
/// The other source must tell of so many, and of this share of what the trail says, while it tells of anything.
const ENOUGH: u64 = 10;
const USUAL: f64 = 0.5;
/// Beyond that share nothing is more usual.
const MOST: f64 = 0.95;
/// The logarithm of how improbable a silence must be, and the fewest stored items and jobs that make one.
const IMPROBABLE: f64 = -14.0;
const JOBS: usize = 3;

/// What the trail says was stored in a slot.
#[derive(Clone, Default)]
struct Slot {
    all: u64,
    witnessed: u64,
    first: i64,
    last: i64,
    /// Some of the jobs.
    jobs: Vec<IdHash>,
}

/// By the other source, the step and the bucket: slot by slot.
type Slots = BTreeMap<(Symbol, Symbol, Symbol), BTreeMap<i64, Slot>>;

/// Finds what is not witnessed.
pub fn find(outline: &Outline) -> Result<Vec<Gap>> {
    let spans = spans(outline)?;
    let mut slots = Slots::new();
    let steps: Vec<Symbol> = ["upload", "export"].iter().filter_map(|step| outline.symbols.find(step)).collect();
    if spans.is_empty() || steps.is_empty() {
        return Ok(Vec::new());
    }
    let size = Size { expected: outline.count(flag::ATTEMPT), most: HELD };
    let take = |share: &mut Told, entry| share.take(entry);
    by_share(
        size,
        |tell| tell_all(outline, &steps, tell),
        Told::default,
        take,
        |share| {
            share.count(&spans, &mut slots);
            Ok(())
        },
    )?;
    let mut found = Vec::new();
    for ((source, step, bucket), slots) in &slots {
        let Some(span) = spans.get(source) else { continue };
        found.extend(runs(slots, *span).into_iter().map(|run| (*source, *step, *bucket, run)));
    }
    describe(outline, found)
}

/// First and last attempt that each source but the trail tells of.
fn spans(outline: &Outline) -> Result<BTreeMap<Symbol, (i64, i64)>> {
    let of_block = |block: &Block<'_>| {
        let mut spans: BTreeMap<Symbol, (i64, i64)> = BTreeMap::new();
        let others = block.places().filter(|n| block.is(*n, flag::ATTEMPT) && !block.is(*n, flag::TRAIL));
        for (n, time) in others.filter_map(|n| Some((n, block.known_time(n)?))) {
            let span = spans.entry(block.names(Column::Source)[n]).or_insert((time, time));
            *span = (span.0.min(time), span.1.max(time));
        }
        spans
    };
    let mut found: BTreeMap<Symbol, (i64, i64)> = BTreeMap::new();
    for (source, more) in outline.look(&[Column::Time, Column::Source], of_block)?.into_iter().flatten() {
        let span = found.entry(source).or_insert(more);
        *span = (span.0.min(more.0), span.1.max(more.1));
    }
    Ok(found)
}

/// Tells of what the trail says was stored, and of what other sources say at all, by the object or else the recording:
/// source and step (0 for other sources), bucket, id, job and time.
fn tell_all(outline: &Outline, steps: &[Symbol], tell: &mut Tell<'_, 5>) -> Result<()> {
    let ids = [Id::Object, Id::Recording];
    let [object, recording] = ids.map(Column::Id);
    let columns = [Column::Time, Column::Source, Column::Phase, Column::Bucket, Column::Id(Id::Job), object, recording];
    outline.tell(
        &columns,
        |block, say| {
            let (sources, phases, buckets) =
                (block.names(Column::Source), block.names(Column::Phase), block.names(Column::Bucket));
            for n in block.places().filter(|n| block.is(*n, flag::ATTEMPT)) {
                let mut named = ids.iter().map(|id| block.id(*id)[n]).filter(|id| *id != 0);
                if !block.is(n, flag::TRAIL) {
                    named.for_each(|id| say(id, [joined(sources[n], 0), 0, id, 0, 0]));
                } else if block.is(n, flag::OK)
                    && steps.contains(&phases[n])
                    && let (Some(id), Some(time)) = (named.next(), block.known_time(n))
                {
                    let place = joined(sources[n], phases[n]);
                    say(id, [place, u64::from(buckets[n]), id, block.id(Id::Job)[n], time.cast_unsigned()]);
                }
            }
        },
        tell,
    )
}

/// What the sources tell of some items.
#[derive(Default)]
struct Told {
    /// By other sources than the trail.
    others: HashSet<(Symbol, IdHash), foldhash::fast::RandomState>,
    stored: Vec<[u64; 5]>,
}

impl Told {
    fn take(&mut self, entry: [u64; 5]) {
        let [place, _, id, ..] = entry;
        match halves(place) {
            [source, 0] => drop(self.others.insert((source, id))),
            _ => self.stored.push(entry),
        }
    }

    fn count(&self, spans: &BTreeMap<Symbol, (i64, i64)>, slots: &mut Slots) {
        for [place, bucket, id, job, time] in &self.stored {
            let ([_, step], [_, bucket], time) = (halves(*place), halves(*bucket), time.cast_signed());
            for source in spans.keys() {
                let of = (*source, step, bucket);
                let slot = slots.entry(of).or_default().entry(time.div_euclid(SLOT)).or_default();
                slot.add(time, *job, self.others.contains(&(*source, *id)));
            }
        }
    }
}

impl Slot {
    fn add(&mut self, time: i64, job: IdHash, witnessed: bool) {
        (self.first, self.last) =
            if self.all == 0 { (time, time) } else { (self.first.min(time), self.last.max(time)) };
        self.all += 1;
        self.witnessed += u64::from(witnessed);
        if self.jobs.len() < JOBS && !self.jobs.contains(&job) {
            self.jobs.push(job);
        }
    }
}

/// Stored items of which the other source tells of none, although it usually does.
struct Run {
    from: i64,
    to: i64,
    all: u64,
    /// Of how many it tells otherwise, and of how many there are.
    usual: (u64, u64),
}

fn runs(slots: &BTreeMap<i64, Slot>, span: (i64, i64)) -> Vec<Run> {
    let within = slots.values().filter(|slot| slot.last >= span.0 - SLOT && slot.first <= span.1 + SLOT);
    let (witnessed, all) = within.fold((0, 0), |(w, a), slot| (w + slot.witnessed, a + slot.all));
    if witnessed < ENOUGH || real(witnessed) < USUAL * real(all) {
        return Vec::new();
    }
    let missed = (1.0 - (real(witnessed) / real(all)).min(MOST)).ln();
    let listed: Vec<&Slot> = slots.values().collect();
    let silent = listed.chunk_by(|a, b| (a.witnessed == 0) == (b.witnessed == 0)).filter(|run| run[0].witnessed == 0);
    silent
        .filter_map(|run| {
            let stored: u64 = run.iter().map(|slot| slot.all).sum();
            let jobs: BTreeSet<IdHash> = run.iter().flat_map(|slot| slot.jobs.iter().copied()).collect();
            let improbable = real(stored) * missed <= IMPROBABLE && jobs.len() >= JOBS;
            let (from, to) = (run[0].first, run[run.len() - 1].last);
            improbable.then_some(Run { from, to, all: stored, usual: (witnessed, all) })
        })
        .collect()
}

fn real(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let real = count as f64;
    real
}

fn describe(outline: &Outline, found: Vec<(Symbol, Symbol, Symbol, Run)>) -> Result<Vec<Gap>> {
    let trail = outline.symbols.find(crate::correlate::steps::TRAIL).unwrap_or(0);
    let wanted: BTreeSet<(Symbol, i64)> =
        found.iter().flat_map(|(.., run)| [(trail, run.from), (trail, run.to)]).collect();
    let records = records_at(outline, &wanted)?;
    let gap = |(source, step, bucket, run): (Symbol, Symbol, Symbol, Run)| {
        let name = |symbol| outline.symbols.name(symbol).unwrap_or_default();
        let to_bucket = outline.symbols.name(bucket).map(|bucket| format!(" to {bucket}")).unwrap_or_default();
        let (source, (witnessed, all)) = (name(source), run.usual);
        let detail = format!(
            "{source} tells of none of {} that the trail says succeeded at {}{to_bucket} {}; it tells of {witnessed} of {all} while it tells of any",
            run.all,
            name(step),
            between(run.from, run.to)
        );
        let at = |time| records.get(&(trail, time)).copied();
        let mut cited: Vec<_> = [at(run.from), at(run.to)].into_iter().flatten().collect();
        cited.dedup();
        Gap {
            kind: GapKind::Unwitnessed,
            source: source.to_owned(),
            job: None,
            from: Some(run.from),
            to: Some(run.to),
            possible: true,
            detail,
            records: cited,
        }
    };
    Ok(found.into_iter().map(gap).collect())
}
