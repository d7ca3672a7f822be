//! Correlate: from events to the failures of export items, by identity and never by closeness in time alone.

mod blocks;
mod clocks;
mod columns;
mod contrast;
mod duplicates;
mod failures;
mod items;
mod jobs;
mod links;
mod outline;
mod related;
mod steps;
mod symbols;
mod table;
mod texts;

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::quality::RandomState;

pub use clocks::{ClockOffset, Clocks};
pub use columns::Column;
pub use contrast::{Contrast, Count, ScopeGroup, Statement};
pub use failures::Failure;
pub use items::Unit;
pub use jobs::{Job, Jobs};
pub use outline::{Block, Id, IdHash, Outline, flag};
pub use steps::{Operation, Steps};
pub use symbols::{Symbol, Symbols};
pub use table::{EventTable, Row};

use crate::error::Result;
use crate::evidence::Input;
use crate::ingest::{Ingested, LeftOut, Options, Prints, Reread, ingest_without};
use related::Related;

/// What correlation finds.
pub struct Correlated {
    /// All events, in outline.
    pub outline: Outline,
    /// The events that have to do with failures, and all probes.
    pub table: EventTable,
    /// In the order of the report: first failing time, then job, then item.
    pub failures: Vec<Failure>,
    /// What the rest of the archive did.
    pub contrast: Contrast,
    pub clocks: Clocks,
    /// Rows of the outline that repeat an earlier one, ascending.
    pub duplicates: Vec<Row>,
    /// Attempts and jobs seen, for the summary.
    pub attempts: usize,
    pub jobs: usize,
}

/// Events that a part of an archive is expected to hold: columns that grow bit by bit are copied again and again.
const PART: usize = 2048;

/// Reads `inputs` in outline.
///
/// # Errors
/// What does not fit into memory cannot be put into a temporary file.
pub fn read(
    inputs: &[Input],
    options: Options,
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
    options: Options,
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
    options: Options,
) -> Result<Correlated> {
    let clocks = clocks::align(&mut outline, &mut ingested.changes, &mut ingested.documents)?;
    let duplicates = duplicates::mark(&mut outline, inputs)?;
    related::leave_out_echoes(&mut outline)?;
    let related = related::related(&outline)?;
    let probes = outline.rows().filter(|row| outline.is(*row, flag::PROBE));
    let mut held: Vec<Row> = related.iter().map(|(row, _)| *row).chain(probes).collect();
    held.sort_unstable();
    held.dedup();
    let reread = reread(&outline, ingested, inputs, options);
    let table = table(&outline, &held, &reread, &clocks)?;
    let related = Related::new(&outline, &related, &held);
    let find = || failures::find(&table, &related, &items::group(&table, &related), &outline);
    let (failures, contrast) = rayon::join(find, || Contrast::new(&outline));
    let contrast = contrast?;
    let (attempts, jobs) = (outline.count(flag::ATTEMPT), count_jobs(&outline)?);
    Ok(Correlated { outline, table, failures, contrast, clocks, duplicates, attempts, jobs })
}

/// How records of an archive are read again.
#[must_use]
pub fn reread<'a>(outline: &'a Outline, ingested: &'a Ingested, inputs: &'a [Input], options: Options) -> Reread<'a> {
    let prints = Prints::of_run(&outline.keys, inputs);
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
    let of_block = |block: &Block<'_>| -> Vec<IdHash> {
        let attempts = block.places().filter(|n| block.is(*n, flag::ATTEMPT));
        let mut jobs: Vec<IdHash> = attempts.map(|n| block.id(Id::Job)[n]).filter(|job| *job != 0).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    };
    let found = outline.look(&[Column::Id(Id::Job)], of_block)?;
    let ids: HashSet<IdHash, foldhash::fast::RandomState> = found.into_iter().flatten().collect();
    Ok(ids.len())
}
