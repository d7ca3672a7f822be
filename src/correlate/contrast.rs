//! What the rest of the archive did: who got through which step, with which scopes, into which bucket.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::*;

use super::failures::Failure;
use super::table::Row;

/// Attempts that got through and that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub ok: u64,
    pub failed: u64,
    /// Jobs with an attempt that got through; attempts of no job count as one.
    pub ok_jobs: u64,
    pub failed_jobs: u64,
    /// A row that got through, to cite.
    pub example: Option<Row>,
}

/// Attempts of one job that got through a step without having failed at it.
#[derive(Clone, Debug)]
pub struct ScopeGroup {
    pub job: Option<String>,
    pub principal: String,
    /// When the first of them got through.
    pub time: Option<i64>,
    pub ok: u64,
    pub example: Row,
}

/// A statement of what a caller held, from a record of its job.
#[derive(Clone, Debug)]
pub struct Statement {
    pub time: Option<i64>,
    pub scopes: BTreeSet<String>,
    pub row: Row,
    pub principal: Option<String>,
}

/// The archive's other jobs, as far as verdicts need them.
#[derive(Default)]
pub struct Contrast {
    /// By step and principal.
    pub by_caller: BTreeMap<(String, String), Count>,
    /// By bucket, of the steps that write there.
    pub by_bucket: BTreeMap<String, Count>,
    /// By region and hour since 1970: attempts that failed.
    pub by_hour: BTreeMap<(String, i64), Count>,
    /// Who got through the steps at which something failed.
    pub through: BTreeMap<String, Vec<ScopeGroup>>,
    /// What callers held, by job, in order of time.
    pub stated: BTreeMap<String, Vec<Statement>>,
    /// Time of the first and last event of the archive.
    pub span: Option<(i64, i64)>,
}

const HOUR: i64 = 3_600_000_000;

impl Contrast {
    /// Counts the attempts in `marks` and gathers what `events` state of scopes.
    ///
    /// # Errors
    /// Polars cannot evaluate the groups.
    pub fn new(events: &DataFrame, marks: &DataFrame, failures: &[Failure]) -> PolarsResult<Self> {
        let stores = col("phase").eq(lit("upload")).or(col("phase").eq(lit("export")));
        let hour = col("time").cast(DataType::Int64).floor_div(lit(HOUR));
        let by_caller = counts(marks.clone().lazy(), [col("phase"), col("principal")])?;
        let by_bucket = counts(marks.clone().lazy().filter(stores), [col("bucket"), lit("").alias("none")])?;
        let by_hour = counts(marks.clone().lazy(), [col("region"), hour.cast(DataType::String).alias("hour")])?;
        let steps: BTreeSet<&str> = failures.iter().flat_map(|f| f.steps.iter().map(String::as_str)).collect();
        Ok(Self {
            by_caller,
            by_bucket: by_bucket.into_iter().map(|((bucket, _), count)| (bucket, count)).collect(),
            by_hour: by_hour
                .into_iter()
                .filter_map(|((region, hour), count)| Some(((region, hour.parse().ok()?), count)))
                .collect(),
            through: through(marks, &steps)?,
            stated: stated(events)?,
            span: span(events)?,
        })
    }

    /// The count of a step by a caller.
    #[must_use]
    pub fn caller(&self, step: &str, principal: &str) -> Count {
        self.by_caller.get(&(step.to_owned(), principal.to_owned())).copied().unwrap_or_default()
    }

    /// The count of failing attempts in a region in the hour of `time`.
    #[must_use]
    pub fn hour(&self, region: &str, time: i64) -> Count {
        self.by_hour.get(&(region.to_owned(), time.div_euclid(HOUR))).copied().unwrap_or_default()
    }
}

fn span(events: &DataFrame) -> PolarsResult<Option<(i64, i64)>> {
    let time = events.column("time")?.datetime()?.physical();
    Ok(time.min().zip(time.max()))
}

type Counts = BTreeMap<(String, String), Count>;

