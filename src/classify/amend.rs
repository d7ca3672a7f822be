//! The smallest change that would have let a refused request through, as far as the evidence supports one, in the form of
//! the platform that refused; never broader than what was refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::archive::Archive;
use super::dossier::Dossier;
use super::moments::{self, InForce, Moment};
use super::policy::{self, Decision, is_of_tenant, role_of_session};
use super::state::{self, Refused};
use super::verdict::{Class, Verdict};
use crate::correlate::Failure;
use crate::evidence::Locator;
use crate::ingest::{DocumentKind, Text, fold};

/// A change, or why none can be told.
#[derive(Clone, Debug)]
pub struct SmallestChange {
    /// What is to be changed, such as `bucket policy`.
    pub of: &'static str,
    /// Whose: a caller, bucket, role or key.
    pub subject: String,
    pub text: String,
    /// What is to be added: a role's permission policies, or a statement.
    pub added: Option<Value>,
    /// The policy in force that it is to be added to.
    pub document: Option<Arc<Value>>,
    /// The record it stands in.
    pub at: Vec<Locator>,
}

impl SmallestChange {
    fn untold(of: &'static str, subject: &str, why: String) -> Self {
        Self { of, subject: subject.to_owned(), text: why, added: None, document: None, at: Vec::new() }
    }

    /// The whole document with the change, where there is one to be changed.
    #[must_use]
    pub fn amended(&self) -> Option<Value> {
        Some(with_statement(self.document.as_deref()?, self.added.clone()?))
    }

    /// The change in a line, where it can be told.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        Some(format!("{} In full: {}", self.text, self.added.as_ref()?))
    }
}

/// The smallest change for a verdict; none where it is not about a permission or a policy.
#[must_use]
pub fn smallest_change(
    archive: &Archive<'_, '_>,
    failure: &Failure,
    dossier: &Dossier,
    verdict: &Verdict,
) -> Option<SmallestChange> {
    match (verdict.class, verdict.mechanism.as_deref()) {
        (Class::ScopeCollision, Some("identity_policy_denied")) => Some(identity(archive, failure, dossier)),
        (Class::ScopeCollision, _) => Some(grant(failure, dossier, verdict)),
        (Class::PolicyMismatch, Some("trust_policy")) => trust(archive, failure, dossier),
        (Class::PolicyMismatch, Some("key_policy")) => key(archive, failure, dossier),
        (Class::PolicyMismatch, _) => bucket(archive, failure, dossier),
        _ => None,
    }
}

/// The permissions that were missing, as permission policies of a role of the recording platform.
fn grant(failure: &Failure, dossier: &Dossier, verdict: &Verdict) -> SmallestChange {
    let (of, subject) = ("role", failure.principal.as_deref().unwrap_or("the caller"));
    let missing: BTreeSet<&String> = verdict.missing_permissions.iter().collect();
    // Where the refusals name some of what the archive says was missing, these are enough.
    let named: BTreeSet<&String> = missing.iter().copied().filter(|p| dossier.named.contains(*p)).collect();
    let wanted = if named.is_empty() { missing } else { named };
    let mut by_entity: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut other = Vec::new();
    for permission in wanted {
        match permission.split(':').collect::<Vec<_>>()[..] {
            [domain, entity, action] if !permission.contains('*') => {
                by_entity.entry((domain, entity)).or_default().push(action);
            }
            _ => other.push(permission.as_str()),
        }
    }
    if by_entity.is_empty() {
        let why = if other.is_empty() {
            "The evidence does not say which permission was missing.".to_owned()
        } else {
            format!("{} is not of the form domain:entity:action, so no role can be written for it.", other.join(", "))
        };
        return SmallestChange::untold(of, subject, why);
    }
    let policies = by_entity.into_iter().map(|((domain, entity), actions)| {
        json!({ "domain": domain, "entityName": entity, "actionSet": actions, "allowConditions": false })
    });
    let added = json!({ "permissionPolicies": policies.collect::<Vec<_>>() });
    let mut text = format!("Add these permission policies to a role of {subject}, and nothing more.");
    if !other.is_empty() {
        text = format!("{text} {} cannot be written so and is left out.", other.join(", "));
    }
    SmallestChange { added: Some(added), ..SmallestChange::untold(of, subject, text) }
}

