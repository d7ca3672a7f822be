//! Report: the result of an analysis as data, and its renderings.

mod advice;
mod advice_text;
mod counted_once;
mod csv;
mod failure;
mod failures;
mod gaps;
mod joined;
mod known;
mod markdown;
mod ocsf;
mod parquet;
mod permissions_text;
mod policy;
mod record_ids;
mod said;
mod sarif;
#[cfg(test)]
mod schema;
mod summary;
mod table;
mod terminal;
mod timeline;
mod timesketch;
mod traces;

use std::collections::BTreeSet;

use serde::Serialize;

pub use advice::{AdviceReport, ArchiveCounts, advise};
pub use advice_text::render as render_advice;
pub use counted_once::Superseded;
pub use csv::write_csv;
pub use failure::{EvidenceReport, FailureReport, Selection, SymptomCounts};
pub use failures::Failures;
pub use gaps::Gap;
pub use markdown::write_markdown;
pub use ocsf::write_ocsf;
pub use parquet::write_parquet;
pub use policy::{add_on_record, attached};
pub use sarif::write_sarif;
pub use summary::Summary;
pub use table::render as render_table;
pub use terminal::plain;
pub use timeline::{Timeline, TimelineEntry, timeline};
pub use timesketch::{
    Form as TimesketchForm, write_failures as write_timesketch, write_timeline as write_timesketch_timeline,
};
pub use traces::{Part, TracedRecord, Traces};

use crate::classify::{DEFAULT_PACK, Pack};
use crate::correlate::{self, ClockOffset, Correlated, EventTable, Row};
use crate::error::Result;
pub use crate::evidence::Progress;
use crate::evidence::{Digest, Discovery, FileEntry, discover, is_partial, nothing_readable};
use crate::ingest::{Ingested, MAPPED, Options, Reread, unused};
use crate::parts;

/// The whole result.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Analysis {
    pub tool: Tool,
    pub rules: Rules,
    pub summary: Summary,
    /// Ordered by first failing time, then job, then item.
    pub failures: Failures,
    /// The records behind the failures, where they were asked for.
    #[serde(skip)]
    pub traces: Traces,
    pub coverage: Coverage,
    /// What was read: path, size and SHA-256 as found.
    pub manifest: Vec<ManifestEntry>,
}

/// The program that made the report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
}

impl Tool {
    /// This one.
    const fn own() -> Self {
        Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") }
    }
}

/// The rules the evidence was weighed by.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rules {
    pub name: String,
    pub version: String,
    pub sha256: String,
    /// The mappings that files were read by, in the order of their names.
    pub mappings: Vec<MappingName>,
}

/// A mapping that files were read by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MappingName {
    pub name: String,
    pub sha256: String,
}

/// The mappings that `files` were read by, whether now or when they were ingested.
fn mappings(files: &[FileEntry]) -> Vec<MappingName> {
    let of = |file: &FileEntry| {
        let name = file.format.strip_prefix(MAPPED).unwrap_or(&file.format).trim_start_matches(':').to_owned();
        file.mapping.clone().map(|sha256| MappingName { name, sha256 })
    };
    files.iter().filter_map(of).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Rules {
    /// Those of a pack, by which `files` were weighed.
    fn of(rules: &RuleText, files: &[FileEntry]) -> Self {
        let Pack { name, version, .. } = &rules.pack;
        let (name, version, sha256) = (name.clone(), version.clone(), rules.sha256.clone());
        Self { name, version, sha256, mappings: mappings(files) }
    }
}

/// What was read and what was not.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coverage {
    pub files: Vec<FileEntry>,
    /// Records that an amended one takes the place of.
    pub superseded: Vec<Superseded>,
    /// What the evidence should hold and does not.
    pub gaps: Vec<Gap>,
    /// Clocks of the sources against that of the trail, from requests that both record.
    pub clocks: Vec<ClockOffset>,
    /// Links and special files that were passed over.
    pub skipped: Vec<String>,
    /// Folders that could not be listed.
    pub unreadable: Vec<String>,
}

impl Coverage {
    /// Whether some input could not be read.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.unreadable.is_empty() || is_partial(&self.files)
    }
}

