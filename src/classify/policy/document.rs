//! Policy documents, read element by element. What cannot be used is kept with the reason, so that it counts as not known.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language".

use std::borrow::Cow;

use serde_json::Value;

use super::operators::Operator;
use crate::ingest::policy_json::statements;

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A bucket, a key, a role (its trust policy), a queue.
    Resource,
    /// A user, one of its groups, a role.
    Identity,
    /// A user or role, as the most that its identity policies can give.
    Boundary,
    /// A session, when it was begun.
    Session,
    /// A level of the organisation above the caller's account: service control policies.
    Scp,
    /// A level of the organisation above the resource's account: resource control policies.
    Rcp,
    /// The VPC endpoint that the request came through.
    Endpoint,
}

impl Kind {
    /// The name used in answers: that of the option that takes such a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource-policy",
            Self::Identity => "identity",
            Self::Boundary => "boundary",
            Self::Session => "session",
            Self::Scp => "scp",
            Self::Rcp => "rcp",
            Self::Endpoint => "endpoint",
        }
    }

    /// How sentences call it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Resource => "resource policy",
            Self::Identity => "identity policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Scp => "service control policy",
            Self::Rcp => "resource control policy",
            Self::Endpoint => "VPC endpoint policy",
        }
    }

    /// Policies of an identity say what it may do, and to nobody else.
    const fn is_for_one_identity(self) -> bool {
        matches!(self, Self::Identity | Self::Boundary | Self::Session | Self::Scp)
    }
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// An element that may stand in a positive and in a `Not` form.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Element<T> {
    Missing,
    Is(T),
    Not(T),
    Unusable,
}

/// Texts of an element; numbers and truth values are written out.
pub(super) type Texts<'a> = Vec<Cow<'a, str>>;

/// Principals: kind and name.
pub(super) type Principals<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// One condition: what a key is compared with.
#[derive(Clone, Debug)]
pub(super) struct Condition<'a> {
    pub key: &'a str,
    /// Null where the policy's operator or values are none.
    pub operator: Option<Operator>,
    pub values: Texts<'a>,
}

#[derive(Clone, Debug)]
pub(super) struct Statement<'a> {
    /// The Sid, or `#` and the number.
    pub id: String,
    /// Null where it is neither of the two.
    pub effect: Option<Effect>,
    pub principal: Element<Principals<'a>>,
    pub action: Element<Texts<'a>>,
    pub resource: Element<Texts<'a>>,
    pub conditions: Vec<Condition<'a>>,
    /// Why it cannot be used as a whole.
    pub problem: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Policy<'a> {
    /// Whether `${...}` are variables, as they are since the version of 2012-10-17.
    pub variables: bool,
    pub statements: Vec<Statement<'a>>,
}

const ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

impl<'a> Policy<'a> {
    /// Reads a policy document of a kind.
    pub fn read(body: &'a Value, kind: Kind) -> Self {
        let version = body.get("Version").map(|v| v.as_str().unwrap_or("?"));
        let read = |(n, value)| {
            let mut statement = Statement::read(value, n, kind);
            if let Some(version) = version.filter(|v| !["2012-10-17", "2008-10-17"].contains(v)) {
                statement.note(format!("the policy's Version `{version}` is none that there is"));
                statement.effect = None;
            }
            statement
        };
        let statements = statements(body).into_iter().enumerate().map(read).collect();
        Self { variables: version == Some("2012-10-17"), statements }
    }
}

