//! One failure as it is reported (DESIGN section 7).

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::record_ids::Digests;
use super::traces::{Tracer, Traces};
use super::{Evidence, Failures, Summary};
use crate::classify::{Cause, Class, Hypothesis, Judge, OfWave, Pack, Settling, Support, Verdict, Wording};
use crate::correlate::{EventTable, Failure, Order, Wave};
use crate::error::Result;
use crate::evidence::{Digest, Locator};
use crate::ingest::rfc3339;

/// Failing attempts by symptom.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SymptomCounts {
    pub timeouts: usize,
    /// 403.
    pub forbidden: usize,
    /// 409 and 412.
    pub conflicts: usize,
    pub other: usize,
}

/// A rule that applied, with the records it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvidenceReport {
    pub rule: String,
    /// Null where it only says how far the evidence is to be relied on.
    pub class: Option<Cause>,
    pub weight: f64,
    pub statement: String,
    pub records: Vec<String>,
}

/// One failure. Absent values are null, never left out. Times are RFC 3339, UTC.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailureReport {
    pub failure_id: String,
    pub job_id: Option<String>,
    pub conversation_id: Option<String>,
    pub recording_id: Option<String>,
    pub object_key: Option<String>,
    pub bucket: Option<String>,
    pub principal: Option<String>,
    pub tenant_id: Option<String>,
    pub region: Option<String>,
    pub media_type: Option<String>,
    pub step: String,
    pub first_failed_at: Option<String>,
    pub last_failed_at: Option<String>,
    pub recovered_at: Option<String>,
    /// Failing attempts, each counted once, however many sources tell of it.
    pub attempts: usize,
    pub symptoms: SymptomCounts,
    pub class: Class,
    pub mechanism: Option<String>,
    pub support: Option<Support>,
    pub missing_permissions: Vec<String>,
    pub hypotheses: Vec<Hypothesis>,
    pub evidence: Vec<EvidenceReport>,
    pub reason: Option<String>,
    pub next_evidence: Vec<String>,
    pub remedy: Vec<String>,
}

/// Some failures that were weighed, with what they were weighed by.
pub struct Weighed<'a> {
    pub table: &'a EventTable,
    pub failures: &'a [&'a Failure],
    pub verdicts: &'a [Verdict],
    /// Those of the records that the verdicts cite.
    pub digests: &'a Digests<'a>,
}

/// Is shown the failures as they are weighed, some at a time.
pub type See<'a> = &'a mut (dyn FnMut(&Weighed<'_>) -> Result<()> + Send);

/// Which failures are wanted; all by default.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Those of this job.
    pub job: Option<String>,
    /// Those that began at or after this time, microseconds since 1970, UTC.
    pub since: Option<i64>,
    /// Those that began before this time.
    pub until: Option<i64>,
    /// Whether the records behind each are wanted too: [`super::Analysis::traced`].
    pub traced: bool,
}

impl Selection {
    fn is_all(&self) -> bool {
        self.job.is_none() && self.since.is_none() && self.until.is_none()
    }

    fn takes(&self, failure: &Failure) -> bool {
        let begun = failure.first_failed_at;
        self.job.as_ref().is_none_or(|job| failure.job_id.as_ref() == Some(job))
            && self.since.is_none_or(|since| begun >= Some(since))
            && self.until.is_none_or(|until| begun.is_some_and(|begun| begun < until))
    }
}

/// Failures that are weighed at a time.
pub const BLOCK: usize = 1024;

/// The reports of the failures that are wanted, counted in `summary`, and the records behind them where these are.
///
/// # Errors
/// A cited record cannot be read again, a rule not be evaluated, or a report not be put aside.
pub fn reports(
    evidence: &Evidence,
    pack: &Pack,
    selection: &Selection,
    summary: &mut Summary,
    wording: Option<&dyn Wording>,
    see: See<'_>,
) -> Result<(Failures, Traces)> {
    let judge = Judge::new(&evidence.ingested, &evidence.correlated, pack)?.worded(wording);
    let mut reporting = Reporting::new(evidence, selection.traced, summary, see);
    for wave in evidence.correlated.waves(&evidence.reread()) {
        let wave = wave?;
        let judge = judge.of(&wave);
        let selected: Vec<&Failure> = wave.failures.iter().filter(|failure| selection.takes(failure)).collect();
        // What cannot be divided of reporting some failures is done while the next are weighed.
        let mut weighed: Option<(&[&Failure], Vec<Verdict>)> = None;
        for block in selected.chunks(BLOCK) {
            let last = weighed.take();
            let report = || last.map_or(Ok(()), |(block, verdicts)| reporting.take(&judge, &wave, block, verdicts));
            let (verdicts, reported) = rayon::join(|| judge.verdicts(block), report);
            reported?;
            weighed = Some((block, verdicts?));
        }
        if let Some((block, verdicts)) = weighed {
            reporting.take(&judge, &wave, block, verdicts)?;
        }
    }
    let Reporting { mut failures, traces, mut settling, .. } = reporting;
    failures.sort();
    if settling.is_empty() {
        return Ok((failures, traces));
    }
    if !selection.is_all() {
        follow_others(evidence, &judge, selection, &mut settling)?;
    }
    Ok((say_what_retries_are_enough(failures, &settling.sentences())?, traces))
}

/// Makes reports of failures that were weighed.
struct Reporting<'a> {
    evidence: &'a Evidence<'a>,
    digests: Digests<'a>,
    failures: Failures,
    /// Where the records behind failures are wanted.
    behind: Option<Tracer<'a>>,
    traces: Traces,
    settling: Settling,
    summary: &'a mut Summary,
    see: See<'a>,
}

