//! Times as they are written everywhere.

use chrono::DateTime;

/// RFC 3339, UTC, with as many digits of the second as the time has (0, 3 or 6).
#[must_use]
pub fn rfc3339(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        .unwrap_or_default()
}

/// Microseconds since 1970 of a time that [`rfc3339`] wrote.
#[must_use]
pub fn micros(rfc3339: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(rfc3339).ok().map(|time| time.timestamp_micros())
}
