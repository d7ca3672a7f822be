//! Markdown for tickets: a summary, then a section per failure.

use std::fmt::Write as _;
use std::io::Write;

use super::table::{coverage, describe, symptoms};
use super::terminal::{Look, name};
use super::{Analysis, EvidenceReport, FailureReport};
use crate::classify::{Cause, Class};
use crate::error::{Error, Result};

/// Records shown per finding; the others are in the machine-readable formats.
const SHOWN_RECORDS: usize = 3;

/// Writes the analysis as Markdown (`CommonMark`, with the tables of GitHub's). Whatever evidence may have written stands in
/// code spans, in which no renderer finds markup, HTML, links or mentions.
///
/// # Errors
/// The reports cannot be read again, or the output not written.
pub fn write_markdown(analysis: &Analysis, out: &mut dyn Write) -> Result<()> {
    let mut put = |text: &str| out.write_all(text.as_bytes()).map_err(|e| Error::Output(e.to_string()));
    put(&head(analysis))?;
    for (n, failure) in (1..).zip(&analysis.failures) {
        put(&section(n, &failure?))?;
    }
    put(&foot(analysis))
}

fn head(analysis: &Analysis) -> String {
    let s = &analysis.summary;
    let mut page = "# Why exports failed\n\n".to_owned();
    let _ = if s.failures == 0 {
        writeln!(page, "Nothing failed: {} attempts of {} jobs, none of them refused or timed out.", s.attempts, s.jobs)
    } else {
        writeln!(page, "**{} failed exports** ({} recovered later) among {} jobs.", s.failures, s.recovered, s.jobs)
    };
    if let (Some(first), Some(last)) = (&s.first_time, &s.last_time) {
        let _ = writeln!(page, "The evidence reaches from {} to {}.", code(first), code(last));
    }
    if s.failures > 0 {
        page.push_str("\n| failures | class | meaning |\n|---:|---|---|\n");
        for class in Class::ALL {
            let count = s.by_class.get(class.name()).copied().unwrap_or(0);
            if count > 0 {
                let _ = writeln!(page, "| {count} | `{}` | {} |", class.name(), describe(class));
            }
        }
    }
    page.push_str("\n## What was read\n\n");
    for line in coverage(analysis, Look::PLAIN).lines() {
        let _ = writeln!(page, "- {}", prose(line.trim_start()));
    }
    page
}

fn section(n: usize, failure: &FailureReport) -> String {
    let mut page = format!("\n## {n}. `{}`", failure.class.name());
    if let Some(mechanism) = &failure.mechanism {
        let _ = write!(page, " / {}", code(mechanism));
    }
    if let Some(support) = failure.support {
        let _ = write!(page, " ({} support)", support.name().replace('_', " "));
    }
    page.push_str("\n\n");
    let ids = [
        ("failure", Some(&failure.failure_id)),
        ("job", failure.job_id.as_ref()),
        ("recording", failure.recording_id.as_ref()),
        ("object", failure.object_key.as_ref().filter(|_| failure.recording_id.is_none())),
        ("bucket", failure.bucket.as_ref()),
        ("principal", failure.principal.as_ref()),
    ];
    let ids = ids.into_iter().filter_map(|(what, id)| Some(format!("{what} {}", code(id?))));
    point(&mut page, "Export", &ids.collect::<Vec<_>>().join(", "));
    point(&mut page, "Failed", &course(failure));
    point(&mut page, "Why", &prose(&failure.why()));
    if !failure.missing_permissions.is_empty() {
        let missing: Vec<String> = failure.missing_permissions.iter().map(|permission| code(permission)).collect();
        point(&mut page, "Missing", &missing.join(", "));
    }
    list(&mut page, "Evidence", failure.evidence.iter().map(evidence));
    list(&mut page, "Remedy", failure.remedy.iter().map(|text| prose(text)));
    list(&mut page, "Next evidence", failure.next_evidence.iter().map(|text| prose(text)));
    page
}

