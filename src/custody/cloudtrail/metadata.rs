//! The metadata of a digest's object, saved beside the digest: its signature.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::keys::ALGORITHM;
use crate::ingest::AssumedZone;

/// S3 allows two kilobytes of metadata; the whole answer of `head-object` is a little longer.
const LARGEST: u64 = 64 * 1024;

/// Metadata that could be read.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Hex, as written.
    pub signature: String,
    /// When a backfill digest was made, microseconds since 1970, UTC.
    pub generated: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Saved {
    signature: Option<String>,
    signature_algorithm: Option<String>,
    backfill_generation_timestamp: Option<String>,
    /// Where the whole answer of `head-object` was saved.
    #[serde(rename = "Metadata")]
    inner: Option<Box<Saved>>,
}

/// Reads the metadata at `path`.
///
/// # Errors
/// It cannot be read, is not such metadata, lacks something, or names another algorithm.
pub(super) fn read(path: &Path, backfill: bool) -> Result<Metadata, String> {
    let mut text = Vec::new();
    let file = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
    file.map_err(|e| format!("its metadata cannot be read: {e}"))?;
    if text.len() as u64 > LARGEST {
        return Err("its metadata is longer than S3 allows".to_owned());
    }
    let mut saved: Saved =
        serde_json::from_slice(&text).map_err(|e| format!("its metadata is not JSON as expected: {e}"))?;
    if let Some(inner) = saved.inner.take() {
        saved = *inner;
    }
    let Some(signature) = saved.signature else { return Err("its metadata holds no `signature`".to_owned()) };
    match saved.signature_algorithm.as_deref() {
        Some(ALGORITHM) => {}
        Some(other) => {
            return Err(format!("its metadata names the signature algorithm `{other}`; only {ALGORITHM} is known"));
        }
        None => return Err("its metadata holds no `signature-algorithm`".to_owned()),
    }
    let generated = match saved.backfill_generation_timestamp {
        _ if !backfill => None,
        None => return Err("its metadata holds no `backfill-generation-timestamp`".to_owned()),
        Some(text) => {
            Some(time(&text).ok_or_else(|| format!("its `backfill-generation-timestamp` is no time: `{text}`"))?)
        }
    };
    Ok(Metadata { signature, generated })
}

fn time(text: &str) -> Option<i64> {
    AssumedZone::default().read(text)?.micros
}
