//! Looking over the columns of a file for which a mapping is to be drafted.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::Place;
use super::row::{nested, scalar};
use crate::evidence::{Chunk, Encoding, Expansion, Framer, Input, Shape, Stream, sample_at};
use crate::ingest::Options;
use crate::ingest::adapter::Table;
use crate::ingest::fold::fold;
use crate::ingest::redact::redact;
use crate::ingest::trail_record::csv_row;

/// Records and columns that are looked at, objects around a value, and distinct values that are kept of a column.
const MOST_RECORDS: usize = 1000;
pub(super) const MOST_COLUMNS: usize = 256;
const DEEPEST: usize = 8;
const MOST_VALUES: usize = 24;
/// Longest value that is kept, characters.
const LONGEST: usize = 200;
/// Values of members with such names are not shown.
const SECRET: [&str; 8] = ["secret", "password", "passwd", "authorization", "token", "signature", "cookie", "apikey"];

/// What a column holds.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) place: Place,
    /// Records with something in it.
    pub(super) filled: usize,
    /// The first distinct values.
    pub(super) values: Vec<String>,
    /// Whether it is a list of objects, which no field is made of.
    pub(super) nested_list: bool,
    /// Whether the first record that has any has it.
    pub(super) in_first: bool,
}

impl Column {
    /// Whether most of the values are such.
    pub(super) fn mostly(&self, is: impl Fn(&str) -> bool) -> bool {
        let fitting = self.values.iter().filter(|value| is(value)).count();
        fitting > 0 && fitting * 5 >= self.values.len() * 4
    }

    /// A value as it may be shown: short, without secrets.
    pub(super) fn shown(&self, value: &str) -> String {
        let name = self.place.0.join("_");
        let folded = fold(&name);
        if SECRET.iter().any(|word| folded.as_str().contains(word)) || folded.as_str().is_empty() && name.len() > 64 {
            return "[redacted]".to_owned();
        }
        let (clean, _) = redact(Cow::Borrowed(value));
        let short: String = clean.chars().take(48).collect();
        if short.len() < clean.len() { format!("{short}...") } else { short }
    }
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    pub(super) columns: Vec<Column>,
    pub(super) records: usize,
    /// The list that holds the records, where a JSON document has one.
    pub(super) list: Option<Vec<String>>,
    /// Whether there are more columns than are looked at.
    pub(super) cut_short: bool,
    /// Whether the record at hand is the first that has any columns.
    in_first: bool,
}

/// Looks over the first records of a file.
///
/// # Errors
/// One sentence: it cannot be read, or holds no records.
pub(super) fn survey(input: &Input, options: Options<'_>) -> Result<Survey, String> {
    let most = Expansion::of(&input.place, options.bounds.expansion);
    let mut stream = Stream::open(&input.place).map_err(|e| format!("it cannot be opened: {e}"))?.bounded(most);
    let mut framer = Framer::new(&mut stream, options.limits);
    let (shape, _) = framer.recognise(stream.encoding(), &|_| false);
    let mut survey = Survey::default();
    let table = match &shape {
        Shape::Empty => return Err("it is empty".to_owned()),
        Shape::Unknown { reason } => return Err(reason.clone()),
        Shape::Csv { delimiter, header } => Some(Table { delimiter: *delimiter, header: header.clone() }),
        _ => None,
    };
    framer.set_shape(&shape);
    let mut reason = None;
    let mut records = Vec::new();
    while let Some(chunk) = framer.next_chunk(&mut stream) {
        reason = reason.or_else(|| chunk.rejects.first().map(|reject| reject.reason.clone()));
        records.extend(read(&chunk, table.as_ref()));
        if records.len() >= MOST_RECORDS {
            break;
        }
    }
    if records.is_empty() {
        return Err(reason.unwrap_or_else(|| "it holds no records".to_owned()));
    }
    let document = records.len() == 1 && table.is_none() && stream.encoding() != Encoding::Parquet;
    if document && let Some((list, items)) = longest_list(&records) {
        let seen = sample_at(records[0].to_string().as_bytes(), true, &list);
        if !seen.records.is_empty() {
            (survey.list, records) = (Some(list), items);
        }
    }
    if let Some(table) = &table {
        for name in &table.header {
            survey.column(&Place(vec![name.clone()]), true);
        }
    }
    for record in records.iter().take(MOST_RECORDS) {
        survey.in_first = survey.columns.is_empty();
        survey.walk(&mut Vec::new(), record);
        survey.records += 1;
    }
    if survey.columns.is_empty() {
        return Err("its records have no members, so there is nothing to map".to_owned());
    }
    // A column of JSON text is known by its members.
    let places: Vec<Place> = survey.columns.iter().map(|column| column.place.clone()).collect();
    let holds = |place: &Place| places.iter().any(|p| p.0.len() > place.0.len() && p.0.starts_with(&place.0));
    survey.columns.retain(|column| column.filled > 0 || !holds(&column.place));
    Ok(survey)
}

