//! Keys that a call issued, as `AssumeRole` does: later calls made with such a key belong to whoever had it issued. Only the
//! key ties them, never the name of the role, nor closeness in time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::columns::Column;
use super::outline::{Block, Id, IdHash, Outline};
use super::symbols::Symbol;
use super::table::{EventTable, Row};
use crate::error::Result;
use crate::ingest::Text;

/// How often a key may have been issued to one that was issued itself.
pub const HOPS: usize = 8;

type Ids = HashSet<IdHash, foldhash::fast::RandomState>;

/// By the hash of a key or a request that of its job; 0 where several are named, which makes it none's.
type Jobs = HashMap<IdHash, IdHash, foldhash::fast::RandomState>;

/// The jobs that keys were issued to.
#[derive(Default)]
pub struct Keys {
    jobs: Jobs,
    /// The ids of these jobs.
    ids: HashMap<IdHash, String, foldhash::fast::RandomState>,
}

impl Keys {
    /// Those of the keys with which the `related` attempts (ascending) were made.
    ///
    /// # Errors
    /// The outline cannot be read.
    pub fn find(outline: &Outline, related: &[(Row, Symbol)]) -> Result<Self> {
        let mut keys = Jobs::default();
        if outline.issued == 0 {
            return Ok(Self::default());
        }
        let issuers = all_issuers(outline, related)?;
        let requests = requests(outline, &issuers)?;
        for _ in 0..HOPS {
            let before = keys.len();
            for issuer in &issuers {
                let known = |jobs: &Jobs, id: IdHash| jobs.get(&id).copied().filter(|job| *job != 0);
                let named = Some(issuer.job).filter(|job| *job != 0);
                let by_request = || issuer.requests.iter().find_map(|id| known(&requests, *id));
                let by_session = || Some(issuer.session).filter(|name| outline.jobs.get(*name).is_some());
                let job = named.or_else(by_request).or_else(by_session);
                if let Some(job) = job.or_else(|| known(&keys, issuer.credential)) {
                    agree(&mut keys, issuer.key, job);
                }
            }
            if keys.len() == before {
                break;
            }
        }
        let mut ids = HashMap::default();
        let named: BTreeSet<IdHash> = keys.values().copied().filter(|job| *job != 0).collect();
        for job in named {
            ids.extend(outline.jobs.id(job)?.map(|id| (job, id)));
        }
        Ok(Self { jobs: keys, ids })
    }

    /// The hash of the job to which a key was issued, by the hash of the key.
    #[must_use]
    pub fn job_of(&self, key: IdHash) -> Option<IdHash> {
        self.jobs.get(&key).copied().filter(|job| *job != 0)
    }

    /// The job to which the key of a row was issued.
    #[must_use]
    pub fn job(&self, table: &EventTable, outline: &Outline, row: Row) -> Option<&str> {
        if self.jobs.is_empty() {
            return None;
        }
        let job = self.job_of(outline.hash(table.text(Text::Credential, row)?))?;
        self.ids.get(&job).map(String::as_str)
    }
}

/// Notes the job of an id; two jobs make none.
fn agree(found: &mut Jobs, id: IdHash, job: IdHash) {
    let held = found.entry(id).or_insert(job);
    if *held != job {
        *held = 0;
    }
}

/// A call that issued a key.
struct Issuer {
    key: IdHash,
    credential: IdHash,
    job: IdHash,
    session: IdHash,
    requests: [IdHash; 2],
}

/// The calls that issued the keys with which the `related` attempts were made, and those that issued the keys of these.
fn all_issuers(outline: &Outline, related: &[(Row, Symbol)]) -> Result<Vec<Issuer>> {
    let mut keys = credentials(outline, related)?;
    let (mut new, mut found) = (keys.clone(), Vec::new());
    for _ in 0..HOPS {
        let mut next = Ids::default();
        for issuer in issuers(outline, &new)? {
            if issuer.credential != 0 && keys.insert(issuer.credential) {
                next.insert(issuer.credential);
            }
            found.push(issuer);
        }
        new = next;
        if new.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// The keys that some rows were called with.
fn credentials(outline: &Outline, rows: &[(Row, Symbol)]) -> Result<Ids> {
    let of_block = |block: &Block<'_>| -> Vec<IdHash> {
        let first = rows.partition_point(|(row, _)| *row < block.row(0));
        let here = rows[first..].iter().map_while(|(row, _)| block.place(*row));
        here.map(|n| block.id(Id::Credential)[n]).filter(|key| *key != 0).collect()
    };
    Ok(outline.look(&[Column::Id(Id::Credential)], of_block)?.into_iter().flatten().collect())
}

fn issuers(outline: &Outline, keys: &Ids) -> Result<Vec<Issuer>> {
    let kinds = [Id::Issued, Id::Credential, Id::Job, Id::Session, Id::Request, Id::Correlation];
    let of_block = |block: &Block<'_>| -> Vec<Issuer> {
        let asked = block.places().filter(|n| keys.contains(&block.id(Id::Issued)[*n]) && block.counts(*n));
        let issuer = |n: usize| Issuer {
            key: block.id(Id::Issued)[n],
            credential: block.id(Id::Credential)[n],
            job: block.id(Id::Job)[n],
            session: block.id(Id::Session)[n],
            requests: [block.id(Id::Request)[n], block.id(Id::Correlation)[n]],
        };
        asked.map(issuer).collect()
    };
    Ok(outline.look(&kinds.map(Column::Id), of_block)?.into_iter().flatten().collect())
}

/// The jobs that name the requests of `issuers`.
fn requests(outline: &Outline, issuers: &[Issuer]) -> Result<Jobs> {
    let asked: Ids = issuers.iter().flat_map(|issuer| issuer.requests).filter(|id| *id != 0).collect();
    let of_block = |block: &Block<'_>| {
        let mut found: BTreeMap<IdHash, Vec<IdHash>> = BTreeMap::new();
        for n in block.places().filter(|n| block.id(Id::Job)[*n] != 0 && block.counts(*n)) {
            let job = block.id(Id::Job)[n];
            for id in
                [Id::Request, Id::Correlation].map(|id| block.id(id)[n]).into_iter().filter(|id| asked.contains(id))
            {
                let jobs = found.entry(id).or_default();
                // Two are one too many already.
                if jobs.len() < 2 && !jobs.contains(&job) {
                    jobs.push(job);
                }
            }
        }
        found
    };
    let mut found = Jobs::default();
    let kinds = [Id::Job, Id::Request, Id::Correlation];
    for (id, jobs) in outline.look(&kinds.map(Column::Id), of_block)?.into_iter().flatten() {
        for job in jobs {
            agree(&mut found, id, job);
        }
    }
    Ok(found)
}
