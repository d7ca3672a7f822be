//! `holdtrace report`: many archives, a page each and an index over all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::analyze::{ClassName, has_any};
use super::progress::Bar;
use super::{Reading, Status, output};
use crate::classify::digest_of_layers;
use crate::error::{Error, Result};
use crate::ingest::Options;
use crate::parts::lock;
use crate::report::batch::{
    Counts, Entry, Index, Inputs, Made, Manner, Past, State, Stored, archive_name, folder_name, inputs_of,
};
use crate::report::{self, HtmlReport, RuleText, Selection};

/// What the folder holds besides one folder for each archive.
const INDEX: &str = "index.html";
const PAST: &str = "last-run.json";
const LOCK: &str = "holdtrace-report.lock";
/// What the folder of an archive holds; the last is written last.
const PAGE: &str = "index.html";
const REPORT: &str = "report.json";
const STORED: &str = "archive.json";
/// While a run goes on, the index is brought up to date this often at most.
const UP_TO_DATE: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The folder of reports: a new one, or one that is to be brought up to date
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Compare with the end of the last run into the same folder
    #[arg(long)]
    since_last: bool,
    /// Hash known files again instead of trusting their size and time of modification
    #[arg(long)]
    recheck: bool,
    /// End with status 3 if an archive holds a failure of this class (repeatable)
    #[arg(long, value_name = "CLASS", value_enum)]
    fail_on: Vec<ClassName>,
}

/// What all archives are read by.
struct Run<'a> {
    arguments: &'a Arguments,
    options: Options<'a>,
    rules: &'a RuleText,
    manner: Manner,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let inputs = &arguments.reading.inputs;
    inputs.set_threads()?;
    output::keep_out_of_evidence(&arguments.out, &inputs.paths)?;
    if inputs.paths.iter().any(|path| path == "-") {
        let reason = "a stream cannot be recognised when it comes again; save it to a file".to_owned();
        return Err(Error::Usage { what: "-".to_owned(), reason });
    }
    let rules = arguments.reading.rules()?;
    let mappings = inputs.maps.read()?;
    let options = inputs.options(&mappings);
    let _lock = open(&arguments.out)?;
    let run = Run { arguments, options, rules: &rules, manner: Manner::of(options, &rules) };
    let mut index = run.index()?;
    run.all(&mut index)?;
    finish(arguments, &index)
}

/// Makes the folder where it is not there, and locks it.
fn open(out: &Path) -> Result<fs::File> {
    let io = |e| Error::io(out, "opening the folder of reports", e);
    let refused = |reason: &str| Error::Usage { what: format!("--out {}", out.display()), reason: reason.to_owned() };
    if out.exists() && !out.is_dir() {
        return Err(refused("it is a file; name a folder"));
    }
    fs::create_dir_all(out).map_err(io)?;
    if !out.join(LOCK).exists() && fs::read_dir(out).map_err(io)?.next().is_some() {
        return Err(refused("the folder holds other files; name a new or an empty one"));
    }
    lock(out, LOCK, "another report is being written into it; try again later")
}

impl Run<'_> {
    /// The archives of this run, and those of earlier ones.
    fn index(&self) -> Result<Index> {
        let out = &self.arguments.out;
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for stored in earlier(out)? {
            let folder = folder_name(&stored.archive);
            entries
                .insert(stored.archive.clone(), entry(stored.archive.clone(), folder, Some(&stored), State::Earlier));
        }
        for path in &self.arguments.reading.inputs.paths {
            let archive = archive_name(path);
            let folder = folder_name(&archive);
            entries.entry(archive.clone()).or_insert_with(|| entry(archive, folder, None, State::Waiting)).state =
                State::Waiting;
        }
        let rules = &self.rules.pack;
        let mut index = Index {
            entries: entries.into_values().collect(),
            past: fs::read(out.join(PAST)).ok().and_then(|text| Past::parse(&text)),
            compares: self.arguments.since_last,
            done: false,
            made: Made {
                tool: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
                rules: format!("{} {}", rules.name, rules.version),
                rules_sha256: digest_of_layers(&self.rules.layers),
            },
        };
        sort(&mut index);
        Ok(index)
    }

    /// Brings all archives of this run up to date, one after the other, and the index with them.
    fn all(&self, index: &mut Index) -> Result<()> {
        let out = &self.arguments.out;
        let waiting: Vec<String> = index
            .entries
            .iter()
            .filter(|entry| matches!(entry.state, State::Waiting))
            .map(|entry| entry.archive.clone())
            .collect();
        write_index(out, index)?;
        let mut written = Instant::now();
        for (n, archive) in waiting.iter().enumerate() {
            let bar = Bar::of(&format!("{} of {}, {archive}: ", n + 1, waiting.len()));
            let done = self.one(archive, &bar);
            bar.finish();
            let folder = folder_name(archive);
            let new = match done {
                Ok((stored, state)) => entry(archive.clone(), folder, Some(&stored), state),
                // A full disk, or a folder that cannot be written, stops the run.
                Err(error @ (Error::Output(_) | Error::Io { .. })) if !out.join(&folder).is_dir() => return Err(error),
                Err(error @ Error::Output(_)) => return Err(error),
                Err(error) => {
                    output::message(&format!("holdtrace: {archive}: not read: {error}"));
                    let was = stored(&out.join(&folder), archive);
                    entry(archive.clone(), folder, was.as_ref(), State::Failed(error.to_string()))
                }
            };
            if let Some(entry) = index.entries.iter_mut().find(|entry| entry.archive == *archive) {
                *entry = new;
            }
            sort(index);
            if written.elapsed() >= UP_TO_DATE {
                write_index(out, index)?;
                written = Instant::now();
            }
        }
        index.done = true;
        write_index(out, index)
    }

    /// Reads an archive and writes its report, unless the report that is there is of the same.
    fn one(&self, archive: &str, bar: &Bar) -> Result<(Stored, State)> {
        let folder = self.arguments.out.join(folder_name(archive));
        let inputs = inputs_of(archive)?;
        let is_same = |was: &Stored| {
            was.manner == self.manner
                && [PAGE, REPORT].iter().all(|file| folder.join(file).is_file())
                && inputs.are(&was.inputs, &was.notes, self.arguments.recheck)
        };
        if let Some(was) = stored(&folder, archive).filter(is_same) {
            return Ok((was, State::Unchanged));
        }
        let paths = [archive.to_owned()];
        let page = report::analyze_for_html(&paths, self.options, self.rules, &Selection::default(), bar)?;
        let stored = self.write(archive, &folder, inputs, &page)?;
        Ok((stored, State::Read))
    }

    fn write(&self, archive: &str, folder: &Path, inputs: Inputs, page: &HtmlReport) -> Result<Stored> {
        let analysis = &page.analysis;
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, "making the folder of the report", e))?;
        // From here on until the end the report is none, whatever happens.
        match fs::remove_file(folder.join(STORED)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(folder, "replacing the report", e));
            }
            _ => {}
        }
        output::data(Some(&folder.join(REPORT)), |out| analysis.write_json(out))?;
        output::data(Some(&folder.join(PAGE)), |out| page.write(out))?;
        let stored = Stored::new(archive, self.manner.clone(), inputs.hashed(&analysis.coverage.files), analysis);
        output::data(Some(&folder.join(STORED)), |out| output::json(&stored, out))?;
        Ok(stored)
    }
}

