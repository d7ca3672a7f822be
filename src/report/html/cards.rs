//! What the card of a failure shows besides its report: its timeline, and the records that it cites.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;

use super::super::failure::Weighed;
use super::super::{Evidence, FailureReport};
use super::around::Around;
use super::raw::{IN_ALL, RawRecords, SHOWN};
use crate::classify::Verdict;
use crate::correlate::{EventTable, Failure, Row};
use crate::error::{Error, Result};
use crate::evidence::{FileEntry, Locator};
use crate::ingest::{Change, ChangeKind, Text, rfc3339};

/// Bytes that are held in memory.
const HELD: usize = 8 * 1024 * 1024;
/// Marks of one timeline.
const MOST_MARKS: usize = 200;

/// One mark of a timeline.
#[derive(Serialize, Deserialize)]
struct Mark {
    time: Option<String>,
    /// Its lane.
    source: String,
    /// `failing`, `witness`, `success`, `attempt`; `hold`, `policy`, `rotation`, `grant` for changes.
    kind: String,
    what: String,
    status: Option<u32>,
    attempt: Option<u32>,
    code: Option<String>,
    message: Option<String>,
    record: Option<String>,
}

/// Where a cited record lies.
#[derive(Serialize, Deserialize)]
struct Place {
    id: String,
    sha256: String,
    file: u32,
    record: u64,
    offset: u64,
    length: u64,
}

#[derive(Serialize, Deserialize)]
struct Card {
    marks: Vec<Mark>,
    /// Marks that were left out.
    more: usize,
    places: Vec<Place>,
}

/// A cited record as a card shows it.
#[derive(Serialize)]
struct Cited {
    file: String,
    record: u64,
    offset: u64,
    length: u64,
    sha256: String,
    /// Null where it is not kept here.
    text: Option<String>,
    whole: bool,
    blanked: bool,
}

/// Some failures with all that their cards show.
#[derive(Serialize)]
pub struct Together {
    failures: Vec<FailureReport>,
    cards: Vec<Shown>,
    records: BTreeMap<String, Cited>,
}

#[derive(Serialize)]
struct Shown {
    marks: Vec<Mark>,
    more: usize,
}

/// The cards of all failures, put aside by the ids of their failures.
pub struct Cards {
    texts: Mutex<SpooledTempFile>,
    end: u64,
    places: HashMap<String, (u64, usize)>,
}

/// Cards that are being made.
pub struct Making<'e> {
    changes: Around<'e>,
    cited: BTreeSet<Locator>,
    /// Bytes of those.
    bytes: u64,
    cards: Cards,
}

impl Cards {
    /// None yet.
    #[must_use]
    #[expect(clippy::new_ret_no_self, reason = "they can be read when all are there")]
    pub fn new<'e>(evidence: &'e Evidence<'e>) -> Making<'e> {
        let texts = Mutex::new(tempfile::spooled_tempfile(HELD));
        let cards = Self { texts, end: 0, places: HashMap::new() };
        let changes = Around::new(&evidence.ingested.changes);
        Making { changes, cited: BTreeSet::new(), bytes: 0, cards }
    }

    /// What the cards of some failures show.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn of(&self, failures: Vec<FailureReport>, raw: &RawRecords, files: &[FileEntry]) -> Result<Together> {
        let (mut cards, mut records) = (Vec::new(), BTreeMap::new());
        for failure in &failures {
            let Card { marks, more, places } = self.card(&failure.failure_id)?;
            for Place { id, sha256, file, record, offset, length } in places {
                if records.contains_key(&id) {
                    continue;
                }
                let text = raw.of(&Locator { file, record, offset, length })?;
                let (whole, blanked) = text.as_ref().map_or((false, false), |kept| (kept.whole, kept.blanked));
                let file = files.get(file as usize).map(|file| file.path.clone()).unwrap_or_default();
                let text = text.map(|kept| kept.text);
                records.insert(id, Cited { file, record, offset, length, sha256, text, whole, blanked });
            }
            cards.push(Shown { marks, more });
        }
        Ok(Together { failures, cards, records })
    }

    fn card(&self, failure: &str) -> Result<Card> {
        let Some((start, length)) = self.places.get(failure) else {
            return Ok(Card { marks: Vec::new(), more: 0, places: Vec::new() });
        };
        let mut bytes = vec![0; *length];
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.seek(SeekFrom::Start(*start)).and_then(|_| texts.read_exact(&mut bytes)).map_err(aside)?;
        serde_json::from_slice(&bytes).map_err(|e| aside(e.into()))
    }
}

