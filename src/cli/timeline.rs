//! `holdtrace timeline`

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::look::Looks;
use super::progress::Bar;
use super::{Reading, Status, output};
use crate::error::Result;
use crate::evidence::is_partial;
use crate::ingest::AssumedZone;
use crate::report::{Evidence, TimesketchForm as Timesketch, render_timeline, timeline, write_timesketch_timeline};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The job
    #[arg(long, value_name = "ID")]
    job: String,
    /// Only what lies within this time of a failing attempt or a recovery (30s, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = micros)]
    around: Option<i64>,
    /// Zone whose times the table shows beside UTC: an offset (+01:00) or a name (Europe/Berlin)
    #[arg(long, value_name = "ZONE")]
    tz: Option<AssumedZone>,
    /// Output format; by default a table on a terminal, else ndjson
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    looks: Looks,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object per record
    Ndjson,
    /// For Timesketch
    TimesketchJsonl,
    /// The same as CSV
    TimesketchCsv,
}

fn micros(text: &str) -> std::result::Result<i64, String> {
    let time = humantime::parse_duration(text).map_err(|_| "give a time such as 30s, 10m or 2h".to_owned())?;
    i64::try_from(time.as_micros()).map_err(|_| "that is longer than any archive".to_owned())
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    arguments.reading.inputs.set_threads()?;
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &arguments.reading.inputs.paths)?;
    }
    let rules = arguments.reading.rules()?;
    let mappings = arguments.reading.inputs.maps.read()?;
    let options = arguments.reading.inputs.options(&mappings);
    let bar = Bar::new();
    let evidence = Evidence::read(&arguments.reading.inputs.paths, options, &rules, &bar);
    bar.finish();
    let evidence = evidence?;
    output::unused_mappings(&mappings, &evidence.ingested.files);
    let mut timeline = timeline(&evidence, &arguments.job)?;
    if arguments.around.is_some_and(|micros| !timeline.around(micros)) {
        output::message("holdtrace: nothing of this job failed at a known time, so --around leaves nothing out");
    }
    let to_file = arguments.out.is_some();
    let terminal = !to_file && io::stdout().is_terminal();
    let format = arguments.format.unwrap_or(if terminal { Format::Table } else { Format::Ndjson });
    output::data(arguments.out.as_deref(), |out| match format {
        Format::Table => {
            let look = arguments.looks.look(to_file);
            output::written(out.write_all(render_timeline(&timeline, look, arguments.tz).as_bytes()))
        }
        Format::Ndjson => output::ndjson(&timeline.entries, out),
        Format::TimesketchJsonl => write_timesketch_timeline(&timeline, Timesketch::Jsonl, out).map(output::timeless),
        Format::TimesketchCsv => write_timesketch_timeline(&timeline, Timesketch::Csv, out).map(output::timeless),
    })?;
    let partial = is_partial(&evidence.ingested.files) || !evidence.discovery.unreadable.is_empty();
    Ok(if partial { Status::Partial } else { Status::Done })
}
