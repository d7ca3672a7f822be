//! Replaying a policy document against a refused request.
//!
//! A first complete form of AWS's evaluation (IAM user guide, policy evaluation logic): Allow and Deny, principals,
//! actions and resources with wildcards and their `Not` forms, the string, ARN and boolean condition operators. What a
//! log does not carry is *unknown*, and an answer that hangs on it is undetermined.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ingest::fold;

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
    Undetermined,
}

impl Decision {
    /// The name used in features and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ExplicitDeny => "explicit_deny",
            Self::ImplicitDeny => "implicit_deny",
            Self::Undetermined => "undetermined",
        }
    }
}

/// What the closest allowing statement lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    Tenant,
    Action,
    Principal,
    Condition,
    Resource,
}

impl Gap {
    /// The name used in features and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Action => "action",
            Self::Principal => "principal",
            Self::Condition => "condition",
            Self::Resource => "resource",
        }
    }
}

/// The outcome of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub decision: Decision,
    pub gap: Option<Gap>,
    /// What decided, in words: the statement, and what did not match.
    pub detail: String,
    /// The tenant id in the policy that differs from the caller's.
    pub other_tenant: Option<String>,
}

/// A refused request; unknown parts are null.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// ARN or AWS service name.
    pub principal: Option<&'a str>,
    pub action: &'a str,
    /// ARN of the object, role or key.
    pub resource: Option<&'a str>,
    pub tenant: Option<&'a str>,
    pub external_id: Option<&'a str>,
    /// Condition keys that the log carries, folded, with their values; null where it carries no request at all.
    pub context: Option<BTreeMap<String, String>>,
}

/// The value of a condition key.
enum Actual<'a> {
    Known(&'a str),
    /// The request did not have it.
    Absent,
    Unknown,
}

/// Yes, no, or the log does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tri {
    Yes,
    No,
    Unknown,
}

impl Tri {
    fn of(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }

    fn any(values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(Self::No, |found, value| match (found, value) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::No,
        })
    }

    fn all(values: impl IntoIterator<Item = Self>) -> Self {
        Self::any(values.into_iter().map(Self::not)).not()
    }
}

struct Matched {
    principal: Tri,
    action: Tri,
    resource: Tri,
    condition: Tri,
    other_tenant: Option<String>,
    sid: String,
}

impl Matched {
    fn whole(&self) -> Tri {
        Tri::all([self.principal, self.action, self.resource, self.condition])
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let tenant = self.other_tenant.is_some();
        if tenant {
            gaps.push(Gap::Tenant);
        }
        for (value, gap) in [
            (self.action, Gap::Action),
            (self.principal, Gap::Principal),
            (self.condition, Gap::Condition),
            (self.resource, Gap::Resource),
        ] {
            if value == Tri::No && !(tenant && matches!(gap, Gap::Condition | Gap::Resource)) {
                gaps.push(gap);
            }
        }
        gaps
    }
}

/// Replays `policy` against `request`.
#[must_use]
pub fn replay(policy: &Value, request: &Request<'_>) -> Replay {
    let statements = statements(policy);
    let of = |effect: &str| -> Vec<Matched> {
        let chosen =
            statements.iter().enumerate().filter(|(_, s)| s.get("Effect").and_then(Value::as_str) == Some(effect));
        chosen.map(|(n, s)| matched(s, n, request)).collect()
    };
    let (denies, allows) = (of("Deny"), of("Allow"));
    let found = |decision, detail| Replay { decision, gap: None, detail, other_tenant: None };
    if let Some(deny) = denies.iter().find(|m| m.whole() == Tri::Yes) {
        return found(Decision::ExplicitDeny, format!("statement {} denies {}", deny.sid, request.action));
    }
    let open_deny = denies.iter().find(|m| m.whole() == Tri::Unknown);
    if let Some(allow) = allows.iter().find(|m| m.whole() == Tri::Yes) {
        return match open_deny {
            None => found(Decision::Allow, format!("statement {} allows {}", allow.sid, request.action)),
            Some(deny) => found(
                Decision::Undetermined,
                format!(
                    "statement {} denies, if its caller and conditions are those of the request, which the log does not show",
                    deny.sid
                ),
            ),
        };
    }
    if let Some(allow) = allows.iter().find(|m| m.whole() == Tri::Unknown) {
        let detail = format!(
            "statement {} allows, if its caller and conditions are those of the request, which the log does not show",
            allow.sid
        );
        return found(Decision::Undetermined, detail);
    }
    refused(&allows, request)
}

