//! One record by a mapping: the fields of an export trail, and what that does not have.

use std::borrow::Cow;

use super::field::text;
use super::row::{Found, Row};
use super::{MAPPED, Mapping, Target};
use crate::ingest::adapter::{Record, Refusal, Sink};
use crate::ingest::event::{Event, Text};
use crate::ingest::export_trail;
use crate::ingest::trail_fields::Field;
use crate::ingest::trail_record::{Fields, Raw, csv_row, leading_number};

impl Mapping {
    /// Reads one record into `sink`.
    ///
    /// # Errors
    /// It is broken, or has no time.
    pub(in crate::ingest) fn record(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        sink.source = MAPPED;
        let row = match record.table {
            Some(table) => Row::Table { header: &table.header, cells: csv_row(record.text, table)? },
            None => Row::Json(serde_json::from_str(json_of(record.text)).map_err(|e| Refusal::not_json(&e))?),
        };
        let mut event = Event::default();
        event.time = self.time(&row, sink)?;
        let mut fields = Fields::of("");
        for (target, rule) in &self.fields {
            if let Some(value) = rule.value(&row, &self.nulls) {
                place(*target, value, &mut fields, &mut event, sink);
            }
        }
        export_trail::fill(&mut event, &mut fields, sink);
        export_trail::note_changes(&event, record, sink);
        sink.event(&event, record.at);
        Ok(())
    }

    fn time(&self, row: &Row<'_>, sink: &mut Sink<'_>) -> Result<Option<i64>, Refusal> {
        let Some(found) = self.time.rule.value(row, &self.nulls) else {
            return Err(Refusal::Broken(format!("no time where the mapping `{}` says that it is", self.name)));
        };
        let said = text(found);
        let zone = self.time.zone.unwrap_or(sink.zone);
        let Some(mut instant) = self.time.format.read(&said, zone) else {
            let shown: String = said.chars().take(40).collect();
            let name = &self.name;
            return Err(Refusal::Broken(format!("`{shown}` is no time of the format that the mapping `{name}` says")));
        };
        // A zone that the mapping says is not assumed.
        instant.zoneless &= self.time.zone.is_none();
        Ok(sink.count(instant))
    }
}

/// The JSON in a line, which something may stand before.
fn json_of(line: &str) -> &str {
    let start = if line.starts_with('[') { 0 } else { line.find('{').unwrap_or(0) };
    &line[start..]
}

/// Puts a value where the export trail's reader expects it, or into the event itself.
fn place<'r>(target: Target, value: Found<'r>, fields: &mut Fields<'r>, event: &mut Event<'r>, sink: &mut Sink<'_>) {
    let field = match target {
        Target::Outcome => Field::Outcome,
        Target::HttpStatus => Field::Status,
        Target::Attempt => Field::Attempt,
        Target::HoldAcknowledged => Field::HoldAcknowledged,
        Target::Duration(factor) => {
            if let Some(number) = leading_number(&text(value)) {
                fields.put(Field::Duration, Raw::Number(number * factor));
            }
            return;
        }
        Target::Text(Text::Scopes) => {
            let raw = match value {
                Found::Text(text) => Raw::Text(text),
                Found::List(items) => Raw::List(items.into_iter().map(Cow::Owned).collect()),
            };
            return fields.put(Field::Scopes, raw);
        }
        Target::Text(column) => match trail_field(column) {
            Some(field) => field,
            None => return event.set(column, Some(sink.clean(text(value)))),
        },
    };
    fields.put(field, Raw::Text(text(value)));
}

/// The field of the trail that a column is filled from.
fn trail_field(column: Text) -> Option<Field> {
    Some(match column {
        Text::Step => Field::Step,
        Text::ErrorCode => Field::ErrorCode,
        Text::ErrorMessage => Field::ErrorMessage,
        Text::Principal => Field::Principal,
        Text::Credential => Field::Credential,
        Text::TenantId => Field::TenantId,
        Text::Region => Field::Region,
        Text::JobId => Field::JobId,
        Text::ConversationId => Field::ConversationId,
        Text::RecordingId => Field::RecordingId,
        Text::ObjectKey => Field::ObjectKey,
        Text::Bucket => Field::Bucket,
        Text::HoldId => Field::HoldId,
        Text::MediaType => Field::MediaType,
        Text::Queue => Field::Queue,
        Text::CorrelationId => Field::CorrelationId,
        Text::Scopes => Field::Scopes,
        _ => return None,
    })
}
