//! The timeline of a job: every record about it from every source, in order of time.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Evidence;
use super::record_ids::digests;
use crate::correlate::Row;
use crate::error::{Error, Result};
use crate::evidence::{Digest, Locator};
use crate::ingest::{Change, ChangeKind, Text, rfc3339};

/// One record of a timeline.
#[derive(Clone, Debug, Serialize)]
pub struct TimelineEntry {
    /// RFC 3339 UTC; null where the record's time is unknown.
    pub time: Option<String>,
    pub source: String,
    /// The step or operation.
    pub what: String,
    pub outcome: String,
    pub http_status: Option<u32>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub attempt: Option<u32>,
    /// By what the record belongs to the job: `job_id`, a shared id, or what it changed.
    pub joined_by: String,
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

/// Ids by which a record without the job's id belongs to it.
const SHARED: [Text; 6] =
    [Text::RecordingId, Text::ObjectKey, Text::RequestId, Text::CorrelationId, Text::HoldId, Text::ConversationId];

/// Builds the timeline of `job`.
///
/// # Errors
/// No record names the job, or a cited record cannot be read again.
pub fn timeline(evidence: &Evidence, job: &str) -> Result<Timeline> {
    let table = &evidence.correlated.table;
    #[expect(clippy::cast_possible_truncation, reason = "polars frames hold fewer than 2^32 rows")]
    let all = 0..table.len() as u32;
    let own: Vec<Row> = all.clone().filter(|row| table.text(Text::JobId, *row) == Some(job)).collect();
    if own.is_empty() {
        let reason = "no record names this job; `holdtrace analyze --format csv` lists those that failed".to_owned();
        return Err(Error::Usage { what: format!("--job {job}"), reason });
    }
    let ids = |column| -> BTreeSet<&str> { own.iter().filter_map(|row| table.text(column, *row)).collect() };
    let shared: Vec<(Text, BTreeSet<&str>)> = SHARED.into_iter().map(|column| (column, ids(column))).collect();
    let failures = evidence.correlated.failures.iter().filter(|f| f.job_id.as_deref() == Some(job));
    let linked: BTreeSet<Row> = failures.flat_map(|f| f.attempts.iter().copied()).collect();
    let changed = changes(evidence, &own);
    let mut rows: Vec<(Row, String)> = Vec::new();
    for row in all.filter(|row| evidence.correlated.duplicates.binary_search(row).is_err()) {
        let by = || {
            if table.text(Text::JobId, row).is_some() {
                return (table.text(Text::JobId, row) == Some(job)).then(|| "job_id".to_owned());
            }
            let by_id = shared.iter().find(|(column, ids)| table.text(*column, row).is_some_and(|id| ids.contains(id)));
            by_id
                .map(|(column, _)| crate::ingest::TEXT_COLUMNS[*column as usize].to_owned())
                .or_else(|| (table.text(Text::SessionName, row) == Some(job)).then(|| "session_name".to_owned()))
                .or_else(|| linked.contains(&row).then(|| "the failure it is about".to_owned()))
                .or_else(|| changed.iter().find(|(at, _)| *at == table.locator(row)).map(|(_, what)| what.clone()))
        };
        rows.extend(by().map(|by| (row, by)));
    }
    rows.sort_by_key(|(row, _)| (table.time(*row).is_none(), table.time(*row), table.locator(*row)));
    let digests = digests(evidence, rows.iter().map(|(row, _)| table.locator(*row)).collect())?;
    let entries = rows.into_iter().map(|(row, by)| {
        let at = table.locator(row);
        entry(evidence, row, by, digests.get(&at).map(Digest::record_id))
    });
    Ok(Timeline { job_id: job.to_owned(), entries: entries.collect() })
}

/// Changes to the job's caller and bucket from its first to its last record.
fn changes(evidence: &Evidence, own: &[Row]) -> Vec<(Locator, String)> {
    let table = &evidence.correlated.table;
    let times: Vec<i64> = own.iter().filter_map(|row| table.time(*row)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Vec::new() };
    let of = |column| -> BTreeSet<&str> { own.iter().filter_map(|row| table.text(column, *row)).collect() };
    let (callers, buckets) = (of(Text::Principal), of(Text::Bucket));
    let is_of = |change: &Change, ids: &BTreeSet<&str>| ids.iter().any(|id| change.is_of(id));
    let within = evidence.ingested.changes.iter().filter(|c| (*first..=*last).contains(&c.time));
    within
        .filter_map(|change| {
            let what = match change.kind {
                ChangeKind::BucketPolicy if is_of(change, &buckets) => "change to the job's bucket",
                ChangeKind::Grant | ChangeKind::Revoke | ChangeKind::Credential if is_of(change, &callers) => {
                    "change to the job's caller"
                }
                _ => return None,
            };
            Some((change.at, what.to_owned()))
        })
        .collect()
}

fn entry(evidence: &Evidence, row: Row, joined_by: String, record_id: Option<String>) -> TimelineEntry {
    let table = &evidence.correlated.table;
    let text = |column| table.text(column, row).map(str::to_owned);
    let at = table.locator(row);
    TimelineEntry {
        time: table.time(row).map(rfc3339),
        source: table.source(row).to_owned(),
        what: text(Text::Step).or_else(|| text(Text::Operation)).unwrap_or_default(),
        outcome: table.outcome(row).to_owned(),
        http_status: table.status(row),
        error_code: text(Text::ErrorCode),
        error_message: text(Text::ErrorMessage),
        attempt: table.attempt(row),
        joined_by,
        record_id,
        file: evidence.discovery.inputs[at.file as usize].label.clone(),
        record: at.record,
        offset: at.offset,
        length: at.length,
    }
}
