//! The page of one archive.

use std::io::Write;

use askama::Template;

use super::super::table::{item, minute, symptoms, why};
use super::super::terminal::name;
use crate::error::{Error, Result};
use crate::report::{Analysis, FailureReport};

/// Failures on the page; the others are in report.json.
const SHOWN: usize = 1000;
/// Files with rejected records, and gaps, on the page.
const SHOWN_NOTES: usize = 100;

#[derive(Template)]
#[template(path = "page.html", config = "src/report/batch/askama.toml")]
struct Page<'a> {
    archive: String,
    analysis: &'a Analysis,
    classes: Vec<(&'a str, usize)>,
    notes: Vec<String>,
    rows: Vec<Row>,
    more: usize,
}

/// A failure on the page.
struct Row {
    began: String,
    job: String,
    item: String,
    step: String,
    symptoms: String,
    recovered: String,
    class: &'static str,
    mechanism: String,
    support: String,
    why: Vec<String>,
}

impl Row {
    fn of(failure: &FailureReport) -> Self {
        Self {
            began: failure.first_failed_at.as_deref().map(minute).unwrap_or_default(),
            job: failure.job_id.as_deref().map(name).unwrap_or_default(),
            item: item(failure).as_deref().map(name).unwrap_or_default(),
            step: name(&failure.step),
            symptoms: symptoms(failure).join(", "),
            recovered: failure.recovered_at.as_deref().map_or_else(|| "no".to_owned(), minute),
            class: failure.class.name(),
            mechanism: failure.mechanism.as_deref().map(name).unwrap_or_default(),
            support: failure.support.map(|s| s.name().replace('_', " ")).unwrap_or_default(),
            why: why(failure).iter().map(|said| name(said)).collect(),
        }
    }
}

/// Writes the page of `archive`.
///
/// # Errors
/// The failures cannot be read again, or the page not be written.
pub fn write(archive: &str, analysis: &Analysis, mut out: &mut dyn Write) -> Result<()> {
    let rows: Vec<Row> =
        analysis.failures.iter().take(SHOWN).map(|failure| Ok(Row::of(&failure?))).collect::<Result<_>>()?;
    let files = analysis.coverage.files.iter().filter(|file| file.is_partial());
    let files = files.map(|file| match file.foremost() {
        Some(r) => format!("Not read: {}, record {} at offset {}: {}", file.path, r.record, r.offset, r.reason),
        None => format!("Empty: {}", file.path),
    });
    let gaps = analysis.coverage.gaps.iter().map(|gap| {
        let word = if gap.possible { "Perhaps missing" } else { "Missing" };
        format!("{word}: {}", gap.detail)
    });
    let notes = files.chain(gaps).take(SHOWN_NOTES).map(|note| name(&note)).collect();
    let page = Page {
        archive: name(archive),
        analysis,
        classes: analysis.summary.by_class.iter().map(|(class, count)| (*class, *count)).collect(),
        notes,
        more: analysis.failures.len().saturating_sub(rows.len()),
        rows,
    };
    page.write_into(&mut out).map_err(|e| Error::Output(e.to_string()))
}
