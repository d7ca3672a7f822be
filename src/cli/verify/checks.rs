//! Printing what was checked.

use clap::ValueEnum;
use serde_json::json;

use super::{Status, output};
use crate::custody::{Check, CheckStatus};
use crate::error::Result;
use crate::report::plain;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: a line for each thing that was checked
    Table,
    /// One JSON object: `checks`, each with `what`, `status` (valid, invalid, unchecked), `detail`
    Json,
}

/// Prints the checks; the status says whether one of them failed.
pub fn print(checks: &[Check], format: Format) -> Result<Status> {
    output::data(None, |out| match format {
        Format::Table => checks.iter().try_for_each(|check| {
            let line = format!("{:9}  {}: {}", check.status, check.what, check.detail);
            output::written(writeln!(out, "{}", plain(&line).replace('\n', "\\n")))
        }),
        Format::Json => output::json(&json!({ "checks": checks }), out),
    })?;
    let failed = checks.iter().any(|check| check.status == CheckStatus::Invalid);
    Ok(if failed { Status::Partial } else { Status::Done })
}