/// The records of a chunk as JSON, a row of a table as an object of texts.
fn read(chunk: &Chunk, table: Option<&Table>) -> Vec<Value> {
    let texts = chunk.spans.iter().filter_map(|span| std::str::from_utf8(&chunk.bytes[span.start..span.end]).ok());
    let of = |text: &str| match table {
        None => serde_json::from_str(text).ok().filter(Value::is_object),
        Some(table) => {
            let cells = csv_row(text, table).ok()?;
            let mut members = serde_json::Map::new();
            for (name, cell) in table.header.iter().zip(&cells) {
                members.entry(name.clone()).or_insert_with(|| Value::from(cell));
            }
            Some(Value::Object(members))
        }
    };
    texts.filter_map(of).take(MOST_RECORDS).collect()
}

/// The longest list of objects in a document that is one object, and where it lies.
fn longest_list(records: &[Value]) -> Option<(Vec<String>, Vec<Value>)> {
    fn walk(value: &Value, path: &mut Vec<String>, best: &mut Option<(Vec<String>, Vec<Value>)>) {
        let Value::Object(members) = value else { return };
        for (name, member) in members {
            path.push(name.clone());
            match member {
                Value::Array(items)
                    if items.iter().any(Value::is_object)
                        && best.as_ref().is_none_or(|(_, longest)| items.len() > longest.len()) =>
                {
                    *best = Some((path.clone(), items.clone()));
                }
                Value::Object(_) if path.len() < DEEPEST => walk(member, path, best),
                _ => {}
            }
            path.pop();
        }
    }
    let mut best = None;
    walk(records.first()?, &mut Vec::new(), &mut best);
    best
}

impl Survey {
    fn column(&mut self, place: &Place, in_first: bool) -> Option<&mut Column> {
        let n = match self.columns.iter().position(|column| column.place == *place) {
            Some(n) => n,
            None if self.columns.len() == MOST_COLUMNS => {
                self.cut_short = true;
                return None;
            }
            None => {
                let place = place.clone();
                self.columns.push(Column { place, filled: 0, values: Vec::new(), nested_list: false, in_first });
                self.columns.len() - 1
            }
        };
        self.columns.get_mut(n)
    }

    fn walk(&mut self, path: &mut Vec<String>, value: &Value) {
        let inner = match value {
            Value::String(text) => nested(text).filter(|v| v.as_object().is_some_and(|members| !members.is_empty())),
            _ => None,
        };
        match inner.as_ref().unwrap_or(value) {
            Value::Object(members) if path.len() < DEEPEST && !members.is_empty() => {
                for (name, member) in members {
                    path.push(name.clone());
                    self.walk(path, member);
                    path.pop();
                }
            }
            leaf if !path.is_empty() => self.note(&Place(path.clone()), leaf),
            _ => {}
        }
    }

    fn note(&mut self, place: &Place, value: &Value) {
        let Some(column) = self.column(place, self.in_first) else { return };
        column.nested_list |=
            matches!(value, Value::Array(items) if items.iter().any(|i| !i.is_null() && scalar(i).is_none()));
        let text = match value {
            Value::Array(items) => items.iter().filter_map(scalar).collect::<Vec<_>>().join(" "),
            value => scalar(value).unwrap_or_default().into_owned(),
        };
        if text.trim().is_empty() {
            return;
        }
        column.filled += 1;
        let text: String = text.trim().chars().take(LONGEST).collect();
        let seen: BTreeSet<&str> = column.values.iter().map(String::as_str).collect();
        if column.values.len() < MOST_VALUES && !seen.contains(text.as_str()) {
            column.values.push(text);
        }
    }
}
