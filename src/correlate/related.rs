//! The attempts that have to do with a failing one: those that share its job, recording, object, request or role.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::columns::Column;
use super::links::By;
use super::outline::{Block, Id, IdHash, Outline, flag};
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;

/// An attempt at a step of an export.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub row: Row,
    /// Index into [`Related::phases`].
    pub phase: u16,
    pub failing: bool,
    pub ok: bool,
    /// By what it belongs to its item.
    pub by: By,
}

/// Attempts that may belong to a failure, ascending by row of the table that holds them.
pub struct Related {
    pub attempts: Vec<Attempt>,
    /// Rows of the table that are no attempts, about the request of one that failed; ascending.
    pub asides: Vec<Row>,
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

/// Failing attempts whose ids are held at a time.
const SEEDS: usize = 1 << 18;

/// A share of all hashes: where an archive is large what failing attempts name is looked up share by share, so that it takes
/// no more memory than in a small one.
#[derive(Clone, Copy, Debug)]
struct Share {
    number: u64,
    of: u64,
}

impl Share {
    /// All shares of so many entries that each has some `most`.
    fn of(entries: usize, most: usize) -> impl Iterator<Item = Self> {
        let of = 1 + (entries / most) as u64;
        (0..of).map(move |number| Self { number, of })
    }

    /// Whether a hash is in it.
    const fn has(self, hash: IdHash) -> bool {
        self.of == 1 || hash % self.of == self.number
    }

