//! State as of the failing attempts: scopes against what the steps need, and policies replayed.

use std::collections::{BTreeMap, BTreeSet};

use super::archive::Archive;
use super::authority::{Held, holds};
use super::dossier::{Dossier, MAX_HELD};
use super::moments::{self, InForce, Moment};
use super::policy::{self, Decision, Replay, Request};
use crate::correlate::{Failure, Row};
use crate::ingest::{Change, ChangeKind, Document, DocumentKind, Text, fold};

/// Fills in the features of state.
pub fn fill(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    fill_scopes(archive, failure, dossier);
    fill_bucket_policy(archive, failure, dossier);
    fill_trust_policy(archive, failure, dossier);
    fill_key_policy(archive, failure, dossier);
    let prefix = failure.object_key.as_deref().and_then(|key| key.split_once('/')).map(|(first, _)| first);
    let prefix = prefix.filter(|prefix| policy::looks_like_id(prefix));
    let differs = prefix.zip(failure.tenant_id.as_deref()).map(|(prefix, tenant)| !prefix.eq_ignore_ascii_case(tenant));
    dossier.features.flag("key_prefix_differs", differs);
}

fn fill_scopes(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let steps: BTreeSet<&String> = failure.steps.iter().collect();
    let needs: Vec<_> = steps.iter().filter_map(|step| archive.need(step)).collect();
    let needed: BTreeSet<&String> = needs.iter().flat_map(|n| &n.needed).collect();
    let f = &mut dossier.features;
    f.flag("need_known", !needed.is_empty());
    f.count("successes_seen", needs.iter().map(|n| n.jobs).max().unwrap_or(0));
    dossier.cite("successes", needs.iter().flat_map(|n| n.examples.iter().copied()));
    let not_needed = |scope: &String| needs.iter().any(|n| n.not_needed.contains(scope)) && !needed.contains(scope);
    if !dossier.named.is_empty() {
        let all = dossier.named.iter().all(not_needed);
        dossier.features.flag("named_not_needed", all);
    }
    let job = failure.job_id.as_deref().map_or(0, |job| archive.outline.hash(job));
    let held = failure
        .principal
        .as_deref()
        .and_then(|principal| archive.found(archive.authority.held(principal, job, failure.first_failed_at)));
    dossier.features.flag("scopes_known", held.is_some());
    let unsettled = fill_unsettled(archive, failure, dossier);
    fill_revocations(archive, failure, &unsettled, dossier);
    let Some(held) = held else { return };
    cite_held(&held, dossier);
    let is_settled = |scope: &&String| !unsettled.contains(*scope);
    let all_settled = needed.iter().all(is_settled);
    let settled = needed.into_iter().filter(is_settled);
    let missing: BTreeSet<String> = settled.filter(|scope| !holds(&held.scopes, scope)).cloned().collect();
    if !dossier.named.is_empty() {
        let lacked = dossier.named.iter().any(|scope| !holds(&held.scopes, scope));
        dossier.features.flag("named_missing", lacked);
    }
    let f = &mut dossier.features;
    f.count("missing_count", missing.len());
    f.text("missing_scopes", Some(missing.iter().cloned().collect::<Vec<_>>().join(" ")));
    let known = f.is("need_known");
    f.flag("holds_needed", (known && all_settled).then_some(missing.is_empty()));
    let hold_scope = |scope: &String| {
        let mut words = scope.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
        let of_holds = ["hold", "holds", "legalhold", "legalholds", "lock", "objectlock", "deletionprotection"];
        words.any(|word| of_holds.contains(&word.as_str()) || word.ends_with("legalhold")) && !scope.ends_with(":view")
    };
    f.flag("hold_scope_held", held.scopes.iter().any(hold_scope));
    dossier.missing = missing;
}

fn cite_held(held: &Held<'_>, dossier: &mut Dossier) {
    dossier.cite("scopes", held.basis);
    dossier.cite("scopes", held.changes.iter().copied());
}

