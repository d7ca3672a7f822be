//! Failures: the run of attempts on an item from its first failing one to its recovery or the end of the evidence.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::clocks::Clocks;
use super::items::{Item, ItemKey, Unit};
use super::links::By;
use super::outline::Outline;
use super::related::{Attempt, Related};
use super::requests::{self, Disputes, stores};
use super::steps::{JOBS, TRAIL};
use super::table::{EventTable, Row};
use crate::evidence::{Digest, Locator};
use crate::ingest::Text;

/// One failed thing, with the rows that tell of it. Times are microseconds since 1970, UTC.
#[derive(Clone, Debug)]
pub struct Failure {
    pub id: String,
    pub job_id: Option<String>,
    pub unit: Unit,
    pub conversation_id: Option<String>,
    pub recording_id: Option<String>,
    pub object_key: Option<String>,
    pub bucket: Option<String>,
    pub principal: Option<String>,
    pub tenant_id: Option<String>,
    pub region: Option<String>,
    pub media_type: Option<String>,
    /// Step of the first failing attempt.
    pub step: String,
    /// Step of the last failing attempt: what kept the item from getting through.
    pub last_step: String,
    pub first_failed_at: Option<i64>,
    pub last_failed_at: Option<i64>,
    pub recovered_at: Option<i64>,
    /// Failing attempts in order, each counted once.
    pub failing: Vec<Row>,
    /// The step of each of `failing`.
    pub steps: Vec<String>,
    /// Failing records of other sources about the same attempts.
    pub witnesses: Vec<Row>,
    /// The attempt that succeeded at last.
    pub recovery: Option<Row>,
    /// All attempts at the item, in order.
    pub attempts: Vec<Row>,
    /// By what each of `attempts` belongs to the item.
    pub links: Vec<By>,
    /// Failing rows, each with that of another source which says that the same request succeeded.
    pub disputed: Vec<(Row, Row)>,
}

/// What failures are ordered by: first failing time, then job, then item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// Microseconds since 1970, UTC; those without come last.
    first_failed: (bool, Option<i64>),
    job: Option<String>,
    unit: Unit,
    first_failing: Option<Locator>,
}

impl Failure {
    /// Its place among the failures of an archive; `table` holds its rows.
    #[must_use]
    pub fn order(&self, table: &EventTable) -> Order {
        Order {
            first_failed: (self.first_failed_at.is_none(), self.first_failed_at),
            job: self.job_id.clone(),
            unit: self.unit.clone(),
            first_failing: self.failing.first().map(|row| table.locator(*row)),
        }
    }
}

/// What attempts are looked at with.
#[derive(Clone, Copy)]
struct Seen<'a> {
    table: &'a EventTable,
    related: &'a Related,
    clocks: &'a Clocks,
    disputes: &'a Disputes,
}

/// Steps in the order in which an item goes through them.
const ORDER: [&str; 6] = ["query", "metadata_injection", "hold_sync", "export", "upload", "verify"];

/// Finds the failures of `items`, in their [`Order`].
#[must_use]
pub fn find(table: &EventTable, related: &Related, items: &[Item], outline: &Outline, clocks: &Clocks) -> Vec<Failure> {
    let disputes = &Disputes::find(table, related);
    let seen = Seen { table, related, clocks, disputes };
    let of_item = |item: &Item| {
        let job = item.key.job.as_ref().and_then(|id| outline.jobs.get(outline.hash(id)));
        let runs = match item.key.job {
            Some(_) => vec![item.attempts.clone()],
            None => split_at_recoveries(seen, &item.attempts),
        };
        let stated = |column| job.and_then(|job| job.text(column, &outline.symbols));
        let found = runs.iter().filter_map(|run| failure(seen, &item.key, run, &stated));
        found.collect::<Vec<Failure>>()
    };
    let mut failures: Vec<Failure> = items.par_iter().flat_map_iter(of_item).collect();
    failures.sort_by_cached_key(|failure| failure.order(table));
    failures
}

/// An item that belongs to no job may be tried for years; each recovery ends one failure.
fn split_at_recoveries(seen: Seen<'_>, attempts: &[Attempt]) -> Vec<Vec<Attempt>> {
    let mut runs = Vec::new();
    let mut run: Vec<Attempt> = Vec::new();
    let mut last_failing: Option<Attempt> = None;
    let mut recovered = false;
    for attempt in attempts.iter().copied() {
        if attempt.failing {
            if std::mem::take(&mut recovered) {
                runs.push(std::mem::take(&mut run));
            }
            last_failing = Some(attempt);
        } else {
            recovered = recovered || last_failing.is_some_and(|failed| recovers(seen, &failed, &attempt));
        }
        run.push(attempt);
    }
    runs.push(run);
    runs
}

