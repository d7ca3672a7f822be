//! The files in a folder that mirrors buckets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Object;
use super::names::{Kind, METADATA, kind};

/// A file of the folder.
#[derive(Debug)]
pub(super) struct File {
    pub path: PathBuf,
    /// Size as found.
    pub bytes: u64,
}

/// What lies in the folder. Files are only ever opened by the paths found here, never by what evidence names.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub digests: BTreeMap<Object, File>,
    /// By the digest that it belongs to.
    pub metadata: BTreeMap<Object, File>,
    pub logs: BTreeMap<Object, File>,
    /// Files that are not CloudTrail's.
    pub others: BTreeMap<Object, File>,
    /// Links and special files, none of which is read.
    pub skipped: BTreeMap<Object, &'static str>,
    /// One sentence per folder that could not be listed.
    pub unreadable: Vec<String>,
}

impl Folder {
    /// The file that a digest or a delivery names.
    pub(super) fn file(&self, object: &Object) -> Option<&File> {
        let maps = [&self.logs, &self.digests, &self.others];
        maps.into_iter().find_map(|files| files.get(object))
    }
}

/// Lists `folder`, without following links.
///
/// # Errors
/// It is not a folder, or is a bucket itself instead of holding buckets.
pub(super) fn walk(folder: &Path) -> Result<Folder, String> {
    if !folder.is_dir() {
        return Err("no such folder; name the one that mirrors the buckets, DIR/<bucket>/<key>".to_owned());
    }
    if folder.join("AWSLogs").is_dir() {
        return Err(
            "AWSLogs lies in it, so it is a bucket itself; name the folder above it, whose folders bear the names of \
                    the buckets"
                .to_owned(),
        );
    }
    let mut found = Folder::default();
    for entry in WalkDir::new(folder).min_depth(1).follow_links(false).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => add(&mut found, folder, &entry),
            Err(error) => found.unreadable.push(error.to_string()),
        }
    }
    Ok(found)
}

fn add(found: &mut Folder, folder: &Path, entry: &walkdir::DirEntry) {
    let Some(object) = object(folder, entry.path()) else {
        found.unreadable.push(format!("{}: its name is not UTF-8, which all keys are", entry.path().display()));
        return;
    };
    if !entry.file_type().is_file() {
        let kind = if entry.path_is_symlink() { "a link, not followed" } else { "not a regular file" };
        found.skipped.insert(object, kind);
        return;
    }
    let file = || File { path: entry.path().to_owned(), bytes: entry.metadata().map_or(0, |m| m.len()) };
    match kind(&object.key) {
        Kind::Digest => found.digests.insert(object, file()),
        Kind::Log => found.logs.insert(object, file()),
        Kind::Metadata => {
            let key = object.key.strip_suffix(METADATA).unwrap_or(&object.key).to_owned();
            found.metadata.insert(Object { key, ..object }, file())
        }
        Kind::Other => found.others.insert(object, file()),
    };
}

/// Bucket and key of a file: its path below the folder.
fn object(folder: &Path, path: &Path) -> Option<Object> {
    let below = path.strip_prefix(folder).ok()?;
    let parts: Option<Vec<&str>> = below.components().map(|part| part.as_os_str().to_str()).collect();
    let parts = parts?;
    let (bucket, key) = parts.split_first()?;
    Some(Object { bucket: (*bucket).to_owned(), key: key.join("/") })
}
