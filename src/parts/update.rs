//! Bringing a folder of parts up to date: what is known is taken over, what is new or changed is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use foldhash::quality::RandomState;

use super::facts::{changes_frame, documents_frame};
use super::folder::{Folder, Table};
use super::index::{Index, Listed, MAX_ROWS, Part, Walk};
use super::input::{check, content};
use super::merge::merged;
use super::write::{Writer, put};
use super::{ASIDE, INDEX, LOCK, is_part};
use crate::error::{Error, Result};
use crate::evidence::{Bounds, Discovery, FileEntry, Input, Place, Progress, discover, nothing_readable};
use crate::ingest::{Change, Document, EventColumns, Options, Prints, ingest, mapping_of, unused};

/// How a folder of parts is written.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Hash known files again instead of trusting their size and time of modification.
    pub recheck: bool,
    /// Rows a Parquet file holds at most.
    pub rows: usize,
}

impl Default for How {
    fn default() -> Self {
        Self { recheck: false, rows: 16 * 1024 }
    }
}

/// What an update did.
#[derive(Debug)]
pub struct Update {
    /// Files that were known and not read again.
    pub taken_over: usize,
    /// The entries of the files that were read.
    pub read: Vec<FileEntry>,
    /// Files whose content was another than the one that is listed, which it replaces.
    pub replaced: Vec<String>,
    /// One sentence per file that was read before, cannot be read now, and stays as it was.
    pub kept: Vec<String>,
    /// The entries of all files in the folder.
    pub files: Vec<FileEntry>,
    pub skipped: Vec<String>,
    pub unreadable: Vec<String>,
}

/// Reads what `paths` name and what `out` does not hold yet into `out`, a folder of parts, new or not. Files that are in it
/// and not below `paths` stay.
///
/// # Errors
/// A path is wrong, nothing can be read, `out` holds something else, was read with other options, or cannot be written.
pub fn update(paths: &[String], out: &Path, options: Options<'_>, how: How, progress: &dyn Progress) -> Result<Update> {
    let options = Options { hash_content: true, ..options };
    let mut discovery = discover(paths)?;
    check(&discovery.inputs, options)?;
    if let Some(input) = discovery.inputs.iter().find(|input| matches!(input.place, Place::Stream(_))) {
        let reason = "a stream cannot be recognised when it comes again; save it to a file".to_owned();
        return Err(Error::Usage { what: input.label.to_string(), reason });
    }
    let _lock = open(out)?;
    let old = existing(out, options)?;
    let old = Folder::of(out, old);
    let all = std::mem::take(&mut discovery.inputs);
    let (new, known) = plan(&all, &old, options, how.recheck)?;
    let old = old.index;
    // An archive that is known is not unpacked again; what was passed over in it still was.
    discovery.skipped.extend(known.iter().flat_map(|input| passed_over(&old, &input.label)));
    discovery.inputs = new;
    discovery.unpack(options.bounds)?;
    let new = &discovery.inputs;
    progress.total(new.iter().map(|input| input.bytes).sum());
    let (read, parts) = read(new, out, &old, options, how, progress)?;
    let mut update = Update {
        taken_over: known.len(),
        read: read.iter().map(|listed| listed.entry.clone()).collect(),
        replaced: Vec::new(),
        kept: Vec::new(),
        files: Vec::new(),
        skipped: discovery.skipped.clone(),
        unreadable: discovery.unreadable.clone(),
    };
    let index = merged(old, read, parts, walk(paths, &discovery), &mut update);
    update.files = index.files.iter().map(|listed| listed.entry.clone()).collect();
    update.skipped.extend(unused(options.mappings, &update.files));
    let text = index.text().map_err(|e| Error::Output(e.to_string()))?;
    put(&out.join(INDEX), &text)?;
    remove_unreferenced(out, &index);
    // What cannot be read belongs to the case as well: it is listed before it is an error.
    if update.files.iter().all(|file| file.parsed == 0) {
        return Err(nothing_readable(&discovery, &update.files));
    }
    Ok(update)
}

/// What was passed over in the archive `label` when it was read.
fn passed_over(old: &Index, label: &str) -> Vec<String> {
    let notes = old.walks.iter().flat_map(|walk| &walk.skipped);
    let within = |note: &&String| note.strip_prefix(label).is_some_and(|rest| rest.starts_with([':', '!']));
    notes.filter(within).cloned().collect()
}

fn walk(paths: &[String], discovery: &Discovery) -> Walk {
    Walk { paths: paths.to_vec(), skipped: discovery.skipped.clone(), unreadable: discovery.unreadable.clone() }
}

fn refused(out: &Path, reason: impl Into<String>) -> Error {
    Error::Usage { what: format!("--out {}", out.display()), reason: reason.into() }
}

