//! What a field of an event is made of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;

use super::picked;
use super::row::{Found, Place, Row};
use crate::ingest::event::is_blank;

/// Where the values of a field come from.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// The first of these that says something.
    First(Vec<Place>),
    /// All of these, one behind the other.
    Joined {
        places: Vec<Place>,
        with: String,
    },
    Constant(String),
}

/// What a field is made of.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) from: From,
    /// Picks out a part of the text.
    pub(super) pattern: Option<Regex>,
    /// What is taken for what, and for everything that is not in here.
    pub(super) values: BTreeMap<String, String>,
    pub(super) otherwise: Option<String>,
    /// What nothing is taken for.
    pub(super) empty: Option<String>,
}

impl Rule {
    /// The value of the field in `row`; texts in `nulls` say nothing.
    pub(super) fn value<'r>(&'r self, row: &'r Row<'_>, nulls: &[String]) -> Option<Found<'r>> {
        let said = self.raw(row, nulls).and_then(|found| self.picked(found)).map(|found| self.translated(found));
        said.or_else(|| self.empty.as_deref().map(|text| Found::Text(Cow::Borrowed(text))))
    }

    fn raw<'r>(&'r self, row: &'r Row<'_>, nulls: &[String]) -> Option<Found<'r>> {
        let says = |found: &Found<'_>| match found {
            Found::Text(text) => !is_blank(text) && !nulls.iter().any(|null| null == text.trim()),
            Found::List(items) => !items.is_empty(),
        };
        match &self.from {
            From::First(places) => places.iter().filter_map(|place| row.at(place)).find(says),
            From::Joined { places, with } => {
                let parts: Option<Vec<Found<'r>>> = places.iter().map(|place| row.at(place).filter(says)).collect();
                let texts: Vec<Cow<'r, str>> = parts?.into_iter().map(text).collect();
                Some(Found::Text(Cow::Owned(texts.join(with))))
            }
            From::Constant(text) => Some(Found::Text(Cow::Borrowed(text))),
        }
    }

    fn picked<'r>(&self, found: Found<'r>) -> Option<Found<'r>> {
        let Some(pattern) = &self.pattern else { return Some(found) };
        let part = picked(pattern, &text(found)).filter(|part| !is_blank(part)).map(str::to_owned);
        part.map(|part| Found::Text(Cow::Owned(part)))
    }

    fn translated<'r>(&'r self, found: Found<'r>) -> Found<'r> {
        if self.values.is_empty() && self.otherwise.is_none() {
            return found;
        }
        let target = |text: &str| self.values.get(text.trim()).or(self.otherwise.as_ref());
        match found {
            Found::Text(text) => match target(&text) {
                Some(target) => Found::Text(Cow::Borrowed(target)),
                None => Found::Text(text),
            },
            Found::List(items) => {
                Found::List(items.into_iter().map(|item| target(&item).cloned().unwrap_or(item)).collect())
            }
        }
    }
}

/// A value as one text.
pub(super) fn text(found: Found<'_>) -> Cow<'_, str> {
    match found {
        Found::Text(text) => text,
        Found::List(items) => Cow::Owned(items.join(" ")),
    }
}
