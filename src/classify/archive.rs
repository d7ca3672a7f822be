//! What verdicts look up in the archive: changes, documents, holds, probes, and what steps need.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde_json::Value;

use super::authority::Authority;
use super::chronicle::{Chronicle, Listed};
use super::holds::{Hold, Holds};
use super::need::Need;
use super::pack::Pack;
use crate::correlate::{
    Clocks, Column, Contrast, Correlated, EventTable, Failure, Gap, Holds as AllHolds, Id, NO_TIME, Outline, Row,
    Symbol, Wave, flag,
};
use crate::error::{Error, Result};
use crate::evidence::Locator;
use crate::ingest::{ChangeKind, Document, DocumentKind, Ingested, Text};
use crate::spill::{Size, Tell, by_share};

const DAY: i64 = 86_400_000_000;

/// The archive as classification of some failures sees it.
pub struct Archive<'t, 'a> {
    /// The events that the failures rest on.
    pub table: &'t EventTable,
    pub whole: &'t Whole<'a>,
    pub chronicle: Chronicle<'t>,
    holds: Holds<'t>,
    /// The first thing that could not be read while looking something up.
    failed: Mutex<Option<Error>>,
}

impl<'a> Deref for Archive<'_, 'a> {
    type Target = Whole<'a>;

    fn deref(&self) -> &Whole<'a> {
        self.whole
    }
}

impl<'t, 'a> Archive<'t, 'a> {
    /// As the failures of `wave` see it.
    #[must_use]
    pub fn new(wave: &'t Wave, whole: &'t Whole<'a>) -> Self {
        let chronicle = Chronicle::new(&whole.others, &wave.held, whole.all_holds.log());
        let holds = Holds::new(&wave.held);
        Self { table: &wave.table, whole, chronicle, holds, failed: Mutex::default() }
    }

    /// What was found, or nothing where it could not be read, which [`Self::check`] tells of.
    pub fn found<T: Default>(&self, found: Result<T>) -> T {
        found.unwrap_or_else(|error| {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            T::default()
        })
    }

    /// Whether everything that was looked up could be read.
    ///
    /// # Errors
    /// It could not.
    pub fn check(&self) -> Result<()> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl Archive<'_, '_> {
    /// Holds on the failure's conversation. A hold may cover many conversations, each of which synchronises by itself:
    /// where both name the conversation, it must be the same.
    #[must_use]
    pub fn holds_of(&self, failure: &Failure) -> Vec<Hold<'_>> {
        let named = failure.attempts.iter().filter_map(|row| self.table.text(Text::HoldId, *row));
        let own = failure.conversation_id.iter().chain(&failure.recording_id).map(String::as_str);
        self.holds.of(&own.chain(named).collect(), failure.conversation_id.as_deref())
    }
}

/// What is looked up whichever the failures are.
pub struct Whole<'a> {
    pub outline: &'a Outline,
    pub contrast: &'a Contrast,
    pub clocks: &'a Clocks,
    pub gaps: &'a [Gap],
    /// All changes but those of holds.
    pub others: Listed<'a>,
    by_subject: BTreeMap<(DocumentKind, &'a str), Versions<'a>>,
    /// By record, the first document that says the same.
    same_body: HashMap<Locator, Locator, foldhash::fast::RandomState>,
    pub authority: Authority<'a>,
    pub pack: &'a Pack,
    needs: BTreeMap<String, Need>,
    pub all_holds: &'a AllHolds,
    /// Direct metadata writes.
    pub probe_table: &'a EventTable,
    /// Their rows by caller, in order of time.
    probes: BTreeMap<String, Vec<Row>>,
    /// The same by recording, conversation and job.
    probes_by_item: BTreeMap<String, Vec<Row>>,
    /// Attempts that got through with the hold not acknowledged, by step.
    unacknowledged: BTreeMap<String, i64>,
    sources: BTreeSet<String>,
}

impl<'a> Whole<'a> {
    /// Indexes the archive.
    ///
    /// # Errors
    /// The outline cannot be read.
    pub fn new(ingested: &'a Ingested, correlated: &'a Correlated, pack: &'a Pack) -> Result<Self> {
        let (outline, probe_table) = (&correlated.outline, &correlated.probes);
        let authority =
            Authority::new(outline, &correlated.contrast, &ingested.changes, &ingested.documents, pack.candidates());
        let steps = &correlated.contrast.failed_steps;
        let find_needs = || -> Result<BTreeMap<String, Need>> {
            steps.par_iter().map(|step| Ok((String::clone(step), authority.need(step)?))).collect()
        };
        let find_others = || (unacknowledged(outline, &correlated.holds), Listed::new(&ingested.changes));
        let (needs, (unacknowledged, others)) = rayon::join(find_needs, find_others);
        Ok(Self {
            outline,
            contrast: &correlated.contrast,
            clocks: &correlated.clocks,
            gaps: &correlated.gaps,
            others,
            by_subject: by_subject(&ingested.documents),
            same_body: same_body(&ingested.documents),
            authority,
            pack,
            needs: needs?,
            all_holds: &correlated.holds,
            probe_table,
            probes: probes(probe_table, &[Text::Principal]),
            probes_by_item: probes(probe_table, &[Text::RecordingId, Text::ConversationId, Text::JobId]),
            unacknowledged: unacknowledged?,
            sources: outline.sources().map(str::to_owned).collect(),
        })
    }

