//! Dividing what has to do with failures, so that an archive with very many takes no more memory than one with some.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::columns::Column;
use super::issued::Keys;
use super::outline::{Block, Id, IdHash, Outline, flag};
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;
use crate::spill::{Size, Tell, by_share, halves};

/// Rows of attempts, each with its step, ascending.
pub type Attempts = Vec<(Row, Symbol)>;

/// Ids that are held at a time.
const HELD: usize = 1 << 18;
/// Kinds of id that an attempt names, more or less.
const KINDS: usize = 8;

const JOB: u8 = 0;
/// The ids by which attempts may come to be of the same item, each under the number of its kind: requests go by two names,
/// and the exporter's session is named after the job. A key that was issued to a job stands for it.
const SHARED: [(u8, Id); 9] = [
    (JOB, Id::Job),
    (JOB, Id::Session),
    (1, Id::Request),
    (1, Id::Correlation),
    (2, Id::Recording),
    (3, Id::Object),
    (4, Id::Conversation),
    (5, Id::Role),
    (6, Id::Key),
];
/// Attempts that name no such id stand by their bucket, or all together.
const BUCKET: u8 = 7;
const NOTHING: u8 = 8;

/// Divides the `related` attempts into waves of about `most`: attempts that share an id, directly or by way of others, are
/// in the same one, so that each can be worked on as if there were no other.
///
/// # Errors
/// The outline cannot be read.
pub fn divide(outline: &Outline, keys: &Keys, related: Attempts, most: usize) -> Result<Vec<Attempts>> {
    if related.len() <= most {
        return Ok(if related.is_empty() { Vec::new() } else { vec![related] });
    }
    let mut groups = Groups::new(related.len());
    let size = Size { expected: related.len() * KINDS, most: HELD };
    let tell_ids = |tell: &mut Tell<'_, 3>| tell_ids(outline, keys, &related, tell);
    by_share(size, tell_ids, Shared::default, Shared::take, |shared| {
        shared.again.into_iter().for_each(|[a, b]| groups.join(a as usize, b as usize));
        Ok(())
    })?;
    // Groups stay together; those whose first attempts lie near each other go together, because their other attempts are
    // likely to do so as well.
    let mut sizes: HashMap<u32, usize, foldhash::fast::RandomState> = HashMap::default();
    for place in 0..related.len() {
        *sizes.entry(groups.first_of(place)).or_default() += 1;
    }
    let (mut waves, mut of_group) =
        (Vec::<Attempts>::new(), HashMap::<u32, usize, foldhash::fast::RandomState>::default());
    let mut room = 0;
    for (place, attempt) in related.into_iter().enumerate() {
        let group = groups.first_of(place);
        let wave = *of_group.entry(group).or_insert_with(|| {
            let size = sizes[&group];
            if waves.is_empty() || size > room {
                waves.push(Attempts::new());
                room = most;
            }
            room = room.saturating_sub(size);
            waves.len() - 1
        });
        waves[wave].push(attempt);
    }
    Ok(waves)
}

/// Tells of each attempt's ids the kind and its place.
fn tell_ids(outline: &Outline, keys: &Keys, related: &[(Row, Symbol)], tell: &mut Tell<'_, 3>) -> Result<()> {
    let mut columns: Vec<Column> = SHARED.iter().map(|(_, id)| Column::Id(*id)).collect();
    columns.extend([Column::Bucket, Column::Id(Id::Credential)]);
    outline.tell(
        &columns,
        |block, say| {
            let start = related.partition_point(|(row, _)| *row < block.row(0));
            let places = (start..).zip(&related[start..]);
            for (place, n) in places.map_while(|(place, (row, _))| Some((place as u64, block.place(*row)?))) {
                let by_key = keys.job_of(block.id(Id::Credential)[n]).map(|job| (JOB, job));
                named(block, n).chain(by_key).for_each(|(kind, hash)| say(hash, [u64::from(kind), hash, place]));
            }
        },
        tell,
    )
}

/// The first place at which each id is named, and those that name one of them again.
#[derive(Default)]
struct Shared {
    first: HashMap<[u64; 2], u32, foldhash::fast::RandomState>,
    again: Vec<[u32; 2]>,
}

impl Shared {
    fn take(&mut self, [kind, hash, place]: [u64; 3]) {
        let [_, place] = halves(place);
        match self.first.entry([kind, hash]) {
            Entry::Occupied(first) => self.again.push([*first.get(), place]),
            Entry::Vacant(free) => drop(free.insert(place)),
        }
    }
}

/// What an attempt may share with others that may be of the same item: see `links.rs` and `items.rs`. A record that names
/// what it is about does not stand by its session, role or key, of which a whole archive may have but one.
fn named<'a>(block: &'a Block<'_>, n: usize) -> impl Iterator<Item = (u8, IdHash)> + 'a {
    let hash = move |id: Id| block.id(id)[n];
    let none = move |ids: &[Id]| ids.iter().all(|id| hash(*id) == 0);
    let of_job = hash(Id::Job) != 0;
    let by_session = !of_job && none(&[Id::Object, Id::Recording]);
    let by_role = by_session || (of_job && block.is(n, flag::FAILING));
    let by_key = !of_job && none(&[Id::Object, Id::Recording, Id::Conversation, Id::Role]);
    let ids = SHARED.into_iter().filter(move |(_, id)| match id {
        Id::Session => by_session,
        Id::Role => by_role,
        Id::Key => by_key,
        _ => true,
    });
    let by_bucket = by_key && none(&[Id::Key]);
    let bucket = block.names(Column::Bucket)[n];
    let by_itself = if bucket == 0 { (NOTHING, 0) } else { (BUCKET, IdHash::from(bucket)) };
    let ids = ids.map(move |(kind, id)| (kind, hash(id))).filter(|(_, hash)| *hash != 0);
    ids.chain(by_bucket.then_some(by_itself))
}

/// Sets of places, joined bit by bit.
struct Groups(Vec<u32>);

impl Groups {
    fn new(places: usize) -> Self {
        Self((0..u32::try_from(places).unwrap_or(u32::MAX)).collect())
    }

    /// The first place of the set that `place` is in.
    fn first_of(&mut self, place: usize) -> u32 {
        let mut at = place;
        while self.0[at] as usize != at {
            // What is on the way is put nearer for the next time.
            self.0[at] = self.0[self.0[at] as usize];
            at = self.0[at] as usize;
        }
        self.0[at]
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first_of(a), self.first_of(b));
        let (first, later) = (a.min(b), a.max(b));
        self.0[later as usize] = first;
    }
}
