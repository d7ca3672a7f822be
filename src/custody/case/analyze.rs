//! Analysing evidence into a case, or into one that has grown.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use super::act::Act;
use super::changes::{Before, Changes, EvidenceChanges, Since};
use super::{ABOUT, About, CHANGES, Case, Circumstances, EVENTS, FAILURES, FORMAT, FORMAT_VERSION, FileDigest};
use super::{MANIFEST, Manifest, REPORT, REPORT_LINES, REPORTS, RULES};
use crate::error::{Error, Result};
use crate::evidence::{Digest, discover};
use crate::ingest::Options;
use crate::parts::{self, How, Index, Table, Update, update};
use crate::report::{self, Analysis, Progress, RuleText, Selection};

/// What is to be analysed.
pub struct Request<'a> {
    pub paths: &'a [String],
    pub options: Options<'a>,
    pub rules: &'a RuleText,
    /// The mapping files of the options, byte for byte.
    pub mappings: &'a [Vec<u8>],
    /// The name of the case if it is new; by default that of the folder.
    pub name: Option<&'a str>,
}

/// What was done.
pub struct Outcome {
    pub analysis: Analysis,
    pub changes: Changes,
    pub update: Update,
    /// Acts before this one that were begun and never ended.
    pub unfinished: Vec<u64>,
    /// Files of the case that were not as the acts before had left them.
    pub found_changed: Vec<String>,
}

/// Analyses evidence into the case in `folder`, which is made where there is none. What the case holds already is not read
/// again.
///
/// # Errors
/// As [`update`](parts::update) and [`report::analyze`]; the folder holds something else, another act is going on, or the
/// ledger is not as it was written. The ledger tells of an act that failed.
pub fn analyze(
    folder: &Path,
    request: &Request<'_>,
    circumstances: &Circumstances,
    progress: &dyn Progress,
) -> Result<Outcome> {
    if !Case::is_at(folder) {
        // A path that is wrong makes no case.
        discover(request.paths)?;
    }
    let case = Case::open_or_new(folder)?;
    case.about()?;
    let mut act = case.begin("analyze", circumstances)?;
    match work(&case, &mut act, request, progress) {
        Ok(outcome) => act.done().map(|()| outcome),
        Err(error) => {
            act.failed(&error.to_string())?;
            Err(error)
        }
    }
}

fn work(case: &Case, act: &mut Act<'_>, request: &Request<'_>, progress: &dyn Progress) -> Result<Outcome> {
    remove_left_over(case);
    match (case.about()?, act.known(ABOUT)) {
        (None, _) => put_about(case, act, request.name)?,
        // It was written by an act that never ended.
        (Some(about), None) => put_text(act, &about)?,
        (Some(_), Some(_)) => {}
    }
    let packs = request.rules.layers.iter().map(|layer| ("pack", layer.text.as_bytes()));
    for (kind, bytes) in packs.chain(mappings(request)) {
        put_rules(act, kind, bytes)?;
    }
    let before = Index::read(&case.path(EVENTS)).ok();
    let updated = update(request.paths, &case.path(EVENTS), request.options, How::default(), progress);
    // What was read is an output of the act, also where it then fails.
    let index = note_parts(case, act)?;
    let update = updated.map_err(|e| of_case(e, case))?;
    let index = index.ok_or_else(|| Error::Parts { reason: format!("{EVENTS}/ holds no index") })?;
    let manifest = Manifest::of(&index).text()?;
    let options = Options { mappings: &[], ..request.options };
    let events = case.path(EVENTS).display().to_string();
    let analysis = report::analyze(&[events], options, request.rules, &Selection::default(), &())?;
    let (since, old) = report_before(case, act);
    let mut changes = Changes {
        act: act.seq(),
        since,
        evidence: evidence_changes(before.as_ref(), &index, &update),
        ..Changes::default()
    };
    let manifest = act.put(MANIFEST, |out| write(out, &manifest))?;
    act.rests_on(manifest);
    act.put(CHANGES, |out| changes.write(&analysis.failures, old, out))?;
    act.put(REPORT, |out| analysis.write_json(out))?;
    act.put(REPORT_LINES, |out| analysis.failures.write_ndjson(out))?;
    act.put(FAILURES, |out| report::write_parquet(&analysis.failures, out))?;
    let (unfinished, found_changed) = (act.unfinished().to_vec(), act.found_changed().to_vec());
    Ok(Outcome { analysis, changes, update, unfinished, found_changed })
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|e| Error::Output(e.to_string()))
}

fn mappings<'a>(request: &'a Request<'_>) -> impl Iterator<Item = (&'static str, &'a [u8])> {
    request.mappings.iter().map(|bytes| ("map", &bytes[..]))
}

/// The parts know their folder by `--out`; whoever analyses a case does not.
fn of_case(error: Error, case: &Case) -> Error {
    match error {
        Error::Usage { what, reason } if what.starts_with("--out ") => {
            Error::Usage { what: format!("--case {}", case.folder().display()), reason }
        }
        other => other,
    }
}

