//! What the card of a failure shows besides its report: its timeline, and the records that it cites.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use serde::{Deserialize, Serialize};

use super::super::failure::Weighed;
use super::super::{Evidence, FailureReport};
use super::around::Around;
use super::raw::{IN_ALL, RawRecords, SHOWN};
use crate::classify::Verdict;
use crate::correlate::{EventTable, Failure, Row};
use crate::error::{Error, Result};
use crate::evidence::{Digest, FileEntry, Locator};
use crate::ingest::{Change, ChangeKind, Text, rfc3339};
use crate::spill::Scratch;

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
    sha256: String,
    file: u32,
    record: u64,
    offset: u64,
    length: u64,
}

impl Place {
    const fn at(&self) -> Locator {
        Locator { file: self.file, record: self.record, offset: self.offset, length: self.length }
    }
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
    sha256: String,
    /// Index into the names of files.
    file: usize,
    record: u64,
    offset: u64,
    length: u64,
    whole: bool,
    blanked: bool,
    /// Null where it is not kept here.
    text: Option<String>,
}

/// Some failures with all that their cards show.
#[derive(Serialize)]
pub struct Together {
    failures: Vec<FailureReport>,
    cards: Vec<Shown>,
    files: Vec<String>,
    /// In the order of the archive; a record's id is the beginning of its hash.
    records: Vec<Cited>,
}

#[derive(Serialize)]
struct Shown {
    marks: Vec<Mark>,
    more: usize,
}

/// The cards of all failures, put aside by the ids of their failures.
pub struct Cards {
    texts: Scratch,
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
        let cards = Self { texts: Scratch::holding(HELD), places: HashMap::new() };
        let changes = Around::new(&evidence.ingested.changes, evidence.correlated.holds.log());
        Making { changes, cited: BTreeSet::new(), bytes: 0, cards }
    }

    /// What the cards of some failures show.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn of(&self, failures: Vec<FailureReport>, raw: &RawRecords, files: &[FileEntry]) -> Result<Together> {
        let (mut cards, mut places) = (Vec::new(), BTreeMap::new());
        for failure in &failures {
            let Card { marks, more, places: of_card } = self.card(&failure.failure_id)?;
            places.extend(of_card.into_iter().map(|place| (place.at(), place.sha256)));
            cards.push(Shown { marks, more });
        }
        let (mut names, mut records) = (Vec::new(), Vec::new());
        let mut before = None;
        // Records that lie beside each other are alike, and pack well.
        for (at, sha256) in places {
            if before.replace(at.file) != Some(at.file) {
                names.push(files.get(at.file as usize).map(|file| file.path.to_string()).unwrap_or_default());
            }
            let text = raw.of(&at)?;
            let (whole, blanked) = text.as_ref().map_or((false, false), |kept| (kept.whole, kept.blanked));
            let Locator { record, offset, length, .. } = at;
            let text = text.map(|kept| kept.text);
            records.push(Cited { sha256, file: names.len() - 1, record, offset, length, whole, blanked, text });
        }
        Ok(Together { failures, cards, files: names, records })
    }

    fn card(&self, failure: &str) -> Result<Card> {
        let Some((start, length)) = self.places.get(failure) else {
            return Ok(Card { marks: Vec::new(), more: 0, places: Vec::new() });
        };
        let mut bytes = vec![0; *length];
        self.texts.read(*start, &mut bytes).map_err(aside)?;
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
            let text = serde_json::to_vec(&self.card(block, failure, verdict)?).map_err(|e| aside(e.into()))?;
            let at = self.cards.texts.append(&text).map_err(aside)?;
            self.cards.places.insert(failure.id.clone(), (at, text.len()));
        }
        Ok(())
    }

    fn card(&mut self, block: &Weighed<'_>, failure: &Failure, verdict: &Verdict) -> Result<Card> {
        let table = block.table;
        let cited: BTreeSet<Locator> = verdict.findings.iter().flat_map(|f| f.records.iter().copied()).collect();
        let told: BTreeSet<Locator> = failure.attempts.iter().map(|row| table.locator(*row)).collect();
        let changes = self.changes.of(failure, table, &cited)?;
        let of_changes: BTreeMap<Locator, Digest> = changes.iter().filter_map(|c| Some((c.at, c.sha256?))).collect();
        let changes = changes.into_iter().filter(|change| !told.contains(&change.at));
        let mut marks: Vec<(Option<i64>, Locator, Mark)> = failure
            .attempts
            .iter()
            .map(|row| (table.time(*row), table.locator(*row), attempt(table, failure, *row)))
            .chain(changes.map(|change| (Some(change.time), change.at, changed(&change, cited.contains(&change.at)))))
            .collect();
        marks.sort_by_key(|(time, at, _)| (time.is_none(), *time, *at));
        let more = marks.len().saturating_sub(MOST_MARKS);
        marks.truncate(MOST_MARKS);
        let digest = |at: &Locator| {
            table
                .row_at(at)
                .and_then(|row| table.sha256(row))
                .or_else(|| block.digests.of(at))
                .or_else(|| of_changes.get(at).copied())
        };
        // Attempts that only led there are named; the others are shown with all that they say.
        let leading = [&failure.failing, &failure.witnesses].into_iter().flatten().chain(&failure.recovery);
        let shown: BTreeSet<Locator> = cited.iter().copied().chain(leading.map(|row| table.locator(*row))).collect();
        let places: Vec<Place> = shown
            .iter()
            .filter_map(|at| {
                let Locator { file, record, offset, length } = *at;
                Some(Place { sha256: digest(at)?.to_string(), file, record, offset, length })
            })
            .collect();
        let id = |at: &Locator| digest(at).map(|digest| digest.record_id());
        let marks = marks.into_iter().map(|(_, at, mark)| Mark { record: id(&at), ..mark }).collect();
        for at in shown {
            if self.bytes < IN_ALL && self.cited.insert(at) {
                self.bytes += at.length.min(SHOWN as u64);
            }
        }
        Ok(Card { marks, more, places })
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