fn counts(marks: LazyFrame, by: [Expr; 2]) -> PolarsResult<Counts> {
    let [first, second] = by;
    let jobs = |flag: &str| col("job_id").filter(col(flag)).n_unique();
    let frame = marks
        .select([first.alias("a"), second.alias("b"), col("ok"), col("failing"), col("job_id"), col("row")])
        .drop_nulls(Some(by_name(["a", "b"], true, false)))
        .group_by([col("a"), col("b")])
        .agg([
            col("ok").sum().cast(DataType::UInt64),
            col("failing").sum().cast(DataType::UInt64).alias("failed"),
            jobs("ok").cast(DataType::UInt64).alias("ok_jobs"),
            jobs("failing").cast(DataType::UInt64).alias("failed_jobs"),
            col("row").filter(col("ok")).min().alias("example"),
        ])
        .collect()?;
    let (a, b) = (frame.column("a")?.str()?, frame.column("b")?.str()?);
    let number = |name: &str| Ok::<_, PolarsError>(frame.column(name)?.u64()?.clone());
    let (ok, failed) = (number("ok")?, number("failed")?);
    let (ok_jobs, failed_jobs) = (number("ok_jobs")?, number("failed_jobs")?);
    let example = frame.column("example")?.u32()?;
    let mut found = Counts::new();
    for n in 0..frame.height() {
        let key = (a.get(n).unwrap_or_default().to_owned(), b.get(n).unwrap_or_default().to_owned());
        found.insert(
            key,
            Count {
                ok: ok.get(n).unwrap_or(0),
                failed: failed.get(n).unwrap_or(0),
                ok_jobs: ok_jobs.get(n).unwrap_or(0),
                failed_jobs: failed_jobs.get(n).unwrap_or(0),
                example: example.get(n),
            },
        );
    }
    Ok(found)
}

fn through(marks: &DataFrame, steps: &BTreeSet<&str>) -> PolarsResult<BTreeMap<String, Vec<ScopeGroup>>> {
    let wanted = steps.iter().map(|step| col("phase").eq(lit(*step))).reduce(Expr::or);
    let Some(wanted) = wanted else { return Ok(BTreeMap::new()) };
    let frame = marks
        .clone()
        .lazy()
        .filter(wanted.and(col("principal").is_not_null()))
        .group_by([col("phase"), col("job_id"), col("principal")])
        .agg([
            col("time").cast(DataType::Int64).filter(col("ok")).min(),
            col("row").filter(col("ok")).min().alias("example"),
            col("ok").sum().cast(DataType::UInt64),
            col("failing").any(true),
        ])
        // A job that failed at the step and got through later may have been helped by a change that no log shows.
        .filter(col("ok").gt(lit(0u64)).and(col("failing").not().or(col("job_id").is_null())))
        .sort(["example"], SortMultipleOptions::default())
        .collect()?;
    let (phase, job) = (frame.column("phase")?.str()?, frame.column("job_id")?.str()?);
    let (principal, time) = (frame.column("principal")?.str()?, frame.column("time")?.i64()?);
    let (example, ok) = (frame.column("example")?.u32()?, frame.column("ok")?.u64()?);
    let mut found: BTreeMap<String, Vec<ScopeGroup>> = BTreeMap::new();
    for n in 0..frame.height() {
        let group = ScopeGroup {
            job: job.get(n).map(str::to_owned),
            principal: principal.get(n).unwrap_or_default().to_owned(),
            time: time.get(n),
            ok: ok.get(n).unwrap_or(0),
            example: example.get(n).unwrap_or(0),
        };
        found.entry(phase.get(n).unwrap_or_default().to_owned()).or_default().push(group);
    }
    Ok(found)
}

fn stated(events: &DataFrame) -> PolarsResult<BTreeMap<String, Vec<Statement>>> {
    let mut frame = events.select(["job_id", "principal", "scopes", "time"])?;
    #[expect(clippy::cast_possible_truncation, reason = "polars frames hold fewer than 2^32 rows")]
    frame.with_column(Column::new("row".into(), (0..frame.height() as u32).collect::<Vec<u32>>()))?;
    let frame = frame
        .lazy()
        .filter(col("scopes").is_not_null().and(col("job_id").is_not_null()))
        .group_by([col("job_id"), col("principal"), col("scopes")])
        .agg([col("time").cast(DataType::Int64).min(), col("row").min()])
        .sort(["time", "row"], SortMultipleOptions::default())
        .collect()?;
    let (job, principal) = (frame.column("job_id")?.str()?, frame.column("principal")?.str()?);
    let (scopes, time) = (frame.column("scopes")?.str()?, frame.column("time")?.i64()?);
    let row = frame.column("row")?.u32()?;
    let mut found: BTreeMap<String, Vec<Statement>> = BTreeMap::new();
    for n in 0..frame.height() {
        let row = row.get(n).unwrap_or(0);
        let statement = Statement {
            time: time.get(n),
            scopes: scopes.get(n).unwrap_or_default().split(' ').map(str::to_owned).collect(),
            row,
            principal: principal.get(n).map(str::to_owned),
        };
        found.entry(job.get(n).unwrap_or_default().to_owned()).or_default().push(statement);
    }
    Ok(found)
}