/// Whether a step that failed may need a scope.
fn may_need(archive: &Archive<'_, '_>, failure: &Failure, scope: &String) -> bool {
    failure.steps.iter().any(|step| {
        let need = archive.need(step);
        need.is_some_and(|n| n.needed.contains(scope))
            || (archive.authority.is_candidate(step, scope) && !need.is_some_and(|n| n.not_needed.contains(scope)))
    })
}

/// Scopes that the steps may need and that were given or taken so near to the first failing attempt that the clocks do not
/// tell whether the caller held them.
fn fill_unsettled(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) -> BTreeSet<String> {
    let (Some(principal), Some(first)) = (&failure.principal, Moment::first_failing(archive, failure)) else {
        return BTreeSet::new();
    };
    let history = archive.authority.history(principal);
    let slack = archive.clocks.widest();
    let start = history.changes.partition_point(|c| c.time < first.time.saturating_sub(slack));
    let near = history.changes[start..].iter().take_while(|c| c.time <= first.time.saturating_add(slack));
    let mut unsettled = BTreeSet::new();
    for change in near.filter(|change| first.order_of(archive, change).is_none()) {
        let permissions = &archive.authority.permissions_of(change).permissions;
        let needed = permissions.iter().filter(|s| may_need(archive, failure, s) || dossier.named.contains(*s));
        let before = unsettled.len();
        unsettled.extend(needed.cloned());
        if unsettled.len() > before {
            dossier.cite("unordered", [change.at]);
        }
    }
    dossier.features.flag("scopes_unordered", !unsettled.is_empty());
    unsettled
}

/// Scopes that the steps may need, taken from the caller before it failed and not given back.
fn fill_revocations(archive: &Archive<'_, '_>, failure: &Failure, unsettled: &BTreeSet<String>, dossier: &mut Dossier) {
    let Some(principal) = &failure.principal else { return };
    let mut taken = archive.authority.taken(principal, failure.first_failed_at);
    taken.retain(|scope| may_need(archive, failure, scope) || dossier.named.contains(scope));
    taken.retain(|scope| !unsettled.contains(scope));
    let concerns = |c: &Change| archive.authority.permissions_of(c).permissions.iter().any(|p| taken.contains(p));
    let history = archive.authority.history(principal);
    let before = history
        .changes
        .iter()
        .filter(|_| !taken.is_empty())
        .filter(|c| c.kind == ChangeKind::Revoke && Some(c.time) <= failure.first_failed_at && concerns(c));
    let records: Vec<_> = before.map(|c| c.at).take(MAX_HELD).collect();
    dossier.features.flag("revoked_before", !taken.is_empty());
    dossier.features.text("revoked", Some(taken.iter().cloned().collect::<Vec<_>>().join(" ")));
    dossier.cite("revocations", records);
    dossier.revoked = taken;
}

/// Who called AWS: whom the refused call names, else the trail's principal where AWS knows such a name.
#[must_use]
pub fn aws_caller(failure: &Failure, dossier: &Dossier) -> Option<String> {
    let own = failure.principal.clone().filter(|p| is_aws_name(p));
    dossier.features.str("aws_caller").map(str::to_owned).or(own)
}

/// The keys and secrets that the records of a failure say its calls were made with.
pub fn credentials<'a>(archive: &'a Archive<'_, '_>, failure: &'a Failure) -> impl Iterator<Item = &'a str> {
    failure.attempts.iter().filter_map(|row| archive.table.text(Text::Credential, *row))
}

/// An ARN, an AWS service, or the number of an account.
#[must_use]
pub fn is_aws_name(name: &str) -> bool {
    name.starts_with("arn:") || name.ends_with(".amazonaws.com") || policy::is_account(name)
}

fn fill_bucket_policy(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    if !dossier.features.is("storage_refused") {
        return;
    }
    let refused = refused_at(archive, failure);
    let in_force = |bucket: &str| moments::in_force(archive, DocumentKind::BucketPolicy, &[bucket], refused);
    let Some(in_force) = failure.bucket.as_deref().and_then(in_force) else { return };
    let document = in_force.document();
    let answer = moments::replay(in_force, |document| replay_bucket(archive, failure, dossier, document));
    let Some(replay) = answer else { return cannot_tell(dossier, in_force) };
    let f = &mut dossier.features;
    f.text("policy_decision", Some(replay.decision.name()));
    f.text("policy_gap", replay.gap.map(policy::Gap::name));
    f.text("policy_detail", Some(replay.detail));
    f.text("policy_origin", Some(if document.time.is_some() { "logged change" } else { "snapshot" }));
    dossier.cite("policy", [document.at]);
}

