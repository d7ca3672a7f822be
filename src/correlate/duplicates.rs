//! Records that came twice: redelivered by the source, or exported into two files.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::outline::{Outline, flag};
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;
use crate::evidence::{Digest, Input, cite};

/// Marks the rows that repeat an earlier one and returns them, ascending: the same id in the same source, or the same
/// bytes. Equal fingerprints are only candidates; what counts is the SHA-256 of the records.
///
/// # Errors
/// A file cannot be read again.
pub fn mark(outline: &mut Outline, inputs: &[Input]) -> Result<Vec<Row>> {
    let mut by_uid: HashSet<(Symbol, u64), foldhash::fast::RandomState> = HashSet::default();
    let mut by_print: HashMap<u64, Row, foldhash::fast::RandomState> = HashMap::default();
    let without_uid = outline.uid.iter().filter(|uid| **uid == 0).count();
    by_print.reserve(without_uid);
    by_uid.reserve(outline.len() - without_uid);
    let mut duplicates = Vec::new();
    let mut candidates: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    for row in outline.rows() {
        let (uid, print) = (outline.uid[row as usize], outline.fingerprint[row as usize]);
        if uid != 0 {
            if !by_uid.insert((outline.source[row as usize], uid)) {
                duplicates.push(row);
            }
        } else if let Some(first) = by_print.get(&print) {
            candidates.entry(*first).or_default().push(row);
        } else {
            by_print.insert(print, row);
        }
    }
    duplicates.extend(confirmed(outline, inputs, &candidates)?);
    duplicates.sort_unstable();
    for row in &duplicates {
        outline.flags[*row as usize] |= flag::DUPLICATE;
    }
    Ok(duplicates)
}

fn confirmed(outline: &Outline, inputs: &[Input], candidates: &BTreeMap<Row, Vec<Row>>) -> Result<Vec<Row>> {
    let at = |row: Row| outline.at[row as usize];
    let rows = candidates.iter().flat_map(|(first, more)| std::iter::once(first).chain(more));
    let cited = cite(inputs, rows.map(|row| at(*row)))?;
    let digest = |row: Row| -> Option<Digest> { cited.get(&at(row)).copied() };
    Ok(candidates
        .iter()
        .flat_map(|(first, more)| more.iter().filter(|row| digest(**row) == digest(*first)))
        .copied()
        .collect())
}
