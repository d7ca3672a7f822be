//! What is kept of an archive's report, and of the last run over all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::inputs::{Known, Manner};
use crate::report::Analysis;

/// What the files say they are.
const STORED: &str = "holdtrace archive";
const PAST: &str = "holdtrace reports";
/// Raise it whenever older files would be read wrongly.
const VERSION: u32 = 1;

/// The figures of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub files: usize,
    pub records: u64,
    pub rejected: u64,
    /// Gaps that are sure.
    pub gaps: usize,
    /// Earliest and latest time, RFC 3339 UTC.
    pub first_time: Option<String>,
    pub last_time: Option<String>,
    pub jobs: usize,
    pub failures: usize,
    pub recovered: usize,
    pub by_class: BTreeMap<String, usize>,
    pub by_mechanism: BTreeMap<String, usize>,
}

impl Counts {
    /// Those of an analysis.
    #[must_use]
    pub fn of(analysis: &Analysis) -> Self {
        let s = &analysis.summary;
        Self {
            files: s.files,
            records: s.records,
            rejected: s.rejected,
            gaps: analysis.coverage.gaps.iter().filter(|gap| !gap.possible).count(),
            first_time: s.first_time.clone(),
            last_time: s.last_time.clone(),
            jobs: s.jobs,
            failures: s.failures,
            recovered: s.recovered,
            by_class: s.by_class.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect(),
            by_mechanism: s.by_mechanism.clone(),
        }
    }
}

/// A report that is done: written last, so what it names is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    format: String,
    version: u32,
    pub archive: String,
    pub manner: Manner,
    pub inputs: Vec<Known>,
    pub notes: Vec<String>,
    /// Whether some input could not be read.
    pub partial: bool,
    pub counts: Counts,
}

impl Stored {
    /// What is kept of `analysis`.
    #[must_use]
    pub fn new(archive: &str, manner: Manner, inputs: (Vec<Known>, Vec<String>), analysis: &Analysis) -> Self {
        let (inputs, notes) = inputs;
        Self {
            format: STORED.to_owned(),
            version: VERSION,
            archive: archive.to_owned(),
            manner,
            inputs,
            notes,
            partial: analysis.coverage.is_partial(),
            counts: Counts::of(analysis),
        }
    }

    /// Reads it; nothing where it is none of this version.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|s: &Self| s.format == STORED && s.version == VERSION)
    }
}

/// The figures at the end of the last run, by archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    format: String,
    version: u32,
    pub archives: BTreeMap<String, Counts>,
}

impl Past {
    #[must_use]
    pub fn new(archives: BTreeMap<String, Counts>) -> Self {
        Self { format: PAST.to_owned(), version: VERSION, archives }
    }

    /// Reads it; nothing where it is none of this version.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|p: &Self| p.format == PAST && p.version == VERSION)
    }
}
