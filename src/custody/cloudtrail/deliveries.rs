//! Delivery reconciliation: what the archive's own records of its deliveries say against what is in the folder.
//!
//! A trail that logs the data events of the bucket it is delivered to holds a `PutObject` by `cloudtrail.amazonaws.com` for
//! every log and digest, with the bytes that were sent. That also tells of a newest digest that was removed, which the
//! chain cannot.

use std::collections::BTreeMap;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Object;
use super::folder::Folder;
use super::names::{self, Kind};
use super::range::{Range, Span};
use super::report::Delivery;

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// How a delivered object stands in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// As many bytes as were delivered.
    AsDelivered,
    /// Another number of bytes.
    Differs,
    /// Not in the folder.
    Missing,
    /// In the folder; the record does not say how many bytes were delivered.
    SizeUnknown,
}

impl DeliveryStatus {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AsDelivered => "as delivered",
            Self::Differs => "of another size",
            Self::Missing => "missing",
            Self::SizeUnknown => "of unknown size",
        }
    }
}

/// A delivery that a record tells of.
#[derive(Debug)]
pub(super) struct Recorded {
    object: Object,
    bytes: Option<u64>,
    time: String,
    /// The log with the record.
    source: Object,
}

#[derive(Deserialize)]
struct Records<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_time: String,
    event_name: String,
    event_source: String,
    error_code: Option<String>,
    user_identity: Identity,
    request_parameters: Parameters,
    additional_event_data: Option<Additional>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    invoked_by: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    bucket_name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Additional {
    bytes_transferred_in: Option<f64>,
}

/// The deliveries that the log `source` tells of; `bytes` is its unpacked content.
pub(super) fn recorded(source: &Object, bytes: &[u8]) -> Vec<Recorded> {
    if memmem::find(bytes, CLOUDTRAIL.as_bytes()).is_none() {
        return Vec::new();
    }
    let Ok(file) = serde_json::from_slice::<Records<'_>>(bytes) else { return Vec::new() };
    let own =
        file.records.iter().filter(|record| memmem::find(record.get().as_bytes(), CLOUDTRAIL.as_bytes()).is_some());
    own.filter_map(|record| delivery(source, serde_json::from_str(record.get()).ok()?)).collect()
}

fn delivery(source: &Object, record: Record) -> Option<Recorded> {
    let put = record.event_name == "PutObject" && record.event_source == "s3.amazonaws.com";
    if !put || record.error_code.is_some() || record.user_identity.invoked_by != CLOUDTRAIL {
        return None;
    }
    let bytes = record.additional_event_data.and_then(|more| more.bytes_transferred_in);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size, within what f64 holds exactly"
    )]
    let bytes = bytes.filter(|bytes| (0.0..9e15).contains(bytes)).map(|bytes| bytes as u64);
    let Parameters { bucket_name: bucket, key } = record.request_parameters;
    Some(Recorded { object: Object { bucket, key }, bytes, time: record.event_time, source: source.clone() })
}

/// Compares the deliveries of logs and digests of `range` with the folder, in the order of their places. Of an object that
/// was delivered several times the last delivery counts.
pub(super) fn compare(folder: &Folder, recorded: &[Recorded], range: Range) -> Vec<Delivery> {
    let mut last: BTreeMap<&Object, &Recorded> = BTreeMap::new();
    for one in recorded.iter().filter(|one| concerns(&one.object.key, range)) {
        let known = last.entry(&one.object).or_insert(one);
        if (&one.time, &one.source) > (&known.time, &known.source) {
            *known = one;
        }
    }
    last.into_values().map(|one| compared(folder, one)).collect()
}

fn concerns(key: &str, range: Range) -> bool {
    match names::kind(key) {
        Kind::Log => range.holds(names::of_log(key).map(|(_, _, time)| time)),
        Kind::Digest => range.touches(names::of_digest(key).map(|(_, end)| Span::hour_to(end))),
        Kind::Metadata | Kind::Other => false,
    }
}

fn compared(folder: &Folder, one: &Recorded) -> Delivery {
    let found = folder.file(&one.object).map(|file| file.bytes);
    let status = match (found, one.bytes) {
        (None, _) => DeliveryStatus::Missing,
        (Some(_), None) => DeliveryStatus::SizeUnknown,
        (Some(found), Some(delivered)) if found == delivered => DeliveryStatus::AsDelivered,
        (Some(_), Some(_)) => DeliveryStatus::Differs,
    };
    Delivery {
        bucket: one.object.bucket.clone(),
        key: one.object.key.clone(),
        status,
        time: one.time.clone(),
        delivered_bytes: one.bytes,
        found_bytes: found,
        recorded_in: one.source.to_string(),
    }
}
