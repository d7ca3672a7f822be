//! Timelines for Timesketch, as JSONL or CSV (docs/exports.md).

use std::io::Write;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::Value;

use super::csv::harmless;
use super::known::known;
use super::{Analysis, FailureReport, Timeline, TimelineEntry, TracedRecord};
use crate::classify::Support;
use crate::error::{Error, Result};
use crate::ingest::micros;

/// In which of its two forms a timeline is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Jsonl,
    Csv,
}

/// Columns of the CSV, and fields of the JSONL, in their order; the first four are Timesketch's own.
const COLUMNS: [&str; 34] = [
    "message",
    "datetime",
    "timestamp_desc",
    "timestamp",
    "data_type",
    "tag",
    "failure_id",
    "class",
    "mechanism",
    "support",
    "part",
    "rules",
    "job_id",
    "conversation_id",
    "recording_id",
    "object_key",
    "bucket",
    "principal",
    "region",
    "source",
    "what",
    "outcome",
    "http_status",
    "error_code",
    "error_message",
    "attempt",
    "joined_by",
    "joined_id",
    "record_id",
    "record_sha256",
    "file",
    "record",
    "offset",
    "length",
];

/// One event. Fields that are not known are left out.
#[derive(Default, Serialize)]
struct Event<'a> {
    message: String,
    datetime: String,
    timestamp_desc: String,
    timestamp: i64,
    data_type: &'static str,
    tag: Vec<&'a str>,
    failure_id: Option<&'a str>,
    class: Option<&'a str>,
    mechanism: Option<&'a str>,
    support: Option<&'a str>,
    part: Option<&'a str>,
    rules: Option<String>,
    job_id: Option<&'a str>,
    conversation_id: Option<&'a str>,
    recording_id: Option<&'a str>,
    object_key: Option<&'a str>,
    bucket: Option<&'a str>,
    principal: Option<&'a str>,
    region: Option<&'a str>,
    source: Option<&'a str>,
    what: Option<&'a str>,
    outcome: Option<&'a str>,
    http_status: Option<u32>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
    attempt: Option<u32>,
    joined_by: Option<&'a str>,
    joined_id: Option<&'a str>,
    record_id: Option<&'a str>,
    record_sha256: Option<&'a str>,
    file: Option<&'a str>,
    record: Option<u64>,
    offset: Option<u64>,
    length: Option<u64>,
}

impl Event<'_> {
    /// Sets the time, always with six digits: Timesketch drops rows whose times are written otherwise than the first.
    fn at(mut self, micros: i64) -> Self {
        self.timestamp = micros;
        self.datetime = DateTime::from_timestamp_micros(micros)
            .map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, false))
            .unwrap_or_default();
        self
    }
}

/// Writes the verdict on each failure and the records behind it; gives how many records were left out because their time is
/// not known.
///
/// # Errors
/// The reports cannot be read again, or the output not written.
pub fn write_failures(analysis: &Analysis, form: Form, out: &mut dyn Write) -> Result<u64> {
    let mut writer = Writer::new(form, out)?;
    for traced in analysis.traced() {
        let (failure, records) = traced?;
        writer.event(failure.first_failed_at.as_deref().and_then(micros), of_failure(&failure))?;
        for record in &records {
            writer.event(record.time, of_record(analysis, &failure, record))?;
        }
    }
    writer.finish()
}

/// Writes the records of a job; gives how many were left out because their time is not known.
///
/// # Errors
/// The output cannot be written.
pub fn write_timeline(timeline: &Timeline, form: Form, out: &mut dyn Write) -> Result<u64> {
    let mut writer = Writer::new(form, out)?;
    for entry in &timeline.entries {
        writer.event(entry.time.as_deref().and_then(micros), of_entry(&timeline.job_id, entry))?;
    }
    writer.finish()
}

/// What every event of a failure carries.
fn labels(failure: &FailureReport) -> Event<'_> {
    let class = failure.class.name();
    Event {
        tag: std::iter::once(class).chain(failure.mechanism.as_deref()).collect(),
        failure_id: Some(&failure.failure_id),
        class: Some(class),
        mechanism: failure.mechanism.as_deref(),
        support: failure.support.map(Support::name),
        job_id: failure.job_id.as_deref(),
        conversation_id: failure.conversation_id.as_deref(),
        recording_id: failure.recording_id.as_deref(),
        object_key: failure.object_key.as_deref(),
        bucket: failure.bucket.as_deref(),
        ..Event::default()
    }
}