    /// Whether the evidence holds records of a source.
    #[must_use]
    pub fn has_source(&self, source: &str) -> bool {
        self.sources.contains(source)
    }

    /// What a step needs, judged by who gets through it.
    #[must_use]
    pub fn need(&self, step: &str) -> Option<&Need> {
        self.needs.get(step)
    }

    /// How often the step was passed with the hold not acknowledged.
    #[must_use]
    pub fn passed_unacknowledged(&self, step: &str) -> i64 {
        self.unacknowledged.get(step).copied().unwrap_or(0)
    }

    /// Direct metadata writes by the failure's caller about its item, after its first failing attempt, in order of time.
    #[must_use]
    pub fn probes_of(&self, failure: &Failure) -> Vec<Row> {
        let ids = [&failure.recording_id, &failure.conversation_id, &failure.job_id];
        let of_item = ids.into_iter().flatten().filter_map(|id| self.probes_by_item.get(id)).flatten().copied();
        let by_caller = |row: &Row| {
            failure.principal.is_some()
                && self.probe_table.text(Text::Principal, *row) == failure.principal.as_deref()
                && self.probe_table.time(*row) >= failure.first_failed_at
        };
        let mut found: Vec<Row> = of_item.filter(by_caller).collect();
        found.sort_by_key(|row| (self.probe_table.time(*row), *row));
        found.dedup();
        found
    }

    /// The last direct metadata write by the failure's caller within a day after its last failing attempt, about whatever
    /// it was.
    #[must_use]
    pub fn probe_elsewhere(&self, failure: &Failure) -> Option<Row> {
        let last = failure.last_failed_at?;
        let probes = self.probes.get(failure.principal.as_ref()?)?;
        let until = probes.partition_point(|row| self.probe_table.time(*row) < Some(last + DAY));
        probes[..until].last().copied().filter(|row| self.probe_table.time(*row) >= Some(last))
    }

    /// The record of the first document that says the same as `document`.
    #[must_use]
    pub fn first_with_body(&self, document: &Document) -> Locator {
        self.same_body.get(&document.at).copied().unwrap_or(document.at)
    }

    /// The document of `kind` in force at `time` for a subject that goes by any of `names`: the latest logged change
    /// before, else a snapshot. A snapshot that equals a later change was taken after it, and says nothing of the time
    /// before.
    #[must_use]
    pub fn in_force(&self, kind: DocumentKind, names: &[&str], time: Option<i64>) -> Option<&'a Document> {
        let of = names.iter().filter_map(|name| self.by_subject.get(&(kind, *name)));
        let found = of.filter_map(|versions| versions.in_force(time)).max_by_key(|d| (d.time, std::cmp::Reverse(d.at)));
        // A saved key or trust policy does not say whose it is. Where it is the only one, it is taken for the one meant.
        found.or_else(|| self.by_subject.get(&(kind, ""))?.only())
    }
}

/// Policies are written again and again as they were. A record that holds several documents stands for none.
fn same_body(documents: &[Document]) -> HashMap<Locator, Locator, foldhash::fast::RandomState> {
    let mut first: HashMap<*const Value, Locator, foldhash::fast::RandomState> = HashMap::default();
    let alone = documents.chunk_by(|a, b| a.at == b.at).filter_map(|of_record| match of_record {
        [document] => Some(document),
        _ => None,
    });
    alone.map(|document| (document.at, *first.entry(Arc::as_ptr(&document.body)).or_insert(document.at))).collect()
}

/// The versions of a document on record.
#[derive(Default)]
struct Versions<'a> {
    /// The first snapshot, and how many there are.
    snapshot: Option<&'a Document>,
    snapshots: usize,
    /// When a change made it what the snapshot says, for the last time.
    snapshot_since: Option<i64>,
    /// Logged changes in order.
    logged: Vec<&'a Document>,
}

