//! The tree over the records of a case.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::hash::{self, Builder};
use super::records::{Record, Records};
use crate::custody::read_at_most;
use crate::error::{Error, Result};
use crate::evidence::Digest;

/// How the hashes of the tree are made.
pub const TREE: &str = "RFC 6962, SHA-256";

/// The place of the secret in a case.
pub const SECRET: &str = "tree/secret";
/// The place of the root in a case.
pub const ROOT: &str = "tree/tree.json";

/// The secret of a case, from which the salts of all leaves are made. Who has it can test guesses about records against
/// their hashes.
pub struct Secret([u8; 32]);

impl Secret {
    /// Reads the secret at `path`; where there is none, a random one is made and kept there, for its owner only.
    ///
    /// # Errors
    /// It cannot be read or kept, or is none.
    pub fn read_or_make(path: &Path) -> Result<Self> {
        if !path.exists() {
            make(path)?;
        }
        Self::read(path)
    }

    /// Reads the secret at `path`.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_at_most(path, "reading the secret of the tree", 1024)?;
        let mut secret = [0; 32];
        let read = text.strip_suffix(b"\n").filter(|digits| !digits.iter().any(u8::is_ascii_uppercase));
        read.and_then(|digits| const_hex::decode_to_slice(digits, &mut secret).ok()).ok_or_else(|| {
            let reason = "no secret of a tree; expected 64 hex digits and the end of the line".to_owned();
            Error::Usage { what: path.display().to_string(), reason }
        })?;
        Ok(Self(secret))
    }

    /// The salt of the leaf with this data.
    pub(super) fn salt(&self, data: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).map(|mac| mac.chain_update(data).finalize().into_bytes());
        mac.map(Into::into).unwrap_or_default()
    }
}

fn make(path: &Path) -> Result<()> {
    let failed = |e| Error::io(path, "keeping the secret of the tree", e);
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|e| failed(std::io::Error::other(e.to_string())))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    // Private, as temporary files are.
    let mut aside = tempfile::Builder::new().prefix(".holdtrace-").tempfile_in(folder).map_err(failed)?;
    writeln!(aside, "{}", const_hex::encode(secret)).map_err(failed)?;
    aside.as_file().sync_all().map_err(failed)?;
    // Should another have been kept meanwhile, that one counts.
    match aside.persist_noclobber(path) {
        Err(e) if !path.exists() => Err(failed(e.error)),
        _ => Ok(()),
    }
}

/// What a leaf stands for: its bytes, one line of JSON, are what is hashed after the salt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// Its number in the tree, and how many leaves that has.
    pub index: u64,
    pub size: u64,
    /// Where the record lies: the name of the file, its SHA-256 as found (null where it could not be read to its end), the
    /// number of the record in it, offset and length in the decompressed stream.
    pub file: String,
    pub file_sha256: Option<String>,
    pub record: u64,
    pub offset: u64,
    pub length: u64,
    /// Of the record's bytes.
    pub sha256: String,
}

impl Leaf {
    fn of(record: &Record<'_>, index: u64, size: u64) -> Self {
        let entry = &record.file.listed().entry;
        Self {
            index,
            size,
            file: entry.path.to_string(),
            file_sha256: entry.sha256.map(|digest| digest.to_string()),
            record: record.at.record,
            offset: record.at.offset,
            length: record.at.length,
            sha256: record.digest.to_string(),
        }
    }

    /// What is hashed after the salt.
    pub(super) fn data(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The tree as it lies in the case: its root and size. The leaves are made anew from the events and the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    pub tree: String,
    pub root: String,
    pub size: u64,
}

impl Tree {
    /// The bytes of the file.
    ///
    /// # Errors
    /// Never.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|e| Error::Output(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The tree over the records in the folder of parts `events`.
///
/// # Errors
/// A part is not what was written, or there is no record.
pub fn build(events: &Path, secret: &Secret) -> Result<Tree> {
    let records = Records::of(events)?;
    let size = count(&records)?;
    let (root, _) = grow(&records, secret, size, Builder::default())?;
    Ok(Tree { tree: TREE.to_owned(), root: root.to_string(), size })
}

/// How many records there are.
fn count(records: &Records) -> Result<u64> {
    let mut size = 0;
    records.each(&mut |_| size += 1)?;
    Ok(size)
}

fn grow(records: &Records, secret: &Secret, size: u64, mut tree: Builder) -> Result<(Digest, Vec<Digest>)> {
    let mut index = 0;
    records.each(&mut |record| {
        let data = Leaf::of(record, index, size).data();
        tree.add(hash::leaf(&secret.salt(&data), &data));
        index += 1;
    })?;
    tree.finish()
        .ok_or_else(|| Error::Parts { reason: "the case has no records, so there is no tree over them".to_owned() })
}

/// The first record whose SHA-256 begins with the hex digits `prefix`: its leaf, the tree, and the audit path; and how many
/// other records have the same.
///
/// # Errors
/// As [`build`]; or there is no such record.
pub fn find(events: &Path, secret: &Secret, prefix: &str) -> Result<(Leaf, Tree, Vec<Digest>, u64)> {
    let records = Records::of(events)?;
    let (mut size, mut found, mut more) = (0, None, 0);
    records.each(&mut |record| {
        if record.digest.to_string().starts_with(prefix) {
            match found {
                None => found = Some(Leaf::of(record, size, 0)),
                Some(_) => more += 1,
            }
        }
        size += 1;
    })?;
    let reason = format!("no record in the {size} of this case has this hash");
    let leaf = found.ok_or_else(|| Error::Record { id: format!("ev:{prefix}"), reason })?;
    let leaf = Leaf { size, ..leaf };
    let (root, path) = grow(&records, secret, size, Builder::with_path_to(leaf.index))?;
    Ok((leaf, Tree { tree: TREE.to_owned(), root: root.to_string(), size }, path, more))
}
