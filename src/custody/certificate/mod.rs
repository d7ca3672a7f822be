//! The draft of a certification of a case under US Federal Rules of Evidence 902(13) and (14), with a table of custody after
//! ISO/IEC 27037, for a person to complete and sign. It says what the case's own files say, and leaves open the rest.
//!
//! Sources: the text of the rules (effective 2017-12-01) and of 28 U.S.C. § 1746; of ISO/IEC 27037:2012, clause 6.1, which
//! is not freely available, what is generally reported of it.

use std::collections::BTreeSet;

use askama::Template;

use super::case::verify::{How, verify};
use super::case::{Case, Entry, FileDigest, Ledger, MANIFEST, Manifest, ManifestInput, REPORT, RULES, State, digest};
use crate::error::{Error, Result};
use crate::report::code_span;

/// Inputs that are listed; the manifest has all of them.
const LISTED: usize = 500;

/// A draft, with what was found when the case was checked for it.
pub struct Draft {
    /// `CommonMark`, with the tables of GitHub's.
    pub text: String,
    /// Whether the case, or its evidence, is not as it was.
    pub differs: bool,
}

#[derive(Template)]
#[template(path = "draft.md", config = "src/custody/certificate/askama.toml", escape = "none")]
struct Page {
    name: String,
    made_by: String,
    lines: u64,
    head: String,
    manifest: String,
    inputs: usize,
    records: u64,
    rejected: u64,
    unhashed: usize,
    acts: String,
    report: Option<FileDigest>,
    tool: String,
    rules: Vec<FileDigest>,
    custody: Vec<Row>,
    differences: Vec<String>,
    checked: String,
    notes: Vec<String>,
    table_a: Vec<File>,
    more_inputs: usize,
}

/// An act in the table of custody.
struct Row {
    number: u64,
    when: String,
    who: String,
    place: String,
    done: String,
    changed: String,
}

/// An input in the table of files.
struct File {
    path: String,
    bytes: u64,
    sha256: String,
    format: String,
    records: u64,
    from: String,
    to: String,
}

/// Drafts the certification of `case`, which is checked as `how` says.
///
/// # Errors
/// The case has no manifest, or cannot be read.
pub fn draft(case: &Case, how: &How) -> Result<Draft> {
    let (ledger, manifest, about): (Ledger, Manifest, _) = (case.ledger()?, case.manifest()?, case.about()?);
    let found = verify(case, how)?;
    let path = case.path(MANIFEST);
    let of_manifest = digest(&path).map_err(|e| Error::io(&path, "hashing the file", e))?;
    let ends: Vec<&Entry> = ends(&ledger).collect();
    let analyses = || ends.iter().filter(|entry| entry.outputs.iter().any(|file| file.path == MANIFEST));
    let last = ends.iter().rev().find_map(|entry| Some((entry, of_path(&entry.outputs, REPORT)?)));
    let files = manifest.inputs.iter().filter(|input| input.container.is_none());
    let page = Page {
        name: about.as_ref().map_or_else(|| "[no name]".to_owned(), |about| cell(&about.name)),
        made_by: about.map_or_else(|| "[unknown]".to_owned(), |about| cell(&about.holdtrace_version)),
        lines: ledger.lines,
        head: ledger.head.map_or_else(|| "[none]".to_owned(), |head| head.to_string()),
        manifest: of_manifest.to_string(),
        inputs: files.clone().count(),
        records: manifest.inputs.iter().map(|input| input.records).sum(),
        rejected: manifest.inputs.iter().map(|input| input.rejected).sum(),
        unhashed: files.clone().filter(|input| input.sha256.is_none()).count(),
        acts: numbers(analyses().map(|entry| entry.act_number())),
        report: last.map(|(_, report)| report.clone()),
        tool: last.map_or_else(|| "[complete]".to_owned(), |(entry, _)| program(entry)),
        rules: last.map_or_else(Vec::new, |(entry, _)| rules(entry)),
        custody: ends.iter().map(|entry| row(entry)).collect(),
        differences: found.differences.iter().map(|d| cell(&format!("{}: {}", d.path, d.detail))).collect(),
        checked: format!(
            "{} files of the case and {} of the evidence",
            found.checked.files_hashed, found.checked.inputs_hashed
        ),
        notes: found.notes.iter().map(|note| cell(note)).collect(),
        table_a: files.clone().take(LISTED).map(file).collect(),
        more_inputs: files.count().saturating_sub(LISTED),
    };
    let text = page.render().map_err(|e| Error::Output(e.to_string()))?;
    Ok(Draft { text, differs: !found.is_fine() })
}

