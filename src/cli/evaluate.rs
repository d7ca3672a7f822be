//! `holdtrace evaluate`: verdicts against labelled archives.

use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Table, presets};

use super::progress::Bar;
use super::{Reading, Status, output};
use crate::classify::Class;
use crate::error::{Error, Result};
use crate::evidence::is_partial;
use crate::report::{Calibration, Evidence, Truth};

#[derive(Args)]
pub struct Arguments {
    /// The labels of the archive at PATH...: `{"failures": [{"job_id", "recording_id", "class", "mechanism", "scope"}]}`;
    /// without it, every PATH is a folder that holds truth.json and archive/, or a folder of such folders
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// A labelled archive.
struct Labelled {
    truth: PathBuf,
    paths: Vec<String>,
}

const LABELS: &str = "truth.json";

pub fn run(arguments: &Arguments) -> Result<Status> {
    let inputs = &arguments.reading.inputs;
    inputs.set_threads()?;
    let rules = arguments.reading.rules()?;
    let labelled = match &arguments.truth {
        Some(truth) => vec![Labelled { truth: truth.clone(), paths: inputs.paths.clone() }],
        None => inputs.paths.iter().map(|path| find(path)).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect(),
    };
    let mappings = inputs.maps.read()?;
    let mut calibration = Calibration::new(&rules.pack);
    let mut partial = false;
    for Labelled { truth, paths } in &labelled {
        let text = std::fs::read(truth).map_err(|e| Error::io(truth, "reading the labels", e))?;
        let labels: Truth = serde_json::from_slice(&text)
            .map_err(|e| Error::Usage { what: truth.display().to_string(), reason: format!("no labels: {e}") })?;
        let bar = Bar::new();
        let evidence = Evidence::read(paths, inputs.options(&mappings), &rules, &bar);
        bar.finish();
        let evidence = evidence?;
        output::unused_mappings(&mappings, &evidence.ingested.files);
        calibration.add(&evidence, &rules, &labels)?;
        partial |= is_partial(&evidence.ingested.files) || !evidence.discovery.unreadable.is_empty();
    }
    output::data(None, |out| {
        output::written(writeln!(out, "{}\n", matrix(&calibration)))?;
        output::written(writeln!(out, "{}\n", by_support(&calibration)))?;
        output::written(writeln!(out, "{}\n", by_margin(&calibration)))?;
        serde_json::to_writer(&mut *out, &calibration).map_err(|e| Error::Output(e.to_string()))?;
        output::written(writeln!(out))
    })?;
    Ok(if partial { Status::Partial } else { Status::Done })
}

/// The labelled archives at `path`, in the order of their names.
fn find(path: &str) -> Result<Vec<Labelled>> {
    let folder = Path::new(path);
    let of = |folder: &Path| Labelled {
        truth: folder.join(LABELS),
        paths: vec![folder.join("archive").display().to_string()],
    };
    if folder.join(LABELS).is_file() {
        return Ok(vec![of(folder)]);
    }
    let listed = folder.read_dir().map_err(|e| Error::io(folder, "listing the folder", e))?;
    let mut folders: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join(LABELS).is_file());
    folders.sort();
    if folders.is_empty() {
        let reason = "it holds no `truth.json`, and no folder that does; name the labels with --truth".to_owned();
        return Err(Error::Usage { what: path.to_owned(), reason });
    }
    Ok(folders.iter().map(|folder| of(folder)).collect())
}

fn markdown(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table
}

fn matrix(calibration: &Calibration) -> Table {
    let found: Vec<&str> = Class::ALL.iter().map(|c| c.name()).chain(["missing"]).collect();
    let mut table = markdown(&[&["truth \\ found"], &found[..]].concat());
    for class in Class::ALL {
        let count = |found: &&str| {
            let pair = (class.name().to_owned(), (*found).to_owned());
            calibration.matrix.get(&pair).copied().unwrap_or(0).to_string()
        };
        table.add_row(std::iter::once(class.name().to_owned()).chain(found.iter().map(count)));
    }
    table
}

fn by_support(calibration: &Calibration) -> Table {
    let mut table = markdown(&["support", "verdicts", "right", "share right"]);
    for by in &calibration.by_support {
        let share = percent(by.right, by.verdicts);
        table.add_row([by.support.name().to_owned(), by.verdicts.to_string(), by.right.to_string(), share]);
    }
    table
}

fn by_margin(calibration: &Calibration) -> Table {
    let mut table = markdown(&["margin", "decided", "right", "coverage", "accuracy"]);
    for by in &calibration.by_margin {
        table.add_row([
            by.margin.to_string(),
            by.decided.to_string(),
            by.right.to_string(),
            percent(by.decided, calibration.failures),
            percent(by.right, by.decided),
        ]);
    }
    table
}

/// A share in percent; nothing of nothing is none.
fn percent(part: usize, of: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts of failures")]
    let share = || 100.0 * part as f64 / of as f64;
    if of == 0 { "-".to_owned() } else { format!("{:.1} %", share()) }
}
