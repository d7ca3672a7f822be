//! The output of `analyze` for people: a summary, then each failure, as wide as the terminal allows.

use std::fmt::Write as _;

use anstyle::Style;

use super::terminal::{BAD, CHANGED, Look, STRONG, hanging, lines, of_class, plain, word};
use super::{Analysis, FailureReport, cards, wide};
use crate::classify::Class;
use crate::correlate::GapKind;
use crate::error::Result;

/// Records shown per failure; the others are in the machine-readable formats.
const SHOWN_RECORDS: usize = 3;
/// Files with rejected records that are listed; more are counted.
const SHOWN_FILES: usize = 10;
/// From this width on failures are rows of a table, below it each is a block of lines.
const WIDE: u16 = 160;

/// What the commands to run next are made of.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// The paths that were analysed.
    pub paths: &'a [String],
}

/// Renders the analysis.
///
/// # Errors
/// The reports cannot be read again.
pub fn render(analysis: &Analysis, look: Look, hints: Hints<'_>) -> Result<String> {
    let (mut text, width) = (String::new(), usize::from(look.width));
    for line in [headline(analysis, look), coverage(analysis, look)].iter().flat_map(|part| part.lines()) {
        let _ = writeln!(text, "{}", hanging(line, width, "    ").join("\n"));
    }
    if let Some(redaction) = &analysis.redaction {
        let _ = writeln!(text, "Redacted; of the unredacted report (--format json) the SHA-256 is");
        let _ = writeln!(text, "  {}", redaction.unredacted_sha256);
    }
    if analysis.failures.is_empty() {
        return Ok(text);
    }
    text.push('\n');
    let body = if look.width >= WIDE {
        wide::render(&analysis.failures, look)
    } else {
        cards::render(&analysis.failures, look)
    };
    text.push_str(&body?);
    let support = "Support is a degree of judgement by the rules, not a probability.";
    let _ = writeln!(text, "\n{}", lines(support, width).join("\n"));
    // Paths are not for those who may not see names, and no command takes what stands for an id.
    if analysis.redaction.is_none() {
        text.push_str(&next(analysis, look, hints)?);
    }
    Ok(text)
}

/// What to run next, ready to copy: about the first failure, on the same paths.
fn next(analysis: &Analysis, look: Look, hints: Hints<'_>) -> Result<String> {
    let Some(first) = analysis.failures.iter().next().transpose()? else { return Ok(String::new()) };
    let paths: Vec<&str> = hints.paths.iter().map(|path| word(path, "PATH")).collect();
    // Many paths would hide the command.
    let paths = if paths.len() > 3 { "PATH...".to_owned() } else { paths.join(" ") };
    let record = first.decisive().and_then(|e| e.records.first()).map_or("ev:...", String::as_str);
    let job = first.job_id.as_deref().map_or("ID", |job| word(job, "ID"));
    let commands = [
        ("the first failure, cross-examined on a page", format!("holdtrace explain --job {job} {paths}")),
        ("the same, record by record", format!("holdtrace timeline --job {job} {paths}")),
        ("the bytes of a record it rests on", format!("holdtrace show {record} {paths}")),
        ("everything, with every rule that applied", format!("holdtrace analyze --format json {paths}")),
    ];
    let mut text = format!("{}\n", look.paint(STRONG, "Next:"));
    for (what, command) in commands {
        let _ = writeln!(text, "  {what}:\n    {}", look.paint(STRONG, &command));
    }
    Ok(text)
}

fn headline(analysis: &Analysis, look: Look) -> String {
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
            let name = look.paint(style(class), class.name());
            let _ = writeln!(text, "  {count:>6}  {name}: {}", describe(class));
        }
    }
    text
}

pub(super) const fn describe(class: Class) -> &'static str {
    match class {
        Class::ScopeCollision => "the caller's own authority",
        Class::SyncRace => "time; it had not settled yet",
        Class::PolicyMismatch => "the destination's or the role's policy",
        Class::OtherCause => "credentials, throttling, service faults",
        Class::Inconclusive => "the evidence does not decide",
    }
}

/// What could not be read comes first, before any verdict.
pub(super) fn coverage(analysis: &Analysis, look: Look) -> String {
    let s = &analysis.summary;
    let (mut text, bad) = (String::new(), look.paint(BAD, "NOT READ"));
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
                    "  {bad} {path}, record {} at offset {}: {}{more}",
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
        let _ = writeln!(text, "  {bad} {}", plain(note));
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
        let _ = writeln!(text, "  {} {}", look.paint(CHANGED, word), plain(&gap.detail));
    }
    if others.len() > SHOWN_FILES {
        let _ = writeln!(text, "  and {} more gaps; --format json lists them all", others.len() - SHOWN_FILES);
    }
    text
}

/// The strongest finding for the verdict, and what speaks against relying on it; where there is none, the reason and what to
/// collect. A sentence each.
pub fn why(failure: &FailureReport) -> Vec<String> {
    if failure.class == Class::Inconclusive {
        let mut said = vec![capitalised(failure.reason.as_deref().unwrap_or(""))];
        said.extend(failure.next_evidence.first().map(|next| format!("Collect: {next}")));
        return said;
    }
    let Some(best) = failure.decisive() else { return Vec::new() };
    let mut said = vec![best.statement.clone()];
    said.extend(failure.evidence.iter().filter(|e| e.class.is_none()).map(|e| format!("But: {}", e.statement)));
    if !failure.missing_permissions.is_empty() {
        said.push(format!("Missing: {}", failure.missing_permissions.join(", ")));
    }
    said
}

/// The ids of the records that the strongest finding rests on, and how many more there are.
pub fn records(failure: &FailureReport) -> Vec<String> {
    let Some(best) = failure.decisive().filter(|_| failure.class != Class::Inconclusive) else { return Vec::new() };
    let more = best.records.len().saturating_sub(SHOWN_RECORDS);
    let mut shown: Vec<String> = best.records.iter().take(SHOWN_RECORDS).cloned().collect();
    shown.extend((more > 0).then(|| format!("and {more} more")));
    shown
}

/// The counts of symptoms.
pub fn symptoms(failure: &FailureReport) -> Vec<String> {
    let s = &failure.symptoms;
    let counts = [(s.timeouts, "timeout"), (s.forbidden, "403"), (s.conflicts, "409"), (s.other, "other")];
    let shown = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} x {name}"));
    shown.collect()
}

/// Which item failed, in the words of the columns: recording, else object, else bucket.
pub fn item(failure: &FailureReport) -> Option<String> {
    match (&failure.recording_id, &failure.object_key, &failure.bucket) {
        (Some(recording), ..) => Some(format!("rec {recording}")),
        (None, Some(key), _) => Some(format!("key {key}")),
        (None, None, Some(bucket)) => Some(format!("bucket {bucket}")),
        _ => None,
    }
}

/// A time to the minute.
pub fn minute(time: &str) -> String {
    time.chars().take(16).collect::<String>().replace('T', " ")
}

/// When it got through.
pub fn recovered(failure: &FailureReport) -> String {
    let Some(time) = &failure.recovered_at else { return "not recovered".to_owned() };
    let same_day = failure.first_failed_at.as_ref().is_some_and(|first| first.get(..10) == time.get(..10));
    let time = minute(time);
    format!("recovered {}", if same_day { time.get(11..).unwrap_or(&time) } else { &time })
}

/// The style of a verdict.
pub fn style(class: Class) -> Style {
    Style::new().fg_color(Some(of_class(class).into())).bold()
}

fn capitalised(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{}.", capital(text)) }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}
