//! Snapshots: state as it was when somebody saved it. Bucket, trust, key and identity policies; OAuth clients; roles.

use serde_json::{Value, json};

use super::adapter::{Adapter, Record, Refusal, Sink};
use super::cloudtrail_changes::policy_value;
use super::facts::DocumentKind;
use super::policy_json::{self, statements};
use super::redact::redact_value;
use crate::evidence::Sample;

/// The adapter.
pub struct Snapshot;

impl Adapter for Snapshot {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        sample.records.iter().any(|record| classify(record).is_some())
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let mut value: Value = serde_json::from_str(record.text).map_err(|e| Refusal::not_json(&e))?;
        let found = redact_value(&mut value);
        let (kind, subjects, body) = classify(&value).ok_or(Refusal::NotMine)?;
        sink.count_redacted(found);
        sink.document(kind, subjects, None, body, record.at);
        Ok(())
    }
}

type Classified = (DocumentKind, Vec<String>, Value);

fn classify(value: &Value) -> Option<Classified> {
    let object = value.as_object()?;
    if let Some(role) = object.get("Role").filter(|r| r.get("AssumeRolePolicyDocument").is_some()) {
        return aws_role(role);
    }
    if object.contains_key("AssumeRolePolicyDocument") {
        return aws_role(value);
    }
    if object.contains_key("PolicyDocument") && object.contains_key("PolicyName") {
        return identity_policy(value);
    }
    if let Some(policy) = object.get("Policy").and_then(policy_value) {
        return Some(policy_document(policy));
    }
    if object.contains_key("Statement") {
        return Some(policy_document(value.clone()));
    }
    genesys(value)
}

fn aws_role(role: &Value) -> Option<Classified> {
    let policy = role.get("AssumeRolePolicyDocument").and_then(policy_value)?;
    Some((DocumentKind::TrustPolicy, texts(role, &["Arn", "RoleName"]), policy))
}

/// The output of `get-role-policy` and `get-user-policy`.
fn identity_policy(value: &Value) -> Option<Classified> {
    let body =
        json!({ "PolicyName": value.get("PolicyName"), "PolicyDocument": policy_value(value.get("PolicyDocument")?)? });
    Some((DocumentKind::IdentityPolicy, texts(value, &["RoleName", "UserName"]), body))
}

fn genesys(value: &Value) -> Option<Classified> {
    let object = value.as_object()?;
    let has = |names: &[&str]| names.iter().any(|name| object.contains_key(*name));
    let kind = if has(&["authorizedGrantType", "roleDivisions", "accessTokenValiditySeconds", "registeredRedirectUri"])
    {
        DocumentKind::OAuthClient
    } else if has(&["permissionPolicies"]) || (has(&["permissions"]) && has(&["name"]) && has(&["id"])) {
        DocumentKind::Role
    } else {
        return None;
    };
    Some((kind, texts(value, &["id", "name"]), value.clone()))
}

fn texts(value: &Value, names: &[&str]) -> Vec<String> {
    names.iter().filter_map(|name| value.get(name)?.as_str()).map(str::to_owned).collect()
}

/// Which kind of policy a bare document is, by what its statements speak of.
fn policy_document(policy: Value) -> Classified {
    let statements = statements(&policy);
    let all = |member: &str| -> Vec<String> {
        statements.iter().filter_map(|s| s.get(member)).flat_map(policy_json::texts).map(str::to_owned).collect()
    };
    let resources: Vec<String> = all("Resource").into_iter().chain(all("NotResource")).collect();
    let actions = all("Action");
    let has_principal = statements.iter().any(|s| s.get("Principal").is_some() || s.get("NotPrincipal").is_some());
    let mut buckets: Vec<String> = resources
        .iter()
        .filter_map(|arn| arn.strip_prefix("arn:aws:s3:::"))
        .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
        .collect();
    buckets.sort();
    buckets.dedup();
    if !has_principal {
        return (DocumentKind::IdentityPolicy, Vec::new(), policy);
    }
    if actions.iter().any(|a| a.starts_with("sts:")) {
        return (DocumentKind::TrustPolicy, Vec::new(), policy);
    }
    if buckets.is_empty() && actions.iter().any(|a| a.starts_with("kms:")) {
        let keys = resources.into_iter().filter(|arn| arn.contains(":kms:")).collect();
        return (DocumentKind::KeyPolicy, keys, policy);
    }
    (DocumentKind::BucketPolicy, buckets, policy)
}
