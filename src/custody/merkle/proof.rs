//! One record, disclosed with the proof that it is among those of a case.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::hash;
use super::tree::{self, Leaf, ROOT, SECRET, Secret, TREE};
use crate::custody::case::{Case, EVENTS};
use crate::custody::{Check, read_at_most};
use crate::error::{Error, Result};
use crate::evidence::{Bounds, Digest, Input, Locator, RecordReader, discover};

const FORMAT: &str = "holdtrace proof";
const FORMAT_VERSION: u32 = 1;
/// Larger files are not read; records are far smaller.
const MAX_BYTES: u64 = 1 << 30;

/// The file that `prove` writes: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    format: String,
    format_version: u32,
    tree: String,
    pub root: String,
    pub leaf: Leaf,
    /// 32 bytes, hex.
    salt: String,
    /// Hashes of the other sides, from the leaf to the root, hex.
    path: Vec<String>,
    /// The record, base64.
    bytes: String,
}

/// Proves that the record whose SHA-256 begins with the hex digits `prefix` is one of a case. Its bytes
/// are read from `evidence`, or where it was found when it was ingested. Also returned is how many other records have the
/// same SHA-256.
///
/// # Errors
/// There is no such record, its bytes cannot be read or are not what they were, or the tree is not the one that was
/// attested.
pub fn prove(case: &Case, prefix: &str, evidence: &[String], bounds: Bounds) -> Result<(Proof, u64)> {
    let secret = Secret::read(&case.path(SECRET))?;
    let kept = read_at_most(&case.path(ROOT), "reading the root of the tree", 1 << 20)?;
    let (leaf, tree, path, more) = tree::find(&case.path(EVENTS), &secret, prefix)?;
    if tree.bytes()? != kept {
        let reason = "the events are not those that were attested: the case has grown, or was changed; attest it again";
        return Err(Error::Usage { what: case.folder().display().to_string(), reason: reason.to_owned() });
    }
    let bytes = bytes(&leaf, evidence, bounds)?;
    let proof = Proof {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        tree: TREE.to_owned(),
        root: tree.root,
        salt: const_hex::encode(secret.salt(&leaf.data())),
        leaf,
        path: path.iter().map(Digest::to_string).collect(),
        bytes: STANDARD.encode(bytes),
    };
    Ok((proof, more))
}

/// The bytes of a record, from the file that they were read from, or one of that name.
fn bytes(leaf: &Leaf, evidence: &[String], bounds: Bounds) -> Result<Vec<u8>> {
    // A member of an archive is in the file before the mark.
    let own = leaf.file.split("!/").next().unwrap_or(&leaf.file).to_owned();
    let mut discovery = discover(if evidence.is_empty() { std::slice::from_ref(&own) } else { evidence })?;
    discovery.unpack(bounds)?;
    let name = |label: &str| label.rsplit('/').next().unwrap_or(label).to_owned();
    let is_it = |input: &&Input| input.place.part().is_none() && name(&input.label) == name(&leaf.file);
    let at = Locator { file: 0, record: leaf.record, offset: leaf.offset, length: leaf.length };
    let read = |input: &Input| RecordReader::open(input).and_then(|mut reader| Ok(reader.read(&at)?.to_vec()));
    let found = discovery.inputs.iter().filter(is_it).filter_map(|input| read(input).ok());
    found.into_iter().find(|bytes| Digest::of(bytes).to_string() == leaf.sha256).ok_or_else(|| {
        let reason = format!(
            "its bytes (record {} of {}, {} bytes at offset {}) are not to be found, or not what they were; name the \
             evidence with --evidence",
            leaf.record, leaf.file, leaf.length, leaf.offset
        );
        Error::Record { id: format!("ev:{}", leaf.sha256.get(..16).unwrap_or(&leaf.sha256)), reason }
    })
}

impl Proof {
    /// The bytes of the file.
    ///
    /// # Errors
    /// Never.
    pub fn file(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|e| Error::Output(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The bytes of the record.
    fn record(&self) -> std::result::Result<Vec<u8>, String> {
        STANDARD.decode(&self.bytes).map_err(|e| format!("the bytes of the record are not base64: {e}"))
    }

    fn check(&self, file: &[u8], root: &str) -> std::result::Result<String, String> {
        if self.format != FORMAT || self.format_version != FORMAT_VERSION || self.tree != TREE {
            let (format, version, tree) = (&self.format, self.format_version, &self.tree);
            return Err(format!(
                "it is `{format}`, version {version}, of `{tree}`; expected `{FORMAT}`, version {FORMAT_VERSION}, of `{TREE}`"
            ));
        }
        let (record, leaf) = (self.record()?, &self.leaf);
        let digest = Digest::of(&record);
        if digest.to_string() != leaf.sha256 || record.len() as u64 != leaf.length {
            return Err(format!(
                "the record was changed: it has {} bytes and SHA-256 {digest}, the leaf is for {} and {}",
                record.len(),
                leaf.length,
                leaf.sha256
            ));
        }
        let salt = hash_of(&self.salt).ok_or("its salt is not 32 bytes in hex")?;
        let path: Option<Vec<Digest>> = self.path.iter().map(|side| hash_of(side)).collect();
        let path = path.ok_or("its path is not of SHA-256 in hex")?;
        let found = hash::root_of(hash::leaf(&salt.0, &leaf.data()), leaf.index, leaf.size, &path)
            .ok_or_else(|| format!("its path is not that of leaf {} of {}", leaf.index, leaf.size))?;
        if found.to_string() != root {
            return Err(format!("its leaf, salt and path lead to the root {found}, not to {root}"));
        }
        if self.root != root {
            return Err(format!("it leads to the root {root}, but names {}", self.root));
        }
        if self.file().ok().as_deref() != Some(file) {
            return Err("it proves the record, but has bytes that holdtrace does not write".to_owned());
        }
        Ok(format!(
            "{}, record {} of {}, is leaf {} of {}",
            digest.record_id(),
            leaf.record,
            leaf.file,
            leaf.index,
            leaf.size
        ))
    }
}

/// Hashes are written in one way only, so that no digit can be exchanged for its capital.
fn hash_of(digits: &str) -> Option<Digest> {
    let read = digits.parse::<Digest>().ok();
    read.filter(|hash| hash.to_string() == digits)
}

/// Checks the proof at `path` against a root (hex).
///
/// # Errors
/// The file cannot be read.
pub fn check(path: &Path, root: &str) -> Result<Check> {
    let file = read_at_most(path, "reading the proof", MAX_BYTES)?;
    let proof: std::result::Result<Proof, String> =
        serde_json::from_slice(&file).map_err(|e| format!("no proof that `holdtrace prove` writes: {e}"));
    Ok(Check::of(path.display().to_string(), proof.and_then(|proof| proof.check(&file, &root.to_ascii_lowercase()))))
}
