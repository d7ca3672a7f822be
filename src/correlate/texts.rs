//! The texts of a table of events, column by column. Records of one item come together and repeat each other: a text that
//! is the same as the one before it in its column is held once.

use crate::ingest::{Event, TEXT_COLUMNS, Text};

/// A text's number; 0 stands for an unknown value.
type Number = u32;

/// The text columns of a table.
#[derive(Default)]
pub struct Texts {
    /// The numbers of a column's texts; the values of rows beyond its end are unknown.
    columns: [Vec<Number>; TEXT_COLUMNS.len()],
    /// The last text of each column.
    latest: [Number; TEXT_COLUMNS.len()],
    /// Where each text ends in `bytes`.
    ends: Vec<usize>,
    bytes: String,
}

impl Texts {
    /// Adds the texts of an event as row `row`, which must be larger than that of all events before it.
    pub fn push(&mut self, row: usize, event: &Event<'_>) {
        for (column, text) in event.texts().enumerate() {
            let Some(text) = text else { continue };
            let latest = self.latest[column];
            let number = if self.text(latest) == Some(text) { latest } else { self.add(text) };
            self.latest[column] = number;
            let numbers = &mut self.columns[column];
            numbers.resize(row, 0);
            numbers.push(number);
        }
    }

    /// A column's value in a row.
    #[must_use]
    pub fn get(&self, column: Text, row: usize) -> Option<&str> {
        self.text(*self.columns[column as usize].get(row)?)
    }

    /// Makes room for what `parts` hold, to be appended.
    pub fn reserve<'a>(&mut self, parts: impl Iterator<Item = &'a Self>) {
        let (texts, bytes) = parts.fold((0, 0), |(n, b), part| (n + part.ends.len(), b + part.bytes.len()));
        self.ends.reserve_exact(texts);
        self.bytes.reserve_exact(bytes);
    }

    /// Appends the rows of `later`, the first of which becomes row `row`.
    pub fn append(&mut self, row: usize, later: &Self) {
        let (before, start) = (self.ends.len(), self.bytes.len());
        self.bytes.push_str(&later.bytes);
        self.ends.extend(later.ends.iter().map(|end| start + end));
        let before = Number::try_from(before).unwrap_or(Number::MAX);
        for (numbers, more) in self.columns.iter_mut().zip(&later.columns).filter(|(_, more)| !more.is_empty()) {
            numbers.resize(row, 0);
            numbers.extend(more.iter().map(|number| if *number == 0 { 0 } else { before.saturating_add(*number) }));
        }
        self.latest = later.latest.map(|number| if number == 0 { 0 } else { before.saturating_add(number) });
    }

    fn text(&self, number: Number) -> Option<&str> {
        let place = (number as usize).checked_sub(1)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..*self.ends.get(place)?])
    }

    fn add(&mut self, text: &str) -> Number {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        Number::try_from(self.ends.len()).unwrap_or(Number::MAX)
    }
}
