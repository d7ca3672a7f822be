//! Correlate: from events to the failures of export items, by identity and never by closeness in time alone.

mod blocks;
mod clocks;
mod columns;
mod contrast;
mod duplicates;
mod echoes;
mod failures;
mod gaps;
mod holds;
mod ids;
mod issued;
mod items;
mod jobs;
mod links;
mod outline;
mod passages;
mod reexports;
mod related;
mod requests;
mod statements;
mod steps;
mod symbols;
mod table;
mod telling;
mod texts;
mod waves;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::quality::RandomState;

pub use clocks::{Bounds, ClockOffset, Clocks};
pub use columns::Column;
pub use contrast::{Contrast, Count, ScopeGroup};
pub use duplicates::Repeated;
pub use failures::{Failure, Order};
pub use gaps::{Gap, GapKind};
pub use holds::{Held, Holds};
pub use issued::HOPS;
pub use items::Unit;
pub use jobs::{Jobs, Stated, Unended};
pub use links::By;
pub use outline::{Block, Id, IdHash, NO_TIME, Outline, flag};
pub use passages::{HOURS, Media, Passage, attempts_by_hour, hour_of_day, passages, regions_at};
pub use statements::{Look, Statement, Statements};
pub use steps::{JOBS, Operation, Steps, is_of_platform};
pub use symbols::{Symbol, Symbols};
pub use table::{EventTable, Row};

use crate::error::{Error, Result};
use crate::evidence::{Input, Locator};
use crate::ingest::{HoldLog, Ingested, LeftOut, Options, Prints, Reread, ingest_without};
use issued::Keys;
use related::Related;
use waves::Attempts;

/// What correlation finds.
pub struct Correlated {
    /// All events, in outline.
    pub outline: Outline,
    /// All direct metadata writes.
    pub probes: EventTable,
    /// The attempts that have to do with failures; what they are is found wave by wave.
    waves: Vec<Attempts>,
    /// The jobs that keys were issued to, of those with which such attempts were made.
    keys: Keys,
    pub holds: Holds,
    /// What the rest of the archive did.
    pub contrast: Contrast,
    pub clocks: Clocks,
    /// Rows of the outline that do not count.
    pub repeated: Repeated,
    /// What should be there and is not.
    pub gaps: Vec<Gap>,
    /// Attempts and jobs seen, for the summary.
    pub attempts: usize,
    pub jobs: usize,
}

/// Failures that have nothing to do with those of other waves, with the events that they rest on.
pub struct Wave {
    pub table: EventTable,
    /// By first failing time, then job, then item.
    pub failures: Vec<Failure>,
    /// The changes of holds that they have to do with.
    pub held: Held,
}

impl Correlated {
    /// The failures, wave by wave: an archive with very many takes no more memory than one with some.
    ///
    /// # Errors
    /// In place of a wave: a file cannot be read again, or is not what it was.
    pub fn waves<'a>(&'a self, reread: &'a Reread<'_>) -> impl Iterator<Item = Result<Wave>> + 'a {
        (0..self.waves.len()).map(|number| self.wave(number, reread))
    }

    /// The waves with a failure of which a row of the outline (`rows`, ascending) may be.
    ///
    /// # Errors
    /// As [`waves`](Self::waves).
    pub fn waves_of<'a>(&'a self, rows: &'a [Row], reread: &'a Reread<'_>) -> impl Iterator<Item = Result<Wave>> + 'a {
        let holds = |attempts: &Attempts| attempts.iter().any(|(row, _)| rows.binary_search(row).is_ok());
        let numbers = (0..self.waves.len()).filter(move |number| holds(&self.waves[*number]));
        numbers.map(|number| self.wave(number, reread))
    }

    fn wave(&self, number: usize, reread: &Reread<'_>) -> Result<Wave> {
        let Self { outline, clocks, keys, .. } = self;
        let attempts = &self.waves[number];
        let rows: Vec<Row> = attempts.iter().map(|(row, _)| *row).collect();
        let table = table(outline, &rows, reread, clocks)?;
        let related = Related::new(outline, attempts);
        let failures =
            failures::find(&table, &related, &items::group(&table, &related, outline, keys), outline, clocks);
        let held = self.holds.of(&table, &failures)?;
        Ok(Wave { table, failures, held })
    }
}

/// Events that a part of an archive is expected to hold: columns that grow bit by bit are copied again and again.
const PART: usize = 2048;

/// Reads `inputs` in outline.
///
/// # Errors
/// What does not fit into memory cannot be put into a temporary file.
pub fn read(
    inputs: &[Input],
    options: Options<'_>,
    operations: &[Operation],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Outline, Ingested)> {
    read_without(inputs, options, &LeftOut::default(), operations, progress)
}