/// Makes the folder where it is not there, and locks it.
fn open(out: &Path) -> Result<File> {
    let io = |e| Error::io(out, "opening the folder of parts", e);
    if out.exists() && !out.is_dir() {
        return Err(refused(out, "it is a file; name a folder"));
    }
    fs::create_dir_all(out).map_err(io)?;
    if !out.join(INDEX).exists() {
        for entry in fs::read_dir(out).map_err(io)?.flatten() {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or("");
            let ours = name == LOCK || name.starts_with(ASIDE) || Table::ALL.iter().any(|table| table.name() == name);
            if !ours {
                return Err(refused(out, "the folder holds other files; name a new or an empty one"));
            }
        }
    }
    lock(out, LOCK, "another ingest is writing into it; try again later")
}

/// Locks a folder by the file `name` in it.
///
/// # Errors
/// It is locked already, which `busy` says, or the file cannot be made.
pub fn lock(out: &Path, name: &str, busy: &str) -> Result<File> {
    let io = |e| Error::io(out, "locking the folder", e);
    let path = out.join(name);
    if path.is_symlink() {
        return Err(refused(out, format!("{name} in it is a link, which is not followed")));
    }
    let lock = File::options().create(true).truncate(false).write(true).open(path).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(refused(out, busy)),
        Err(fs::TryLockError::Error(e)) => Err(io(e)),
    }
}

/// The index that is there, which must have been made in the same way.
fn existing(out: &Path, options: Options<'_>) -> Result<Index> {
    let new = Index::new(options.zone.to_string(), options.limits.max_record as u64, options.bounds);
    if !out.join(INDEX).exists() {
        return Ok(new);
    }
    let old = Index::read(out).map_err(|reason| Error::Parts { reason: format!("{}: {reason}", out.display()) })?;
    let differs = |what: &str, was: &str, is: &str| {
        Err(refused(out, format!("it was made with {what} {was}, and this is {is}; name a new folder")))
    };
    if old.holdtrace_version != new.holdtrace_version {
        return differs("holdtrace", &old.holdtrace_version, &new.holdtrace_version);
    }
    if old.assume_tz != new.assume_tz {
        return differs("--assume-tz", &old.assume_tz, &new.assume_tz);
    }
    if old.max_record_bytes != new.max_record_bytes {
        let (was, is) = (old.max_record_bytes.to_string(), new.max_record_bytes.to_string());
        return differs("--max-record-bytes", &was, &is);
    }
    for (what, of) in BOUNDS {
        if of(&old.bounds) != of(&new.bounds) {
            return differs(what, &of(&old.bounds).to_string(), &of(&new.bounds).to_string());
        }
    }
    Ok(old)
}

/// The bounds that what was read of an archive depends on.
const BOUNDS: [(&str, fn(&Bounds) -> u64); 4] = [
    ("--max-expansion", |bounds| bounds.expansion),
    ("--max-unpacked-bytes", |bounds| bounds.unpacked),
    ("--max-members", |bounds| bounds.members),
    ("--max-depth", |bounds| u64::from(bounds.depth)),
];

/// The inputs to be read, and those that are known. An archive is known if all that was in it is; by which mapping its
/// members would be read is not known before they are unpacked.
fn plan<'a>(
    inputs: &'a [Input],
    old: &Folder,
    options: Options<'_>,
    recheck: bool,
) -> Result<(Vec<Input>, Vec<&'a Input>)> {
    let broken = broken(old, recheck);
    let has_its_parts = |listed: &Listed| {
        Table::ALL.iter().all(|t| listed.runs(*t).iter().all(|run| !broken.contains(&(*t, run.part))))
    };
    let torn = containers_of(&old.index, &|listed| !has_its_parts(listed));
    let mapped = containers_of(&old.index, &|listed| listed.entry.mapping.is_some());
    let is_whole = |listed: &Listed| has_its_parts(listed) && !torn.contains(listed.entry.path.as_str());
    let mut by_label: BTreeMap<&str, Vec<&Listed>> = BTreeMap::new();
    for listed in old.index.files.iter().filter(|listed| is_whole(listed)) {
        by_label.entry(&listed.entry.path).or_default().push(listed);
    }
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for input in inputs {
        let same = by_label.get(input.label.as_str()).map_or(&[][..], Vec::as_slice);
        let archive = same.iter().any(|listed| listed.entry.members.is_some());
        let remapped = archive && (!options.mappings.is_empty() || mapped.contains(input.label.as_str()));
        if !remapped && is_known(input, same, options, recheck)? {
            known.push(input);
        } else {
            new.push(input.clone());
        }
    }
    Ok((new, known))
}

/// The names of all containers, at all levels, of the files that are `wanted`.
fn containers_of<'a>(index: &'a Index, wanted: &dyn Fn(&Listed) -> bool) -> BTreeSet<&'a str> {
    let entries = index.files.iter().map(|listed| &listed.entry);
    let of: BTreeMap<&str, &str> = entries.filter_map(|e| Some((e.path.as_str(), e.container.as_deref()?))).collect();
    let mut found = BTreeSet::new();
    for listed in index.files.iter().filter(|listed| wanted(listed)) {
        let mut next = listed.entry.container.as_deref();
        while let Some(container) = next.filter(|container| found.insert(*container)) {
            next = of.get(container).copied();
        }
    }
    found
}

