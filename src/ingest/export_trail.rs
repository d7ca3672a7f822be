//! The exporter's own chain-of-custody trail: NDJSON, JSON arrays, CSV (DESIGN section 4).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::adapter::{Adapter, Record, Refusal, Sink, Table, read_object_key};
use super::event::{Event, Outcome, Text};
use super::facts::ChangeKind;
use super::fold::{Folded, fold};
use super::scopes;
use super::status;
use super::trail_fields::{FIELDS, Field, canonical_step, field_of};
use crate::evidence::Sample;

/// The adapter.
pub struct ExportTrail;

/// Objects nested deeper than this hold no field of a trail.
const MAX_NESTING: u8 = 8;
/// Added to the rank of a name that is only known without the member it is nested under.
const TAIL_RANK: u8 = 20;

impl Adapter for ExportTrail {
    fn name(&self) -> &'static str {
        "export_trail"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        let known = |names: &mut dyn Iterator<Item = &str>| {
            let mut found = [false; FIELDS];
            for name in names {
                if let Some((field, _)) = field_of(fold(name).as_str()) {
                    found[field as usize] = true;
                }
            }
            is_trail(|field| found[field as usize])
        };
        known(&mut sample.header.iter().map(String::as_str))
            || sample.records.iter().any(|record| {
                let Some(object) = record.as_object() else { return false };
                let nested = object.iter().flat_map(|(name, value)| {
                    let inner = value.as_object().into_iter().flatten();
                    std::iter::once(name.clone()).chain(inner.map(move |(k, _)| format!("{name}.{k}")))
                });
                let names: Vec<String> = nested.collect();
                known(&mut names.iter().map(String::as_str))
            })
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let fields = match record.table {
            Some(table) => from_row(record.text, table)?,
            None => from_json(record.text)?,
        };
        if !is_trail(|field| fields.has(field)) {
            return Err(Refusal::NotMine);
        }
        let event = to_event(fields, sink)?;
        note_changes(&event, record, sink);
        sink.event(&event, record.at);
        Ok(())
    }
}

/// A trail record has a time and says which step, or what became of which job.
fn is_trail(has: impl Fn(Field) -> bool) -> bool {
    let acts = has(Field::Step) || (has(Field::JobId) && (has(Field::Outcome) || has(Field::Status)));
    has(Field::Timestamp) && acts && !has_foreign_shape(&has)
}

/// CloudTrail's `eventTime` and `eventName` also read as a time and a step; no trail has only those.
fn has_foreign_shape(has: &impl Fn(Field) -> bool) -> bool {
    ![
        Field::JobId,
        Field::ConversationId,
        Field::RecordingId,
        Field::ObjectKey,
        Field::Outcome,
        Field::Status,
        Field::TenantId,
    ]
    .into_iter()
    .any(has)
}

/// A value as the trail may write it.
#[derive(Clone, Debug)]
enum Raw<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Bool(bool),
    List(Vec<String>),
}

/// The fields of one record, each with the rank of the name it came by.
struct Fields<'a> {
    slots: [Option<(u8, Raw<'a>)>; FIELDS],
}

impl<'a> Fields<'a> {
    fn new() -> Self {
        Self { slots: [const { None }; FIELDS] }
    }

    fn offer(&mut self, path: &Folded, tail: &Folded, value: Raw<'a>) {
        if matches!(&value, Raw::Text(text) if text.trim().is_empty()) {
            return;
        }
        let known =
            field_of(path.as_str()).or_else(|| field_of(tail.as_str()).map(|(field, rank)| (field, rank + TAIL_RANK)));
        let Some((field, rank)) = known else { return };
        let slot = &mut self.slots[field as usize];
        if slot.as_ref().is_none_or(|(held, _)| rank < *held) {
            *slot = Some((rank, value));
        }
    }

    fn has(&self, field: Field) -> bool {
        self.slots[field as usize].is_some()
    }

    fn take(&mut self, field: Field) -> Option<Raw<'a>> {
        self.slots[field as usize].take().map(|(_, value)| value)
    }

    fn text(&mut self, field: Field) -> Option<Cow<'a, str>> {
        self.take(field).map(|value| match value {
            Raw::Text(text) => text,
            Raw::Number(number) => Cow::Owned(number.to_string()),
            Raw::Bool(value) => Cow::Owned(value.to_string()),
            Raw::List(items) => Cow::Owned(items.join(" ")),
        })
    }

    fn number(&mut self, field: Field) -> Option<f64> {
        match self.take(field)? {
            Raw::Number(number) => Some(number),
            Raw::Text(text) => leading_number(&text),
            Raw::Bool(_) | Raw::List(_) => None,
        }
    }
}

/// `403` of `403` and of `403 Forbidden`.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

fn from_row<'a>(text: &'a str, table: &Table) -> Result<Fields<'a>, Refusal> {
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
    let mut fields = Fields::new();
    for (name, cell) in table.header.iter().zip(&row) {
        let path = fold(name);
        let tail = name.rsplit_once('.').map_or(path, |(_, last)| fold(last));
        fields.offer(&path, &tail, Raw::Text(Cow::Owned(cell.to_owned())));
    }
    Ok(fields)
}

fn from_json(text: &str) -> Result<Fields<'_>, Refusal> {
    let mut fields = Fields::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Members { fields: &mut fields, path: Folded::new(), depth: 0 };
    seed.deserialize(&mut deserializer).map_err(|e| Refusal::not_json(&e))?;
    deserializer.end().map_err(|e| Refusal::not_json(&e))?;
    Ok(fields)
}

