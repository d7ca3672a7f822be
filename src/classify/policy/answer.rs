//! What evaluation answers.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::Decision;
use super::caller::Caller;
use super::document::{Effect, Element, Kind};
use super::evaluate::Case;
use super::proof::{Basis, Proof};
use super::question::Attached;
use super::statement::Judged;
use super::tri::Tri;

/// A decision, with what it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub decision: Decision,
    /// The statement that decided, or the policy in which one is lacking; what an undetermined decision hangs on first.
    pub decided_by: DecidedBy,
    /// Condition keys that would decide it, in order of their names; none where it is decided.
    pub missing_keys: Vec<String>,
    /// What an undetermined decision may turn out to be; else the decision alone.
    pub possible: Vec<Decision>,
    /// Why, in a sentence.
    pub reason: String,
    /// Statements that cannot be used, and so are not known to allow or deny.
    pub unusable: Vec<Unusable>,
    /// Policies that may bear on it and are not on record: nothing in them is counted.
    pub not_on_record: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// The policies that were evaluated.
    pub policies: Vec<Evaluated>,
}

/// Null where nothing decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DecidedBy {
    /// The policy's kind, by the name of the option that takes it.
    pub policy: Option<&'static str>,
    /// The Sid, or `#` and the number.
    pub statement: Option<String>,
    /// The file that the policy was read from.
    pub file: Option<String>,
    /// The record it stands in.
    pub record: Option<String>,
}

/// A statement that cannot be used.
#[derive(Clone, Debug, Serialize)]
pub struct Unusable {
    pub policy: &'static str,
    pub file: String,
    pub statement: String,
    pub reason: String,
}

/// A policy that was evaluated.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluated {
    pub policy: &'static str,
    pub file: String,
    pub record: Option<String>,
    /// Since when it is in force, where a log says so.
    pub since: Option<String>,
    /// Who put it there, where a log says so.
    pub changed_by: Option<String>,
    /// Whether it bears on this caller and action.
    pub applies: bool,
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Answer {
    /// Decides from whether anything denies and everything needed allows.
    pub(super) fn new(case: &Case<'_>, denied: &Proof, allowed: &Proof) -> Self {
        let (decision, possible) = decide(denied.holds, allowed.holds);
        let mut missing = BTreeMap::new();
        if decision == Decision::Undetermined {
            for proof in [denied, allowed].into_iter().filter(|proof| proof.holds == Tri::Unknown) {
                missing.extend(proof.missing.clone());
            }
        }
        let missing_keys: Vec<String> = missing.into_values().collect();
        let hangs_on = if denied.holds == Tri::Unknown { denied } else { allowed };
        let decided_by = match decision {
            Decision::ExplicitDeny => by_statement(case, denied.by.first()),
            Decision::Allow => by_statement(case, allowed.by.first()),
            Decision::ImplicitDeny => by_lack(case, allowed),
            Decision::Undetermined => by_statement(case, hangs_on.by.first()),
        };
        let reason = match decision {
            Decision::ExplicitDeny => {
                format!("{} denies {}", sentence(case, denied.by.get(..1).unwrap_or_default()), case.question.action)
            }
            Decision::Allow => allows(case, allowed),
            Decision::ImplicitDeny => {
                let lacks: Vec<&str> = allowed.lacks.iter().map(|lack| lack.why.as_str()).collect();
                format!("{} is not allowed: {}", case.question.action, lacks.join("; "))
            }
            Decision::Undetermined => open(case, denied, allowed, &missing_keys),
        };
        Self {
            decision,
            decided_by,
            missing_keys,
            possible,
            reason,
            unusable: unusable(case),
            not_on_record: case.policies.not_on_record.iter().map(|(_, what)| what.clone()).collect(),
            notes: notes(case),
            policies: evaluated(case),
        }
    }
}

fn decide(denied: Tri, allowed: Tri) -> (Decision, Vec<Decision>) {
    use Decision::{Allow, ExplicitDeny, ImplicitDeny, Undetermined};
    match (denied, allowed) {
        (Tri::Yes, _) => (ExplicitDeny, vec![ExplicitDeny]),
        (Tri::No, Tri::Yes) => (Allow, vec![Allow]),
        (Tri::No, Tri::No) => (ImplicitDeny, vec![ImplicitDeny]),
        (Tri::No, Tri::Unknown) => (Undetermined, vec![Allow, ImplicitDeny]),
        (Tri::Unknown, Tri::Yes) => (Undetermined, vec![Allow, ExplicitDeny]),
        (Tri::Unknown, Tri::No) => (Undetermined, vec![ExplicitDeny, ImplicitDeny]),
        (Tri::Unknown, Tri::Unknown) => (Undetermined, vec![Allow, ExplicitDeny, ImplicitDeny]),
    }
}

