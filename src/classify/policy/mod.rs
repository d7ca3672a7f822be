//! Replaying a policy document against a refused request.
//!
//! A first complete form of AWS's evaluation (IAM user guide, policy evaluation logic): Allow and Deny, principals,
//! actions and resources with wildcards and their `Not` forms, the string, ARN and boolean condition operators. What a
//! log does not carry is *unknown*, and an answer that hangs on it is undetermined.

use std::collections::BTreeMap;

use serde_json::Value;

mod conditions;
mod elements;

use elements::matched;
pub use elements::{is_account, looks_like_id};

use crate::ingest::policy_json::statements;

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

/// Whether `text` matches `pattern`, where `*` stands for anything and `?` for one character.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    wildmatch::WildMatch::new(pattern).matches(text)
}
