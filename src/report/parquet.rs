//! Parquet: one row per failure, the columns of the CSV with their types.

use std::io::Write;

use polars::prelude::*;
use polars_io::parquet::write::ParquetWriter;

use super::FailureReport;
use super::csv::{COLUMNS, row};
use crate::error::{Error, Result};

const COUNTS: [&str; 5] = ["attempts", "timeouts", "forbidden", "conflicts", "other"];
const TIMES: [&str; 3] = ["first_failed_at", "last_failed_at", "recovered_at"];

/// Writes the failures as Parquet (zstd): counts as integers, times as UTC microseconds, everything else as text.
///
/// # Errors
/// The output cannot be written.
pub fn write_parquet(failures: &[FailureReport], out: impl Write) -> Result<()> {
    let mut frame = frame(failures).map_err(Error::frame("report"))?;
    ParquetWriter::new(out).finish(&mut frame).map(|_| ()).map_err(|e| Error::Output(e.to_string()))
}

fn frame(failures: &[FailureReport]) -> PolarsResult<DataFrame> {
    let rows: Vec<[Option<String>; COLUMNS.len()]> = failures.iter().map(row).collect();
    let columns = COLUMNS.iter().enumerate().map(|(n, name)| {
        let texts = rows.iter().map(|row| row[n].as_deref());
        if COUNTS.contains(name) {
            let numbers: Vec<Option<i64>> = texts.map(|t| t?.parse().ok()).collect();
            return Ok(Column::new((*name).into(), numbers));
        }
        if TIMES.contains(name) {
            let parse = |t: &str| chrono::DateTime::parse_from_rfc3339(t).ok().map(|t| t.timestamp_micros());
            let micros: Vec<Option<i64>> = texts.map(|t| t.and_then(parse)).collect();
            return Column::new((*name).into(), micros).cast(&DataType::Datetime(TimeUnit::Microseconds, None));
        }
        Ok(Column::new((*name).into(), texts.collect::<Vec<_>>()))
    });
    DataFrame::new(rows.len(), columns.collect::<PolarsResult<_>>()?)
}
