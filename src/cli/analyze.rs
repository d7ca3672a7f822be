//! `holdtrace analyze`

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::case::Who;
use super::look::Looks;
use super::progress::Bar;
use super::{Reading, Status, case, output};
use crate::classify::Class;
use crate::error::{Error, Result};
use crate::ingest::AssumedZone;
use crate::report::{self, Analysis, Hints, HtmlReport, RuleText, Selection, TimesketchForm as Timesketch, Veil};

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
    /// Analyse into this case folder, new or not: what it holds is not read again; says what changed since (see docs/custody.md)
    #[arg(long, value_name = "DIR", conflicts_with_all = ["format", "out", "job", "since", "until"])]
    case: Option<PathBuf>,
    #[command(flatten)]
    who: Who,
    /// Only failures of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// Only failures that began at or after this time (RFC 3339, or a date)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only failures that began before this time (RFC 3339, or a date)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Replace persons, accounts, addresses, names and ids by keyed pseudonyms that still join, and withhold texts
    #[arg(long, requires = "redact_key", conflicts_with = "case")]
    redact: bool,
    /// Key of the pseudonyms: a file of at least 16 bytes, such as `openssl rand -hex 32` writes
    #[arg(long, value_name = "FILE", requires = "redact")]
    redact_key: Option<PathBuf>,
    /// Texts that need not be withheld, one a line
    #[arg(long, value_name = "FILE", requires = "redact")]
    keep_text: Option<PathBuf>,
    /// End with status 3 if a failure of this class is found (repeatable)
    #[arg(long, value_name = "CLASS", value_enum)]
    fail_on: Vec<ClassName>,
    #[command(flatten)]
    looks: Looks,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: a summary, then a row per failure
    Table,
    /// One JSON object per failure
    Ndjson,
    /// One JSON object: failures, summary, coverage ledger, manifest
    Json,
    /// One page for people who decide: summary, charts, a card per failure; opens in any browser, from disk
    Html,
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
pub enum ClassName {
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
    if let Some(folder) = &arguments.case {
        let (outcome, status) = case::analyze(folder, &arguments.reading, &arguments.who, None)?;
        return Ok(met(arguments, &outcome.analysis).unwrap_or(status));
    }
    let rules = arguments.reading.rules()?;
    let mappings = arguments.reading.inputs.maps.read()?;
    let options = arguments.reading.inputs.options(&mappings);
    let format = format(arguments);
    let bar = Bar::new();
    let selection = Selection { job: arguments.job.clone(), since, until, traced: format.is_traced() };
    let veil = arguments.redact_key.as_deref().map(|key| Veil::read(key, arguments.keep_text.as_deref(), &rules.pack));
    let veil = veil.transpose()?;
    let paths = &arguments.reading.inputs.paths;
    let plain = |analysis| Found::Plain(Box::new(analysis));
    let found = match &veil {
        Some(_) if format == Format::Html || format.is_traced() => {
            let reason = "it shows records as they are, which --redact is there to prevent; give --format json";
            let what = format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
            return Err(Error::Usage { what: format!("--format {what}"), reason: reason.to_owned() });
        }
        Some(veil) => report::analyze_redacted(paths, options, &rules, &selection, &bar, veil).map(plain),
        None if format == Format::Html => {
            report::analyze_for_html(paths, options, &rules, &selection, &bar).map(|page| Found::Page(Box::new(page)))
        }
        None => report::analyze(paths, options, &rules, &selection, &bar).map(plain),
    };
    bar.finish();
    let found = found?;
    let analysis = found.analysis();
    if format == Format::Parquet && arguments.out.is_none() && io::stdout().is_terminal() {
        let reason = "Parquet is not for terminals; name a file with --out".to_owned();
        return Err(Error::Usage { what: "--format parquet".to_owned(), reason });
    }
    output::data(arguments.out.as_deref(), |out| match &found {
        Found::Page(page) => page.write(out),
        Found::Plain(analysis) => write(arguments, analysis, &rules, format, out),
    })?;
    if format == Format::Table {
        output::unused_mappings(&mappings, &analysis.coverage.files);
    }
    report_coverage(analysis, format);
    if let Some(redaction) =
        analysis.redaction.as_ref().filter(|_| matches!(format, Format::Ndjson | Format::Csv | Format::Parquet))
    {
        output::message(&format!(
            "holdtrace: redacted; of the unredacted report (--format json) the SHA-256 is {}",
            redaction.unredacted_sha256
        ));
    }
    Ok(status(arguments, analysis))
}

/// An analysis, with what a page shows besides where one is wanted.
enum Found {
    Plain(Box<Analysis>),
    Page(Box<HtmlReport>),
}

impl Found {
    fn analysis(&self) -> &Analysis {
        match self {
            Self::Plain(analysis) => analysis,
            Self::Page(page) => &page.analysis,
        }
    }
}

fn format(arguments: &Arguments) -> Format {
    let by_name = || {
        let extension = arguments.out.as_ref()?.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "json" => Format::Json,
            "csv" => Format::Csv,
            "html" | "htm" => Format::Html,
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

fn write(
    arguments: &Arguments,
    analysis: &Analysis,
    rules: &RuleText,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    match format {
        Format::Table => {
            let hints = Hints { paths: &arguments.reading.inputs.paths };
            let text = report::render_table(analysis, arguments.looks.look(arguments.out.is_some()), hints)?;
            output::written(out.write_all(text.as_bytes()))
        }
        // A page is written by itself.
        Format::Ndjson | Format::Html => analysis.failures.write_ndjson(out),
        Format::Json => analysis.write_json(out),
        Format::Csv => report::write_csv(&analysis.failures, out),
        Format::Parquet => report::write_parquet(&analysis.failures, out),
        Format::Markdown => report::write_markdown(analysis, out),
        Format::Sarif => report::write_sarif(analysis, rules, out),
        Format::Ocsf => report::write_ocsf(analysis, out).map(output::timeless),
        Format::TimesketchJsonl => report::write_timesketch(analysis, Timesketch::Jsonl, out).map(output::timeless),
        Format::TimesketchCsv => report::write_timesketch(analysis, Timesketch::Csv, out).map(output::timeless),
    }
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

/// Whether `--fail-on` met its class.
fn met(arguments: &Arguments, analysis: &Analysis) -> Option<Status> {
    let count = |class: &str| analysis.summary.by_class.get(class).copied().unwrap_or(0);
    has_any(&arguments.fail_on, count).then_some(Status::Met)
}

fn status(arguments: &Arguments, analysis: &Analysis) -> Status {
    if let Some(met) = met(arguments, analysis) {
        met
    } else if analysis.coverage.is_partial() {
        Status::Partial
    } else {
        Status::Done
    }
}

/// Whether there is a failure of one of the classes; `count` gives their number by the class's name.
pub fn has_any(classes: &[ClassName], count: impl Fn(&str) -> usize) -> bool {
    classes.iter().any(|class| count(class.class().name()) > 0)
}

/// Reads a time given with an option, microseconds since 1970.
pub fn moment(what: &str, text: Option<&String>) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.clone() };
    let read = AssumedZone::default().read(&whole).and_then(|instant| instant.micros);
    let reason = format!("`{text}` is no time; give RFC 3339 (2026-03-02T00:00:00Z) or a date (2026-03-02)");
    read.map(Some).ok_or(Error::Usage { what: what.to_owned(), reason })
}
