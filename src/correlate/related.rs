//! The attempts that have to do with a failing one: those that share its job, recording, object, request or role.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::marks::Marks;
use super::table::Row;

/// An attempt at a step of an export.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub row: Row,
    /// Index into [`Related::phases`].
    pub phase: u16,
    pub failing: bool,
    pub ok: bool,
}

/// Attempts that may belong to a failure, ascending by row.
pub struct Related {
    pub attempts: Vec<Attempt>,
    /// Names of the steps.
    pub phases: Vec<String>,
}

/// The ids by which records belong together; each with the column of a failing row that may name the same thing. Thing
/// and thing are compared, never time.
const SHARED: [(&str, &str); 9] = [
    ("job_id", "job_id"),
    ("job_id", "session_name"),
    ("session_name", "job_id"),
    ("recording_id", "recording_id"),
    ("conversation_id", "conversation_id"),
    ("object_key", "object_key"),
    ("role_arn", "role_arn"),
    ("key_arn", "key_arn"),
    ("request_id", "request_id"),
];

impl Related {
    /// Picks the related attempts out of all.
    ///
    /// # Errors
    /// Polars cannot evaluate the joins.
    pub fn new(events: &DataFrame, marks: &Marks) -> PolarsResult<Self> {
        let seeds = marks.frame.clone().lazy().filter(col("failing")).collect()?;
        let mut wanted = vec![false; events.height()];
        for row in rows(&seeds)? {
            wanted[row as usize] = true;
        }
        for (left, right) in SHARED {
            mark_sharing(&marks.frame, &seeds, left, right, &mut wanted)?;
        }
        // A correlation id of the trail is the request id of the service, where the exporter passes it on.
        mark_sharing(&marks.frame, &seeds, "correlation_id", "request_id", &mut wanted)?;
        mark_sharing(&marks.frame, &seeds, "request_id", "correlation_id", &mut wanted)?;
        mark_whole_buckets(&marks.frame, &seeds, &mut wanted)?;
        Self::take(&marks.frame, &wanted)
    }

    fn take(marks: &DataFrame, wanted: &[bool]) -> PolarsResult<Self> {
        let (row, phase) = (marks.column("row")?.u32()?, marks.column("phase")?.str()?);
        let (failing, ok) = (marks.column("failing")?.bool()?, marks.column("ok")?.bool()?);
        let mut numbers: BTreeMap<String, u16> = BTreeMap::new();
        let mut attempts = Vec::new();
        for (((row, phase), failing), ok) in row.iter().zip(phase.iter()).zip(failing.iter()).zip(ok.iter()) {
            let (Some(row), Some(phase)) = (row, phase) else { continue };
            if !wanted[row as usize] {
                continue;
            }
            let next = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
            let phase = *numbers.entry(phase.to_owned()).or_insert(next);
            attempts.push(Attempt { row, phase, failing: failing.unwrap_or(false), ok: ok.unwrap_or(false) });
        }
        attempts.sort_unstable_by_key(|attempt| attempt.row);
        let mut phases = vec![String::new(); numbers.len()];
        for (name, number) in numbers {
            phases[number as usize] = name;
        }
        Ok(Self { attempts, phases })
    }

    /// The name of an attempt's step.
    #[must_use]
    pub fn phase(&self, attempt: &Attempt) -> &str {
        &self.phases[attempt.phase as usize]
    }
}

fn rows(frame: &DataFrame) -> PolarsResult<Vec<Row>> {
    Ok(frame.column("row")?.u32()?.iter().flatten().collect())
}

fn mark_sharing(
    marks: &DataFrame,
    seeds: &DataFrame,
    left: &str,
    right: &str,
    wanted: &mut [bool],
) -> PolarsResult<()> {
    let ids = seeds.column(right)?.drop_nulls().unique()?.with_name("id".into());
    if ids.is_empty() {
        return Ok(());
    }
    let ids = DataFrame::new(ids.len(), vec![ids])?;
    let found = marks
        .clone()
        .lazy()
        .select([col("row"), col(left)])
        .join(ids.lazy(), [col(left)], [col("id")], JoinArgs::new(JoinType::Semi))
        .collect()?;
    for row in rows(&found)? {
        wanted[row as usize] = true;
    }
    Ok(())
}

/// Calls that name a bucket and nothing in it stand by the bucket.
fn mark_whole_buckets(marks: &DataFrame, seeds: &DataFrame, wanted: &mut [bool]) -> PolarsResult<()> {
    let names_bucket_only = || {
        col("object_key")
            .is_null()
            .and(col("job_id").is_null())
            .and(col("role_arn").is_null())
            .and(col("key_arn").is_null())
    };
    let seeds = seeds.clone().lazy().filter(names_bucket_only()).collect()?;
    let marks = marks.clone().lazy().filter(names_bucket_only()).collect()?;
    mark_sharing(&marks, &seeds, "bucket", "bucket", wanted)
}