/// Whether a step of the trail hands the recording to storage, or looks at it there.
#[must_use]
pub fn hands_over(step: &str) -> bool {
    matches!(step, "export" | "upload" | "verify")
}

/// When storage refused: the first refusal at a storing step.
#[must_use]
pub fn refused_at<'a>(archive: &'a Archive<'_, '_>, failure: &Failure) -> Option<Moment<'a>> {
    let rows = failure.failing.iter().zip(&failure.steps);
    let stored = rows.filter(|(_, step)| hands_over(step)).filter_map(|(row, _)| Moment::of(archive, *row));
    stored.min_by_key(|moment| moment.time).or_else(|| Moment::first_failing(archive, failure))
}

/// The clocks do not tell which policy was in force.
fn cannot_tell(dossier: &mut Dossier, in_force: InForce<'_>) {
    dossier.features.flag("policy_unordered", true);
    dossier.cite("unordered", in_force.records());
}

/// A call that a policy refused.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    pub principal: Option<String>,
    pub action: String,
    pub resource: Option<String>,
    pub tenant: Option<&'a str>,
    pub external_id: Option<&'a str>,
    context: Option<BTreeMap<String, String>>,
}

impl Refused<'_> {
    /// The same as a request that policies are replayed against.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request {
            principal: self.principal.as_deref(),
            action: &self.action,
            resource: self.resource.as_deref(),
            tenant: self.tenant,
            external_id: self.external_id,
            context: self.context.clone(),
        }
    }
}

/// Replays a bucket policy against the failure's refused call.
#[must_use]
pub fn replay_bucket(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier, document: &Document) -> Replay {
    policy::replay(&document.body, &refused_by_bucket(archive, failure, dossier).request())
}

/// The call of a failure that a bucket policy may have refused.
#[must_use]
pub fn refused_by_bucket<'a>(archive: &Archive<'_, '_>, failure: &'a Failure, dossier: &Dossier) -> Refused<'a> {
    let caller = aws_caller(failure, dossier);
    let action = dossier.features.str("refused_action").filter(|a| a.starts_with("s3:")).unwrap_or("s3:PutObject");
    let bucket = failure.bucket.as_deref().unwrap_or("");
    let resource = match &failure.object_key {
        Some(key) => Some(format!("arn:aws:s3:::{bucket}/{key}")),
        None if bucket_level(action) => Some(format!("arn:aws:s3:::{bucket}")),
        None => None,
    };
    Refused {
        principal: caller,
        action: action.to_owned(),
        resource,
        tenant: failure.tenant_id.as_deref(),
        external_id: None,
        context: context(archive, failure),
    }
}

/// Condition keys of the refused request, where a record of AWS shows them.
fn context(archive: &Archive<'_, '_>, failure: &Failure) -> Option<BTreeMap<String, String>> {
    let mut rows = failure.witnesses.iter().chain(&failure.failing);
    let shown = rows.find_map(|row| archive.table.text(Text::RequestContext, *row))?;
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (fold(key).as_str().to_owned(), value.to_owned()));
    Some(shown.split_whitespace().filter_map(pair).collect())
}

fn bucket_level(action: &str) -> bool {
    action.contains("Bucket") && !action.contains("Object")
}

