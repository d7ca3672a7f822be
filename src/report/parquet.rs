//! Parquet: one row per failure, the columns of the CSV with their types.

use std::io::Write;

use polars::prelude::*;
use polars_io::parquet::write::ParquetWriter;

use super::Failures;
use super::csv::{COLUMNS, row};
use crate::error::{Error, Result};
use crate::ingest::micros;

const COUNTS: [&str; 5] = ["attempts", "timeouts", "forbidden", "conflicts", "other"];
const TIMES: [&str; 3] = ["first_failed_at", "last_failed_at", "recovered_at"];

/// Writes the failures as Parquet (zstd): counts as integers, times as UTC microseconds, everything else as text.
///
/// # Errors
/// The reports cannot be read again, or the output not written.
pub fn write_parquet(failures: &Failures, out: impl Write) -> Result<()> {
    let rows: Vec<[Option<String>; COLUMNS.len()]> =
        failures.iter().map(|failure| failure.map(|failure| row(&failure))).collect::<Result<_>>()?;
    let mut frame = frame(&rows).map_err(Error::frame("report"))?;
    ParquetWriter::new(out).finish(&mut frame).map(|_| ()).map_err(|e| Error::Output(e.to_string()))
}

fn frame(rows: &[[Option<String>; COLUMNS.len()]]) -> PolarsResult<DataFrame> {
    let columns = COLUMNS.iter().enumerate().map(|(n, name)| {
        let texts = rows.iter().map(|row| row[n].as_deref());
        if COUNTS.contains(name) {
            let numbers: Vec<Option<i64>> = texts.map(|t| t?.parse().ok()).collect();
            return Ok(Column::new((*name).into(), numbers));
        }
        if TIMES.contains(name) {
            let micros: Vec<Option<i64>> = texts.map(|t| t.and_then(micros)).collect();
            return Column::new((*name).into(), micros).cast(&DataType::Datetime(TimeUnit::Microseconds, None));
        }
        Ok(Column::new((*name).into(), texts.collect::<Vec<_>>()))
    });
    DataFrame::new(rows.len(), columns.collect::<PolarsResult<_>>()?)
}
