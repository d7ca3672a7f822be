//! What the failing attempts themselves show: counts, refusals, errors.

use std::collections::BTreeSet;

use super::archive::Archive;
use super::dossier::Dossier;
use super::refusal::{self, Side};
use super::state;
use crate::correlate::{Failure, JOBS, Row, is_of_platform};
use crate::ingest::Text;

/// What one failing attempt is a symptom of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symptom {
    Timeout,
    Forbidden,
    Unauthorized,
    Conflict,
    Throttle,
    ServerError,
    Unspecified,
}

/// The symptom of a failing row.
#[must_use]
fn symptom(archive: &Archive<'_, '_>, row: Row) -> Symptom {
    let table = archive.table;
    if table.outcome(row) == "timeout" {
        return Symptom::Timeout;
    }
    let throttled = table.text(Text::ErrorCode, row).is_some_and(refusal::is_throttling);
    match table.status(row) {
        _ if throttled => Symptom::Throttle,
        // S3 answers an expired or unknown token with 400.
        Some(400 | 401) => Symptom::Unauthorized,
        Some(403) => Symptom::Forbidden,
        Some(409 | 412) => Symptom::Conflict,
        Some(429) => Symptom::Throttle,
        Some(500..) => Symptom::ServerError,
        _ => Symptom::Unspecified,
    }
}

/// Fills in the features of the failing attempts.
pub fn fill(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let symptoms: Vec<Symptom> = failure.failing.iter().map(|row| symptom(archive, *row)).collect();
    let count = |wanted: Symptom| symptoms.iter().filter(|s| **s == wanted).count();
    let named = [Symptom::Timeout, Symptom::Forbidden, Symptom::Conflict].map(count);
    let [timeouts, forbidden, conflicts] = named;
    dossier.symptoms = [timeouts, forbidden, conflicts, symptoms.len() - named.iter().sum::<usize>()];
    let f = &mut dossier.features;
    f.flag("has_job", failure.job_id.is_some());
    f.text("step", Some(&failure.step));
    f.text("last_step", Some(&failure.last_step));
    f.count("attempts", symptoms.len());
    f.count("timeouts", count(Symptom::Timeout));
    f.count("forbidden", count(Symptom::Forbidden));
    f.count("unauthorized", count(Symptom::Unauthorized));
    f.count("conflicts", count(Symptom::Conflict));
    f.count("throttles", count(Symptom::Throttle));
    f.count("server_errors", count(Symptom::ServerError));
    f.count("unspecified", count(Symptom::Unspecified));
    let span = failure.first_failed_at.zip(failure.last_failed_at).map(|(first, last)| seconds(last - first));
    f.number("span_seconds", span);
    f.flag("recovered", failure.recovery.is_some());
    let gap = failure.last_failed_at.zip(failure.recovered_at).map(|(last, at)| seconds(at - last));
    f.number("recovery_gap_seconds", gap);
    let whole = failure.first_failed_at.zip(failure.recovered_at).map(|(first, at)| seconds(at - first));
    f.number("recovery_span_seconds", whole);
    dossier.cite_rows(archive, "failing", &failure.failing);
    dossier.cite_rows(archive, "witnesses", &failure.witnesses);
    dossier.cite_rows(archive, "recovery", failure.recovery.as_slice());
    fill_disputes(archive, failure, dossier);
    let rows = failure.failing.iter().chain(&failure.witnesses).copied();
    let listed: Vec<Row> = rows.filter(|row| archive.table.source(*row) == JOBS).collect();
    dossier.features.flag("listed_failed", !listed.is_empty());
    dossier.cite_rows(archive, "listed", &listed);
    fill_errors(archive, failure, &symptoms, dossier);
    fill_refusals(archive, failure, dossier);
}

/// Sources that contradict each other about the same request.
fn fill_disputes(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let table = archive.table;
    dossier.features.count("disputed", failure.disputed.len());
    let detail = failure.disputed.first().map(|(refusal, success)| {
        let status = table.status(*refusal).map(|status| format!(" ({status})")).unwrap_or_default();
        let (refuses, succeeds) = (table.source(*refusal), table.source(*success));
        format!("{refuses} says that it failed{status}, {succeeds} that it succeeded")
    });
    dossier.features.text("disputed_detail", detail);
    let rows: Vec<Row> = failure.disputed.iter().flat_map(|(refusal, success)| [*refusal, *success]).collect();
    dossier.cite_rows(archive, "disputed", &rows);
}