impl<'a> Reporting<'a> {
    fn new(evidence: &'a Evidence<'a>, traced: bool, summary: &'a mut Summary, see: See<'a>) -> Self {
        Self {
            evidence,
            digests: Digests::new(evidence),
            failures: Failures::default(),
            behind: traced.then(|| Tracer::new(evidence)),
            traces: Traces::default(),
            settling: Settling::default(),
            summary,
            see,
        }
    }

    /// Takes in some failures of a wave.
    fn take(&mut self, judge: &OfWave<'_, '_>, wave: &Wave, some: &[&Failure], verdicts: Vec<Verdict>) -> Result<()> {
        let Self { digests, behind, .. } = self;
        let table = &wave.table;
        self.settling.add(&judge.follow(some, &verdicts));
        let cited = verdicts.iter().flat_map(|v| &v.findings).flat_map(|f| f.records.iter().copied());
        let traced = some.iter().filter(|_| behind.is_some()).flat_map(|failure| Tracer::rows(failure));
        let traced = traced.map(|row| table.locator(row));
        digests.find(cited.chain(traced), &[table, &self.evidence.correlated.probes])?;
        (self.see)(&Weighed { table, failures: some, verdicts: &verdicts, digests })?;
        if let Some(tracer) = behind {
            let pairs = some.par_iter().zip(&verdicts);
            let found = pairs.map(|(failure, verdict)| tracer.trace(failure, verdict, table, digests));
            self.traces.add(&found.collect::<Result<Vec<_>>>()?)?;
        }
        let pairs = some.par_iter().zip(verdicts.into_par_iter());
        let reports = pairs.map(|(failure, verdict)| (failure.order(table), report(failure, verdict, digests)));
        let reports: Vec<(Order, FailureReport)> = reports.collect();
        for (_, report) in &reports {
            self.summary.add(report);
        }
        self.failures.add(reports)
    }
}

/// Takes in what became of the failures that are not wanted: how long a race takes is learned from all of them.
fn follow_others(
    evidence: &Evidence<'_>,
    judge: &Judge<'_>,
    selection: &Selection,
    settling: &mut Settling,
) -> Result<()> {
    for wave in evidence.correlated.waves(&evidence.reread()) {
        let wave = wave?;
        let judge = judge.of(&wave);
        let others: Vec<&Failure> = wave.failures.iter().filter(|failure| !selection.takes(failure)).collect();
        for block in others.chunks(BLOCK) {
            settling.add(&judge.follow(block, &judge.verdicts(block)?));
        }
    }
    Ok(())
}

/// Adds to the remedies of races what the archive says of retrying, by mechanism.
fn say_what_retries_are_enough(failures: Failures, sentences: &BTreeMap<&str, String>) -> Result<Failures> {
    if sentences.is_empty() {
        return Ok(failures);
    }
    // So the class of the whole report is written, not that of one hypothesis.
    let marked = format!(r#""class":"{}","mechanism":""#, Class::SyncRace.name());
    failures.amended(&marked, |report| {
        let sentence = report.mechanism.as_deref().and_then(|mechanism| sentences.get(mechanism));
        report.remedy.extend(sentence.filter(|_| report.class == Class::SyncRace).cloned());
    })
}

/// The ids of cited records, in an order that does not depend on how the evidence is divided into files.
fn ids(records: &[Locator], digests: &Digests<'_>) -> Vec<String> {
    let mut digests: Vec<Digest> = records.iter().filter_map(|at| digests.of(at)).collect();
    digests.sort_unstable();
    digests.iter().map(Digest::record_id).collect()
}

/// A failure as it is reported.
pub(super) fn report(failure: &Failure, verdict: Verdict, digests: &Digests<'_>) -> FailureReport {
    let [timeouts, forbidden, conflicts, other] = verdict.symptoms;
    let evidence = verdict
        .findings
        .into_iter()
        .map(|finding| EvidenceReport {
            class: finding.class,
            weight: finding.weight,
            records: ids(&finding.records, digests),
            rule: finding.rule,
            statement: finding.statement,
        })
        .collect();
    FailureReport {
        failure_id: failure.id.clone(),
        job_id: failure.job_id.clone(),
        conversation_id: failure.conversation_id.clone(),
        recording_id: failure.recording_id.clone(),
        object_key: failure.object_key.clone(),
        bucket: failure.bucket.clone(),
        principal: failure.principal.clone(),
        tenant_id: failure.tenant_id.clone(),
        region: failure.region.clone(),
        media_type: failure.media_type.clone(),
        step: failure.step.clone(),
        first_failed_at: failure.first_failed_at.map(rfc3339),
        last_failed_at: failure.last_failed_at.map(rfc3339),
        recovered_at: failure.recovered_at.map(rfc3339),
        attempts: failure.failing.len(),
        symptoms: SymptomCounts { timeouts, forbidden, conflicts, other },
        class: verdict.class,
        mechanism: verdict.mechanism,
        support: verdict.support,
        missing_permissions: verdict.missing_permissions,
        hypotheses: verdict.hypotheses,
        evidence,
        reason: verdict.reason,
        next_evidence: verdict.next_evidence,
        remedy: verdict.remedy,
    }
}
