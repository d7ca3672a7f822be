//! Mappings: what the columns of a foreign table or the members of foreign JSON are to holdtrace (docs/mapping.md).

mod draft;
mod field;
mod guess;
mod load;
mod read;
mod row;
mod survey;
mod tally;
mod time_format;

use std::path::Path;

use regex::Regex;

use super::event::Text;
use super::time::AssumedZone;
use crate::error::{Error, Result};
use crate::evidence::{Digest, FileEntry, Name, Sample};
pub use draft::draft;
use field::Rule;
pub use row::Place;
use row::sample_has;
pub use tally::Filled;
use time_format::TimeFormat;

/// What the `source` column calls records that were read by a mapping.
pub const MAPPED: &str = "mapped";

/// A mapping file, checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What the ledger calls files that were read by it, after `mapped:`.
    pub name: String,
    /// SHA-256 of the file, hex.
    pub sha256: Name,
    /// The file's name, for messages.
    pub origin: String,
    /// What files it is for: those whose records have all of these, and whose name matches.
    pub columns: Vec<Place>,
    path: Option<glob::Pattern>,
    /// The members that lead to the list of records in a JSON document.
    pub records: Option<Vec<String>>,
    /// Texts that say that nothing is known.
    nulls: Vec<String>,
    time: Time,
    fields: Vec<(Target, Rule)>,
}

/// How times are read.
#[derive(Clone, Debug)]
struct Time {
    rule: Rule,
    format: TimeFormat,
    /// The zone of times that carry none; else `--assume-tz`.
    zone: Option<AssumedZone>,
}

/// What a field of an event is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Outcome,
    HttpStatus,
    Attempt,
    /// With the factor that makes milliseconds of what is given.
    Duration(f64),
    HoldAcknowledged,
    Text(Text),
}

impl Mapping {
    /// Reads the mapping file at `path`.
    ///
    /// # Errors
    /// It cannot be read, or is no mapping: one sentence with the line and what was expected there.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "reading the mapping", e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a mapping; `origin` is what errors call it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let reason = |reason| Error::Mapping { origin: origin.to_owned(), reason };
        load::mapping(text, origin, Digest::of(text.as_bytes()).to_string()).map_err(reason)
    }

    /// Whether it is for files of this name.
    #[must_use]
    pub fn covers(&self, label: &str) -> bool {
        let name = label.rsplit(['/', '\\']).next().unwrap_or(label);
        self.path.as_ref().is_none_or(|path| path.matches(label) || path.matches(name))
    }

    /// Whether it is for files with these records, or this header.
    #[must_use]
    pub fn fits(&self, sample: &Sample) -> bool {
        sample_has(sample, &self.columns)
    }

    /// Says that no file was for it, if so.
    #[must_use]
    fn unused(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|place| format!("`{place}`")).collect();
        let whose = self.path.as_ref().map(|path| format!(" whose name matches `{path}`")).unwrap_or_default();
        format!(
            "{}: the mapping `{}` was not used: no file{whose} has all of {}; a mapping applies when logs are read, not to \
             parts, and `holdtrace map init` shows what a file has",
            self.origin,
            self.name,
            columns.join(", ")
        )
    }
}

/// One sentence per mapping by which none of `files` was read.
pub fn unused<'a>(mappings: &'a [Mapping], files: &'a [FileEntry]) -> impl Iterator<Item = String> + 'a {
    let is_used = |mapping: &Mapping| files.iter().any(|file| file.mapping.as_ref() == Some(&mapping.sha256));
    mappings.iter().filter(move |mapping| !is_used(mapping)).map(Mapping::unused)
}

/// The part of a text that a pattern picks out: its first group, or all that it matches.
fn picked<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    let captures = pattern.captures(text)?;
    captures.get(1).or_else(|| captures.get(0)).map(|found| found.as_str())
}
