//! The timeline of a job: every record about it from every source, in order of time.

use serde::Serialize;

use super::Evidence;
use super::joined::{Joint, joined};
use super::record_ids::Digests;
use crate::correlate::{EventTable, Row};
use crate::error::{Error, Result};
use crate::ingest::{Text, rfc3339};

/// One record of a timeline.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimelineEntry {
    /// RFC 3339 UTC; null where the record's time is unknown.
    pub time: Option<String>,
    pub source: String,
    /// How far the source's clock may be ahead of the trail's, seconds, least and most; null for the trail itself and where
    /// it is not known.
    pub clock_ahead_seconds: Option<[f64; 2]>,
    /// The step or operation.
    pub what: String,
    pub outcome: String,
    pub http_status: Option<u32>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub attempt: Option<u32>,
    /// By what the record belongs to the job: `job_id`, a shared id, or what it changed.
    pub joined_by: &'static str,
    /// That id; the subject of a change.
    pub joined_id: Option<String>,
    pub record_id: Option<String>,
    pub file: String,
    pub record: u64,
    pub offset: u64,
    pub length: u64,
}

/// The timeline of one job.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    pub job_id: String,
    pub entries: Vec<TimelineEntry>,
}

/// Builds the timeline of `job`.
///
/// # Errors
/// No record names the job, or a record cannot be read again.
pub fn timeline(evidence: &Evidence, job: &str) -> Result<Timeline> {
    let outline = &evidence.correlated.outline;
    if outline.jobs.get(outline.hash(job)).is_none() {
        let reason = "no record names this job; `holdtrace analyze --format csv` lists those that failed".to_owned();
        return Err(Error::Usage { what: format!("--job {job}"), reason });
    }
    let (held, by): (Vec<Row>, Vec<Joint>) = joined(evidence, job)?.into_iter().unzip();
    let table = evidence.table(&held)?;
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| (table.time(*row).is_none(), table.time(*row), table.locator(*row)));
    let mut digests = Digests::new(evidence);
    digests.find(&rows.iter().map(|row| table.locator(*row)).collect(), &[&table])?;
    let entries = rows.into_iter().map(|row| {
        let id = digests.of(&table.locator(row)).map(|digest| digest.record_id());
        entry(evidence, &table, row, &by[row as usize], id)
    });
    Ok(Timeline { job_id: job.to_owned(), entries: entries.collect() })
}

fn entry(evidence: &Evidence, table: &EventTable, row: Row, joint: &Joint, record_id: Option<String>) -> TimelineEntry {
    let text = |column| table.text(column, row).map(str::to_owned);
    let joined_id = match joint {
        Joint::Change { of, .. } => Some(of.clone()),
        joint => joint.column().and_then(text),
    };
    let at = table.locator(row);
    TimelineEntry {
        time: table.time(row).map(rfc3339),
        source: table.source(row).to_owned(),
        clock_ahead_seconds: evidence.correlated.clocks.ahead(table.source(row)),
        what: text(Text::Step).or_else(|| text(Text::Operation)).unwrap_or_default(),
        outcome: table.outcome(row).to_owned(),
        http_status: table.status(row),
        error_code: text(Text::ErrorCode),
        error_message: text(Text::ErrorMessage),
        attempt: table.attempt(row),
        joined_by: joint.name(),
        joined_id,
        record_id,
        file: evidence.discovery.inputs[at.file as usize].label.clone(),
        record: at.record,
        offset: at.offset,
        length: at.length,
    }
}
