//! The manifest: every input of a case.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::read_json;
use crate::error::{Error, Result};
use crate::evidence::{Digest, FileEntry};
use crate::parts::Index;

const FORMAT: &str = "holdtrace manifest";
const FORMAT_VERSION: u32 = 1;

/// Every input. The same evidence under the same paths gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: String,
    pub format_version: u32,
    /// The paths that were given, of all runs, in their order.
    pub paths: Vec<String>,
    /// By path, then by SHA-256.
    pub inputs: Vec<ManifestInput>,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestInput {
    pub path: String,
    /// Size as found.
    pub bytes: u64,
    /// SHA-256 of the bytes as found, hex; null if they could not be read to their end.
    pub sha256: Option<String>,
    /// SHA-256 of the decompressed stream, hex; null where there is none (archives, Parquet) or it is not known.
    pub content_sha256: Option<String>,
    pub format: String,
    pub records: u64,
    pub rejected: u64,
    /// RFC 3339, UTC.
    pub first_time: Option<String>,
    pub last_time: Option<String>,
    /// The archive it is a member of.
    pub container: Option<String>,
    /// SHA-256 of the mapping it was read by.
    pub mapping: Option<String>,
    /// Whether it was taken over from a folder of parts.
    pub from_parts: bool,
}

impl Manifest {
    /// A manifest of `inputs`, which came from `paths`.
    pub fn new(paths: impl IntoIterator<Item = String>, inputs: impl IntoIterator<Item = ManifestInput>) -> Self {
        let mut inputs: Vec<ManifestInput> = inputs.into_iter().collect();
        inputs.sort_by(|a, b| (&a.path, &a.sha256).cmp(&(&b.path, &b.sha256)));
        let paths = paths.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        Self { format: FORMAT.to_owned(), format_version: FORMAT_VERSION, paths, inputs }
    }

    /// The manifest of what a folder of parts holds.
    #[must_use]
    pub fn of(index: &Index) -> Self {
        let paths = index.walks.iter().flat_map(|walk| walk.paths.iter().cloned());
        let inputs = index.files.iter();
        let inputs = inputs.map(|file| ManifestInput::of(&file.entry, file.content_sha256, file.from_parts));
        Self::new(paths, inputs)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let manifest: Self = read_json(path)?;
        if manifest.format != FORMAT || manifest.format_version != FORMAT_VERSION {
            let reason = format!(
                "it says `{}`, version {}; expected `{FORMAT}`, version {FORMAT_VERSION}",
                manifest.format, manifest.format_version
            );
            return Err(Error::Usage { what: path.display().to_string(), reason });
        }
        Ok(manifest)
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// Never: everything in it can be written as JSON.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::Output(e.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }
}

impl ManifestInput {
    /// That of an entry of the ledger of coverage.
    pub(super) fn of(entry: &FileEntry, content_sha256: Option<Digest>, from_parts: bool) -> Self {
        Self {
            path: entry.path.to_string(),
            bytes: entry.bytes,
            sha256: entry.sha256.map(|digest| digest.to_string()),
            content_sha256: content_sha256.map(|digest| digest.to_string()),
            format: entry.format.to_string(),
            records: entry.records,
            rejected: entry.rejected,
            first_time: entry.first_time.map(|time| time.to_string()),
            last_time: entry.last_time.map(|time| time.to_string()),
            container: entry.container.as_ref().map(String::from),
            mapping: entry.mapping.as_ref().map(String::from),
            from_parts,
        }
    }
}
