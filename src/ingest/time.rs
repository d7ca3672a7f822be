//! Reading times: RFC 3339, epoch numbers, and times without a zone.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};

/// Earliest and latest time that is believed, microseconds: the years 2000 to 2099. S3 opened in 2006; what lies outside
/// is an unset clock or a placeholder, and would put every order of events out.
const BELIEVED: std::ops::Range<i64> = 946_684_800_000_000..4_102_444_800_000_000;

/// The zone taken for times that carry none (`--assume-tz`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssumedZone {
    Named(chrono_tz::Tz),
    Offset(FixedOffset),
}

impl Default for AssumedZone {
    fn default() -> Self {
        Self::Named(chrono_tz::UTC)
    }
}

/// As `--assume-tz` takes it.
impl fmt::Display for AssumedZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(zone) => f.write_str(zone.name()),
            Self::Offset(offset) => write!(f, "{offset}"),
        }
    }
}

impl FromStr for AssumedZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(offset) = FixedOffset::from_str(text) {
            return Ok(Self::Offset(offset));
        }
        chrono_tz::Tz::from_str(text)
            .map(Self::Named)
            .map_err(|_| format!("`{text}` is no zone; give an offset such as +01:00 or a name such as Europe/Berlin"))
    }
}

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Microseconds since 1970, UTC; `None` where the year is not believed.
    pub micros: Option<i64>,
    /// Whether the zone was assumed.
    pub zoneless: bool,
}

impl AssumedZone {
    /// Reads a time written as text; `None` where it is none.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Instant> {
        let text = text.trim();
        if let Some(time) = utc(text).or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())) {
            return Some(believed(time.timestamp_micros(), false));
        }
        if let Ok(number) = text.parse::<f64>() {
            return epoch(number);
        }
        // `+0000` without the colon, as ISO 8601's basic form and many loggers write it.
        if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
            return Some(believed(time.timestamp_micros(), false));
        }
        let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
        Some(self.local(naive))
    }

    pub(super) fn local(&self, naive: NaiveDateTime) -> Instant {
        let utc = match self {
            Self::Named(zone) => earliest(zone.from_local_datetime(&naive)).map(|t| t.with_timezone(&Utc)),
            Self::Offset(offset) => earliest(offset.from_local_datetime(&naive)).map(|t| t.with_timezone(&Utc)),
        };
        // A local time that the zone skips (the hour lost in spring) is no time at all.
        utc.map_or(Instant { micros: None, zoneless: true }, |time| believed(time.timestamp_micros(), true))
    }
}

/// The time of a text such as `2026-03-02T03:08:43.061Z`, in which nearly all are written; chrono reads it the same, more
/// slowly.
fn utc(text: &str) -> Option<DateTime<Utc>> {
    let (second, rest) = text.as_bytes().split_first_chunk::<19>()?;
    if [4, 7, 10, 13, 16].map(|n| second[n]) != *b"--T::" {
        return None;
    }
    let fraction = match rest {
        [b'Z'] => &[][..],
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => fraction,
        _ => return None,
    };
    let number = |digits: &[u8]| {
        let add = |sum: u32, byte: &u8| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'));
        digits.iter().try_fold(0, add)
    };
    let nanos = number(fraction)? * 10u32.pow(u32::try_from(9 - fraction.len()).ok()?);
    let year = i32::try_from(number(&second[..4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&second[5..7])?, number(&second[8..10])?)?;
    // A leap second is not read here.
    let [hour, minute, second] = [&second[11..13], &second[14..16], &second[17..]].map(number);
    Some(date.and_hms_nano_opt(hour?, minute?, second?, nanos)?.and_utc())
}

fn earliest<T: TimeZone>(result: LocalResult<DateTime<T>>) -> Option<DateTime<T>> {
    result.earliest()
}

/// Reads epoch seconds, milliseconds or microseconds, told apart by magnitude.
#[must_use]
pub fn epoch(number: f64) -> Option<Instant> {
    if !number.is_finite() {
        return None;
    }
    let micros = match number.abs() {
        n if n < 1e11 => number * 1e6,
        n if n < 1e14 => number * 1e3,
        n if n < 1e17 => number,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 1e17 by the match above")]
    Some(believed(micros.round() as i64, false))
}

/// Whether a time is one that reading can give.
#[must_use]
pub fn is_believed(micros: i64) -> bool {
    BELIEVED.contains(&micros)
}

/// A time whose zone is known.
#[must_use]
pub fn instant(micros: i64) -> Instant {
    believed(micros, false)
}

pub(super) fn believed(micros: i64, zoneless: bool) -> Instant {
    Instant { micros: is_believed(micros).then_some(micros), zoneless }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::utc;

    proptest! {
        #[test]
        fn a_time_that_is_read_fast_is_the_one_that_chrono_reads(
            text in r"(0|1|2)[0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,10})?(Z|z|\+01:00)?",
        ) {
            if let Some(time) = utc(&text) {
                prop_assert_eq!(DateTime::parse_from_rfc3339(&text), Ok(time.fixed_offset()));
            }
        }

        #[test]
        fn times_that_logs_have_are_read_fast(
            text in r"20[0-9]{2}-0[1-9]-[012][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z",
        ) {
            prop_assert!(utc(&text).is_some());
        }
    }
}