fn put_about(case: &Case, act: &mut Act<'_>, name: Option<&str>) -> Result<()> {
    let of_folder = || {
        let folder = case.folder().canonicalize().ok()?;
        Some(folder.file_name()?.to_string_lossy().into_owned())
    };
    let about = About {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        name: name.map(str::to_owned).or_else(of_folder).unwrap_or_default(),
        holdtrace_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    put_text(act, &about)
}

fn put_text(act: &mut Act<'_>, about: &About) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(about).map_err(|e| Error::Output(e.to_string()))?;
    text.push(b'\n');
    act.put(ABOUT, |out| write(out, &text)).map(drop)
}

/// Removes what an act that was stopped had written aside. What cannot be removed does no harm.
fn remove_left_over(case: &Case) {
    for folder in [case.folder().to_owned(), case.path(REPORTS), case.path(RULES)] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(parts::ASIDE)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Keeps a pack or a mapping, under a name made of its SHA-256; one that is there already is left as it is.
fn put_rules(act: &mut Act<'_>, kind: &str, bytes: &[u8]) -> Result<()> {
    let digest = Digest::of(bytes).to_string();
    let path = format!("{RULES}/{kind}-{}.toml", &digest[..16]);
    let file = FileDigest::of(&path, bytes);
    let there = act.known(&path) == Some(&file) && !act.found_changed().contains(&path);
    let file = if there { file } else { act.put(&path, |out| write(out, bytes))? };
    act.rests_on(file);
    Ok(())
}

/// Notes what the folder of parts holds now; the index, if there is one that can be read.
fn note_parts(case: &Case, act: &mut Act<'_>) -> Result<Option<Index>> {
    let mut listed = Vec::new();
    for name in [parts::INDEX, parts::LOCK] {
        let path = case.path(EVENTS).join(name);
        match fs::read(&path) {
            Ok(bytes) => listed.push(FileDigest::of(&format!("{EVENTS}/{name}"), &bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(path, "reading the file", e)),
        }
    }
    let Ok(index) = Index::read(&case.path(EVENTS)) else {
        for file in listed {
            act.holds(file);
        }
        return Ok(None);
    };
    listed.extend(index.parts.iter().map(|part| FileDigest {
        path: format!("{EVENTS}/{}", part.table.file(part.number)),
        bytes: part.bytes,
        sha256: part.sha256.clone(),
    }));
    let below = |table: &Table| format!("{EVENTS}/{}/", table.name());
    let now: BTreeSet<&str> = listed.iter().map(|file| file.path.as_str()).collect();
    let known = Table::ALL.iter().flat_map(|table| act.known_below(&below(table)).cloned().collect::<Vec<_>>());
    let gone: Vec<FileDigest> = known.filter(|file| !now.contains(file.path.as_str())).collect();
    for file in gone {
        act.removed(&file.path);
    }
    for file in listed {
        act.holds(file);
    }
    Ok(Some(index))
}

/// The report before, if there is one that is as the ledger says.
fn report_before(case: &Case, act: &Act<'_>) -> (Option<Since>, Option<Before>) {
    let Some(known) = act.known(REPORT_LINES).cloned() else { return (None, None) };
    let told = act.ledger().files().get(REPORT_LINES).map_or(0, |(_, seq)| *seq);
    let mut since = Since { act: told, sha256: known.sha256, not_compared: None };
    match Before::read(&case.path(REPORT_LINES)) {
        Ok((before, digest)) if digest.to_string() == since.sha256 => return (Some(since), Some(before)),
        Ok(_) => since.not_compared = Some("it is not as that act wrote it".to_owned()),
        Err(error) => since.not_compared = Some(format!("it cannot be read: {error}")),
    }
    (Some(since), None)
}

/// What came, changed, or is no longer where it was.
fn evidence_changes(before: Option<&Index>, now: &Index, update: &Update) -> EvidenceChanges {
    let Some(before) = before else {
        let added = now.files.iter().map(|file| file.entry.path.to_string()).collect();
        return EvidenceChanges { added, ..EvidenceChanges::default() };
    };
    let known: BTreeSet<&str> = before.files.iter().map(|file| file.entry.path.as_str()).collect();
    let read = update.read.iter().map(|entry| entry.path.to_string());
    let on_disk = now.files.iter().filter(|file| file.entry.container.is_none() && file.modified.is_some());
    let is_gone = |path: &str| {
        let found = Path::new(path).symlink_metadata();
        found.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) && !path.contains("://")
    };
    let gone = on_disk.filter(|file| !file.from_parts && is_gone(&file.entry.path));
    EvidenceChanges {
        added: read.filter(|path| !known.contains(path.as_str())).collect(),
        changed: update.replaced.clone(),
        gone: gone.map(|file| file.entry.path.to_string()).collect(),
    }
}
