//! The text form of the SDKs' logs: a line with time and level, then the request and the response under a heading each.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::adapter::Refusal;
use super::sdk_log::Call;

const REQUEST: &str = "=== REQUEST ===";
const RESPONSE: &str = "=== RESPONSE ===";

/// Whether a record of several lines is such a block.
#[must_use]
pub fn is_block(text: &str) -> bool {
    text.lines().nth(1).is_some_and(|line| line.trim_end() == REQUEST)
}

/// Reads a block.
///
/// # Errors
/// It is none, or it ends before it says what became of the request.
pub fn parse(text: &str) -> Result<Call<'_>, Refusal> {
    if !is_block(text) {
        return Err(Refusal::NotMine);
    }
    let broken = |reason: &str| Refusal::Broken(reason.to_owned());
    let (opening, rest) = text.split_once('\n').ok_or(Refusal::NotMine)?;
    let (_, rest) = rest.split_once('\n').ok_or_else(|| broken("a logged request that is cut off at its start"))?;
    let (request, response) = sections(rest)
        .ok_or_else(|| broken("a logged request without its response; the log was cut off, get a whole copy"))?;
    if sections(response).is_some() {
        // An address with line feeds in it may bring its own headings along.
        return Err(broken("a logged request with two responses; it does not say which one is true"));
    }
    let (level, date) = opened(opening.trim());
    let (request, response) = (Section::of(request), Section::of(response));
    let body = response.body.map(whole_body).transpose()?.flatten();
    let call = Call {
        level: level.map(Cow::Borrowed),
        date: date.map(Cow::Borrowed),
        method: request.field("Method"),
        url: request.field("URL"),
        status: response.field("Status"),
        correlation_id: response.field("CorrelationId").or_else(|| response.header("inin-correlation-id")),
        authorization: request.header("authorization"),
        request_body: request.body.map(Cow::Borrowed),
        response_body: body.map(Cow::Borrowed),
    };
    if call.url.is_none() || call.method.is_none() {
        return Err(broken("a logged request without address or method"));
    }
    // Both SDKs write it whenever there was an answer; the Python SDK writes 0 where there was none.
    if call.status.as_deref().is_none_or(|status| status.len() != 3 && status != "0") {
        return Err(broken("a logged response without a whole status; the log was cut off, get a whole copy"));
    }
    Ok(call)
}

/// `2026-03-02 01:00:10,586 ERROR`, `ERROR: 2026-03-02T01:00:10.586Z`.
fn opened(line: &str) -> (Option<&str>, Option<&str>) {
    if let Some((level, time)) = line.split_once(": ") {
        return (Some(level), Some(time.trim()));
    }
    match line.rsplit_once(' ') {
        Some((time, level)) if level.bytes().all(|b| b.is_ascii_uppercase()) => (Some(level), Some(time.trim())),
        _ => (None, Some(line)),
    }
}

/// What lies before the heading of the response, and after it.
fn sections(text: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == RESPONSE {
            return Some((&text[..start], &text[start + line.len()..]));
        }
        start += line.len();
    }
    None
}

/// Lines up to the body, which goes on to the end of the section.
struct Section<'a> {
    head: &'a str,
    body: Option<&'a str>,
}

impl<'a> Section<'a> {
    fn of(text: &'a str) -> Self {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if line.starts_with("Body: ") {
                let body = text[start + "Body: ".len()..].trim();
                return Self { head: &text[..start], body: Some(body).filter(|body| !body.is_empty()) };
            }
            start += line.len();
        }
        Self { head: text, body: None }
    }

    /// The first line `name: value`.
    fn field(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?.trim();
        Some(value).filter(|value| !value.is_empty()).map(Cow::Borrowed)
    }

    /// A header, which stands indented.
    fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let headers = self.head.lines().filter_map(|line| line.strip_prefix('\t')?.split_once(": "));
        headers.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| Cow::Borrowed(value.trim())).next()
    }
}

/// The JSON that a body begins with; other text, as a proxy may answer with, is no body to read.
fn whole_body(body: &str) -> Result<Option<&str>, Refusal> {
    if !body.starts_with('{') {
        return Ok(None);
    }
    let mut values = serde_json::Deserializer::from_str(body).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(Some(&body[..values.byte_offset()])),
        Some(Err(e)) if e.is_eof() => Err(Refusal::Broken(
            "a logged response that ends inside its body; the log was cut off, get a whole copy".to_owned(),
        )),
        _ => Ok(None),
    }
}