/// Reads `inputs` in outline, as if the records in `left_out` were not there.
///
/// # Errors
/// As [`read`].
pub fn read_without(
    inputs: &[Input],
    options: Options<'_>,
    left_out: &LeftOut,
    operations: &[Operation],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Outline, Ingested)> {
    let (keys, steps) = (RandomState::default(), Arc::new(Steps::new(operations)));
    let collector = || Outline::with_capacity(keys.clone(), Arc::clone(&steps), PART);
    let mut outline = collector();
    let prints = Prints::of_run(&keys, inputs);
    let mut absorb = |part| outline.append(part);
    let ingested = ingest_without(inputs, options, prints, left_out, &collector, &mut absorb, progress);
    outline.finish()?;
    Ok((outline, ingested))
}

/// Finds the failures among the events.
///
/// # Errors
/// A file cannot be read again, or a frame cannot be computed.
pub fn correlate(
    mut outline: Outline,
    ingested: &mut Ingested,
    inputs: &[Input],
    options: Options<'_>,
) -> Result<Correlated> {
    let hashing = outline.keys.clone();
    let repeated = duplicates::mark(&mut outline, &reread_in(&hashing, ingested, inputs, options))?;
    let clocks = clocks::align(&mut outline, ingested)?;
    echoes::leave_out(&mut outline)?;
    let divided = || {
        let related = related::related(&outline)?;
        let keys = Keys::find(&outline, &related)?;
        let waves = waves::divide(&outline, &keys, related, options.attempts_at_a_time)?;
        Ok::<_, Error>((keys, waves))
    };
    let holds = std::mem::take(&mut ingested.holds);
    let find_holds = || find_holds(holds, &outline, &repeated);
    let find_gaps = || gaps::find(&outline, &ingested.files);
    let ((divided, gaps), (contrast, holds)) =
        rayon::join(|| rayon::join(divided, find_gaps), || rayon::join(|| Contrast::new(&outline), find_holds));
    let ((keys, waves), gaps, contrast, holds) = (divided?, gaps?, contrast?, holds?);
    let probes: Vec<Row> = outline.rows().filter(|row| outline.is(*row, flag::PROBE) && outline.counts(*row)).collect();
    let probes = table(&outline, &probes, &reread(&outline, ingested, inputs, options), &clocks)?;
    let (attempts, jobs) = (outline.count(flag::ATTEMPT), count_jobs(&outline)?);
    Ok(Correlated { outline, probes, waves, keys, holds, contrast, clocks, repeated, gaps, attempts, jobs })
}

/// The holds of which the records count.
fn find_holds(mut log: HoldLog, outline: &Outline, repeated: &Repeated) -> Result<Holds> {
    let superseded = repeated.superseded.iter().map(|(row, _)| *row);
    let mut rows: Vec<Row> = repeated.duplicates.iter().copied().chain(superseded).collect();
    rows.sort_unstable();
    let places: Vec<Locator> = outline.wanted(&rows)?.into_iter().map(|wanted| wanted.at).collect();
    log.index(|at| places.binary_search(at).is_err())?;
    Holds::find(log)
}

/// How records of an archive are read again.
#[must_use]
pub fn reread<'a>(
    outline: &'a Outline,
    ingested: &'a Ingested,
    inputs: &'a [Input],
    options: Options<'a>,
) -> Reread<'a> {
    reread_in(&outline.keys, ingested, inputs, options)
}

fn reread_in<'a>(
    keys: &'a RandomState,
    ingested: &'a Ingested,
    inputs: &'a [Input],
    options: Options<'a>,
) -> Reread<'a> {
    let prints = Prints::of_run(keys, inputs);
    Reread { inputs, manners: &ingested.manners, options, prints }
}

/// The table of the events at `rows` (ascending) of an outline.
///
/// # Errors
/// A file cannot be read again, or is not what it was.
pub fn table(outline: &Outline, rows: &[Row], reread: &Reread<'_>, clocks: &Clocks) -> Result<EventTable> {
    let wanted = outline.wanted(rows)?;
    let mut table = EventTable::joined(reread.read(&wanted, &EventTable::default)?);
    table.shift(&clocks.shifts);
    Ok(table)
}

/// Jobs that an attempt is of.
fn count_jobs(outline: &Outline) -> Result<usize> {
    let met: Vec<AtomicBool> = std::iter::repeat_with(AtomicBool::default).take(outline.jobs.count()).collect();
    let of_block = |block: &Block<'_>| {
        let attempts = block.places().filter(|n| block.is(*n, flag::ATTEMPT));
        for place in attempts.filter_map(|n| outline.jobs.place(block.id(Id::Job)[n])) {
            met[place].store(true, Ordering::Relaxed);
        }
    };
    outline.look(&[Column::Id(Id::Job)], of_block)?;
    Ok(met.into_iter().filter(|met| met.load(Ordering::Relaxed)).count())
}
