//! The failures of an analysis: however many there are, few are in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};

use rayon::prelude::*;
use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};

use super::FailureReport;
use crate::correlate::Order;
use crate::error::{Error, Result};
use crate::spill::Scratch;

/// Reports as NDJSON; what is more than [`HELD`] lies in an unnamed temporary file.
pub struct Failures {
    lines: Scratch,
    /// In the order of the report, once they are sorted.
    places: Vec<Place>,
}

/// Where a report lies.
struct Place {
    order: Order,
    /// As the how-manieth it was added.
    number: usize,
    offset: u64,
    length: u64,
}

/// Bytes that are held in memory.
pub const HELD: usize = 8 * 1024 * 1024;
/// Bytes that are read at a time.
const AT_ONCE: u64 = 1024 * 1024;
/// Reports that one thread writes in one go.
const RUN: usize = 64;

impl Default for Failures {
    fn default() -> Self {
        Self { lines: Scratch::holding(HELD), places: Vec::new() }
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures").field("count", &self.places.len()).finish_non_exhaustive()
    }
}

impl Failures {
    /// Adds reports.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn add(&mut self, reports: Vec<(Order, FailureReport)>) -> Result<()> {
        let line = |(_, report): &(Order, FailureReport)| -> serde_json::Result<Vec<u8>> {
            let mut text = serde_json::to_vec(report)?;
            text.push(b'\n');
            Ok(text)
        };
        let lines: serde_json::Result<Vec<Vec<u8>>> = reports.par_iter().with_min_len(RUN).map(line).collect();
        let lines = lines.map_err(|e| Error::Output(e.to_string()))?;
        let mut offset = self.lines.append(&lines.concat()).map_err(put_aside)?;
        for ((order, _), line) in reports.into_iter().zip(&lines) {
            let length = line.len() as u64;
            self.places.push(Place { order, number: self.places.len(), offset, length });
            offset += length;
        }
        Ok(())
    }

    /// Puts them in order.
    pub fn sort(&mut self) {
        self.places.sort_by(|a, b| a.order.cmp(&b.order));
    }

    /// The same, in their order, with `amend` applied to those whose text holds `marked`; the others are taken over as they
    /// are.
    ///
    /// # Errors
    /// A temporary file cannot be read or written.
    pub fn amended(self, marked: &str, amend: impl Fn(&mut FailureReport) + Sync) -> Result<Self> {
        let marked = memchr::memmem::Finder::new(marked);
        let amended = |line: &[u8]| -> serde_json::Result<Vec<u8>> {
            if marked.find(line).is_none() {
                return Ok(line.to_vec());
            }
            let mut report: FailureReport = serde_json::from_slice(line)?;
            amend(&mut report);
            let mut text = serde_json::to_vec(&report)?;
            text.push(b'\n');
            Ok(text)
        };
        let mut all = Scratch::holding(HELD);
        let (mut next, mut bytes, mut lengths) = (0, Vec::new(), Vec::with_capacity(self.places.len()));
        while next < self.places.len() {
            next = self.read(next, &mut bytes)?;
            let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
            let lines: serde_json::Result<Vec<Vec<u8>>> =
                lines.par_iter().with_min_len(RUN).map(|line| amended(line)).collect();
            let lines = lines.map_err(|e| put_aside(e.into()))?;
            all.append(&lines.concat()).map_err(put_aside)?;
            lengths.extend(lines.iter().map(|line| line.len() as u64));
        }
        let (mut places, mut offset) = (Vec::with_capacity(lengths.len()), 0);
        for (place, length) in self.places.into_iter().zip(lengths) {
            places.push(Place { offset, length, ..place });
            offset += length;
        }
        Ok(Self { lines: all, places })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The numbers under which they were added, in their order.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().map(|place| place.number)
    }

    /// All of them, one after the other.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { failures: self, next: 0, ready: VecDeque::new() }
    }

    /// Writes them as NDJSON.
    ///
    /// # Errors
    /// The temporary file cannot be read, or the output not written.
    pub fn write_ndjson(&self, out: &mut dyn Write) -> Result<()> {
        let (mut next, mut bytes) = (0, Vec::new());
        while next < self.places.len() {
            next = self.read(next, &mut bytes)?;
            out.write_all(&bytes).map_err(|e| Error::Output(e.to_string()))?;
        }
        Ok(())
    }

    /// Reads reports from the one at `from` on, as many as lie one behind the other and are read at once; the next is the
    /// one at the number that it gives.
    fn read(&self, from: usize, bytes: &mut Vec<u8>) -> Result<usize> {
        let start = self.places[from].offset;
        let (mut next, mut end) = (from, start);
        while let Some(place) = self.places.get(next).filter(|place| place.offset == end && end - start < AT_ONCE) {
            end += place.length;
            next += 1;
        }
        bytes.resize(usize::try_from(end - start).unwrap_or(usize::MAX), 0);
        self.lines.read(start, bytes).map_err(put_aside)?;
        Ok(next)
    }
}

/// Says that what is put aside cannot be written or read.
pub fn put_aside(error: io::Error) -> Error {
    Error::io(std::env::temp_dir(), "putting reports aside", error)
}

/// Reports, read again bit by bit.
pub struct Iter<'a> {
    failures: &'a Failures,
    next: usize,
    ready: VecDeque<FailureReport>,
}

impl Iter<'_> {
    fn fill(&mut self) -> Result<()> {
        let mut text = Vec::new();
        self.next = self.failures.read(self.next, &mut text)?;
        let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
        let reports: serde_json::Result<Vec<FailureReport>> =
            lines.par_iter().map(|line| serde_json::from_slice(line)).collect();
        self.ready = reports.map_err(|e| put_aside(e.into()))?.into();
        Ok(())
    }
}

impl Iterator for Iter<'_> {
    type Item = Result<FailureReport>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && self.next < self.failures.len()
            && let Err(error) = self.fill()
        {
            self.next = self.failures.len();
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}

impl<'a> IntoIterator for &'a Failures {
    type Item = Result<FailureReport>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Serialize for Failures {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for report in self {
            list.serialize_element(&report.map_err(S::Error::custom)?)?;
        }
        list.end()
    }
}
