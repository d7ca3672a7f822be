//! What is known of jobs as wholes: exporters may state caller, bucket and tenant once, at the start.

use std::collections::BTreeMap;

use polars::prelude::*;

/// What a job's records say of it, first come first served.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Time of the job's first record, microseconds since 1970, UTC.
    pub began: Option<i64>,
    /// The values of [`STATED`].
    stated: [Option<String>; STATED.len()],
}

/// Columns that hold for the whole of a job.
const STATED: [&str; 5] = ["principal", "bucket", "tenant_id", "region", "media_type"];

impl Job {
    /// What the job's records say of `column`.
    #[must_use]
    pub fn stated(&self, column: &str) -> Option<String> {
        STATED.iter().position(|name| *name == column).and_then(|n| self.stated[n].clone())
    }
}

/// One row per job of the trail: `job_id`, `began`, and the columns of [`STATED`].
///
/// # Errors
/// Polars cannot evaluate the groups.
pub fn frame(events: &DataFrame) -> PolarsResult<DataFrame> {
    let mut columns = vec![col("time").cast(DataType::Int64).min().alias("began")];
    columns.extend(STATED.iter().map(|name| col(*name).drop_nulls().first()));
    events
        .select(["job_id", "time", "source"].into_iter().chain(STATED))?
        .lazy()
        .filter(col("job_id").is_not_null().and(col("source").eq(lit("export_trail"))))
        .group_by([col("job_id")])
        .agg(columns)
        .collect()
}

/// Fills in what `marks` leave out of caller, bucket and region from the job's other records.
///
/// # Errors
/// Polars cannot evaluate the join.
pub fn inherit(marks: DataFrame, jobs: &DataFrame) -> PolarsResult<DataFrame> {
    let filled = ["principal", "bucket", "region"];
    let complete = filled.iter().all(|name| marks.column(name).is_ok_and(|column| column.null_count() == 0));
    if complete || marks.height() == 0 {
        return Ok(marks);
    }
    let from_job = |name: &str| coalesce(&[col(name), col(format!("{name}_of_job"))]).alias(name);
    let columns: Vec<Expr> = marks.get_column_names().into_iter().map(|name| col(name.as_str())).collect();
    let renamed: Vec<Expr> = filled.iter().map(|name| col(*name).alias(format!("{name}_of_job"))).collect();
    let jobs = jobs.clone().lazy().select([vec![col("job_id")], renamed].concat());
    let mut how = JoinArgs::new(JoinType::Left);
    how.maintain_order = MaintainOrderJoin::Left;
    marks
        .lazy()
        .join(jobs, [col("job_id")], [col("job_id")], how)
        .with_columns(filled.map(from_job))
        .select(columns)
        .collect()
}

/// The jobs of `wanted`.
///
/// # Errors
/// A column is missing.
pub fn of(jobs: &DataFrame, wanted: &dyn Fn(&str) -> bool) -> PolarsResult<BTreeMap<String, Job>> {
    let (id, began) = (jobs.column("job_id")?.str()?, jobs.column("began")?.i64()?);
    let stated: Vec<&StringChunked> =
        STATED.iter().map(|name| jobs.column(name)?.str()).collect::<PolarsResult<_>>()?;
    let mut found = BTreeMap::new();
    for n in 0..jobs.height() {
        if let Some(id) = id.get(n).filter(|id| wanted(id)) {
            let stated = std::array::from_fn(|column| stated[column].get(n).map(str::to_owned));
            found.insert(id.to_owned(), Job { began: began.get(n), stated });
        }
    }
    Ok(found)
}