fn of_failure(failure: &FailureReport) -> Event<'_> {
    Event {
        message: failure.line(),
        timestamp_desc: "First failed attempt".to_owned(),
        data_type: "holdtrace:failure",
        principal: failure.principal.as_deref(),
        region: failure.region.as_deref(),
        what: Some(&failure.step),
        ..labels(failure)
    }
}

fn of_record<'a>(analysis: &'a Analysis, failure: &'a FailureReport, record: &'a TracedRecord) -> Event<'a> {
    let rules: Vec<&str> = failure.rules_on(record).collect();
    Event {
        message: record.line(),
        timestamp_desc: described(record.source.as_deref()),
        data_type: "holdtrace:record",
        part: Some(record.part.name()),
        rules: (!rules.is_empty()).then(|| rules.join(" ")),
        principal: record.principal.as_deref(),
        region: record.region.as_deref(),
        source: record.source.as_deref(),
        what: record.what.as_deref(),
        outcome: record.outcome.as_deref(),
        http_status: record.http_status,
        error_code: record.error_code.as_deref(),
        error_message: record.error_message.as_deref(),
        attempt: record.attempt,
        record_id: record.record_id.as_deref(),
        record_sha256: record.sha256.as_deref(),
        file: Some(analysis.file_of(record)),
        record: Some(record.record),
        offset: Some(record.offset),
        length: Some(record.length),
        ..labels(failure)
    }
}

fn of_entry<'a>(job: &'a str, entry: &'a TimelineEntry) -> Event<'a> {
    Event {
        message: entry.line(),
        timestamp_desc: described(Some(&entry.source)),
        data_type: "holdtrace:record",
        job_id: Some(job),
        source: Some(&entry.source),
        what: Some(&entry.what),
        outcome: Some(&entry.outcome),
        http_status: entry.http_status,
        error_code: entry.error_code.as_deref(),
        error_message: entry.error_message.as_deref(),
        attempt: entry.attempt,
        joined_by: Some(entry.joined_by),
        joined_id: entry.joined_id.as_deref(),
        record_id: entry.record_id.as_deref(),
        file: Some(&entry.file),
        record: Some(entry.record),
        offset: Some(entry.offset),
        length: Some(entry.length),
        ..Event::default()
    }
}

fn described(source: Option<&str>) -> String {
    source.map_or_else(|| "Event time".to_owned(), |source| format!("Event time in {source}"))
}

enum Sink<'w> {
    Jsonl(&'w mut dyn Write),
    Csv(Box<csv::Writer<&'w mut dyn Write>>),
}

struct Writer<'w> {
    sink: Sink<'w>,
    left_out: u64,
}

impl<'w> Writer<'w> {
    fn new(form: Form, out: &'w mut dyn Write) -> Result<Self> {
        let sink = match form {
            Form::Jsonl => Sink::Jsonl(out),
            Form::Csv => {
                let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(out);
                csv.write_record(COLUMNS).map_err(|e| Error::Output(e.to_string()))?;
                Sink::Csv(Box::new(csv))
            }
        };
        Ok(Self { sink, left_out: 0 })
    }

    /// Writes an event; without a time Timesketch would refuse it, or all of them.
    fn event(&mut self, micros: Option<i64>, event: Event<'_>) -> Result<()> {
        let Some(micros) = micros else {
            self.left_out += 1;
            return Ok(());
        };
        let fail = |e: &dyn std::fmt::Display| Error::Output(e.to_string());
        let fields = serde_json::to_value(event.at(micros)).map_err(|e| fail(&e))?;
        match &mut self.sink {
            Sink::Jsonl(out) => {
                serde_json::to_writer(&mut **out, &known(fields)).map_err(|e| fail(&e))?;
                out.write_all(b"\n").map_err(|e| fail(&e))
            }
            Sink::Csv(csv) => {
                let cells = COLUMNS.map(|column| match &fields[column] {
                    Value::Null => String::new(),
                    Value::String(text) => harmless(text.clone()),
                    Value::Array(list) if list.is_empty() => String::new(),
                    other => other.to_string(),
                });
                csv.write_record(cells).map_err(|e| fail(&e))
            }
        }
    }

    fn finish(mut self) -> Result<u64> {
        if let Sink::Csv(csv) = &mut self.sink {
            csv.flush().map_err(|e| Error::Output(e.to_string()))?;
        }
        Ok(self.left_out)
    }
}
