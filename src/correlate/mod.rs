//! Correlate: from events to the failures of export items, by identity and never by closeness in time alone.

mod clocks;
mod contrast;
mod duplicates;
mod failures;
mod items;
mod jobs;
mod links;
mod marks;
mod related;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::DataFrame;

pub use clocks::{ClockOffset, align};
pub use contrast::{Contrast, Count, ScopeGroup};
pub use failures::Failure;
pub use items::Unit;
pub use jobs::Job;
pub use marks::Operation;
pub use table::{EventTable, Row};

use crate::error::{Error, Result};
use crate::evidence::Input;
use crate::ingest::Ingested;

/// What correlation finds.
pub struct Correlated {
    pub table: EventTable,
    /// In the order of the report: first failing time, then job, then item.
    pub failures: Vec<Failure>,
    /// What the rest of the archive did.
    pub contrast: Contrast,
    /// Rows that repeat an earlier one, ascending.
    pub duplicates: Vec<Row>,
    /// The jobs that failures belong to.
    pub jobs_failed: BTreeMap<String, Job>,
    /// Attempts and jobs seen, for the summary.
    pub attempts: usize,
    pub jobs: usize,
}

/// Finds the failures among the events.
///
/// # Errors
/// A file cannot be read again, or a frame cannot be computed.
pub fn correlate(ingested: &Ingested, inputs: &[Input], operations: &[Operation]) -> Result<Correlated> {
    let stage = Error::frame("correlate");
    let table = EventTable::new(&ingested.events).map_err(&stage)?;
    let duplicates = duplicates::find(&table, inputs)?;
    let mut marks = marks::Marks::new(&ingested.events, operations, &duplicates).map_err(&stage)?;
    let all_jobs = jobs::frame(&ingested.events).map_err(&stage)?;
    marks.frame = jobs::inherit(marks.frame, &all_jobs).map_err(&stage)?;
    let related = related::Related::new(&ingested.events, &marks).map_err(&stage)?;
    let items = items::group(&table, &related);
    let failed: BTreeSet<&String> = items.iter().filter_map(|item| item.key.job.as_ref()).collect();
    let jobs_failed = jobs::of(&all_jobs, &|id| failed.contains(&id.to_owned())).map_err(&stage)?;
    let failures = failures::find(&table, &related, &items, &jobs_failed);
    let contrast = Contrast::new(&ingested.events, &marks.frame, &failures).map_err(&stage)?;
    let jobs = count_jobs(&marks.frame).map_err(&stage)?;
    Ok(Correlated { table, failures, contrast, duplicates, attempts: marks.frame.height(), jobs, jobs_failed })
}

fn count_jobs(marks: &DataFrame) -> polars::prelude::PolarsResult<usize> {
    marks.column("job_id")?.drop_nulls().n_unique()
}