/// What the caller's own AWS policies would have to allow.
fn identity(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier) -> SmallestChange {
    let refused = state::refused_by_bucket(archive, failure, dossier);
    let subject = refused.principal.as_deref().map_or_else(|| "the caller".to_owned(), |own| role(own, None));
    let rows = dossier.groups.get("named_identity").into_iter().flatten().filter_map(|at| archive.table.row_at(at));
    let messages: Vec<String> =
        rows.filter_map(|row| archive.table.text(Text::ErrorMessage, row)).map(str::to_ascii_lowercase).collect();
    let kinds = ["permissions boundary", "session policy", "service control policy"];
    let says = |words: &str| messages.iter().any(|message| message.contains(words));
    let of = kinds.into_iter().find(|kind| says(kind)).unwrap_or("identity-based policy");
    if says("explicit deny") {
        let why = format!("The refusal names an explicit deny in the {of}: nothing that is added would help.");
        return SmallestChange::untold(of, &subject, why);
    }
    let Some(resource) = refused.resource else {
        return SmallestChange::untold(of, &subject, "The record does not name what was refused.".to_owned());
    };
    let added = json!({ "Effect": "Allow", "Action": refused.action, "Resource": resource });
    let text = format!("Add this statement, which is for exactly what was refused, to the {of} of {subject}.");
    SmallestChange { added: Some(added), ..SmallestChange::untold(of, &subject, text) }
}

fn bucket(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier) -> Option<SmallestChange> {
    let name = failure.bucket.as_deref()?;
    let moment = state::refused_at(archive, failure);
    let in_force = moments::in_force(archive, DocumentKind::BucketPolicy, &[name], moment);
    Some(of_policy("bucket policy", name, in_force, &state::refused_by_bucket(archive, failure, dossier)))
}

fn trust(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier) -> Option<SmallestChange> {
    let (arn, row) = state::refused_role(archive, failure)?;
    let name = arn.rsplit('/').next().unwrap_or(&arn);
    let moment = Moment::first_failing(archive, failure);
    let in_force = moments::in_force(archive, DocumentKind::TrustPolicy, &[&arn, name], moment);
    let refused = state::refused_by_trust(archive, failure, dossier, &(arn.clone(), row));
    Some(of_policy("role trust policy", &arn, in_force, &refused))
}

fn key(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier) -> Option<SmallestChange> {
    let arn = state::refused_key(archive, failure)?;
    let id = arn.rsplit('/').next().unwrap_or(&arn);
    let moment = Moment::first_failing(archive, failure);
    let in_force = moments::in_force(archive, DocumentKind::KeyPolicy, &[&arn, id], moment);
    Some(of_policy("key policy", &arn, in_force, &state::refused_by_key(failure, dossier, &arn)))
}

/// The statement that lets exactly the refused request through, where the policy in force says nothing of it.
fn of_policy(of: &'static str, subject: &str, in_force: Option<InForce<'_>>, refused: &Refused<'_>) -> SmallestChange {
    let Some(in_force) = in_force else {
        let why = format!("The {of} of {subject} is not in the evidence, so no change of it can be told.");
        return SmallestChange::untold(of, subject, why);
    };
    let at = in_force.records();
    let untold = |why: String| SmallestChange { at: at.clone(), ..SmallestChange::untold(of, subject, why) };
    let Some(now) = moments::replay(in_force, |document| policy::replay(&document.body, &refused.request())) else {
        return untold(format!("The clocks do not tell which {of} of {subject} was in force."));
    };
    match now.decision {
        Decision::ImplicitDeny => {}
        Decision::ExplicitDeny => {
            return untold(format!(
                "Nothing that is added would help: {}. How far to narrow that, or what the request must send instead, is \
                 for the owner of the policy to say.",
                now.detail
            ));
        }
        Decision::Allow | Decision::Undetermined => {
            let why = format!("The {of} of {subject} on record does not refuse by itself ({}).", now.detail);
            return untold(why);
        }
    }
    let body = &in_force.document().body;
    let Some(added) = statement(of, body, refused) else {
        return untold(format!(
            "What else the policy asks for is not met, or the log does not show it; to let the request through without it \
             would be more than was refused ({}).",
            now.detail
        ));
    };
    let text = format!(
        "Add this statement, which is for exactly the refused request, to the {of} of {subject}. Whether more of the kind is \
         to pass is for its owner to say."
    );
    SmallestChange { of, subject: subject.to_owned(), text, added: Some(added), document: Some(Arc::clone(body)), at }
}