fn refused(allows: &[Matched], request: &Request<'_>) -> Replay {
    let named = allows.iter().any(|m| m.principal != Tri::No);
    let closest = allows.iter().min_by_key(|m| (m.gaps().len(), m.principal == Tri::No));
    let who = request.principal.unwrap_or("the caller");
    let (gap, detail) = match closest {
        None => (Gap::Principal, format!("no statement allows anything to {who}")),
        Some(_) if !named => (Gap::Principal, format!("no allowing statement names {who}")),
        Some(m) => {
            let gap = m.gaps().first().copied().unwrap_or(Gap::Condition);
            (gap, gap_detail(m, gap, request))
        }
    };
    let other_tenant = closest.and_then(|m| m.other_tenant.clone()).filter(|_| gap == Gap::Tenant);
    Replay { decision: Decision::ImplicitDeny, gap: Some(gap), detail, other_tenant }
}

fn gap_detail(m: &Matched, gap: Gap, request: &Request<'_>) -> String {
    let sid = &m.sid;
    match gap {
        Gap::Tenant => {
            let (theirs, ours) = (m.other_tenant.as_deref().unwrap_or("?"), request.tenant.unwrap_or("?"));
            format!("statement {sid} is for tenant {theirs}, the job's is {ours} ({})", difference(theirs, ours))
        }
        Gap::Action => format!("statement {sid} does not allow {}", request.action),
        Gap::Principal => format!("statement {sid} does not name {}", request.principal.unwrap_or("the caller")),
        Gap::Condition => format!("a condition of statement {sid} is not met"),
        Gap::Resource => {
            format!("statement {sid} is for other resources than {}", request.resource.unwrap_or("this one"))
        }
    }
}

/// Where two ids differ, for a person who compares them.
fn difference(theirs: &str, ours: &str) -> String {
    let differing: Vec<usize> =
        theirs.chars().zip(ours.chars()).enumerate().filter(|(_, (a, b))| a != b).map(|(n, _)| n + 1).collect();
    match differing[..] {
        [at] if theirs.len() == ours.len() => format!("they differ in one character, number {at}"),
        [first, ..] => format!("they differ from character {first} on"),
        [] => "one is longer".to_owned(),
    }
}

fn statements(policy: &Value) -> Vec<&Value> {
    match policy.get("Statement") {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(statement) => vec![statement],
        None => Vec::new(),
    }
}

fn matched(statement: &Value, number: usize, request: &Request<'_>) -> Matched {
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
        let segments = texts(patterns).into_iter().filter_map(|pattern| {
            let (head, rest) = pattern.split_once('/')?;
            (pattern.starts_with("arn:aws:s3:::") && bucket.is_none_or(|b| wildcard(head, b)))
                .then(|| rest.split('/').next())?
        });
        let other = segments.map(str::to_owned).find(|s| looks_like_id(s) && !s.eq_ignore_ascii_case(tenant));
        *other_tenant = other_tenant.take().or(other);
    }
    found
}

/// A path segment that names a tenant: an id, not a folder name or a wildcard.
fn looks_like_id(segment: &str) -> bool {
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
pub fn role_of_session(arn: &str) -> Option<String> {
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
    let digits = |s: &str| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit());
    if digits(name) {
        return Some(name);
    }
    name.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next()).filter(|a| digits(a))
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|a| !a.is_empty())
}

fn conditions(condition: Option<&Value>, request: &Request<'_>, other_tenant: &mut Option<String>) -> Tri {
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

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether `text` matches `pattern`, where `*` stands for anything and `?` for one character.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    wildmatch::WildMatch::new(pattern).matches(text)
}
