//! `holdtrace timeline`

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};

use super::progress::Bar;
use super::{Reading, Status, output};
use crate::error::Result;
use crate::evidence::is_partial;
use crate::report::{Evidence, Timeline, TimesketchForm as Timesketch, plain, timeline, write_timesketch_timeline};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The job
    #[arg(long, value_name = "ID")]
    job: String,
    /// Output format; by default a table on a terminal, else ndjson
    #[arg(long, value_enum)]
    format: Option<Format>,
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
    let timeline = timeline(&evidence, &arguments.job)?;
    let terminal = arguments.out.is_none() && io::stdout().is_terminal();
    let format = arguments.format.unwrap_or(if terminal { Format::Table } else { Format::Ndjson });
    output::data(arguments.out.as_deref(), |out| match format {
        Format::Table => output::written(writeln!(out, "{}", table(&timeline))),
        Format::Ndjson => output::ndjson(&timeline.entries, out),
        Format::TimesketchJsonl => write_timesketch_timeline(&timeline, Timesketch::Jsonl, out).map(output::timeless),
        Format::TimesketchCsv => write_timesketch_timeline(&timeline, Timesketch::Csv, out).map(output::timeless),
    })?;
    let partial = is_partial(&evidence.ingested.files) || !evidence.discovery.unreadable.is_empty();
    Ok(if partial { Status::Partial } else { Status::Done })
}

fn table(timeline: &Timeline) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(120);
    }
    table.set_header(["Time (UTC)", "Source", "What", "Outcome", "Said", "Record"]);
    for entry in &timeline.entries {
        let status = entry.http_status.map(|s| format!(" {s}")).unwrap_or_default();
        let attempt = entry.attempt.map(|n| format!("\nattempt {n}")).unwrap_or_default();
        let said = [entry.error_code.as_deref(), entry.error_message.as_deref()].into_iter().flatten();
        let clock = entry.clock_ahead_seconds;
        let clock = clock.map(|[least, most]| format!("\nclock {least} to {most} s ahead")).unwrap_or_default();
        let id = entry.record_id.as_deref().unwrap_or("");
        let row = [
            entry.time.clone().unwrap_or_else(|| "(unknown)".to_owned()).replace('T', "\n"),
            format!("{}{clock}\nby {}{}", entry.source, entry.joined_by, shown(entry.joined_id.as_deref())),
            format!("{}{attempt}", entry.what),
            format!("{}{status}", entry.outcome),
            said.collect::<Vec<_>>().join("\n"),
            format!("{id}\n{}\nrecord {} at {}+{}", entry.file, entry.record, entry.offset, entry.length),
        ];
        table.add_row(row.map(|cell| plain(&cell)));
    }
    table
}

/// The beginning of a shared id: enough to see that it is the same.
fn shown(id: Option<&str>) -> String {
    const SHOWN: usize = 12;
    let Some(id) = id else { return String::new() };
    let start: String = id.chars().take(SHOWN).collect();
    let more = if id.chars().nth(SHOWN).is_some() { "\u{2026}" } else { "" };
    format!(" {start}{more}")
}
