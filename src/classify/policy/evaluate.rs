//! How policies of all kinds come together to a decision.
//!
//! Sources: IAM user guide, "How AWS enforcement code logic evaluates requests", "Policy evaluation for requests within
//! a single account" (whom a resource policy names decides what else limits it), "Cross-account policy evaluation logic";
//! KMS developer guide, "Key policies"; Organizations user guide, "SCP evaluation" and "RCP evaluation".

use super::answer::Answer;
use super::caller::{Caller, Named};
use super::context::{Circumstances, Context};
use super::document::{Effect, Kind, Policy};
use super::proof::{Basis, Lack, Proof};
use super::question::{Attached, Policies, Question};
use super::statement::{Judged, Subject};
use super::tri::Tri;

/// Decides a request.
///
/// `strict` takes condition keys that the context does not give to be absent, as AWS does, instead of unknown. `time` is
/// that of the request, microseconds since 1970.
#[must_use]
pub fn evaluate(question: &Question, policies: &Policies, strict: bool, time: Option<i64>) -> Answer {
    let known = Circumstances {
        caller: &question.caller,
        principal: &question.principal,
        action: &question.action,
        resource_account: question.resource_account.as_deref(),
        canonical_user: question.canonical_user.as_deref(),
        time,
    };
    let keys = Context::new(&question.context, &known, strict);
    let bounded = policies.attached.iter().any(|policy| policy.kind == Kind::Boundary);
    let subject = Subject {
        caller: &question.caller,
        action: &question.action,
        resource: Some(&question.resource),
        keys: &keys,
        bounded: bounded && question.caller.is_of_account(),
    };
    let mut judged = Vec::with_capacity(policies.attached.len());
    for Attached { kind, body, .. } in &policies.attached {
        judged.push(Judged::all_of(Policy::read(body, *kind), *kind, &subject));
    }
    let case = Case { question, policies, judged };
    if question.action.eq_ignore_ascii_case("sts:GetCallerIdentity") && question.caller != Caller::Anonymous {
        return Answer::new(&case, &Proof::no(None, String::new()), &Proof::yes());
    }
    Answer::new(&case, &case.denied(), &case.allowed())
}

/// A request with all statements held against it.
pub(super) struct Case<'a> {
    pub question: &'a Question,
    pub policies: &'a Policies,
    /// By document.
    pub judged: Vec<Vec<Judged<'a>>>,
}

/// A way in which a statement may name the caller.
type Way = fn(Named) -> Tri;

const DIRECTLY: Way = |named| named.direct;
const BY_ENTITY: Way = |named| named.entity;
const BY_ACCOUNT: Way = |named| named.account;
const ANYHOW: Way = Named::any;

