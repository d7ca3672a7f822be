//! Which events are attempts at something an export does, and which of them failed (DESIGN section 5).

use polars::prelude::*;

use super::table::Row;
use crate::ingest::fold;

/// A call of an export as CloudTrail names it, from the rule pack.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The event name.
    pub name: String,
    /// The step of the export it is part of.
    pub step: String,
    /// The IAM action that it needs.
    pub action: String,
}

/// Steps of the trail that are not attempts: the life of jobs, holds and credentials, and the probe made afterwards.
const NOT_ATTEMPTS: [&str; 4] = ["job.", "legal_hold.", "credential.", "probe"];
const FAILING_STATUSES: [u32; 5] = [401, 403, 409, 412, 429];
/// S3 and STS answer these with 400, but to an export they are refusals of its credential. Folded.
const REFUSING_CODES: [&str; 4] = ["expiredtoken", "invalidtoken", "tokenrefreshrequired", "tokenexpired"];
/// The step under which a failed job without a failing attempt is reported.
const WHOLE_JOB: &str = "job";

/// Attempts, one row each.
pub struct Marks {
    /// Columns: `row`, `phase` (the step), `failing`, `ok`, and the event's `job_id`, `conversation_id`,
    /// `recording_id`, `object_key`, `request_id`, `correlation_id`, `role_arn`, `key_arn`, `session_name`, `principal`, `bucket`,
    /// `region`, `time`, `source`.
    pub frame: DataFrame,
}

const KEPT: [&str; 14] = [
    "job_id",
    "conversation_id",
    "recording_id",
    "object_key",
    "request_id",
    "correlation_id",
    "role_arn",
    "key_arn",
    "session_name",
    "principal",
    "bucket",
    "region",
    "time",
    "source",
];

impl Marks {
    /// Marks the events that are attempts; `duplicates` (ascending rows) are left out.
    ///
    /// # Errors
    /// Polars cannot evaluate the expressions.
    pub fn new(events: &DataFrame, operations: &[Operation], duplicates: &[Row]) -> PolarsResult<Self> {
        let known = DataFrame::new(
            operations.len(),
            vec![
                Column::new("operation".into(), operations.iter().map(|o| o.name.as_str()).collect::<Vec<_>>()),
                Column::new("op_step".into(), operations.iter().map(|o| o.step.as_str()).collect::<Vec<_>>()),
            ],
        )?;
        let mut events =
            events.select(KEPT.into_iter().chain(["operation", "step", "outcome", "http_status", "error_code"]))?;
        events.with_column(row_numbers(events.height()))?;
        events.with_column(not_duplicates(events.height(), duplicates))?;
        let refused = refused_credentials(&events)?;
        events.with_column(refused)?;
        let lifecycle = NOT_ATTEMPTS
            .iter()
            .map(|prefix| col("step").str().starts_with(lit(*prefix)))
            .reduce(Expr::or)
            .unwrap_or_else(|| lit(false));
        let trail = || col("source").eq(lit("export_trail"));
        let ended =
            trail().and(col("step").eq(lit("job.failed"))).and(by_status().or(col("outcome").eq(lit("timeout"))));
        let trail_step = when(trail().and(lifecycle.not()))
            .then(col("step"))
            .otherwise(when(ended).then(lit(WHOLE_JOB)).otherwise(lit(NULL)));
        let columns: Vec<Expr> = ["row", "phase", "failing", "ok"].into_iter().chain(KEPT).map(col).collect();
        let frame = events
            .lazy()
            .filter(col("kept"))
            .join(known.lazy(), [col("operation")], [col("operation")], JoinArgs::new(JoinType::Left))
            .with_column(coalesce(&[trail_step, col("op_step")]).alias("phase"))
            .filter(col("phase").is_not_null())
            .with_columns([failing().alias("failing"), col("outcome").eq(lit("success")).alias("ok")])
            .select(columns)
            .collect()?;
        Ok(Self { frame: without_echoes(frame)? })
    }
}

fn failing() -> Expr {
    let untold =
        col("source").eq(lit("export_trail")).and(col("outcome").eq(lit("failure"))).and(col("http_status").is_null());
    let refused = col("outcome").eq(lit("success")).not().and(by_status().or(col("refused_credential")).or(untold));
    col("outcome").eq(lit("timeout")).or(refused)
}

fn by_status() -> Expr {
    let status = || col("http_status");
    let listed = FAILING_STATUSES.iter().map(|s| status().eq(lit(*s))).reduce(Expr::or).unwrap_or_else(|| lit(false));
    listed.or(status().gt_eq(lit(500u32))).fill_null(lit(false))
}

fn refused_credentials(events: &DataFrame) -> PolarsResult<Column> {
    let (status, code) = (events.column("http_status")?.u32()?, events.column("error_code")?.str()?);
    let names_credential = |code: &str| {
        let folded = fold(code);
        REFUSING_CODES.iter().any(|known| folded.as_str().starts_with(known))
    };
    let rows = status.iter().zip(code.iter());
    let refused: Vec<bool> =
        rows.map(|(status, code)| status.is_none_or(|s| s == 400) && code.is_some_and(names_credential)).collect();
    Ok(Column::new("refused_credential".into(), refused))
}

/// A failed job repeats what made one of its attempts fail; only where no attempt is on record is it a failure itself.
fn without_echoes(frame: DataFrame) -> PolarsResult<DataFrame> {
    let whole = || col("phase").eq(lit(WHOLE_JOB));
    if frame.column("phase")?.str()?.iter().all(|phase| phase != Some(WHOLE_JOB)) {
        return Ok(frame);
    }
    let failed = frame.clone().lazy().filter(col("failing").and(whole().not())).select([col("job_id")]);
    let jobs = frame.clone().lazy().filter(whole());
    let alone = jobs.join(failed, [col("job_id")], [col("job_id")], JoinArgs::new(JoinType::Anti)).select([col("row")]);
    let alone = alone.collect()?;
    let kept: std::collections::BTreeSet<Row> = alone.column("row")?.u32()?.iter().flatten().collect();
    let (row, phase) = (frame.column("row")?.u32()?, frame.column("phase")?.str()?);
    let rows = row.iter().zip(phase.iter());
    let mask: BooleanChunked =
        rows.map(|(row, phase)| phase != Some(WHOLE_JOB) || row.is_some_and(|row| kept.contains(&row))).collect();
    frame.filter(&mask)
}

fn row_numbers(height: usize) -> Column {
    #[expect(clippy::cast_possible_truncation, reason = "polars frames hold fewer than 2^32 rows")]
    Column::new("row".into(), (0..height as u32).collect::<Vec<u32>>())
}

fn not_duplicates(height: usize, duplicates: &[Row]) -> Column {
    let mut kept = vec![true; height];
    for row in duplicates {
        kept[*row as usize] = false;
    }
    Column::new("kept".into(), kept)
}
