//! Records that say the same as another: where one is left out, they must be too, else they take its place.

use std::collections::BTreeSet;

use crate::correlate::{Column, IdHash, Symbol};
use crate::error::Result;
use crate::evidence::{Digest, Locator};
use crate::report::Evidence;

/// `records` with all that repeat one of them: the same id in the same source, or the same bytes.
///
/// # Errors
/// The outline cannot be read again.
pub fn with_repeats(evidence: &Evidence, records: &BTreeSet<Locator>) -> Result<BTreeSet<Locator>> {
    let mut all = records.clone();
    let facts = || {
        let changes = evidence.ingested.changes.iter().map(|change| (change.at, change.sha256));
        changes.chain(evidence.ingested.documents.iter().map(|document| (document.at, document.sha256)))
    };
    let digests: BTreeSet<Digest> = facts().filter(|(at, _)| records.contains(at)).filter_map(|(_, d)| d).collect();
    all.extend(facts().filter(|(_, digest)| digest.is_some_and(|d| digests.contains(&d))).map(|(at, _)| at));
    if evidence.correlated.duplicates.is_empty() {
        return Ok(all);
    }
    let mut keys: BTreeSet<Key> = BTreeSet::new();
    rows(evidence, &mut |at, key| {
        if all.contains(&at) {
            keys.insert(key);
        }
    })?;
    rows(evidence, &mut |at, key| {
        if keys.contains(&key) {
            all.insert(at);
        }
    })?;
    Ok(all)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Uid(Symbol, IdHash),
    Fingerprint(u64),
}

fn rows(evidence: &Evidence, visit: &mut dyn FnMut(Locator, Key)) -> Result<()> {
    for block in evidence.correlated.outline.blocks(&[Column::Source, Column::Uid, Column::Fingerprint, Column::At]) {
        let block = block?;
        let sources = block.names(Column::Source);
        for n in block.places() {
            let key = match block.uid[n] {
                0 => Key::Fingerprint(block.fingerprint[n]),
                uid => Key::Uid(sources[n], uid),
            };
            visit(block.at[n], key);
        }
    }
    Ok(())
}
