//! The figures of the first page.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Evidence, FailureReport};
use crate::classify::Class;
use crate::ingest::rfc3339;

/// How much there was, how much of it failed, and why.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    pub files: usize,
    pub records: u64,
    pub parsed: u64,
    pub rejected: u64,
    pub duplicates: u64,
    pub superseded: u64,
    /// Times without a zone, read with `--assume-tz`.
    pub zoneless_times: u64,
    /// Times before 2000 or after 2099, not used.
    pub implausible_times: u64,
    pub redacted: u64,
    pub first_time: Option<String>,
    pub last_time: Option<String>,
    pub jobs: usize,
    pub attempts: usize,
    pub failures: usize,
    pub recovered: usize,
    pub by_class: BTreeMap<&'static str, usize>,
    pub by_mechanism: BTreeMap<String, usize>,
}

impl Summary {
    /// Adds up what was read; no failure is counted yet.
    #[must_use]
    pub fn new(evidence: &Evidence) -> Self {
        let files = &evidence.ingested.files;
        let span = evidence.correlated.contrast.span;
        Self {
            files: files.len(),
            records: files.iter().map(|f| f.records).sum(),
            parsed: files.iter().map(|f| f.parsed).sum(),
            rejected: files.iter().map(|f| f.rejected).sum(),
            duplicates: files.iter().map(|f| f.duplicates).sum(),
            superseded: files.iter().map(|f| f.superseded).sum(),
            zoneless_times: files.iter().map(|f| f.zoneless_times).sum(),
            implausible_times: files.iter().map(|f| f.implausible_times).sum(),
            redacted: files.iter().map(|f| f.redacted).sum(),
            first_time: span.map(|(first, _)| rfc3339(first)),
            last_time: span.map(|(_, last)| rfc3339(last)),
            jobs: evidence.correlated.jobs,
            attempts: evidence.correlated.attempts,
            failures: 0,
            recovered: 0,
            by_class: Class::ALL.iter().map(|c| (c.name(), 0)).collect(),
            by_mechanism: BTreeMap::new(),
        }
    }

    /// Counts a failure.
    pub fn add(&mut self, failure: &FailureReport) {
        self.failures += 1;
        self.recovered += usize::from(failure.recovered_at.is_some());
        *self.by_class.entry(failure.class.name()).or_default() += 1;
        if let Some(mechanism) = &failure.mechanism {
            *self.by_mechanism.entry(mechanism.clone()).or_default() += 1;
        }
    }
}
