//! Blanking secrets before anything is kept: bearer tokens, client secrets, passwords, signatures of signed URLs.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?P<head> \b(?:authorization|x-amz-security-token)["']?\s*[:=]\s*["']? (?:(?:bearer|basic)\s+)?
        | \b(?:client_?secret|secret(?:_?access)?_?key|password|passwd|access_?token|refresh_?token|id_?token
             |x-amz-signature|x-amz-credential|signature)["']?\s*[:=]\s*["']? )
        [A-Za-z0-9+/=._~%:-]{8,}
        | (?P<scheme> \b(?:bearer|basic)\s+ ) [A-Za-z0-9+/=._~-]{20,}"#,
    )
    .expect("a fixed pattern")
});

/// Most messages name none of these; looking for them first is far cheaper than the pattern.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("(?i)authorization|bearer|basic|secret|passw|token|signature|credential").expect("a fixed pattern")
});

const BLANK: &str = "[redacted]";

/// Replaces what looks like a secret in `text` and says how many were found.
#[must_use]
pub fn redact(text: Cow<'_, str>) -> (Cow<'_, str>, u64) {
    if !WORDS.is_match(&text) {
        return (text, 0);
    }
    let mut found = 0;
    let clean = SECRETS.replace_all(&text, |captures: &regex::Captures<'_>| {
        found += 1;
        let kept = captures.name("head").or_else(|| captures.name("scheme")).map_or("", |m| m.as_str());
        format!("{kept}{BLANK}")
    });
    if found == 0 {
        return (text, 0);
    }
    (Cow::Owned(clean.into_owned()), found)
}

/// Blanks members that hold secrets by name, at any depth; returns how many.
pub fn redact_value(value: &mut Value) -> u64 {
    match value {
        Value::Object(members) => members
            .iter_mut()
            .map(|(name, member)| {
                let name = name.to_ascii_lowercase();
                let secret = ["secret", "password", "authorization", "accesstoken", "access_token", "secretaccesskey"];
                if secret.contains(&name.as_str()) && member.is_string() {
                    *member = Value::String(BLANK.to_owned());
                    1
                } else {
                    redact_value(member)
                }
            })
            .sum(),
        Value::Array(items) => items.iter_mut().map(redact_value).sum(),
        _ => 0,
    }
}
