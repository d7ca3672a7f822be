//! Conditions of a statement.
//!
//! Source: IAM user guide, "Condition operators", "Conditions with multiple context keys or values" and "Single-valued
//! vs. multivalued context keys".

use super::context::{Found, Keys};
use super::document::{Condition, Policy};
use super::operators::{Base, Operator, Set, meets, truth};
use super::pattern::{Pattern, Resolved};
use super::tri::Tri;

/// Whether a condition is met, and the keys that would tell if that is not known.
#[derive(Clone, Debug)]
pub(super) struct Tested {
    pub met: Tri,
    pub missing: Vec<String>,
}

impl Tested {
    fn known(met: Tri) -> Self {
        Self { met, missing: Vec::new() }
    }

    fn missing(key: &str) -> Self {
        Self { met: Tri::Unknown, missing: vec![key.to_owned()] }
    }

    fn not(mut self) -> Self {
        self.met = self.met.not();
        self
    }

    /// Folds what is known of several; keys that no longer matter are left out.
    fn gather(tests: impl IntoIterator<Item = Self>, fold: fn(Tri, Tri) -> Tri, start: Tri) -> Self {
        let mut whole = Self::known(start);
        for test in tests {
            whole.met = fold(whole.met, test.met);
            whole.missing.extend(test.missing);
        }
        if whole.met != Tri::Unknown {
            whole.missing.clear();
        }
        whole
    }

    /// Whether one is met.
    pub fn any(tests: impl IntoIterator<Item = Self>) -> Self {
        Self::gather(tests, Tri::or, Tri::No)
    }

    /// Whether all are met.
    pub fn all(tests: impl IntoIterator<Item = Self>) -> Self {
        Self::gather(tests, Tri::and, Tri::Yes)
    }
}

/// Tests one condition.
pub(super) fn test(policy: &Policy<'_>, condition: &Condition<'_>, keys: &dyn Keys) -> Tested {
    let Some(operator) = condition.operator else { return Tested::known(Tri::Unknown) };
    let found = keys.find(condition.key);
    let present = !matches!(found, Found::Absent);
    let variables = (policy.variables && operator.has_variables()).then_some(keys);
    let meets = |actual: &str, pathless: bool| meets_one(operator, condition, actual, variables, pathless);
    match found {
        Found::Unknown => Tested::missing(condition.key),
        _ if operator.base == Base::Null => {
            Tested::known(Tri::of(condition.values.iter().any(|value| truth(value) == Some(!present))))
        }
        Found::Absent => Tested::known(absent(operator)),
        Found::Pathless(role) => meets(&role, true),
        Found::Values(values) => {
            let nothing = values.iter().all(String::is_empty);
            let each = || values.iter().map(|value| meets(value, false));
            match operator.set {
                Set::ForAllValues if nothing => Tested::known(Tri::Yes),
                Set::ForAnyValue if nothing => Tested::known(Tri::No),
                // A key with several values needs one of the two.
                Set::One if values.len() > 1 => Tested::known(Tri::No),
                Set::ForAnyValue => Tested::any(each()),
                Set::One | Set::ForAllValues => Tested::all(each()),
            }
        }
    }
}

/// What an operator makes of a key that the request does not have.
fn absent(operator: Operator) -> Tri {
    match operator.set {
        _ if operator.if_exists => Tri::Yes,
        Set::ForAllValues => Tri::Yes,
        Set::ForAnyValue => Tri::No,
        Set::One => Tri::of(operator.negated),
    }
}

/// Whether a value of the request meets one of the policy's; for a negated operator, whether it meets none.
fn meets_one(
    operator: Operator,
    condition: &Condition<'_>,
    actual: &str,
    variables: Option<&dyn Keys>,
    pathless: bool,
) -> Tested {
    let each = condition.values.iter().map(|text| match Pattern::resolve(text, operator.has_wildcards(), variables) {
        Resolved::Unknown(key) => Tested::missing(&key),
        Resolved::To(pattern) if meets(operator.base, actual, text, &pattern) => Tested::known(Tri::Yes),
        Resolved::To(_) if pathless && may_have_path(text, actual) => Tested::missing(condition.key),
        Resolved::To(_) | Resolved::NoValue => Tested::known(Tri::No),
    });
    let met = Tested::any(each);
    if operator.negated { met.not() } else { met }
}

/// Whether `pattern` is for a role with a path that otherwise goes by the same ARN.
fn may_have_path(pattern: &str, role: &str) -> bool {
    let Some((head, rest)) = pattern.split_once(":role/") else { return false };
    let Some((_, name)) = rest.rsplit_once('/') else { return rest.contains('*') };
    Pattern::wild(&format!("{head}:role/{name}")).matches_arn(role)
}
