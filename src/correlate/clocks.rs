//! Sources whose clocks disagree, recognised from requests that both record.

use std::collections::BTreeMap;

use polars::prelude::*;
use serde::Serialize;

use crate::ingest::Ingested;

/// How far the clock of a source is from that of the export trail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockOffset {
    pub source: String,
    /// Median of the differences, seconds; positive where the source is ahead.
    pub offset_seconds: f64,
    /// Requests that both record.
    pub pairs: usize,
    /// Whether the source's times were put right by it.
    pub applied: bool,
}

/// Fewer requests than this may differ for reasons of their own.
const ENOUGH_PAIRS: usize = 3;
/// Smaller offsets are left alone, microseconds: one source writes when a call begins, the other when it ends.
const TOLERATED: i64 = 60_000_000;
/// The middle half of the differences must lie within this, microseconds; else it is no matter of the clock.
const MAX_SPREAD: i64 = 60_000_000;

/// Estimates the offset of every source against the export trail and puts the times of those that are off right.
///
/// # Errors
/// Polars cannot evaluate the joins.
pub fn align(ingested: &mut Ingested) -> PolarsResult<Vec<ClockOffset>> {
    let mut offsets = Vec::new();
    for (source, mut differences) in differences(&ingested.events)? {
        differences.sort_unstable();
        let at = |share: usize| differences[(differences.len() - 1) * share / 4];
        let median = at(2);
        let steady = differences.len() >= ENOUGH_PAIRS && at(3) - at(1) <= MAX_SPREAD;
        let applied = steady && median.abs() > TOLERATED;
        if applied {
            shift(ingested, &source, -median)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "offsets of clocks stay far below 2^53 microseconds")]
        let offset_seconds = (median as f64 / 1e5).round() / 10.0;
        offsets.push(ClockOffset { source, offset_seconds, pairs: differences.len(), applied });
    }
    Ok(offsets)
}

/// By source: time in it less time in the trail, for each request that both record.
fn differences(events: &DataFrame) -> PolarsResult<BTreeMap<String, Vec<i64>>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let trail = || col("source").eq(lit("export_trail"));
    for (own, other) in
        [("correlation_id", "request_id"), ("request_id", "request_id"), ("correlation_id", "correlation_id")]
    {
        let side = |rows: Expr, id: &str, time: &str| {
            let columns = [col(id).alias("id"), col("time").cast(DataType::Int64).alias(time), col("source")];
            events.clone().lazy().filter(rows.and(col(id).is_not_null())).select(columns).drop_nulls(None)
        };
        let theirs = side(trail().not(), other, "theirs").collect()?;
        if theirs.height() == 0 {
            continue;
        }
        let ours = side(trail(), own, "ours").select([col("id"), col("ours")]);
        let pairs = theirs.lazy().join(ours, [col("id")], [col("id")], JoinArgs::new(JoinType::Inner)).collect()?;
        let (source, theirs, ours) =
            (pairs.column("source")?.str()?, pairs.column("theirs")?.i64()?, pairs.column("ours")?.i64()?);
        for ((source, theirs), ours) in source.iter().zip(theirs.iter()).zip(ours.iter()) {
            if let (Some(source), Some(theirs), Some(ours)) = (source, theirs, ours) {
                found.entry(source.to_owned()).or_default().push(theirs - ours);
            }
        }
    }
    Ok(found)
}

fn shift(ingested: &mut Ingested, source: &str, by: i64) -> PolarsResult<()> {
    let type_of_time = ingested.events.column("time")?.dtype().clone();
    let moved = (col("time").cast(DataType::Int64) + lit(by)).cast(type_of_time);
    let time = when(col("source").eq(lit(source))).then(moved).otherwise(col("time")).alias("time");
    ingested.events = std::mem::take(&mut ingested.events).lazy().with_column(time).collect()?;
    ingested.events.rechunk_mut_par();
    for change in ingested.changes.iter_mut().filter(|c| c.source == source) {
        change.time += by;
    }
    ingested.changes.sort_by_key(|change| (change.time, change.at, change.kind));
    for document in ingested.documents.iter_mut().filter(|d| d.source == source) {
        document.time = document.time.map(|time| time + by);
    }
    Ok(())
}
