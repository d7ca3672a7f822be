//! What changed between the last failing attempt and the one that succeeded: the strongest evidence there is.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::archive::Archive;
use super::chronicle::{Place, Span};
use super::dossier::Dossier;
use super::holds::agree;
use super::moments::Moment;
use super::pack::Cause;
use super::policy::{self, Decision};
use super::state;
use crate::correlate::Failure;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, Document, DocumentKind};

/// Changes to other things that are named in the report; more are only counted.
const MAX_SET_ASIDE: usize = 5;

/// How long a grant or a policy takes to reach every server at most, microseconds.
const SPREADING: i64 = 120_000_000;

/// Fills in the features of interventions. Without a recovery there is no "between".
pub fn fill(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    fill_unhelpful(archive, failure, dossier);
    let (Some(last), Some(recovered)) = (failure.last_failed_at, failure.recovered_at) else { return };
    let recovery = failure.recovery.and_then(|row| Moment::of(archive, row));
    let Some(ends) = Moment::last_failing(archive, failure).zip(recovery) else { return };
    let own = Own::of(archive, failure, dossier);
    let ids = own.ids(failure);
    let is_relevant = |change: &Change| is_relevant(archive, failure, dossier, change, &own);
    let span = Span { first: last, last: recovered };
    let slack = archive.clocks.widest();
    let (mut relevant, mut unordered) = (Vec::new(), Vec::new());
    let mut before: Option<(&Change, bool)> = None;
    for place in archive.chronicle.of(&ids, Span { first: last.saturating_sub(slack), last: recovered + slack }) {
        let change = archive.chronicle.at(place);
        let position = position(archive, change, ends, span);
        if position == Position::Outside {
            continue;
        }
        let known = before.filter(|(last, _)| change.is_like(last)).map(|(_, relevant)| relevant);
        let is_relevant = known.unwrap_or_else(|| is_relevant(change));
        before = Some((change, is_relevant));
        match (is_relevant, position) {
            (true, Position::Unknown) => unordered.push(place),
            (true, _) => relevant.push(place),
            (false, _) => {}
        }
    }
    let mut named = [&relevant[..], &unordered[..]].concat();
    named.sort_unstable();
    let within = named.iter().filter(|place| span.holds(archive.chronicle.at(**place))).count();
    let at = |places: Vec<Place>| places.into_iter().map(|place| archive.chronicle.at(place)).collect();
    let mut found = Found {
        set_aside: archive.found(archive.chronicle.count(span)).saturating_sub(within),
        aside: archive.found(archive.chronicle.others(span, &named, MAX_SET_ASIDE)),
        relevant: at(relevant),
        just_before: Vec::new(),
        unordered: at(unordered.clone()),
    };
    if let Some(first) = failure.first_failed_at.filter(|first| *first < last) {
        let spreads = |c: &&Change| matches!(c.kind, ChangeKind::Grant | ChangeKind::BucketPolicy);
        let before = archive.chronicle.of(&ids, Span { first: (last - SPREADING).max(first + 1), last });
        let ordered = before.into_iter().filter(|place| !unordered.contains(place));
        let before = ordered.map(|place| archive.chronicle.at(place)).filter(spreads);
        found.just_before = before.filter(|change| is_relevant(change)).collect();
    }
    record(archive, failure, dossier, &found, &own);
}

/// Changes that could have helped, and came so long before a further failing attempt that they had reached every server.
fn fill_unhelpful(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let (Some(first), Some(last)) = (failure.first_failed_at, failure.last_failed_at) else { return };
    let slack = SPREADING.saturating_add(archive.clocks.widest());
    let span = Span { first: first.saturating_add(archive.clocks.widest()), last: last.saturating_sub(slack) };
    if span.last <= span.first {
        return;
    }
    let own = Own::of(archive, failure, dossier);
    let of_own = archive.chronicle.of(&own.ids(failure), span).into_iter().map(|place| archive.chronicle.at(place));
    let changes: Vec<&Change> = of_own.filter(|c| is_relevant(archive, failure, dossier, c, &own)).collect();
    let kinds: BTreeSet<&str> = changes.iter().map(|change| helps_as(change.kind).1).collect();
    dossier.features.count("did_not_help", changes.len());
    dossier.features.text("did_not_help_detail", Some(kinds.into_iter().collect::<Vec<_>>().join(" and ")));
    dossier.cite("did_not_help", changes.iter().map(|change| change.at));
}

