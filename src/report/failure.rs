//! One failure as it is reported (DESIGN section 7).

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::Serialize;

use super::Evidence;
use super::record_ids::digests;
use crate::classify::{Cause, Class, Hypothesis, Support, Verdict};
use crate::correlate::Failure;
use crate::error::Result;
use crate::evidence::{Cited, Digest, Locator};
use crate::ingest::rfc3339;

/// Failing attempts by symptom.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SymptomCounts {
    pub timeouts: usize,
    /// 403.
    pub forbidden: usize,
    /// 409 and 412.
    pub conflicts: usize,
    pub other: usize,
}

/// A rule that applied, with the records it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceReport {
    pub rule: String,
    pub class: Cause,
    pub weight: f64,
    pub statement: String,
    pub records: Vec<String>,
}

/// One failure. Absent values are null, never left out. Times are RFC 3339, UTC.
#[derive(Clone, Debug, Serialize)]
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
    /// First failing time in microseconds, for filters; not part of the output.
    #[serde(skip)]
    pub first_failed_micros: Option<i64>,
}

/// The reports of all failures.
///
/// # Errors
/// A cited record cannot be read again.
pub fn reports(evidence: &Evidence, verdicts: Vec<Verdict>) -> Result<Vec<FailureReport>> {
    let cited: BTreeSet<Locator> =
        verdicts.iter().flat_map(|v| &v.findings).flat_map(|f| f.records.iter().copied()).collect();
    let digests = digests(evidence, &evidence.correlated.table, &cited)?;
    let failures = evidence.correlated.failures.par_iter().zip(verdicts.into_par_iter());
    Ok(failures.map(|(failure, verdict)| report(failure, verdict, &digests)).collect())
}

/// The ids of cited records, in an order that does not depend on how the evidence is divided into files.
fn ids(records: &[Locator], digests: &Cited) -> Vec<String> {
    let mut digests: Vec<&Digest> = records.iter().filter_map(|at| digests.get(at)).collect();
    digests.sort_unstable();
    digests.into_iter().map(Digest::record_id).collect()
}

fn report(failure: &Failure, verdict: Verdict, digests: &Cited) -> FailureReport {
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
        first_failed_micros: failure.first_failed_at,
    }
}
