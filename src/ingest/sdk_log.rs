//! Logs of the Genesys Cloud client SDKs: one JSON object a request, or a block of text (logger.js of the JavaScript SDK,
//! logger.py of the Python SDK).
//!
//! Each record is one call with its answer. Bodies are logged only where that was switched on, so a refusal often says no
//! more than its status.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::adapter::{Adapter, Record, Refusal, Sink};
use super::event::{Event, Outcome, Text};
use super::facts::ChangeKind;
use super::loose::Loose;
use super::redact::redact;
use super::sdk_paths::{self, Address};
use super::sdk_text;
use super::status;
use crate::evidence::{Locator, Sample};

/// The adapter.
pub struct SdkLog;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow, default)]
    level: Loose<'a>,
    #[serde(borrow, default)]
    date: Loose<'a>,
    #[serde(borrow, default)]
    method: Loose<'a>,
    #[serde(borrow, default)]
    url: Loose<'a>,
    #[serde(borrow, default)]
    correlation_id: Loose<'a>,
    #[serde(borrow, default)]
    status_code: Loose<'a>,
    #[serde(borrow, default)]
    request_headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_body: Option<&'a RawValue>,
    /// Where a logger wraps what it was given.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Headers<'a> {
    #[serde(borrow, default, rename = "ININ-Correlation-Id", alias = "inin-correlation-id")]
    correlation_id: Loose<'a>,
    #[serde(borrow, default, rename = "Authorization", alias = "authorization")]
    authorization: Loose<'a>,
}

/// An error body: that of the API, that of the login service, and forms in which users pass them on.
#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    code: Loose<'a>,
    #[serde(borrow, default)]
    error_code: Loose<'a>,
    #[serde(borrow, default)]
    error: Loose<'a>,
    #[serde(borrow, default)]
    message: Loose<'a>,
    #[serde(borrow, default)]
    description: Loose<'a>,
    #[serde(borrow, default)]
    error_description: Loose<'a>,
    #[serde(borrow, default)]
    status: Loose<'a>,
    #[serde(borrow, default, rename = "contextId")]
    context_id: Loose<'a>,
}

/// One call, from either form. Bodies are JSON, or JSON in a text.
#[derive(Default)]
pub struct Call<'a> {
    pub level: Option<Cow<'a, str>>,
    pub date: Option<Cow<'a, str>>,
    pub method: Option<Cow<'a, str>>,
    pub url: Option<Cow<'a, str>>,
    pub status: Option<Cow<'a, str>>,
    pub correlation_id: Option<Cow<'a, str>>,
    pub authorization: Option<Cow<'a, str>>,
    pub request_body: Option<Cow<'a, str>>,
    pub response_body: Option<Cow<'a, str>>,
}

impl Adapter for SdkLog {
    fn name(&self) -> &'static str {
        "sdk_log"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        let text = |record: &Value, name: &str| record.get(name).and_then(Value::as_str).is_some();
        let is_call = |record: &Value| {
            text(record, "date")
                && text(record, "method")
                && record.get("url").and_then(Value::as_str).is_some_and(sdk_paths::is_of_platform)
        };
        sample.texts.iter().any(|block| sdk_text::is_block(block))
            || sample.records.iter().any(|record| is_call(record) || record.get("message").is_some_and(is_call))
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        if !record.text.starts_with('{') {
            return read_call(sdk_text::parse(record.text)?, record.at, sink);
        }
        let mut raw: Raw<'_> = serde_json::from_str(record.text).map_err(|e| Refusal::not_json(&e))?;
        if let (None, Some(inner)) = (&raw.method.0, raw.message.filter(|inner| inner.get().starts_with('{'))) {
            raw = serde_json::from_str(inner.get()).map_err(|e| Refusal::not_json(&e))?;
        }
        let of_platform = raw.url.as_deref().is_some_and(sdk_paths::is_of_platform);
        if !of_platform || raw.method.0.is_none() || raw.date.0.is_none() {
            return Err(Refusal::NotMine);
        }
        read_call(raw.into_call(), record.at, sink)
    }
}

impl<'a> Raw<'a> {
    fn into_call(self) -> Call<'a> {
        let headers = |raw: Option<&'a RawValue>| {
            raw.and_then(|raw| serde_json::from_str::<Headers<'a>>(raw.get()).ok()).unwrap_or_default()
        };
        let body = |raw: Option<&'a RawValue>| raw.map(|raw| Cow::Borrowed(raw.get()));
        let correlation_id = self.correlation_id.0.filter(|id| !id.is_empty());
        Call {
            level: self.level.0,
            date: self.date.0,
            method: self.method.0,
            url: self.url.0,
            status: self.status_code.0,
            // The Python SDK leaves it in the headers.
            correlation_id: correlation_id.or_else(|| headers(self.response_headers).correlation_id.0),
            authorization: headers(self.request_headers).authorization.0,
            request_body: body(self.request_body),
            response_body: body(self.response_body),
        }
    }
}

