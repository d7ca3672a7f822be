//! What the keys of CloudTrail's objects say.
//!
//! `[prefix/]AWSLogs/[O-ID/]ACCOUNT/CloudTrail-Digest/REGION/Y/M/D/ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOME_TIME.json.gz`
//! and `[prefix/]AWSLogs/[O-ID/]ACCOUNT/CloudTrail[-Insight]/REGION/Y/M/D/ACCOUNT_CloudTrail[-Insight]_REGION_TIME_ID.json.gz`.

use chrono::NaiveDateTime;

use crate::ingest::is_believed;

/// What stands beside a digest for the metadata of its object.
pub(super) const METADATA: &str = ".metadata.json";

/// What a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Digest,
    /// Metadata of a digest.
    Metadata,
    Log,
    Other,
}

/// Tells by its key what an object is. Whatever lies in CloudTrail's folders is taken for its own, and so is what bears
/// one of its names elsewhere: it may have been moved.
pub(super) fn kind(key: &str) -> Kind {
    if let Some(of) = key.strip_suffix(METADATA) {
        return if is_digest(of) { Kind::Metadata } else { Kind::Other };
    }
    if is_digest(key) {
        Kind::Digest
    } else if is_log(key) {
        Kind::Log
    } else {
        Kind::Other
    }
}

/// Whether the key is that of a backfill digest: one of logs that an earlier digest should have named.
pub(super) fn is_backfill(key: &str) -> bool {
    key.ends_with("_backfill.json.gz")
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn is_digest(key: &str) -> bool {
    key.split('/').rev().skip(1).any(|folder| folder == "CloudTrail-Digest")
        || file_name(key).contains("_CloudTrail-Digest_")
}

fn is_log(key: &str) -> bool {
    let mut folders = key.split('/').rev().skip(1);
    let own = folders.any(|folder| folder == "CloudTrail" || folder.starts_with("CloudTrail-"));
    let name = file_name(key);
    (own && folders.any(|folder| folder == "AWSLogs")) || name.contains("_CloudTrail_") || name.contains("_CloudTrail-")
}

/// The trail in one region that a digest belongs to. Two trails of an organization and of one of its accounts may have
/// the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trail {
    pub organization: Option<String>,
    pub account: String,
    /// The region whose events it holds.
    pub region: String,
    pub name: String,
    /// The region in which the trail was made.
    pub home: String,
}

/// The trail and the end of the digest's span, by its key.
pub(super) fn of_digest(key: &str) -> Option<(Trail, i64)> {
    let stem = file_name(key).strip_suffix(".json.gz")?;
    let stem = stem.strip_suffix("_backfill").unwrap_or(stem);
    let (account, rest) = stem.split_once("_CloudTrail-Digest_")?;
    let (region, rest) = rest.split_once('_')?;
    // The name of a trail may hold underscores, that of a region never does.
    let (rest, time) = rest.rsplit_once('_')?;
    let (name, home) = rest.rsplit_once('_')?;
    let owned = str::to_owned;
    let trail = Trail {
        organization: organization(key).map(owned),
        account: owned(account),
        region: owned(region),
        name: owned(name),
        home: owned(home),
    };
    Some((trail, time_of(time, "%Y%m%dT%H%M%SZ")?))
}

fn organization(key: &str) -> Option<&str> {
    let mut folders = key.split('/');
    folders.find(|folder| *folder == "AWSLogs")?;
    folders.next().filter(|folder| folder.starts_with("o-"))
}

/// Account, region and time of a log, by its key. Events of that time and of some minutes before lie in it.
pub(super) fn of_log(key: &str) -> Option<(&str, &str, i64)> {
    let mut words = file_name(key).split('_');
    let account = words.next()?;
    words.next().filter(|word| word.starts_with("CloudTrail"))?;
    Some((account, words.next()?, time_of(words.next()?, "%Y%m%dT%H%MZ")?))
}

fn time_of(text: &str, format: &str) -> Option<i64> {
    let time = NaiveDateTime::parse_from_str(text, format).ok()?.and_utc().timestamp_micros();
    is_believed(time).then_some(time)
}
