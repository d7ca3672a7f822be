//! Whether a statement is about a request.

use super::caller::{Caller, Named};
use super::conditions::{Tested, test};
use super::context::Keys;
use super::document::{Effect, Element, Kind, Policy, Principals, Statement, Texts};
use super::pattern::{Pattern, Resolved};
use super::tri::Tri;

/// A request, as statements are held against it.
pub(super) struct Subject<'a> {
    pub caller: &'a Caller,
    pub action: &'a str,
    /// Null where it is not known.
    pub resource: Option<&'a str>,
    pub keys: &'a dyn Keys,
    /// Whether the caller has a permissions boundary.
    pub bounded: bool,
}

/// A statement held against a request.
pub(super) struct Judged<'a> {
    pub id: String,
    /// Null where the policy gives none that there is.
    pub effect: Option<Effect>,
    pub named: Named,
    /// Whether `NotPrincipal` names the caller's account and not the caller.
    pub excepted_by_account: bool,
    pub action: Tri,
    pub resource: Tested,
    /// In the order of the policy, with what they were tested on.
    pub conditions: Vec<Tested>,
    pub source: Statement<'a>,
}

impl<'a> Judged<'a> {
    /// Holds all statements of a policy against a request.
    pub fn all_of(policy: Policy<'a>, kind: Kind, subject: &Subject<'_>) -> Vec<Self> {
        let Policy { variables, statements } = policy;
        let policy = Policy { variables, statements: Vec::new() };
        statements.into_iter().map(|statement| Self::of(&policy, statement, kind, subject)).collect()
    }

    fn of(policy: &Policy<'a>, source: Statement<'a>, kind: Kind, subject: &Subject<'_>) -> Self {
        let (named, excepted_by_account) = named(&source, kind, subject);
        Self {
            id: source.id.clone(),
            effect: source.effect,
            named,
            excepted_by_account,
            action: element(&source.action, |actions| actions_match(actions, subject.action)),
            resource: resource(policy, &source.resource, subject),
            conditions: source.conditions.iter().map(|condition| test(policy, condition, subject.keys)).collect(),
            source,
        }
    }

    /// Whether all but the principal is that of the request.
    pub fn rest(&self) -> Tri {
        Tri::all([self.action, self.resource.met, self.condition()])
    }

    /// Whether its conditions are met.
    pub fn condition(&self) -> Tri {
        Tri::all(self.conditions.iter().map(|tested| tested.met))
    }

    /// Keys that would tell whether it is about the request, where that hangs on keys.
    pub fn missing(&self) -> impl Iterator<Item = &String> {
        let open = self.conditions.iter().chain([&self.resource]).filter(|tested| tested.met == Tri::Unknown);
        open.flat_map(|tested| &tested.missing)
    }
}

fn element<T>(element: &Element<T>, test: impl Fn(&T) -> Tri) -> Tri {
    match element {
        Element::Missing => Tri::Yes,
        Element::Is(value) => test(value),
        Element::Not(value) => test(value).not(),
        Element::Unusable => Tri::Unknown,
    }
}

/// Case does not matter in actions, and they have no variables.
fn actions_match(patterns: &Texts<'_>, action: &str) -> Tri {
    Tri::of(patterns.iter().any(|pattern| {
        if pattern.contains(['*', '?']) {
            Pattern::wild(&pattern.to_ascii_lowercase()).matches(&action.to_ascii_lowercase())
        } else {
            pattern.eq_ignore_ascii_case(action)
        }
    }))
}

fn resource(policy: &Policy<'_>, patterns: &Element<Texts<'_>>, subject: &Subject<'_>) -> Tested {
    let variables = policy.variables.then_some(subject.keys);
    let one = |pattern: &str| {
        let (met, missing) = match Pattern::resolve(pattern, true, variables) {
            _ if pattern == "*" => (Tri::Yes, None),
            Resolved::NoValue => (Tri::No, None),
            Resolved::Unknown(key) => (Tri::Unknown, Some(key)),
            Resolved::To(pattern) => match subject.resource {
                Some(resource) => (Tri::of(pattern.matches_resource(resource)), None),
                None => (Tri::Unknown, None),
            },
        };
        Tested { met, missing: missing.into_iter().collect() }
    };
    let any = |patterns: &Texts<'_>| Tested::any(patterns.iter().map(|pattern| one(pattern)));
    match patterns {
        Element::Missing => Tested { met: Tri::Yes, missing: Vec::new() },
        Element::Unusable => Tested { met: Tri::Unknown, missing: Vec::new() },
        Element::Is(patterns) => any(patterns),
        Element::Not(patterns) => {
            let Tested { met, missing } = any(patterns);
            Tested { met: met.not(), missing }
        }
    }
}

/// How a statement names the caller, and whether it excepts it by its account alone.
fn named(statement: &Statement<'_>, kind: Kind, subject: &Subject<'_>) -> (Named, bool) {
    let any_of = |principals: &Principals<'_>| {
        let each = principals.iter().map(|(kind, name)| subject.caller.named(kind, name, subject.keys));
        each.fold(Named::NOT, Named::or)
    };
    let named = match &statement.principal {
        Element::Missing => Named::ALL,
        Element::Unusable => Named { direct: Tri::Unknown, ..Named::NOT },
        Element::Is(principals) => any_of(principals),
        // Who has a boundary is denied whatever NotPrincipal says.
        Element::Not(_) if kind == Kind::Resource && statement.effect == Some(Effect::Deny) && subject.bounded => {
            Named::ALL
        }
        Element::Not(principals) => {
            let excepted = any_of(principals);
            let by_account = excepted.account == Tri::Yes && excepted.direct.or(excepted.entity) == Tri::No;
            return (Named { direct: excepted.any().not(), ..Named::NOT }, by_account);
        }
    };
    (named, false)
}
