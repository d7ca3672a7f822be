//! The table for people: a summary, then a row per failure.

use std::fmt::Write as _;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::redact::is_pseudonym;
use super::terminal::plain;
use super::{Analysis, FailureReport};
use crate::classify::Class;
use crate::correlate::GapKind;
use crate::error::Result;

/// Records shown per failure; the others are in the machine-readable formats.
const SHOWN_RECORDS: usize = 3;
/// Files with rejected records that are listed; more are counted.
const SHOWN_FILES: usize = 10;

/// Wide enough for the longest step and the longest mechanism: neither they nor record ids are broken.
const EXPORT_WIDTH: u16 = 20;
const VERDICT_WIDTH: u16 = 30;
const FOOTER: &str = "
Support is a degree of judgement by the rules, not a probability.
  a record:    holdtrace show ev:... PATH...
  one job:     holdtrace timeline --job ID PATH...
  everything:  holdtrace analyze --format json PATH...
";

/// Renders the analysis for a terminal `width` columns wide.
///
/// # Errors
/// The reports cannot be read again.
pub fn render(analysis: &Analysis, width: u16) -> Result<String> {
    let mut text = headline(analysis);
    text.push_str(&coverage(analysis));
    if let Some(redaction) = &analysis.redaction {
        let _ = writeln!(text, "Redacted; of the unredacted report (--format json) the SHA-256 is");
        let _ = writeln!(text, "  {}", redaction.unredacted_sha256);
    }
    if analysis.failures.is_empty() {
        return Ok(text);
    }
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["Failed export", "Verdict, support", "Why, and by which records"]);
    let why_width = width.saturating_sub(EXPORT_WIDTH + VERDICT_WIDTH + 2);
    table
        .set_constraints([EXPORT_WIDTH, VERDICT_WIDTH, why_width].map(|w| ColumnConstraint::Absolute(Width::Fixed(w))));
    for failure in &analysis.failures {
        let failure = failure?;
        let cells = [export(&failure), verdict(&failure), why(&failure, usize::from(why_width.saturating_sub(2)))];
        table.add_row(cells.map(|text| Cell::new(plain(&text))));
    }
    let _ = writeln!(text, "\n{table}");
    text.push_str(FOOTER);
    Ok(text)
}

fn headline(analysis: &Analysis) -> String {
    let s = &analysis.summary;
    let mut text = String::new();
    let span = match (&s.first_time, &s.last_time) {
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    let _ = writeln!(text, "{} records of {} files{span}", s.records, s.files);
    if s.failures == 0 {
        let _ = writeln!(
            text,
            "Nothing failed: {} attempts of {} jobs, none of them refused or timed out.",
            s.attempts, s.jobs
        );
        return text;
    }
    let _ = writeln!(text, "{} failed exports ({} recovered later) among {} jobs:", s.failures, s.recovered, s.jobs);
    for class in Class::ALL {
        let count = s.by_class.get(class.name()).copied().unwrap_or(0);
        if count > 0 {
            let _ = writeln!(text, "  {count:>6}  {}", describe(class));
        }
    }
    text
}

pub(super) fn describe(class: Class) -> &'static str {
    match class {
        Class::ScopeCollision => "scope_collision: the caller's own authority",
        Class::SyncRace => "sync_race: time; it had not settled yet",
        Class::PolicyMismatch => "policy_mismatch: the destination's or the role's policy",
        Class::OtherCause => "other_cause: credentials, throttling, service faults",
        Class::Inconclusive => "inconclusive: the evidence does not decide",
    }
}

