//! Secrets Manager in CloudTrail: which calls and service events put another secret in the place of the one in use.
//!
//! Sources: Secrets Manager user guide, "Log AWS Secrets Manager events"; real records of `PutSecretValue`, of service
//! events and of their `additionalEventData`. Members are spelled `SecretId`, `secretId`, `ARN`, `aRN` and `arn`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::adapter::Sink;
use super::event::{Event, Outcome, Text};
use super::facts::ChangeKind;
use crate::evidence::{Locator, Name};

/// The event source.
pub const SERVICE: &str = "secretsmanager.amazonaws.com";

/// The stage of the version that clients get who ask for none in particular.
const IN_USE: &str = "AWSCURRENT";

static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").expect("a fixed pattern")
});

/// Notes the change that a record tells of, if it does. A rotation that was only asked for or begun has replaced nothing
/// yet, one that failed or was abandoned never will; the records of the latter carry no error code.
pub fn note(event: &mut Event<'_>, operation: &str, record: &str, at: Locator, sink: &mut Sink<'_>) {
    if matches!(operation, "RotationFailed" | "RotationAbandoned" | "TestRotationFailed") {
        event.outcome = Outcome::Failure;
    }
    if event.outcome != Outcome::Success {
        return;
    }
    let Ok(record) = serde_json::from_str::<Value>(record) else { return };
    if !replaces(operation, record.get("requestParameters").unwrap_or(&Value::Null)) {
        return;
    }
    let Some(secret) = secret_of(&record) else { return };
    let actor = event.get(Text::Principal).map(Name::from);
    let also = names_in(&secret);
    if let Some(change) = sink.change(ChangeKind::Credential, event.time, secret, at) {
        change.also = also.into();
        change.actor = actor;
    }
}

/// Whether a successful call or event of this name puts another version in use. A new version does, unless it is given
/// other stages, as a rotation under way does. Of `UpdateSecret` nothing tells whether it changed more than a description.
fn replaces(operation: &str, parameters: &Value) -> bool {
    let stages = parameters.get("versionStages").and_then(Value::as_array);
    match operation {
        "RotationSucceeded" => true,
        "PutSecretValue" => stages.is_none_or(|stages| stages.iter().any(|stage| stage == IN_USE)),
        "UpdateSecretVersionStage" => {
            let moved = parameters.get("moveToVersionId").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
            moved && parameters.get("versionStage").is_some_and(|stage| stage == IN_USE)
        }
        _ => false,
    }
}

/// The secret's ARN, or the name it was called by.
fn secret_of(record: &Value) -> Option<String> {
    let places = ["additionalEventData", "serviceEventDetails", "responseElements", "requestParameters"];
    let members = places.iter().filter_map(|place| record.get(place)?.as_object()).flatten();
    let named = members.filter(|(name, _)| name.eq_ignore_ascii_case("secretId") || name.eq_ignore_ascii_case("arn"));
    named.filter_map(|(_, value)| value.as_str()).find(|value| !value.is_empty()).map(str::to_owned)
}

/// By what else a secret may be known: its name, with and without the six characters that Secrets Manager appends in ARNs,
/// the parts of it between slashes, and UUIDs in it, as of the client whose secret it is.
fn names_in(secret: &str) -> Vec<String> {
    let full = secret.split_once(":secret:").map_or(secret, |(_, name)| name);
    let suffix = full.len().checked_sub(7).and_then(|at| full.split_at_checked(at));
    let suffixed = |(_, end): &(&str, &str)| {
        end.strip_prefix('-').is_some_and(|end| end.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let bare = suffix.filter(|_| full.len() < secret.len()).filter(suffixed).map(|(name, _)| name);
    let mut names = BTreeSet::from([full]);
    for name in [Some(full), bare].into_iter().flatten() {
        names.insert(name);
        names.extend(name.split('/').filter(|part| !part.is_empty()));
        names.extend(UUID.find_iter(name).map(|found| found.as_str()));
    }
    names.remove(secret);
    names.into_iter().map(str::to_owned).collect()
}
