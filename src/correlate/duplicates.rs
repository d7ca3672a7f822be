//! Records that came twice: redelivered by the source, or exported into two files.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::columns::Column;
use super::outline::{Outline, Share, flag};
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;
use crate::evidence::{Digest, Input, Locator, cite};

/// Records whose ids and fingerprints are held at a time.
const HELD: usize = 1 << 20;

/// Marks the rows that repeat an earlier one and returns them, ascending: the same id in the same source, or the same
/// bytes. Equal fingerprints are only candidates; what counts is the SHA-256 of the records.
///
/// # Errors
/// A file cannot be read again.
pub fn mark(outline: &mut Outline, inputs: &[Input]) -> Result<Vec<Row>> {
    let mut duplicates = Vec::new();
    let mut candidates: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    for share in Share::of(outline.len(), HELD) {
        find(outline, share, &mut duplicates, &mut candidates)?;
    }
    duplicates.extend(confirmed(outline, inputs, &candidates)?);
    duplicates.sort_unstable();
    outline.mark(duplicates.iter().copied(), flag::DUPLICATE, flag::ATTEMPT);
    Ok(duplicates)
}

/// Finds those whose ids and fingerprints are in `share`.
fn find(
    outline: &Outline,
    share: Share,
    duplicates: &mut Vec<Row>,
    candidates: &mut BTreeMap<Row, Vec<Row>>,
) -> Result<()> {
    let mut by_uid: HashSet<(Symbol, u64), foldhash::fast::RandomState> = HashSet::default();
    let mut by_print: HashMap<u64, Row, foldhash::fast::RandomState> = HashMap::default();
    by_print.reserve(outline.without_uid.min(HELD));
    by_uid.reserve((outline.len() - outline.without_uid).min(HELD));
    for block in outline.blocks(&[Column::Source, Column::Uid, Column::Fingerprint]) {
        let block = block?;
        let sources = block.names(Column::Source);
        for n in block.places() {
            let (uid, print) = (block.uid[n], block.fingerprint[n]);
            if uid != 0 {
                if share.has(uid) && !by_uid.insert((sources[n], uid)) {
                    duplicates.push(block.row(n));
                }
            } else if share.has(print) {
                match by_print.entry(print) {
                    Entry::Occupied(first) => candidates.entry(*first.get()).or_default().push(block.row(n)),
                    Entry::Vacant(free) => drop(free.insert(block.row(n))),
                }
            }
        }
    }
    Ok(())
}

fn confirmed(outline: &Outline, inputs: &[Input], candidates: &BTreeMap<Row, Vec<Row>>) -> Result<Vec<Row>> {
    let rows = candidates.iter().flat_map(|(first, more)| std::iter::once(first).chain(more));
    let rows: Vec<Row> = rows.copied().collect::<BTreeSet<Row>>().into_iter().collect();
    let places: Vec<Locator> = outline.wanted(&rows)?.into_iter().map(|wanted| wanted.at).collect();
    let cited = cite(inputs, places.iter().copied())?;
    let digest = |row: Row| -> Option<Digest> { cited.get(&places[rows.binary_search(&row).ok()?]).copied() };
    Ok(candidates
        .iter()
        .flat_map(|(first, more)| more.iter().filter(|row| digest(**row) == digest(*first)))
        .copied()
        .collect())
}
