//! Failures for terminals of usual width: each a block of lines, ids whole.

use std::fmt::Write as _;

use super::table::{item, minute, records, recovered, style, symptoms, why};
use super::terminal::{ID, Look, STRONG, lines, name};
use super::{FailureReport, Failures};
use crate::error::Result;

const INDENT: usize = 2;

/// Renders the failures one below the other.
///
/// # Errors
/// The reports cannot be read again.
pub fn render(failures: &Failures, look: Look) -> Result<String> {
    let rule = "\u{2500}".repeat(usize::from(look.width)) + "\n";
    let mut text = rule.clone();
    for failure in failures {
        card(&failure?, look, &mut text);
        text.push_str(&rule);
    }
    Ok(text)
}

fn card(failure: &FailureReport, look: Look, text: &mut String) {
    let width = usize::from(look.width);
    let mechanism = failure.mechanism.as_deref().map(name).unwrap_or_default();
    let support = failure.support.map(|s| s.name().replace('_', " ")).unwrap_or_default();
    let class = failure.class.name();
    let gap = width.saturating_sub(class.len() + 2 + mechanism.len() + support.len());
    let painted = look.paint(style(failure.class), class);
    let head = format!("{painted}  {}{:gap$}{support}", look.paint(STRONG, &mechanism), "");
    text.push_str(head.trim_end());
    text.push('\n');
    let begun = failure.first_failed_at.as_deref().map_or_else(|| "(time unknown)".to_owned(), minute);
    let happened =
        format!("{begun}  {}: {}; {}", name(&failure.step), symptoms(failure).join(", "), recovered(failure));
    let mut put = |said: &str, style: Option<anstyle::Style>| {
        for line in lines(said, width - INDENT) {
            let line = style.map_or_else(|| line.clone(), |style| look.paint(style, &line));
            let _ = writeln!(text, "{:INDENT$}{}", "", line.trim_end());
        }
    };
    put(&happened, None);
    if let Some(job) = &failure.job_id {
        put(&format!("job {}", name(job)), None);
    }
    if let Some(item) = item(failure) {
        put(&name(&item), None);
    }
    for said in why(failure) {
        put(&name(&said), None);
    }
    let records = records(failure);
    if !records.is_empty() {
        put(&records.join(" "), Some(ID));
    }
}
