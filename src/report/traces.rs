//! The records behind each failure, with their places and what they say: what exports show beside the report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::failures::{HELD, put_aside};
use super::record_ids::Digests;
use super::{Analysis, Evidence, FailureReport};
use crate::classify::Verdict;
use crate::correlate::{EventTable, Failure, Row};
use crate::error::{Error, Result};
use crate::evidence::{Digest, Locator};
use crate::ingest::{Change, Document, Text};
use crate::spill::Scratch;

/// What a record is to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A failing attempt that counts.
    Failing,
    /// Another source's record of one.
    Witness,
    /// The attempt that succeeded at last.
    Recovery,
    /// Another attempt at the item.
    Attempt,
    /// A change that a rule cites.
    Change,
    /// Another record that a rule cites.
    Cited,
}

impl Part {
    /// The name used in exports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Witness => "witness",
            Self::Recovery => "recovery",
            Self::Attempt => "attempt",
            Self::Change => "change",
            Self::Cited => "cited",
        }
    }

    /// Whether it is something that was done, not something else that a rule looks at.
    #[must_use]
    pub const fn is_act(self) -> bool {
        !matches!(self, Self::Cited)
    }
}

/// A record behind a failure. What is not known is left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TracedRecord {
    pub part: Part,
    /// Index into the ledger's files.
    pub file: u32,
    pub record: u64,
    pub offset: u64,
    pub length: u64,
    pub sha256: Option<String>,
    pub record_id: Option<String>,
    /// Microseconds since 1970, UTC, by the trail's clock.
    pub time: Option<i64>,
    pub source: Option<String>,
    /// The step or operation; the kind of a change.
    pub what: Option<String>,
    pub operation: Option<String>,
    pub outcome: Option<String>,
    pub http_status: Option<u32>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub attempt: Option<u32>,
    pub principal: Option<String>,
    pub credential: Option<String>,
    pub region: Option<String>,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
}

impl TracedRecord {
    fn at(part: Part, at: Locator, sha256: Option<Digest>) -> Self {
        let Locator { file, record, offset, length } = at;
        Self {
            part,
            file,
            record,
            offset,
            length,
            sha256: sha256.as_ref().map(Digest::to_string),
            record_id: sha256.as_ref().map(Digest::record_id),
            time: None,
            source: None,
            what: None,
            operation: None,
            outcome: None,
            http_status: None,
            error_code: None,
            error_message: None,
            attempt: None,
            principal: None,
            credential: None,
            region: None,
            request_id: None,
            correlation_id: None,
        }
    }

    fn of_row(self, table: &EventTable, row: Row) -> Self {
        let text = |column| table.text(column, row).map(str::to_owned);
        Self {
            time: table.time(row),
            source: Some(table.source(row).to_owned()),
            what: text(Text::Step).or_else(|| text(Text::Operation)),
            operation: text(Text::Operation),
            outcome: Some(table.outcome(row).to_owned()),
            http_status: table.status(row),
            error_code: text(Text::ErrorCode),
            error_message: text(Text::ErrorMessage),
            attempt: table.attempt(row),
            principal: text(Text::Principal),
            credential: text(Text::Credential),
            region: text(Text::Region),
            request_id: text(Text::RequestId),
            correlation_id: text(Text::CorrelationId),
            ..self
        }
    }

    fn of_change(self, change: &Change) -> Self {
        Self {
            part: Part::Change,
            time: Some(change.time),
            source: Some(change.source.to_owned()),
            what: Some(format!("{} ({})", change.kind.name(), change.subject)),
            principal: change.actor.as_ref().map(String::from).or(self.principal),
            ..self
        }
    }
}

/// Finds the records behind failures.
pub struct Tracer<'a> {
    evidence: &'a Evidence<'a>,
    changes: BTreeMap<Locator, &'a Change>,
    documents: BTreeMap<Locator, &'a Document>,
}

impl<'a> Tracer<'a> {
    /// Indexes changes and documents by their places.
    #[must_use]
    pub fn new(evidence: &'a Evidence<'a>) -> Self {
        let changes = evidence.ingested.changes.iter().map(|change| (change.at, change)).collect();
        let documents = evidence.ingested.documents.iter().map(|document| (document.at, document)).collect();
        Self { evidence, changes, documents }
    }

