//! Which records belong to a job, and by what.

use std::collections::{BTreeMap, BTreeSet};

use super::Evidence;
use crate::correlate::{Block, By, Column, EventTable, Failure, HOPS, Id, IdHash, Row, Symbol, Wave};
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, Text};

/// By what a record belongs to a job.
#[derive(Clone, Debug)]
pub enum Joint {
    /// An id that it shares with the job's records, or by which one of the job's failures has it.
    By(By),
    /// A hold on one of the job's items.
    Hold,
    /// It changed what the job used.
    Change { what: &'static str, of: String },
}

impl Joint {
    /// The name used in timelines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::By(by) => by.name(),
            Self::Hold => "hold_id",
            Self::Change { what, .. } => what,
        }
    }

    /// The column of the record that holds the shared id.
    #[must_use]
    pub fn column(&self) -> Option<Text> {
        match self {
            Self::By(by) => by.column(),
            Self::Hold => Some(Text::HoldId),
            Self::Change { .. } => None,
        }
    }
}

/// Ids by which a record without the job's id belongs to it, the most exact first. The service's and the caller's id of a
/// request are compared with each other.
const SHARED: [(Id, By); 5] = [
    (Id::Request, By::Request),
    (Id::Correlation, By::Correlation),
    (Id::Recording, By::Recording),
    (Id::Object, By::Object),
    (Id::Conversation, By::Conversation),
];

/// What the records that name a job say of it.
struct Own {
    job: IdHash,
    rows: Vec<Row>,
    /// The ids that they name, by kind.
    shared: [BTreeSet<IdHash>; SHARED.len()],
    holds: BTreeSet<IdHash>,
    /// Keys that were issued to it.
    keys: BTreeSet<IdHash>,
    times: Vec<i64>,
    callers: BTreeSet<Symbol>,
    buckets: BTreeSet<Symbol>,
}

impl Own {
    fn find(evidence: &Evidence, job: IdHash) -> Result<Self> {
        let mut own = Self {
            job,
            rows: Vec::new(),
            shared: Default::default(),
            holds: BTreeSet::new(),
            keys: BTreeSet::new(),
            times: Vec::new(),
            callers: BTreeSet::new(),
            buckets: BTreeSet::new(),
        };
        let ids = SHARED.map(|(id, _)| Column::Id(id)).into_iter();
        let ids = ids.chain([Id::Job, Id::Hold].map(Column::Id));
        let columns: Vec<Column> = ids.chain([Column::Time, Column::Principal, Column::Bucket]).collect();
        for block in evidence.correlated.outline.blocks(&columns) {
            let block = block?;
            let known = |id: Id, n: usize| Some(block.id(id)[n]).filter(|hash| *hash != 0);
            for n in block.places().filter(|n| block.id(Id::Job)[*n] == job) {
                for ((id, _), held) in SHARED.iter().zip(&mut own.shared) {
                    held.extend(known(*id, n));
                }
                own.holds.extend(known(Id::Hold, n));
                own.rows.push(block.row(n));
                own.times.extend(block.known_time(n));
                own.callers.insert(block.names(Column::Principal)[n]);
                own.buckets.insert(block.names(Column::Bucket)[n]);
            }
        }
        let requests: BTreeSet<IdHash> = own.shared[..2].iter().flatten().copied().collect();
        own.shared[..2].fill(requests);
        own.find_keys(evidence)?;
        Ok(own)
    }

    /// Finds the keys that calls of the job had issued, and calls with those.
    fn find_keys(&mut self, evidence: &Evidence) -> Result<()> {
        let outline = &evidence.correlated.outline;
        let kinds = [Id::Issued, Id::Credential, Id::Job, Id::Session, Id::Request, Id::Correlation];
        for _ in 0..HOPS {
            if outline.issued == 0 {
                break;
            }
            let before = self.keys.len();
            let of_block = |block: &Block<'_>| -> Vec<IdHash> {
                let issued = block.places().filter(|n| block.id(Id::Issued)[*n] != 0 && block.counts(*n));
                issued.filter(|n| self.had_issued(block, *n)).map(|n| block.id(Id::Issued)[n]).collect()
            };
            let found = outline.look(&kinds.map(Column::Id), of_block)?;
            self.keys.extend(found.into_iter().flatten());
            if self.keys.len() == before {
                break;
            }
        }
        Ok(())
    }

    fn had_issued(&self, block: &Block<'_>, n: usize) -> bool {
        let is = |id: Id, set: &BTreeSet<IdHash>| set.contains(&block.id(id)[n]);
        let named = block.id(Id::Job)[n] == self.job || block.id(Id::Session)[n] == self.job;
        let [requests, ..] = &self.shared;
        named || is(Id::Request, requests) || is(Id::Correlation, requests) || is(Id::Credential, &self.keys)
    }

    fn shares(&self, block: &Block<'_>, n: usize) -> Option<Joint> {
        let is = |id: Id, set: &BTreeSet<IdHash>| set.contains(&block.id(id)[n]);
        let by_id = SHARED.iter().zip(&self.shared).find(|((id, _), ids)| is(*id, ids)).map(|((_, by), _)| *by);
        let by_hold = is(Id::Hold, &self.holds).then_some(Joint::Hold);
        let by_session = || (block.id(Id::Session)[n] == self.job).then_some(By::Session);
        let by_key = || is(Id::Credential, &self.keys).then_some(By::IssuedKey);
        match by_id {
            // A hold may be on many conversations; that it is the same says more.
            None | Some(By::Conversation) if by_hold.is_some() => by_hold,
            by_id => by_id.or_else(by_session).or_else(by_key).map(Joint::By),
        }
    }
}

