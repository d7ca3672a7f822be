//! The coverage ledger: what was read of every file, and what could not be.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Digest, Discovery, Name, Page, Reject, Rejects, Stamp};
use crate::error::Error;

/// What the reason says where a file breaks off.
pub(super) const BREAKS_OFF: &str = "cannot be read further";

/// Whether some of the files could not be read in full.
#[must_use]
pub fn is_partial(files: &[FileEntry]) -> bool {
    files.iter().any(FileEntry::is_partial)
}

/// One input file. `records` is always `parsed + rejected`; `duplicates` are parsed records seen before,
/// `superseded` those that an amended one takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileEntry {
    #[cfg_attr(test, schemars(with = "String"))]
    pub path: Name,
    /// SHA-256 of the bytes as found; null only when the file could not be read to its end.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub sha256: Option<Digest>,
    /// SHA-256 of the decompressed bytes, if it was asked for and they were read to their end.
    #[serde(skip)]
    pub content_sha256: Option<Digest>,
    /// Size as found.
    pub bytes: u64,
    pub format: Cow<'static, str>,
    /// SHA-256 of the mapping file it was read by, hex; null where it needed none.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub mapping: Option<Name>,
    pub records: u64,
    pub parsed: u64,
    pub rejected: u64,
    pub duplicates: u64,
    /// Parsed records that an amended one takes the place of.
    #[serde(default)]
    pub superseded: u64,
    /// Earliest time in the file, RFC 3339 UTC.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub first_time: Option<Stamp>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_time: Option<Stamp>,
    /// Times without a zone, read with `--assume-tz`.
    pub zoneless_times: u64,
    /// Times before 2000 or after 2099: read, but not used for ordering.
    pub implausible_times: u64,
    /// Values taken for secrets and blanked at ingest.
    pub redacted: u64,
    pub rejects: Rejects,
    /// The container it is a member of.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub container: Option<Name>,
    /// Of a container, how many members it holds that are inputs of their own; it has no records itself.
    pub members: Option<u64>,
    /// What documents in it say of being one page of several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Page>,
}

impl FileEntry {
    /// The entry of a file of which nothing has been read yet.
    #[must_use]
    pub fn unread(path: &Name, bytes: u64) -> Self {
        Self {
            path: path.clone(),
            sha256: None,
            content_sha256: None,
            bytes,
            format: "unreadable".into(),
            mapping: None,
            records: 0,
            parsed: 0,
            rejected: 0,
            duplicates: 0,
            superseded: 0,
            first_time: None,
            last_time: None,
            zoneless_times: 0,
            implausible_times: 0,
            redacted: 0,
            rejects: Rejects::default(),
            container: None,
            members: None,
            pages: Vec::new(),
        }
    }

    /// Whether some of it could not be read, or there is nothing in it.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.rejected > 0 || self.sha256.is_none() || self.is_empty()
    }

    /// The reject that tells most: where the file breaks off, else the first.
    #[must_use]
    pub fn foremost(&self) -> Option<&Reject> {
        self.rejects.foremost()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0 && self.members.unwrap_or(0) == 0
    }
}

/// Says that nothing can be read, with the first reason.
#[must_use]
pub fn nothing_readable(discovery: &Discovery, files: &[FileEntry]) -> Error {
    let first = files.iter().find_map(|file| Some((file, file.foremost()?)));
    let detail = match (first, files.first(), discovery.unreadable.first()) {
        (Some((file, reject)), ..) => {
            format!("{}, record {} at offset {}: {}", file.path, reject.record, reject.offset, reject.reason)
        }
        (None, Some(file), _) => format!("{} is empty", file.path),
        (None, None, Some(unreadable)) => unreadable.clone(),
        (None, None, None) => "no files".to_owned(),
    };
    Error::NothingReadable { files: files.len(), detail }
}
