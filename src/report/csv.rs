//! CSV: one row per failure.

use std::io::Write;

use super::{FailureReport, Failures};
use crate::classify::Cause;
use crate::error::{Error, Result};

/// Names of the flat columns, for CSV and Parquet.
pub const COLUMNS: [&str; 27] = [
    "failure_id",
    "job_id",
    "conversation_id",
    "recording_id",
    "object_key",
    "bucket",
    "principal",
    "tenant_id",
    "region",
    "media_type",
    "step",
    "first_failed_at",
    "last_failed_at",
    "recovered_at",
    "attempts",
    "timeouts",
    "forbidden",
    "conflicts",
    "other",
    "class",
    "mechanism",
    "support",
    "missing_permissions",
    "evidence",
    "reason",
    "next_evidence",
    "remedy",
];

/// The flat row of a failure; lists are joined by `; `.
#[must_use]
pub fn row(failure: &FailureReport) -> [Option<String>; COLUMNS.len()] {
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join("; "));
    let evidence: Vec<String> = failure
        .evidence
        .iter()
        .map(|e| {
            let class = e.class.map_or("none", Cause::name);
            format!("{} ({class} {:+}): {}", e.rule, e.weight, e.records.join(" "))
        })
        .collect();
    let s = &failure.symptoms;
    [
        Some(failure.failure_id.clone()),
        failure.job_id.clone(),
        failure.conversation_id.clone(),
        failure.recording_id.clone(),
        failure.object_key.clone(),
        failure.bucket.clone(),
        failure.principal.clone(),
        failure.tenant_id.clone(),
        failure.region.clone(),
        failure.media_type.clone(),
        Some(failure.step.clone()),
        failure.first_failed_at.clone(),
        failure.last_failed_at.clone(),
        failure.recovered_at.clone(),
        Some(failure.attempts.to_string()),
        Some(s.timeouts.to_string()),
        Some(s.forbidden.to_string()),
        Some(s.conflicts.to_string()),
        Some(s.other.to_string()),
        Some(failure.class.name().to_owned()),
        failure.mechanism.clone(),
        failure.support.map(|s| s.name().to_owned()),
        list(&failure.missing_permissions),
        list(&evidence),
        failure.reason.clone(),
        list(&failure.next_evidence),
        list(&failure.remedy),
    ]
}

/// Writes the failures as CSV (RFC 4180, header first). A cell that a spreadsheet would run as a formula is quoted with
/// an apostrophe.
///
/// # Errors
/// The reports cannot be read again, or the output not written.
pub fn write_csv(failures: &Failures, out: impl Write) -> Result<()> {
    let fail = |e: csv::Error| Error::Output(e.to_string());
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(out);
    writer.write_record(COLUMNS).map_err(fail)?;
    for failure in failures {
        writer.write_record(row(&failure?).map(|cell| harmless(cell.unwrap_or_default()))).map_err(fail)?;
    }
    writer.flush().map_err(|e| Error::Output(e.to_string()))
}

/// The cell, quoted with an apostrophe where a spreadsheet would run it as a formula.
pub fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}