/// A statement for the caller, action and resource of a request, under the conditions of a statement of the policy that the
/// request meets; none where it would not do, or would let others through.
fn statement(of: &str, body: &Value, refused: &Refused<'_>) -> Option<Value> {
    let own = refused.principal.as_deref()?;
    // Of a caller in another account a trust policy sees no more than that, and the external id tells the tenants apart.
    let is_account = policy::is_account(own);
    if is_account && refused.external_id.is_none() {
        return None;
    }
    let principal = if own.ends_with(".amazonaws.com") {
        json!({ "Service": own })
    } else if is_account {
        json!({ "AWS": format!("arn:aws:iam::{own}:root") })
    } else {
        json!({ "AWS": role(own, Some(body)) })
    };
    let mut bare = json!({ "Effect": "Allow", "Principal": principal, "Action": refused.action });
    match of {
        "role trust policy" => {}
        // In a key policy this is the key itself.
        "key policy" => bare["Resource"] = json!("*"),
        _ => bare["Resource"] = json!(refused.resource.as_deref()?),
    }
    let under = |conditions: Option<&Value>| {
        let mut statement = bare.clone();
        let mut conditions = conditions.cloned();
        if let Some(conditions) = &mut conditions {
            of_tenant(conditions, refused);
        }
        if let Some(id) = refused.external_id.filter(|_| !conditions.as_ref().is_some_and(asks_for_external_id)) {
            let mut all = conditions.and_then(|own| own.as_object().cloned()).unwrap_or_default();
            // Of two tests of one operator both must be met; the other form of it keeps them apart.
            let operator = if all.contains_key("StringEquals") { "StringLike" } else { "StringEquals" };
            if all.contains_key(operator) {
                return None;
            }
            all.insert(operator.to_owned(), json!({ "sts:ExternalId": id }));
            conditions = Some(Value::Object(all));
        }
        if let Some(conditions) = conditions {
            statement["Condition"] = conditions;
        }
        let decided = policy::replay(&with_statement(body, statement.clone()), &refused.request()).decision;
        (decided == Decision::Allow).then_some(statement)
    };
    let conditions: Vec<&Value> = allowing(body).filter_map(|statement| statement.get("Condition")).collect();
    // A policy that asks for conditions gets no statement without them.
    let all = allowing(body).count();
    let kept = conditions.iter().find_map(|conditions| under(Some(conditions)));
    kept.or_else(|| if conditions.len() < all || all == 0 { under(None) } else { None })
}

fn allowing(body: &Value) -> impl Iterator<Item = &Value> {
    let statements = match body.get("Statement") {
        Some(Value::Array(list)) => &list[..],
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    statements.iter().filter(|statement| statement.get("Effect").and_then(Value::as_str) == Some("Allow"))
}

fn asks_for_external_id(conditions: &Value) -> bool {
    let tested = conditions.as_object().into_iter().flatten().filter_map(|(_, keys)| keys.as_object());
    tested.flatten().any(|(key, _)| fold(key).as_str().ends_with("externalid"))
}

/// Makes conditions on the tenant be on that of the request.
fn of_tenant(conditions: &mut Value, refused: &Refused<'_>) {
    let tested = conditions.as_object_mut().into_iter().flatten().filter_map(|(_, keys)| keys.as_object_mut());
    for (key, values) in tested.flatten() {
        let folded = fold(key);
        let own = refused.external_id.filter(|_| folded.as_str().ends_with("externalid")).or(refused.tenant);
        if let Some(own) = own.filter(|_| is_of_tenant(folded.as_str())) {
            *values = json!(own);
        }
    }
}

/// The ARN by which a policy names a caller: of a session its role. The path of the role, which sessions do not tell, is
/// taken from where `body` names it.
fn role(own: &str, body: Option<&Value>) -> String {
    let Some(role) = role_of_session(own) else { return own.to_owned() };
    let (Some((account, name)), Some(body)) = (role.split_once(":role/"), body) else { return role };
    let text = body.to_string();
    let named = text.split('"').filter(|part| part.starts_with(account) && part.contains(":role/"));
    let mut with_path = named.filter(|arn| arn.rsplit('/').next() == Some(name) && !arn.contains(['*', '?']));
    with_path.next().map_or(role.clone(), str::to_owned)
}

fn with_statement(body: &Value, added: Value) -> Value {
    let mut amended = body.clone();
    match amended.get_mut("Statement") {
        Some(Value::Array(list)) => list.push(added),
        Some(one) => *one = Value::Array(vec![one.take(), added]),
        None => {
            if let Value::Object(members) = &mut amended {
                members.insert("Statement".to_owned(), Value::Array(vec![added]));
            }
        }
    }
    amended
}
