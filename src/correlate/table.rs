//! The events that have to do with failures, with all their columns.

use std::collections::BTreeMap;

use super::steps::is_own;
use super::texts::Texts;
use crate::evidence::{Digest, Locator};
use crate::ingest::{Collect, Event, Outcome, Text};

/// A row of a table of events.
pub type Row = u32;

/// Events column by column, in the order in which they were read.
#[derive(Default)]
pub struct EventTable {
    time: Vec<Option<i64>>,
    source: Vec<&'static str>,
    outcome: Vec<Outcome>,
    status: Vec<Option<u16>>,
    attempt: Vec<Option<u32>>,
    acknowledged: Vec<Option<bool>>,
    texts: Texts,
    at: Vec<Locator>,
    sha256: Vec<Option<Digest>>,
}

impl Collect for EventTable {
    fn event(&mut self, source: &'static str, event: &Event<'_>, at: Locator, _: u64, sha256: Option<Digest>) {
        self.texts.push(self.at.len(), event);
        self.time.push(event.time);
        self.source.push(source);
        self.outcome.push(event.outcome);
        self.status.push(event.http_status);
        self.attempt.push(event.attempt);
        self.acknowledged.push(event.hold_acknowledged);
        self.at.push(at);
        self.sha256.push(sha256);
    }

    fn gathered(&self) -> usize {
        self.at.len()
    }
}

impl EventTable {
    /// The rows of `parts`, one after the other.
    #[must_use]
    pub fn joined(parts: Vec<Self>) -> Self {
        let mut table = Self::default();
        table.reserve(parts.iter().map(Self::len).sum());
        table.texts.reserve(parts.iter().map(|part| &part.texts));
        for mut part in parts {
            table.texts.append(table.len(), &part.texts);
            table.time.append(&mut part.time);
            table.source.append(&mut part.source);
            table.outcome.append(&mut part.outcome);
            table.status.append(&mut part.status);
            table.attempt.append(&mut part.attempt);
            table.acknowledged.append(&mut part.acknowledged);
            table.at.append(&mut part.at);
            table.sha256.append(&mut part.sha256);
        }
        table
    }

    fn reserve(&mut self, rows: usize) {
        self.time.reserve_exact(rows);
        self.source.reserve_exact(rows);
        self.outcome.reserve_exact(rows);
        self.status.reserve_exact(rows);
        self.attempt.reserve_exact(rows);
        self.acknowledged.reserve_exact(rows);
        self.at.reserve_exact(rows);
        self.sha256.reserve_exact(rows);
    }

    /// Adds to the times of sources whose clocks are off, microseconds by source.
    pub fn shift(&mut self, shifts: &BTreeMap<String, i64>) {
        if shifts.is_empty() {
            return;
        }
        for (time, source) in self.time.iter_mut().zip(&self.source) {
            if let (Some(time), Some(by)) = (time, shifts.get(*source)) {
                *time += by;
            }
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// All rows.
    pub fn rows(&self) -> std::ops::Range<Row> {
        0..Row::try_from(self.len()).unwrap_or(Row::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A text column's value.
    #[must_use]
    pub fn text(&self, column: Text, row: Row) -> Option<&str> {
        self.texts.get(column, row as usize)
    }

    /// Microseconds since 1970, UTC.
    #[must_use]
    pub fn time(&self, row: Row) -> Option<i64> {
        self.time[row as usize]
    }

    /// Whether the row is of the exporter's own trail.
    #[must_use]
    pub fn is_of_trail(&self, row: Row) -> bool {
        is_own(self.source(row), self.text(Text::Step, row), self.text(Text::Operation, row))
    }

    /// The adapter that read the row.
    #[must_use]
    pub fn source(&self, row: Row) -> &str {
        self.source[row as usize]
    }

    /// `success`, `failure`, `timeout` or `unknown`.
    #[must_use]
    pub fn outcome(&self, row: Row) -> &str {
        self.outcome[row as usize].name()
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self, row: Row) -> Option<u32> {
        self.status[row as usize].map(u32::from)
    }

    /// Number of the attempt, as the source counts.
    #[must_use]
    pub fn attempt(&self, row: Row) -> Option<u32> {
        self.attempt[row as usize]
    }

    /// Whether the call acknowledged the legal hold.
    #[must_use]
    pub fn acknowledged(&self, row: Row) -> Option<bool> {
        self.acknowledged[row as usize]
    }

    /// The record's SHA-256, where it was computed while reading.
    #[must_use]
    pub fn sha256(&self, row: Row) -> Option<Digest> {
        self.sha256[row as usize]
    }

    /// The row of a record.
    #[must_use]
    pub fn row_at(&self, at: &Locator) -> Option<Row> {
        self.at.binary_search(at).ok().and_then(|row| Row::try_from(row).ok())
    }

    /// Where the record lies.
    #[must_use]
    pub fn locator(&self, row: Row) -> Locator {
        self.at[row as usize]
    }
}