/// The cause that a change speaks for when success follows it, and what it is called.
const fn helps_as(kind: ChangeKind) -> (Cause, &'static str) {
    match kind {
        ChangeKind::Grant | ChangeKind::Revoke => (Cause::ScopeCollision, "a grant to the caller"),
        ChangeKind::BucketPolicy | ChangeKind::TrustPolicy | ChangeKind::KeyPolicy => {
            (Cause::PolicyMismatch, "a change of the policy")
        }
        ChangeKind::Credential => (Cause::OtherCause, "a new credential of the caller"),
        ChangeKind::HoldPlaced | ChangeKind::HoldSynced | ChangeKind::HoldReleased => {
            (Cause::SyncRace, "the end of the hold or of its synchronising")
        }
    }
}

/// Where a change lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Between the last failing attempt and the one that succeeded.
    Between,
    Outside,
    /// So near to one of them that the clocks do not tell.
    Unknown,
}

/// Where a change lies between the `ends`, which are those of `span`. Where nothing is known of the clocks, they are taken to
/// agree.
fn position(archive: &Archive<'_, '_>, change: &Change, ends: (Moment<'_>, Moment<'_>), span: Span) -> Position {
    let (last, recovered) = ends;
    let after = match last.bounds(archive, change.source) {
        Some(_) => last.order_of(archive, change).map(Ordering::is_gt),
        None => Some(span.is_after_start(change.time)),
    };
    let before = recovered.order_of(archive, change).map(Ordering::is_le);
    match (after, before) {
        (Some(false), _) | (_, Some(false)) => Position::Outside,
        (Some(true), Some(true)) => Position::Between,
        _ => Position::Unknown,
    }
}

/// Whether a change is of what the failure is about, and can have helped.
fn is_relevant(
    archive: &Archive<'_, '_>,
    failure: &Failure,
    dossier: &Dossier,
    change: &Change,
    own: &Own<'_>,
) -> bool {
    let counts = || matters(archive, failure, dossier, change, own);
    match change.kind {
        ChangeKind::Grant => own.is_caller(change) && grant_fits(archive, failure, dossier, change),
        ChangeKind::BucketPolicy => failure.bucket.as_deref().is_some_and(|b| change.is_of(b)) && counts(),
        ChangeKind::TrustPolicy => own.roles.iter().any(|role| change.is_of(role)) && counts(),
        ChangeKind::KeyPolicy => own.keys.iter().any(|key| change.is_of(key)) && own.is_grantee(change) && counts(),
        ChangeKind::Credential => own.is_caller(change),
        ChangeKind::HoldSynced | ChangeKind::HoldReleased => own.is_hold(change),
        ChangeKind::Revoke | ChangeKind::HoldPlaced => false,
    }
}

struct Found<'a> {
    relevant: Vec<&'a Change>,
    /// Grants and policy changes so shortly before the last failing attempt that they may not have reached every server.
    just_before: Vec<&'a Change>,
    /// Changes that may lie between the two or not.
    unordered: Vec<&'a Change>,
    /// The first of the changes to other things, and how many there are.
    aside: Vec<Change>,
    set_aside: usize,
}

/// The ids of what the failure is about.
struct Own<'a> {
    caller: BTreeSet<&'a str>,
    /// Names of the role or user that called AWS.
    aws_caller: BTreeSet<String>,
    conversation: Option<&'a String>,
    roles: Vec<String>,
    keys: Vec<String>,
    holds: BTreeSet<String>,
    /// What the documents already replayed answered: the same is in force before and after many changes.
    replayed: RefCell<BTreeMap<(ChangeKind, Locator), Decision>>,
}

impl<'a> Own<'a> {
    fn of(archive: &'a Archive<'_, '_>, failure: &'a Failure, dossier: &Dossier) -> Self {
        let mut caller = failure.principal.as_deref().map(|p| archive.authority.names_of(p)).unwrap_or_default();
        caller.extend(state::credentials(archive, failure));
        let with_name = |arn: String| {
            let name = arn.rsplit('/').next().unwrap_or(&arn).to_owned();
            [arn, name]
        };
        let rows = failure.attempts.iter();
        let holds = rows.filter_map(|row| archive.table.text(crate::ingest::Text::HoldId, *row)).map(str::to_owned);
        let ids = failure.conversation_id.iter().chain(&failure.recording_id).cloned();
        let aws = state::aws_caller(failure, dossier);
        let aws_names = aws.as_deref().map(|arn| archive.authority.names_of(arn)).unwrap_or_default();
        Self {
            caller,
            aws_caller: aws_names.into_iter().map(str::to_owned).collect(),
            conversation: failure.conversation_id.as_ref(),
            roles: state::refused_role(archive, failure).map(|(arn, _)| with_name(arn)).into_iter().flatten().collect(),
            keys: state::refused_key(archive, failure).map(with_name).into_iter().flatten().collect(),
            holds: holds.chain(ids).collect(),
            replayed: RefCell::default(),
        }
    }

