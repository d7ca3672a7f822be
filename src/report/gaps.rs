//! What the evidence should hold and does not.

use polars::prelude::*;
use serde::Serialize;

use crate::ingest::rfc3339;

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// `job_without_end`: a job starts, and neither its completion nor its failure is on record.
    pub kind: &'static str,
    pub job_id: Option<String>,
    /// Time of the record after which something is missing, RFC 3339 UTC.
    pub after: Option<String>,
    pub detail: String,
}

/// Finds the gaps in the events, in order of time.
///
/// # Errors
/// Polars cannot evaluate the selection.
pub fn find(events: &DataFrame) -> PolarsResult<Vec<Gap>> {
    let is = |step: &str| col("step").eq(lit(step));
    let ended = is("job.completed").or(is("job.failed"));
    let frame = events
        .select(["job_id", "step", "time"])?
        .lazy()
        .filter(col("job_id").is_not_null())
        .group_by([col("job_id")])
        .agg([
            is("job.started").any(true).alias("started"),
            ended.any(true).alias("ended"),
            col("time").cast(DataType::Int64).max().alias("last"),
        ])
        .filter(col("started").and(col("ended").not()))
        .sort(["last", "job_id"], SortMultipleOptions::default())
        .collect()?;
    let (job, last) = (frame.column("job_id")?.str()?, frame.column("last")?.i64()?);
    let gap = |(job, last): (Option<&str>, Option<i64>)| Gap {
        kind: "job_without_end",
        job_id: job.map(str::to_owned),
        after: last.map(rfc3339),
        detail: "the job starts, and neither its completion nor its failure is on record".to_owned(),
    };
    Ok(job.iter().zip(last.iter()).map(gap).collect())
}
