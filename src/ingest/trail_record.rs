//! One record of an export trail as members by their names, before it is an event.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::adapter::{Refusal, Table};
use super::event::is_blank;
use super::fold::{Folded, fold};
use super::layouts::{Found, Kind, Layouts, Step, Use, Value, number_of};
use super::loose::Loose;
use super::trail_fields::{FIELDS, Field};
use super::trail_names::{Names, Place, place_of, with_names};

/// Objects nested deeper than this hold no field of a trail.
const MAX_NESTING: u8 = 8;

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
    Written(u8, Found<Field>),
    /// The value of this number.
    Apart(u8, usize),
}

impl Slot {
    fn takes(self, rank: u8) -> bool {
        match self {
            Self::Free => true,
            Self::Written(held, _) | Self::Apart(held, _) => rank < held,
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(record: &'a str) -> Self {
        Self { record, slots: [Slot::Free; FIELDS], apart: Vec::new() }
    }

    fn offer(&mut self, place: Option<Place>, value: Raw<'a>) {
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
    fn offer_found(&mut self, found: &Found<Place>) {
        let (field, rank) = found.stands_for;
        let says_nothing = match found.value(self.record) {
            Value::Text(text) => is_blank(text),
            Value::Texts(mut texts) => texts.next().is_none(),
            Value::Number(_) | Value::Bool(_) => false,
        };
        let slot = &mut self.slots[field as usize];
        if !says_nothing && slot.takes(rank) {
            *slot = Slot::Written(rank, found.map(field));
        }
    }

    /// Sets a field.
    pub(super) fn put(&mut self, field: Field, value: Raw<'a>) {
        self.offer(Some((field, 0)), value);
    }

    pub(super) fn has(&self, field: Field) -> bool {
        !matches!(self.slots[field as usize], Slot::Free)
    }

    pub(super) fn take(&mut self, field: Field) -> Option<Raw<'a>> {
        match self.slots[field as usize] {
            Slot::Free => None,
            Slot::Written(_, found) => Some(Raw::of(found.value(self.record))),
            Slot::Apart(_, number) => Some(std::mem::replace(&mut self.apart[number], Raw::Bool(false))),
        }
    }

    pub(super) fn text(&mut self, field: Field) -> Option<Cow<'a, str>> {
        // What nearly all are.
        if let Slot::Written(_, found) = &self.slots[field as usize]
            && let Value::Text(text) = found.value(self.record)
        {
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

thread_local! {
    static LAYOUTS: RefCell<Layouts<Place>> = RefCell::new(Layouts::new(stands_for));
}

/// What the value at the end of a path stands for, as [`Members`] would have it.
fn stands_for(path: &[Step<'_>], kind: Kind) -> Use<Place> {
    let names = path.iter().map_while(|step| match step {
        Step::Member(name) => Some(*name),
        Step::Element => None,
    });
    let names: Vec<&str> = names.take(path.len().min(usize::from(MAX_NESTING) + 1)).collect();
    let Some(last) = names.last() else { return Use::Passed };
    let within = names.iter().fold(Folded::new(), |within, name| within.join(name));
    match place_of(&within, &fold(last)) {
        None => Use::Passed,
        // Members nested deeper are not looked at; of a list that is not one of texts, what it says is.
        Some(_) if names.len() < path.len() && path[names.len()] == Step::Element => Use::Unfit,
        Some(_) if names.len() < path.len() || names.len() > usize::from(MAX_NESTING) => Use::Passed,
        Some(_) if kind == Kind::Null => Use::Passed,
        Some(place) => Use::Taken(place),
    }
}

/// Reads a record that is laid out like an earlier one.
fn by_layout(text: &str, fields: &mut Fields<'_>) -> bool {
    LAYOUTS.with_borrow_mut(|layouts| {
        let found = layouts.read(text);
        found.into_iter().flatten().for_each(|found| fields.offer_found(found));
        found.is_some()
    })
}

/// Takes the fields of a record that is a JSON object.
pub(super) fn from_json<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Refusal> {
    if !by_layout(text, fields) {
        parse(text, fields)?;
        LAYOUTS.with_borrow_mut(|layouts| layouts.learn(text));
    }
    Ok(())
}

fn parse<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = with_names(|names| {
        Members { fields, names, parent: None, depth: 0 }.deserialize(&mut deserializer)?;
        deserializer.end()
    });
    read.map_err(|e| Refusal::not_json(&e))
}

/// A member by its name and the members it is nested in.
#[derive(Clone, Copy)]
struct Within<'p> {
    parent: Option<&'p Within<'p>>,
    name: &'p str,
}

impl Within<'_> {
    fn path(&self) -> Folded {
        self.parent.map_or_else(Folded::new, Within::path).join(self.name)
    }
}

/// Walks the members of an object, folding nested names into paths.
struct Members<'f, 'p, 'a> {
    fields: &'f mut Fields<'a>,
    names: &'f mut Names,
    parent: Option<&'p Within<'p>>,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut order = 0;
        while let Some(name) = map.next_key_seed(Name)? {
            if self.depth == MAX_NESTING {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let place = match self.parent {
                None => self.names.place(&mut order, &name),
                Some(parent) => place_of(&parent.path().join(&name), &fold(&name)),
            };
            let within = Within { parent: self.parent, name: &name };
            let (fields, names) = (&mut *self.fields, &mut *self.names);
            map.next_value_seed(Member { fields, names, place, within, depth: self.depth })?;
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }
}

/// One member's value: kept if its name is known, descended into if it is an object.
struct Member<'f, 'p, 'a> {
    fields: &'f mut Fields<'a>,
    names: &'f mut Names,
    place: Option<Place>,
    within: Within<'p>,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Member<'_, '_, 'de> {
    fn offer(self, value: Raw<'de>) {
        self.fields.offer(self.place, value);
    }
}

impl<'de> Visitor<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<(), E> {
        self.offer(Raw::Text(Cow::Borrowed(v)));
        Ok(())
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<(), E> {
        self.offer(Raw::Text(Cow::Owned(v.to_owned())));
        Ok(())
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<(), E> {
        self.offer(Raw::Bool(v));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "epoch microseconds stay below 2^53 until the year 2255")]
    fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
        self.offer(Raw::Number(v as f64));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "epoch microseconds stay below 2^53 until the year 2255")]
    fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
        self.offer(Raw::Number(v as f64));
        Ok(())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
        self.offer(Raw::Number(v));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self { fields, names, within, depth, .. } = self;
        Members { fields, names, parent: Some(&within), depth: depth + 1 }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Loose<'de>>()? {
            items.extend(item.take());
        }
        if !items.is_empty() {
            self.offer(Raw::List(items));
        }
        Ok(())
    }
}
