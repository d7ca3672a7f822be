//! What the evidence should hold and does not. Only what can be told from the records is called a gap, and what may have
//! another reason is called possible.

mod pages;
mod silence;
mod unwitnessed;

use std::collections::{BTreeMap, BTreeSet};

use super::columns::Column;
use super::jobs::Unended;
use super::outline::{Block, Id, Outline};
use super::symbols::Symbol;
use crate::error::Result;
use crate::evidence::{FileEntry, Locator};
use crate::ingest::rfc3339;

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GapKind {
    /// A job starts, and neither its completion nor its failure is on record.
    JobWithoutEnd,
    /// Pages of a result that says it has more.
    PagesMissing,
    /// A source that is busy nearly always writes nothing for a while.
    Silence,
    /// What one source tells of is for a while not in another that tells of it otherwise.
    Unwitnessed,
}

impl GapKind {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobWithoutEnd => "job_without_end",
            Self::PagesMissing => "pages_missing",
            Self::Silence => "silence",
            Self::Unwitnessed => "unwitnessed",
        }
    }
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub kind: GapKind,
    /// The source in which it is missing.
    pub source: String,
    pub job: Option<String>,
    /// Between which times, microseconds since 1970, UTC; none where it may be anywhere.
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// Whether it may have another reason than that records are missing.
    pub possible: bool,
    pub detail: String,
    /// What it rests on.
    pub records: Vec<Locator>,
}

impl Gap {
    /// Whether records between two times may be missing in a source.
    #[must_use]
    pub fn overlaps(&self, source: &str, first: i64, last: i64) -> bool {
        self.kind != GapKind::JobWithoutEnd
            && self.source == source
            && self.from.is_none_or(|from| from <= last)
            && self.to.is_none_or(|to| to >= first)
    }
}

/// Finds the gaps, in order of kind, then of time.
///
/// # Errors
/// The outline cannot be read.
pub fn find(outline: &Outline, files: &[FileEntry]) -> Result<Vec<Gap>> {
    let mut found = jobs(outline)?;
    found.extend(pages::find(files, outline)?);
    found.extend(silence::find(outline, files)?);
    found.extend(unwitnessed::find(outline)?);
    found.sort_by(|a, b| {
        let key = |gap: &Gap| (gap.kind, gap.from, gap.to, gap.source.clone(), gap.job.clone(), gap.detail.clone());
        key(a).cmp(&key(b))
    });
    Ok(found)
}

/// Jobs that start and never end.
fn jobs(outline: &Outline) -> Result<Vec<Gap>> {
    let open = outline.jobs.without_end()?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let last: BTreeMap<u64, Option<i64>> = open.iter().map(|job| (outline.hash(&job.id), job.last)).collect();
    let of_block = |block: &Block<'_>| -> Vec<(u64, Locator, Symbol)> {
        let is_last = |n: &usize| {
            last.get(&block.id(Id::Job)[*n]).is_some_and(|time| block.known_time(*n) == *time) && block.counts(*n)
        };
        let of = |n: usize| (block.id(Id::Job)[n], block.at[n], block.names(Column::Source)[n]);
        block.places().filter(is_last).map(of).collect()
    };
    let mut records: BTreeMap<u64, (Locator, Symbol)> = BTreeMap::new();
    let columns = [Column::Id(Id::Job), Column::Time, Column::Source, Column::At];
    for (job, at, source) in outline.look(&columns, of_block)?.into_iter().flatten() {
        records.entry(job).or_insert((at, source));
    }
    let (longest, latest) = (outline.jobs.longest(), outline.jobs.latest());
    let gap = |job: &Unended| {
        let record = records.get(&outline.hash(&job.id));
        let source = record.and_then(|(_, source)| outline.symbols.name(*source)).unwrap_or_default();
        // It may have been at work when the evidence ends, if other jobs take as long.
        let left = latest.zip(job.last).map(|(latest, last)| latest - last);
        let possible = left.zip(longest).is_some_and(|(left, longest)| left < longest);
        let then = if possible { "; it may have been at work when the evidence ends" } else { "" };
        Gap {
            kind: GapKind::JobWithoutEnd,
            source: source.to_owned(),
            job: Some(job.id.clone()),
            from: job.last,
            to: None,
            possible,
            detail: format!("the job starts, and neither its completion nor its failure is on record{then}"),
            records: record.iter().map(|(at, _)| *at).collect(),
        }
    };
    Ok(open.iter().map(gap).collect())
}

/// The first record of each moment of a source, for gaps to rest on.
fn records_at(outline: &Outline, wanted: &BTreeSet<(Symbol, i64)>) -> Result<BTreeMap<(Symbol, i64), Locator>> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let of_block = |block: &Block<'_>| -> Vec<((Symbol, i64), Locator)> {
        let key = |n: usize| (block.names(Column::Source)[n], block.time[n]);
        let asked = block.places().filter(|n| wanted.contains(&key(*n)) && block.counts(*n));
        asked.map(|n| (key(n), block.at[n])).collect()
    };
    for (key, at) in outline.look(&[Column::Time, Column::Source, Column::At], of_block)?.into_iter().flatten() {
        found.entry(key).or_insert(at);
    }
    Ok(found)
}

/// A span of time in words.
fn between(from: i64, to: i64) -> String {
    format!("between {} and {}", rfc3339(from), rfc3339(to))
}
