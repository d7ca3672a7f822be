//! Checking an attestation.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::envelope::Envelope;
use super::keys::PublicKey;
use super::statement::{PREDICATE_TYPE, Resource, STATEMENT_TYPE, Statement};
use crate::custody::merkle::Tree;
use crate::custody::{Check, CheckStatus, read_at_most};
use crate::error::Result;
use crate::evidence::Digest;

/// An envelope that claims to be larger is not read.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// What was found in an envelope.
pub struct Attestation {
    /// The signature, the form, the kind of statement.
    pub checks: Vec<Check>,
    /// The reports it speaks of; empty if the signature does not hold.
    pub subject: Vec<Resource>,
    /// The tree over the records, where the signature holds and there is one.
    pub records: Option<Tree>,
}

#[derive(Deserialize)]
struct OfRecords {
    records: Option<Tree>,
}

impl Attestation {
    /// Checks the envelope at `path`, but not the reports.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path, key: &PublicKey) -> Result<Self> {
        let bytes = read_at_most(path, "reading the attestation", MAX_BYTES)?;
        Ok(Self::of(&bytes, &path.display().to_string(), key))
    }

    /// Compares `found`, the reports at hand by name, with those that it speaks of.
    #[must_use]
    pub fn compare(&self, found: &BTreeMap<String, Digest>) -> Vec<Check> {
        if self.checks.iter().any(|check| check.status == CheckStatus::Invalid) {
            let unknown = "not compared, because the attestation does not hold";
            return found.keys().map(|name| Check::unchecked(name.clone(), unknown)).collect();
        }
        compare(&self.subject, found)
    }

    pub(super) fn of(bytes: &[u8], name: &str, key: &PublicKey) -> Self {
        let mut found = Self { checks: Vec::new(), subject: Vec::new(), records: None };
        let envelope: Envelope = match serde_json::from_slice(bytes) {
            Ok(envelope) => envelope,
            Err(e) => {
                found.checks.push(Check::invalid(name, format!("no DSSE envelope: {e}")));
                return found;
            }
        };
        let payload = match envelope.open(key) {
            Ok(payload) => payload,
            Err(reason) => {
                found.checks.push(Check::invalid(name, reason));
                return found;
            }
        };
        found.checks.push(Check::valid(name, format!("signed with the key {}", key.id())));
        found.checks.extend(stray(&envelope, bytes, key).map(|reason| Check::invalid(name, reason)));
        match statement(&payload) {
            Ok((subject, records)) => (found.subject, found.records) = (subject, records),
            Err(reason) => found.checks.push(Check::invalid(name, reason)),
        }
        found
    }
}

/// The signature covers the payload and its kind; everything else in the file must be as this program writes it, so that
/// there is no byte that could be changed unnoticed.
fn stray(envelope: &Envelope, bytes: &[u8], key: &PublicKey) -> Option<String> {
    let [signature] = envelope.signatures.as_slice() else {
        return Some(format!(
            "it has {} signatures; only one was checked, and holdtrace writes one",
            envelope.signatures.len()
        ));
    };
    if signature.keyid != key.id() {
        return Some(format!("the signature holds, but its keyid is `{}`, not that of the key", signature.keyid));
    }
    let written = envelope.bytes().is_ok_and(|written| written == bytes);
    (!written).then(|| {
        "the signature holds, but the file has bytes that it does not cover and that holdtrace does not write"
            .to_owned()
    })
}

fn statement(payload: &[u8]) -> std::result::Result<(Vec<Resource>, Option<Tree>), String> {
    let statement: Statement<Value> =
        serde_json::from_slice(payload).map_err(|e| format!("what is signed is no in-toto statement: {e}"))?;
    if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        let (kind, predicate) = (&statement.kind, &statement.predicate_type);
        return Err(format!(
            "what is signed is `{kind}` with the predicate `{predicate}`, expected `{STATEMENT_TYPE}` with `{PREDICATE_TYPE}`"
        ));
    }
    let of: OfRecords = serde_json::from_value(statement.predicate)
        .map_err(|e| format!("its predicate does not say what one of this kind does: {e}"))?;
    Ok((statement.subject, of.records))
}

/// A report is its attested one by its hash, whatever it is called.
fn compare(attested: &[Resource], found: &BTreeMap<String, Digest>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut seen = vec![false; attested.len()];
    for (name, digest) in found {
        let digest = digest.to_string();
        let is_same = |resource: &Resource| resource.digest.sha256.as_ref() == Some(&digest);
        let same = attested.iter().position(is_same);
        let place = same.or_else(|| attested.iter().position(|resource| resource.name == *name));
        if let Some(n) = place {
            seen[n] = true;
        }
        checks.push(match (same, place) {
            (Some(_), _) => Check::valid(name.clone(), format!("SHA-256 {digest}, as attested")),
            (None, Some(n)) => {
                let was = attested[n].digest.sha256.as_deref().unwrap_or("none");
                Check::invalid(name.clone(), format!("SHA-256 {digest}, attested was {was}: it was changed"))
            }
            (None, None) => Check::invalid(name.clone(), format!("SHA-256 {digest} is not among the attested reports")),
        });
    }
    let left = attested.iter().zip(seen).filter(|(_, seen)| !seen);
    let absent = "attested, and not among the files at hand";
    checks.extend(left.map(|(resource, _)| Check::unchecked(resource.name.clone(), absent)));
    checks
}
