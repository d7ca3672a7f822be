//! The index of a folder of parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::INDEX;
use super::folder::Table;
use crate::evidence::{Bounds, Digest, FileEntry};

/// What the index says it is.
const FORMAT: &str = "holdtrace parts";
/// The version of the format. Raise it whenever older programs would read new folders wrongly.
const FORMAT_VERSION: u32 = 2;

/// Bounds on what is believed of an index: its own bytes, the rows and bytes of a Parquet file, any count.
const MAX_INDEX: u64 = 1 << 30;
/// See above.
pub(super) const MAX_ROWS: usize = 1 << 20;
const MAX_BYTES: u64 = 1 << 30;
const MAX_COUNT: u64 = 1 << 40;

/// The index as it lies in the file: the content, and the SHA-256 of its text.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    format: String,
    format_version: u32,
    holdtrace_version: String,
    sha256: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// The first members of an index of any version.
#[derive(Deserialize)]
struct Header {
    format: String,
    format_version: u32,
    #[serde(default)]
    holdtrace_version: String,
}

/// What an index holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The version that wrote it.
    #[serde(skip)]
    pub holdtrace_version: String,
    /// `--assume-tz`, as it was when times without a zone were read.
    pub assume_tz: String,
    /// `--max-record-bytes`.
    pub max_record_bytes: u64,
    /// `--max-expansion` and the like.
    pub bounds: Bounds,
    pub walks: Vec<Walk>,
    pub parts: Vec<Part>,
    /// By label, then by SHA-256.
    pub files: Vec<Listed>,
}

/// What a run of `ingest` passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    pub paths: Vec<String>,
    pub skipped: Vec<String>,
    pub unreadable: Vec<String>,
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub table: Table,
    pub number: u32,
    pub rows: usize,
    pub bytes: u64,
    pub sha256: String,
}

/// Rows of one input file in one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub part: u32,
    pub first: usize,
    pub rows: usize,
    /// The record that the first row is of.
    pub record: u64,
}

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    #[serde(flatten)]
    pub entry: FileEntry,
    /// [`FileEntry::content_sha256`].
    #[serde(default)]
    pub content_sha256: Option<Digest>,
    /// When it was changed last, as its file system said before it was read; an object's `ETag`.
    pub modified: Option<String>,
    /// Whether it was taken over from another folder of parts.
    pub from_parts: bool,
    pub events: Vec<Run>,
    pub changes: Vec<Run>,
    pub documents: Vec<Run>,
}

impl Listed {
    /// Where the rows of a table are.
    #[must_use]
    pub fn runs(&self, table: Table) -> &[Run] {
        match table {
            Table::Events => &self.events,
            Table::Changes => &self.changes,
            Table::Documents => &self.documents,
        }
    }
}

impl Index {
    /// An index of nothing.
    pub fn new(assume_tz: String, max_record_bytes: u64, bounds: Bounds) -> Self {
        Self {
            holdtrace_version: env!("CARGO_PKG_VERSION").to_owned(),
            assume_tz,
            max_record_bytes,
            bounds,
            walks: Vec::new(),
            parts: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Reads the index of `folder`.
    ///
    /// # Errors
    /// One sentence: it cannot be read, is of a newer version, damaged or inconsistent.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let text = text(&folder.join(INDEX)).map_err(|e| format!("the index {INDEX} cannot be read: {e}"))?;
        let header: Header = serde_json::from_slice(&text).map_err(|e| {
            format!("{INDEX} is no whole index of a folder of parts ({e}); ingest again into a new folder")
        })?;
        if header.format != FORMAT {
            return Err(format!("{INDEX} is no index of a folder of parts: it says `{}`", header.format));
        }
        if header.format_version != FORMAT_VERSION {
            return Err(format!(
                "the parts are in version {} of their format, written by holdtrace {}; this one reads version \
                 {FORMAT_VERSION}: use a version that fits, or ingest again",
                header.format_version, header.holdtrace_version
            ));
        }
        let changed = |what: &str| format!("{INDEX} is not as it was written ({what}); ingest again into a new folder");
        let envelope: Envelope<'_> = serde_json::from_slice(&text).map_err(|e| changed(&e.to_string()))?;
        if Digest::of(envelope.content.get().as_bytes()).to_string() != envelope.sha256 {
            return Err(changed("its SHA-256 is another"));
        }
        let mut index: Self = serde_json::from_str(envelope.content.get()).map_err(|e| changed(&e.to_string()))?;
        index.holdtrace_version = envelope.holdtrace_version;
        index.validate().map_err(|what| changed(&what))?;
        Ok(index)
    }

    /// The text of the index file.
    ///
    /// # Errors
    /// Never: everything in it can be written as JSON.
    pub fn text(&self) -> serde_json::Result<Vec<u8>> {
        let content = serde_json::value::to_raw_value(self)?;
        serde_json::to_vec(&Envelope {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            holdtrace_version: self.holdtrace_version.clone(),
            sha256: Digest::of(content.get().as_bytes()).to_string(),
            content: &content,
        })
    }

    /// Whoever wrote the index may mean harm: nothing in it is used before it has been found consistent.
    fn validate(&self) -> Result<(), String> {
        let mut rows = BTreeMap::new();
        for part in &self.parts {
            if part.rows > MAX_ROWS || part.bytes > MAX_BYTES {
                return Err(format!("{}/{}: too large", part.table.name(), part.number));
            }
            if rows.insert((part.table, part.number), part.rows).is_some() {
                return Err(format!("{}/{}: listed twice", part.table.name(), part.number));
            }
        }
        self.files.iter().try_for_each(|file| {
            let runs = Table::ALL.iter().all(|table| {
                let runs = file.runs(*table);
                let within = runs.iter().all(|run| {
                    let end = run.first.checked_add(run.rows);
                    run.rows > 0 && end <= rows.get(&(*table, run.part)).copied() && end.is_some()
                });
                within && (*table != Table::Events || runs.windows(2).all(|pair| pair[0].record < pair[1].record))
            });
            if runs && counts(file) { Ok(()) } else { Err(format!("{}: its numbers do not fit", file.entry.path)) }
        })
    }
}

fn counts(file: &Listed) -> bool {
    let entry = &file.entry;
    let all = [
        entry.bytes,
        entry.records,
        entry.parsed,
        entry.rejected,
        entry.zoneless_times,
        entry.implausible_times,
        entry.redacted,
    ];
    let rows: usize = file.events.iter().map(|run| run.rows).fold(0, usize::saturating_add);
    all.iter().all(|count| *count <= MAX_COUNT)
        && entry.records == entry.parsed + entry.rejected
        && entry.rejected == entry.rejects.records()
        && entry.duplicates == 0
        && entry.superseded == 0
        && rows as u64 <= entry.parsed
}

fn text(path: &Path) -> std::io::Result<Vec<u8>> {
    if !path.symlink_metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_INDEX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_INDEX { Err(std::io::Error::other("larger than any index")) } else { Ok(text) }
}
