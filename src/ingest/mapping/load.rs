//! From the text of a mapping file to a mapping. What is wrong is said with its line, and the nearest name that is right.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use regex::Regex;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::field::{From, Rule};
use super::time_format::TimeFormat;
use super::{Mapping, Place, Target, Time};
use crate::ingest::event::{TEXT_COLUMNS, Text};
use crate::ingest::export_trail::truth;
use crate::ingest::fold::fold;
use crate::ingest::status::outcome_of;
use crate::ingest::time::AssumedZone;
use crate::ingest::trail_fields::{STEPS, canonical_step};

/// The fields of an event besides texts.
const OTHER_FIELDS: [&str; 6] = ["time", "outcome", "http_status", "attempt", "duration_ms", "hold_acknowledged"];
const OUTCOMES: [&str; 4] = ["success", "failure", "timeout", "unknown"];
/// Units of durations, and how many milliseconds each is.
const UNITS: [(&str, f64); 4] = [("ms", 1.0), ("s", 1000.0), ("us", 0.001), ("ns", 0.000_001)];
/// What a field may be made of.
const RULE_KEYS: [&str; 11] =
    ["from", "join", "with", "constant", "pattern", "values", "otherwise", "empty", "format", "zone", "unit"];
/// Deepest place of a list of records.
const MAX_PATH: usize = 16;

type Value<'t> = Spanned<DeValue<'t>>;
type Key<'t> = Spanned<DeString<'t>>;

/// Says what is wrong at a place in the text.
#[derive(Clone, Copy)]
struct Loader<'t> {
    text: &'t str,
}

/// Reads the text of a mapping; the error is one sentence.
pub(super) fn mapping(text: &str, origin: &str, sha256: String) -> Result<Mapping, String> {
    let loader = Loader { text };
    let document = DeTable::parse(text).map_err(|e| match e.span() {
        Some(span) => loader.at(&span, e.message()),
        None => e.message().to_owned(),
    })?;
    let document = document.into_inner();
    loader.only(&document, &["name", "match", "read", "fields"], "a mapping")?;
    let name = document.get("name").ok_or("it has no `name`; expected name = \"...\", by which the ledger calls it")?;
    let name = loader.name(name)?;
    let which = loader.table(document.get("match").ok_or("it has no [match]; expected which files it is for")?)?;
    loader.only(which, &["columns", "path"], "[match]")?;
    let columns = which.get("columns").ok_or("[match] has no `columns`; expected those that a file must have")?;
    let columns = loader.places(columns)?;
    let read = document.get("read").map(|read| loader.table(read)).transpose()?;
    let (mut records, mut nulls) = (None, Vec::new());
    if let Some(read) = read {
        loader.only(read, &["records", "null"], "[read]")?;
        records = read.get("records").map(|value| loader.path(value)).transpose()?;
        nulls = read.get("null").map(|value| loader.texts(value)).transpose()?.unwrap_or_default();
    }
    let fields = document.get("fields").ok_or("it has no [fields]; expected what each field of an event is made of")?;
    let fields = loader.table(fields)?;
    let time = fields.get("time").ok_or("[fields] has no `time`; nothing can be said of records without a time")?;
    Ok(Mapping {
        name,
        sha256: sha256.into(),
        origin: origin.to_owned(),
        columns,
        path: which.get("path").map(|value| loader.glob(value)).transpose()?,
        records,
        nulls,
        time: loader.time(time)?,
        fields: loader.fields(fields)?,
    })
}

impl<'t> Loader<'t> {
    fn at(self, span: &Range<usize>, what: &str) -> String {
        let line = self.text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1;
        format!("line {line}: {what}")
    }

    fn wrong(self, value: &Value<'_>, what: &str) -> String {
        self.at(&value.span(), what)
    }

