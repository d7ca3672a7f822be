//! The policies that an archive has on record for a request, as of a time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::archive::Whole;
use super::pack::Pack;
use super::policy::{Kind, Question};
use crate::correlate::Correlated;
use crate::error::Result;
use crate::ingest::{Document, DocumentKind, Ingested};

/// A policy in force at the time of a request.
pub struct OnRecord<'a> {
    pub kind: Kind,
    /// The record it stands in.
    pub document: &'a Document,
    /// The policy itself.
    pub body: &'a Value,
}

/// What an archive has on record, and what it should have and has not.
#[derive(Default)]
pub struct Recorded<'a> {
    pub policies: Vec<OnRecord<'a>>,
    /// Kinds that bear on the request and are not on record, and what of.
    pub missing: Vec<(Kind, String)>,
}

/// Finds the policy of the resource and the identity policies of the caller in force at `at` (microseconds since 1970), but
/// for those of the kinds in `given`.
///
/// # Errors
/// The archive cannot be read again.
pub fn on_record<'a>(
    ingested: &'a Ingested,
    correlated: &'a Correlated,
    pack: &'a Pack,
    question: &Question,
    given: &[Kind],
    at: i64,
) -> Result<Recorded<'a>> {
    let mut found = Recorded::default();
    if !given.contains(&Kind::Resource)
        && let Some((kind, names, words)) = resource(question)
    {
        let archive = Whole::new(ingested, correlated, pack)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match archive.in_force(kind, &names, Some(at)) {
            Some(document) => {
                found.policies.push(OnRecord { kind: Kind::Resource, document, body: &document.body });
            }
            None => found.missing.push((Kind::Resource, words)),
        }
    }
    if !given.contains(&Kind::Identity)
        && let Some(name) = question.identity()
    {
        let policies = identity(&ingested.documents, name, at);
        if policies.is_empty() {
            found.missing.push((Kind::Identity, format!("the identity policies of {name}")));
        }
        found.policies.extend(policies);
    }
    Ok(found)
}

/// What kind of document the resource's policy is, and by which names it goes.
fn resource(question: &Question) -> Option<(DocumentKind, Vec<String>, String)> {
    let arn = question.resource.as_str();
    let rest = arn.splitn(6, ':').nth(5)?;
    let last = rest.rsplit('/').next().unwrap_or(rest).to_owned();
    let service = question.action.split(':').next().unwrap_or_default().to_ascii_lowercase();
    Some(match (arn.split(':').nth(2)?, service.as_str()) {
        ("s3", "s3") => {
            let bucket = rest.split('/').next().unwrap_or(rest).to_owned();
            let words = format!("the policy of bucket {bucket}");
            (DocumentKind::BucketPolicy, vec![bucket], words)
        }
        ("kms", "kms") => (DocumentKind::KeyPolicy, vec![arn.to_owned(), last], format!("the policy of key {arn}")),
        ("iam", "sts") => (DocumentKind::TrustPolicy, vec![arn.to_owned(), last], format!("the trust policy of {arn}")),
        _ => return None,
    })
}

/// The identity policies of a user or role: of each, the latest that was logged before, else the saved one.
fn identity<'a>(documents: &'a [Document], name: &str, at: i64) -> Vec<OnRecord<'a>> {
    let of = |d: &&Document| d.kind == DocumentKind::IdentityPolicy && d.subjects.iter().any(|subject| subject == name);
    let own: Vec<&Document> = documents.iter().filter(of).collect();
    // A saved one that equals a later change was taken after it, and says nothing of the time before.
    let taken_later = |saved: &Document| own.iter().any(|d| d.time > Some(at) && d.body == saved.body);
    let mut by_name: BTreeMap<&str, &Document> = BTreeMap::new();
    for document in own.iter().copied().filter(|d| d.time.map_or(!taken_later(d), |time| time <= at)) {
        let policy = document.body.get("PolicyName").and_then(Value::as_str).unwrap_or_default();
        let known = by_name.entry(policy).or_insert(document);
        if document.time > known.time {
            *known = document;
        }
    }
    let policies = by_name.into_values().filter_map(|document| {
        // One that was deleted has no document.
        let body = document.body.get("PolicyDocument").filter(|body| body.is_object())?;
        Some(OnRecord { kind: Kind::Identity, document, body })
    });
    policies.collect()
}