/// One input file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ManifestEntry {
    pub path: String,
    pub bytes: u64,
    pub sha256: Option<String>,
}

/// A rule pack with the text it was read from.
pub struct RuleText {
    pub pack: Pack,
    pub sha256: String,
}

impl RuleText {
    /// The pack that is built in.
    ///
    /// # Errors
    /// Never: a test checks it.
    pub fn built_in() -> Result<Self> {
        Ok(Self { pack: Pack::built_in()?, sha256: Digest::of(DEFAULT_PACK.as_bytes()).to_string() })
    }

    /// Reads a pack; `origin` is what errors call it.
    ///
    /// # Errors
    /// As [`Pack::parse`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        Ok(Self { pack: Pack::parse(text, origin)?, sha256: Digest::of(text.as_bytes()).to_string() })
    }
}

/// The evidence, read and correlated: what all subcommands start from.
pub struct Evidence<'m> {
    pub discovery: Discovery,
    pub ingested: Ingested,
    pub correlated: Correlated,
    /// How it was read.
    pub options: Options<'m>,
}

impl<'m> Evidence<'m> {
    /// Reads and correlates `paths`; `progress` is told the size of every file that is done with, `total` the sum.
    ///
    /// # Errors
    /// A path is wrong, or nothing in the inputs can be read.
    pub fn read(paths: &[String], options: Options<'m>, rules: &RuleText, progress: &dyn Progress) -> Result<Self> {
        let mut discovery = discover(paths)?;
        parts::check(&discovery.inputs, options)?;
        discovery.unpack(options.bounds)?;
        progress.total(discovery.inputs.iter().map(|input| input.bytes).sum());
        let (outline, mut ingested) =
            correlate::read(&discovery.inputs, options, &rules.pack.operations, &|bytes| progress.done(bytes))?;
        if ingested.files.iter().all(|file| file.parsed == 0) {
            return Err(nothing_readable(&discovery, &ingested.files));
        }
        discovery.skipped.extend(unused(options.mappings, &ingested.files));
        let correlated = correlate::correlate(outline, &mut ingested, &discovery.inputs, options)?;
        counted_once::take_out(&mut ingested, &correlated)?;
        Ok(Self { discovery, ingested, correlated, options })
    }
}

impl Evidence<'_> {
    /// How records are read again.
    #[must_use]
    pub fn reread(&self) -> Reread<'_> {
        correlate::reread(&self.correlated.outline, &self.ingested, &self.discovery.inputs, self.options)
    }

    /// All columns of the events at `rows` (ascending) of the outline.
    ///
    /// # Errors
    /// A file cannot be read again, or is not what it was.
    pub fn table(&self, rows: &[Row]) -> Result<EventTable> {
        correlate::table(&self.correlated.outline, rows, &self.reread(), &self.correlated.clocks)
    }
}

/// Reads `paths`, finds the failures, weighs the evidence on those of `selection`.
///
/// # Errors
/// A path is wrong, nothing can be read, or a stage fails.
pub fn analyze(
    paths: &[String],
    options: Options<'_>,
    rules: &RuleText,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<Analysis> {
    let evidence = Evidence::read(paths, options, rules, progress)?;
    let mut summary = Summary::new(&evidence);
    let (failures, traces) = failure::reports(&evidence, &rules.pack, selection, &mut summary)?;
    let superseded = counted_once::superseded(&evidence)?;
    let gaps = gaps::report(&evidence)?;
    let Evidence { discovery, mut ingested, mut correlated, .. } = evidence;
    let (files, clocks) = (std::mem::take(&mut ingested.files), std::mem::take(&mut correlated.clocks.offsets));
    // Giving memory back takes a while; it happens while the report is written.
    rayon::spawn(move || drop((ingested, correlated)));
    let manifest = files
        .iter()
        .map(|f| ManifestEntry { path: f.path.clone(), bytes: f.bytes, sha256: f.sha256.clone() })
        .collect();
    Ok(Analysis {
        tool: Tool::own(),
        rules: Rules::of(rules, &files),
        summary,
        failures,
        traces,
        coverage: Coverage {
            files,
            superseded,
            gaps,
            clocks,
            skipped: discovery.skipped,
            unreadable: discovery.unreadable,
        },
        manifest,
    })
}
