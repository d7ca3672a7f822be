//! What a digest file says.

use std::path::Path;

use serde::Deserialize;

use super::Object;
use super::keys::ALGORITHM;
use super::range::Span;
use super::unpack::{Unfit, unpack};
use crate::evidence::Digest;
use crate::ingest::AssumedZone;

/// The largest digest that is read, unpacked: half a million logs in an hour.
const LARGEST: usize = 256 * 1024 * 1024;

/// The only algorithm that CloudTrail hashes with.
const HASHED_WITH: &str = "SHA-256";

/// A digest that could be read.
#[derive(Debug)]
pub(super) struct Document {
    /// Of the unpacked file.
    pub hash: Digest,
    /// Where it says that it was delivered.
    pub delivered: Object,
    pub span: Span,
    pub fingerprint: String,
    pub previous: Option<Previous>,
    pub logs: Vec<Named>,
    /// What follows it in its file, in a sentence.
    pub tail: Option<String>,
    /// Why it cannot be checked, though it can be read: an algorithm that is not known.
    pub unsupported: Option<String>,
    /// What the signature is made of, but for the hash: the end as written, the previous signature as written.
    end: String,
}

/// The digest before it.
#[derive(Debug)]
pub(super) struct Previous {
    pub object: Object,
    pub hash: String,
    /// Hex, as written.
    pub signature: String,
}

/// A log that a digest names.
#[derive(Debug)]
pub(super) struct Named {
    pub object: Object,
    /// Of the unpacked file, or why the stated hash cannot be checked.
    pub hash: Result<Digest, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    digest_start_time: String,
    digest_end_time: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: Option<String>,
    previous_digest_s3_bucket: Option<String>,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: Vec<RawLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: Option<String>,
}

/// Reads the digest at `path`.
///
/// # Errors
/// It cannot be read or unpacked, or is no digest.
pub(super) fn read(path: &Path) -> Result<Document, String> {
    let unpacked = unpack(path, LARGEST).map_err(|Unfit { reason, .. }| reason)?;
    let Some(bytes) = unpacked.bytes else { return Err(format!("it unpacks to more than {LARGEST} bytes; refused")) };
    let raw: Raw = serde_json::from_slice(&bytes).map_err(|e| format!("it is not a digest: {e}"))?;
    Ok(Document { tail: unpacked.tail, ..document(raw, unpacked.hash)? })
}

fn document(mut raw: Raw, hash: Digest) -> Result<Document, String> {
    let time = |text: &str| {
        let micros = AssumedZone::default().read(text).and_then(|instant| instant.micros);
        micros.ok_or_else(|| format!("it is not a digest: `{text}` is no time"))
    };
    let span = Span { from: time(&raw.digest_start_time)?, to: time(&raw.digest_end_time)? };
    let unsupported = unsupported(&raw);
    let previous = previous(&mut raw)?;
    Ok(Document {
        hash,
        delivered: Object { bucket: raw.digest_s3_bucket, key: raw.digest_s3_object },
        span,
        fingerprint: raw.digest_public_key_fingerprint,
        previous,
        logs: raw.log_files.into_iter().map(named).collect(),
        tail: None,
        unsupported,
        end: raw.digest_end_time,
    })
}

fn unsupported(raw: &Raw) -> Option<String> {
    let other = |what: &str, said: Option<&String>, known: &str| {
        let said = said.filter(|said| *said != known)?;
        Some(format!("it names the {what} algorithm `{said}`; only {known} is known"))
    };
    let signature = other("signature", raw.digest_signature_algorithm.as_ref(), ALGORITHM);
    signature.or_else(|| other("previous hash", raw.previous_digest_hash_algorithm.as_ref(), HASHED_WITH))
}

/// The first digest of a chain names none before it; all five members are null.
fn previous(raw: &mut Raw) -> Result<Option<Previous>, String> {
    let parts = (
        raw.previous_digest_s3_bucket.take(),
        raw.previous_digest_s3_object.take(),
        raw.previous_digest_hash_value.take(),
        raw.previous_digest_signature.take(),
    );
    match parts {
        (None, None, None, None) => Ok(None),
        (Some(bucket), Some(key), Some(hash), Some(signature)) => {
            Ok(Some(Previous { object: Object { bucket, key }, hash, signature }))
        }
        _ => Err("it is not a digest: it names the digest before it only in part".to_owned()),
    }
}

fn named(raw: RawLog) -> Named {
    let mut bytes = [0; 32];
    let hash = match raw.hash_algorithm {
        Some(other) if other != HASHED_WITH => {
            Err(format!("its digest names the hash algorithm `{other}`; only {HASHED_WITH} is known"))
        }
        _ if const_hex::decode_to_slice(&raw.hash_value, &mut bytes).is_err() => {
            Err(format!("its digest states a hash that is no SHA-256: `{}`", raw.hash_value))
        }
        _ => Ok(Digest(bytes)),
    };
    Named { object: Object { bucket: raw.s3_bucket, key: raw.s3_object }, hash }
}

impl Document {
    /// What was signed: end, place, hash and previous signature, a line each.
    pub(super) fn signed_text(&self) -> String {
        let previous = self.previous.as_ref().map_or("null", |previous| &previous.signature);
        format!("{}\n{}/{}\n{}\n{previous}", self.end, self.delivered.bucket, self.delivered.key, self.hash)
    }
}
