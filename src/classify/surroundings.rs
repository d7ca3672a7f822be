//! What was going on around a failure: holds, acknowledgements, probes, rotations, and how others fared.

use std::cmp::Ordering;

use super::archive::Archive;
use super::chronicle::Span;
use super::dossier::Dossier;
use super::holds::Hold;
use super::moments::Moment;
use super::state;
use super::symptoms::seconds;
use crate::correlate::{Count, Failure, Row};
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, Text};

/// Fills in the features of the surroundings.
pub fn fill(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    fill_holds(archive, failure, dossier);
    fill_acknowledgement(archive, failure, dossier);
    fill_probe(archive, failure, dossier);
    fill_rotation(archive, failure, dossier);
    fill_contrast(archive, failure, dossier);
}

fn fill_holds(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let holds = archive.holds_of(failure);
    // What a hold delays is writing the metadata and handing over the item; storage knows nothing of it.
    let delayed = |step: &str| matches!(step, "metadata_injection" | "hold_sync" | "export");
    let attempts = failure.failing.iter().zip(&failure.steps).filter(|(_, step)| delayed(step));
    let moments: Vec<Moment<'_>> = attempts.filter_map(|(row, _)| Moment::of(archive, *row)).collect();
    let lag = archive.all_holds.longest_lag().map_or(archive.pack.assumed_sync_lag_seconds, seconds);
    let soon = |moment: &&Moment<'_>| {
        let open = holds.iter().filter(|h| h.ended.is_none() && after_placing(archive, moment, h) == Some(true));
        open.into_iter().any(|h| seconds(moment.time - h.placed.time) <= lag)
    };
    let answers: Vec<Option<bool>> = moments.iter().map(|moment| inside_any(archive, moment, &holds)).collect();
    let count = |wanted: Option<bool>| answers.iter().filter(|answer| **answer == wanted).count();
    dossier.features.flag("hold_known", !holds.is_empty());
    dossier.features.count("in_hold_window", count(Some(true)));
    dossier.features.count("hold_unordered", count(None));
    dossier.features.count("after_open_hold", moments.iter().filter(soon).count());
    if count(None) > 0 {
        dossier.cite("unordered", holds.iter().flat_map(Hold::records));
    }
    dossier.cite("holds", holds.iter().flat_map(Hold::records));
    dossier.features.number("sync_lag_seconds", Some(lag));
    let span = failure.first_failed_at.zip(failure.last_failed_at).map(|(first, last)| seconds(last - first));
    dossier.features.number("span_over_lag", span.map(|span| span / lag.max(1.0)));
}

/// Whether a moment lies after the placing of a hold; `None` where the clocks do not tell.
fn after_placing(archive: &Archive<'_, '_>, moment: &Moment<'_>, hold: &Hold<'_>) -> Option<bool> {
    moment.order(archive, hold.placed.source, hold.placed.time).map(Ordering::is_le)
}

/// Whether a moment lies between the placing of a hold and the end of its synchronising; `None` where the clocks do not
/// tell.
fn inside(archive: &Archive<'_, '_>, moment: &Moment<'_>, hold: &Hold<'_>) -> Option<bool> {
    let Some(end) = hold.ended else { return Some(false) };
    let before_end = moment.order(archive, end.source, end.time).map(Ordering::is_ge);
    match (after_placing(archive, moment, hold), before_end) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn inside_any(archive: &Archive<'_, '_>, moment: &Moment<'_>, holds: &[Hold<'_>]) -> Option<bool> {
    let answers: Vec<Option<bool>> = holds.iter().map(|hold| inside(archive, moment, hold)).collect();
    if answers.contains(&Some(true)) { Some(true) } else { (!answers.contains(&None)).then_some(false) }
}

fn fill_acknowledgement(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let missing: Vec<Row> =
        failure.failing.iter().copied().filter(|row| archive.table.acknowledged(*row) == Some(false)).collect();
    let demands = |row: &&Row| {
        let message = archive.table.text(Text::ErrorMessage, **row).unwrap_or("").to_ascii_lowercase();
        message.contains("acknowledg")
    };
    let demanding: Vec<Row> = failure.failing.iter().filter(demands).copied().collect();
    dossier.features.count("ack_demanded", demanding.len());
    dossier.cite_rows(archive, "ack_demanded", &demanding);
    dossier.features.count("ack_missing", missing.len());
    dossier.features.int("ack_not_needed", archive.passed_unacknowledged(&failure.step));
    dossier.cite_rows(archive, "unacknowledged", &missing);
}

