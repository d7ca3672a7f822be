//! `holdtrace analyze`

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::{Reading, Status, output};
use crate::classify::Class;
use crate::error::{Error, Result};
use crate::ingest::AssumedZone;
use crate::report::{self, Analysis, RuleText, Selection, TimesketchForm as Timesketch};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// Output format; by default a table on a terminal, else what the name of --out ends in, else ndjson
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only failures of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// Only failures that began at or after this time (RFC 3339, or a date)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only failures that began before this time (RFC 3339, or a date)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End with status 3 if a failure of this class is found (repeatable)
    #[arg(long, value_name = "CLASS", value_enum)]
    fail_on: Vec<ClassName>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: a summary, then a row per failure
    Table,
    /// One JSON object per failure
    Ndjson,
    /// One JSON object: failures, summary, coverage ledger, manifest
    Json,
    /// One row per failure
    Csv,
    /// One row per failure, typed
    Parquet,
    /// For tickets: a summary, then a section per failure
    Markdown,
    /// For Timesketch: the verdicts, and the records behind each, with their times
    TimesketchJsonl,
    /// The same as CSV
    TimesketchCsv,
    /// SARIF 2.1.0: a result per failure, its timeline as code flow
    Sarif,
    /// OCSF 1.5.0, one JSON object a line: the attempts of each failure, and a finding on it
    Ocsf,
}

impl Format {
    /// Whether it shows the records behind failures.
    const fn is_traced(self) -> bool {
        matches!(self, Self::TimesketchJsonl | Self::TimesketchCsv | Self::Sarif | Self::Ocsf)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ClassName {
    ScopeCollision,
    SyncRace,
    PolicyMismatch,
    OtherCause,
    Inconclusive,
}

impl ClassName {
    const fn class(self) -> Class {
        match self {
            Self::ScopeCollision => Class::ScopeCollision,
            Self::SyncRace => Class::SyncRace,
            Self::PolicyMismatch => Class::PolicyMismatch,
            Self::OtherCause => Class::OtherCause,
            Self::Inconclusive => Class::Inconclusive,
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    arguments.reading.inputs.set_threads()?;
    let (since, until) = (moment("--since", arguments.since.as_ref())?, moment("--until", arguments.until.as_ref())?);
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &arguments.reading.inputs.paths)?;
    }
    let rules = arguments.reading.rules()?;
    let mappings = arguments.reading.inputs.maps.read()?;
    let options = arguments.reading.inputs.options(&mappings);
    let format = format(arguments);
    let bar = Bar::new();
    let selection = Selection { job: arguments.job.clone(), since, until, traced: format.is_traced() };
    let analysis = report::analyze(&arguments.reading.inputs.paths, options, &rules, &selection, &bar);
    bar.finish();
    let analysis = analysis?;
    if format == Format::Parquet && arguments.out.is_none() && io::stdout().is_terminal() {
        let reason = "Parquet is not for terminals; name a file with --out".to_owned();
        return Err(Error::Usage { what: "--format parquet".to_owned(), reason });
    }
    output::data(arguments.out.as_deref(), |out| write(&analysis, &rules, format, out))?;
    if format == Format::Table {
        output::unused_mappings(&mappings, &analysis.coverage.files);
    }
    report_coverage(&analysis, format);
    Ok(status(arguments, &analysis))
}

fn format(arguments: &Arguments) -> Format {
    let by_name = || {
        let extension = arguments.out.as_ref()?.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "json" => Format::Json,
            "csv" => Format::Csv,
            "parquet" => Format::Parquet,
            "txt" => Format::Table,
            "md" => Format::Markdown,
            "sarif" => Format::Sarif,
            _ => return None,
        })
    };
    let by_terminal = || (arguments.out.is_none() && io::stdout().is_terminal()).then_some(Format::Table);
    arguments.format.or_else(by_name).or_else(by_terminal).unwrap_or(Format::Ndjson)
}

fn write(analysis: &Analysis, rules: &RuleText, format: Format, mut out: &mut dyn Write) -> Result<()> {
    let json = |e: serde_json::Error| Error::Output(e.to_string());
    match format {
        Format::Table => output::written(out.write_all(report::render_table(analysis, width())?.as_bytes())),
        Format::Ndjson => analysis.failures.write_ndjson(out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, analysis).map_err(json)?;
            output::written(out.write_all(b"\n"))
        }
        Format::Csv => report::write_csv(&analysis.failures, out),
        Format::Parquet => report::write_parquet(&analysis.failures, out),
        Format::Markdown => report::write_markdown(analysis, out),
        Format::Sarif => report::write_sarif(analysis, rules, out),
        Format::Ocsf => report::write_ocsf(analysis, out).map(output::timeless),
        Format::TimesketchJsonl => report::write_timesketch(analysis, Timesketch::Jsonl, out).map(output::timeless),
        Format::TimesketchCsv => report::write_timesketch(analysis, Timesketch::Csv, out).map(output::timeless),
    }
}

/// The terminal's width, or 80 columns where there is none.
pub(super) fn width() -> u16 {
    comfy_table::Table::new().width().unwrap_or(80).clamp(60, 240)
}

/// One line per file that could not be read in full, or whose times had to be interpreted; the table says it itself.
fn report_coverage(analysis: &Analysis, format: Format) {
    if format == Format::Table {
        return;
    }
    let files = analysis.coverage.files.iter();
    files.filter(|f| f.is_partial()).take(output::MOST_SAID).for_each(output::not_read);
    output::notes(analysis.coverage.unreadable.iter());
    output::notes(analysis.coverage.skipped.iter());
    for clock in analysis.coverage.clocks.iter().filter(|c| c.applied) {
        output::message(&format!("holdtrace: {}", clock.sentence()));
    }
    let s = &analysis.summary;
    if s.zoneless_times > 0 {
        let count = s.zoneless_times;
        output::message(&format!("holdtrace: {count} times carry no zone and were read with --assume-tz"));
    }
    if s.implausible_times > 0 {
        let count = s.implausible_times;
        output::message(&format!("holdtrace: {count} times lie before 2000 or after 2099 and were not used"));
    }
}

fn status(arguments: &Arguments, analysis: &Analysis) -> Status {
    let found = |class: &ClassName| analysis.summary.by_class.get(class.class().name()).is_some_and(|count| *count > 0);
    if arguments.fail_on.iter().any(found) {
        Status::Met
    } else if analysis.coverage.is_partial() {
        Status::Partial
    } else {
        Status::Done
    }
}

/// Reads a time given with an option, microseconds since 1970.
pub fn moment(what: &str, text: Option<&String>) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.clone() };
    let read = AssumedZone::default().read(&whole).and_then(|instant| instant.micros);
    let reason = format!("`{text}` is no time; give RFC 3339 (2026-03-02T00:00:00Z) or a date (2026-03-02)");
    read.map(Some).ok_or(Error::Usage { what: what.to_owned(), reason })
}
