//! The files of a case against the ledger.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::{Checked, Verification};
use crate::custody::case::difference::{Area, Difference, Kind};
use crate::custody::case::{ABOUT, ATTESTATIONS, Case, FileDigest, LEDGER, LOCK, Ledger, MANIFEST, TREE, is_inside};
use crate::error::Result;
use crate::evidence::{Digest, Place, Stream};
use crate::parts::{ASIDE, INDEX};

/// Compares every file that the ledger tells of, and names files that it does not tell of.
#[expect(clippy::unnecessary_wraps, reason = "all checks have this form")]
pub fn check(checked: &Checked<'_>, found: &mut Verification) -> Result<()> {
    let files = checked.ledger.files();
    let quick = checked.how.quick;
    let compared: Vec<Option<Difference>> =
        files.par_iter().map(|(path, (file, _))| compare(checked.case, file, !quick || is_small(path))).collect();
    found.checked.files = files.len();
    found.checked.files_hashed = files.keys().filter(|path| !quick || is_small(path)).count();
    let mut differences: Vec<Difference> = compared.into_iter().flatten().collect();
    exchanged(checked.case, &files, &mut differences, quick);
    explain_unfinished(checked.ledger, &mut differences);
    found.differences.extend(differences);
    let others = strangers(checked.case, &files);
    let stopped = checked.ledger.pending().next().is_some();
    for path in others {
        let left = path.rsplit('/').next().is_some_and(|name| name.starts_with(ASIDE));
        if left && stopped {
            found.notes.push(format!("{path}: left by an act that was stopped"));
            continue;
        }
        let detail = if stopped {
            "no act that has ended tells of it; one that was stopped may have written it"
        } else {
            "no act tells of it"
        };
        found.differences.push(Difference::of_file(Area::of(&path), Kind::Added, path, detail));
    }
    Ok(())
}

/// Files whose content is compared even where only sizes are.
fn is_small(path: &str) -> bool {
    path == ABOUT || path == MANIFEST || path.ends_with(INDEX) || Area::of(path) == Area::Rules
}

/// What an act finds changed when it begins: small files by their content, the others by their size.
pub fn quick_differences(case: &Case, ledger: &Ledger) -> Vec<Difference> {
    let files = ledger.files();
    files.iter().filter_map(|(path, (file, _))| compare(case, file, is_small(path))).collect()
}

/// Compares a file with what the ledger says of it.
fn compare(case: &Case, file: &FileDigest, hash: bool) -> Option<Difference> {
    let path = case.path(&file.path);
    let differs = |kind, detail: String| Some(Difference::of_file(Area::of(&file.path), kind, &file.path, detail));
    if !is_inside(&file.path) {
        return differs(
            Kind::Invalid,
            "the ledger names it, and it does not lie in the case; it was not read".to_owned(),
        );
    }
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && is_lock(&file.path) => return None,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return differs(Kind::Missing, format!("{} bytes, SHA-256 {}", file.bytes, file.sha256));
        }
        Err(e) => return differs(Kind::Unreadable, e.to_string()),
    };
    if !metadata.is_file() {
        return differs(Kind::Changed, "it is not a regular file any more".to_owned());
    }
    if metadata.len() != file.bytes {
        let (was, is) = (file.bytes, metadata.len());
        return differs(Kind::Changed, format!("it had {was} bytes and has {is}"));
    }
    if !hash {
        return None;
    }
    match digest(&path) {
        Ok(is) if is.to_string() == file.sha256 => None,
        Ok(is) => differs(Kind::Changed, format!("its SHA-256 was {} and is {is}", file.sha256)),
        Err(e) => differs(Kind::Unreadable, e.to_string()),
    }
}

/// A file that is only there to be locked may be left behind when a case is copied.
fn is_lock(path: &str) -> bool {
    path.ends_with(crate::parts::LOCK) || path == LOCK
}

/// The SHA-256 of a file as found.
pub fn digest(path: &Path) -> std::io::Result<Digest> {
    Stream::open(&Place::File(path.into())).and_then(Stream::finish).map(|(digest, _)| digest)
}

/// Says of changed files that hold what another should hold that they changed places.
fn exchanged(case: &Case, files: &BTreeMap<String, (FileDigest, u64)>, differences: &mut [Difference], quick: bool) {
    if quick {
        return;
    }
    let by_hash: BTreeMap<&str, &str> =
        files.values().filter(|(file, _)| file.bytes > 0).map(|(file, _)| (&*file.sha256, &*file.path)).collect();
    for one in differences.iter_mut().filter(|one| one.kind == Kind::Changed) {
        let Ok(is) = digest(&case.path(&one.path)) else { continue };
        if let Some(other) = by_hash.get(&*is.to_string()).filter(|other| **other != one.path) {
            one.kind = Kind::Reordered;
            one.detail = format!("it holds what {other} should hold");
        }
    }
}

/// Says what an act that was stopped may have done.
fn explain_unfinished(ledger: &Ledger, differences: &mut [Difference]) {
    let Some(entry) = ledger.pending().last() else { return };
    for one in differences.iter_mut().filter(|one| one.kind == Kind::Changed) {
        one.detail = format!("{}; act {}, which never ended, may have written it", one.detail, entry.seq);
    }
}

/// Files in the case folder of which no act tells. Attestations and proofs may be put there by other programs.
fn strangers(case: &Case, files: &BTreeMap<String, (FileDigest, u64)>) -> Vec<String> {
    let mut strangers = Vec::new();
    let own = |path: &str| {
        path == LEDGER || path == LOCK || path == format!("{}/{}", super::super::EVENTS, crate::parts::LOCK)
    };
    let of_others = [ATTESTATIONS, TREE];
    for entry in WalkDir::new(case.folder()).follow_links(false).sort_by_file_name().into_iter().flatten() {
        let Ok(below) = entry.path().strip_prefix(case.folder()) else { continue };
        let path = below.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/");
        let theirs = of_others.iter().any(|folder| path.split('/').next() == Some(folder));
        let empty_lock = own(&path) && (path == LEDGER || entry.metadata().is_ok_and(|m| m.is_file() && m.len() == 0));
        if entry.file_type().is_dir() || files.contains_key(&path) || theirs || empty_lock {
            continue;
        }
        strangers.push(path);
    }
    strangers
}
