//! The timeline of a job: every record about it from every source, in order of time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::joined::{Joined, Joint, Mark, joined};
use super::record_ids::Digests;
use super::{Evidence, Gap, gaps};
use crate::correlate::{EventTable, Row};
use crate::error::{Error, Result};
use crate::evidence::Locator;
use crate::ingest::{Change, Text, rfc3339};

/// One record of a timeline.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimelineEntry {
    /// RFC 3339 UTC; null where the record's time is unknown.
    pub time: Option<String>,
    /// The same, microseconds since 1970.
    #[serde(skip)]
    pub micros: Option<i64>,
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
    pub recording_id: Option<String>,
    /// What it is to one of the job's failures: `failing_attempt`, `same_attempt` (another source's record of one),
    /// `recovery`.
    pub mark: Option<&'static str>,
    /// Of a failing attempt its number among those of its failure, from 1.
    pub failing_attempt: Option<usize>,
    /// That failure.
    pub failure_id: Option<String>,
    /// What it changed.
    pub change: Option<ChangeEntry>,
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

/// What a record changed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeEntry {
    /// `grant`, `revocation`, `bucket policy change`, `new credential`, `hold placed` and so on.
    pub kind: &'static str,
    /// Whose or what it is of.
    pub of: String,
    /// Permissions given or taken, where the record names them.
    pub permissions: Vec<String>,
}

/// The timeline of one job.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    pub job_id: String,
    pub entries: Vec<TimelineEntry>,
    /// Records that may be missing in its time, in any source.
    pub gaps: Vec<Gap>,
    /// Entries that [`Timeline::around`] left out.
    pub left_out: usize,
}

impl Timeline {
    /// Keeps what lies within `micros` of a failing attempt or a recovery. Says whether there are any; where there are
    /// none, nothing is left out. Entries without a time are.
    pub fn around(&mut self, micros: i64) -> bool {
        let near: Vec<i64> = self.entries.iter().filter(|e| e.mark.is_some()).filter_map(|e| e.micros).collect();
        if near.is_empty() {
            return false;
        }
        let before = self.entries.len();
        self.entries.retain(|entry| {
            entry.micros.is_some_and(|time| {
                // Entries are in order of time.
                let next = near.partition_point(|at| *at < time);
                let beside = near[next.saturating_sub(1)..].iter().take(2);
                beside.into_iter().any(|at| at.abs_diff(time) <= micros.unsigned_abs())
            })
        });
        self.left_out = before - self.entries.len();
        true
    }
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
    let Joined { rows, marks } = joined(evidence, job)?;
    let (held, by): (Vec<Row>, Vec<Joint>) = rows.into_iter().unzip();
    let table = evidence.table(&held)?;
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| (table.time(*row).is_none(), table.time(*row), table.locator(*row)));
    let mut digests = Digests::new(evidence);
    digests.find(rows.iter().map(|row| table.locator(*row)), &[&table])?;
    let held: BTreeMap<Locator, Row> = rows.iter().map(|row| (table.locator(*row), *row)).collect();
    let mut changes: BTreeMap<Locator, Change> = BTreeMap::new();
    for change in evidence.ingested.changes.iter().filter(|change| held.contains_key(&change.at)) {
        changes.entry(change.at).or_insert_with(|| change.clone());
    }
    for at in held.keys() {
        for change in evidence.correlated.holds.log().of_record(at)? {
            changes.entry(*at).or_insert(change);
        }
    }
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let at = table.locator(row);
        let mut entry = entry(evidence, &table, row, &by[row as usize]);
        entry.record_id = digests.of(&at).map(|digest| digest.record_id());
        entry.change = changes.get(&at).map(|change| ChangeEntry {
            kind: change.kind.name(),
            of: change.subject.clone(),
            permissions: change.permissions.to_vec(),
        });
        if let Some((failure, mark)) = marks.get(&at) {
            entry.set(failure, mark);
        }
        entries.push(entry);
    }
    let times = || entries.iter().filter_map(|entry| entry.micros);
    let span = times().min().zip(times().max());
    let gaps = gaps::report(evidence, |gap| {
        gap.from.is_some() && span.is_some_and(|(first, last)| gap.overlaps(&gap.source, first, last))
    })?;
    Ok(Timeline { job_id: job.to_owned(), entries, gaps, left_out: 0 })
}

impl TimelineEntry {
    fn set(&mut self, failure: &str, mark: &Mark) {
        self.failure_id = Some(failure.to_owned());
        self.mark = Some(match mark {
            Mark::Failing(number) => {
                self.failing_attempt = Some(*number);
                "failing_attempt"
            }
            Mark::Witness => "same_attempt",
            Mark::Recovery => "recovery",
        });
    }
}

fn entry(evidence: &Evidence, table: &EventTable, row: Row, joint: &Joint) -> TimelineEntry {
    let text = |column| table.text(column, row).map(str::to_owned);
    let joined_id = match joint {
        Joint::Change { of, .. } => Some(of.clone()),
        joint => joint.column().and_then(text),
    };
    let at = table.locator(row);
    TimelineEntry {
        time: table.time(row).map(rfc3339),
        micros: table.time(row),
        source: table.source(row).to_owned(),
        clock_ahead_seconds: evidence.correlated.clocks.ahead(table.source(row)),
        what: text(Text::Step).or_else(|| text(Text::Operation)).unwrap_or_default(),
        outcome: table.outcome(row).to_owned(),
        http_status: table.status(row),
        error_code: text(Text::ErrorCode),
        error_message: text(Text::ErrorMessage),
        attempt: table.attempt(row),
        recording_id: text(Text::RecordingId),
        mark: None,
        failing_attempt: None,
        failure_id: None,
        change: None,
        joined_by: joint.name(),
        joined_id,
        record_id: None,
        file: evidence.discovery.inputs[at.file as usize].label.to_string(),
        record: at.record,
        offset: at.offset,
        length: at.length,
    }
}
