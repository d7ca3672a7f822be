//! From the paths on the command line to a sorted list of files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::containers::{Bounds, Container, Member, expand};
use super::{FilePath, Name};
use crate::custody::case::{self, Case};
use crate::error::{Error, Result};
use crate::parts::{self, PartFile};

/// Where an input is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(FilePath),
    /// A private copy of standard input or of a pipe, deleted when it is dropped: records are read more than once.
    Stream(Arc<Spool>),
    /// A file that a folder of parts holds: its events, not its bytes.
    Part(PartFile),
    /// An archive whose members are inputs of their own.
    Container(Arc<Container>),
    /// A member of one.
    Member(Arc<Member>),
    /// An object in a store.
    #[cfg(feature = "object-store")]
    Object(Arc<super::objects::Object>),
}

impl Place {
    /// The file to open; of an object its URL and of a member the container's name, which are no files.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stream(spool) => &spool.0,
            Self::Part(part) => part.folder(),
            Self::Container(container) => container.place.path(),
            Self::Member(member) => member.container().as_ref(),
            #[cfg(feature = "object-store")]
            Self::Object(object) => Path::new(object.url()),
        }
    }

    /// The file in a folder of parts, if it is one.
    #[must_use]
    pub fn part(&self) -> Option<&PartFile> {
        match self {
            Self::Part(part) => Some(part),
            _ => None,
        }
    }

    /// The container, if it is one.
    #[must_use]
    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Container(container) => Some(container),
            _ => None,
        }
    }

    /// The member of a container, if it is one.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::Member(member) => Some(member),
            _ => None,
        }
    }

    /// What is another when the content is: the time of the last modification to the nanosecond, or an object's `ETag`.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        match self {
            Self::File(path) => {
                let time = path.metadata().ok()?.modified().ok()?;
                let nanos = time.duration_since(std::time::UNIX_EPOCH).ok()?;
                Some(format!("{}.{:09}", nanos.as_secs(), nanos.subsec_nanos()))
            }
            Self::Stream(_) | Self::Member(_) => None,
            Self::Container(container) => container.version.clone(),
            Self::Part(part) => part.listed().modified.clone(),
            #[cfg(feature = "object-store")]
            Self::Object(object) => object.tag().map(str::to_owned),
        }
    }
}

/// The copy of a stream.
#[derive(Debug)]
pub struct Spool(tempfile::TempPath);

impl PartialEq for Spool {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for Spool {}

/// Copies what can be read only once.
fn spool(label: &str, open: impl FnOnce() -> io::Result<Box<dyn io::Read>>) -> Result<Input> {
    let copy = || -> io::Result<(tempfile::TempPath, u64)> {
        let mut file = tempfile::NamedTempFile::new()?;
        let bytes = io::copy(&mut open()?, &mut file)?;
        Ok((file.into_temp_path(), bytes))
    };
    let (path, bytes) = copy().map_err(|e| {
        let reason = format!("{e}; if the disk is full, set TMPDIR to a folder with more room");
        Error::io(label, "copying it to a temporary file", io::Error::other(reason))
    })?;
    Ok(Input { label: label.into(), place: Place::Stream(Arc::new(Spool(path))), bytes })
}

/// One input with the name it has in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub label: Name,
    pub place: Place,
    /// Size as found.
    pub bytes: u64,
}

/// The inputs in the order of their names (so that the order of the paths does not matter), and what was passed over.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    pub inputs: Vec<Input>,
    /// One sentence per link or special file that was not read, and per folder of parts that another version made.
    pub skipped: Vec<String>,
    /// One sentence per file or folder that should have been read and could not be.
    pub unreadable: Vec<String>,
}

impl Discovery {
    /// Puts the members of archives behind these, as inputs of their own. Which files are archives is told by their first
    /// bytes; objects in a store are not looked at.
    ///
    /// # Errors
    /// There is no room on the disk for what must be unpacked.
    pub fn unpack(&mut self, bounds: Bounds) -> Result<()> {
        let (inputs, skipped) = expand(std::mem::take(&mut self.inputs), bounds)?;
        let (listed, plain): (Vec<Input>, Vec<Input>) =
            inputs.into_iter().partition(|input| input.place.part().is_some());
        self.inputs = parts::joined(plain, listed)?;
        // They stay for as long as anything is read, and may be very many.
        self.inputs.shrink_to_fit();
        self.skipped.extend(skipped);
        self.skipped.sort();
        self.skipped.dedup();
        Ok(())
    }
}

/// Finds the files that `paths` name: files, folders (walked, links not followed), globs, `-` for standard input, and
/// objects or what lies below a prefix of an object store (`s3://`, `gs://`, `az://`).
///
/// # Errors
/// A path that does not exist, a glob that is malformed or matches nothing, a folder without files, a store that cannot
/// be listed.
pub fn discover(paths: &[String]) -> Result<Discovery> {
    let mut found = Discovery::default();
    let mut by_label = BTreeMap::new();
    let (urls, paths): (Vec<&String>, Vec<&String>) = paths.iter().partition(|path| is_url(path));
    if !urls.is_empty() {
        by_label.extend(objects(&urls)?.into_iter().map(|input| (input.label.clone(), input)));
    }
    for path in &paths {
        if *path == "-" {
            if !by_label.contains_key(&Name::from("-")) {
                by_label.insert("-".into(), spool("-", || Ok(Box::new(io::stdin())))?);
            }
        } else if Path::new(path).exists() {
            add_path(Path::new(path), &mut by_label, &mut found)?;
        } else {
            add_glob(path, &mut by_label, &mut found)?;
        }
    }
    let listed = std::mem::take(&mut found.inputs);
    // Below one folder no file has a second name, because links are not followed.
    let one_folder = urls.is_empty() && matches!(&paths[..], [path] if Path::new(path).is_dir());
    let plain = by_label.into_values();
    let mut plain = if one_folder { plain.collect() } else { without_second_names(plain) };
    plain.par_iter_mut().with_min_len(256).for_each(|input: &mut Input| {
        if let Place::File(path) = &input.place {
            input.bytes = path.metadata().map_or(0, |m| m.len());
        }
    });
    found.inputs = parts::joined(plain, listed)?;
    for notes in [&mut found.skipped, &mut found.unreadable] {
        notes.sort();
        notes.dedup();
    }
    Ok(found)
}

