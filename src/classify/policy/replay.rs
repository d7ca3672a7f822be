//! Replaying the policy of a bucket, role or key against a refused request: what it says by itself, and what the closest
//! allowing statement lacks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::caller::{Caller, account_of, is_account};
use super::context::{Found, Keys, role_of_session};
use super::document::{Effect, Element, Kind, Policy};
use super::statement::{Judged, Subject};
use super::tri::Tri;
use super::{Decision, wildcard};
use crate::ingest::fold;

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

/// Condition keys that CloudTrail logs whenever the request has them, so that their absence is known.
const LOGGED_IF_SENT: [&str; 2] = ["s3xamz", "awssourcevpce"];

/// Whether a folded key is one on the tenant; the external id stands for it.
#[must_use]
pub fn is_of_tenant(folded: &str) -> bool {
    ["externalid", "tenantid", "organizationid"].iter().any(|end| folded.ends_with(end))
}

impl Keys for Request<'_> {
    fn find(&self, key: &str) -> Found<'_> {
        let folded = fold(key);
        let folded = folded.as_str();
        let known = |value: &str| Found::Values(Cow::Owned(vec![value.to_owned()]));
        let from_request = match folded {
            _ if folded.ends_with("externalid") => self.external_id.or(self.tenant),
            _ if is_of_tenant(folded) => self.tenant,
            "awsprincipalaccount" => self.principal.and_then(account),
            "awsprincipalarn" => match self.principal.map(|own| (role_of_session(own), own)) {
                Some((Some(role), _)) => return Found::Pathless(role),
                Some((None, own)) => Some(own),
                None => None,
            },
            _ => None,
        };
        let logged = self.context.as_ref().map(|context| context.get(folded));
        match (from_request, logged) {
            (Some(value), _) => known(value),
            (None, Some(Some(value))) => known(value),
            (None, Some(None)) if LOGGED_IF_SENT.iter().any(|start| folded.starts_with(start)) => Found::Absent,
            _ => Found::Unknown,
        }
    }
}

fn account(principal: &str) -> Option<&str> {
    if is_account(principal) { Some(principal) } else { account_of(principal) }
}

/// A statement, seen with the request's tenant in mind.
struct Matched<'a> {
    judged: Judged<'a>,
    other_tenant: Option<String>,
}

impl<'a> Matched<'a> {
    fn new(judged: Judged<'a>, request: &Request<'_>) -> Self {
        let other_tenant = tenant_of_conditions(&judged).or_else(|| tenant_of_resources(&judged, request));
        Self { judged, other_tenant }
    }

    fn whole(&self) -> Tri {
        self.judged.named.any().and(self.judged.rest())
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let tenant = self.other_tenant.is_some();
        if tenant {
            gaps.push(Gap::Tenant);
        }
        for (value, gap) in [
            (self.judged.action, Gap::Action),
            (self.judged.named.any(), Gap::Principal),
            (self.judged.condition(), Gap::Condition),
            (self.judged.resource.met, Gap::Resource),
        ] {
            if value == Tri::No && !(tenant && matches!(gap, Gap::Condition | Gap::Resource)) {
                gaps.push(gap);
            }
        }
        gaps
    }
}

/// The tenant that a condition wants instead of the request's.
fn tenant_of_conditions(judged: &Judged<'_>) -> Option<String> {
    let tested = judged.source.conditions.iter().zip(&judged.conditions);
    let mut unmet = tested.filter(|(c, tested)| tested.met == Tri::No && is_of_tenant(fold(c.key).as_str()));
    unmet.find_map(|(condition, _)| condition.values.first().map(|value| value.clone().into_owned()))
}

/// The tenant that the resources are of instead of the request's.
fn tenant_of_resources(judged: &Judged<'_>, request: &Request<'_>) -> Option<String> {
    let Element::Is(patterns) = &judged.source.resource else { return None };
    let tenant = request.tenant.filter(|_| judged.resource.met == Tri::No)?;
    let bucket = request.resource.map(|r| r.split('/').next().unwrap_or(r));
    let mut segments = patterns.iter().filter_map(|pattern| {
        let (head, rest) = pattern.split_once('/')?;
        (pattern.starts_with("arn:aws:s3:::") && bucket.is_none_or(|b| wildcard(head, b)))
            .then(|| rest.split('/').next())?
    });
    let differs = |s: &&str| looks_like_id(s) && !s.eq_ignore_ascii_case(tenant);
    // The policy may be right and the key's first segment another organization's.
    let own = request.resource.and_then(|r| r.split('/').nth(1)).filter(differs);
    segments.find(differs).or(own).map(str::to_owned)
}

/// A path segment that names a tenant: an id, not a folder name or a wildcard.
pub fn looks_like_id(segment: &str) -> bool {
    segment.len() >= 8 && !segment.contains(['*', '?', '$']) && segment.bytes().any(|b| b.is_ascii_digit())
}

/// Replays `policy` against `request`.
#[must_use]
pub fn replay(policy: &Value, request: &Request<'_>) -> Replay {
    let caller = request.principal.and_then(Caller::read).unwrap_or(Caller::Unknown);
    let subject =
        Subject { caller: &caller, action: request.action, resource: request.resource, keys: request, bounded: false };
    let judged = Judged::all_of(Policy::read(policy, Kind::Resource), Kind::Resource, &subject);
    let (mut denies, mut allows, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
    for matched in judged.into_iter().map(|judged| Matched::new(judged, request)) {
        match matched.judged.effect {
            Some(Effect::Deny) => denies.push(matched),
            Some(Effect::Allow) => allows.push(matched),
            None => unclear.push(matched),
        }
    }
    let found = |decision, detail| Replay { decision, gap: None, detail, other_tenant: None };
    if let Some(deny) = denies.iter().find(|m| m.whole() == Tri::Yes) {
        return found(Decision::ExplicitDeny, format!("statement {} denies {}", deny.judged.id, request.action));
    }
    if let Some(Judged { id, source, .. }) = unclear.iter().find(|m| m.whole() != Tri::No).map(|m| &m.judged) {
        let problem = source.problem.as_deref().unwrap_or("it is of no form that is known");
        return found(Decision::Undetermined, format!("statement {id} cannot be used: {problem}"));
    }
    let open = |matched: &Matched<'_>, does: &str| {
        let id = &matched.judged.id;
        let detail = format!(
            "statement {id} {does}, if its caller and conditions are those of the request, which the log does not show"
        );
        found(Decision::Undetermined, detail)
    };
    let open_deny = denies.iter().find(|m| m.whole() == Tri::Unknown);
    if let Some(allow) = allows.iter().find(|m| m.whole() == Tri::Yes) {
        return open_deny.map_or_else(
            || found(Decision::Allow, format!("statement {} allows {}", allow.judged.id, request.action)),
            |deny| open(deny, "denies"),
        );
    }
    if let Some(allow) = allows.iter().find(|m| m.whole() == Tri::Unknown) {
        return open(allow, "allows");
    }
    refused(&allows, request)
}

fn refused(allows: &[Matched<'_>], request: &Request<'_>) -> Replay {
    let is_named = |m: &Matched<'_>| m.judged.named.any() != Tri::No;
    let named = allows.iter().any(is_named);
    let closest = allows.iter().min_by_key(|m| (m.gaps().len(), !is_named(m)));
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

fn gap_detail(m: &Matched<'_>, gap: Gap, request: &Request<'_>) -> String {
    let sid = &m.judged.id;
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
