//! The CloudTrail calls that change who may do what: bucket, trust and key policies, permissions of roles and users,
//! access keys.

use serde_json::Value;

use super::adapter::Sink;
use super::event::{Event, Text};
use super::facts::{Change, ChangeKind, DocumentKind};
use super::policy_json::{statements, texts};
use crate::evidence::{Locator, Name};

/// Whether a call of this name changes authority.
#[must_use]
pub fn concerns(operation: &str) -> bool {
    kind_of(operation).is_some() || operation == "CreateRole"
}

fn kind_of(operation: &str) -> Option<ChangeKind> {
    Some(match operation {
        "PutBucketPolicy" | "DeleteBucketPolicy" => ChangeKind::BucketPolicy,
        "UpdateAssumeRolePolicy" => ChangeKind::TrustPolicy,
        "PutKeyPolicy" | "CreateGrant" | "RetireGrant" | "RevokeGrant" => ChangeKind::KeyPolicy,
        "PutRolePolicy"
        | "AttachRolePolicy"
        | "PutUserPolicy"
        | "AttachUserPolicy"
        | "AddUserToGroup"
        | "DeleteRolePermissionsBoundary" => ChangeKind::Grant,
        "DeleteRolePolicy"
        | "DetachRolePolicy"
        | "DeleteUserPolicy"
        | "DetachUserPolicy"
        | "RemoveUserFromGroup"
        | "PutRolePermissionsBoundary" => ChangeKind::Revoke,
        "CreateAccessKey" | "UpdateAccessKey" | "DeleteAccessKey" => ChangeKind::Credential,
        _ => return None,
    })
}

/// Notes the change that a successful call made, and the policy document it carried.
pub fn note(event: &Event<'_>, operation: &str, parameters: &str, at: Locator, sink: &mut Sink<'_>) {
    let Ok(parameters) = serde_json::from_str::<Value>(parameters) else { return };
    let text = |name: &str| parameters.get(name).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    let subject = match operation {
        "PutBucketPolicy" | "DeleteBucketPolicy" => text("bucketName"),
        "PutKeyPolicy" | "CreateGrant" | "RetireGrant" | "RevokeGrant" => text("keyId"),
        _ => text("roleName").or_else(|| text("userName")),
    };
    let Some(subject) = subject else { return };
    let body = document(operation, &parameters);
    if let Some(kind) = kind_of(operation)
        && let Some(change) = sink.change(kind, event.time, subject.clone(), at)
    {
        describe(change, event, body.as_ref(), text("granteePrincipal"));
        // The key by which calls made with it are known.
        change.also = text("accessKeyId").filter(|_| kind == ChangeKind::Credential).into_iter().collect();
    }
    if let Some(name) = text("policyName")
        && matches!(operation, "PutRolePolicy" | "DeleteRolePolicy" | "PutUserPolicy" | "DeleteUserPolicy")
        && event.time.is_some()
    {
        // As AWS shows one, which a user or role may have many of. One that is deleted has no document.
        let body = serde_json::json!({ "PolicyName": name, "PolicyDocument": body });
        sink.document(DocumentKind::IdentityPolicy, vec![subject], event.time, body, at);
        return;
    }
    let kind = match operation {
        "PutBucketPolicy" | "DeleteBucketPolicy" => DocumentKind::BucketPolicy,
        "UpdateAssumeRolePolicy" | "CreateRole" => DocumentKind::TrustPolicy,
        "PutKeyPolicy" => DocumentKind::KeyPolicy,
        _ => return,
    };
    // A deleted policy allows nothing: an empty document, so that nothing older is taken for being in force.
    let body = body.unwrap_or_else(|| serde_json::json!({ "Statement": [] }));
    if event.time.is_some() {
        sink.document(kind, vec![subject], event.time, body, at);
    }
}

/// `grantee` is who a grant on a key is for; it stands where the permissions of other changes stand.
fn describe(change: &mut Change, event: &Event<'_>, body: Option<&Value>, grantee: Option<String>) {
    change.actor = event.get(Text::Principal).map(Name::from);
    if change.kind == ChangeKind::KeyPolicy {
        change.permissions = grantee.into_iter().collect();
    } else if matches!(change.kind, ChangeKind::Grant | ChangeKind::Revoke) {
        change.permissions = body.map(allowed_actions).unwrap_or_default().into();
    }
}

/// The policy in the request, which is an object for buckets and JSON text everywhere else.
fn document(operation: &str, parameters: &Value) -> Option<Value> {
    let names: &[&str] = match operation {
        "PutBucketPolicy" => &["bucketPolicy", "policy"],
        "CreateRole" => &["assumeRolePolicyDocument"],
        "PutKeyPolicy" => &["policy"],
        _ => &["policyDocument"],
    };
    names.iter().find_map(|name| policy_value(parameters.get(name)?))
}

/// A policy document given as an object, as JSON text, or as percent-encoded JSON text.
#[must_use]
pub fn policy_value(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) => Some(value.clone()),
        Value::String(text) => {
            // IAM percent-encodes the documents that it returns.
            let encoded = text.trim_start().starts_with('%');
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok().filter(|_| encoded);
            serde_json::from_str(decoded.as_deref().unwrap_or(text)).ok().filter(Value::is_object)
        }
        _ => None,
    }
}

fn allowed_actions(policy: &Value) -> Vec<String> {
    let allows = statements(policy).into_iter().filter(|s| s.get("Effect").and_then(Value::as_str) == Some("Allow"));
    allows.filter_map(|s| s.get("Action")).flat_map(texts).map(str::to_owned).collect()
}