impl<'a> Statement<'a> {
    fn read(value: &'a Value, n: usize, kind: Kind) -> Self {
        let sid = value.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty());
        let mut statement = Self {
            id: sid.map_or_else(|| format!("#{}", n + 1), str::to_owned),
            effect: match value.get("Effect").and_then(Value::as_str) {
                Some("Allow") => Some(Effect::Allow),
                Some("Deny") => Some(Effect::Deny),
                _ => None,
            },
            principal: Element::Missing,
            action: Element::Missing,
            resource: Element::Missing,
            conditions: Vec::new(),
            problem: None,
        };
        let Some(members) = value.as_object() else {
            statement.note("it is no JSON object".to_owned());
            return statement;
        };
        if statement.effect.is_none() {
            statement.note("its Effect is neither Allow nor Deny".to_owned());
        }
        statement.principal = statement.element(value, ["Principal", "NotPrincipal"], principals);
        statement.action = statement.element(value, ["Action", "NotAction"], texts);
        statement.resource = statement.element(value, ["Resource", "NotResource"], texts);
        statement.read_conditions(value.get("Condition"));
        statement.check_presence(kind);
        if let Some(other) = members.keys().find(|name| !ELEMENTS.contains(&name.as_str())) {
            statement.note(format!("`{other}` is no element of a statement"));
            statement.effect = None;
        }
        statement
    }

    /// Keeps the first problem.
    fn note(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    fn element<T>(
        &mut self,
        value: &'a Value,
        [name, not_name]: [&'static str; 2],
        read: fn(&'a Value) -> Option<T>,
    ) -> Element<T> {
        let found = match (value.get(name), value.get(not_name)) {
            (None, None) => return Element::Missing,
            (Some(_), Some(_)) => {
                self.note(format!("it has both {name} and {not_name}"));
                return Element::Unusable;
            }
            (Some(found), None) => read(found).map(Element::Is),
            (None, Some(found)) => read(found).map(Element::Not),
        };
        if found.is_none() {
            self.note(format!("its {name} is in no form that policies have"));
        }
        found.unwrap_or(Element::Unusable)
    }

    /// What must be there in a policy of this kind, and what must not.
    fn check_presence(&mut self, kind: Kind) {
        if self.action == Element::Missing {
            self.note("it names no Action".to_owned());
            self.action = Element::Unusable;
        }
        match (&self.principal, kind) {
            (Element::Missing, Kind::Resource) => {
                self.note("it names no Principal, as policies of resources must".to_owned());
                self.principal = Element::Unusable;
            }
            (Element::Is(_) | Element::Not(_), _) if kind.is_for_one_identity() => {
                self.note(format!("it names a Principal, as no {} does", kind.words()));
                self.principal = Element::Unusable;
            }
            _ => {}
        }
        // Trust policies name no resource, and others may leave out the one they are attached to.
        if self.resource == Element::Missing && kind != Kind::Resource {
            self.note("it names no Resource".to_owned());
            self.resource = Element::Unusable;
        }
    }

    fn read_conditions(&mut self, block: Option<&'a Value>) {
        let unusable = Condition { key: "", operator: None, values: Vec::new() };
        let operators = match block {
            None => return,
            Some(Value::Object(operators)) => operators,
            Some(_) => {
                self.note("its Condition is no JSON object".to_owned());
                self.conditions.push(unusable);
                return;
            }
        };
        for (name, keys) in operators {
            let operator = Operator::read(name);
            let Some(keys) = keys.as_object().filter(|_| operator.is_some()) else {
                self.note(format!("`{name}` is no condition operator with keys"));
                self.conditions.push(unusable.clone());
                continue;
            };
            for (key, values) in keys {
                let values = texts(values);
                let wrong = values.as_ref().and_then(|values| {
                    let wrong = |v: &Cow<'_, str>| Some((v.clone().into_owned(), operator?.expects(v)?));
                    values.iter().find_map(wrong)
                });
                if let Some((value, expected)) = &wrong {
                    self.note(format!("`{value}`, for {name} of {key}, is not {expected}"));
                } else if values.is_none() {
                    self.note(format!("what {name} compares {key} with is no text or list of texts"));
                }
                let operator = operator.filter(|_| wrong.is_none() && values.is_some());
                self.conditions.push(Condition { key, operator, values: values.unwrap_or_default() });
            }
        }
    }
}

/// One text or a list of them.
fn texts(value: &Value) -> Option<Texts<'_>> {
    let text = |value: &'_ Value| match value {
        Value::Bool(value) => Some(Cow::Owned(value.to_string())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    };
    match value {
        Value::String(text) => Some(vec![Cow::Borrowed(text)]),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(Cow::Borrowed).or_else(|| text(item))).collect()
        }
        other => text(other).map(|text| vec![text]),
    }
}

const KINDS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

fn principals(value: &Value) -> Option<Principals<'_>> {
    match value {
        Value::String(text) if text == "*" => Some(vec![("AWS", Cow::Borrowed("*"))]),
        Value::Object(kinds) if kinds.keys().all(|kind| KINDS.contains(&kind.as_str())) => {
            let mut found = Vec::new();
            for (kind, names) in kinds {
                found.extend(texts(names)?.into_iter().map(|name| (kind.as_str(), name)));
            }
            Some(found)
        }
        _ => None,
    }
}
