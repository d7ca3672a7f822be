//! Changes and documents as tables, and back.

use polars::prelude::*;
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer as _, value::StrDeserializer};

use crate::evidence::{Digest, Locator, Name};
use crate::ingest::{Change, ChangeKind, Document, DocumentKind, is_believed, source_named};

/// The name of a kind in the tables.
fn name<T: Serialize>(kind: T) -> String {
    serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A list as JSON text.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn text(name: &str, values: impl Iterator<Item = Option<String>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

/// The columns that say where each fact was read.
fn places(facts: &(impl Iterator<Item = (&'static str, Locator, Option<Digest>)> + Clone)) -> Vec<Column> {
    let number = |of: fn(&Locator) -> u64| facts.clone().map(|(_, at, _)| of(&at)).collect::<Vec<_>>();
    vec![
        text("source", facts.clone().map(|(source, ..)| Some(source.to_owned()))),
        Column::new("file".into(), facts.clone().map(|(_, at, _)| at.file).collect::<Vec<_>>()),
        Column::new("record".into(), number(|at| at.record)),
        Column::new("offset".into(), number(|at| at.offset)),
        Column::new("length".into(), number(|at| at.length)),
        text("sha256", facts.clone().map(|(.., digest)| digest.map(|d| d.to_string()))),
    ]
}

/// The table of `changes`.
///
/// # Errors
/// Never for columns of equal length, which these are.
pub fn changes_frame(changes: &[&Change]) -> PolarsResult<DataFrame> {
    let of = |get: fn(&Change) -> Option<String>| changes.iter().map(move |change| get(change));
    let time = Int64Chunked::from_iter_values("time".into(), changes.iter().map(|change| change.time));
    let mut columns = vec![
        text("kind", of(|c| Some(name(c.kind)))),
        time.into_datetime(TimeUnit::Microseconds, None).into_series().into(),
        text("subject", of(|c| Some(c.subject.clone()))),
        text("also", of(|c| Some(json(&c.also)))),
        text("permissions", of(|c| Some(json(&c.permissions)))),
        text("name", of(|c| c.name.as_ref().map(String::from))),
        text("conversation", of(|c| c.conversation.clone())),
        text("hold", of(|c| c.hold.clone())),
        text("actor", of(|c| c.actor.as_ref().map(String::from))),
    ];
    columns.extend(places(&changes.iter().map(|c| (c.source, c.at, c.sha256))));
    DataFrame::new(changes.len(), columns)
}

/// The table of `documents`.
///
/// # Errors
/// As [`changes_frame`].
pub fn documents_frame(documents: &[&Document]) -> PolarsResult<DataFrame> {
    let of = |get: fn(&Document) -> Option<String>| documents.iter().map(move |document| get(document));
    let time = Int64Chunked::from_iter_options("time".into(), documents.iter().map(|document| document.time));
    let mut columns = vec![
        text("kind", of(|d| Some(name(d.kind)))),
        text("subjects", of(|d| Some(json(&d.subjects)))),
        time.into_datetime(TimeUnit::Microseconds, None).into_series().into(),
        text("body", of(|d| Some(json(&d.body)))),
    ];
    columns.extend(places(&documents.iter().map(|d| (d.source, d.at, d.sha256))));
    DataFrame::new(documents.len(), columns)
}

/// One row of a table of facts.
struct Row<'a> {
    frame: &'a DataFrame,
    row: usize,
}

impl<'a> Row<'a> {
    fn text(&self, column: &str) -> Option<&'a str> {
        self.frame.column(column).ok()?.str().ok()?.get(self.row)
    }

    fn owned(&self, column: &str) -> Option<String> {
        self.text(column).map(str::to_owned)
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Option<T> {
        serde_json::from_str(self.text(column)?).ok()
    }

    fn kind<T: DeserializeOwned>(&self) -> Option<T> {
        let kind: StrDeserializer<'_, serde::de::value::Error> = self.text("kind")?.into_deserializer();
        T::deserialize(kind).ok()
    }

    /// The time, if it is one that an ingest writes.
    fn time(&self) -> Option<i64> {
        let time = self.frame.column("time").ok()?.datetime().ok()?.physical().get(self.row);
        time.filter(|time| is_believed(*time))
    }

    fn number(&self, column: &str) -> Option<u64> {
        self.frame.column(column).ok()?.u64().ok()?.get(self.row)
    }

    fn place(&self, file: u32) -> Option<(&'static str, Locator, Option<Digest>)> {
        let at = Locator {
            file,
            record: self.number("record")?,
            offset: self.number("offset")?,
            length: self.number("length")?,
        };
        at.offset.checked_add(at.length)?;
        let digest: Digest = self.text("sha256")?.parse().ok()?;
        Some((source_named(self.text("source")?)?, at, Some(digest)))
    }
}

/// The change in a row; `None` where it is none that an ingest writes.
pub fn change(frame: &DataFrame, row: usize, file: u32) -> Option<Change> {
    let row = Row { frame, row };
    let (source, at, sha256) = row.place(file)?;
    Some(Change {
        kind: row.kind::<ChangeKind>()?,
        time: row.time()?,
        subject: row.owned("subject")?,
        also: row.json("also")?,
        permissions: row.json("permissions")?,
        name: row.owned("name").map(Name::from),
        conversation: row.owned("conversation"),
        hold: row.owned("hold"),
        actor: row.owned("actor").map(Name::from),
        source,
        at,
        sha256,
    })
}

/// The document in a row; `None` where it is none that an ingest writes.
pub fn document(frame: &DataFrame, row: usize, file: u32) -> Option<Document> {
    let row = Row { frame, row };
    let (source, at, sha256) = row.place(file)?;
    Some(Document {
        kind: row.kind::<DocumentKind>()?,
        subjects: row.json("subjects")?,
        time: row.time(),
        body: row.json("body")?,
        source,
        at,
        sha256,
    })
}