fn fill_errors(archive: &Archive<'_, '_>, failure: &Failure, symptoms: &[Symptom], dossier: &mut Dossier) {
    let table = archive.table;
    let error = |row: Row| (table.text(Text::ErrorCode, row), table.text(Text::ErrorMessage, row));
    let rows = failure.failing.iter().copied().zip(symptoms);
    let of = |wanted: &dyn Fn(Symptom, Option<&str>, Option<&str>) -> bool| -> Vec<Row> {
        rows.clone().filter(|(row, s)| wanted(**s, error(*row).0, error(*row).1)).map(|(row, _)| row).collect()
    };
    let hold = of(&|s, code, message| s == Symptom::Conflict && refusal::is_hold_conflict(code, message));
    let mut conditional =
        of(&|s, code, message| s == Symptom::Conflict && refusal::is_conditional_conflict(code, message));
    // 412 is the answer to a condition of the request, whatever its text.
    conditional.extend(rows.clone().filter(|(row, _)| table.status(*row) == Some(412)).map(|(row, _)| row));
    conditional.sort_unstable();
    conditional.dedup();
    let credential = of(&|s, code, message| {
        matches!(s, Symptom::Unauthorized | Symptom::Forbidden) && refusal::is_credential_error(code, message)
    });
    for (name, rows) in
        [("hold_conflicts", &hold), ("conditional_conflicts", &conditional), ("credential_errors", &credential)]
    {
        dossier.features.count(name, rows.len());
        dossier.cite_rows(archive, name, rows);
    }
    for (name, wanted) in
        [("throttled", Symptom::Throttle), ("server_errors", Symptom::ServerError), ("timeouts", Symptom::Timeout)]
    {
        let rows = of(&|s, _, _| s == wanted);
        dossier.cite_rows(archive, name, &rows);
    }
}

fn fill_refusals(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let table = archive.table;
    let rows: Vec<Row> = failure.failing.iter().chain(&failure.witnesses).copied().collect();
    let mut sides: [Vec<Row>; 4] = Default::default();
    let (mut explicit, mut elsewhere) = (0, 0);
    let mut permissions = BTreeSet::new();
    let mut named = Vec::new();
    for row in &rows {
        let Some(message) = table.text(Text::ErrorMessage, *row) else { continue };
        if let Some(policy) = refusal::named_policy(message) {
            sides[policy.side as usize].push(*row);
            explicit += usize::from(policy.explicit && policy.side == Side::Resource);
            elsewhere += usize::from(!policy.of_bucket && policy.side == Side::Resource);
        }
        let listed = refusal::named_permissions(message);
        if !listed.is_empty() {
            named.push(*row);
            permissions.extend(listed);
        }
    }
    for (side, name) in [
        (Side::Identity, "named_identity"),
        (Side::Resource, "named_resource"),
        (Side::Trust, "named_trust"),
        (Side::Key, "named_key"),
    ] {
        dossier.features.count(name, sides[side as usize].len());
        dossier.cite_rows(archive, name, &sides[side as usize]);
    }
    dossier.features.count("named_resource_explicit", explicit);
    dossier.features.count("named_elsewhere", elsewhere);
    dossier.cite_rows(archive, "named_permissions", &named);
    dossier.features.text("named_permissions", Some(permissions.iter().cloned().collect::<Vec<_>>().join(" ")));
    dossier.named = permissions;
    fill_calls(archive, failure, &rows, dossier);
}

fn fill_calls(archive: &Archive<'_, '_>, failure: &Failure, rows: &[Row], dossier: &mut Dossier) {
    let table = archive.table;
    let refused: Vec<Row> = rows.iter().copied().filter(|row| table.status(*row) == Some(403)).collect();
    let call = |row: Row| table.text(Text::ErrorMessage, row).and_then(refusal::refused_call);
    let operation = |row: Row| table.text(Text::Operation, row).unwrap_or("");
    let known = |row: Row| archive.pack.operations.iter().find(|o| o.name == operation(row))?.action.clone();
    let action = refused.iter().find_map(|row| call(*row).map(|(action, _)| action).or_else(|| known(*row)));
    let trail = failure.failing.iter().zip(&failure.steps).filter(|(row, _)| table.is_of_trail(**row));
    let at_store = trail.filter(|(row, step)| state::hands_over(step) && refused.contains(row)).count() > 0;
    let by_aws = refused.iter().any(|row| !table.is_of_trail(*row) && !is_of_platform(table.source(*row)));
    let f = &mut dossier.features;
    let assumes = action.as_deref().is_some_and(|a| a.starts_with("sts:AssumeRole"));
    let key = action.as_deref().is_some_and(|a| a.starts_with("kms:"));
    f.flag("assume_role_refused", assumes);
    f.flag("key_refused", key);
    f.flag("storage_refused", (at_store || by_aws) && !assumes && !key);
    let change_log = if at_store || by_aws { "cloudtrail" } else { "genesys_audit" };
    f.flag("change_log_seen", archive.has_source(change_log));
    fill_gap(archive, failure, change_log, dossier);
    let f = &mut dossier.features;
    f.text("refused_action", action);
    let arn = |row: &Row| table.text(Text::Principal, *row).filter(|p| state::is_aws_name(p));
    f.text("aws_caller", refused.iter().find_map(arn));
}

/// Whether the log in which a change would stand lacks records of the time between failing and succeeding.
fn fill_gap(archive: &Archive<'_, '_>, failure: &Failure, change_log: &str, dossier: &mut Dossier) {
    let (Some(last), Some(recovered)) = (failure.last_failed_at, failure.recovered_at) else { return };
    let gap = archive.gaps.iter().find(|gap| gap.overlaps(change_log, last, recovered));
    dossier.features.flag("gap_overlaps", gap.is_some());
    dossier.features.text("gap_detail", gap.map(|gap| gap.detail.clone()));
    dossier.cite("gap", gap.into_iter().flat_map(|gap| gap.records.iter().copied()));
}

/// Microseconds as seconds.
#[must_use]
pub fn seconds(micros: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "spans of logs stay far below 2^53 microseconds")]
    let seconds = micros as f64 / 1e6;
    seconds
}
