//! The exporter's own chain-of-custody trail: NDJSON, JSON arrays, CSV (DESIGN section 4).

use std::borrow::Cow;

use super::adapter::{Adapter, Record, Refusal, Sink, read_message_arns, read_object_key};
use super::event::{Event, Outcome, Text};
use super::facts::ChangeKind;
use super::fold::fold;
use super::scopes;
use super::status;
use super::trail_fields::{FIELDS, Field, STEPS, canonical_step, field_of};
use super::trail_json::from_json;
use super::trail_record::{Fields, Raw, from_row, leading_number};
use crate::evidence::{Name, Sample};

/// The adapter.
pub struct ExportTrail;

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
        let mut fields = Fields::of(record.text);
        match record.table {
            Some(table) => from_row(record.text, table, &mut fields)?,
            None => from_json(record.text, &mut fields)?,
        }
        if !is_trail(|field| fields.has(field)) {
            return Err(Refusal::NotMine);
        }
        let mut event = Event::default();
        event.time = match fields.take(Field::Timestamp) {
            Some(Raw::Number(number)) => sink.epoch(number)?,
            Some(Raw::Text(text)) => sink.time(&text)?,
            _ => None,
        };
        fill(&mut event, &mut fields, sink);
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

/// Fills in all but the time.
pub(super) fn fill<'a>(event: &mut Event<'a>, fields: &mut Fields<'a>, sink: &mut Sink<'_>) {
    event.set(Text::Step, fields.text(Field::Step).map(step_of));
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
            Some(Raw::List(items)) => Some(scopes::canonical(items.iter().map(AsRef::as_ref))),
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
    settle_outcome(event, fields, sink);
    read_message_arns(event);
    read_object_key(event);
}

/// The canonical name of a step, which most trails use themselves.
fn step_of(name: Cow<'_, str>) -> Cow<'_, str> {
    if STEPS.contains(&&*name) { name } else { Cow::Owned(canonical_step(fold(&name).as_str()).to_owned()) }
}

fn settle_outcome<'a>(event: &mut Event<'a>, fields: &mut Fields<'a>, sink: &mut Sink<'_>) {
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

pub(super) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" => Some(true),
        "false" | "0" | "no" | "n" => Some(false),
        _ => None,
    }
}

/// Notes what the event changed: a hold, a credential.
pub(super) fn note_changes(event: &Event<'_>, record: &Record<'_>, sink: &mut Sink<'_>) {
    if matches!(event.outcome, Outcome::Failure | Outcome::Timeout) {
        return;
    }
    let item = event.get(Text::ConversationId).or_else(|| event.get(Text::RecordingId));
    let (kind, subject) = match event.get(Text::Step) {
        Some("legal_hold.placed") => (ChangeKind::HoldPlaced, item),
        Some("legal_hold.synced") => (ChangeKind::HoldSynced, item),
        Some("legal_hold.released") => (ChangeKind::HoldReleased, item),
        Some("credential.rotated") => (ChangeKind::Credential, event.get(Text::Principal)),
        _ => return,
    };
    let conversation = event.get(Text::ConversationId).map(str::to_owned);
    let hold = event.get(Text::HoldId).map(str::to_owned);
    let subject = subject.or(hold.as_deref()).unwrap_or("").to_owned();
    let actor = event.get(Text::Principal).map(Name::from);
    if let Some(change) = sink.change(kind, event.time, subject, record.at) {
        change.also = event.get(Text::RecordingId).map(str::to_owned).into_iter().collect();
        change.conversation = conversation;
        change.hold = hold;
        change.actor = actor;
    }
}
