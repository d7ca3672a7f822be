//! What an archive consists of, and whether it is what it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::classify::digest_of_layers;
use crate::error::Result;
use crate::evidence::{Bounds, FileEntry, Input, discover};
use crate::ingest::Options;
use crate::parts;
use crate::report::RuleText;

/// An input file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub path: String,
    pub bytes: u64,
    /// Time of modification to the nanosecond, or an object's `ETag`.
    pub version: Option<String>,
    /// As found; null where it could not be read to its end.
    pub sha256: Option<String>,
}

/// All that a verdict depends on besides the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    pub holdtrace_version: String,
    /// SHA-256 of the rule packs.
    pub rules: String,
    /// Those of the mappings, in their order.
    pub mappings: Vec<String>,
    pub assume_tz: String,
    pub max_record_bytes: u64,
    pub bounds: Bounds,
}

impl Manner {
    /// That of this run.
    #[must_use]
    pub fn of(options: Options<'_>, rules: &RuleText) -> Self {
        Self {
            holdtrace_version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: digest_of_layers(&rules.layers),
            mappings: options.mappings.iter().map(|mapping| mapping.sha256.to_string()).collect(),
            assume_tz: options.zone.to_string(),
            max_record_bytes: options.limits.max_record as u64,
            bounds: options.bounds,
        }
    }
}

/// What an archive consists of now.
pub struct Inputs {
    files: Vec<Input>,
    known: Vec<Known>,
    /// What was passed over or could not be listed.
    notes: Vec<String>,
}

/// Looks at what `archive` consists of; nothing is read.
///
/// # Errors
/// There is no such path, or nothing in it.
pub fn inputs_of(archive: &str) -> Result<Inputs> {
    let discovery = discover(&[archive.to_owned()])?;
    let known = |input: &Input| Known {
        path: input.label.to_string(),
        bytes: input.bytes,
        version: input.place.version(),
        sha256: None,
    };
    let notes = discovery.skipped.into_iter().chain(discovery.unreadable).collect();
    Ok(Inputs { known: discovery.inputs.iter().map(known).collect(), files: discovery.inputs, notes })
}

impl Inputs {
    /// Whether it is what it was: the same names and sizes, and the same times of modification or else the same hashes.
    /// With `recheck` the hashes count alone.
    #[must_use]
    pub fn are(&self, known: &[Known], notes: &[String], recheck: bool) -> bool {
        let same = |(input, (now, was)): (&Input, (&Known, &Known))| {
            let alike = now.path == was.path && now.bytes == was.bytes;
            let untouched = now.version.is_some() && now.version == was.version;
            alike && was.sha256.is_some() && ((untouched && !recheck) || has_hash(input, was.sha256.as_ref()))
        };
        self.notes == notes
            && self.known.len() == known.len()
            && self.files.iter().zip(self.known.iter().zip(known)).all(same)
    }

    /// The same with the hashes that were found when the files were read, and what was passed over.
    #[must_use]
    pub fn hashed(self, files: &[FileEntry]) -> (Vec<Known>, Vec<String>) {
        let by_path: BTreeMap<&str, &FileEntry> = files.iter().map(|file| (file.path.as_str(), file)).collect();
        let hash = |known: Known| {
            let sha256 = by_path.get(known.path.as_str()).and_then(|file| file.sha256).map(|sha256| sha256.to_string());
            Known { sha256, ..known }
        };
        (self.known.into_iter().map(hash).collect(), self.notes)
    }
}

fn has_hash(input: &Input, expected: Option<&String>) -> bool {
    parts::content(input).is_ok_and(|content| content.as_ref() == expected)
}
