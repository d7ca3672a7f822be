//! Words for what the page speaks of.

use super::pivotal::Pivot;
use crate::classify::{Class, Standing};
use crate::ingest::{Change, ChangeKind, Document, DocumentKind};

/// What a class means, in a few words.
#[must_use]
pub const fn meaning(class: Class) -> &'static str {
    match class {
        Class::ScopeCollision => "the caller's own authority: it lacked a permission",
        Class::SyncRace => "time: something had not settled yet",
        Class::PolicyMismatch => "the policy of the bucket, role or key on the receiving side",
        Class::OtherCause => "a credential, throttling or a fault of the service",
        Class::Inconclusive => "the evidence does not decide",
    }
}

/// How a source is spoken of.
#[must_use]
pub fn source(name: &str) -> String {
    match name {
        "export_trail" => "the export trail".to_owned(),
        "cloudtrail" => "CloudTrail".to_owned(),
        "genesys_audit" => "the Genesys Cloud audit log".to_owned(),
        "vault_audit" => "the Vault audit log".to_owned(),
        "snapshot" => "a saved document".to_owned(),
        other => other.replace('_', " "),
    }
}

/// How well a rule is founded.
#[must_use]
pub const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Documented => "documented by the vendor",
        Standing::Observed => "observed in data",
        Standing::Reported => "reported by users, unconfirmed",
    }
}

/// What a change did.
#[must_use]
pub fn change(change: &Change) -> String {
    let subject = change.name.as_ref().map_or_else(
        || change.subject.clone(),
        |name| if **name == *change.subject { name.to_string() } else { format!("{name} ({})", change.subject) },
    );
    let permissions =
        if change.permissions.is_empty() { "permissions".to_owned() } else { change.permissions.join(", ") };
    let held = change.conversation.as_ref().unwrap_or(&change.subject);
    match change.kind {
        ChangeKind::Grant => format!("{subject} was given {permissions}"),
        ChangeKind::Revoke => format!("{permissions} was taken from {subject}"),
        ChangeKind::BucketPolicy => format!("the policy of the bucket {subject} was written or deleted"),
        ChangeKind::TrustPolicy => format!("the trust policy of the role {subject} was written"),
        ChangeKind::KeyPolicy => format!("the policy of the key {subject}, or a grant on it, was changed"),
        ChangeKind::Credential => format!("{subject} got a new credential"),
        ChangeKind::HoldPlaced => format!("a legal hold was placed on {held}"),
        ChangeKind::HoldSynced => format!("the legal hold on {held} finished synchronising"),
        ChangeKind::HoldReleased => format!("the legal hold on {held} was lifted"),
    }
}

/// What a document is.
#[must_use]
pub fn document(document: &Document) -> String {
    let kind = match document.kind {
        DocumentKind::BucketPolicy => "bucket policy",
        DocumentKind::TrustPolicy => "role trust policy",
        DocumentKind::KeyPolicy => "key policy",
        DocumentKind::IdentityPolicy => "identity policy",
        DocumentKind::OAuthClient => "OAuth client",
        DocumentKind::Role => "role",
    };
    if document.subjects.is_empty() { kind.to_owned() } else { format!("{kind} of {}", document.subjects.join(", ")) }
}

/// A list in a sentence: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A count with its noun.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What a verdict hangs on, in words; `says` is what the records say, as far as the facts tell it.
#[must_use]
pub fn pivotal(pivot: &Pivot, records: usize, class: Class, says: &[&str]) -> String {
    let tries = counted(pivot.tries, "other reading");
    if pivot.records.is_empty() {
        let all = if pivot.exhausted { "" } else { " More could be tried (--tries)." };
        return format!(
            "The verdict does not hang on any records that were tried: it stood in {tries} of the archive with records left \
             out.{all}"
        );
    }
    let (them, say) = if records == 1 { ("it", "It says") } else { ("them", "They say") };
    let spared = if pivot.smallest { ", none of which can be spared" } else { "" };
    let what = match (pivot.becomes, records) {
        (None, 1) => "The verdict hangs on nothing less than the failing attempt itself.".to_owned(),
        (None, n) => format!("The verdict hangs on nothing less than the {n} records of the failing attempts{spared}."),
        (Some(_), 1) => "The verdict hangs on one record.".to_owned(),
        (Some(_), n) => {
            format!("No single record that was tried carries the verdict; it hangs on {n} together{spared}.")
        }
    };
    let instead = match pivot.becomes {
        Some(becomes) => format!("the verdict is {} instead of {}", becomes.name(), class.name()),
        None => "there is no failure on record".to_owned(),
    };
    let says: Vec<&str> = says.iter().take(3).copied().collect();
    let says = if says.is_empty() { String::new() } else { format!(" {say}: {}", says.join(" ")) };
    format!("{what} When the archive is read without {them}, {instead} (found in {tries}).{says}")
}
