//! What the templates are filled with.

use std::io::Write;

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::super::{Analysis, FailureReport, Gap};
use super::charts::{Chart, WIDTH};
use super::rules::Applied;
use super::words::{count, grouped, plain_class, title};
use super::{Counts, MOST_CARDS};
use crate::classify::Class;
use crate::error::{Error, Result};
use crate::evidence::FileEntry;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("app.js");

/// Files, gaps and notes that are listed here; the JSON report lists all.
const LISTED: usize = 500;
/// Things to do that are named.
const TO_DO: usize = 6;

/// Names of classes and their titles, for the script.
pub const TITLES: [(&str, &str); Class::ALL.len()] = {
    let mut titles = [("", ""); Class::ALL.len()];
    let mut n = 0;
    while n < titles.len() {
        titles[n] = (Class::ALL[n].name(), title(Class::ALL[n]));
        n += 1;
    }
    titles
};

/// A failure as the table shows it, in the order of its columns; then what is only searched.
#[derive(Clone)]
pub struct Row(Vec<String>);

impl Row {
    /// That of a failure.
    #[must_use]
    pub fn of(failure: &FailureReport) -> Self {
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        let s = &failure.symptoms;
        let counts = [(s.timeouts, "timeout"), (s.forbidden, "403"), (s.conflicts, "409"), (s.other, "other")];
        let symptoms: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} × {name}")).collect();
        let item = failure.recording_id.as_ref().or(failure.object_key.as_ref());
        Self(vec![
            known(&failure.first_failed_at),
            failure.class.name().to_owned(),
            known(&failure.mechanism),
            failure.support.map_or_else(String::new, |support| support.name().replace('_', " ")),
            known(&failure.job_id),
            item.cloned().unwrap_or_default(),
            known(&failure.principal),
            known(&failure.bucket),
            known(&failure.media_type),
            failure.step.clone(),
            symptoms.join(", "),
            known(&failure.recovered_at),
            // Only for the search.
            failure.failure_id.clone(),
            known(&failure.conversation_id),
            known(&failure.object_key),
            known(&failure.region),
        ])
    }

    fn cell(&self, n: usize) -> &str {
        &self.0[n]
    }

    fn from(&self, n: usize) -> &[String] {
        &self.0[n..]
    }

    fn class(&self) -> &str {
        self.cell(1)
    }

    fn title(&self) -> &str {
        TITLES.iter().find(|(name, _)| *name == self.class()).map_or("", |(_, title)| title)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A class with its share of the failures.
struct Tile {
    class: &'static str,
    title: &'static str,
    plain: &'static str,
    count: String,
}

/// What to do about the failures of one mechanism.
struct ToDo {
    what: String,
    who: String,
}

#[derive(Template)]
#[template(path = "head.html", config = "src/report/html/askama.toml")]
struct Head<'a> {
    analysis: &'a Analysis,
    policy: String,
    style: &'a str,
    sentences: Vec<String>,
    tiles: Vec<Tile>,
    to_do: Vec<ToDo>,
    completeness: Vec<String>,
    charts: &'a [Chart],
    width: f64,
    first: &'a [Row],
    /// How many failures have a card.
    shown: usize,
    files: Vec<&'a FileEntry>,
    more_files: usize,
    gaps: &'a [Gap],
    more_gaps: usize,
    notes: Vec<&'a str>,
    more_notes: usize,
    rules: &'a [Applied<'a>],
}

#[derive(Template)]
#[template(path = "tail.html", config = "src/report/html/askama.toml")]
struct Tail<'a> {
    script: &'a str,
}

/// The page around the data.
pub struct Page<'a> {
    analysis: &'a Analysis,
    to_do: Vec<ToDo>,
    charts: Vec<Chart>,
    first: Vec<Row>,
    rules: Vec<Applied<'a>>,
}

fn digest(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

impl<'a> Page<'a> {
    /// The page of an analysis.
    pub fn new(
        analysis: &'a Analysis,
        counts: &Counts,
        charts: Vec<Chart>,
        first: Vec<Row>,
        rules: Vec<Applied<'a>>,
    ) -> Self {
        Self { analysis, to_do: to_do(counts), charts, first, rules }
    }

    /// Writes what comes before the data.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write_head(&self, out: &mut dyn Write) -> Result<()> {
        let coverage = &self.analysis.coverage;
        // What could not be read comes first.
        let mut files: Vec<&FileEntry> = coverage.files.iter().collect();
        files.sort_by_key(|file| !file.is_partial());
        let more_files = files.len().saturating_sub(LISTED);
        files.truncate(LISTED);
        let notes = || coverage.unreadable.iter().chain(&coverage.skipped).map(String::as_str);
        let head = Head {
            analysis: self.analysis,
            policy: format!(
                "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
                digest(STYLE),
                digest(SCRIPT)
            ),
            style: STYLE,
            sentences: sentences(self.analysis),
            tiles: tiles(self.analysis),
            to_do: self.to_do.iter().map(|to_do| ToDo { what: to_do.what.clone(), who: to_do.who.clone() }).collect(),
            completeness: completeness(self.analysis),
            charts: &self.charts,
            width: WIDTH,
            first: &self.first,
            shown: self.analysis.failures.len().min(MOST_CARDS),
            files,
            more_files,
            gaps: &coverage.gaps[..coverage.gaps.len().min(LISTED)],
            more_gaps: coverage.gaps.len().saturating_sub(LISTED),
            notes: notes().take(LISTED).collect(),
            more_notes: notes().count().saturating_sub(LISTED),
            rules: &self.rules,
        };
        write(&head, out)
    }

    /// Writes what comes after the data.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write_tail(out: &mut dyn Write) -> Result<()> {
        write(&Tail { script: SCRIPT }, out)
    }
}

