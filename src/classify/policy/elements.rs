//! Matching the elements of a statement: principal, action, resource.

use serde_json::Value;

use super::conditions::conditions;
use super::{Matched, Request, Tri, wildcard};
use crate::ingest::policy_json::texts;

pub(super) fn matched(statement: &Value, number: usize, request: &Request<'_>) -> Matched {
    let mut other_tenant = None;
    let condition = conditions(statement.get("Condition"), request, &mut other_tenant);
    let resource = resources(statement, request, &mut other_tenant);
    Matched {
        principal: principals(statement, request.principal),
        action: with_not(statement, "Action", "NotAction", |pattern| {
            Tri::of(wildcard(&pattern.to_ascii_lowercase(), &request.action.to_ascii_lowercase()))
        }),
        resource,
        condition,
        other_tenant,
        sid: statement.get("Sid").and_then(Value::as_str).map_or_else(|| format!("#{}", number + 1), str::to_owned),
    }
}

fn with_not(statement: &Value, name: &str, not_name: &str, test: impl Fn(&str) -> Tri) -> Tri {
    match (statement.get(name), statement.get(not_name)) {
        (Some(value), _) => Tri::any(texts(value).into_iter().map(test)),
        (None, Some(value)) => Tri::any(texts(value).into_iter().map(test)).not(),
        (None, None) => Tri::Yes,
    }
}

fn resources(statement: &Value, request: &Request<'_>, other_tenant: &mut Option<String>) -> Tri {
    let found = with_not(statement, "Resource", "NotResource", |pattern| {
        if pattern == "*" {
            return Tri::Yes;
        }
        match request.resource {
            _ if pattern.contains("${") => Tri::Unknown,
            Some(resource) => Tri::of(wildcard(pattern, resource)),
            None => Tri::Unknown,
        }
    });
    if found == Tri::No
        && let (Some(tenant), Some(patterns)) = (request.tenant, statement.get("Resource"))
    {
        let bucket = request.resource.map(|r| r.split('/').next().unwrap_or(r));
        let mut segments = texts(patterns).into_iter().filter_map(|pattern| {
            let (head, rest) = pattern.split_once('/')?;
            (pattern.starts_with("arn:aws:s3:::") && bucket.is_none_or(|b| wildcard(head, b)))
                .then(|| rest.split('/').next())?
        });
        let differs = |s: &&str| looks_like_id(s) && !s.eq_ignore_ascii_case(tenant);
        // The policy may be right and the key's first segment another organization's.
        let own = request.resource.and_then(|r| r.split('/').nth(1)).filter(differs);
        let other = segments.find(differs).or(own).map(str::to_owned);
        *other_tenant = other_tenant.take().or(other);
    }
    found
}

/// A path segment that names a tenant: an id, not a folder name or a wildcard.
pub fn looks_like_id(segment: &str) -> bool {
    segment.len() >= 8 && !segment.contains(['*', '?', '$']) && segment.bytes().any(|b| b.is_ascii_digit())
}

fn principals(statement: &Value, principal: Option<&str>) -> Tri {
    let matches = |value: &Value| match value {
        Value::String(text) if text == "*" => Tri::Yes,
        Value::Object(kinds) => Tri::any(kinds.iter().flat_map(|(kind, names)| {
            texts(names).into_iter().map(|name| principal_matches(kind, name, principal)).collect::<Vec<_>>()
        })),
        _ => Tri::No,
    };
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(value), _) => matches(value),
        (None, Some(value)) => matches(value).not(),
        (None, None) => Tri::Yes,
    }
}

fn principal_matches(kind: &str, name: &str, principal: Option<&str>) -> Tri {
    if name == "*" {
        return Tri::Yes;
    }
    let Some(principal) = principal else { return Tri::Unknown };
    match kind {
        "Service" => Tri::of(name.eq_ignore_ascii_case(principal)),
        // Callers of other accounts are logged by their account alone; which of its roles it was is not known.
        "AWS" if is_account(principal) && account_in(name).is_none() && account_of(name) == Some(principal) => {
            Tri::Unknown
        }
        "AWS" => Tri::of(
            name == principal
                || role_of_session(principal).is_some_and(|role| same_role(name, &role))
                || account_in(name).is_some_and(|account| account_of(principal) == Some(account)),
        ),
        // A federated or canonical user is named by something that the log does not carry for others.
        _ if principal.starts_with("arn:") || principal.ends_with(".amazonaws.com") => Tri::No,
        _ => Tri::Unknown,
    }
}

/// The role behind an assumed-role session: `arn:aws:sts::1:assumed-role/R/s` is of `arn:aws:iam::1:role/R`.
#[must_use]
pub(super) fn role_of_session(arn: &str) -> Option<String> {
    let (head, rest) = arn.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    Some(format!("{}:role/{role}", head.replacen(":sts:", ":iam:", 1)))
}

/// A role may have a path that its sessions' ARNs do not show.
fn same_role(named: &str, role: &str) -> bool {
    let split = |arn: &str| {
        let (account, path) = arn.split_once(":role/")?;
        Some((account.to_owned(), path.rsplit('/').next()?.to_owned()))
    };
    named == role || (named.contains(":role/") && split(named) == split(role))
}

fn account_in(name: &str) -> Option<&str> {
    if is_account(name) {
        return Some(name);
    }
    name.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next()).filter(|a| is_account(a))
}

/// Whether `text` is the number of an AWS account.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn account_of(arn: &str) -> Option<&str> {
    if is_account(arn) { Some(arn) } else { arn.split(':').nth(4).filter(|a| !a.is_empty()) }
}
