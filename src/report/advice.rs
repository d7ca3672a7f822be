//! The advice of an archive, with the ids of the records that its figures rest on.

use std::collections::BTreeSet;

use serde::Serialize;

use super::failure::BLOCK;
use super::record_ids::Digests;
use super::{Evidence, Progress, RuleText, Rules, Tool};
use crate::classify::{Advice, Cites as _, Courses, Judge, Suspects};
use crate::correlate::Failure;
use crate::error::Result;
use crate::evidence::{FileEntry, Locator, is_partial};
use crate::ingest::{Options, rfc3339};

/// What the archive advises.
#[derive(Debug, Serialize)]
pub struct AdviceReport {
    pub tool: Tool,
    pub rules: Rules,
    pub archive: ArchiveCounts,
    #[serde(flatten)]
    pub advice: Advice,
    /// Files that were not read in full, or hold nothing.
    #[serde(skip)]
    pub not_read: Vec<FileEntry>,
    /// Folders that could not be listed.
    #[serde(skip)]
    pub unreadable: Vec<String>,
}

/// What the advice was learned from.
#[derive(Debug, Serialize)]
pub struct ArchiveCounts {
    pub files: usize,
    pub records: u64,
    pub parsed: u64,
    pub rejected: u64,
    pub duplicates: u64,
    pub first_time: Option<String>,
    pub last_time: Option<String>,
    pub jobs: usize,
    pub failures: usize,
}

impl AdviceReport {
    /// Whether some input could not be read.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.not_read.is_empty() || !self.unreadable.is_empty()
    }
}

/// Reads `paths`, weighs all failures, and learns what the archive advises.
///
/// # Errors
/// A path is wrong, nothing can be read, or a stage fails.
pub fn advise(paths: &[String], options: Options, rules: &RuleText, progress: &dyn Progress) -> Result<AdviceReport> {
    let evidence = Evidence::read(paths, options, rules, progress)?;
    let correlated = &evidence.correlated;
    let judge = Judge::new(&evidence.ingested, correlated, &rules.pack)?;
    let all: Vec<&Failure> = correlated.failures.iter().collect();
    let (mut courses, mut suspects) = (Courses::default(), Suspects::default());
    for block in all.chunks(BLOCK) {
        let verdicts = judge.verdicts(block)?;
        judge.follow(block, &verdicts, &mut courses);
        judge.suspect(block, &verdicts, &mut suspects);
    }
    let mut advice = judge.advice(&correlated.failures, &courses, &suspects)?;
    name_records(&evidence, &mut advice)?;
    let files = &evidence.ingested.files;
    let sum = |of: fn(&FileEntry) -> u64| files.iter().map(of).sum::<u64>();
    let span = correlated.contrast.span;
    let archive = ArchiveCounts {
        files: files.len(),
        records: sum(|file| file.records),
        parsed: sum(|file| file.parsed),
        rejected: sum(|file| file.rejected),
        duplicates: sum(|file| file.duplicates),
        first_time: span.map(|(first, _)| rfc3339(first)),
        last_time: span.map(|(_, last)| rfc3339(last)),
        jobs: correlated.jobs,
        failures: all.len(),
    };
    let not_read = files.iter().filter(|file| is_partial(std::slice::from_ref(file))).cloned().collect();
    let unreadable = evidence.discovery.unreadable;
    Ok(AdviceReport { tool: Tool::own(), rules: Rules::of(rules), archive, advice, not_read, unreadable })
}

/// Finds the ids of all records that are cited.
fn name_records(evidence: &Evidence, advice: &mut Advice) -> Result<()> {
    let mut cited: BTreeSet<Locator> = BTreeSet::new();
    advice.cites(&mut |records| cited.extend(&records.at));
    let mut digests = Digests::new(evidence, &evidence.correlated.table);
    digests.find(&cited)?;
    advice.cites(&mut |records| records.name(&|at| digests.of(at)));
    Ok(())
}
