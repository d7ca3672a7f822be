//! Record ids of cited records.

use std::collections::{BTreeSet, HashMap};

use super::Evidence;
use crate::error::Result;
use crate::evidence::{Cited, Digest, Locator, cite};

/// Finds the SHA-256 of every record in `wanted`: computed while reading where the file is packed, else by going back.
///
/// # Errors
/// A file cannot be read again.
pub fn digests(evidence: &Evidence, wanted: BTreeSet<Locator>) -> Result<Cited> {
    let table = &evidence.correlated.table;
    let mut known: HashMap<Locator, Digest> = HashMap::new();
    #[expect(clippy::cast_possible_truncation, reason = "polars frames hold fewer than 2^32 rows")]
    for row in 0..table.len() as u32 {
        if let Some(digest) = table.sha256(row) {
            let at = table.locator(row);
            if wanted.contains(&at) {
                known.insert(at, digest);
            }
        }
    }
    known.extend(evidence.ingested.documents.iter().filter_map(|d| Some((d.at, d.sha256?))));
    let missing = wanted.into_iter().filter(|at| !known.contains_key(at));
    let read = cite(&evidence.discovery.inputs, missing)?;
    known.extend(read);
    Ok(known)
}
