//! Record ids of cited records.

use std::collections::BTreeSet;

use super::Evidence;
use crate::correlate::EventTable;
use crate::error::Result;
use crate::evidence::{Cited, Locator, cite};
use crate::ingest::Ingested;

/// Finds the SHA-256 of every record in `wanted`, computed while reading where it is that of a row of `table`, of a change
/// or of a document, else by going back.
///
/// # Errors
/// A file cannot be read again.
pub fn digests(evidence: &Evidence, table: &EventTable, wanted: &BTreeSet<Locator>) -> Result<Cited> {
    let Ingested { changes, documents, .. } = &evidence.ingested;
    let of_rows = table.rows().filter_map(|row| Some((table.locator(row), table.sha256(row)?)));
    let of_changes = changes.iter().filter_map(|change| Some((change.at, change.sha256?)));
    let of_documents = documents.iter().filter_map(|document| Some((document.at, document.sha256?)));
    let all = of_rows.chain(of_changes).chain(of_documents);
    let mut known: Cited = all.filter(|(at, _)| wanted.contains(at)).collect();
    let read = cite(&evidence.discovery.inputs, wanted.iter().copied().filter(|at| !known.contains_key(at)))?;
    known.extend(read);
    Ok(known)
}
