//! `holdtrace evaluate`: verdicts against a labelled archive.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};

use super::progress::Bar;
use super::{Reading, Status, output};
use crate::classify::Class;
use crate::error::{Error, Result};
use crate::report::{self, FailureReport, Selection};

#[derive(Args)]
pub struct Arguments {
    /// The labels: `{"failures": [{"job_id", "recording_id", "class", "mechanism", "scope"}]}`
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Deserialize)]
struct Truth {
    failures: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    job_id: Option<String>,
    recording_id: Option<String>,
    class: String,
    mechanism: Option<String>,
    scope: Option<String>,
}

/// The comparison, one line of JSON after the matrix.
#[derive(Default, Serialize)]
struct Score {
    failures: usize,
    found: usize,
    invented: usize,
    class_right: usize,
    /// Another class than the truth's, and not `inconclusive`.
    confidently_wrong: usize,
    mechanisms: usize,
    mechanism_right: usize,
    scopes: usize,
    scope_right: usize,
    macro_f1: f64,
}

type Item = (Option<String>, Option<String>);

pub fn run(arguments: &Arguments) -> Result<Status> {
    arguments.reading.inputs.set_threads()?;
    let rules = arguments.reading.rules()?;
    let mappings = arguments.reading.inputs.maps.read()?;
    let options = arguments.reading.inputs.options(&mappings);
    let text = std::fs::read(&arguments.truth).map_err(|e| Error::io(&arguments.truth, "reading the labels", e))?;
    let truth: Truth = serde_json::from_slice(&text)
        .map_err(|e| Error::Usage { what: arguments.truth.display().to_string(), reason: format!("no labels: {e}") })?;
    let bar = Bar::new();
    let all = Selection::default();
    let analysis = report::analyze(&arguments.reading.inputs.paths, options, &rules, &all, &bar);
    bar.finish();
    let analysis = analysis?;
    output::unused_mappings(&mappings, &analysis.coverage.files);
    let mut found: BTreeMap<Item, FailureReport> = BTreeMap::new();
    for failure in &analysis.failures {
        let failure = failure?;
        found.entry((failure.job_id.clone(), failure.recording_id.clone())).or_insert(failure);
    }
    let mut matrix: BTreeMap<(String, String), usize> = BTreeMap::new();
    let score = compare(&truth, &found, &mut matrix);
    output::data(None, |out| {
        output::written(writeln!(out, "{}", render(&matrix)))?;
        serde_json::to_writer(&mut *out, &score).map_err(|e| Error::Output(e.to_string()))?;
        output::written(writeln!(out))
    })?;
    Ok(if analysis.coverage.is_partial() { Status::Partial } else { Status::Done })
}

fn compare(
    truth: &Truth,
    found: &BTreeMap<Item, FailureReport>,
    matrix: &mut BTreeMap<(String, String), usize>,
) -> Score {
    let mut score = Score { failures: truth.failures.len(), invented: found.len(), ..Score::default() };
    for label in &truth.failures {
        let verdict = found.get(&(label.job_id.clone(), label.recording_id.clone()));
        let class = verdict.map_or("missing", |v| v.class.name());
        *matrix.entry((label.class.clone(), class.to_owned())).or_default() += 1;
        score.class_right += usize::from(class == label.class);
        score.confidently_wrong += usize::from(class != label.class && class != "inconclusive" && class != "missing");
        score.found += usize::from(verdict.is_some());
        score.invented -= usize::from(verdict.is_some());
        if let Some(mechanism) = &label.mechanism {
            score.mechanisms += 1;
            score.mechanism_right += usize::from(verdict.is_some_and(|v| v.mechanism.as_ref() == Some(mechanism)));
        }
        if let Some(scope) = &label.scope {
            score.scopes += 1;
            score.scope_right += usize::from(verdict.is_some_and(|v| v.missing_permissions.contains(scope)));
        }
    }
    score.macro_f1 = macro_f1(matrix);
    score
}

#[expect(clippy::cast_precision_loss, reason = "counts of failures")]
fn macro_f1(matrix: &BTreeMap<(String, String), usize>) -> f64 {
    let sum = |test: &dyn Fn(&str, &str) -> bool| -> f64 {
        matrix.iter().filter(|((truth, found), _)| test(truth, found)).map(|(_, n)| *n).sum::<usize>() as f64
    };
    let f1 = |class: Class| {
        let class = class.name();
        let hits = sum(&|truth, found| truth == class && found == class);
        let all = sum(&|truth, _| truth == class) + sum(&|_, found| found == class);
        if all > 0.0 { 2.0 * hits / all } else { 1.0 }
    };
    Class::ALL.into_iter().map(f1).sum::<f64>() / Class::ALL.len() as f64
}

fn render(matrix: &BTreeMap<(String, String), usize>) -> Table {
    let columns: Vec<&str> = Class::ALL.iter().map(|c| c.name()).chain(["missing"]).collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(std::iter::once("truth \\ found").chain(columns.iter().copied()));
    for class in Class::ALL {
        let count =
            |found: &str| matrix.get(&(class.name().to_owned(), found.to_owned())).copied().unwrap_or(0).to_string();
        table.add_row(std::iter::once(class.name().to_owned()).chain(columns.iter().map(|found| count(found))));
    }
    table
}