    /// Refuses keys that mean nothing.
    fn only(self, table: &DeTable<'t>, known: &[&str], whose: &str) -> Result<(), String> {
        match table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            Some(key) => Err(self.unknown(key, known, whose)),
            None => Ok(()),
        }
    }

    fn unknown(self, key: &Key<'_>, known: &[&str], whose: &str) -> String {
        let (name, nearest) = (key.get_ref(), nearest(key.get_ref(), known));
        let expected = nearest.map_or_else(|| format!("expected one of {}", known.join(", ")), did_you_mean);
        self.at(&key.span(), &format!("{whose} has no `{name}`; {expected}"))
    }

    fn table<'v>(self, value: &'v Value<'t>) -> Result<&'v DeTable<'t>, String> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            other => Err(self.wrong(value, &format!("expected a table, found {}", other.type_str()))),
        }
    }

    /// A text; numbers and booleans are taken as they are written.
    fn text(self, value: &Value<'t>) -> Result<String, String> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            DeValue::Float(number) => Ok(number.as_str().to_owned()),
            DeValue::Boolean(value) => Ok(value.to_string()),
            other => Err(self.wrong(value, &format!("expected a text, found {}", other.type_str()))),
        }
    }

    /// A list of texts, or a single one.
    fn texts(self, value: &Value<'t>) -> Result<Vec<String>, String> {
        let texts = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.text(item)).collect::<Result<Vec<_>, _>>()?,
            _ => vec![self.text(value)?],
        };
        if texts.is_empty() { Err(self.wrong(value, "expected at least one")) } else { Ok(texts) }
    }

    fn places(self, value: &Value<'t>) -> Result<Vec<Place>, String> {
        Ok(self.texts(value)?.iter().map(|text| Place::parse(text)).collect())
    }

    fn name(self, value: &Value<'t>) -> Result<String, String> {
        let name = self.text(value)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
            return Err(self.wrong(value, "expected a name of small letters, digits, `-` and `_`, 40 at most"));
        }
        Ok(name)
    }

    fn glob(self, value: &Value<'t>) -> Result<glob::Pattern, String> {
        let text = self.text(value)?;
        glob::Pattern::new(&text).map_err(|e| self.wrong(value, &format!("`{text}` is no glob ({})", e.msg)))
    }

    /// The place of the list of records in a document.
    fn path(self, value: &Value<'t>) -> Result<Vec<String>, String> {
        let text = self.text(value)?;
        let names = Place::parse(&text).0;
        let plain = |name: &String| !name.is_empty() && !name.contains(['"', '\\']) && !name.contains(char::is_control);
        if names.len() > MAX_PATH || !names.iter().all(plain) {
            return Err(self.wrong(value, "expected a JSON pointer to the list of records, such as /data/items"));
        }
        Ok(names)
    }

    fn time(self, value: &Value<'t>) -> Result<Time, String> {
        let rule = self.rule(value, "time", &["format", "zone"])?;
        let get = |key: &str| match value.get_ref() {
            DeValue::Table(table) => table.get(key),
            _ => None,
        };
        let format = match get("format") {
            None => TimeFormat::Any,
            Some(format) => TimeFormat::parse(&self.text(format)?).map_err(|what| self.wrong(format, &what))?,
        };
        let zone =
            get("zone").map(|zone| AssumedZone::from_str(&self.text(zone)?).map_err(|what| self.wrong(zone, &what)));
        Ok(Time { rule, format, zone: zone.transpose()? })
    }

    fn fields(self, table: &DeTable<'t>) -> Result<Vec<(Target, Rule)>, String> {
        let mut fields = Vec::new();
        for (key, value) in table.iter().filter(|(key, _)| key.get_ref() != "time") {
            let name = key.get_ref().as_ref();
            let target = match name {
                "outcome" => Target::Outcome,
                "http_status" => Target::HttpStatus,
                "attempt" => Target::Attempt,
                "duration_ms" => Target::Duration(self.unit(value)?),
                "hold_acknowledged" => Target::HoldAcknowledged,
                _ => {
                    let column = TEXT_COLUMNS.iter().position(|column| *column == name);
                    let known = || -> Vec<&str> { OTHER_FIELDS.iter().chain(TEXT_COLUMNS).copied().collect() };
                    Target::Text(Text::ALL[column.ok_or_else(|| self.unknown(key, &known(), "an event"))?])
                }
            };
            let more: &[&str] = if matches!(target, Target::Duration(_)) { &["unit"] } else { &[] };
            let rule = self.rule(value, name, more)?;
            check_targets(target, &rule).map_err(|what| self.wrong(value, &what))?;
            fields.push((target, rule));
        }
        Ok(fields)
    }

    fn unit(self, value: &Value<'t>) -> Result<f64, String> {
        let DeValue::Table(table) = value.get_ref() else { return Ok(1.0) };
        let Some(unit) = table.get("unit") else { return Ok(1.0) };
        let text = self.text(unit)?;
        let found = UNITS.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, factor)| *factor)
            .ok_or_else(|| self.wrong(unit, &format!("`{text}` is no unit of durations; expected ms, s, us or ns")))
    }

    /// What a field is made of: a name, a list of names, or a table that says more.
    fn rule(self, value: &Value<'t>, field: &str, more: &[&str]) -> Result<Rule, String> {
        let bare = |from| Rule { from, pattern: None, values: BTreeMap::new(), otherwise: None, empty: None };
        let DeValue::Table(table) = value.get_ref() else { return Ok(bare(From::First(self.places(value)?))) };
        self.only(table, &RULE_KEYS, &format!("the field `{field}`"))?;
        let mut misplaced = ["format", "zone", "unit"].into_iter().filter(|key| !more.contains(key));
        if let Some((key, _)) = misplaced.find_map(|key| table.get_key_value(key)) {
            return Err(self.at(&key.span(), &format!("the field `{field}` has no `{}`", key.get_ref())));
        }
        let text = |key: &str| table.get(key).map(|value| self.text(value)).transpose();
        let from = match (table.get("from"), table.get("join"), table.get("constant")) {
            (Some(from), None, None) => From::First(self.places(from)?),
            (None, Some(join), None) => {
                From::Joined { places: self.places(join)?, with: text("with")?.unwrap_or_else(|| " ".to_owned()) }
            }
            (None, None, Some(constant)) => From::Constant(self.text(constant)?),
            _ => {
                let what = format!("the field `{field}` needs one of `from`, `join` and `constant`, and only one");
                return Err(self.wrong(value, &what));
            }
        };
        let pattern = table.get("pattern").map(|pattern| {
            let text = self.text(pattern)?;
            Regex::new(&text).map_err(|e| {
                let what = e.to_string();
                let last = what.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
                self.wrong(pattern, &format!("`{text}` is no regular expression ({last})"))
            })
        });
        let values = match table.get("values") {
            None => BTreeMap::new(),
            Some(values) => {
                let pairs = self.table(values)?.iter();
                pairs
                    .map(|(key, value)| Ok((key.get_ref().trim().to_owned(), self.text(value)?)))
                    .collect::<Result<_, String>>()?
            }
        };
        Ok(Rule { from, pattern: pattern.transpose()?, values, otherwise: text("otherwise")?, empty: text("empty")? })
    }
}

