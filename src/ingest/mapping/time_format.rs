//! How a mapping says that times are written.

use std::fmt::Write as _;
use std::str::FromStr as _;

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDateTime};

use crate::ingest::time::{AssumedZone, Instant, believed};

/// The names that are understood besides patterns.
pub(super) const NAMES: [&str; 6] = ["any", "rfc3339", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"];

/// How times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// As the export trail's: RFC 3339, epoch numbers told apart by size, common forms without a zone.
    Any,
    Rfc3339,
    /// A number, so many a second.
    Epoch(i64),
    /// A pattern of chrono's `strftime` that says the zone, or the time since 1970.
    Zoned(String),
    /// One that does not.
    Local(String),
}

impl TimeFormat {
    /// The format of a name or pattern; the error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "any" => return Ok(Self::Any),
            "rfc3339" => return Ok(Self::Rfc3339),
            "epoch_s" => return Ok(Self::Epoch(1)),
            "epoch_ms" => return Ok(Self::Epoch(1_000)),
            "epoch_us" => return Ok(Self::Epoch(1_000_000)),
            "epoch_ns" => return Ok(Self::Epoch(1_000_000_000)),
            _ => {}
        }
        let items: Vec<Item<'_>> = StrftimeItems::new(text).collect();
        if !text.contains('%') || items.contains(&Item::Error) {
            return Err(format!(
                "`{text}` is no format of times; expected {}, or a pattern such as %d/%m/%Y %H:%M:%S",
                NAMES.join(", ")
            ));
        }
        let zoned = items.iter().any(|item| {
            let fixed = matches!(
                item,
                Item::Fixed(
                    Fixed::TimezoneOffset
                        | Fixed::TimezoneOffsetColon
                        | Fixed::TimezoneOffsetDoubleColon
                        | Fixed::TimezoneOffsetTripleColon
                        | Fixed::TimezoneOffsetColonZ
                        | Fixed::TimezoneOffsetZ
                        | Fixed::RFC2822
                        | Fixed::RFC3339
                )
            );
            // `%#z` is not named by the library.
            fixed || *item == Item::Numeric(Numeric::Timestamp, chrono::format::Pad::None)
        }) || text.contains("%#z");
        let format = if zoned { Self::Zoned(text.to_owned()) } else { Self::Local(text.to_owned()) };
        if format.holds_all() {
            return Ok(format);
        }
        Err(format!("`{text}` leaves a part of the time open; expected a pattern with a whole date, hours and minutes"))
    }

    /// Whether a time can be read again from what the pattern makes of it.
    fn holds_all(&self) -> bool {
        let (Self::Zoned(pattern) | Self::Local(pattern)) = self else { return true };
        ["2026-03-02T13:45:00+02:00", "2027-11-30T01:07:00+02:00"].iter().all(|sample| {
            let Ok(time) = DateTime::parse_from_rfc3339(sample) else { return false };
            let mut text = String::new();
            let read = write!(text, "{}", time.format(pattern)).ok().and_then(|()| self.parsed(&text));
            let local = if matches!(self, Self::Zoned(_)) { time.naive_utc() } else { time.naive_local() };
            read == Some(local)
        })
    }

    fn parsed(&self, text: &str) -> Option<NaiveDateTime> {
        match self {
            Self::Zoned(pattern) => {
                DateTime::parse_from_str(text, pattern).ok().map(|time| time.naive_utc()).or_else(|| {
                    // `%s` alone has no zone either.
                    NaiveDateTime::parse_from_str(text, pattern).ok()
                })
            }
            Self::Local(pattern) => NaiveDateTime::parse_from_str(text, pattern).ok(),
            Self::Any | Self::Rfc3339 | Self::Epoch(_) => None,
        }
    }

    /// Reads a time; `zone` is for those without one.
    pub(super) fn read(&self, text: &str, zone: AssumedZone) -> Option<Instant> {
        let text = text.trim();
        match self {
            Self::Any => zone.read(text),
            Self::Rfc3339 => {
                DateTime::<FixedOffset>::from_str(text).ok().map(|t| believed(t.timestamp_micros(), false))
            }
            Self::Epoch(per_second) => epoch(text, *per_second).map(|micros| believed(micros, false)),
            Self::Zoned(_) => self.parsed(text).map(|time| believed(time.and_utc().timestamp_micros(), false)),
            Self::Local(_) => self.parsed(text).map(|time| zone.local(time)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "checked to be within range")]
fn epoch(text: &str, per_second: i64) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        let micros = i128::from(number) * 1_000_000;
        return i64::try_from(micros.div_euclid(i128::from(per_second))).ok();
    }
    let micros = text.parse::<f64>().ok()? * (1e6 / per_second as f64);
    (micros.abs() < 1e17).then(|| micros.round() as i64)
}
