//! Checking a case: nothing is written, touched or locked, neither in the case nor in the evidence.

mod attestations;
mod evidence;
mod files;
mod others;
mod reproduce;

use std::path::PathBuf;

use serde::Serialize;

pub use files::digest;
pub(super) use files::quick_differences;

use super::difference::{Area, Difference, Kind};
use super::places::Places;
use super::{Case, Ledger, MANIFEST, Manifest};
use crate::custody::attest::PublicKey;
use crate::custody::timestamp::Authorities;
use crate::error::{Error, Result};

/// How a case is checked.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Where the evidence lies; where nothing is given, where it lay.
    pub evidence: Vec<PathBuf>,
    /// The evidence is not looked for.
    pub without_evidence: bool,
    /// Sizes and the ledger only.
    pub quick: bool,
    /// Analyse the evidence again and compare every byte.
    pub reproduce: bool,
    /// The manifest, or the case, of somebody else over the same evidence.
    pub manifest: Option<PathBuf>,
    /// Those of the people who are to have attested the case.
    pub public_keys: Vec<PublicKey>,
    /// Time-stamping authorities that are trusted.
    pub authorities: Option<Authorities>,
}

/// What is being checked.
pub struct Checked<'a> {
    pub case: &'a Case,
    pub ledger: &'a Ledger,
    /// None where it cannot be read, which is a difference of its own.
    pub manifest: Option<&'a Manifest>,
    pub places: &'a Places,
    pub how: &'a How,
}

/// A check: adds what it finds.
pub type Check = fn(&Checked<'_>, &mut Verification) -> Result<()>;

/// All checks, in their order.
pub const CHECKS: &[Check] = &[files::check, evidence::check, others::check, attestations::check, reproduce::check];

/// The whole result.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    pub case: String,
    pub name: Option<String>,
    pub ledger: LedgerSummary,
    /// What was checked, of each kind.
    pub checked: Counts,
    /// By area, path and line.
    pub differences: Vec<Difference>,
    /// What is no difference, but should be known.
    pub notes: Vec<String>,
}

/// The ledger in short.
#[derive(Debug, Default, Serialize)]
pub struct LedgerSummary {
    pub entries: u64,
    /// SHA-256 of the last line, with its line feed: whoever has noted it can tell whether the ledger was cut.
    pub head: Option<String>,
    pub last_act: Option<String>,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files of the case whose size was compared, and those whose SHA-256 was.
    pub files: usize,
    pub files_hashed: usize,
    /// The same of the evidence.
    pub inputs: usize,
    pub inputs_hashed: usize,
    /// Whether the evidence was analysed again.
    pub reproduced: bool,
}

impl Verification {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Checks a case.
///
/// # Errors
/// It is none, of a newer version, or the ledger cannot be read.
pub fn verify(case: &Case, how: &How) -> Result<Verification> {
    let ledger = case.ledger()?;
    let mut found = Verification { case: case.folder().display().to_string(), ..Verification::default() };
    check_ledger(&ledger, &mut found);
    match case.about() {
        Ok(about) => found.name = about.map(|about| about.name),
        // A change is found by its hash; another version is not to be judged by this one.
        Err(Error::Usage { what, reason }) if !is_listed_otherwise(case, &ledger) => {
            return Err(Error::Usage { what, reason });
        }
        Err(_) => {}
    }
    let manifest = match case.manifest() {
        Ok(manifest) => Some(manifest),
        Err(error) if case.path(MANIFEST).exists() => {
            found.differences.push(Difference::of_file(Area::Manifest, Kind::Unreadable, MANIFEST, error.to_string()));
            None
        }
        Err(_) => None,
    };
    let empty = Manifest::new([], []);
    let places = Places::find(manifest.as_ref().unwrap_or(&empty), &ledger, &how.evidence);
    let checked = Checked { case, ledger: &ledger, manifest: manifest.as_ref(), places: &places, how };
    for check in CHECKS {
        check(&checked, &mut found)?;
    }
    found.differences.sort();
    found.differences.dedup();
    Ok(found)
}

fn is_listed_otherwise(case: &Case, ledger: &Ledger) -> bool {
    quick_differences(case, ledger).iter().any(|one| one.path == super::ABOUT)
}

fn check_ledger(ledger: &Ledger, found: &mut Verification) {
    found.ledger = LedgerSummary {
        entries: ledger.lines,
        head: ledger.head.map(|head| head.to_string()),
        last_act: ledger.entries.last().map(|(_, entry)| format!("{} {}", entry.act, entry.when)),
    };
    found.differences.extend(ledger.differences.iter().cloned());
    found.notes.extend(ledger.notes.iter().cloned());
    if ledger.lines == 0 {
        let detail = "there is no ledger, or nothing in it: nothing says what the case should hold";
        let missing = Difference::of_file(Area::Ledger, Kind::Missing, super::LEDGER, detail);
        found.differences.retain(|one| one.path != missing.path);
        found.differences.push(missing);
    }
    for entry in ledger.unfinished() {
        let (act, seq, when) = (&entry.act, entry.seq, &entry.when);
        let who = entry.who.as_deref().unwrap_or("somebody unknown");
        let later = ledger.entries.iter().find(|(_, later)| later.unfinished.contains(&seq));
        if let Some((_, later)) = later.filter(|(_, later)| is_done(ledger, later.seq)) {
            let by = later.seq;
            found.notes.push(format!("act {seq} ({act}, by {who}, {when}) never ended; act {by} was done after it"));
            continue;
        }
        let detail = format!(
            "the act {act} that {who} began at {when} never ended: it is going on, or was stopped; run it again, and the \
             next act says so"
        );
        found.differences.push(Difference {
            area: Area::Ledger,
            path: super::LEDGER.to_owned(),
            line: Some(seq),
            kind: Kind::Unfinished,
            detail,
        });
    }
    for (line, entry) in ledger.entries.iter().filter(|(_, entry)| entry.unfinished.is_empty()) {
        for path in &entry.found_changed {
            let detail = format!(
                "when act {} began, this file was not as the act before had left it, and no act was unfinished",
                entry.seq
            );
            let area = Area::of(path);
            let one = Difference { area, path: path.clone(), line: Some(*line), kind: Kind::Changed, detail };
            found.differences.push(one);
        }
    }
}

fn is_done(ledger: &Ledger, begun: u64) -> bool {
    let mut entries = ledger.entries.iter().map(|(_, entry)| entry);
    entries.any(|entry| entry.begun == Some(begun) && entry.state == super::State::Done)
}
