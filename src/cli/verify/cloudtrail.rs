//! `holdtrace verify cloudtrail`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{EXIT, Status, output};
use crate::cli::analyze::moment;
use crate::cli::look;
use crate::custody::cloudtrail::{Keys, Range, render_table, verify};
use crate::error::Result;

#[derive(Args)]
#[command(after_help = EXIT)]
pub struct Arguments {
    /// Folder that mirrors the buckets, DIR/<bucket>/<key>, with the metadata of a digest beside it as
    /// <key>.metadata.json
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Output of `aws cloudtrail list-public-keys` for the region and time (repeatable: every region has its own keys)
    #[arg(long, value_name = "FILE", required = true)]
    public_keys: Vec<PathBuf>,
    /// Only digests that cover some time from then on, and their logs (RFC 3339, or a date)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only digests that cover some time before then, and their logs (RFC 3339, or a date)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: counts, chains, whatever is not valid, gaps
    Table,
    /// One JSON object: every digest and log with its status, gaps, chains, deliveries
    Json,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let range = Range {
        since: moment("--since", arguments.since.as_ref())?,
        until: moment("--until", arguments.until.as_ref())?,
    };
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &[arguments.folder.display().to_string()])?;
    }
    let keys = Keys::read(&arguments.public_keys)?;
    let report = verify(&arguments.folder, &keys, range)?;
    output::data(arguments.out.as_deref(), |out| match arguments.format {
        Format::Table => output::written(out.write_all(render_table(&report, look::width()).as_bytes())),
        Format::Json => output::json(&report, out),
    })?;
    for note in report.unreadable.iter().chain(&report.skipped) {
        output::message(&format!("holdtrace: {note}"));
    }
    Ok(if report.is_all_valid() { Status::Done } else { Status::Partial })
}