/// The entries that end an act, and the beginnings of those that never ended.
fn ends(ledger: &Ledger) -> impl Iterator<Item = &Entry> {
    let open: BTreeSet<u64> = ledger.unfinished().map(|entry| entry.seq).collect();
    let entries = ledger.entries.iter().map(|(_, entry)| entry);
    entries.filter(move |entry| entry.state != State::Begun || open.contains(&entry.seq))
}

fn of_path<'a>(files: &'a [FileDigest], path: &str) -> Option<&'a FileDigest> {
    files.iter().find(|file| file.path == path)
}

fn rules(entry: &Entry) -> Vec<FileDigest> {
    let is_rules = |file: &&FileDigest| file.path.starts_with(RULES);
    entry.inputs.iter().filter(is_rules).cloned().collect()
}

fn numbers(numbers: impl Iterator<Item = u64>) -> String {
    let numbers: Vec<String> = numbers.collect::<BTreeSet<u64>>().iter().map(u64::to_string).collect();
    if numbers.is_empty() { "[none on record]".to_owned() } else { numbers.join(", ") }
}

fn program(entry: &Entry) -> String {
    let tool = &entry.tool;
    let digest = tool.sha256.as_ref().map_or_else(|| "[unknown]".to_owned(), |sha256| cell(sha256));
    format!("{} {} (SHA-256 of its file {digest})", cell(&tool.name), cell(&tool.version))
}

fn row(entry: &Entry) -> Row {
    let known = |text: &Option<String>| text.as_deref().map_or_else(|| "[unknown]".to_owned(), cell);
    let outcome = match entry.state {
        State::Begun => "begun, and never ended on record".to_owned(),
        State::Done => "done".to_owned(),
        State::Failed => format!("failed: {}", entry.reason.as_deref().map_or_else(String::new, cell)),
    };
    let mut changed = vec![match (entry.outputs.len(), entry.removed.len()) {
        (0, 0) => "nothing on record".to_owned(),
        (written, 0) => format!("{written} files of the case written"),
        (written, removed) => format!("{written} files of the case written, {removed} removed"),
    }];
    changed.extend(entry.found_changed.iter().map(|path| format!("found changed before: {}", cell(path))));
    Row {
        number: entry.act_number(),
        when: cell(&entry.when),
        who: known(&entry.who),
        place: format!("{}, {}", known(&entry.host), known(&entry.folder)),
        done: format!("{}: {} ({outcome}), with {}", cell(&entry.act), cell(&entry.command.join(" ")), program(entry)),
        changed: changed.join("; "),
    }
}

fn file(input: &ManifestInput) -> File {
    let known = |text: &Option<String>| text.as_deref().map_or_else(String::new, cell);
    File {
        path: cell(&input.path),
        bytes: input.bytes,
        sha256: input.sha256.as_deref().map_or_else(|| "[not read to its end]".to_owned(), cell),
        format: cell(&input.format),
        records: input.records,
        from: known(&input.first_time),
        to: known(&input.last_time),
    }
}

/// Text from the case, in a cell of a table.
fn cell(text: &str) -> String {
    code_span(text).replace('|', "\\|")
}