impl<'a> Versions<'a> {
    fn only(&self) -> Option<&'a Document> {
        self.snapshot.filter(|_| self.snapshots == 1)
    }

    fn in_force(&self, time: Option<i64>) -> Option<&'a Document> {
        let before = self.logged.partition_point(|d| d.time <= time);
        match before.checked_sub(1) {
            Some(last) => Some(self.logged[last]),
            None => self.snapshot.filter(|_| self.snapshot_since.is_none_or(|since| Some(since) <= time)),
        }
    }
}

fn by_subject(documents: &[Document]) -> BTreeMap<(DocumentKind, &str), Versions<'_>> {
    let mut found: BTreeMap<(DocumentKind, &str), Versions<'_>> = BTreeMap::new();
    for document in documents {
        let nameless = document.subjects.is_empty().then_some("");
        for subject in document.subjects.iter().map(String::as_str).chain(nameless) {
            let versions = found.entry((document.kind, subject)).or_default();
            if document.time.is_some() {
                versions.logged.push(document);
            } else {
                versions.snapshot = versions.snapshot.or(Some(document));
                versions.snapshots += 1;
            }
        }
    }
    for versions in found.values_mut() {
        versions.logged.sort_by_key(|d| (d.time, d.at));
        let body = versions.snapshot.map(|s| &s.body);
        versions.snapshot_since = versions.logged.iter().rev().find(|d| Some(&d.body) == body).and_then(|d| d.time);
    }
    found
}

/// Probes by what `columns` name, in order of time.
fn probes(table: &EventTable, columns: &[Text]) -> BTreeMap<String, Vec<Row>> {
    let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in table.rows().filter(|row| table.text(Text::Step, *row) == Some("probe")) {
        for id in columns.iter().filter_map(|column| table.text(*column, row)) {
            found.entry(id.to_owned()).or_default().push(row);
        }
    }
    for rows in found.values_mut() {
        rows.sort_by_key(|row| (table.time(*row), *row));
    }
    found
}

/// Attempts that got through with the hold not acknowledged, on conversations that were under one, by step. That others
/// pass without acknowledging a hold that they do not have says nothing.
fn unacknowledged(outline: &Outline, holds: &AllHolds) -> Result<BTreeMap<String, i64>> {
    let mut found = BTreeMap::new();
    let unacknowledged = outline.count(flag::UNACKNOWLEDGED);
    if unacknowledged == 0 {
        return Ok(found);
    }
    let columns = [Column::Time, Column::Step, Column::Id(Id::Conversation), Column::Id(Id::Hold)];
    // Placings first, by the ids that they name; then the attempts, by their conversations.
    let tell_all = |tell: &mut Tell<'_, 4>| -> Result<()> {
        holds.log().ids(|entry| match entry.kind {
            ChangeKind::HoldPlaced => tell(entry.id, [entry.id, entry.time.cast_unsigned(), 0, PLACED]),
            _ => Ok(()),
        })?;
        outline.tell(
            &columns,
            |block, say| {
                for n in block.places().filter(|n| block.is(*n, flag::UNACKNOWLEDGED)) {
                    let (conversation, step) = (block.id(Id::Conversation)[n], u64::from(block.names(Column::Step)[n]));
                    let named = if block.id(Id::Hold)[n] == 0 { PASSED } else { PASSED_A_HOLD };
                    say(conversation, [conversation, block.time[n].cast_unsigned(), step, named]);
                }
            },
            tell,
        )
    };
    let take = |share: &mut Passed, [id, time, step, what]: [u64; 4]| {
        let time = time.cast_signed();
        if what == PLACED {
            share.placed.entry(id).and_modify(|first| *first = time.min(*first)).or_insert(time);
            return;
        }
        let under = || share.placed.get(&id).is_some_and(|placed| time != NO_TIME && *placed <= time);
        if what == PASSED_A_HOLD || under() {
            *share.by_step.entry(step).or_default() += 1;
        }
    };
    let size = Size { expected: holds.log().len() * 3 + unacknowledged, most: LOOKED_UP };
    by_share(size, tell_all, Passed::default, take, |share| {
        for (step, count) in share.by_step {
            if let Some(step) = Symbol::try_from(step).ok().and_then(|step| outline.symbols.name(step)) {
                *found.entry(step.to_owned()).or_default() += count;
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Ids of placings, and attempts, that are held at a time.
const LOOKED_UP: usize = 1 << 18;
/// What is told: a placing, an attempt, an attempt that names a hold itself.
const PLACED: u64 = 0;
const PASSED: u64 = 1;
const PASSED_A_HOLD: u64 = 2;

/// Attempts that got through with the hold not acknowledged.
#[derive(Default)]
struct Passed {
    /// By id, when the first hold was placed.
    placed: HashMap<u64, i64, foldhash::fast::RandomState>,
    by_step: BTreeMap<u64, i64>,
}
