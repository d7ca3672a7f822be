//! One record of an export trail as members by their names, before it is an event.

use std::borrow::Cow;

use super::adapter::{Refusal, Table};
use super::event::is_blank;
use super::fold::fold;
use super::layouts::{Found, Value, number_of};
use super::trail_fields::{FIELDS, Field};
use super::trail_names::{Place, place_of};

/// A value as the trail may write it.
#[derive(Clone, Debug)]
pub(super) enum Raw<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Bool(bool),
    List(Vec<Cow<'a, str>>),
}

/// The fields of one record, each with the rank of the name it came by.
pub(super) struct Fields<'a> {
    /// The record, where values lie in it as they are written.
    record: &'a str,
    slots: [Slot; FIELDS],
    /// Values that do not.
    apart: Vec<Raw<'a>>,
}

/// Where the value of a field is.
#[derive(Clone, Copy)]
enum Slot {
    Free,
    /// In the record.
    Written(Found<Place>),
    /// The value of this number, by a name of this rank.
    Apart(u8, usize),
}

impl Slot {
    /// The rank of the name that the value came by.
    fn rank(self) -> Option<u8> {
        match self {
            Self::Free => None,
            Self::Written(Found { stands_for: (_, rank), .. }) | Self::Apart(rank, _) => Some(rank),
        }
    }

    fn takes(self, rank: u8) -> bool {
        self.rank().is_none_or(|held| rank < held)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(record: &'a str) -> Self {
        Self { record, slots: [Slot::Free; FIELDS], apart: Vec::new() }
    }

    pub(super) fn offer(&mut self, place: Option<Place>, value: Raw<'a>) {
        let Some((field, rank)) = place else { return };
        if matches!(&value, Raw::Text(text) if is_blank(text)) {
            return;
        }
        let slot = &mut self.slots[field as usize];
        if slot.takes(rank) {
            *slot = Slot::Apart(rank, self.apart.len());
            self.apart.push(value);
        }
    }

    /// As [`Self::offer`], a value that was found by the layout of the record.
    pub(super) fn offer_found(&mut self, found: &Found<Place>) {
        let (field, rank) = found.stands_for;
        let says_nothing = match found.value(self.record) {
            Value::Text(text) => is_blank(text),
            Value::Texts(mut texts) => texts.next().is_none(),
            Value::Number(_) | Value::Bool(_) => false,
        };
        let slot = &mut self.slots[field as usize];
        if !says_nothing && slot.takes(rank) {
            *slot = Slot::Written(*found);
        }
    }

    /// All of them with their ranks.
    #[cfg(test)]
    pub(super) fn told(&self) -> Vec<String> {
        let all = self.slots.iter().map(|slot| match *slot {
            Slot::Free => String::new(),
            Slot::Written(found) => format!("{:?} {:?}", slot.rank(), Raw::of(found.value(self.record))),
            Slot::Apart(_, number) => format!("{:?} {:?}", slot.rank(), self.apart[number]),
        });
        all.collect()
    }

    /// Sets a field.
    pub(super) fn put(&mut self, field: Field, value: Raw<'a>) {
        self.offer(Some((field, 0)), value);
    }

    pub(super) fn has(&self, field: Field) -> bool {
        !matches!(self.slots[field as usize], Slot::Free)
    }

    pub(super) fn take(&mut self, field: Field) -> Option<Raw<'a>> {
        match std::mem::replace(&mut self.slots[field as usize], Slot::Free) {
            Slot::Free => None,
            Slot::Written(found) => Some(Raw::of(found.value(self.record))),
            Slot::Apart(_, number) => Some(std::mem::replace(&mut self.apart[number], Raw::Bool(false))),
        }
    }

    pub(super) fn text(&mut self, field: Field) -> Option<Cow<'a, str>> {
        // What nearly all are.
        let slot = &mut self.slots[field as usize];
        if let Slot::Written(found) = slot
            && let Value::Text(text) = found.value(self.record)
        {
            *slot = Slot::Free;
            return Some(Cow::Borrowed(text));
        }
        self.take(field).map(|value| match value {
            Raw::Text(text) => text,
            Raw::Number(number) => Cow::Owned(number.to_string()),
            Raw::Bool(value) => Cow::Owned(value.to_string()),
            Raw::List(items) => Cow::Owned(items.join(" ")),
        })
    }

    pub(super) fn number(&mut self, field: Field) -> Option<f64> {
        match self.take(field)? {
            Raw::Number(number) => Some(number),
            Raw::Text(text) => leading_number(&text),
            Raw::Bool(_) | Raw::List(_) => None,
        }
    }
}

impl<'a> Raw<'a> {
    /// A value as the JSON reader would have it.
    fn of(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => Self::Text(Cow::Borrowed(text)),
            Value::Number(written) => Self::Number(number_of(written)),
            Value::Bool(value) => Self::Bool(value),
            Value::Texts(texts) => Self::List(texts.map(Cow::Borrowed).collect()),
        }
    }
}

/// `403` of `403` and of `403 Forbidden`.
pub(super) fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The cells of a row, as many as the header has.
pub(super) fn csv_row(text: &str, table: &Table) -> Result<csv::StringRecord, Refusal> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(table.delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut row = csv::StringRecord::new();
    let found = reader.read_record(&mut row).map_err(|e| Refusal::Broken(format!("not a CSV row: {e}")))?;
    if !found || row.len() != table.header.len() {
        let columns = table.header.len();
        return Err(Refusal::Broken(format!("a row of {} fields, where the header has {columns}", row.len())));
    }
    Ok(row)
}

/// Takes the fields of a row of a table.
pub(super) fn from_row(text: &str, table: &Table, fields: &mut Fields<'_>) -> Result<(), Refusal> {
    let row = csv_row(text, table)?;
    for (name, cell) in table.header.iter().zip(&row) {
        let path = fold(name);
        let tail = name.rsplit_once('.').map_or(path, |(_, last)| fold(last));
        fields.offer(place_of(&path, &tail), Raw::Text(Cow::Owned(cell.to_owned())));
    }
    Ok(())
}
