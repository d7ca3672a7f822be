//! The attempts that have to do with a failing one: those that share its job, recording, object, request or role.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rayon::prelude::*;

use super::echoes::Echoes;
use super::outline::{Id, IdHash, Outline, flag};
use super::symbols::Symbol;
use super::table::Row;

/// An attempt at a step of an export.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub row: Row,
    /// Index into [`Related::phases`].
    pub phase: u16,
    pub failing: bool,
    pub ok: bool,
}

/// Attempts that may belong to a failure, ascending by row of the table that holds them.
pub struct Related {
    pub attempts: Vec<Attempt>,
    /// Names of the steps.
    pub phases: Vec<String>,
}

/// The ids by which records belong together; each with the id of a failing record that may name the same thing. Thing
/// and thing are compared, never time. A correlation id of the trail is the request id of the service, where the
/// exporter passes it on.
const SHARED: [(Id, Id); 11] = [
    (Id::Job, Id::Job),
    (Id::Job, Id::Session),
    (Id::Session, Id::Job),
    (Id::Recording, Id::Recording),
    (Id::Conversation, Id::Conversation),
    (Id::Object, Id::Object),
    (Id::Role, Id::Role),
    (Id::Key, Id::Key),
    (Id::Request, Id::Request),
    (Id::Correlation, Id::Request),
    (Id::Request, Id::Correlation),
];

/// Rows looked at by one thread in one go.
const RUN: usize = 64 * 1024;

/// Rows of the outline that are attempts, in its order.
#[must_use]
pub fn attempts(outline: &Outline) -> Vec<Row> {
    let echoes = Echoes::of(outline);
    outline.rows().filter(|row| outline.is_attempt(*row) && !echoes.holds(outline, *row)).collect()
}

/// Those of `attempts` that share an id with a failing one.
#[must_use]
pub fn related(outline: &Outline, attempts: &[Row]) -> Vec<Row> {
    let seeds: Vec<Row> = attempts.iter().copied().filter(|row| outline.is(*row, flag::FAILING)).collect();
    let sets: Vec<(Id, Ids)> = SHARED.iter().map(|(own, of_seed)| (*own, ids(outline, *of_seed, &seeds))).collect();
    let sets: Vec<(&[IdHash], Ids)> =
        sets.into_iter().filter(|(_, set)| !set.is_empty()).map(|(own, set)| (outline.id(own), set)).collect();
    let buckets = whole_buckets(outline, &seeds);
    let belongs = |row: &Row| {
        let n = *row as usize;
        outline.is(*row, flag::FAILING)
            || sets.iter().any(|(own, set)| own[n] != 0 && set.contains(&own[n]))
            || (names_bucket_only(outline, *row) && buckets.contains(&outline.bucket[n]))
    };
    attempts.par_chunks(RUN).flat_map_iter(|rows| rows.iter().copied().filter(belongs).collect::<Vec<Row>>()).collect()
}

type Ids = HashSet<IdHash, foldhash::fast::RandomState>;

fn ids(outline: &Outline, id: Id, rows: &[Row]) -> Ids {
    let column = outline.id(id);
    rows.iter().map(|row| column[*row as usize]).filter(|id| *id != 0).collect()
}

/// Calls that name a bucket and nothing in it stand by the bucket.
fn names_bucket_only(outline: &Outline, row: Row) -> bool {
    let n = row as usize;
    outline.bucket[n] != 0 && [Id::Object, Id::Job, Id::Role, Id::Key].iter().all(|id| outline.id(*id)[n] == 0)
}

fn whole_buckets(outline: &Outline, seeds: &[Row]) -> BTreeSet<Symbol> {
    seeds.iter().filter(|row| names_bucket_only(outline, **row)).map(|row| outline.bucket[*row as usize]).collect()
}

impl Related {
    /// The attempts at `rows` of the outline, numbered as they are in a table that holds the rows `held`.
    #[must_use]
    pub fn new(outline: &Outline, rows: &[Row], held: &[Row]) -> Self {
        let mut numbers: BTreeMap<Symbol, u16> = BTreeMap::new();
        let mut phases = Vec::new();
        let attempts = rows.iter().filter_map(|row| {
            let place = held.binary_search(row).ok().and_then(|n| Row::try_from(n).ok())?;
            let symbol = outline.phase[*row as usize];
            let phase = *numbers.entry(symbol).or_insert_with(|| {
                phases.push(outline.symbols.name(symbol).unwrap_or_default().to_owned());
                u16::try_from(phases.len() - 1).unwrap_or(u16::MAX)
            });
            let (failing, ok) = (outline.is(*row, flag::FAILING), outline.is(*row, flag::OK));
            Some(Attempt { row: place, phase, failing, ok })
        });
        let attempts = attempts.collect();
        Self { attempts, phases }
    }

    /// The name of an attempt's step.
    #[must_use]
    pub fn phase(&self, attempt: &Attempt) -> &str {
        &self.phases[attempt.phase as usize]
    }
}
