//! `holdtrace advise`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::{Reading, Status, look, output};
use crate::error::Result;
use crate::evidence::is_partial;
use crate::report::{self, AdviceReport};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object, every figure with its count and its records
    Json,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let inputs = &arguments.reading.inputs;
    inputs.set_threads()?;
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &inputs.paths)?;
    }
    let rules = arguments.reading.rules()?;
    let mappings = inputs.maps.read()?;
    let bar = Bar::new();
    let report = report::advise(&inputs.paths, inputs.options(&mappings), &rules, &bar);
    bar.finish();
    let report = report?;
    output::unused_mappings(&mappings, &report.files);
    output::data(arguments.out.as_deref(), |out| match arguments.format {
        Format::Text => output::written(out.write_all(report::render_advice(&report, look::width()).as_bytes())),
        Format::Json => output::json(&report, out),
    })?;
    say_what_was_not_read(&report);
    Ok(if report.is_partial() { Status::Partial } else { Status::Done })
}

fn say_what_was_not_read(report: &AdviceReport) {
    let incomplete = report.files.iter().filter(|file| is_partial(std::slice::from_ref(file)));
    incomplete.take(20).for_each(output::not_read);
    for note in &report.discovery.unreadable {
        output::message(&format!("holdtrace: {note}"));
    }
}
