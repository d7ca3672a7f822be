//! The failures of an analysis: however many there are, few are in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};
use tempfile::SpooledTempFile;

use super::FailureReport;
use crate::error::{Error, Result};

/// Reports in the order in which they were added, as NDJSON; what is more than [`HELD`] lies in an unnamed temporary file.
pub struct Failures {
    lines: Mutex<SpooledTempFile>,
    count: usize,
}

/// Bytes that are held in memory.
const HELD: usize = 8 * 1024 * 1024;
/// Bytes that are read at a time.
const AT_ONCE: u64 = 1024 * 1024;
/// Reports that one thread writes in one go.
const RUN: usize = 64;

impl Default for Failures {
    fn default() -> Self {
        Self { lines: Mutex::new(tempfile::spooled_tempfile(HELD)), count: 0 }
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Failures {
    /// Adds reports at the end.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn add(&mut self, reports: &[FailureReport]) -> Result<()> {
        let text = |reports: &[FailureReport]| -> serde_json::Result<Vec<u8>> {
            let mut text = Vec::new();
            for report in reports {
                serde_json::to_writer(&mut text, report)?;
                text.push(b'\n');
            }
            Ok(text)
        };
        let texts: serde_json::Result<Vec<Vec<u8>>> = reports.par_chunks(RUN).map(text).collect();
        let texts = texts.map_err(|e| Error::Output(e.to_string()))?;
        let lines = self.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
        texts.iter().try_for_each(|text| lines.write_all(text)).map_err(put_aside)?;
        self.count += reports.len();
        Ok(())
    }

    /// The same with `amend` applied to those whose text holds `marked`; the others are taken over as they are.
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
        let mut all = Self { count: self.count, ..Self::default() };
        let out = all.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (mut offset, mut bytes, mut rest) = (0, Vec::new(), Vec::new());
        while self.read(offset, &mut bytes)? {
            offset += bytes.len() as u64;
            let mut text = std::mem::take(&mut rest);
            text.append(&mut bytes);
            rest = text.split_off(memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1));
            let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
            let lines: serde_json::Result<Vec<Vec<u8>>> = lines.par_iter().map(|line| amended(line)).collect();
            let lines = lines.map_err(|e| put_aside(e.into()))?;
            lines.iter().try_for_each(|line| out.write_all(line)).map_err(put_aside)?;
        }
        Ok(all)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, one after the other.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { failures: self, offset: 0, rest: Vec::new(), ready: VecDeque::new(), ended: false }
    }

    /// Writes them as NDJSON.
    ///
    /// # Errors
    /// The temporary file cannot be read, or the output not written.
    pub fn write_ndjson(&self, out: &mut dyn Write) -> Result<()> {
        let (mut offset, mut bytes) = (0, Vec::new());
        while self.read(offset, &mut bytes)? {
            out.write_all(&bytes).map_err(|e| Error::Output(e.to_string()))?;
            offset += bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads what lies from `offset` on, as far as it is read at once; false where there is nothing.
    fn read(&self, offset: u64, bytes: &mut Vec<u8>) -> Result<bool> {
        bytes.clear();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = || -> io::Result<usize> {
            lines.seek(SeekFrom::Start(offset))?;
            (&mut *lines).take(AT_ONCE).read_to_end(bytes)
        };
        read().map(|read| read > 0).map_err(put_aside)
    }
}

fn put_aside(error: io::Error) -> Error {
    Error::io(std::env::temp_dir(), "putting reports aside", error)
}

/// Reports, read again bit by bit.
pub struct Iter<'a> {
    failures: &'a Failures,
    offset: u64,
    /// The beginning of a report whose end has not been read.
    rest: Vec<u8>,
    ready: VecDeque<FailureReport>,
    ended: bool,
}

impl Iter<'_> {
    fn fill(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        self.ended = !self.failures.read(self.offset, &mut bytes)?;
        self.offset += bytes.len() as u64;
        let mut text = std::mem::take(&mut self.rest);
        text.append(&mut bytes);
        let end = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
        self.rest = text.split_off(end);
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
        while self.ready.is_empty() && !self.ended {
            if let Err(error) = self.fill() {
                self.ended = true;
                return Some(Err(error));
            }
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
        let mut list = serializer.serialize_seq(Some(self.count))?;
        for report in self {
            list.serialize_element(&report.map_err(S::Error::custom)?)?;
        }
        list.end()
    }
}