fn course(failure: &FailureReport) -> String {
    let mut text =
        format!("at step {}, {} attempts ({})", code(&failure.step), failure.attempts, symptoms(failure).join(", "));
    if let Some(first) = &failure.first_failed_at {
        let _ = write!(text, ", first {}", code(first));
    }
    if let Some(last) = failure.last_failed_at.as_ref().filter(|last| failure.first_failed_at.as_ref() != Some(last)) {
        let _ = write!(text, ", last {}", code(last));
    }
    match &failure.recovered_at {
        Some(at) => drop(write!(text, ", recovered {}", code(at))),
        None => text.push_str(", not recovered"),
    }
    text
}

fn evidence(finding: &EvidenceReport) -> String {
    let class = finding.class.map(Cause::name);
    let side = match class {
        Some(class) if finding.weight < 0.0 => format!("against `{class}`"),
        Some(class) => format!("for `{class}`"),
        None => "caution".to_owned(),
    };
    let mut text = format!("{side}: {} ({}", prose(&finding.statement), code(&finding.rule));
    for record in finding.records.iter().take(SHOWN_RECORDS) {
        let _ = write!(text, ", {}", code(record));
    }
    if let more @ 1.. = finding.records.len().saturating_sub(SHOWN_RECORDS) {
        let _ = write!(text, ", and {more} more");
    }
    text.push(')');
    text
}

fn point(page: &mut String, what: &str, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(page, "- **{what}:** {text}");
    }
}

fn list(page: &mut String, what: &str, points: impl Iterator<Item = String>) {
    let mut points = points.peekable();
    if points.peek().is_some() {
        let _ = writeln!(page, "- **{what}:**");
        page.extend(points.map(|text| format!("  - {text}\n")));
    }
}

fn foot(analysis: &Analysis) -> String {
    let (tool, rules) = (&analysis.tool, &analysis.rules);
    format!(
        "\n---\n\n{} {}, rules {} {} (SHA-256 {}). Support is a degree of judgement by the rules, not a probability. A \
         record's bytes: `holdtrace show ev:... PATH...`\n",
        tool.name,
        tool.version,
        code(&rules.name),
        code(&rules.version),
        code(&rules.sha256)
    )
}

/// A text in which values from evidence may stand: words that are no plain words go into code spans.
fn prose(text: &str) -> String {
    let words: Vec<String> = name(text).split_whitespace().map(word).collect();
    words.join(" ")
}

/// A word; letters, or a number, with the marks of a sentence around it are left as they are. Anything else might be markup,
/// a link, a mention or a reference to some renderer.
fn word(word: &str) -> String {
    let rest = word.trim_start_matches(['(', '"']);
    let core = rest.trim_end_matches([',', '.', ';', ':', '?', '"', ')']);
    // What is closed in the word was opened in it.
    let core = if core.contains('(') { rest } else { core };
    let (before, after) = (&word[..word.len() - rest.len()], &rest[core.len()..]);
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let number = core.split('.').count() <= 2 && core.split('.').all(digits);
    if number || core.chars().all(|c| c.is_alphabetic() || c == '-' || c == '\'') {
        word.to_owned()
    } else {
        format!("{before}{}{after}", code(core))
    }
}

/// A code span: fenced by more backticks than the text holds in a row.
pub fn code(text: &str) -> String {
    let text = name(text);
    let most = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(most + 1);
    let pad = if text.is_empty() || most > 0 || text.starts_with(' ') || text.ends_with(' ') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::{code, prose};

    #[test]
    fn what_may_be_markup_stands_in_code_spans() {
        for (text, expected) in [
            ("The bucket policy (403), since 2026, is 1.5 times", "The bucket policy (403), since 2026, is 1.5 times"),
            ("see http://x.example, www.x.example.", "see `http://x.example`, `www.x.example`."),
            ("<script>alert(1)</script>", "`<script>alert(1)</script>`"),
            ("a | b [c](d) *e* #1 @me GH-12", "a `|` b `[c](d)` `*e*` `#1` `@me` `GH-12`"),
            ("`` ` ``", "``` `` ``` `` ` `` ``` `` ```"),
            ("one\ntwo \u{202e}", "`one\\ntwo` `\\u{202e}`"),
            ("... - well-known", "... - well-known"),
        ] {
            assert_eq!(prose(text), expected, "{text}");
        }
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(code(" "), "`   `");
    }
}
