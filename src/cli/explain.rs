//! `holdtrace explain`

use clap::{ArgGroup, Args, ValueEnum};

use super::progress::Bar;
use super::{Reading, Status, look, output};
use crate::error::Result;
use crate::evidence::is_partial;
use crate::report::{Asked, Evidence, explain, render_explanations};

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["job", "failure"]))]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// Explain what failed of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// Only this recording
    #[arg(long, value_name = "ID")]
    recording: Option<String>,
    /// Only the failure with this id (f:...), as the reports print it
    #[arg(long, value_name = "f:...")]
    failure: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Page)]
    format: Format,
    /// Readings of the archive, with records left out, that finding what one verdict hangs on may take; 0 does not look
    #[arg(long, value_name = "N", default_value_t = 64)]
    tries: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: a page of plain English
    Page,
    /// One JSON object
    Json,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let inputs = &arguments.reading.inputs;
    inputs.set_threads()?;
    let rules = arguments.reading.rules()?;
    let mappings = inputs.maps.read()?;
    let bar = Bar::new();
    let evidence = Evidence::read(&inputs.paths, inputs.options(&mappings), &rules, &bar);
    bar.finish();
    let evidence = evidence?;
    output::unused_mappings(&mappings, &evidence.ingested.files);
    let asked = Asked {
        job: arguments.job.clone(),
        recording: arguments.recording.clone(),
        failure: arguments.failure.clone(),
        tries: arguments.tries,
    };
    let explanations = explain(&evidence, &rules, &asked)?;
    output::data(None, |out| match arguments.format {
        Format::Page => output::written(out.write_all(render_explanations(&explanations, look::width()).as_bytes())),
        Format::Json => output::json(&explanations, out),
    })?;
    let partial = is_partial(&evidence.ingested.files) || !evidence.discovery.unreadable.is_empty();
    Ok(if partial { Status::Partial } else { Status::Done })
}
