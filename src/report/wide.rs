//! Failures for wide terminals: a row each, with whole ids, what speaks for the next best cause, and what to do.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::table::{item, minute, records, recovered, symptoms, why};
use super::terminal::{Look, lines, name, of_class};
use super::{FailureReport, Failures};
use crate::classify::Class;
use crate::error::Result;

/// Columns with the space on both sides of their text. Wide enough for `job` and a UUID, the longest step, the longest
/// mechanism, a record id: none of them is broken.
const EXPORT: u16 = 42;
const STEP: u16 = 22;
const VERDICT: u16 = 30;
const RECORDS: u16 = 21;
const PADDING: u16 = 2;
/// Columns between the five.
const BETWEEN: u16 = 4;

/// Renders the failures as a table.
///
/// # Errors
/// The reports cannot be read again.
pub fn render(failures: &Failures, look: Look) -> Result<String> {
    let rest = look.width.saturating_sub(EXPORT + STEP + VERDICT + RECORDS + BETWEEN);
    let widths = [EXPORT, STEP, VERDICT, rest, RECORDS];
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(look.width)
        .set_header(["Failed export", "Step, symptoms", "Verdict, support", "Why, and what to do", "Records"])
        .set_constraints(widths.map(|width| ColumnConstraint::Absolute(Width::Fixed(width))));
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for failure in failures {
        let failure = failure?;
        let texts = [export(&failure), step(&failure), verdict(&failure), reasons(&failure), records(&failure)];
        let [export, step, verdict, why, records] = std::array::from_fn(|n| Cell::new(wrapped(&texts[n], widths[n])));
        let verdict = verdict.fg(colour(failure.class)).add_attribute(Attribute::Bold);
        table.add_row([export, step, verdict, why, records]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    Ok(lines.join("\n") + "\n")
}

fn wrapped(said: &[String], width: u16) -> String {
    let all = said.iter().flat_map(|text| lines(&name(text), usize::from(width.saturating_sub(PADDING))));
    all.collect::<Vec<_>>().join("\n")
}

fn export(failure: &FailureReport) -> Vec<String> {
    let mut said: Vec<String> = failure.first_failed_at.as_deref().map(minute).into_iter().collect();
    said.extend(failure.job_id.as_ref().map(|job| format!("job {job}")));
    said.extend(item(failure));
    said.extend(failure.principal.as_ref().map(|caller| format!("by {caller}")));
    let place = [failure.bucket.as_deref(), failure.region.as_deref(), failure.media_type.as_deref()];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    said.extend((!place.is_empty()).then(|| place.join(", ")));
    said
}

fn step(failure: &FailureReport) -> Vec<String> {
    let mut said = vec![failure.step.clone()];
    said.extend(symptoms(failure));
    said.push(recovered(failure));
    said
}

fn verdict(failure: &FailureReport) -> Vec<String> {
    let mut said = vec![failure.class.name().to_owned()];
    said.extend(failure.mechanism.clone());
    said.extend(failure.support.map(|s| s.name().replace('_', " ")));
    let others = failure.hypotheses.iter().filter(|h| Class::from(h.class) != failure.class);
    let best = others.reduce(|a, b| if b.weight > a.weight { b } else { a });
    said.extend(best.filter(|h| h.weight > 0.0).map(|h| format!("before {}", Class::from(h.class).name())));
    said
}

fn reasons(failure: &FailureReport) -> Vec<String> {
    let mut said = why(failure);
    said.extend(failure.remedy.first().map(|remedy| format!("Do: {remedy}")));
    said
}

fn colour(class: Class) -> Color {
    match of_class(class) {
        anstyle::AnsiColor::Magenta => Color::DarkMagenta,
        anstyle::AnsiColor::Yellow => Color::DarkYellow,
        anstyle::AnsiColor::Red => Color::DarkRed,
        anstyle::AnsiColor::Blue => Color::DarkBlue,
        _ => Color::DarkCyan,
    }
}
