//! The timeline of a job: every record about it from every source, in order of time.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Evidence;
use super::record_ids::Digests;
use crate::correlate::{Block, Column, EventTable, Id, IdHash, Row, Symbol, Wave};
use crate::error::{Error, Result};
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, Text, rfc3339};

/// One record of a timeline.
#[derive(Clone, Debug, Serialize)]
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
const SHARED: [Id; 6] = [Id::Recording, Id::Object, Id::Request, Id::Correlation, Id::Hold, Id::Conversation];

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
    let own = Own::find(evidence, outline.hash(job))?;
    let changed = changes(evidence, &own);
    let joined = joined(evidence, job, &own, &changed)?;
    let (held, by): (Vec<Row>, Vec<String>) = joined.into_iter().unzip();
    let table = evidence.table(&held)?;
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| (table.time(*row).is_none(), table.time(*row), table.locator(*row)));
    let mut digests = Digests::new(evidence);
    digests.find(&rows.iter().map(|row| table.locator(*row)).collect(), &[&table])?;
    let entries = rows.into_iter().map(|row| {
        let id = digests.of(&table.locator(row)).map(|digest| digest.record_id());
        entry(evidence, &table, row, by[row as usize].clone(), id)
    });
    Ok(Timeline { job_id: job.to_owned(), entries: entries.collect() })
}

/// What the records that name a job say of it.
struct Own {
    job: IdHash,
    rows: Vec<Row>,
    /// The ids that they name, by kind.
    shared: [(Id, BTreeSet<IdHash>); SHARED.len()],
    times: Vec<i64>,
    callers: BTreeSet<Symbol>,
    buckets: BTreeSet<Symbol>,
}

impl Own {
    fn find(evidence: &Evidence, job: IdHash) -> Result<Self> {
        let mut own = Self {
            job,
            rows: Vec::new(),
            shared: SHARED.map(|id| (id, BTreeSet::new())),
            times: Vec::new(),
            callers: BTreeSet::new(),
            buckets: BTreeSet::new(),
        };
        let ids = SHARED.map(Column::Id).into_iter().chain([Column::Id(Id::Job), Column::Time]);
        let columns: Vec<Column> = ids.chain([Column::Principal, Column::Bucket]).collect();
        for block in evidence.correlated.outline.blocks(&columns) {
            let block = block?;
            for n in block.places().filter(|n| block.id(Id::Job)[*n] == job) {
                for (id, held) in &mut own.shared {
                    held.extend(Some(block.id(*id)[n]).filter(|hash| *hash != 0));
                }
                own.rows.push(block.row(n));
                own.times.extend(block.known_time(n));
                own.callers.insert(block.names(Column::Principal)[n]);
                own.buckets.insert(block.names(Column::Bucket)[n]);
            }
        }
        Ok(own)
    }
}

/// The rows of the outline that belong to `job`, ascending, and by what.
fn joined(evidence: &Evidence, job: &str, own: &Own, changed: &[(Locator, String)]) -> Result<Vec<(Row, String)>> {
    let outline = &evidence.correlated.outline;
    let mut linked: BTreeSet<Locator> = BTreeSet::new();
    for wave in evidence.correlated.waves_of(&own.rows, &evidence.reread()) {
        let Wave { table, failures } = wave?;
        let of_job = failures.iter().filter(|failure| failure.job_id.as_deref() == Some(job));
        linked.extend(of_job.flat_map(|failure| &failure.attempts).map(|row| table.locator(*row)));
    }
    let by = |block: &Block<'_>, n: usize| {
        let (of_job, at) = (block.id(Id::Job)[n], block.at[n]);
        if of_job != 0 {
            return (of_job == own.job).then(|| "job_id".to_owned());
        }
        let by_id = own.shared.iter().find(|(id, ids)| ids.contains(&block.id(*id)[n]));
        by_id
            .map(|(id, _)| crate::ingest::TEXT_COLUMNS[id.column() as usize].to_owned())
            .or_else(|| (block.id(Id::Session)[n] == own.job).then(|| "session_name".to_owned()))
            .or_else(|| linked.contains(&at).then(|| "the failure it is about".to_owned()))
            .or_else(|| changed.iter().find(|(change, _)| *change == at).map(|(_, what)| what.clone()))
    };
    let ids = SHARED.map(Column::Id).into_iter();
    let columns: Vec<Column> = ids.chain([Column::Id(Id::Job), Column::Id(Id::Session), Column::At]).collect();
    let of_block = |block: &Block<'_>| -> Vec<(Row, String)> {
        let counting = block.places().filter(|n| block.counts(*n));
        counting.filter_map(|n| Some((block.row(n), by(block, n)?))).collect()
    };
    Ok(outline.look(&columns, of_block)?.into_iter().flatten().collect())
}

/// Changes to the job's caller and bucket from its first to its last record.
fn changes(evidence: &Evidence, own: &Own) -> Vec<(Locator, String)> {
    let outline = &evidence.correlated.outline;
    let times = || own.times.iter().copied();
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Vec::new() };
    let of = |symbols: &BTreeSet<Symbol>| -> BTreeSet<&str> {
        symbols.iter().filter_map(|symbol| outline.symbols.name(*symbol)).collect()
    };
    let (callers, buckets) = (of(&own.callers), of(&own.buckets));
    let is_of = |change: &Change, ids: &BTreeSet<&str>| ids.iter().any(|id| change.is_of(id));
    let within = evidence.ingested.changes.iter().filter(|c| (first..=last).contains(&c.time));
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

fn entry(
    evidence: &Evidence,
    table: &EventTable,
    row: Row,
    joined_by: String,
    record_id: Option<String>,
) -> TimelineEntry {
    let text = |column| table.text(column, row).map(str::to_owned);
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
        joined_by,
        record_id,
        file: evidence.discovery.inputs[at.file as usize].label.clone(),
        record: at.record,
        offset: at.offset,
        length: at.length,
    }
}