    /// Every id by which a relevant change may name what it is of.
    fn ids(&self, failure: &'a Failure) -> BTreeSet<&str> {
        let named = self.aws_caller.iter().chain(&self.roles).chain(&self.keys).chain(&self.holds);
        named.chain(&failure.bucket).map(String::as_str).chain(self.caller.iter().copied()).collect()
    }

    fn is_caller(&self, change: &Change) -> bool {
        self.caller.iter().any(|name| change.is_of(name)) || self.is_aws_caller(change)
    }

    fn is_aws_caller(&self, change: &Change) -> bool {
        self.aws_caller.iter().any(|name| change.is_of(name))
    }

    /// A grant on a key is for somebody; a policy of it is for all.
    fn is_grantee(&self, change: &Change) -> bool {
        let names =
            |grantee: &String| self.aws_caller.iter().any(|n| grantee == n || grantee.ends_with(&format!("/{n}")));
        change.permissions.is_empty() || change.permissions.iter().any(names)
    }

    fn is_hold(&self, change: &Change) -> bool {
        if !agree(change.conversation.as_ref(), self.conversation) {
            return false;
        }
        self.holds.contains(&change.subject)
            || change.hold.as_ref().is_some_and(|hold| self.holds.contains(hold))
            || change.also.iter().any(|id| self.holds.contains(id))
    }
}

/// Whether a grant can have helped: it gives something that was missing, that the refusal named, or that the pack names
/// for the step; a grant whose contents are not logged may.
fn grant_fits(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier, grant: &Change) -> bool {
    let given = archive.authority.permissions_of(grant);
    if !given.whole {
        return true;
    }
    let steps = || failure.steps.iter();
    let fits = |scope: &String| {
        let needed = steps().any(|s| archive.need(s).is_some_and(|n| n.needed.contains(scope)));
        let idle = steps().all(|s| archive.need(s).is_some_and(|n| n.not_needed.contains(scope)));
        let candidate = steps().any(|s| archive.authority.is_candidate(s, scope));
        let action = dossier.features.str("refused_action").is_some_and(|a| policy::wildcard(scope, a));
        dossier.missing.contains(scope) || needed || action || (!idle && (candidate || dossier.named.contains(scope)))
    };
    given.permissions.iter().any(fits)
}

/// Whether a policy change matters to the refused request: replayed before and after it, the policy answers differently,
/// and afterwards no longer refuses. Where nothing shows what it was before, it may have mattered.
fn matters(archive: &Archive<'_, '_>, failure: &Failure, dossier: &Dossier, change: &Change, own: &Own<'_>) -> bool {
    let names: Vec<&str> = std::iter::once(&change.subject).chain(&change.also).map(String::as_str).collect();
    let (kind, role, key) = match change.kind {
        ChangeKind::BucketPolicy => (DocumentKind::BucketPolicy, None, None),
        ChangeKind::TrustPolicy => (DocumentKind::TrustPolicy, state::refused_role(archive, failure), None),
        _ => (DocumentKind::KeyPolicy, None, state::refused_key(archive, failure)),
    };
    let replay = |document: &Document| -> Option<Decision> {
        let replay = match kind {
            DocumentKind::BucketPolicy => state::replay_bucket(archive, failure, dossier, document),
            DocumentKind::TrustPolicy => state::replay_trust(archive, failure, dossier, document, role.as_ref()?),
            _ => state::replay_key(failure, dossier, document, key.as_ref()?),
        };
        Some(replay.decision)
    };
    let replayed = |time| -> Option<(Decision, &Value)> {
        let document = archive.in_force(kind, &names, time)?;
        let place = (change.kind, archive.first_with_body(document));
        let known = own.replayed.borrow().get(&place).copied();
        let decision = known.or_else(|| replay(document))?;
        own.replayed.borrow_mut().insert(place, decision);
        Some((decision, &document.body))
    };
    let grant_on_key = change.kind == ChangeKind::KeyPolicy && !change.permissions.is_empty();
    let f = &dossier.features;
    let refused = f.is("storage_refused") || f.is("assume_role_refused") || f.is("key_refused");
    refused
        && match (replayed(Some(change.time - 1)), replayed(Some(change.time))) {
            _ if grant_on_key => true,
            (Some((before, _)), Some((after, _))) if before == after => false,
            (Some((_, before)), Some((_, after))) if before == after => false,
            (Some((before, _)), Some((after, _))) => before != Decision::Allow && !state::refuses(after),
            (None, Some((after, _))) => !state::refuses(after),
            (_, None) => true,
        }
}