impl Case<'_> {
    /// Whether policies of a kind bear on the caller and the action.
    pub fn applies(&self, kind: Kind) -> bool {
        let caller = &self.question.caller;
        match kind {
            Kind::Resource | Kind::Endpoint => true,
            Kind::Identity | Kind::Session => caller.is_of_account(),
            Kind::Boundary | Kind::Scp => caller.is_of_account() && !caller.is_service_linked(),
            Kind::Rcp => !caller.is_service_linked() && !self.question.action.eq_ignore_ascii_case("kms:RetireGrant"),
        }
    }

    /// Whether a key or role is asked for: their policy must allow, identity policies alone never do.
    fn needs_resource_policy(&self) -> bool {
        let Question { action, resource, .. } = self.question;
        let service = |name: &str| action.split(':').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
        (service("kms") && resource.contains(":key/")) || (service("sts") && resource.contains(":role/"))
    }

    /// Places of the documents of a kind.
    fn of(&self, kind: Kind) -> Vec<usize> {
        let attached = self.policies.attached.iter().enumerate();
        attached.filter(|(_, a)| a.kind == kind && self.applies(kind)).map(|(n, _)| n).collect()
    }

    /// Whether a statement with this effect is about the request.
    fn states(&self, document: usize, effect: Effect, way: Way) -> impl Iterator<Item = Proof> {
        self.judged[document].iter().filter(move |j| j.effect.is_none_or(|own| own == effect)).map(move |judged| {
            let usable = if judged.effect.is_none() { Tri::Unknown } else { Tri::Yes };
            let named = way(judged.named);
            let holds = Tri::all([named, judged.rest(), usable]);
            let who = (named == Tri::Unknown).then(|| self.missing_name()).flatten();
            let missing = judged.missing().cloned().chain(who.map(str::to_owned));
            Proof::of(holds, Basis { document, statement: judged.id.clone() }, missing)
        })
    }

    /// The key that would tell whether it is the caller who is named.
    fn missing_name(&self) -> Option<&'static str> {
        match self.question.caller {
            Caller::Member(_) => Some("aws:PrincipalArn"),
            Caller::Role { .. } => Some("aws:userid"),
            _ => None,
        }
    }

    /// Whether any policy denies.
    fn denied(&self) -> Proof {
        let documents = (0..self.judged.len()).filter(|n| self.applies(self.policies.attached[*n].kind));
        Proof::any(documents.flat_map(|n| self.states(n, Effect::Deny, ANYHOW)))
    }

    /// Whether one of `documents` allows; `why` says what it means if none does.
    fn grants(&self, documents: &[usize], way: Way, why: impl FnOnce() -> String) -> Proof {
        let found = Proof::any(documents.iter().flat_map(|n| self.states(*n, Effect::Allow, way)));
        let document = if let [only] = documents { Some(*only) } else { None };
        if found.holds == Tri::No { Proof::no(document, why()) } else { found }
    }

    /// Whether policies of a kind allow. With none of the kind, `without` is the answer, unless none is on record.
    fn kind_grants(&self, kind: Kind, way: Way, without: Proof) -> Proof {
        let documents = self.of(kind);
        if documents.is_empty() {
            let unrecorded = self.applies(kind) && self.policies.not_on_record.iter().any(|(other, _)| *other == kind);
            return if unrecorded { Proof::unknown(None) } else { without };
        }
        self.grants(&documents, way, || match &documents[..] {
            [one] => format!("no statement of the {} allows it", self.title(*one)),
            many => format!("no statement of the {} {} allows it", many.len(), plural(kind)),
        })
    }

    /// How sentences call a document.
    pub fn title(&self, document: usize) -> String {
        let attached = &self.policies.attached[document];
        format!("{} ({})", attached.kind.words(), attached.origin)
    }

    /// Whether the request is allowed, denials set aside.
    fn allowed(&self) -> Proof {
        let mut parts = vec![self.core()];
        if self.applies(Kind::Scp) {
            parts.extend(self.levels(Kind::Scp, self.policies.scp_levels));
        }
        if self.applies(Kind::Rcp) {
            parts.extend(self.levels(Kind::Rcp, self.policies.rcp_levels));
        }
        parts.push(self.kind_grants(Kind::Endpoint, ANYHOW, Proof::yes()));
        let mut whole = Proof::all(parts);
        if whole.holds == Tri::Yes {
            // What grants is named, not what merely does not stand in the way.
            whole.by.retain(|basis| {
                !matches!(self.policies.attached[basis.document].kind, Kind::Scp | Kind::Rcp | Kind::Endpoint)
            });
        }
        whole
    }

    /// Every level of the organisation must allow.
    fn levels(&self, kind: Kind, levels: usize) -> Vec<Proof> {
        let documents = self.of(kind);
        let level = |level: usize| {
            let own = documents.iter().copied().filter(|n| self.policies.attached[*n].level == level);
            let own: Vec<usize> = own.collect();
            self.grants(&own, ANYHOW, || {
                format!("no {} of level {} of the organisation allows it", kind.words(), level + 1)
            })
        };
        (0..levels).map(level).collect()
    }

    /// What resource and identity policies allow within what limits the caller.
    fn core(&self) -> Proof {
        let account = self.question.caller.account();
        match (account, self.question.resource_account.as_deref()) {
            (None, _) => self.kind_grants(Kind::Resource, DIRECTLY, none(Kind::Resource)),
            (Some(own), Some(other)) if own == other => self.same_account(),
            (Some(_), Some(_)) => self.cross_account(),
            (Some(_), None) => {
                let (same, cross) = (self.same_account(), self.cross_account());
                if same.holds == cross.holds {
                    return same;
                }
                let mut open = Proof::unknown(Some("aws:ResourceAccount"));
                for proof in [same, cross] {
                    open.missing.extend(proof.missing);
                    open.by.extend(proof.by);
                }
                open
            }
        }
    }

    /// What limits all that the caller's identity policies give, and what its role's name gets from a resource's.
    fn limits(&self) -> Proof {
        let boundary = self.kind_grants(Kind::Boundary, ANYHOW, Proof::yes());
        Proof::all([boundary, self.kind_grants(Kind::Session, ANYHOW, Proof::yes())])
    }

    /// What the caller's own side allows.
    fn identity(&self) -> Proof {
        let own = match &self.question.caller {
            // A root user may do everything in its account.
            Caller::Root(_) => Proof::yes(),
            Caller::FederatedUser { .. } if self.of(Kind::Session).is_empty() => {
                let why = "a session of a federated user has no more than its session policy gives, and none is given";
                return Proof::no(None, why.to_owned());
            }
            _ => self.kind_grants(Kind::Identity, ANYHOW, none(Kind::Identity)),
        };
        Proof::all([own, self.limits()])
    }

    fn same_account(&self) -> Proof {
        let resource = |way| self.kind_grants(Kind::Resource, way, none(Kind::Resource));
        let left_to_account = resource(BY_ACCOUNT);
        let mut direct = resource(DIRECTLY);
        let mut entity = Proof::all([resource(BY_ENTITY), self.limits()]);
        if let (Tri::Yes, [basis, ..]) = (left_to_account.holds, &left_to_account.by[..]) {
            // It does allow, if not by itself.
            let (id, title) = (&basis.statement, self.title(basis.document));
            let why =
                format!("statement {id} of the {title} leaves it to the identity policies of the caller's account");
            let of_resource = |lack: &&mut Lack| lack.document == Some(basis.document);
            direct
                .lacks
                .iter_mut()
                .chain(&mut entity.lacks)
                .filter(of_resource)
                .for_each(|lack| lack.why.clone_from(&why));
        }
        let identity = self.identity();
        let delegated = if self.needs_resource_policy() { Proof::all([left_to_account, identity]) } else { identity };
        Proof::any([direct, entity, delegated])
    }

    fn cross_account(&self) -> Proof {
        let resource = self.kind_grants(Kind::Resource, ANYHOW, none(Kind::Resource));
        Proof::all([resource, self.identity()])
    }
}

/// There is no policy of a kind.
fn none(kind: Kind) -> Proof {
    Proof::no(None, format!("no {} is given", kind.words()))
}

fn plural(kind: Kind) -> String {
    kind.words().replace("policy", "policies").replace("boundary", "boundaries")
}
