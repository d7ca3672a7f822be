//! Conditions of a statement.

use serde_json::Value;

use super::elements::{account_of, role_of_session};
use super::{Request, Tri, wildcard};
use crate::ingest::fold;
use crate::ingest::policy_json::texts;

/// The value of a condition key.
enum Actual<'a> {
    Known(&'a str),
    /// The request did not have it.
    Absent,
    Unknown,
}

pub(super) fn conditions(condition: Option<&Value>, request: &Request<'_>, other_tenant: &mut Option<String>) -> Tri {
    let Some(Value::Object(operators)) = condition else { return Tri::Yes };
    let mut results = Vec::new();
    for (operator, keys) in operators {
        let Value::Object(keys) = keys else { continue };
        for (key, values) in keys {
            let values = texts(values);
            let (result, tenant) = condition_met(operator, key, &values, request);
            if tenant && result == Tri::No {
                *other_tenant = other_tenant.take().or_else(|| values.first().map(|v| (*v).to_owned()));
            }
            results.push(result);
        }
    }
    Tri::all(results)
}

/// Whether a condition is met, and whether it is one on the tenant.
fn condition_met(operator: &str, key: &str, values: &[&str], request: &Request<'_>) -> (Tri, bool) {
    let folded = fold(key).as_str().to_owned();
    let external = folded.ends_with("externalid");
    let tenant = external || ["tenantid", "organizationid"].iter().any(|end| folded.ends_with(end));
    let role = request.principal.and_then(role_of_session);
    let known = match folded.as_str() {
        _ if external => request.external_id.or(request.tenant),
        _ if tenant => request.tenant,
        "awsprincipalarn" => role.as_deref().or(request.principal),
        "awsprincipalaccount" => request.principal.and_then(account_of),
        _ => None,
    };
    let actual = match (known, &request.context) {
        (Some(value), _) => Actual::Known(value),
        (None, Some(context)) => match context.get(&folded) {
            Some(value) => Actual::Known(value),
            None if LOGGED_IF_SENT.iter().any(|start| folded.starts_with(start)) => Actual::Absent,
            None => Actual::Unknown,
        },
        (None, None) => Actual::Unknown,
    };
    // `ForAnyValue:` and `ForAllValues:` make no difference to a key with one value.
    let operator = operator.rsplit(':').next().unwrap_or(operator);
    (operator_met(operator, &actual, values), tenant)
}

/// Condition keys that CloudTrail logs whenever the request has them, so that their absence is known.
const LOGGED_IF_SENT: [&str; 2] = ["s3xamz", "awssourcevpce"];

fn operator_met(operator: &str, actual: &Actual<'_>, values: &[&str]) -> Tri {
    let (base, if_exists) = operator.strip_suffix("IfExists").map_or((operator, false), |base| (base, true));
    let negated = base.contains("Not");
    let actual = match actual {
        Actual::Unknown => return Tri::Unknown,
        Actual::Absent if base == "Null" => return Tri::of(values.contains(&"true")),
        Actual::Absent => return Tri::of(negated || if_exists),
        Actual::Known(_) if base == "Null" => return Tri::of(values.contains(&"false")),
        Actual::Known(value) => *value,
    };
    let lower = |s: &str| s.to_ascii_lowercase();
    let any = |test: &dyn Fn(&str) -> bool| Tri::of(values.iter().any(|v| test(v)) != negated);
    match base {
        "StringEquals" | "StringNotEquals" => any(&|v| v == actual),
        "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" | "Bool" => any(&|v| lower(v) == lower(actual)),
        "StringLike" | "StringNotLike" | "ArnLike" | "ArnEquals" | "ArnNotLike" | "ArnNotEquals" => {
            any(&|v| wildcard(v, actual))
        }
        _ => Tri::Unknown,
    }
}
