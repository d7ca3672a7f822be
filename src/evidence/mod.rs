//! Evidence: files as found, their hashes, and the records in them with their exact places.
//!
//! Nothing here knows what a record means. Input folders are only ever read, links inside them are not followed.

mod blocks;
mod cite;
mod containers;
mod csv_rows;
mod discover;
mod find;
mod framer;
mod json_tree;
mod ledger;
mod lines;
mod list;
mod name;
#[cfg(feature = "object-store")]
mod objects;
mod paging;
mod parquet;
mod progress;
mod rejects;
mod shape;
mod source;
mod stream;
mod text_lines;
mod time;

pub use cite::{Cited, RecordReader, cite};
pub use containers::{BETWEEN, Bounds, Container, Member, is_hostile};
pub use discover::{Discovery, Input, Place, discover};
pub use find::{Found, ShapeOf, find_records};
pub use framer::{Chunk, Framer, Limits, Span};
pub use ledger::{FileEntry, is_partial, nothing_readable};
pub use list::List;
pub use name::{FilePath, Name};
pub use paging::Page;
pub use parquet::quietly;
pub use progress::Progress;
pub use rejects::{Reject, Rejects, Room};
pub use shape::{Sample, Shape, recognise, recognise_rows, sample_at};
pub(crate) use stream::is_bomb;
pub use stream::{Encoding, Expansion, Stream};
pub use time::{Stamp, micros, rfc3339};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The record id made of this hash: `ev:` and the first 16 hex digits (DESIGN section 7).
    #[must_use]
    pub fn record_id(&self) -> String {
        format!("ev:{}", const_hex::encode(&self.0[..8]))
    }
}

impl FromStr for Digest {
    type Err = String;

    /// From 64 hex digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        const_hex::decode_to_slice(text, &mut bytes).map_err(|_| format!("{text:?} is no SHA-256"))?;
        Ok(Self(bytes))
    }
}

/// As hex where it is to be read, as the bytes where it is not.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            Deserialize::deserialize(deserializer).map(Self)
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a record lies: file (index into the manifest), number in the file, byte offset and length in the decompressed
/// stream. Ordered as the archive is read, so it also serves as a stable order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Locator {
    pub file: u32,
    /// 0-based.
    pub record: u64,
    pub offset: u64,
    pub length: u64,
}

impl Locator {
    /// It in four words, which are ordered as locators are.
    #[must_use]
    pub fn to_words(self) -> [u64; 4] {
        [u64::from(self.file), self.record, self.offset, self.length]
    }

    /// The locator that four words are.
    #[must_use]
    pub fn from_words([file, record, offset, length]: [u64; 4]) -> Self {
        Self { file: u32::try_from(file).unwrap_or(u32::MAX), record, offset, length }
    }
}
