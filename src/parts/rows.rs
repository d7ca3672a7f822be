//! Rows of the event frame as events again.

use arrow::array::{BinaryViewArray, BooleanArray, PrimitiveArray, Utf8ViewArray};
use polars::prelude::*;

use crate::evidence::{Digest, Locator};
use crate::ingest::{Collect, Event, Outcome, Prints, TEXT_COLUMNS, Text, is_believed, source_named};

/// Where the records of an events part lie, and their hashes.
pub struct Places {
    record: PrimitiveArray<u64>,
    offset: PrimitiveArray<u64>,
    length: PrimitiveArray<u64>,
    sha256: BinaryViewArray,
}

/// The values of a column, in one piece.
fn whole<T: PolarsPhysicalType>(column: &ChunkedArray<T>) -> T::Array {
    column.rechunk().downcast_as_array().clone()
}

/// The columns of [`Places`].
pub const PLACES: [&str; 4] = ["record", "offset", "length", "sha256"];

impl Places {
    /// Takes hold of the columns (no copies).
    ///
    /// # Errors
    /// A column is missing or of another type.
    pub fn new(events: &DataFrame) -> PolarsResult<Self> {
        let [record, offset, length, sha256] = PLACES;
        Ok(Self {
            record: whole(events.column(record)?.u64()?),
            offset: whole(events.column(offset)?.u64()?),
            length: whole(events.column(length)?.u64()?),
            sha256: whole(events.column(sha256)?.binary()?),
        })
    }

    /// The number of the record that a row is of.
    #[must_use]
    pub fn record(&self, row: usize) -> Option<u64> {
        self.record.get(row)
    }

    /// Where the record of a row lies in its file.
    #[must_use]
    pub fn locator(&self, row: usize, file: u32) -> Option<Locator> {
        let (record, offset, length) = (self.record.get(row)?, self.offset.get(row)?, self.length.get(row)?);
        offset.checked_add(length)?;
        Some(Locator { file, record, offset, length })
    }

    /// The SHA-256 of the record of a row.
    #[must_use]
    pub fn digest(&self, row: usize) -> Option<Digest> {
        self.sha256.get(row)?.try_into().ok().map(Digest)
    }
}

impl AsRef<Self> for Places {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The columns of an events part.
pub struct EventRows {
    time: PrimitiveArray<i64>,
    source: Utf8ViewArray,
    outcome: Utf8ViewArray,
    status: PrimitiveArray<u32>,
    duration: PrimitiveArray<i64>,
    attempt: PrimitiveArray<u32>,
    acknowledged: BooleanArray,
    /// Those in which any row has text.
    texts: Vec<(Text, Utf8ViewArray)>,
    places: Places,
}

impl AsRef<Places> for EventRows {
    fn as_ref(&self) -> &Places {
        &self.places
    }
}

impl EventRows {
    /// Takes hold of the columns (no copies).
    ///
    /// # Errors
    /// A column is missing or of another type.
    pub fn new(events: &DataFrame) -> PolarsResult<Self> {
        let mut texts = Vec::new();
        for (text, name) in Text::ALL.iter().zip(TEXT_COLUMNS) {
            let column = events.column(name)?.str()?;
            if column.null_count() < column.len() {
                texts.push((*text, whole(column)));
            }
        }
        Ok(Self {
            time: whole(events.column("time")?.datetime()?.physical()),
            source: whole(events.column("source")?.str()?),
            outcome: whole(events.column("outcome")?.str()?),
            status: whole(events.column("http_status")?.u32()?),
            duration: whole(events.column("duration_ms")?.i64()?),
            attempt: whole(events.column("attempt")?.u32()?),
            acknowledged: whole(events.column("hold_acknowledged")?.bool()?),
            texts,
            places: Places::new(events)?,
        })
    }

    /// Where the record of a row lies in its file.
    #[must_use]
    pub fn locator(&self, row: usize, file: u32) -> Option<Locator> {
        self.places.locator(row, file)
    }

    /// The SHA-256 of the record of a row.
    #[must_use]
    pub fn digest(&self, row: usize) -> Option<Digest> {
        self.places.digest(row)
    }

    /// Gives the event of a row to `events`; `None` where the row is none that an ingest writes.
    #[must_use]
    pub fn give(&self, row: usize, file: u32, prints: Prints<'_>, events: &mut dyn Collect) -> Option<Locator> {
        let (at, digest) = (self.locator(row, file)?, self.digest(row)?);
        let mut event = Event::default();
        event.time = self.time.get(row);
        event.outcome = Outcome::named(self.outcome.get(row)?)?;
        event.http_status = self.status.get(row).map(u16::try_from).transpose().ok()?;
        event.duration_ms = self.duration.get(row);
        event.attempt = self.attempt.get(row);
        event.hold_acknowledged = self.acknowledged.get(row);
        if event.time.is_some_and(|time| !is_believed(time)) {
            return None;
        }
        for (column, texts) in &self.texts {
            event.set(*column, texts.get(row));
        }
        events.event(source_named(self.source.get(row)?)?, &event, at, prints.of_digest(&digest), Some(digest));
        Some(at)
    }
}