/// The stores whose paths are understood.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

fn is_url(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

#[cfg(feature = "object-store")]
use super::objects::find as objects;

#[cfg(not(feature = "object-store"))]
fn objects(urls: &[&String]) -> Result<Vec<Input>> {
    let reason = "this holdtrace was built without object stores; build it with `cargo build --release --features \
                  object-store`, or copy the objects into a folder";
    Err(Error::Usage { what: urls[0].clone(), reason: reason.to_owned() })
}

fn add_glob(pattern: &str, inputs: &mut BTreeMap<Name, Input>, found: &mut Discovery) -> Result<()> {
    if !pattern.contains(['*', '?', '[']) {
        return Err(Error::MissingPath { path: pattern.to_owned() });
    }
    let matches =
        glob::glob(pattern).map_err(|e| Error::BadGlob { pattern: pattern.to_owned(), reason: e.msg.to_owned() })?;
    let mut any = false;
    for path in matches.flatten() {
        any = true;
        if path.is_symlink() {
            found.skipped.push(format!("{}: a link, not followed", path.display()));
        } else if path.is_file() {
            add_file(&path, inputs);
        } else if path.join(parts::INDEX).is_file() {
            add_path(&path, inputs, found)?;
        }
    }
    if any { Ok(()) } else { Err(Error::MissingPath { path: pattern.to_owned() }) }
}

fn add_path(path: &Path, inputs: &mut BTreeMap<Name, Input>, found: &mut Discovery) -> Result<()> {
    if path.is_file() {
        add_file(path, inputs);
        return Ok(());
    }
    if !path.is_dir() {
        let label = path.display().to_string();
        let open = || io::Result::Ok(Box::new(std::fs::File::open(path)?) as Box<dyn io::Read>);
        let input = spool(&label, open)?;
        inputs.insert(label.into(), input);
        return Ok(());
    }
    let mut any = false;
    let is_case = Case::is_whole_at(path);
    if is_case {
        found.skipped.push(format!("{}: a case; its events are read, not its other files", path.display()));
    }
    let in_events = |entry: &walkdir::DirEntry| !is_case || entry.depth() != 1 || entry.file_name() == case::EVENTS;
    for entry in WalkDir::new(path).follow_links(false).into_iter().filter_entry(in_events) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if entry.file_type().is_file() => {
                any = true;
                if parts::owns(entry.path()) {
                    add_parts(&entry, found)?;
                } else {
                    add_file(entry.path(), inputs);
                }
            }
            Ok(entry) if entry.depth() == 0 => {}
            Ok(entry) => {
                let kind = if entry.path_is_symlink() { "a link, not followed" } else { "not a regular file" };
                found.skipped.push(format!("{}: {kind}", entry.path().display()));
            }
            Err(error) => found.unreadable.push(format!("{error}")),
        }
    }
    if any || !found.unreadable.is_empty() {
        Ok(())
    } else {
        Err(Error::EmptyFolder { path: path.display().to_string() })
    }
}

/// Takes in a folder of parts when the walk comes upon its index. One that cannot be used is an error where it was named,
/// and noted where it was met on the way.
fn add_parts(file: &walkdir::DirEntry, found: &mut Discovery) -> Result<()> {
    let folder = file.path().parent().unwrap_or_else(|| Path::new("."));
    let interrupted =
        || format!("{}: an ingest into this folder did not get to its end; run it again", folder.display());
    let opened = if file.file_name() == parts::INDEX {
        parts::folder_of(folder)
    } else if file.file_name() == parts::LOCK && !folder.join(parts::INDEX).exists() {
        Err(interrupted())
    } else {
        return Ok(());
    };
    match opened {
        Ok((folder, inputs)) => {
            found.inputs.extend(inputs);
            found.skipped.extend(folder.other_version());
            for walk in &folder.index.walks {
                found.skipped.extend(walk.skipped.iter().cloned());
                found.unreadable.extend(walk.unreadable.iter().cloned());
            }
            Ok(())
        }
        Err(reason) if file.depth() == 1 => Err(Error::Parts { reason }),
        Err(reason) => {
            found.unreadable.push(reason);
            Ok(())
        }
    }
}

fn add_file(path: &Path, inputs: &mut BTreeMap<Name, Input>) {
    let label = Name::from(path.display().to_string());
    let place = Place::File(FilePath::of(path, &label));
    // How large it is is asked of all at once.
    inputs.insert(label.clone(), Input { label, place, bytes: 0 });
}

/// The same file reached by two names (`a` and `./a`) is read once, under the shortest.
fn without_second_names(inputs: impl Iterator<Item = Input>) -> Vec<Input> {
    let mut by_length: Vec<Input> = inputs.collect();
    by_length.sort_by_key(|input| (input.label.len(), input.label.clone()));
    let mut seen = std::collections::BTreeSet::new();
    by_length.retain(|input| match &input.place {
        Place::Stream(_) | Place::Part(_) | Place::Container(_) | Place::Member(_) => true,
        #[cfg(feature = "object-store")]
        Place::Object(_) => true,
        Place::File(path) => seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_path_buf())),
    });
    by_length.sort_by(|a, b| a.label.cmp(&b.label));
    by_length
}