/// Walks the members of an object, folding nested names into paths.
struct Members<'f, 'a> {
    fields: &'f mut Fields<'a>,
    path: Folded,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Members<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let tail = fold(&name);
            if self.depth == MAX_NESTING {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let path = self.path.join(&name);
            map.next_value_seed(Member { fields: self.fields, path, tail, depth: self.depth })?;
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
struct Member<'f, 'a> {
    fields: &'f mut Fields<'a>,
    path: Folded,
    tail: Folded,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Member<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Member<'_, 'de> {
    fn offer(self, value: Raw<'de>) {
        self.fields.offer(&self.path, &self.tail, value);
    }
}

impl<'de> Visitor<'de> for Member<'_, 'de> {
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
        Members { fields: self.fields, path: self.path, depth: self.depth + 1 }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<super::loose::Loose<'_>>()? {
            items.extend(item.take().map(Cow::into_owned));
        }
        if !items.is_empty() {
            self.offer(Raw::List(items));
        }
        Ok(())
    }
}

fn to_event<'a>(mut fields: Fields<'a>, sink: &mut Sink<'_>) -> Result<Event<'a>, Refusal> {
    let mut event = Event::default();
    event.time = match fields.take(Field::Timestamp) {
        Some(Raw::Number(number)) => sink.epoch(number)?,
        Some(Raw::Text(text)) => sink.time(&text)?,
        _ => None,
    };
    let step = fields.text(Field::Step);
    event.set(Text::Step, step.map(|name| canonical_step(fold(&name).as_str()).to_owned()));
    for (field, column) in [
        (Field::JobId, Text::JobId),
        (Field::ConversationId, Text::ConversationId),
        (Field::RecordingId, Text::RecordingId),
        (Field::TenantId, Text::TenantId),
        (Field::Region, Text::Region),
        (Field::Principal, Text::Principal),
        (Field::HoldId, Text::HoldId),
        (Field::MediaType, Text::MediaType),
        (Field::Bucket, Text::Bucket),
        (Field::ObjectKey, Text::ObjectKey),
        (Field::CorrelationId, Text::CorrelationId),
        (Field::Queue, Text::Queue),
        (Field::Credential, Text::Credential),
    ] {
        event.set(column, fields.text(field));
    }
    event.set(
        Text::Scopes,
        match fields.take(Field::Scopes) {
            Some(Raw::List(items)) => Some(scopes::canonical(items.iter().map(String::as_str))),
            Some(Raw::Text(text)) => Some(scopes::canonical(scopes::split(&text))),
            _ => None,
        },
    );
    event.hold_acknowledged = match fields.take(Field::HoldAcknowledged) {
        Some(Raw::Bool(value)) => Some(value),
        Some(Raw::Text(text)) => truth(&text),
        Some(Raw::Number(number)) => Some(number != 0.0),
        _ => None,
    };
    event.attempt = whole(fields.number(Field::Attempt)).and_then(|n| u32::try_from(n).ok());
    event.duration_ms = whole(fields.number(Field::Duration));
    settle_outcome(&mut event, fields, sink);
    read_object_key(&mut event);
    Ok(event)
}

fn settle_outcome<'a>(event: &mut Event<'a>, mut fields: Fields<'a>, sink: &mut Sink<'_>) {
    let said = fields.text(Field::Outcome);
    let mut outcome = said.as_deref().and_then(status::outcome_of);
    let mut http = None;
    match fields.take(Field::Status) {
        Some(Raw::Number(number)) => http = whole(Some(number)),
        Some(Raw::Text(text)) => {
            http = leading_number(&text).and_then(|n| whole(Some(n)));
            outcome = outcome.or_else(|| status::outcome_of(&text));
        }
        _ => {}
    }
    let code = fields.text(Field::ErrorCode);
    let message = fields.text(Field::ErrorMessage).map(|text| sink.clean(text));
    let mut http = http.and_then(|n| u16::try_from(n).ok()).filter(|n| (100..600).contains(n));
    if http.is_none() && outcome != Some(Outcome::Success) && outcome != Some(Outcome::Timeout) {
        http = code.as_deref().and_then(|code| {
            let number = code.parse().ok().filter(|n| (400..600).contains(n));
            number.or_else(|| status::of_aws_code(code)).or_else(|| status::of_genesys_code(code))
        });
    }
    event.outcome = status::settle(outcome, http, code.as_deref(), message.as_deref());
    event.http_status = http;
    event.set(Text::ErrorCode, code);
    event.set(Text::ErrorMessage, message);
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be within range")]
fn whole(number: Option<f64>) -> Option<i64> {
    number.filter(|n| n.is_finite() && n.abs() < 1e15).map(|n| n.round() as i64)
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" => Some(true),
        "false" | "0" | "no" | "n" => Some(false),
        _ => None,
    }
}

fn note_changes(event: &Event<'_>, record: &Record<'_>, sink: &mut Sink<'_>) {
    if matches!(event.outcome, Outcome::Failure | Outcome::Timeout) {
        return;
    }
    let (kind, subject) = match event.get(Text::Step) {
        Some("legal_hold.placed") => (ChangeKind::HoldPlaced, event.get(Text::ConversationId)),
        Some("legal_hold.synced") => (ChangeKind::HoldSynced, event.get(Text::ConversationId)),
        Some("legal_hold.released") => (ChangeKind::HoldReleased, event.get(Text::ConversationId)),
        Some("credential.rotated") => (ChangeKind::Credential, event.get(Text::Principal)),
        _ => return,
    };
    let hold = event.get(Text::HoldId).map(str::to_owned);
    let subject = subject.or(hold.as_deref()).unwrap_or("").to_owned();
    let actor = event.get(Text::Principal).map(str::to_owned);
    if let Some(change) = sink.change(kind, event.time, subject, record.at) {
        change.also = event.get(Text::RecordingId).map(str::to_owned).into_iter().collect();
        change.hold = hold;
        change.actor = actor;
    }
}
