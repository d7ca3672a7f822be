//! What the evidence should hold and does not.

use serde::Serialize;

use crate::correlate::{Job, Jobs};
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

/// Finds the gaps, in order of time.
#[must_use]
pub fn find(jobs: &Jobs) -> Vec<Gap> {
    let gap = |job: &Job| Gap {
        kind: "job_without_end",
        job_id: Some(job.id.to_string()),
        after: job.last.map(rfc3339),
        detail: "the job starts, and neither its completion nor its failure is on record".to_owned(),
    };
    jobs.without_end().into_iter().map(gap).collect()
}