/// Checks what values are translated to, where only some make sense.
fn check_targets(target: Target, rule: &Rule) -> Result<(), String> {
    let constant = match &rule.from {
        From::Constant(text) => Some(text),
        _ => None,
    };
    let all = rule
        .values
        .values()
        .chain(&rule.otherwise)
        .chain(&rule.empty)
        .chain(constant.filter(|_| rule.values.is_empty()));
    for text in all {
        match target {
            Target::Outcome if !OUTCOMES.contains(&text.as_str()) && outcome_of(text).is_none() => {
                return Err(expected(text, "outcome", &OUTCOMES));
            }
            Target::HoldAcknowledged if truth(text).is_none() => {
                return Err(expected(text, "yes or no", &["true", "false"]));
            }
            Target::HttpStatus if !text.parse().is_ok_and(|n: u16| (100..600).contains(&n)) => {
                return Err(format!("`{text}` is no HTTP status; expected 100 to 599"));
            }
            // Other steps than these are allowed; one that is nearly one of these is a slip.
            Target::Text(Text::Step) if !STEPS.contains(&canonical_step(fold(text).as_str())) => {
                if let Some(step) = nearest(text, &STEPS) {
                    return Err(format!("`{text}` is no step of an export; {}", did_you_mean(step)));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn expected(text: &str, what: &str, known: &[&str]) -> String {
    let hint = nearest(text, known).map_or_else(|| format!("expected one of {}", known.join(", ")), did_you_mean);
    format!("`{text}` is no {what}; {hint}")
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// The known name that is most like `name`, if any is much like it.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['_', '-', '.', ' '], "");
    let likeness = |k: &&&str| strsim::jaro_winkler(&folded(name), &folded(k));
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) > 0.85).then_some(*best)
}