fn fill_trust_policy(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    if !dossier.features.is("assume_role_refused") {
        return;
    }
    let Some((arn, row)) = refused_role(archive, failure) else { return };
    let name = arn.rsplit('/').next().unwrap_or(&arn);
    let refused = Moment::first_failing(archive, failure);
    let Some(in_force) = moments::in_force(archive, DocumentKind::TrustPolicy, &[&arn, name], refused) else { return };
    let document = in_force.document();
    let answer =
        moments::replay(in_force, |document| replay_trust(archive, failure, dossier, document, &(arn.clone(), row)));
    let Some(replay) = answer else { return cannot_tell(dossier, in_force) };
    let age = document.time.zip(failure.first_failed_at).map(|(made, at)| super::symptoms::seconds(at - made));
    dossier.features.number("role_created_before_seconds", age);
    dossier.features.text("trust_decision", Some(replay.decision.name()));
    dossier.features.text("trust_detail", Some(replay.detail));
    dossier.cite("trust", [document.at]);
}

/// Replays a role's trust policy against the refused call to assume it.
#[must_use]
pub fn replay_trust(
    archive: &Archive<'_, '_>,
    failure: &Failure,
    dossier: &Dossier,
    document: &Document,
    role: &(String, Row),
) -> Replay {
    policy::replay(&document.body, &refused_by_trust(archive, failure, dossier, role).request())
}

/// The call of a failure that a role's trust policy may have refused.
#[must_use]
pub fn refused_by_trust<'a>(
    archive: &'a Archive<'_, '_>,
    failure: &'a Failure,
    dossier: &Dossier,
    (arn, row): &(String, Row),
) -> Refused<'a> {
    Refused {
        principal: aws_caller(failure, dossier),
        action: "sts:AssumeRole".to_owned(),
        resource: Some(arn.clone()),
        tenant: failure.tenant_id.as_deref(),
        external_id: archive.table.text(Text::ExternalId, *row),
        context: None,
    }
}

/// The role that a failing record says could not be assumed.
#[must_use]
pub fn refused_role(archive: &Archive<'_, '_>, failure: &Failure) -> Option<(String, Row)> {
    let mut rows = failure.witnesses.iter().chain(&failure.failing);
    rows.find_map(|row| Some((archive.table.text(Text::RoleArn, *row)?.to_owned(), *row)))
}

/// The key that a failing record says could not be used.
#[must_use]
pub fn refused_key(archive: &Archive<'_, '_>, failure: &Failure) -> Option<String> {
    let rows = failure.witnesses.iter().chain(&failure.failing);
    rows.filter_map(|row| archive.table.text(Text::KeyArn, *row)).map(str::to_owned).next()
}

fn fill_key_policy(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    if !dossier.features.is("key_refused") {
        return;
    }
    let Some(key) = refused_key(archive, failure) else { return };
    let id = key.rsplit('/').next().unwrap_or(&key);
    let refused = Moment::first_failing(archive, failure);
    let Some(in_force) = moments::in_force(archive, DocumentKind::KeyPolicy, &[&key, id], refused) else { return };
    let document = in_force.document();
    let answer = moments::replay(in_force, |document| replay_key(failure, dossier, document, &key));
    let Some(replay) = answer else { return cannot_tell(dossier, in_force) };
    dossier.features.text("key_decision", Some(replay.decision.name()));
    dossier.features.text("key_detail", Some(replay.detail));
    dossier.cite("key", [document.at]);
}

/// Replays a key's policy against the refused call.
#[must_use]
pub fn replay_key(failure: &Failure, dossier: &Dossier, document: &Document, key: &str) -> Replay {
    policy::replay(&document.body, &refused_by_key(failure, dossier, key).request())
}

/// The call of a failure that a key's policy may have refused.
#[must_use]
pub fn refused_by_key<'a>(failure: &'a Failure, dossier: &Dossier, key: &str) -> Refused<'a> {
    let action = dossier.features.str("refused_action").filter(|a| a.starts_with("kms:"));
    Refused {
        principal: aws_caller(failure, dossier),
        action: action.unwrap_or("kms:GenerateDataKey").to_owned(),
        resource: Some(key.to_owned()),
        tenant: failure.tenant_id.as_deref(),
        external_id: None,
        context: None,
    }
}

/// Whether a policy that answers so may have refused.
#[must_use]
pub fn refuses(decision: Decision) -> bool {
    matches!(decision, Decision::ExplicitDeny | Decision::ImplicitDeny)
}
