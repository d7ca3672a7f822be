//! Records that came twice: redelivered by the source, or exported into two files.

use std::collections::{BTreeMap, HashMap};

use super::table::{EventTable, Row};
use crate::error::Result;
use crate::evidence::{Digest, Input, cite};
use crate::ingest::Text;

/// Rows that repeat an earlier one, ascending: the same id in the same source, or the same bytes. Equal fingerprints are
/// only candidates; what counts is the SHA-256 of the records.
///
/// # Errors
/// A file cannot be read again.
pub fn find(table: &EventTable, inputs: &[Input]) -> Result<Vec<Row>> {
    let mut by_uid: HashMap<(&str, &str), Row> = HashMap::new();
    let mut by_print: HashMap<u64, Row> = HashMap::new();
    let mut duplicates = Vec::new();
    let mut candidates: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    #[expect(clippy::cast_possible_truncation, reason = "polars frames hold fewer than 2^32 rows")]
    for row in 0..table.len() as u32 {
        if let Some(uid) = table.text(Text::Uid, row) {
            if by_uid.insert((table.source(row), uid), row).is_some() {
                duplicates.push(row);
            }
        } else if let Some(first) = by_print.get(&table.fingerprint(row)) {
            candidates.entry(*first).or_default().push(row);
        } else {
            by_print.insert(table.fingerprint(row), row);
        }
    }
    duplicates.extend(confirmed(table, inputs, &candidates)?);
    duplicates.sort_unstable();
    Ok(duplicates)
}

fn confirmed(table: &EventTable, inputs: &[Input], candidates: &BTreeMap<Row, Vec<Row>>) -> Result<Vec<Row>> {
    let rows = candidates.iter().flat_map(|(first, more)| std::iter::once(first).chain(more));
    let unhashed = rows.filter(|row| table.sha256(**row).is_none()).map(|row| table.locator(*row));
    let cited = cite(inputs, unhashed)?;
    let digest = |row: Row| -> Option<Digest> { table.sha256(row).or_else(|| cited.get(&table.locator(row)).copied()) };
    Ok(candidates
        .iter()
        .flat_map(|(first, more)| more.iter().filter(|row| digest(**row) == digest(*first)))
        .copied()
        .collect())
}
