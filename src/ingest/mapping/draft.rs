//! A first draft of a mapping, made from a file's own columns.

use std::fmt::Write as _;

use super::guess::{Guess, guess, step_for};
use super::survey::{Column, MOST_COLUMNS, Survey, survey};
use crate::error::{Error, Result};
use crate::evidence::{Input, is_hostile};
use crate::ingest::Options;
use crate::ingest::fold::fold;
use crate::ingest::status::outcome_of;
use crate::ingest::trail_fields::{STEPS, canonical_step};

/// Fields whose columns tell best which files a mapping is for.
const TELLING: [&str; 7] = ["time", "step", "operation", "outcome", "http_status", "job_id", "recording_id"];
/// Values of a column that are shown.
const SHOWN: usize = 4;

/// Drafts a mapping for a file. It can be loaded as it is; what it says is for a person to check.
///
/// # Errors
/// The file cannot be read, or holds no records.
pub fn draft(input: &Input, options: Options<'_>) -> Result<String> {
    let survey = survey(input, options).map_err(|reason| Error::Mapping { origin: input.label.to_string(), reason })?;
    let guesses = guess(&survey);
    let mut text = head(input, &survey, &guesses);
    fields(&survey, &guesses, &mut text);
    rest(&survey, &guesses, &mut text);
    Ok(text)
}

fn head(input: &Input, survey: &Survey, guesses: &[Guess]) -> String {
    let mut text = format!(
        "# A first draft, made from {} records of {}.\n# Check every line: names and values were only guessed at. \
         docs/mapping.md says what can be said here.\nname = {}\n\n[match]\n# A file is read by this mapping if it has all \
         of these.\n",
        survey.records,
        comment(&input.label),
        quoted(&name(&input.label))
    );
    let column = |guess: &Guess| &survey.columns[guess.column];
    let in_first = || guesses.iter().filter(|guess| column(guess).in_first);
    let mut telling: Vec<&Column> = in_first().filter(|guess| TELLING.contains(&guess.field)).map(column).collect();
    if telling.len() < 2 {
        telling = in_first().map(column).collect();
    }
    if telling.is_empty() {
        telling = survey.columns.iter().filter(|column| column.in_first).take(SHOWN).collect();
    }
    let names: Vec<String> = telling.iter().map(|column| quoted(&column.place.to_string())).collect();
    let _ = writeln!(text, "columns = [{}]", names.join(", "));
    if let Some(list) = &survey.list {
        let place = super::Place(list.clone());
        let pointer = if list.len() == 1 { format!("/{place}") } else { place.to_string() };
        let _ = writeln!(text, "\n[read]\n# Where the document holds its records.\nrecords = {}", quoted(&pointer));
    }
    text
}

fn fields(survey: &Survey, guesses: &[Guess], text: &mut String) {
    text.push_str("\n[fields]\n");
    if !guesses.iter().any(|guess| guess.field == "time") {
        text.push_str("# No column looks like a time: put the right one here, and its format.\n");
        let first = survey.columns.iter().find(|column| !column.nested_list).or(survey.columns.first());
        let place = first.map(|column| column.place.to_string()).unwrap_or_default();
        let _ = writeln!(text, "time = {}", quoted(&place));
    }
    for guess in guesses {
        let column = &survey.columns[guess.column];
        let _ = writeln!(text, "# {}", holds(column, survey.records));
        for other in &guess.others {
            let _ = writeln!(text, "# Also of the format {}: which is it?", quoted(other));
        }
        let from = quoted(&column.place.to_string());
        let values = translations(guess.field, column, text);
        match (&guess.format, values.is_empty()) {
            (Some(format), _) => {
                let _ = writeln!(text, "{} = {{ from = {from}, format = {} }}", guess.field, quoted(format));
            }
            (None, true) => {
                let _ = writeln!(text, "{} = {from}", guess.field);
            }
            (None, false) => {
                let _ = writeln!(text, "{} = {{ from = {from}, values = {{ {} }} }}", guess.field, values.join(", "));
            }
        }
    }
}

/// What values of a step seem to stand for; those of steps and outcomes that say nothing are noted.
fn translations(field: &str, column: &Column, text: &mut String) -> Vec<String> {
    let understood = |value: &str| match field {
        "step" => STEPS.contains(&canonical_step(fold(value).as_str())),
        "outcome" => outcome_of(value).is_some(),
        _ => true,
    };
    let mut values = Vec::new();
    let mut open = Vec::new();
    for value in column.values.iter().filter(|value| !understood(value)) {
        match step_for(value).filter(|_| field == "step") {
            Some(step) => values.push(format!("{} = {}", quoted(value), quoted(step))),
            None => open.push(quoted(&column.shown(value))),
        }
    }
    if !open.is_empty() {
        open.truncate(SHOWN);
        let what = if field == "step" { "a step" } else { "an outcome" };
        let _ =
            writeln!(text, "# Not understood as {what}, to be translated in `values`: {}", comment(&open.join(", ")));
    }
    values
}

fn rest(survey: &Survey, guesses: &[Guess], text: &mut String) {
    let open = survey.columns.iter().enumerate().filter(|(n, _)| !guesses.iter().any(|guess| guess.column == *n));
    let open: Vec<&Column> = open.map(|(_, column)| column).collect();
    if !open.is_empty() {
        text.push_str("\n# Not mapped:\n");
    }
    for column in open {
        let _ = writeln!(text, "# {} - {}", comment(&quoted(&column.place.to_string())), holds(column, survey.records));
    }
    if survey.cut_short {
        let _ = writeln!(text, "# There are more columns than the {MOST_COLUMNS} that were looked at.");
    }
}

/// What a column holds, as a comment.
fn holds(column: &Column, records: usize) -> String {
    if column.nested_list {
        return "a list of objects, which no field is made of".to_owned();
    }
    if column.values.is_empty() {
        return "empty".to_owned();
    }
    let shown: Vec<String> = column.values.iter().take(SHOWN).map(|value| quoted(&column.shown(value))).collect();
    let more = if column.values.len() > SHOWN { ", ..." } else { "" };
    comment(&format!("filled in {} of {records}: {}{more}", column.filled, shown.join(", ")))
}

/// A name for the mapping, after the file.
fn name(label: &str) -> String {
    let file = label.rsplit(['/', '\\']).next().unwrap_or(label);
    let stem = file.split('.').next().unwrap_or(file).to_ascii_lowercase();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let name = name.trim_matches('-').to_owned();
    if name.is_empty() { "draft".to_owned() } else { name }
}

/// A text as TOML writes it, on one line, with everything escaped that a terminal might obey.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_hostile(c) => {
                let _ = write!(quoted, "\\U{:08X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text as it may stand in a comment.
fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if is_hostile(c) || c == '\n' { c.escape_unicode().to_string() } else { c.to_string() })
        .collect()
}