fn entry(archive: String, folder: String, stored: Option<&Stored>, state: State) -> Entry {
    let (partial, counts) = (stored.is_some_and(|s| s.partial), stored.map(|s| s.counts.clone()));
    Entry { archive, folder, state, partial, counts }
}

/// In the order of the time that they cover.
fn sort(index: &mut Index) {
    let first = |entry: &Entry| entry.counts.as_ref().and_then(|counts| counts.first_time.clone());
    index.entries.sort_by_cached_key(|entry| (first(entry).is_none(), first(entry), entry.archive.clone()));
}

/// What is kept of the report of `archive`.
fn stored(folder: &Path, archive: &str) -> Option<Stored> {
    let text = fs::read(folder.join(STORED)).ok()?;
    Stored::parse(&text).filter(|stored| stored.archive == archive)
}

/// The reports that are there.
fn earlier(out: &Path) -> Result<Vec<Stored>> {
    let io = |e| Error::io(out, "listing the folder of reports", e);
    let mut found = Vec::new();
    for folder in fs::read_dir(out).map_err(io)? {
        let folder = folder.map_err(io)?.path();
        let text = fs::read(folder.join(STORED)).ok();
        let is_here = |s: &Stored| folder.file_name().is_some_and(|name| *name == *folder_name(&s.archive));
        found.extend(text.and_then(|text| Stored::parse(&text)).filter(is_here));
    }
    Ok(found)
}

fn write_index(out: &Path, index: &Index) -> Result<()> {
    let page = index.page()?;
    output::data(Some(&out.join(INDEX)), |out| output::written(out.write_all(page.as_bytes())))
}

/// Keeps the figures for the next run, and says in one line how it went.
fn finish(arguments: &Arguments, index: &Index) -> Result<Status> {
    let out = &arguments.out;
    let counted = index.entries.iter().filter_map(|entry| Some((entry.archive.clone(), entry.counts.clone()?)));
    let past = Past::new(counted.collect::<BTreeMap<String, Counts>>());
    output::data(Some(&out.join(PAST)), |out| output::json(&past, out))?;
    let count = |is: fn(&State) -> bool| index.entries.iter().filter(|entry| is(&entry.state)).count();
    let failed = count(|state| matches!(state, State::Failed(_)));
    let sum = index.sum();
    let classes = sum.by_class.iter().filter(|(_, count)| **count > 0).map(|(class, count)| format!("{count} {class}"));
    let classes: Vec<String> = classes.collect();
    let classes = if classes.is_empty() { String::new() } else { format!(" ({})", classes.join(", ")) };
    let change = index.change().map(|change| format!("; {change}")).unwrap_or_default();
    let line = format!(
        "holdtrace: {} archives: {} read, {} unchanged, {failed} not readable, {} of earlier runs; {} failures{classes}{change}; \
         {}",
        index.entries.len(),
        count(|state| matches!(state, State::Read)),
        count(|state| matches!(state, State::Unchanged)),
        count(|state| matches!(state, State::Earlier)),
        sum.failures,
        out.join(INDEX).display()
    );
    output::data(None, |out| output::written(writeln!(out, "{}", report::plain(&line))))?;
    let of_run = index.entries.iter().filter(|entry| !matches!(entry.state, State::Earlier));
    let partial = of_run.clone().any(|entry| entry.partial || matches!(entry.state, State::Failed(_)));
    let by_class = |class: &str| of_run.clone().filter_map(|e| e.counts.as_ref()?.by_class.get(class)).sum::<usize>();
    Ok(if has_any(&arguments.fail_on, by_class) {
        Status::Met
    } else if of_run.clone().all(|entry| matches!(entry.state, State::Failed(_))) {
        Status::Unusable
    } else if partial {
        Status::Partial
    } else {
        Status::Done
    })
}