/// What a record is to a failure of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The failing attempt of this number, from 1.
    Failing(usize),
    /// Another source's record of a failing attempt.
    Witness,
    /// The attempt that succeeded at last.
    Recovery,
}

/// The records of a job.
pub struct Joined {
    /// The rows of the outline, ascending, and by what they belong to the job.
    pub rows: Vec<(Row, Joint)>,
    /// The attempts of its failures, each with the failure's id.
    pub marks: BTreeMap<Locator, (String, Mark)>,
}

fn mark(failure: &Failure, table: &EventTable, marks: &mut BTreeMap<Locator, (String, Mark)>) {
    let witnesses = failure.witnesses.iter().map(|row| (row, Mark::Witness));
    let failing = (1..).zip(&failure.failing).map(|(n, row)| (row, Mark::Failing(n)));
    let recovery = failure.recovery.iter().map(|row| (row, Mark::Recovery));
    let all = witnesses.chain(failing).chain(recovery);
    marks.extend(all.map(|(row, mark)| (table.locator(*row), (failure.id.clone(), mark))));
}

/// Finds the records of `job`.
///
/// # Errors
/// The outline cannot be read.
pub fn joined(evidence: &Evidence, job: &str) -> Result<Joined> {
    let outline = &evidence.correlated.outline;
    let own = Own::find(evidence, outline.hash(job))?;
    let changed = changes(evidence, &own);
    let mut linked: BTreeMap<Locator, By> = BTreeMap::new();
    let mut marks = BTreeMap::new();
    for wave in evidence.correlated.waves_of(&own.rows, &evidence.reread()) {
        let Wave { table, failures, .. } = wave?;
        for failure in failures.iter().filter(|failure| failure.job_id.as_deref() == Some(job)) {
            let links = failure.attempts.iter().zip(&failure.links);
            linked.extend(links.map(|(row, by)| (table.locator(*row), *by)));
            mark(failure, &table, &mut marks);
        }
    }
    let by = |block: &Block<'_>, n: usize| {
        let (of_job, at) = (block.id(Id::Job)[n], block.at[n]);
        if of_job != 0 {
            return (of_job == own.job).then_some(Joint::By(By::Job));
        }
        let of_failure = linked.get(&at).map(|by| Joint::By(*by));
        of_failure.or_else(|| own.shares(block, n)).or_else(|| changed.get(&at).cloned())
    };
    let ids = SHARED.map(|(id, _)| Column::Id(id)).into_iter();
    let more = [Id::Job, Id::Session, Id::Hold, Id::Credential].map(Column::Id);
    let columns: Vec<Column> = ids.chain(more).chain([Column::At]).collect();
    let of_block = |block: &Block<'_>| -> Vec<(Row, Joint)> {
        let counting = block.places().filter(|n| block.counts(*n));
        counting.filter_map(|n| Some((block.row(n), by(block, n)?))).collect()
    };
    Ok(Joined { rows: outline.look(&columns, of_block)?.into_iter().flatten().collect(), marks })
}

/// Changes to the job's caller and bucket from its first to its last record.
fn changes(evidence: &Evidence, own: &Own) -> BTreeMap<Locator, Joint> {
    let outline = &evidence.correlated.outline;
    let times = || own.times.iter().copied();
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return BTreeMap::new() };
    let of = |symbols: &BTreeSet<Symbol>| -> BTreeSet<&str> {
        symbols.iter().filter_map(|symbol| outline.symbols.name(*symbol)).collect()
    };
    let (callers, buckets) = (of(&own.callers), of(&own.buckets));
    let is_of = |change: &Change, ids: &BTreeSet<&str>| ids.iter().any(|id| change.is_of(id));
    let within = evidence.ingested.changes.iter().filter(|c| (first..=last).contains(&c.time));
    within
        .filter_map(|change| {
            let what = match change.kind {
                ChangeKind::BucketPolicy if is_of(change, &buckets) => "change to the job's bucket",
                ChangeKind::Grant | ChangeKind::Revoke | ChangeKind::Credential if is_of(change, &callers) => {
                    "change to the job's caller"
                }
                _ => return None,
            };
            Some((change.at, Joint::Change { what, of: change.subject.clone() }))
        })
        .collect()
}
