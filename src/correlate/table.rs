//! Typed access to the rows of the event frame.

use polars::prelude::*;

use crate::evidence::{Digest, Locator};
use crate::ingest::{TEXT_COLUMNS, Text};

/// A row of the event frame.
pub type Row = u32;

/// The event frame, column by column, for code that goes row by row.
pub struct EventTable {
    time: Int64Chunked,
    source: StringChunked,
    outcome: StringChunked,
    status: UInt32Chunked,
    attempt: UInt32Chunked,
    acknowledged: BooleanChunked,
    texts: Vec<StringChunked>,
    file: UInt32Chunked,
    record: UInt64Chunked,
    offset: UInt64Chunked,
    length: UInt64Chunked,
    sha256: BinaryChunked,
}

impl EventTable {
    /// Takes hold of the columns of `events` (no copies).
    ///
    /// # Errors
    /// A column is missing or of another type.
    pub fn new(events: &DataFrame) -> PolarsResult<Self> {
        let texts = TEXT_COLUMNS.iter().map(|name| Ok(events.column(name)?.str()?.clone()));
        Ok(Self {
            time: events.column("time")?.datetime()?.physical().clone(),
            source: events.column("source")?.str()?.clone(),
            outcome: events.column("outcome")?.str()?.clone(),
            status: events.column("http_status")?.u32()?.clone(),
            attempt: events.column("attempt")?.u32()?.clone(),
            acknowledged: events.column("hold_acknowledged")?.bool()?.clone(),
            texts: texts.collect::<PolarsResult<_>>()?,
            file: events.column("file")?.u32()?.clone(),
            record: events.column("record")?.u64()?.clone(),
            offset: events.column("offset")?.u64()?.clone(),
            length: events.column("length")?.u64()?.clone(),
            sha256: events.column("sha256")?.binary()?.clone(),
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.file.len()
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
        self.texts[column as usize].get(row as usize)
    }

    /// Microseconds since 1970, UTC.
    #[must_use]
    pub fn time(&self, row: Row) -> Option<i64> {
        self.time.get(row as usize)
    }

    /// The adapter that read the row.
    #[must_use]
    pub fn source(&self, row: Row) -> &str {
        self.source.get(row as usize).unwrap_or("")
    }

    /// `success`, `failure`, `timeout` or `unknown`.
    #[must_use]
    pub fn outcome(&self, row: Row) -> &str {
        self.outcome.get(row as usize).unwrap_or("unknown")
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self, row: Row) -> Option<u32> {
        self.status.get(row as usize)
    }

    /// Number of the attempt, as the source counts.
    #[must_use]
    pub fn attempt(&self, row: Row) -> Option<u32> {
        self.attempt.get(row as usize)
    }

    /// Whether the call acknowledged the legal hold.
    #[must_use]
    pub fn acknowledged(&self, row: Row) -> Option<bool> {
        self.acknowledged.get(row as usize)
    }

    /// The record's SHA-256, where it was computed while reading.
    #[must_use]
    pub fn sha256(&self, row: Row) -> Option<Digest> {
        self.sha256.get(row as usize)?.try_into().ok().map(Digest)
    }

    /// Where the record lies.
    #[must_use]
    pub fn locator(&self, row: Row) -> Locator {
        let row = row as usize;
        Locator {
            file: self.file.get(row).unwrap_or(0),
            record: self.record.get(row).unwrap_or(0),
            offset: self.offset.get(row).unwrap_or(0),
            length: self.length.get(row).unwrap_or(0),
        }
    }
}