fn read_call(call: Call<'_>, at: Locator, sink: &mut Sink<'_>) -> Result<(), Refusal> {
    let mut event = Event::default();
    event.time = call.date.as_deref().map(|date| sink.time(&sortable(date))).transpose()?.flatten();
    count_secrets(&call, sink);
    let answer = call.response_body.as_deref().and_then(unwrapped);
    let body: Body<'_> = answer.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let status = call.status.as_deref().and_then(http_status);
    event.http_status = status.or_else(|| body.status.as_deref().and_then(http_status));
    let level = call.level.as_deref().unwrap_or_default();
    let code = [body.code, body.error_code, body.error].into_iter().find_map(Loose::take);
    let message = [body.message, body.description, body.error_description].into_iter().find_map(Loose::take);
    let message = message.map(|text| sink.clean(text));
    let said = (event.http_status.is_none() && level.eq_ignore_ascii_case("error")).then_some(Outcome::Failure);
    event.outcome = status::settle(said, event.http_status, code.as_deref(), message.as_deref());
    event.set(Text::ErrorCode, code.map(Cow::into_owned));
    event.set(Text::ErrorMessage, message.map(Cow::into_owned));
    let context = body.context_id.take().map(Cow::into_owned);
    event.set(Text::CorrelationId, call.correlation_id.or_else(|| context.map(Cow::Owned)));
    let address = call.url.as_deref().map(sdk_paths::read).unwrap_or_default();
    let method = call.method.as_deref().unwrap_or_default().to_ascii_uppercase();
    let operation = format!("{method} {}", address.path);
    if operation == "PUT /api/v2/recordings/deletionprotection" {
        note_protection(call.request_body.as_deref(), &address, &event, at, sink);
    }
    // At these levels older SDKs log a failing call once more besides the error.
    let failed = event.http_status.is_some_and(|status| status >= 400);
    let repeats = failed && ["debug", "trace"].iter().any(|other| level.eq_ignore_ascii_case(other));
    let operation = if repeats { format!("{} of {operation}", level.to_ascii_lowercase()) } else { operation };
    event.set(Text::Operation, Some(operation));
    event.set(Text::JobId, address.job);
    event.set(Text::ConversationId, address.conversation);
    event.set(Text::RecordingId, address.recording);
    sink.event(&event, at);
    Ok(())
}

/// `03-25-2021, 13:38:50` (Python, JSON) and `2021-03-25 13:38:55,586` (Python, text) as ISO 8601; both are local times.
fn sortable(date: &str) -> Cow<'_, str> {
    let american = date.split_once(", ").and_then(|(day, time)| {
        let mut parts = day.split('-');
        let (month, day, year) = (parts.next()?, parts.next()?, parts.next().filter(|year| year.len() == 4)?);
        Some(format!("{year}-{month}-{day} {time}"))
    });
    american.map_or_else(|| date.replacen(',', ".", 1).into(), Cow::Owned)
}

fn http_status(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|status| (100..600).contains(status))
}

/// A body that may be JSON inside a JSON text.
fn unwrapped(body: &str) -> Option<Cow<'_, str>> {
    if body.starts_with('"') { serde_json::from_str::<String>(body).ok().map(Cow::Owned) } else { Some(body.into()) }
}

/// Nothing of headers and request bodies is kept; what they hold of secrets is counted.
fn count_secrets(call: &Call<'_>, sink: &mut Sink<'_>) {
    let shown = |header: &str| !header.is_empty() && !header.eq_ignore_ascii_case("[REDACTED]");
    let mut found = u64::from(call.authorization.as_deref().is_some_and(shown));
    let url = call.url.as_deref().unwrap_or_default();
    let bodies = [&call.request_body, &call.response_body].into_iter().flatten();
    let bodies = bodies.filter(|_| url.contains("/oauth/")).map(Cow::as_ref);
    for text in bodies.chain(url.split_once('?').map(|(_, query)| query)) {
        found += redact(Cow::Borrowed(text)).1;
    }
    sink.count_redacted(found);
}

/// Protecting conversations from deletion is what the platform has of legal holds. Which ones is only in the body.
fn note_protection(body: Option<&str>, address: &Address<'_>, event: &Event<'_>, at: Locator, sink: &mut Sink<'_>) {
    #[derive(Deserialize)]
    struct Protected {
        #[serde(rename = "conversationIds")]
        conversations: Vec<String>,
    }
    let kind = match address.query.split('&').find_map(|pair| pair.strip_prefix("protect=")) {
        Some("true") => ChangeKind::HoldPlaced,
        Some("false") => ChangeKind::HoldReleased,
        _ => return,
    };
    let body = body.and_then(unwrapped).filter(|_| event.outcome == Outcome::Success);
    let protected = body.and_then(|body| serde_json::from_str::<Protected>(&body).ok());
    for conversation in protected.map(|protected| protected.conversations).unwrap_or_default() {
        if let Some(change) = sink.change(kind, event.time, conversation.clone(), at) {
            change.conversation = Some(conversation);
        }
    }
}
