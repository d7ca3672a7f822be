//! Finding values in a record: by the name of a column, or by a JSON pointer.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::evidence::Sample;

/// Where a value lies: the names that lead to it. A column of a table is a single name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub Vec<String>);

impl Place {
    /// Reads a column's name, or a JSON pointer (RFC 6901), which begins with a slash.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let Some(pointer) = text.strip_prefix('/') else { return Self(vec![text.to_owned()]) };
        Self(pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect())
    }
}

/// As [`Place::parse`] takes it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [name] if !name.is_empty() && !name.starts_with('/') => f.write_str(name),
            names => names.iter().try_for_each(|name| write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))),
        }
    }
}

/// What a record says at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'r> {
    Text(Cow<'r, str>),
    List(Vec<String>),
}

/// A record as a mapping sees it.
pub(super) enum Row<'r> {
    Json(Value),
    Table { header: &'r [String], cells: csv::StringRecord },
}

impl Row<'_> {
    /// What it says at a place; `None` where that is nothing.
    pub(super) fn at(&self, place: &Place) -> Option<Found<'_>> {
        match self {
            Self::Json(value) => descend(value, &place.0),
            Self::Table { header, cells } => {
                let (name, rest) = place.0.split_first()?;
                let cell = cells.get(header.iter().position(|column| column == name)?)?;
                if rest.is_empty() {
                    return Some(Found::Text(Cow::Borrowed(cell)));
                }
                descend_text(cell, rest)
            }
        }
    }
}

fn descend<'v>(value: &'v Value, names: &[String]) -> Option<Found<'v>> {
    let Some((name, rest)) = names.split_first() else { return found(value) };
    match value {
        Value::Object(members) => descend(members.get(name)?, rest),
        Value::Array(items) => descend(items.get(name.parse::<usize>().ok()?)?, rest),
        Value::String(text) => descend_text(text, names),
        _ => None,
    }
}

/// Goes on in a text that is JSON itself, as databases often hold it.
fn descend_text<'v>(text: &str, names: &[String]) -> Option<Found<'v>> {
    match descend(&nested(text)?, names)? {
        Found::Text(text) => Some(Found::Text(Cow::Owned(text.into_owned()))),
        Found::List(items) => Some(Found::List(items)),
    }
}

/// The object or list that a text is.
pub(super) fn nested(text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '[']);
    begins.then(|| serde_json::from_str(text).ok()).flatten()
}

fn found(value: &Value) -> Option<Found<'_>> {
    match value {
        Value::Array(items) => Some(Found::List(items.iter().filter_map(scalar).map(Cow::into_owned).collect())),
        value => scalar(value).map(Found::Text),
    }
}

/// A single value as text; objects say nothing by themselves.
pub(super) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(value) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether the header, or one of the records, has all `places`, if with nothing in them.
pub(super) fn sample_has(sample: &Sample, places: &[Place]) -> bool {
    let in_header = |place: &Place| place.0.first().is_some_and(|name| sample.header.contains(name));
    let in_record = |record: &Value| places.iter().all(|place| has(record, &place.0));
    places.iter().all(in_header) || sample.records.iter().any(in_record)
}

fn has(value: &Value, names: &[String]) -> bool {
    let Some((name, rest)) = names.split_first() else { return true };
    match value {
        Value::Object(members) => members.get(name).is_some_and(|value| has(value, rest)),
        Value::Array(items) => {
            name.parse::<usize>().ok().and_then(|n| items.get(n)).is_some_and(|value| has(value, rest))
        }
        Value::String(text) => nested(text).is_some_and(|value| has(&value, names)),
        _ => false,
    }
}