fn failure(
    seen: Seen<'_>,
    key: &ItemKey,
    attempts: &[Attempt],
    stated: &dyn Fn(Text) -> Option<String>,
) -> Option<Failure> {
    let Seen { table, related, disputes, .. } = seen;
    let (failing, witnesses) = counted(table, related, attempts);
    let (first, last) = (failing.first()?, failing.last()?);
    let times = || failing.iter().filter_map(|a| table.time(a.row));
    let recovery = recovery(seen, attempts);
    // What the failing records say comes first, then whatever else is known of the item.
    let rows: Vec<Row> = failing.iter().chain(&witnesses).chain(attempts).map(|a| a.row).collect();
    let text = |column| {
        let said = rows.iter().find_map(|row| table.text(column, *row)).map(str::to_owned);
        said.or_else(|| stated(column))
    };
    let disputed = failing.iter().chain(&witnesses).filter_map(|a| Some((a.row, disputes.of(a.row)?)));
    let first_failed_at = times().min();
    let recording_id = match &key.unit {
        Unit::Recording(id) => Some(id.clone()),
        _ => text(Text::RecordingId),
    };
    let mut failure = Failure {
        id: String::new(),
        job_id: key.job.clone(),
        unit: key.unit.clone(),
        conversation_id: text(Text::ConversationId),
        recording_id,
        object_key: text(Text::ObjectKey),
        bucket: text(Text::Bucket),
        principal: text(Text::Principal),
        tenant_id: text(Text::TenantId),
        region: text(Text::Region),
        media_type: text(Text::MediaType),
        step: related.phase(first).to_owned(),
        last_step: related.phase(last).to_owned(),
        first_failed_at,
        last_failed_at: times().max(),
        recovered_at: recovery.and_then(|a| table.time(a.row)),
        failing: failing.iter().map(|a| a.row).collect(),
        steps: failing.iter().map(|a| related.phase(a).to_owned()).collect(),
        witnesses: witnesses.iter().map(|a| a.row).collect(),
        recovery: recovery.map(|a| a.row),
        attempts: attempts.iter().map(|a| a.row).collect(),
        links: attempts.iter().map(|a| a.by).collect(),
        disputed: disputed.collect(),
    };
    failure.id = identity(&failure, key);
    Some(failure)
}

/// The same failure has the same id however the evidence is divided into files.
fn identity(failure: &Failure, key: &ItemKey) -> String {
    let text = format!("{:?}|{:?}|{:?}|{:?}", key.job, key.unit, key.caller, failure.first_failed_at);
    format!("f:{}", &Digest::of(text.as_bytes()).to_string()[..12])
}

/// The failing attempts, and the failing records that only witness one of them. The exporter's own trail says what was
/// attempted; another source's refusal of the same item adds an attempt only where the trail tells of none at that step
/// or at the handing over to storage. Without the trail, records of the same request tell of one attempt. That the platform
/// lists the item as failed, however often, is one attempt where no other source tells of any.
fn counted(table: &EventTable, related: &Related, attempts: &[Attempt]) -> (Vec<Attempt>, Vec<Attempt>) {
    let of_trail = |a: &Attempt| table.is_of_trail(a.row);
    let failing = attempts.iter().filter(|a| a.failing);
    let told: BTreeSet<&str> = failing.clone().filter(|a| of_trail(a)).map(|a| related.phase(a)).collect();
    let mut requests: BTreeMap<&str, &str> = BTreeMap::new();
    for attempt in failing.clone().filter(|a| of_trail(a)) {
        requests.extend(requests::ids(table, attempt.row).map(|id| (id, TRAIL)));
    }
    let listed = |a: &Attempt| table.source(a.row) == JOBS;
    let only_listed = failing.clone().all(listed).then(|| failing.clone().next().map(|a| a.row)).flatten();
    failing.copied().partition(|attempt| {
        if of_trail(attempt) {
            return true;
        }
        if listed(attempt) {
            return Some(attempt.row) == only_listed;
        }
        let (phase, source) = (related.phase(attempt), table.source(attempt.row));
        let twin = told.contains(phase) || (stores(phase) && told.iter().any(|other| stores(other)));
        // A source may write the caller's id into all records of a call that it repeats; the service's own is of one.
        let own = table.text(Text::RequestId, attempt.row);
        let known = |id: &str| requests.get(id).is_some_and(|of| *of != source || own == Some(id));
        let counts = !twin && !requests::ids(table, attempt.row).any(known);
        if counts {
            for id in requests::ids(table, attempt.row) {
                requests.entry(id).or_insert(source);
            }
        }
        counts
    })
}

/// The first attempt after the last failing one that got the item through the step it had failed at.
fn recovery(seen: Seen<'_>, attempts: &[Attempt]) -> Option<Attempt> {
    let last = attempts.iter().rfind(|a| a.failing && seen.table.time(a.row).is_some())?;
    attempts.iter().find(|a| recovers(seen, last, a)).copied()
}

fn recovers(seen: Seen<'_>, failed: &Attempt, attempt: &Attempt) -> bool {
    let moment = |a: &Attempt| Some((seen.table.source(a.row), seen.table.time(a.row)?));
    let after = || {
        let (ok, failing) = moment(attempt).zip(moment(failed))?;
        let order = seen.clocks.order(ok, failing)?;
        Some(order.is_gt() || (order.is_eq() && ok.0 == failing.0))
    };
    // What another source says was refused is no success to rely on.
    let disputed = seen.disputes.of(attempt.row).is_some();
    attempt.ok && !disputed && gets_through(seen.related, failed, attempt) && after() == Some(true)
}

fn gets_through(related: &Related, failed: &Attempt, ok: &Attempt) -> bool {
    let place = |a: &Attempt| ORDER.iter().position(|step| *step == related.phase(a));
    failed.phase == ok.phase || matches!((place(failed), place(ok)), (Some(failed), Some(ok)) if ok >= failed)
}
