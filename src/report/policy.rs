//! Policies that an archive has on record for a request, with the records they stand in.

use serde_json::Value;

use super::{Evidence, RuleText};
use crate::classify::on_record;
use crate::classify::policy::{Attached, Kind, Policies, Question, documents};
use crate::error;
use crate::evidence::Digest;
use crate::ingest::rfc3339;

/// Adds to `policies` those in force at `at` (microseconds since 1970) of kinds that were not given by hand, and notes
/// those that should be on record and are not.
///
/// # Errors
/// The archive cannot be read again.
pub fn add_on_record(
    evidence: &Evidence<'_>,
    rules: &RuleText,
    question: &Question,
    at: i64,
    policies: &mut Policies,
) -> error::Result<()> {
    let Evidence { ingested, correlated, .. } = evidence;
    let given: Vec<Kind> = policies.attached.iter().map(|attached| attached.kind).collect();
    let found = on_record(ingested, correlated, &rules.pack, question, &given, at)?;
    for policy in found.policies {
        let document = policy.document;
        // Retries of a change are recorded apart; the one that the document stands in is meant.
        let change = document.time.and_then(|_| ingested.changes.iter().find(|change| change.at == document.at));
        policies.attached.push(Attached {
            kind: policy.kind,
            level: 0,
            origin: ingested.files[document.at.file as usize].path.to_string(),
            record: document.sha256.as_ref().map(Digest::record_id),
            since: document.time.map(rfc3339),
            changed_by: change.and_then(|change| change.actor.as_ref().map(String::from)),
            body: Value::clone(policy.body),
        });
    }
    policies.not_on_record.extend(found.missing);
    Ok(())
}

/// The policies in a file given by hand.
///
/// # Errors
/// It holds none; the text says what was expected.
pub fn attached(kind: Kind, level: usize, origin: &str, value: &Value) -> Result<Vec<Attached>, String> {
    let body = documents(value)?;
    let attach =
        |body| Attached { kind, level, origin: origin.to_owned(), record: None, since: None, changed_by: None, body };
    Ok(body.into_iter().map(attach).collect())
}
