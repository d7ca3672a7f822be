//! The case folder: evidence as it was found, what was read of it, what was concluded, by which rules, and a ledger of every
//! act on it.
//!
//! - `case.json`: version of the layout, name, version of holdtrace that made it ([`About`]);
//! - `manifest.json`: every input with its size and hashes ([`Manifest`]);
//! - `events/`: a folder of [parts](crate::parts);
//! - `failures.parquet`, `reports/report.json`, `reports/failures.ndjson`: the failures and the report;
//! - `reports/changes.json`: what changed since the report before ([`Changes`]);
//! - `rules/`: rule packs (`pack-...toml`) and mappings (`map-...toml`), byte for byte, named by their SHA-256;
//! - `attestations/`, `tree/`: signatures, time stamps and proofs, if there are any;
//! - `custody.jsonl`: the [ledger](Ledger); `case.lock`: locked while something is written.
//!
//! Whoever adds something to a case opens it ([`Case::open`]), begins an act ([`Case::begin`]), writes files with
//! [`Act::put`] and ends it ([`Act::done`]). Whoever has something to check adds to [`verify::CHECKS`]. docs/custody.md
//! describes the files.

mod act;
mod analyze;
mod changes;
mod circumstances;
mod difference;
mod ledger;
mod manifest;
mod places;
mod table;
pub mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use act::Act;
pub use analyze::{Outcome, Request, analyze};
pub use changes::Changes;
pub use circumstances::{Circumstances, Program};
pub use difference::{Area, Difference, Kind};
pub use ledger::{Entry, Ledger, State};
pub use manifest::{Manifest, ManifestInput};
pub use table::{render_changes, render_verification};
pub use verify::digest;

use crate::error::{Error, Result};
use crate::evidence::Digest;

/// The names in a case.
pub const ABOUT: &str = "case.json";
pub const MANIFEST: &str = "manifest.json";
pub const LEDGER: &str = "custody.jsonl";
pub const LOCK: &str = "case.lock";
pub const EVENTS: &str = "events";
pub const FAILURES: &str = "failures.parquet";
pub const REPORTS: &str = "reports";
pub const REPORT: &str = "reports/report.json";
pub const REPORT_LINES: &str = "reports/failures.ndjson";
pub const CHANGES: &str = "reports/changes.json";
pub const RULES: &str = "rules";
pub const ATTESTATIONS: &str = "attestations";
pub const TREE: &str = "tree";

/// What `case.json` says it is.
const FORMAT: &str = "holdtrace case";
/// Raise it whenever older programs would read new cases wrongly.
const FORMAT_VERSION: u32 = 1;

/// The content of `case.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub format: String,
    pub format_version: u32,
    pub name: String,
    /// The version that made the case.
    pub holdtrace_version: String,
}

/// A file of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileDigest {
    /// In the case folder, with `/` between folders.
    pub path: String,
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

impl FileDigest {
    /// That of `bytes`.
    #[must_use]
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        Self { path: path.to_owned(), bytes: bytes.len() as u64, sha256: Digest::of(bytes).to_string() }
    }
}

/// A case folder.
#[derive(Clone, Debug)]
pub struct Case {
    folder: PathBuf,
}

impl Case {
    /// Whether there is a case in `folder`, whole or not.
    #[must_use]
    pub fn is_at(folder: &Path) -> bool {
        folder.join(LEDGER).is_file() || folder.join(ABOUT).is_file()
    }

    /// Whether there is a case in `folder` that has been begun and has its name.
    #[must_use]
    pub fn is_whole_at(folder: &Path) -> bool {
        [LEDGER, ABOUT, EVENTS].iter().all(|name| folder.join(name).exists())
    }

    /// The case in `folder`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(folder: &Path) -> Result<Self> {
        if Self::is_at(folder) {
            return Ok(Self { folder: folder.to_owned() });
        }
        let reason = format!("it is no case: it holds neither {LEDGER} nor {ABOUT}; make one with analyze --case");
        Err(Error::Usage { what: folder.display().to_string(), reason })
    }

    /// The case in `folder`, or a new one where there is nothing yet.
    ///
    /// # Errors
    /// The folder holds something else, or cannot be made.
    pub fn open_or_new(folder: &Path) -> Result<Self> {
        let refused =
            |reason: &str| Error::Usage { what: format!("--case {}", folder.display()), reason: reason.to_owned() };
        if folder.exists() && !folder.is_dir() {
            return Err(refused("it is a file; name a folder"));
        }
        let io = |e| Error::io(folder, "making the case folder", e);
        fs::create_dir_all(folder).map_err(io)?;
        if !Self::is_at(folder) {
            let mut others = fs::read_dir(folder).map_err(io)?.flatten().filter(|entry| entry.file_name() != LOCK);
            if others.next().is_some() {
                return Err(refused("the folder holds other files; name a new or an empty one"));
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place of a file of the case.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What `case.json` says; none where it is not there.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or of another version.
    pub fn about(&self) -> Result<Option<About>> {
        let path = self.path(ABOUT);
        if !path.exists() {
            return Ok(None);
        }
        let about: About = read_json(&path)?;
        if about.format != FORMAT || about.format_version != FORMAT_VERSION {
            let reason = format!(
                "{ABOUT} says `{}`, version {}; this holdtrace reads `{FORMAT}`, version {FORMAT_VERSION}",
                about.format, about.format_version
            );
            return Err(Error::Usage { what: self.folder.display().to_string(), reason });
        }
        Ok(Some(about))
    }

    /// The manifest.
    ///
    /// # Errors
    /// It is not there, cannot be read or is damaged.
    pub fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.path(MANIFEST))
    }

    /// The ledger; an empty one where it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ledger(&self) -> Result<Ledger> {
        Ok(Ledger::read(&self.folder)?.unwrap_or_default())
    }
}

/// Whether the path of a file in a ledger leads to a file of the case: ledgers may be made to lead elsewhere.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Files of a case that are read into memory are no larger than this.
const MAX_FILE: u64 = 1 << 30;

/// Reads a JSON file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    use std::io::Read as _;
    let failed = |e: std::io::Error| Error::io(path, "reading the file", e);
    if !path.symlink_metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    let mut text = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text)).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|e| failed(std::io::Error::other(format!("it is not as it is written: {e}"))))
}
