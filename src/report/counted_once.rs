//! Records that do not count: they repeat another, or an amended one takes their place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::Evidence;
use crate::correlate::{Correlated, Row};
use crate::error::Result;
use crate::evidence::{Cited, Digest, Input, Locator, cite};
use crate::ingest::{Document, Ingested};

/// A record that an amended one takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Superseded {
    pub file: String,
    /// 0-based number in the file.
    pub record: u64,
    pub record_id: Option<String>,
    /// The record that takes its place.
    pub superseded_by: Option<String>,
}

/// Counts such records in the ledger, and takes the changes and documents that they carry out of the evidence. Gives the
/// records of state that say what one before them says.
///
/// # Errors
/// The outline cannot be read.
pub fn take_out(ingested: &mut Ingested, correlated: &Correlated) -> Result<Vec<Locator>> {
    let places = |rows: &[Row]| -> Result<BTreeSet<Locator>> {
        Ok(correlated.outline.wanted(rows)?.into_iter().map(|wanted| wanted.at).collect())
    };
    let superseded: Vec<Row> = correlated.repeated.superseded.iter().map(|(row, _)| *row).collect();
    let (mut repeated, superseded) = (places(&correlated.repeated.duplicates)?, places(&superseded)?);
    let saved_again = saved_again(&ingested.documents);
    repeated.extend(&saved_again);
    for at in &repeated {
        ingested.files[at.file as usize].duplicates += 1;
    }
    for at in &superseded {
        ingested.files[at.file as usize].superseded += 1;
    }
    let counts = |at: &Locator| !repeated.contains(at) && !superseded.contains(at);
    ingested.changes.retain(|change| counts(&change.at));
    ingested.documents.retain(|document| counts(&document.at));
    Ok(saved_again)
}

/// Records of state that say what one before them says. What was logged is told apart by its events. Equal bodies were made
/// one when they were read.
fn saved_again(documents: &[Document]) -> Vec<Locator> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for of_record in documents.chunk_by(|a, b| a.at == b.at).filter(|of| of.iter().all(|d| d.time.is_none())) {
        let says: Vec<_> = of_record.iter().map(|d| (d.kind, &d.subjects, Arc::as_ptr(&d.body))).collect();
        if !seen.insert(says) {
            found.push(of_record[0].at);
        }
    }
    found
}

/// The superseded records by their names, in the order of the archive.
///
/// # Errors
/// A file cannot be read again.
pub fn superseded(evidence: &Evidence) -> Result<Vec<Superseded>> {
    let inputs = &evidence.discovery.inputs;
    let Correlated { outline, repeated, .. } = &evidence.correlated;
    let rows: BTreeSet<Row> = repeated.superseded.iter().flat_map(|(row, by)| [*row, *by]).collect();
    let rows: Vec<Row> = rows.into_iter().collect();
    let places = outline.wanted(&rows)?;
    let at = |row: Row| Some(places[rows.binary_search(&row).ok()?].at);
    let pairs: BTreeMap<Locator, Locator> =
        repeated.superseded.iter().filter_map(|(row, by)| at(*row).zip(at(*by))).collect();
    let digests = cite(inputs, pairs.iter().flat_map(|(at, by)| [*at, *by]))?;
    Ok(pairs.iter().map(|(at, by)| named(inputs, &digests, at, by)).collect())
}

fn named(inputs: &[Input], digests: &Cited, at: &Locator, by: &Locator) -> Superseded {
    let id = |at: &Locator| digests.get(at).map(Digest::record_id);
    let file = inputs[at.file as usize].label.to_string();
    Superseded { file, record: at.record, record_id: id(at), superseded_by: id(by) }
}