fn record(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier, found: &Found<'_>, own: &Own<'_>) {
    let of = |kinds: &[ChangeKind]| -> Vec<&Change> {
        found.relevant.iter().copied().filter(|c| kinds.contains(&c.kind)).collect()
    };
    let grants = of(&[ChangeKind::Grant]);
    let policies = of(&[ChangeKind::BucketPolicy]);
    let trusts = of(&[ChangeKind::TrustPolicy]);
    let keys = of(&[ChangeKind::KeyPolicy]);
    let credentials = of(&[ChangeKind::Credential]);
    let synced = of(&[ChangeKind::HoldSynced]);
    let released = of(&[ChangeKind::HoldReleased]);
    let acknowledged = acknowledged_between(archive, failure);
    let f = &mut dossier.features;
    f.flag("grant_between", !grants.is_empty());
    f.flag("grant_to_aws_caller", grants.iter().any(|c| own.is_aws_caller(c)));
    f.flag("policy_changed_between", !policies.is_empty());
    f.flag("trust_changed_between", !trusts.is_empty());
    f.flag("key_changed_between", !keys.is_empty());
    f.flag("credential_between", !credentials.is_empty());
    f.flag("hold_synced_between", !synced.is_empty());
    f.flag("hold_released_between", !released.is_empty());
    f.flag("ack_between", acknowledged);
    let before = |kind| found.just_before.iter().copied().filter(|c| c.kind == kind).collect::<Vec<&Change>>();
    let (grants_before, policies_before) = (before(ChangeKind::Grant), before(ChangeKind::BucketPolicy));
    f.flag("grant_just_before", !grants_before.is_empty());
    f.flag("policy_changed_just_before", !policies_before.is_empty());
    let none = found.relevant.is_empty() && found.just_before.is_empty() && found.unordered.is_empty();
    f.flag("nothing_changed", none && !acknowledged);
    let policies_of = [ChangeKind::BucketPolicy, ChangeKind::TrustPolicy, ChangeKind::KeyPolicy];
    f.count("changes_unordered", found.unordered.len());
    let together = found.relevant.iter().chain(&found.just_before).map(|change| helps_as(change.kind));
    let together: BTreeMap<Cause, &str> =
        together.chain(acknowledged.then_some((Cause::SyncRace, "the acknowledgement of the hold"))).collect();
    f.count("causes_changed", together.len());
    f.text("causes_changed_detail", Some(together.into_values().collect::<Vec<_>>().join(" and ")));
    f.flag("grant_unordered", found.unordered.iter().any(|c| c.kind == ChangeKind::Grant));
    if found.unordered.iter().any(|c| policies_of.contains(&c.kind)) {
        f.flag("policy_unordered", true);
    }
    f.count("set_aside", found.set_aside);
    let aside = found.aside.iter().map(|c| format!("{} of {}", c.kind.name(), c.subject));
    f.text("set_aside_detail", Some(aside.collect::<Vec<_>>().join(", ")));
    let grants = [grants, grants_before].concat();
    let policies = [policies, policies_before].concat();
    let given: BTreeSet<&String> =
        grants.iter().flat_map(|c| &archive.authority.permissions_of(c).permissions).collect();
    dossier.granted = given.into_iter().cloned().collect();
    let granted = dossier.granted.iter().cloned().collect::<Vec<_>>().join(" ");
    dossier.features.text("granted", Some(granted));
    let records = |changes: &[&Change]| changes.iter().map(|c| c.at).collect::<Vec<_>>();
    dossier.cite("grants", records(&grants));
    dossier.cite("policy_changes", records(&[policies, trusts, keys].concat()));
    dossier.cite("credentials", records(&credentials));
    dossier.cite("holds", records(&[synced, released].concat()));
    dossier.cite("unordered", records(&found.unordered));
    dossier.cite("set_aside", found.aside.iter().map(|c| c.at));
}

/// The last failing attempt that says so did not acknowledge the hold, and the one that succeeded does.
fn acknowledged_between(archive: &Archive<'_, '_>, failure: &Failure) -> bool {
    let before = failure.failing.iter().rev().find_map(|row| archive.table.acknowledged(*row));
    let after = failure.recovery.and_then(|row| archive.table.acknowledged(row));
    before == Some(false) && after == Some(true)
}
