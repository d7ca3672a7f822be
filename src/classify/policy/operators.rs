//! The condition operators: which there are, and when one value meets another.
//!
//! Source: IAM user guide, "IAM JSON policy elements: Condition operators".

use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::pattern::Pattern;

/// What an operator compares, its negation set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

/// How a key with several values is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    One,
    ForAnyValue,
    ForAllValues,
}

/// An operator such as `ForAnyValue:StringNotLikeIfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub set: Set,
    pub base: Base,
    pub negated: bool,
    pub if_exists: bool,
}

impl Operator {
    /// Reads an operator's name; `None` where there is none of that name.
    pub fn read(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (set, rest) = match name.split_once(':') {
            None => (Set::One, name.as_str()),
            Some(("foranyvalue", rest)) => (Set::ForAnyValue, rest),
            Some(("forallvalues", rest)) => (Set::ForAllValues, rest),
            Some(_) => return None,
        };
        let (rest, if_exists) = rest.strip_suffix("ifexists").map_or((rest, false), |rest| (rest, true));
        let (base, negated) = base(rest)?;
        // Whether a key is there is all that `Null` asks.
        (base != Base::Null || !if_exists).then_some(Self { set, base, negated, if_exists })
    }

    /// Whether the texts of a policy may hold wildcards.
    pub fn has_wildcards(self) -> bool {
        matches!(self.base, Base::StringLike | Base::Arn)
    }

    /// Whether the texts of a policy may hold variables.
    pub fn has_variables(self) -> bool {
        let strings = matches!(self.base, Base::StringEquals | Base::StringEqualsIgnoreCase | Base::StringLike);
        strings || matches!(self.base, Base::Arn | Base::Bool)
    }

    /// What `value`, of a policy, should be and is not.
    pub fn expects(self, value: &str) -> Option<&'static str> {
        match self.base {
            Base::Numeric(_) if value.trim().parse::<f64>().is_err() => Some("a number"),
            Base::Date(_) if date(value).is_none() => Some("a date"),
            Base::Ip if range(value).is_none() => Some("an IP address or range"),
            Base::Bool | Base::Null if truth(value).is_none() && !value.contains("${") => Some("true or false"),
            Base::Binary if unpack(value).is_none() => Some("base64"),
            _ => None,
        }
    }
}

fn base(name: &str) -> Option<(Base, bool)> {
    let order = |name: &str| {
        Some(match name {
            "equals" => (Order::Equals, false),
            "notequals" => (Order::Equals, true),
            "lessthan" => (Order::LessThan, false),
            "lessthanequals" => (Order::LessThanEquals, false),
            "greaterthan" => (Order::GreaterThan, false),
            "greaterthanequals" => (Order::GreaterThanEquals, false),
            _ => return None,
        })
    };
    if let Some(rest) = name.strip_prefix("numeric") {
        return order(rest).map(|(order, negated)| (Base::Numeric(order), negated));
    }
    if let Some(rest) = name.strip_prefix("date") {
        return order(rest).map(|(order, negated)| (Base::Date(order), negated));
    }
    Some(match name {
        "stringequals" => (Base::StringEquals, false),
        "stringnotequals" => (Base::StringEquals, true),
        "stringequalsignorecase" => (Base::StringEqualsIgnoreCase, false),
        "stringnotequalsignorecase" => (Base::StringEqualsIgnoreCase, true),
        "stringlike" => (Base::StringLike, false),
        "stringnotlike" => (Base::StringLike, true),
        "bool" => (Base::Bool, false),
        "binaryequals" => (Base::Binary, false),
        "ipaddress" => (Base::Ip, false),
        "notipaddress" => (Base::Ip, true),
        "arnequals" | "arnlike" => (Base::Arn, false),
        "arnnotequals" | "arnnotlike" => (Base::Arn, true),
        "null" => (Base::Null, false),
        _ => return None,
    })
}

/// Whether a value of the request meets one of the policy, the operator's negation set aside: as a `pattern` where it has
/// wildcards or variables, else as the `text` it is.
pub(super) fn meets(base: Base, actual: &str, text: &str, pattern: &Pattern) -> bool {
    match base {
        Base::StringEquals | Base::StringLike => pattern.matches(actual),
        Base::StringEqualsIgnoreCase => pattern.matches_any_case(actual),
        Base::Arn => pattern.matches_arn(actual),
        Base::Bool => truth(actual).is_some() && pattern.matches_any_case(actual),
        Base::Numeric(order) => {
            let number = |text: &str| text.trim().parse::<f64>().ok();
            number(actual).zip(number(text)).is_some_and(|(actual, wanted)| order.holds(&actual, &wanted))
        }
        Base::Date(order) => date(actual).zip(date(text)).is_some_and(|(actual, wanted)| order.holds(&actual, &wanted)),
        Base::Ip => address(actual).zip(range(text)).is_some_and(|(address, range)| within(address, range)),
        // The value may be given as it is, or in base64 as policies write it.
        Base::Binary => actual == text || unpack(text).is_some_and(|bytes| bytes == actual.as_bytes()),
        Base::Null => false,
    }
}

impl Order {
    fn holds<T: PartialOrd>(self, actual: &T, wanted: &T) -> bool {
        match self {
            Self::Equals => actual == wanted,
            Self::LessThan => actual < wanted,
            Self::LessThanEquals => actual <= wanted,
            Self::GreaterThan => actual > wanted,
            Self::GreaterThanEquals => actual >= wanted,
        }
    }
}

/// `true` or `false`, in whatever case.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Microseconds since 1970 of a date in one of the forms of <https://www.w3.org/TR/NOTE-datetime>, or in epoch seconds.
fn date(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits && text.len() != 4 {
        return text.parse::<i64>().ok()?.checked_mul(1_000_000);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    // Without seconds, and with the zone written without its colon.
    let zoned = ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"];
    let utc = text.replace(['Z', 'z'], "+00:00");
    if let Some(time) = zoned.iter().find_map(|form| DateTime::parse_from_str(&utc, form).ok()) {
        return Some(time.timestamp_micros());
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
        return Some(time.and_utc().timestamp_micros());
    }
    let day = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let day = NaiveDate::parse_from_str(&day, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok()
}

/// An address and how many of its bits count.
fn range(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, bits)| (a, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(all), |bits| bits.parse().ok().filter(|bits| *bits <= all))?;
    Some((address, bits))
}

fn within(address: IpAddr, (net, bits): (IpAddr, u8)) -> bool {
    match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            let differing = u32::from(address) ^ u32::from(net);
            bits == 0 || differing >> (32 - bits) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(net)) => {
            let differing = u128::from(address) ^ u128::from(net);
            bits == 0 || differing >> (128 - bits) == 0
        }
        _ => false,
    }
}

/// The bytes that a text in base64 stands for, with its padding or without.
fn unpack(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(text.trim()).ok()
}
