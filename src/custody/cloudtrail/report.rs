//! What was found: docs/custody.md describes it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::chain::{Chains, Missing};
use super::deliveries::DeliveryStatus;
use super::folder::Folder;
use super::range::{Range, Span};
use super::{Object, gaps, names};
use crate::ingest::rfc3339;

/// The whole result, in the order of places and times.
#[derive(Debug, Serialize)]
pub struct Report {
    pub digests: Vec<Digest>,
    pub logs: Vec<Log>,
    /// Spans that no digest of a standard chain covers, of all chains together.
    pub gaps: Vec<Gap>,
    pub chains: Vec<Chain>,
    /// Objects whose delivery the logs themselves tell of.
    pub deliveries: Vec<Delivery>,
    /// Files that are not CloudTrail's and were not read.
    pub other_files: usize,
    /// One sentence per link or special file that was not read.
    pub skipped: Vec<String>,
    /// One sentence per file or folder that could not be listed.
    pub unreadable: Vec<String>,
}

/// A digest file.
#[derive(Debug, Serialize)]
pub struct Digest {
    pub bucket: String,
    pub key: String,
    pub chain: ChainKind,
    pub status: DigestStatus,
    /// Why it is not valid.
    pub reason: Option<String>,
}

/// Digests of the usual hours, or of logs that those should have named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainKind {
    Standard,
    Backfill,
}

impl ChainKind {
    pub(super) fn of_key(key: &str) -> Self {
        if names::is_backfill(key) { Self::Backfill } else { Self::Standard }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestStatus {
    Valid,
    Invalid,
    /// Nothing in the folder gives its signature.
    Unsigned,
    Missing,
}

impl DigestStatus {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unsigned => "unsigned",
            Self::Missing => "missing",
        }
    }
}

/// A log file.
#[derive(Debug, Serialize)]
pub struct Log {
    pub bucket: String,
    pub key: String,
    pub status: LogStatus,
    /// Why it is not valid.
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStatus {
    Valid,
    Invalid,
    Missing,
    /// No digest that is proven names it.
    Undigested,
}

impl LogStatus {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
            Self::Undigested => "undigested",
        }
    }
}

/// A span without a digest, RFC 3339, UTC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    pub from: String,
    pub to: String,
}

impl From<Span> for Gap {
    fn from(span: Span) -> Self {
        Self { from: rfc3339(span.from), to: rfc3339(span.to) }
    }
}

/// The digests of one trail in one region of one account.
#[derive(Debug, Serialize)]
pub struct Chain {
    pub organization: Option<String>,
    pub account: String,
    pub region: String,
    pub trail: String,
    pub home_region: String,
    pub chain: ChainKind,
    /// Digests in the range that are in the folder.
    pub digests: usize,
    /// What they cover, RFC 3339, UTC.
    pub from: Option<String>,
    pub to: Option<String>,
    pub gaps: Vec<Gap>,
}

/// A delivery that a `PutObject` record tells of.
#[derive(Debug, Serialize)]
pub struct Delivery {
    pub bucket: String,
    pub key: String,
    pub status: DeliveryStatus,
    /// Of the record.
    pub time: String,
    pub delivered_bytes: Option<u64>,
    pub found_bytes: Option<u64>,
    /// The log with the record.
    pub recorded_in: String,
}

impl Report {
    /// Whether nothing speaks against anything: all digests and logs are valid, all deliveries are as recorded.
    #[must_use]
    pub fn is_all_valid(&self) -> bool {
        let undelivered = |one: &Delivery| matches!(one.status, DeliveryStatus::Missing | DeliveryStatus::Differs);
        self.digests.iter().all(|digest| digest.status == DigestStatus::Valid)
            && self.logs.iter().all(|log| log.status == LogStatus::Valid)
            && !self.deliveries.iter().any(undelivered)
            && self.unreadable.is_empty()
    }
}

pub(super) fn assemble(
    folder: Folder,
    chains: &Chains,
    logs: Vec<Log>,
    deliveries: Vec<Delivery>,
    range: Range,
) -> Report {
    let links = chains.links.iter().filter(|link| range.touches(link.span()));
    let links = links.map(|link| digest(&link.object, link.status, link.reason.clone()));
    let missing = chains.missing.iter().filter(|missing| range.touches(missing.span));
    let missing =
        missing.map(|Missing { object, reason, .. }| digest(object, DigestStatus::Missing, Some(reason.clone())));
    let chains = gaps::chains(chains, range);
    let mut gaps: Vec<Gap> = chains.iter().flat_map(|chain| chain.gaps.iter().cloned()).collect();
    gaps.sort();
    gaps.dedup();
    let skipped = folder.skipped.iter().map(|(object, kind)| format!("{}/{}: {kind}", object.bucket, object.key));
    let mut report = Report {
        digests: links.chain(missing).collect(),
        logs,
        gaps,
        chains,
        deliveries,
        other_files: folder.others.len(),
        skipped: skipped.collect(),
        unreadable: folder.unreadable,
    };
    add_undelivered(&mut report);
    report.digests.sort_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
    report.logs.sort_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
    report
}

fn digest(object: &Object, status: DigestStatus, reason: Option<String>) -> Digest {
    let Object { bucket, key } = object.clone();
    Digest { chain: ChainKind::of_key(&key), bucket, key, status, reason }
}

/// What was delivered and is not there is missing, even where no digest names it.
fn add_undelivered(report: &mut Report) {
    let known = report.digests.iter().map(|digest| (digest.bucket.clone(), digest.key.clone()));
    let known: BTreeSet<_> = known.chain(report.logs.iter().map(|log| (log.bucket.clone(), log.key.clone()))).collect();
    for delivery in report.deliveries.iter().filter(|delivery| delivery.status == DeliveryStatus::Missing) {
        let object = (delivery.bucket.clone(), delivery.key.clone());
        if known.contains(&object) {
            continue;
        }
        let (bucket, key) = object;
        let (time, source) = (&delivery.time, &delivery.recorded_in);
        let reason = format!("not in the folder; a record in {source} says that it was delivered at {time}");
        if names::kind(&key) == names::Kind::Log {
            report.logs.push(Log { bucket, key, status: LogStatus::Missing, reason: Some(reason) });
        } else {
            report.digests.push(digest(&Object { bucket, key }, DigestStatus::Missing, Some(reason)));
        }
    }
}