fn fill_probe(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let own = archive.probes_of(failure);
    let (last, feature) = match own.last() {
        Some(last) => (Some(*last), "probe_ok"),
        None => (archive.probe_elsewhere(failure), "probe_elsewhere_ok"),
    };
    let Some(last) = last else { return };
    let table = archive.probe_table;
    let refused = table.status(last) == Some(403);
    if feature == "probe_ok" {
        dossier.features.int("probe_status", table.status(last).map(i64::from));
    }
    let outcome = match table.outcome(last) {
        "success" => Some(true),
        "failure" if refused => Some(false),
        _ => None,
    };
    dossier.features.flag(feature, outcome);
    dossier.cite("probes", [table.locator(last)]);
}

/// A rotation of this caller's credential between the start of its job and the last failing attempt.
fn fill_rotation(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let Some(last) = failure.last_failed_at else { return };
    let mut names = failure.principal.as_deref().map(|p| archive.authority.names_of(p)).unwrap_or_default();
    names.extend(state::credentials(archive, failure));
    if names.is_empty() {
        return;
    }
    let job = failure.job_id.as_ref().map(|job| archive.outline.hash(job));
    let statements = |job| archive.found(archive.contrast.statements.look().of_job(job));
    let started = job.into_iter().flat_map(statements).filter_map(|said| said.time);
    let began = job.and_then(|job| archive.found(archive.outline.jobs.began(job)));
    let attempted = failure.attempts.iter().filter_map(|row| archive.table.time(*row));
    let Some(first) = started.chain(attempted).chain(began).min() else { return };
    let own = |c: &&Change| c.kind == ChangeKind::Credential && names.iter().any(|name| c.is_of(name));
    let rotations: Vec<&Change> = archive.others.of(&names, Span { first, last }).into_iter().filter(own).collect();
    dossier.features.flag("rotated_in_window", !rotations.is_empty());
    let Some(rotated) = rotations.first() else {
        dossier.features.int("errors_after_rotation", 0);
        return;
    };
    let after = failure.failing.iter().filter(|row| {
        let (code, message) =
            (archive.table.text(Text::ErrorCode, **row), archive.table.text(Text::ErrorMessage, **row));
        let later = Moment::of(archive, **row).and_then(|moment| moment.order_of(archive, rotated));
        later.is_some_and(Ordering::is_le) && super::refusal::is_credential_error(code, message)
    });
    dossier.features.count("errors_after_rotation", after.count());
    dossier.cite("credentials", rotations.iter().map(|c| c.at));
}

fn fill_contrast(archive: &Archive<'_, '_>, failure: &Failure, dossier: &mut Dossier) {
    let own_failed = u64::from(failure.job_id.is_some());
    let own_ok = u64::from(failure.recovery.is_some() && failure.job_id.is_some());
    if let Some(principal) = &failure.principal {
        let count = archive.contrast.caller(archive.outline, &failure.last_step, principal);
        let own = |at: &Locator| failure.attempts.iter().any(|row| archive.table.locator(*row) == *at);
        dossier.cite("caller_successes", count.example.filter(|at| !own(at)));
        dossier.features.int("caller_ok_jobs", whole(count.ok_jobs.saturating_sub(own_ok)));
        dossier.features.int("caller_failed_jobs", whole(count.failed_jobs.saturating_sub(own_failed)));
    }
    if let Some(bucket) = &failure.bucket {
        let Count { ok, failed_jobs, .. } = archive.contrast.bucket(archive.outline, bucket);
        let own_writes = failure.attempts.iter().filter(|row| archive.table.outcome(**row) == "success");
        let stored = own_writes.filter(|row| matches!(step_of(archive, **row), "export" | "upload")).count() as u64;
        let stored_failing = failure.steps.iter().any(|s| matches!(s.as_str(), "export" | "upload"));
        dossier.features.int("bucket_ok", whole(ok.saturating_sub(stored)));
        let own = u64::from(stored_failing && failure.job_id.is_some());
        dossier.features.int("bucket_failed_jobs", whole(failed_jobs.saturating_sub(own)));
    }
    if let (Some(region), Some(time)) = (&failure.region, failure.first_failed_at) {
        dossier
            .features
            .int("region_hour_failed", whole(archive.contrast.failed_in_hour(archive.outline, region, time)));
    }
}

fn step_of<'a>(archive: &'a Archive<'_, '_>, row: Row) -> &'a str {
    let operation = archive.table.text(Text::Operation, row).unwrap_or("");
    let by_pack = || archive.pack.operations.iter().find(|o| o.name == operation).map(|o| o.step.as_str());
    archive.table.text(Text::Step, row).or_else(by_pack).unwrap_or("")
}

fn whole(count: u64) -> Option<i64> {
    i64::try_from(count).ok()
}