impl Making<'_> {
    /// The records that cards cite, as many as are kept with their text.
    #[must_use]
    pub const fn cited(&self) -> &BTreeSet<Locator> {
        &self.cited
    }

    /// All cards.
    #[must_use]
    pub fn done(self) -> Cards {
        self.cards
    }

    /// Adds the cards of some failures.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn add(&mut self, block: &Weighed<'_>) -> Result<()> {
        for (failure, verdict) in block.failures.iter().zip(block.verdicts) {
            let text = serde_json::to_vec(&self.card(block, failure, verdict)).map_err(|e| aside(e.into()))?;
            self.cards.texts.get_mut().unwrap_or_else(PoisonError::into_inner).write_all(&text).map_err(aside)?;
            self.cards.places.insert(failure.id.clone(), (self.cards.end, text.len()));
            self.cards.end += text.len() as u64;
        }
        Ok(())
    }

    fn card(&mut self, block: &Weighed<'_>, failure: &Failure, verdict: &Verdict) -> Card {
        let table = block.table;
        let cited: BTreeSet<Locator> = verdict.findings.iter().flat_map(|f| f.records.iter().copied()).collect();
        let told: BTreeSet<Locator> = failure.attempts.iter().map(|row| table.locator(*row)).collect();
        let changes = self.changes.of(failure, table, &cited);
        let changes = changes.into_iter().filter(|change| !told.contains(&change.at));
        let mut marks: Vec<(Option<i64>, Locator, Mark)> = failure
            .attempts
            .iter()
            .map(|row| (table.time(*row), table.locator(*row), attempt(table, failure, *row)))
            .chain(changes.map(|change| (Some(change.time), change.at, changed(change, cited.contains(&change.at)))))
            .collect();
        marks.sort_by_key(|(time, at, _)| (time.is_none(), *time, *at));
        let more = marks.len().saturating_sub(MOST_MARKS);
        marks.truncate(MOST_MARKS);
        let mut places = BTreeMap::new();
        let mut place = |at: Locator| -> Option<String> {
            let digest = table.row_at(&at).and_then(|row| table.sha256(row)).or_else(|| block.digests.of(&at))?;
            let Locator { file, record, offset, length } = at;
            let (id, sha256) = (digest.record_id(), digest.to_string());
            places.entry(at).or_insert(Place { id: id.clone(), sha256, file, record, offset, length });
            Some(id)
        };
        for at in &cited {
            let _ = place(*at);
        }
        let marks = marks.into_iter().map(|(_, at, mark)| Mark { record: place(at), ..mark }).collect();
        for at in places.keys().filter(|_| self.bytes < IN_ALL) {
            let new = self.cited.insert(*at);
            self.bytes += if new { at.length.min(SHOWN as u64) } else { 0 };
        }
        Card { marks, more, places: places.into_values().collect() }
    }
}

fn attempt(table: &EventTable, failure: &Failure, row: Row) -> Mark {
    let text = |column| table.text(column, row).map(str::to_owned);
    let kind = if failure.failing.contains(&row) {
        "failing"
    } else if failure.witnesses.contains(&row) {
        "witness"
    } else if table.outcome(row) == "success" {
        "success"
    } else {
        "attempt"
    };
    Mark {
        time: table.time(row).map(rfc3339),
        source: table.source(row).to_owned(),
        kind: kind.to_owned(),
        what: text(Text::Step).or_else(|| text(Text::Operation)).unwrap_or_default(),
        status: table.status(row),
        attempt: table.attempt(row),
        code: text(Text::ErrorCode),
        message: text(Text::ErrorMessage),
        record: None,
    }
}

fn changed(change: &Change, cited: bool) -> Mark {
    let kind = match change.kind {
        ChangeKind::HoldPlaced | ChangeKind::HoldSynced | ChangeKind::HoldReleased => "hold",
        ChangeKind::BucketPolicy | ChangeKind::TrustPolicy | ChangeKind::KeyPolicy => "policy",
        ChangeKind::Credential => "rotation",
        ChangeKind::Grant | ChangeKind::Revoke => "grant",
    };
    Mark {
        time: Some(rfc3339(change.time)),
        source: change.source.to_owned(),
        kind: kind.to_owned(),
        what: format!("{} ({}){}", change.kind.name(), change.subject, if cited { "" } else { ", cited by no rule" }),
        status: None,
        attempt: None,
        code: None,
        message: None,
        record: None,
    }
}

fn aside(error: io::Error) -> Error {
    Error::io(std::env::temp_dir(), "putting cards aside", error)
}
