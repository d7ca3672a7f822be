//! Results for people: what changed in a case, and what differs from it.

use std::fmt::Write as _;

use super::changes::{Changes, Flip, Verdict};
use super::verify::Verification;
use crate::report::{Summary, name};

/// Differences that are listed; more are counted.
const SHOWN: usize = 100;
/// Files and findings that are named each.
const NAMED: usize = 5;

/// What a run did to a case: figures, then what changed since the report before.
#[must_use]
pub fn render_changes(changes: &Changes, summary: &Summary) -> String {
    let mut text = String::new();
    let Summary { failures, recovered, jobs, records, rejected, files, .. } = summary;
    let _ = writeln!(text, "{failures} failed exports ({recovered} recovered later) among {jobs} jobs:");
    for (class, count) in summary.by_class.iter().filter(|(_, count)| **count > 0) {
        let _ = writeln!(text, "  {count:>6}  {class}");
    }
    let _ = writeln!(text, "Read: {records} records in {files} files ({rejected} records rejected)");
    let Some(since) = &changes.since else { return text };
    let _ = writeln!(text, "\nSince act {}:", since.act);
    let evidence = &changes.evidence;
    for (what, paths) in [("added", &evidence.added), ("changed", &evidence.changed), ("gone", &evidence.gone)] {
        let _ = writeln!(text, "  evidence {what:<8} {:>6}{}", paths.len(), named(paths));
    }
    if let Some(reason) = &since.not_compared {
        let _ = writeln!(text, "  the report before was not compared with: {}", name(reason));
        return text;
    }
    let counts = &changes.counts;
    let of_failures = [
        ("new", counts.added),
        ("gone", counts.gone),
        ("flipped", counts.flipped),
        ("otherwise changed", counts.reweighed),
    ];
    for (what, count) in of_failures {
        let _ = writeln!(text, "  failures {what:<18} {count:>6}");
    }
    for flip in &changes.flipped {
        let _ = writeln!(text, "\n{}", flipped(flip));
    }
    let more = counts.flipped - changes.flipped.len();
    if more > 0 {
        let _ = writeln!(text, "\nand {more} more flipped; reports/changes.json lists them all");
    }
    text
}

fn named(paths: &[String]) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = paths.iter().take(NAMED).map(|path| name(path)).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("  {}{more}", shown.join(", "))
}

fn flipped(flip: &Flip) -> String {
    let ids = [("job", &flip.job_id), ("rec", &flip.recording_id), ("conv", &flip.conversation_id)];
    let ids = ids.iter().filter_map(|(what, id)| Some(format!("{what} {}", name(id.as_ref()?))));
    let ids: Vec<String> = ids.take(2).collect();
    let mut text =
        format!("{} {}: {} -> {}", flip.failure_id, ids.join(", "), verdict(&flip.before), verdict(&flip.now));
    for score in &flip.hypotheses {
        let _ = write!(text, "\n  {}: {} -> {}", score.class.name(), score.before, score.now);
    }
    for (what, evidence) in [("+", &flip.evidence_added), ("-", &flip.evidence_gone)] {
        for one in evidence.iter().take(NAMED) {
            let records = one.records.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
            let _ = write!(text, "\n  {what} {} ({}): {} {records}", one.rule, one.weight, name(&one.statement));
        }
    }
    text
}

fn verdict(verdict: &Verdict) -> String {
    let mechanism = verdict.mechanism.as_ref().map_or_else(String::new, |mechanism| format!("/{mechanism}"));
    format!("{}{mechanism}", verdict.class.name())
}

/// What `verify` found.
#[must_use]
pub fn render_verification(found: &Verification) -> String {
    let mut text = String::new();
    let checked = &found.checked;
    let case = found.name.as_ref().map_or_else(String::new, |case| format!(" ({})", name(case)));
    let _ = writeln!(text, "Case: {}{case}", name(&found.case));
    let ledger = &found.ledger;
    let head = ledger.head.as_deref().unwrap_or("none");
    let _ = writeln!(text, "Ledger: {} entries, head {head}", ledger.entries);
    let hashed = |hashed: usize| if hashed == 0 { "sizes only".to_owned() } else { format!("{hashed} hashed") };
    let _ = writeln!(text, "Files of the case: {} ({})", checked.files, hashed(checked.files_hashed));
    let _ = writeln!(text, "Evidence: {} files ({})", checked.inputs, hashed(checked.inputs_hashed));
    if checked.reproduced {
        text.push_str("Analysis: made again from the evidence and compared\n");
    }
    for note in &found.notes {
        let _ = writeln!(text, "Note: {}", name(note));
    }
    if found.differences.is_empty() {
        text.push_str("Nothing differs.\n");
        return text;
    }
    let _ = writeln!(text, "\nDifferences: {}", found.differences.len());
    for one in found.differences.iter().take(SHOWN) {
        let line = one.line.map_or_else(String::new, |line| format!(", line {line}"));
        let (area, path, kind) = (one.area.name(), name(&one.path), one.kind);
        let _ = writeln!(text, "  {kind}: {path}{line} ({area})\n    {}", name(&one.detail));
    }
    if found.differences.len() > SHOWN {
        let more = found.differences.len() - SHOWN;
        let _ = writeln!(text, "  and {more} more; --format json lists them all");
    }
    text
}
