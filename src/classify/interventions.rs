//! What changed between the last failing attempt and the one that succeeded: the strongest evidence there is.

use std::collections::BTreeSet;

use super::archive::Archive;
use super::dossier::Dossier;
use super::policy::{self, Decision};
use super::state;
use crate::correlate::Failure;
use crate::ingest::{Change, ChangeKind, DocumentKind};

/// Changes to other things that are named in the report; more are only counted.
const MAX_SET_ASIDE: usize = 5;

/// Fills in the features of interventions. Without a recovery there is no "between".
pub fn fill(archive: &Archive<'_>, failure: &Failure, dossier: &mut Dossier) {
    let (Some(last), Some(recovered)) = (failure.last_failed_at, failure.recovered_at) else { return };
    let own = Own::of(archive, failure);
    let mut found = Found::default();
    for change in archive.between(last, recovered) {
        let relevant = match change.kind {
            ChangeKind::Grant => own.is_caller(change) && grant_fits(archive, failure, dossier, change),
            ChangeKind::BucketPolicy => {
                failure.bucket.as_deref().is_some_and(|b| change.is_of(b)) && matters(archive, failure, dossier, change)
            }
            ChangeKind::TrustPolicy => own.roles.iter().any(|role| change.is_of(role)),
            ChangeKind::KeyPolicy => own.keys.iter().any(|key| change.is_of(key)),
            ChangeKind::Credential => own.is_caller(change),
            ChangeKind::HoldSynced | ChangeKind::HoldReleased => own.is_hold(change),
            ChangeKind::Revoke | ChangeKind::HoldPlaced => false,
        };
        if relevant {
            found.relevant.push(change);
        } else {
            found.aside.push(change);
        }
    }
    record(archive, failure, dossier, &found);
}

#[derive(Default)]
struct Found<'a> {
    relevant: Vec<&'a Change>,
    aside: Vec<&'a Change>,
}

/// The ids of what the failure is about.
struct Own<'a> {
    caller: BTreeSet<&'a str>,
    roles: Vec<String>,
    keys: Vec<String>,
    holds: BTreeSet<String>,
}

impl<'a> Own<'a> {
    fn of(archive: &'a Archive<'_>, failure: &'a Failure) -> Self {
        let caller = failure.principal.as_deref().map(|p| archive.authority.names_of(p)).unwrap_or_default();
        let with_name = |arn: String| {
            let name = arn.rsplit('/').next().unwrap_or(&arn).to_owned();
            [arn, name]
        };
        let rows = failure.attempts.iter();
        let holds = rows.filter_map(|row| archive.table.text(crate::ingest::Text::HoldId, *row)).map(str::to_owned);
        let ids = failure.conversation_id.iter().chain(&failure.recording_id).cloned();
        Self {
            caller,
            roles: state::refused_role(archive, failure).map(|(arn, _)| with_name(arn)).into_iter().flatten().collect(),
            keys: state::refused_key(archive, failure).map(with_name).into_iter().flatten().collect(),
            holds: holds.chain(ids).collect(),
        }
    }

    fn is_caller(&self, change: &Change) -> bool {
        self.caller.iter().any(|name| change.is_of(name))
    }

    fn is_hold(&self, change: &Change) -> bool {
        self.holds.contains(&change.subject)
            || change.hold.as_ref().is_some_and(|hold| self.holds.contains(hold))
            || change.also.iter().any(|id| self.holds.contains(id))
    }
}

/// Whether a grant can have helped: it gives something that was missing, that the refusal named, or that the pack names
/// for the step; a grant whose contents are not logged may.
fn grant_fits(archive: &Archive<'_>, failure: &Failure, dossier: &Dossier, grant: &Change) -> bool {
    if grant.permissions.is_empty() {
        return true;
    }
    let steps = || failure.steps.iter();
    let fits = |scope: &String| {
        let needed = steps().any(|s| archive.need(s).is_some_and(|n| n.needed.contains(scope)));
        let idle = steps().all(|s| archive.need(s).is_some_and(|n| n.not_needed.contains_key(scope)));
        let candidate = steps().any(|s| archive.authority.is_candidate(s, scope));
        let action = dossier.features.str("refused_action").is_some_and(|a| policy::wildcard(scope, a));
        dossier.missing.contains(scope) || needed || action || (!idle && (candidate || dossier.named.contains(scope)))
    };
    grant.permissions.iter().any(fits)
}

/// Whether a policy change matters to the refused request: the replay answers differently afterwards, or cannot tell.
fn matters(archive: &Archive<'_>, failure: &Failure, dossier: &Dossier, change: &Change) -> bool {
    let Some(bucket) = failure.bucket.as_deref() else { return false };
    let at = |time| {
        let document = archive.in_force(DocumentKind::BucketPolicy, &[bucket], time)?;
        Some(state::replay_bucket(archive, failure, dossier, document).decision)
    };
    let refused = dossier.features.is("storage_refused");
    match (at(Some(change.time - 1)), at(Some(change.time))) {
        (before, Some(Decision::Allow)) => before != Some(Decision::Allow) && refused,
        (_, Some(after)) => !state::refuses(after) && refused,
        (_, None) => refused,
    }
}

fn record(archive: &Archive<'_>, failure: &Failure, dossier: &mut Dossier, found: &Found<'_>) {
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
    f.flag("policy_changed_between", !policies.is_empty());
    f.flag("trust_changed_between", !trusts.is_empty());
    f.flag("key_changed_between", !keys.is_empty());
    f.flag("credential_between", !credentials.is_empty());
    f.flag("hold_synced_between", !synced.is_empty());
    f.flag("hold_released_between", !released.is_empty());
    f.flag("ack_between", acknowledged);
    f.flag("nothing_changed", found.relevant.is_empty() && !acknowledged);
    f.count("set_aside", found.aside.len());
    let aside = found.aside.iter().take(MAX_SET_ASIDE).map(|c| format!("{} of {}", c.kind.name(), c.subject));
    f.text("set_aside_detail", Some(aside.collect::<Vec<_>>().join(", ")));
    dossier.granted = grants.iter().flat_map(|c| c.permissions.iter().cloned()).collect();
    let granted = dossier.granted.iter().cloned().collect::<Vec<_>>().join(" ");
    dossier.features.text("granted", Some(granted));
    let records = |changes: &[&Change]| changes.iter().map(|c| c.at).collect::<Vec<_>>();
    dossier.cite("grants", records(&grants));
    dossier.cite("policy_changes", records(&[policies, trusts, keys].concat()));
    dossier.cite("credentials", records(&credentials));
    dossier.cite("holds", records(&[synced, released].concat()));
    dossier.cite("set_aside", found.aside.iter().take(MAX_SET_ASIDE).map(|c| c.at));
}

/// The last failing attempt that says so did not acknowledge the hold, and the one that succeeded does.
fn acknowledged_between(archive: &Archive<'_>, failure: &Failure) -> bool {
    let before = failure.failing.iter().rev().find_map(|row| archive.table.acknowledged(*row));
    let after = failure.recovery.and_then(|row| archive.table.acknowledged(row));
    before == Some(false) && after == Some(true)
}