fn write(template: &impl Template, out: &mut dyn Write) -> Result<()> {
    askama::Template::write_into(template, out).map_err(|e| Error::Output(e.to_string()))
}

fn sentences(analysis: &Analysis) -> Vec<String> {
    let s = &analysis.summary;
    let failures = s.failures as u64;
    let jobs = count(s.jobs as u64, "export job", "export jobs");
    let span = match (&s.first_time, &s.last_time) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    if failures == 0 {
        return vec![format!("The evidence tells of {jobs}{span}. No failed export was found in it.")];
    }
    let recovered = s.recovered as u64;
    let open = failures - recovered;
    let mut said = vec![
        format!("The evidence tells of {jobs}{span}."),
        format!(
            "{} failed; {} got through later, {} did not in this evidence.",
            count(failures, "export", "exports"),
            grouped(recovered),
            grouped(open)
        ),
    ];
    let mut classes: Vec<(Class, u64)> =
        Class::ALL.into_iter().map(|class| (class, s.by_class.get(class.name()).map_or(0, |n| *n as u64))).collect();
    classes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    if let Some((class, most)) = classes.first().filter(|(class, _)| *class != Class::Inconclusive) {
        said.push(format!("Most often ({} of {}) {}.", grouped(*most), grouped(failures), plain_class(*class)));
    }
    let open = s.by_class.get(Class::Inconclusive.name()).map_or(0, |n| *n as u64);
    if open > 0 {
        said.push(format!(
            "Of {} the evidence does not decide the cause; {} what to collect.",
            count(open, "failure", "failures"),
            if open == 1 { "its card says" } else { "their cards say" }
        ));
    }
    said
}

fn tiles(analysis: &Analysis) -> Vec<Tile> {
    let tile = |class: Class| Tile {
        class: class.name(),
        title: title(class),
        plain: plain_class(class),
        count: grouped(analysis.summary.by_class.get(class.name()).map_or(0, |n| *n as u64)),
    };
    Class::ALL.into_iter().map(tile).collect()
}

/// The mechanisms of which most is still open come first.
fn to_do(counts: &Counts) -> Vec<ToDo> {
    let mut all: Vec<_> = counts.by_cause.iter().filter(|(_, told)| told.advice.is_some()).collect();
    all.sort_by_key(|(cause, told)| (std::cmp::Reverse((told.open, told.count)), (*cause).clone()));
    let said = all.into_iter().take(TO_DO).map(|((class, mechanism), told)| {
        let name = mechanism.as_deref().map_or_else(|| title(*class).to_owned(), |name| name.replace('_', " "));
        let example = told.job.as_ref().map_or_else(String::new, |job| format!("; as of job {job}"));
        let (all, open) = (count(told.count as u64, "failure", "failures"), grouped(told.open as u64));
        ToDo {
            what: told.advice.clone().unwrap_or_default(),
            who: format!("{name}: {all}, {open} still open{example}"),
        }
    });
    said.collect()
}

fn completeness(analysis: &Analysis) -> Vec<String> {
    let (s, coverage) = (&analysis.summary, &analysis.coverage);
    let mut said = vec![format!(
        "{} of {} in {} were read.",
        grouped(s.parsed),
        count(s.records, "record", "records"),
        count(s.files as u64, "file", "files")
    )];
    let partial = coverage.files.iter().filter(|file| file.is_partial()).count() as u64;
    if partial == 0 && coverage.unreadable.is_empty() {
        said.push("Every file was read to its end.".to_owned());
    } else {
        said.push(format!(
            "{} could not be read in full ({} rejected): what they hold may change these results.",
            count(partial + coverage.unreadable.len() as u64, "input", "inputs"),
            count(s.rejected, "record was", "records were")
        ));
    }
    said.push(match coverage.gaps.len() as u64 {
        0 => "No gap in the evidence was noticed.".to_owned(),
        gaps => format!("{} noticed: records that should be there and are not.", count(gaps, "gap was", "gaps were")),
    });
    if s.duplicates > 0 {
        said.push(format!("{} counted once.", count(s.duplicates, "repeated record is", "repeated records are")));
    }
    said
}
