//! What the evidence should hold and does not, as it is reported.

use serde::Serialize;

use super::Evidence;
use super::record_ids::Digests;
use crate::correlate;
use crate::error::Result;
use crate::ingest::rfc3339;

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// `job_without_end`, `pages_missing`, `silence`, `unwitnessed`.
    pub kind: &'static str,
    /// The source in which it is missing.
    pub source: String,
    pub job_id: Option<String>,
    /// Between which times, RFC 3339 UTC; null where it may be anywhere, or to the end.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Whether it may have another reason than that records are missing.
    pub possible: bool,
    pub detail: String,
    /// Ids of the records that it rests on.
    pub records: Vec<String>,
}

/// The gaps of the evidence that are `wanted`, with the ids of their records.
///
/// # Errors
/// A file cannot be read again.
pub fn report(evidence: &Evidence, wanted: impl Fn(&correlate::Gap) -> bool) -> Result<Vec<Gap>> {
    let gaps: Vec<&correlate::Gap> = evidence.correlated.gaps.iter().filter(|gap| wanted(gap)).collect();
    let mut digests = Digests::new(evidence);
    digests.find(gaps.iter().flat_map(|gap| gap.records.iter().copied()), &[])?;
    let ids = |gap: &correlate::Gap| -> Vec<String> {
        gap.records.iter().filter_map(|at| digests.of(at)).map(|digest| digest.record_id()).collect()
    };
    let reported = gaps.into_iter().map(|gap| Gap {
        kind: gap.kind.name(),
        source: gap.source.clone(),
        job_id: gap.job.clone(),
        from: gap.from.map(rfc3339),
        to: gap.to.map(rfc3339),
        possible: gap.possible,
        detail: gap.detail.clone(),
        records: ids(gap),
    });
    Ok(reported.collect())
}
