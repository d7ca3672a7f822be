//! Records that came twice: redelivered by the source, or exported into two files; and records that a later one amends.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::columns::Column;
use super::outline::{Block, IdHash, Outline, flag};
use super::reexports;
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;
use crate::evidence::{Digest, Input, Locator, cite};
use crate::ingest::Reread;
use crate::spill::{Size, Tell, Twice, by_share, halves, joined};

/// Records whose ids and fingerprints are held at a time.
const HELD: usize = 1 << 20;

/// Records that do not count.
#[derive(Default)]
pub struct Repeated {
    /// Rows that repeat an earlier one, ascending.
    pub duplicates: Vec<Row>,
    /// Rows that an amended record takes the place of, ascending, with that record's row.
    pub superseded: Vec<(Row, Row)>,
}

/// Marks the rows that repeat an earlier one (the same id in the same source, the same bytes, or in another file the same
/// in every column) and those that an amended record takes the place of.
///
/// # Errors
/// A file cannot be read again.
pub fn mark(outline: &mut Outline, reread: &Reread<'_>) -> Result<Repeated> {
    let mut duplicates = Vec::new();
    let mut candidates: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    find(outline, &mut duplicates, &mut candidates)?;
    duplicates.extend(confirmed(outline, reread.inputs, &candidates)?);
    outline.mark(duplicates.iter().copied(), flag::DUPLICATE, flag::ATTEMPT);
    let again = reexports::find(outline, reread)?;
    outline.mark(again.iter().copied(), flag::DUPLICATE, flag::ATTEMPT);
    duplicates.extend(again);
    duplicates.sort_unstable();
    let superseded = superseded(outline, reread.inputs)?;
    outline.mark(superseded.keys().copied(), flag::SUPERSEDED, flag::ATTEMPT);
    Ok(Repeated { duplicates, superseded: superseded.into_iter().collect() })
}

/// Finds those with the id, or the bytes, of an earlier one. Equal fingerprints are only candidates; what counts is the
/// SHA-256 of the records. An addendum may bear the id of the record that it amends, and repeats only other addenda.
fn find(outline: &Outline, duplicates: &mut Vec<Row>, candidates: &mut BTreeMap<Row, Vec<Row>>) -> Result<()> {
    let size = Size { expected: outline.len(), most: HELD };
    let several = Twice::of(outline.len());
    let note = |block: &Block<'_>| block.places().for_each(|n| several.note(key(block, n)));
    outline.look(&[Column::Uid, Column::Fingerprint], note)?;
    by_share(
        size,
        |tell| tell_all(outline, &several, tell),
        Met::default,
        Met::take,
        |met| {
            duplicates.extend(met.duplicates);
            for (first, more) in met.candidates {
                candidates.entry(first).or_default().extend(more);
            }
            Ok(())
        },
    )
}

/// What two records have in common of which one repeats the other.
fn key(block: &Block<'_>, place: usize) -> u64 {
    if block.uid[place] == 0 { block.fingerprint[place] } else { block.uid[place] }
}

/// Tells of each record that may not be the only one of its kind its row, its source, its id, or else 0 and its fingerprint,
/// and the id of what it amends or 0.
fn tell_all(outline: &Outline, several: &Twice, tell: &mut Tell<'_, 4>) -> Result<()> {
    let amended_by = |row: Row| {
        let found = outline.amendments.binary_search_by_key(&row, |(amending, _)| *amending);
        found.map_or(0, |place| outline.amendments[place].1)
    };
    outline.tell(
        &[Column::Source, Column::Uid, Column::Fingerprint],
        |block, say| {
            let sources = block.names(Column::Source);
            for n in block.places() {
                let (row, key) = (block.row(n), key(block, n));
                if several.may_have(key) {
                    say(key, [joined(row, sources[n]), block.uid[n], block.fingerprint[n], amended_by(row)]);
                }
            }
        },
        tell,
    )
}

