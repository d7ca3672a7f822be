//! The advice of an archive, with the ids of the records that its figures rest on.

use serde::Serialize;

use super::failure::BLOCK;
use super::record_ids::Digests;
use super::{Evidence, Progress, RuleText, Rules, Tool};
use crate::classify::{Advice, Cites as _, Courses, Judge, Suspects};
use crate::correlate::Failure;
use crate::error::Result;
use crate::evidence::{Discovery, FileEntry, Locator, is_partial};
use crate::ingest::{Options, rfc3339};

/// What the archive advises.
#[derive(Debug, Serialize)]
pub struct AdviceReport {
    pub tool: Tool,
    pub rules: Rules,
    pub archive: ArchiveCounts,
    #[serde(flatten)]
    pub advice: Advice,
    /// The files that were read.
    #[serde(skip)]
    pub files: Vec<FileEntry>,
    /// Where they were found, and what was passed over.
    #[serde(skip)]
    pub discovery: Discovery,
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
        is_partial(&self.files) || !self.discovery.unreadable.is_empty()
    }
}

/// Reads `paths`, weighs all failures, and learns what the archive advises.
///
/// # Errors
/// A path is wrong, nothing can be read, or a stage fails.
pub fn advise(
    paths: &[String],
    options: Options<'_>,
    rules: &RuleText,
    progress: &dyn Progress,
) -> Result<AdviceReport> {
    let evidence = Evidence::read(paths, options, rules, progress)?;
    let (mut advice, failures) = learn(&evidence, rules)?;
    name_records(&evidence, &mut advice)?;
    let files = &evidence.ingested.files;
    let sum = |of: fn(&FileEntry) -> u64| files.iter().map(of).sum::<u64>();
    let span = evidence.correlated.contrast.span;
    let archive = ArchiveCounts {
        files: files.len(),
        records: sum(|file| file.records),
        parsed: sum(|file| file.parsed),
        rejected: sum(|file| file.rejected),
        duplicates: sum(|file| file.duplicates),
        first_time: span.map(|(first, _)| rfc3339(first)),
        last_time: span.map(|(_, last)| rfc3339(last)),
        jobs: evidence.correlated.jobs,
        failures,
    };
    let (rules, discovery, files) = (Rules::of(rules, files), evidence.discovery, evidence.ingested.files);
    Ok(AdviceReport { tool: Tool::own(), rules, archive, advice, files, discovery })
}

/// The advice, and how many failures it was learned from.
fn learn(evidence: &Evidence<'_>, rules: &RuleText) -> Result<(Advice, usize)> {
    let judge = Judge::new(&evidence.ingested, &evidence.correlated, &rules.pack)?;
    let (mut courses, mut suspects, mut count) = (Courses::default(), Suspects::default(), 0);
    for wave in evidence.correlated.waves(&evidence.reread()) {
        let wave = wave?;
        let judge = judge.of(&wave);
        let all: Vec<&Failure> = wave.failures.iter().collect();
        count += all.len();
        for block in all.chunks(BLOCK) {
            let verdicts = judge.verdicts(block)?;
            courses.add(judge.follow(block, &verdicts));
            judge.suspect(block, &verdicts, &mut suspects);
        }
    }
    Ok((judge.advice(&courses, &suspects)?, count))
}

/// Finds the ids of all records that are cited.
fn name_records(evidence: &Evidence<'_>, advice: &mut Advice) -> Result<()> {
    let mut cited: Vec<Locator> = Vec::new();
    advice.cites(&mut |records| cited.extend(&records.at));
    let mut digests = Digests::new(evidence);
    digests.find(cited, &[&evidence.correlated.probes])?;
    advice.cites(&mut |records| records.name(&|at| digests.of(at)));
    Ok(())
}