    /// Whether it is the first, in which that is done which is done once.
    const fn is_first(self) -> bool {
        self.number == 0
    }
}

/// The rows that share an id with a failing attempt, ascending: the attempts, each with its step, and with 0 the records of
/// other sources than the trail that are no attempts, as far as they are about the request of a failing one.
///
/// # Errors
/// The outline cannot be read.
pub fn related(outline: &Outline) -> Result<Vec<(Row, Symbol)>> {
    let mut found = Vec::new();
    for share in Share::of(outline.count(flag::ATTEMPT | flag::FAILING), SEEDS) {
        let seeds = Seeds::gather(outline, share)?;
        let of_block = |block: &Block<'_>| -> Vec<(Row, Symbol)> {
            let own = SHARED.map(|(own, _)| block.id(own));
            let related = |n: &usize| {
                let request = || !block.is(*n, flag::TRAIL) && seeds.share_a_request(block, *n);
                if !block.is(*n, flag::ATTEMPT) {
                    return block.counts(*n) && request();
                }
                let failing = share.is_first() && block.is(*n, flag::FAILING);
                failing || seeds.share_an_id(&own, *n) || seeds.share_a_bucket(block, *n) || request()
            };
            let step = |n: usize| if block.is(n, flag::ATTEMPT) { block.names(Column::Phase)[n] } else { 0 };
            block.places().filter(related).map(|n| (block.row(n), step(n))).collect()
        };
        found.extend(outline.look(&LOOKED_AT, of_block)?.into_iter().flatten());
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

const LOOKED_AT: [Column; 11] = [
    Column::Phase,
    Column::Bucket,
    Column::Id(Id::Job),
    Column::Id(Id::Session),
    Column::Id(Id::Recording),
    Column::Id(Id::Conversation),
    Column::Id(Id::Object),
    Column::Id(Id::Role),
    Column::Id(Id::Key),
    Column::Id(Id::Request),
    Column::Id(Id::Correlation),
];

type Ids = HashSet<IdHash, foldhash::fast::RandomState>;

/// What failing attempts name.
struct Seeds {
    /// For each of [`SHARED`], the ids that count; those that other seeds of the same kind share are held once.
    ids: Vec<(Id, Ids)>,
    buckets: BTreeSet<Symbol>,
}

impl Seeds {
    /// What the failing attempts name, as far as the hashes of it are in `share`.
    fn gather(outline: &Outline, share: Share) -> Result<Self> {
        let mut kinds: Vec<Id> = SHARED.iter().map(|(_, of_seed)| *of_seed).collect();
        kinds.dedup();
        let of_block = |block: &Block<'_>| {
            let seeds: Vec<usize> =
                block.places().filter(|n| block.is(*n, flag::ATTEMPT) && block.is(*n, flag::FAILING)).collect();
            let of_kind = |id: &Id| -> Vec<IdHash> {
                let hashes = seeds.iter().map(|n| block.id(*id)[*n]);
                hashes.filter(|hash| *hash != 0 && share.has(*hash)).collect()
            };
            let buckets = seeds.iter().filter(|n| share.is_first() && names_bucket_only(block, **n));
            let buckets: Vec<Symbol> = buckets.map(|n| block.names(Column::Bucket)[*n]).collect();
            (kinds.iter().map(of_kind).collect::<Vec<_>>(), buckets)
        };
        let mut gathered =
            Self { ids: kinds.iter().map(|id| (*id, Ids::default())).collect(), buckets: BTreeSet::new() };
        for (ids, buckets) in outline.look(&LOOKED_AT, of_block)? {
            gathered.ids.iter_mut().zip(ids).for_each(|((_, set), more)| set.extend(more));
            gathered.buckets.extend(buckets);
        }
        Ok(gathered)
    }

    fn share_an_id(&self, own: &[&[IdHash]; SHARED.len()], place: usize) -> bool {
        SHARED.iter().zip(own).any(|((_, of_seed), own)| {
            let set = self.ids.iter().find(|(id, _)| id == of_seed);
            own[place] != 0 && set.is_some_and(|(_, set)| !set.is_empty() && set.contains(&own[place]))
        })
    }

    /// Whether a record is of a request that failed, by whichever of the two ids.
    fn share_a_request(&self, block: &Block<'_>, place: usize) -> bool {
        let kinds = [Id::Request, Id::Correlation];
        let own = kinds.map(|id| block.id(id)[place]);
        let sets = self.ids.iter().filter(|(id, set)| kinds.contains(id) && !set.is_empty());
        sets.into_iter().any(|(_, set)| own.iter().any(|id| *id != 0 && set.contains(id)))
    }

    fn share_a_bucket(&self, block: &Block<'_>, place: usize) -> bool {
        !self.buckets.is_empty()
            && names_bucket_only(block, place)
            && self.buckets.contains(&block.names(Column::Bucket)[place])
    }
}

/// Calls that name a bucket and nothing in it stand by the bucket.
fn names_bucket_only(block: &Block<'_>, place: usize) -> bool {
    let in_it = [Id::Object, Id::Job, Id::Role, Id::Key];
    block.names(Column::Bucket)[place] != 0 && in_it.iter().all(|id| block.id(*id)[place] == 0)
}

impl Related {
    /// The rows of the outline, each with its step, or 0 where it is no attempt; numbered as they are in the table of just
    /// these rows.
    #[must_use]
    pub fn new(outline: &Outline, rows: &[(Row, Symbol)]) -> Self {
        let mut numbers: BTreeMap<Symbol, u16> = BTreeMap::new();
        let (mut attempts, mut asides, mut phases) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (row, symbol)) in (0..).zip(rows) {
            if *symbol == 0 {
                asides.push(place);
                continue;
            }
            let phase = *numbers.entry(*symbol).or_insert_with(|| {
                phases.push(outline.symbols.name(*symbol).unwrap_or_default().to_owned());
                u16::try_from(phases.len() - 1).unwrap_or(u16::MAX)
            });
            let (failing, ok) = (outline.is(*row, flag::FAILING), outline.is(*row, flag::OK));
            attempts.push(Attempt { row: place, phase, failing, ok, by: By::Itself });
        }
        Self { attempts, asides, phases }
    }

    /// The name of an attempt's step.
    #[must_use]
    pub fn phase(&self, attempt: &Attempt) -> &str {
        &self.phases[attempt.phase as usize]
    }
}
