//! The public keys: the output of `aws cloudtrail list-public-keys`.
//!
//! A key is found by its fingerprint and used within its validity. CloudTrail has other keys in each region, and a new
//! one every month. The documentation says that the keys are PKCS #1; of its own examples one is a `SubjectPublicKeyInfo`,
//! so both are read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::PublicKey;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::sha2::Sha256;
use serde::Deserialize;
use serde_json::Value;

use super::range::{HOUR, Span};
use crate::error::{Error, Result};
use crate::ingest::{AssumedZone, epoch, rfc3339};

/// The only algorithm that CloudTrail signs with: RSASSA-PKCS1-v1_5 over SHA-256.
pub(super) const ALGORITHM: &str = "SHA256withRSA";

/// How long after the end of its hour a digest may be signed: AWS's own checker asks for the keys of two more hours.
const SIGNED_WITHIN: i64 = 2 * HOUR;
/// How far from its time of generation a backfill digest may be signed, as AWS's own checker has it.
const BACKFILL_WITHIN: i64 = HOUR;

/// Public keys by fingerprint.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<String, Vec<Key>>);

#[derive(Debug)]
struct Key {
    /// The key, or why it cannot be used.
    public: std::result::Result<PublicKey, String>,
    /// Validity, microseconds since 1970, UTC; open where the file says nothing.
    from: Option<i64>,
    to: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    public_key_list: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    value: String,
    fingerprint: String,
    #[serde(default)]
    validity_start_time: Value,
    #[serde(default)]
    validity_end_time: Value,
}

impl Keys {
    /// Reads the keys in `files`; each may hold several outputs one after the other, those of several regions.
    ///
    /// # Errors
    /// A file cannot be read or is not such output, or no key in it can be used.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut keys = Self::default();
        for file in files {
            let text = std::fs::read(file).map_err(|e| Error::io(file, "reading the public keys", e))?;
            keys.add(&text).map_err(|reason| Error::Usage { what: file.display().to_string(), reason })?;
        }
        let usable = keys.0.values().flatten().any(|key| key.public.is_ok());
        let why = keys.0.values().flatten().find_map(|key| key.public.as_ref().err());
        if usable {
            Ok(keys)
        } else {
            let why = why.map_or_else(|| "the list is empty".to_owned(), Clone::clone);
            let reason =
                format!("no public key can be used ({why}); save the output of `aws cloudtrail list-public-keys`");
            Err(Error::Usage { what: "--public-keys".to_owned(), reason })
        }
    }

    fn add(&mut self, text: &[u8]) -> std::result::Result<(), String> {
        for listing in serde_json::Deserializer::from_slice(text).into_iter::<Listing>() {
            let listing = listing.map_err(|e| {
                format!("not the output of `aws cloudtrail list-public-keys --output json`: {e}; expected {{\"PublicKeyList\": [..]}}")
            })?;
            for listed in listing.public_key_list {
                let fingerprint = listed.fingerprint.to_ascii_lowercase();
                let time = |value: &Value| {
                    moment(value).map_err(|text| format!("the validity of key {fingerprint} is no time: {text}"))
                };
                let (from, to) = (time(&listed.validity_start_time)?, time(&listed.validity_end_time)?);
                self.0.entry(fingerprint).or_default().push(Key { public: decode(&listed.value), from, to });
            }
        }
        Ok(())
    }

    /// The keys with this fingerprint that may have signed in `signed`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn of(&self, fingerprint: &str, signed: Span) -> std::result::Result<Vec<&PublicKey>, String> {
        let Some(listed) = self.0.get(&fingerprint.to_ascii_lowercase()) else {
            return Err(format!(
                "no public key with the fingerprint {fingerprint} is in the key file; every region has its own keys, \
                 list those of this region and time"
            ));
        };
        let valid =
            |key: &&Key| key.from.is_none_or(|from| from <= signed.to) && key.to.is_none_or(|to| to >= signed.from);
        let mut why = None;
        let mut usable = Vec::new();
        for key in listed.iter().filter(valid) {
            match &key.public {
                Ok(public) => usable.push(public),
                Err(reason) => why = Some(format!("the public key {fingerprint} cannot be used: {reason}")),
            }
        }
        if usable.is_empty() { Err(why.unwrap_or_else(|| outside(fingerprint, listed, signed))) } else { Ok(usable) }
    }
}

fn outside(fingerprint: &str, listed: &[Key], signed: Span) -> String {
    let written = |time: Option<i64>| time.map_or_else(|| "..".to_owned(), rfc3339);
    let valid: Vec<String> = listed.iter().map(|k| format!("{} to {}", written(k.from), written(k.to))).collect();
    let (valid, at) = (valid.join(", "), rfc3339(signed.from));
    format!("its time, {at}, lies outside the validity of the public key {fingerprint} ({valid})")
}

/// When a standard digest of a span that ended at `end` was signed.
pub(super) fn signed_after(end: i64) -> Span {
    Span { from: end, to: end + SIGNED_WITHIN }
}

/// When a backfill digest was signed. Its time of generation stands in its metadata; without that it is some time after
/// `end`.
pub(super) fn backfill_signed(generated: Option<i64>, end: i64) -> Span {
    generated.map_or(Span { from: end, to: i64::MAX }, |time| Span {
        from: time - BACKFILL_WITHIN,
        to: time + BACKFILL_WITHIN,
    })
}

/// Whether `signature` is that of `message` by one of `keys`.
pub(super) fn verifies(keys: &[&PublicKey], message: &[u8], signature: &[u8]) -> bool {
    keys.iter().any(|key| key.pkcs1v15_verify::<Sha256>(message, signature).is_ok())
}

fn decode(value: &str) -> std::result::Result<PublicKey, String> {
    let text: String = value.split_whitespace().collect();
    let der = STANDARD.decode(text).map_err(|e| format!("its value is not base64: {e}"))?;
    let key = PublicKey::from_pkcs1_der(&der).map_err(|e| e.to_string());
    key.or_else(|why| {
        PublicKey::from_public_key_der(&der).map_err(|_| format!("its value is no RSA public key: {why}"))
    })
}

/// A time as the command line writes it: seconds since 1970 (version 1) or ISO 8601 (version 2), UTC where no zone is.
fn moment(value: &Value) -> std::result::Result<Option<i64>, String> {
    let read = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().and_then(epoch),
        Value::String(text) => AssumedZone::default().read(text),
        _ => None,
    };
    read.and_then(|instant| instant.micros).map(Some).ok_or_else(|| value.to_string())
}
