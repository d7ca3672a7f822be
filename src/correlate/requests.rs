//! Records of different sources about the same request.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::items::BorrowedKey;
use super::related::{Attempt, Related};
use super::table::{EventTable, Row};
use crate::ingest::Text;

/// The ids of the request that a record is of: those of the service and of the caller are compared with each other.
pub fn ids(table: &EventTable, row: Row) -> impl Iterator<Item = &str> {
    let [request, correlation] = [Text::RequestId, Text::CorrelationId].map(|id| table.text(id, row));
    request.into_iter().chain(correlation.filter(|id| Some(*id) != request))
}

/// Gives records of one request the same key, although one names more of the item than the other: the finest, of these that
/// of a known caller. An id that records of different things bear is not one of a request.
pub fn bring_together<'a>(table: &'a EventTable, lone: &mut [(Attempt, BorrowedKey<'a>)]) {
    let mut by_id: HashMap<&str, Vec<usize>, foldhash::fast::RandomState> = HashMap::default();
    for (n, (attempt, _)) in lone.iter().enumerate() {
        ids(table, attempt.row).for_each(|id| by_id.entry(id).or_default().push(n));
    }
    by_id.retain(|_, records| {
        let sources: BTreeSet<&str> = records.iter().map(|n| table.source(lone[*n].0.row)).collect();
        sources.len() > 1 && of_one_thing(records.iter().map(|n| &lone[*n].1))
    });
    let mut groups: Vec<Vec<usize>> = by_id.into_values().collect();
    groups.sort_unstable();
    // Records that share one id with one another and a second with a third are seldom, and soon together.
    for _ in 0..4 {
        let mut changed = false;
        for group in &groups {
            let rank = |key: &BorrowedKey<'a>| {
                let arn = key.caller.as_deref().is_some_and(|caller| caller.starts_with("arn:"));
                (key.unit.clone(), key.caller.is_none(), !arn, key.caller.clone())
            };
            let Some(best) = group.iter().map(|n| &lone[*n].1).min_by_key(|key| rank(key)).cloned() else { continue };
            for n in group {
                changed |= lone[*n].1 != best;
                lone[*n].1 = best.clone();
            }
        }
        if !changed {
            break;
        }
    }
}

/// Whether keys name different things only in so far as some name a finer one.
fn of_one_thing<'k, 'a: 'k>(mut keys: impl Iterator<Item = &'k BorrowedKey<'a>>) -> bool {
    let mut kinds: HashMap<_, _, foldhash::fast::RandomState> = HashMap::default();
    keys.all(|key| **kinds.entry(std::mem::discriminant(&key.unit)).or_insert(&key.unit) == key.unit)
}

/// Requests of which sources contradict each other: by the record that says it failed the one that says it succeeded, and
/// the reverse.
#[derive(Default)]
pub struct Disputes(HashMap<Row, Row, foldhash::fast::RandomState>);

impl Disputes {
    /// Finds them. Sources contradict each other where all records of one say that a request was refused, and all of another
    /// that it succeeded: records of several attempts under one id do not. That a caller gave up waiting for what the service
    /// then did is no contradiction.
    #[must_use]
    pub fn find(table: &EventTable, related: &Related) -> Self {
        let attempts: HashMap<Row, &Attempt, foldhash::fast::RandomState> =
            related.attempts.iter().map(|attempt| (attempt.row, attempt)).collect();
        let refused = |row: Row| attempts.get(&row).is_some_and(|a| a.failing) && table.outcome(row) != "timeout";
        let asked: HashSet<&str, foldhash::fast::RandomState> =
            related.attempts.iter().filter(|a| refused(a.row)).flat_map(|a| ids(table, a.row)).collect();
        let mut records: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for row in related.attempts.iter().map(|a| a.row).chain(related.asides.iter().copied()) {
            ids(table, row).filter(|id| asked.contains(id)).for_each(|id| records.entry(id).or_default().push(row));
        }
        let phase = |row: Row| attempts.get(&row).map(|attempt| related.phase(attempt));
        let mut found = Self::default();
        for rows in records.into_values() {
            let refusals = said_by_whole_sources(table, &rows, &refused);
            if refusals.is_empty() {
                continue;
            }
            // The first of each step: however many records bear an id, their steps are few.
            let mut successes: Vec<(Option<&str>, Row)> = Vec::new();
            for success in said_by_whole_sources(table, &rows, &|row| table.outcome(row) == "success") {
                if successes.iter().all(|(known, _)| *known != phase(success)) {
                    successes.push((phase(success), success));
                }
            }
            for refusal in refusals {
                if let Some((_, success)) = successes.iter().find(|(of, _)| is_same_step(phase(refusal), *of)) {
                    found.0.entry(refusal).or_insert(*success);
                    found.0.entry(*success).or_insert(refusal);
                }
            }
        }
        found
    }

    /// The record of another source that contradicts this one.
    #[must_use]
    pub fn of(&self, row: Row) -> Option<Row> {
        self.0.get(&row).copied()
    }
}

/// Those of `rows` whose sources have only records among them of which `answer` is true.
fn said_by_whole_sources(table: &EventTable, rows: &[Row], answer: &dyn Fn(Row) -> bool) -> Vec<Row> {
    let others: BTreeSet<&str> = rows.iter().filter(|row| !answer(**row)).map(|row| table.source(*row)).collect();
    rows.iter().copied().filter(|row| !others.contains(table.source(*row))).collect()
}

/// Whether two steps may be told of the same request: handing over to storage goes by several names.
fn is_same_step(a: Option<&str>, b: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return true };
    a == b || (stores(a) && stores(b))
}

/// Whether a step hands over to storage.
#[must_use]
pub fn stores(phase: &str) -> bool {
    matches!(phase, "export" | "upload" | "assume_role" | "data_key" | "bucket_probe")
}