    /// The rows of a failure's attempts, each once.
    pub fn rows(failure: &Failure) -> BTreeSet<Row> {
        let Failure { attempts, failing, witnesses, recovery, .. } = failure;
        attempts.iter().chain(failing).chain(witnesses).chain(recovery).copied().collect()
    }

    /// The records behind a failure in order of time, those without last; `digests` must have been asked for them.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn trace(
        &self,
        failure: &Failure,
        verdict: &Verdict,
        table: &EventTable,
        digests: &Digests<'_>,
    ) -> Result<Vec<TracedRecord>> {
        let mut places: BTreeMap<Locator, Part> =
            verdict.findings.iter().flat_map(|f| &f.records).map(|at| (*at, Part::Cited)).collect();
        let [failing, witnesses] = [&failure.failing, &failure.witnesses].map(BTreeSet::from_iter);
        for row in Self::rows(failure) {
            let part = if failing.contains(&row) {
                Part::Failing
            } else if failure.recovery == Some(row) {
                Part::Recovery
            } else if witnesses.contains(&row) {
                Part::Witness
            } else {
                Part::Attempt
            };
            places.insert(table.locator(row), part);
        }
        let records = places.into_iter().map(|(at, part)| self.record(at, part, table, digests.of(&at)));
        let mut records: Vec<TracedRecord> = records.collect::<Result<_>>()?;
        records.sort_by_key(|r| (r.time.is_none(), r.time, r.file, r.record, r.offset));
        Ok(records)
    }

    fn record(&self, at: Locator, part: Part, table: &EventTable, sha256: Option<Digest>) -> Result<TracedRecord> {
        let probes = &self.evidence.correlated.probes;
        let row = [table, probes].into_iter().find_map(|table| Some((table, table.row_at(&at)?)));
        let mut record = TracedRecord::at(part, at, sha256);
        if let Some((table, row)) = row {
            record = record.of_row(table, row);
        }
        if let Some(change) = self.changes.get(&at).filter(|_| part == Part::Cited) {
            return Ok(record.of_change(change));
        }
        if part == Part::Cited {
            let of_holds = self.evidence.correlated.holds.log().of_record(&at)?;
            if let Some(change) = of_holds.last() {
                return Ok(record.of_change(change));
            }
        }
        Ok(match self.documents.get(&at).filter(|_| row.is_none()) {
            Some(document) => TracedRecord { time: document.time, source: Some(document.source.to_owned()), ..record },
            None => record,
        })
    }
}

/// Traces put aside as NDJSON, numbered as they were added.
pub struct Traces {
    lines: Scratch,
    places: Vec<(u64, usize)>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("count", &self.places.len()).finish_non_exhaustive()
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self { lines: Scratch::holding(HELD), places: Vec::new() }
    }
}

impl Traces {
    /// Adds traces.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn add(&mut self, traces: &[Vec<TracedRecord>]) -> Result<()> {
        let lines: serde_json::Result<Vec<Vec<u8>>> = traces.par_iter().map(serde_json::to_vec).collect();
        let lines = lines.map_err(|e| Error::Output(e.to_string()))?;
        for line in lines {
            let at = self.lines.append(&line).map_err(put_aside)?;
            self.places.push((at, line.len()));
        }
        Ok(())
    }

    /// The trace that was added as the `n`th; nothing where there is none.
    fn read(&self, n: usize) -> Result<Vec<TracedRecord>> {
        let Some((offset, length)) = self.places.get(n).copied() else { return Ok(Vec::new()) };
        let mut bytes = vec![0; length];
        self.lines.read(offset, &mut bytes).map_err(put_aside)?;
        serde_json::from_slice(&bytes).map_err(|e| put_aside(e.into()))
    }
}

impl Analysis {
    /// The failures in their order, each with the records behind it; these only where the selection asked for them.
    pub fn traced(&self) -> impl Iterator<Item = Result<(FailureReport, Vec<TracedRecord>)>> + '_ {
        self.failures.iter().zip(self.failures.numbers()).map(|(failure, n)| Ok((failure?, self.traces.read(n)?)))
    }

    /// The name of the file that a record lies in.
    #[must_use]
    pub fn file_of(&self, record: &TracedRecord) -> &str {
        self.coverage.files.get(record.file as usize).map_or("", |file| &file.path)
    }
}