fn by_statement(case: &Case<'_>, basis: Option<&Basis>) -> DecidedBy {
    basis.map_or_else(DecidedBy::default, |basis| DecidedBy {
        statement: Some(basis.statement.clone()),
        ..by_document(case, basis.document)
    })
}

fn by_document(case: &Case<'_>, document: usize) -> DecidedBy {
    let attached = &case.policies.attached[document];
    DecidedBy {
        policy: Some(attached.kind.name()),
        statement: None,
        file: Some(attached.origin.clone()),
        record: attached.record.clone(),
    }
}

/// The policy in which an allowing statement is lacking, where it is one.
fn by_lack(case: &Case<'_>, allowed: &Proof) -> DecidedBy {
    match &allowed.lacks[..] {
        [lack] => lack.document.map_or_else(DecidedBy::default, |document| by_document(case, document)),
        _ => DecidedBy::default(),
    }
}

/// "statement A of the bucket policy (x.json) and statement B of ..."
fn sentence(case: &Case<'_>, by: &[Basis]) -> String {
    let each: Vec<String> =
        by.iter().map(|b| format!("statement {} of the {}", b.statement, case.title(b.document))).collect();
    each.join(" and ")
}

fn allows(case: &Case<'_>, allowed: &Proof) -> String {
    let action = &case.question.action;
    match (&allowed.by[..], &case.question.caller) {
        ([], Caller::Root(_)) => format!("a root user may do everything in its account, so {action} too"),
        ([], _) => format!("{action} needs no permission"),
        (by @ [_], _) => format!("{} allows {action}", sentence(case, by)),
        (by, _) => format!("{} allow {action}", sentence(case, by)),
    }
}

fn open(case: &Case<'_>, denied: &Proof, allowed: &Proof, missing: &[String]) -> String {
    let (proof, does) = if denied.holds == Tri::Unknown { (denied, "deny") } else { (allowed, "allow") };
    let action = &case.question.action;
    let told = match missing {
        [] => "what is known does not tell".to_owned(),
        keys => format!("the request would have to give {}", keys.join(", ")),
    };
    if proof.by.is_empty() {
        let what: Vec<&str> = case.policies.not_on_record.iter().map(|(_, what)| what.as_str()).collect();
        return match &what[..] {
            [] => format!("whether {action} is allowed hangs on whose the resource is: {told}"),
            what => format!("whether {action} is allowed hangs on what is not on record: {}", what.join(", ")),
        };
    }
    format!("{} may {does} {action}: {told}", sentence(case, &proof.by[..1]))
}

fn unusable(case: &Case<'_>) -> Vec<Unusable> {
    let of_document = |(n, judged): (usize, &Vec<Judged<'_>>)| {
        let attached = &case.policies.attached[n];
        let of_statement = |judged: &Judged<'_>| {
            Some(Unusable {
                policy: attached.kind.name(),
                file: attached.origin.clone(),
                statement: judged.id.clone(),
                reason: judged.source.problem.clone()?,
            })
        };
        judged.iter().filter_map(of_statement).collect::<Vec<_>>()
    };
    case.judged.iter().enumerate().flat_map(of_document).collect()
}

fn evaluated(case: &Case<'_>) -> Vec<Evaluated> {
    let of = |attached: &Attached| Evaluated {
        policy: attached.kind.name(),
        file: attached.origin.clone(),
        record: attached.record.clone(),
        since: attached.since.clone(),
        changed_by: attached.changed_by.clone(),
        applies: case.applies(attached.kind),
    };
    case.policies.attached.iter().map(of).collect()
}

fn notes(case: &Case<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for kind in [Kind::Identity, Kind::Boundary, Kind::Session, Kind::Scp, Kind::Rcp] {
        let given = case.policies.attached.iter().any(|attached| attached.kind == kind);
        if given && !case.applies(kind) {
            let who = if case.question.caller.is_service_linked() { "a service-linked role" } else { "such a request" };
            notes.push(format!("no {} bears on {who}", kind.words()));
        }
    }
    for (n, judged) in case.judged.iter().enumerate() {
        for judged in judged.iter().filter(|j| j.rest() != Tri::No && j.effect == Some(Effect::Deny)) {
            let Element::Not(_) = judged.source.principal else { continue };
            if judged.excepted_by_account && judged.named.any() == Tri::No {
                notes.push(format!(
                    "statement {} of the {} excepts the caller by its account alone; AWS advises to name the user or \
                     role too, since services may deny it otherwise",
                    judged.id,
                    case.title(n)
                ));
            }
        }
    }
    notes
}