/// The records of a share that were met so far.
#[derive(Default)]
struct Met {
    by_uid: HashSet<(Symbol, u64), foldhash::fast::RandomState>,
    addenda: HashSet<(Symbol, u64, IdHash), foldhash::fast::RandomState>,
    by_print: HashMap<u64, Row, foldhash::fast::RandomState>,
    duplicates: Vec<Row>,
    candidates: BTreeMap<Row, Vec<Row>>,
}

impl Met {
    fn take(&mut self, [known, uid, print, amends]: [u64; 4]) {
        let [row, source] = halves(known);
        if uid == 0 {
            match self.by_print.entry(print) {
                Entry::Occupied(first) => self.candidates.entry(*first.get()).or_default().push(row),
                Entry::Vacant(free) => drop(free.insert(row)),
            }
            return;
        }
        let new =
            if amends == 0 { self.by_uid.insert((source, uid)) } else { self.addenda.insert((source, uid, amends)) };
        if !new {
            self.duplicates.push(row);
        }
    }
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

/// The rows that an amended record takes the place of, whichever came first, with that record's row. Of several that amend
/// the same record the latest counts; of such at the same time, the one with the greatest SHA-256.
fn superseded(outline: &Outline, inputs: &[Input]) -> Result<BTreeMap<Row, Row>> {
    let mut by = BTreeMap::new();
    if outline.amendments.is_empty() {
        return Ok(by);
    }
    let amending = latest(outline, inputs)?;
    for block in outline.blocks(&[Column::Source, Column::Uid]) {
        let block = block?;
        for n in block.places().filter(|n| block.uid[*n] != 0 && block.counts(*n)) {
            let key = (block.names(Column::Source)[n], block.uid[n]);
            let latest = amending.get(&key).map(|(latest, _)| *latest);
            by.extend(latest.filter(|latest| *latest != block.row(n)).map(|latest| (block.row(n), latest)));
        }
    }
    by.extend(amending.into_values().flat_map(|(latest, others)| others.into_iter().map(move |row| (row, latest))));
    let circular: Vec<Row> = by.keys().copied().filter(|row| goes_round(&by, *row)).collect();
    for row in circular {
        by.remove(&row);
    }
    Ok(by)
}

/// By source and id of what is amended: the row that counts, and others that amend the same.
type Amending = HashMap<(Symbol, IdHash), (Row, Vec<Row>), foldhash::fast::RandomState>;

fn latest(outline: &Outline, inputs: &[Input]) -> Result<Amending> {
    let mut amending: HashMap<(Symbol, IdHash), Vec<(i64, Row)>, foldhash::fast::RandomState> = HashMap::default();
    let mut amendments = outline.amendments.iter().peekable();
    for block in outline.blocks(&[Column::Source, Column::Time]) {
        let block = block?;
        for n in block.places() {
            let amends = amendments.next_if(|(amending, _)| *amending == block.row(n));
            if let Some((row, original)) = amends.filter(|_| block.counts(n)) {
                let key = (block.names(Column::Source)[n], *original);
                amending.entry(key).or_default().push((block.time[n], *row));
            }
        }
    }
    let several = amending.values().filter(|rows| rows.len() > 1).flatten().map(|(_, row)| *row);
    let several: Vec<Row> = several.collect::<BTreeSet<Row>>().into_iter().collect();
    let places = outline.wanted(&several)?;
    let digests = cite(inputs, places.iter().map(|wanted| wanted.at))?;
    let digest = |row: Row| digests.get(&places[several.binary_search(&row).ok()?].at).copied();
    let chosen = amending.into_iter().filter_map(|(key, mut rows)| {
        rows.sort_unstable_by_key(|(time, row)| (*time, digest(*row), *row));
        let (_, latest) = rows.pop()?;
        Some((key, (latest, rows.into_iter().map(|(_, row)| row).collect())))
    });
    Ok(chosen.collect())
}

/// Whether records amend each other: then none of them takes the place of another.
fn goes_round(by: &BTreeMap<Row, Row>, row: Row) -> bool {
    let mut seen = BTreeSet::new();
    let mut at = row;
    while let Some(next) = by.get(&at) {
        if !seen.insert(at) {
            return true;
        }
        at = *next;
    }
    false
}