/// Parts that are not as the index lists them: the size tells, and with `recheck` the hash.
fn broken(old: &Folder, recheck: bool) -> BTreeSet<(Table, u32)> {
    let parts = old.index.parts.iter();
    let is_broken = |part: &&Part| {
        let file = old.path.join(part.table.file(part.number));
        let size = file.symlink_metadata().map(|m| m.len());
        size.map_or(true, |size| size != part.bytes) || (recheck && old.verify(part.table, part.number).is_err())
    };
    parts.filter(is_broken).map(|part| (part.table, part.number)).collect()
}

/// Whether one of the files that are listed under the name of `input` is it, read as it would be now.
fn is_known(input: &Input, same: &[&Listed], options: Options<'_>, recheck: bool) -> Result<bool> {
    let hex = |listed: &Listed| listed.entry.sha256.map(|digest| digest.to_string());
    let mut whole = same.iter().filter(|listed| listed.entry.sha256.is_some());
    if let Some(part) = input.place.part() {
        let mapping = &part.listed().entry.mapping;
        let content = content(input)?;
        return Ok(whole.any(|listed| hex(listed) == content && listed.entry.mapping == *mapping));
    }
    let modified = input.place.version();
    let found = whole.find(|listed| {
        !listed.from_parts && modified.is_some() && listed.modified == modified && listed.entry.bytes == input.bytes
    });
    let now = || mapping_of(input, options).map(|mapping| mapping.map(|mapping| mapping.sha256.clone()));
    match found {
        Some(listed) if now().map_or(true, |now| now != listed.entry.mapping) => Ok(false),
        // One that cannot be hashed is read, which says why.
        Some(listed) if recheck => Ok(content(input).is_ok_and(|now| now == hex(listed))),
        found => Ok(found.is_some()),
    }
}

/// Reads `inputs` into new parts.
fn read(
    inputs: &[Input],
    out: &Path,
    old: &Index,
    options: Options<'_>,
    how: How,
    progress: &dyn Progress,
) -> Result<(Vec<Listed>, Vec<Part>)> {
    let modified: Vec<Option<String>> = inputs.iter().map(|input| input.place.version()).collect();
    let labels: Vec<&str> = inputs.iter().map(|input| input.label.as_str()).collect();
    let writer = |table| Writer::new(out, table, &old.parts, how.rows.clamp(1, MAX_ROWS), &labels);
    let mut tables = Table::ALL.map(writer);
    let [events, changes, documents] = &mut tables;
    let keys = RandomState::default();
    let mut failed = None;
    let mut absorb = |columns: EventColumns| {
        let taken = columns.finish().map_err(Error::frame("parts")).and_then(|frame| events.take(frame));
        failed = failed.take().or(taken.err());
    };
    let prints = Prints::of_hashed(&keys);
    let done = |bytes| progress.done(bytes);
    let mut ingested = ingest(inputs, options, prints, &EventColumns::default, &mut absorb, &done);
    if let Some(error) = failed {
        return Err(error);
    }
    events.finish()?;
    ingested.holds.index(|_| true)?;
    ingested.holds.since(i64::MIN, |_, change| {
        ingested.changes.push(change);
        Ok(true)
    })?;
    ingested.changes.sort_by_key(|change| (change.at.file, change.order()));
    for some in ingested.changes.chunks(how.rows.max(1)) {
        let some: Vec<&Change> = some.iter().collect();
        changes.take(changes_frame(&some).map_err(Error::frame("parts"))?)?;
    }
    changes.finish()?;
    for some in ingested.documents.chunks(how.rows.max(1)) {
        let some: Vec<&Document> = some.iter().collect();
        documents.take(documents_frame(&some).map_err(Error::frame("parts"))?)?;
    }
    documents.finish()?;
    let mut listed = Vec::with_capacity(inputs.len());
    for (n, ((mut entry, input), modified)) in (0..).zip(ingested.files.into_iter().zip(inputs).zip(modified)) {
        let [events, changes, documents] = tables.each_mut().map(|table| table.runs.remove(&n).unwrap_or_default());
        let from_parts = input.place.part().is_some();
        let content_sha256 = entry.content_sha256.take();
        listed.push(Listed { entry, content_sha256, modified, from_parts, events, changes, documents });
    }
    Ok((listed, tables.into_iter().flat_map(|table| table.parts).collect()))
}

/// Removes parts that the index does not list, and what an interrupted ingest left. What cannot be removed does no harm.
fn remove_unreferenced(out: &Path, index: &Index) {
    for table in Table::ALL {
        let of_table = index.parts.iter().filter(|part| part.table == table);
        let listed: BTreeSet<String> = of_table.map(|part| table.file(part.number)).collect();
        for entry in fs::read_dir(out.join(table.name())).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or("");
            if name.starts_with(ASIDE) || (is_part(name) && !listed.contains(&format!("{}/{name}", table.name()))) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(ASIDE)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