/// What could not be read comes first, before any verdict.
pub(super) fn coverage(analysis: &Analysis) -> String {
    let s = &analysis.summary;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Read: {} of {} records ({} rejected, {} duplicates counted once)",
        s.parsed, s.records, s.rejected, s.duplicates
    );
    let mut listed = 0;
    for file in analysis.coverage.files.iter().filter(|f| f.is_partial()) {
        listed += 1;
        if listed > SHOWN_FILES {
            continue;
        }
        let path = plain(&file.path);
        match file.foremost() {
            Some(r) => {
                let more = if file.rejected > 1 { format!(" (and {} more)", file.rejected - 1) } else { String::new() };
                let _ = writeln!(
                    text,
                    "  NOT READ {path}, record {} at offset {}: {}{more}",
                    r.record,
                    r.offset,
                    plain(&r.reason)
                );
            }
            None => {
                let _ = writeln!(text, "  EMPTY    {path}: no records in it");
            }
        }
    }
    if listed > SHOWN_FILES {
        let _ = writeln!(text, "  and {} more files; --format json lists them all", listed - SHOWN_FILES);
    }
    for note in analysis.coverage.unreadable.iter().take(SHOWN_FILES) {
        let _ = writeln!(text, "  NOT READ {}", plain(note));
    }
    let skipped = &analysis.coverage.skipped;
    for note in skipped.iter().take(SHOWN_FILES) {
        let _ = writeln!(text, "  SKIPPED  {}", plain(note));
    }
    if skipped.len() > SHOWN_FILES {
        let _ = writeln!(text, "  and {} more; --format json lists them all", skipped.len() - SHOWN_FILES);
    }
    if s.zoneless_times > 0 {
        let _ = writeln!(text, "  {} times carry no zone and were read with --assume-tz", s.zoneless_times);
    }
    if s.implausible_times > 0 {
        let _ = writeln!(text, "  {} times lie before 2000 or after 2099 and were not used", s.implausible_times);
    }
    if s.redacted > 0 {
        let _ = writeln!(text, "  {} values looked like secrets and were blanked", s.redacted);
    }
    let (known, unknown): (Vec<_>, Vec<_>) = analysis.coverage.clocks.iter().partition(|c| c.offset_seconds.is_some());
    for clock in known {
        let _ = writeln!(text, "  {}", capital(&clock.sentence()));
    }
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(|clock| clock.source.as_str()).collect();
        let _ = writeln!(text, "  Clock offset unknown: {}", names.join(", "));
    }
    let (open, others): (Vec<_>, Vec<_>) =
        analysis.coverage.gaps.iter().partition(|gap| gap.kind == GapKind::JobWithoutEnd.name());
    if !open.is_empty() {
        let _ = writeln!(text, "  {} jobs start and never end in this evidence", open.len());
    }
    for gap in others.iter().take(SHOWN_FILES) {
        let word = if gap.possible { "PERHAPS MISSING" } else { "MISSING" };
        let _ = writeln!(text, "  {word} {}", plain(&gap.detail));
    }
    if others.len() > SHOWN_FILES {
        let _ = writeln!(text, "  and {} more gaps; --format json lists them all", others.len() - SHOWN_FILES);
    }
    text
}

fn export(failure: &FailureReport) -> String {
    let mut lines = Vec::new();
    if let Some(time) = &failure.first_failed_at {
        lines.push(time.chars().take(16).collect::<String>().replace('T', " "));
    }
    if let Some(job) = &failure.job_id {
        lines.push(format!("job {}", short(job)));
    }
    match (&failure.recording_id, &failure.object_key, &failure.bucket) {
        (Some(recording), ..) => lines.push(format!("rec {}", short(recording))),
        (None, Some(key), _) => lines.push(format!("key {}", tail(key))),
        (None, None, Some(bucket)) => lines.push(bucket.clone()),
        _ => {}
    }
    lines.push(failure.step.clone());
    lines.push(symptoms(failure));
    lines.push(if failure.recovered_at.is_some() { "recovered" } else { "not recovered" }.to_owned());
    lines.join("\n")
}

fn short(id: &str) -> String {
    if is_pseudonym(id) {
        return id.split('-').next_back().unwrap_or(id).to_owned();
    }
    if id.len() > 12 && id.contains('-') { id.split('-').next().unwrap_or(id).to_owned() } else { id.to_owned() }
}

fn tail(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.chars().take(16).collect()
}

pub(super) fn symptoms(failure: &FailureReport) -> String {
    let s = &failure.symptoms;
    let counts = [(s.timeouts, "timeout"), (s.forbidden, "403"), (s.conflicts, "409"), (s.other, "other")];
    let shown = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} x {name}"));
    shown.collect::<Vec<_>>().join("\n")
}

fn verdict(failure: &FailureReport) -> String {
    let mut lines = vec![failure.class.name().to_owned()];
    lines.extend(failure.mechanism.clone());
    lines.extend(failure.support.map(|s| s.name().replace('_', " ")));
    lines.join("\n")
}

/// The strongest finding for the verdict; where there is none, the reason and what to collect.
fn why(failure: &FailureReport, width: usize) -> String {
    if failure.class == Class::Inconclusive {
        let mut lines = vec![capitalised(failure.reason.as_deref().unwrap_or(""))];
        lines.extend(failure.next_evidence.first().map(|next| format!("Collect: {next}")));
        return lines.join("\n");
    }
    let Some(best) = failure.decisive() else { return String::new() };
    let mut lines = vec![best.statement.clone()];
    lines.extend(failure.evidence.iter().filter(|e| e.class.is_none()).map(|e| format!("But: {}", e.statement)));
    if !failure.missing_permissions.is_empty() {
        lines.push(format!("Missing: {}", failure.missing_permissions.join(", ")));
    }
    let more = best.records.len().saturating_sub(SHOWN_RECORDS);
    let mut shown: Vec<String> = best.records.iter().take(SHOWN_RECORDS).cloned().collect();
    shown.extend((more > 0).then(|| format!("and {more} more")));
    lines.extend(in_lines(&shown, width));
    lines.join("\n")
}

/// Joins words into lines of at most `width`, breaking between words only.
fn in_lines(words: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

fn capitalised(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{}.", capital(text)) }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}
