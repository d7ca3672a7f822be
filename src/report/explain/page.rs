//! The page: plain English, each sentence with its records beside it.

use std::fmt::Write as _;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{Alternative, Argument, Change, Effect, Explanation, Explanations, Sentence, words};
use crate::classify::{Expected, Question};
use crate::report::plain;

/// Records shown beside a sentence; `--format json` has all.
const SHOWN: usize = 6;
/// Pieces of further evidence that are shown.
const QUESTIONS: usize = 5;
/// `ev:` and 16 digits, and a space.
const RECORD_WIDTH: u16 = 20;
const MARK_WIDTH: u16 = 2;

/// Renders explanations for a terminal `width` columns wide.
#[must_use]
pub fn render(explanations: &Explanations, width: u16) -> String {
    let mut text = String::new();
    if let (true, Some(job)) = (explanations.explanations.is_empty(), &explanations.job_id) {
        let _ = writeln!(text, "Nothing of job {} failed.", plain(job));
    }
    for explanation in &explanations.explanations {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        page(&mut text, explanation, width);
    }
    if explanations.left_out > 0 {
        let (left_out, shown) = (explanations.left_out, explanations.explanations.len());
        let _ = writeln!(
            text,
            "\nThese are the first {shown}; {left_out} more failed. Name one with --recording or --failure."
        );
    }
    let rules = &explanations.rules;
    let _ = writeln!(
        text,
        "\nRules: {} {}, sha256 {}. A record: holdtrace show ev:... PATH...",
        plain(&rules.name),
        plain(&rules.version),
        &rules.sha256[..16]
    );
    text
}

fn page(text: &mut String, explanation: &Explanation, width: u16) {
    let failure = &explanation.failure;
    let named = |name: &str, id: &Option<String>| id.as_ref().map(|id| format!("{name} {}", plain(id)));
    let item = named("recording", &failure.recording_id).or_else(|| named("object", &failure.object_key));
    let title: Vec<String> = named("job", &failure.job_id).into_iter().chain(item).collect();
    let title = if title.is_empty() { failure.failure_id.clone() } else { title.join("\n") };
    let mechanism = failure.mechanism.as_ref().map(|name| format!(" / {name}")).unwrap_or_default();
    let support = failure.support.map(|s| format!(", support {}", s.name().replace('_', " "))).unwrap_or_default();
    let class = failure.class;
    let _ = writeln!(text, "{title}\n{}{mechanism}{support}", class.name().to_uppercase());
    let _ = writeln!(text, "{}", words::meaning(class));

    section(text, "WHAT IS ON RECORD", width, &rows(&explanation.facts));
    section(text, "HOW IT IS READ", width, &rows(&explanation.interpretation));
    section(text, "WHAT IS UNCERTAIN", width, &rows(&explanation.uncertainty));
    let alternatives: Vec<Row> = explanation.alternatives.iter().flat_map(alternative).collect();
    section(text, "WHAT ELSE IT COULD BE", width, &alternatives);
    let pivotal = &explanation.pivotal;
    let records: &[String] = if pivotal.effect == Effect::Stands { &[] } else { &pivotal.records };
    section(text, "WHAT THE VERDICT HANGS ON", width, &[Row::new("-", &pivotal.text, records)]);
    // The change is shown below, with its lines.
    let change = explanation.smallest_change.as_ref().filter(|change| change.added.is_some());
    let is_change = |text: &&String| change.is_some_and(|change| text.starts_with(&change.text));
    let remedy: Vec<Row> =
        failure.remedy.iter().filter(|text| !is_change(text)).map(|text| Row::new("-", text, &[])).collect();
    section(text, "WHAT TO DO", width, &remedy);
    if let Some(change) = &explanation.smallest_change {
        smallest_change(text, change, width);
    }
    next(text, &explanation.next_evidence, width);
}

/// One line of a section: a mark, a sentence, and its records.
struct Row {
    mark: &'static str,
    text: String,
    records: String,
}

impl Row {
    fn new(mark: &'static str, text: &str, records: &[String]) -> Self {
        let mut shown: Vec<String> = records.iter().take(SHOWN).cloned().collect();
        let more = records.len().saturating_sub(SHOWN);
        shown.extend((more > 0).then(|| format!("and {more} more")));
        Self { mark, text: text.to_owned(), records: shown.join("\n") }
    }
}

fn rows(sentences: &[Sentence]) -> Vec<Row> {
    sentences.iter().map(|sentence| Row::new("-", &sentence.text, &sentence.records)).collect()
}

/// A cause, and below it what speaks for and against; what speaks for the verdict has been said before.
fn alternative(alternative: &Alternative<Vec<String>>) -> Vec<Row> {
    let argument = |lead: &str, argument: &Argument<Vec<String>>| {
        let standing = words::standing(argument.standing);
        let text = format!("{lead}{} [{}, {:+}, {standing}]", argument.text, argument.rule, argument.weight);
        Row::new("", &text, &argument.records)
    };
    let supports = alternative.supports.iter().filter(|_| !alternative.taken).map(|a| argument("For: ", a));
    let against = alternative.against.iter().map(|a| argument("Against: ", a));
    std::iter::once(Row::new("-", &alternative.text, &[])).chain(supports).chain(against).collect()
}

fn section(text: &mut String, title: &str, width: u16, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    block(text, rows, width);
}

/// The rows in three columns, the last of which is left out where no row has records.
fn block(text: &mut String, rows: &[Row], width: u16) {
    let records_width = if rows.iter().all(|row| row.records.is_empty()) { 0 } else { RECORD_WIDTH };
    let text_width = width.saturating_sub(MARK_WIDTH + records_width);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    for row in rows {
        let cells = [row.mark, &row.text, &row.records].map(|cell| Cell::new(plain(cell)));
        table.add_row(cells.into_iter().take(if records_width == 0 { 2 } else { 3 }));
    }
    let widths = [MARK_WIDTH, text_width, records_width];
    for (column, width) in table.column_iter_mut().zip(widths) {
        column.set_padding((0, 1)).set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// What would have to be added, and nothing more. Lines of it are not broken.
fn smallest_change(text: &mut String, change: &Change, width: u16) {
    section(text, "THE SMALLEST CHANGE", width, &[Row::new("-", &change.text, &change.records)]);
    let added = || change.added.as_ref().and_then(|added| serde_json::to_string_pretty(added).ok());
    for line in change.diff.clone().or_else(added).iter().flat_map(|lines| lines.lines()) {
        let _ = writeln!(text, "  {}", plain(line));
    }
}

/// What to collect. Lines for a shell are not broken.
fn next(text: &mut String, questions: &[Question], width: u16) {
    if !questions.is_empty() {
        let _ = writeln!(text, "\nWHAT TO COLLECT NEXT, the most telling first");
    }
    for question in questions.iter().take(QUESTIONS) {
        let answer = |answer: &Expected| {
            let would = if answer.changes_verdict { "become" } else { "stay" };
            let verdict = format!("the verdict would {would} {}", answer.class.name());
            let text = format!("If the answer is \u{201c}{}\u{201d}: {} Then {verdict}.", answer.answer, answer.means);
            Row::new("", &text, &[])
        };
        let head = Row::new("-", &question.text, &[]);
        let rows: Vec<Row> = std::iter::once(head).chain(question.outcomes.iter().map(answer)).collect();
        block(text, &rows, width);
        if let Some(command) = &question.command {
            let _ = writeln!(text, "  $ {}", plain(command));
        }
    }
    let more = questions.len().saturating_sub(QUESTIONS);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more in --format json");
    }
}
