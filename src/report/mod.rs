//! Report: the result of an analysis as data, and its renderings.

mod advice;
mod advice_text;
pub mod batch;
mod calibration;
mod cards;
mod counted_once;
mod csv;
mod explain;
mod failure;
mod failures;
mod gaps;
mod html;
mod joined;
mod known;
mod markdown;
mod ocsf;
mod parquet;
mod permissions_text;
mod policy;
mod record_ids;
mod redact;
mod said;
mod sarif;
#[cfg(test)]
mod schema;
mod summary;
mod table;
mod terminal;
mod timeline;
mod timeline_text;
mod timesketch;
mod traces;
mod wide;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde::Serialize;

pub use advice::{AdviceReport, ArchiveCounts, advise};
pub use advice_text::render as render_advice;
pub use calibration::{ByMargin, BySupport, Calibration, Label, Truth};
pub use counted_once::Superseded;
pub use csv::write_csv;
pub use explain::{
    Alternative, Argument, Asked, Change, Effect, Explanation, Explanations, MAX_SEARCHED, Pivotal, Placed, Sentence,
    explain, render as render_explanations,
};
pub use failure::{EvidenceReport, FailureReport, Selection, SymptomCounts};
pub use failures::Failures;
pub use gaps::Gap;
pub use html::{HtmlReport, analyze_for_html};
pub use markdown::{code as code_span, write_markdown};
pub use ocsf::write_ocsf;
pub use parquet::write_parquet;
pub use policy::{add_on_record, attached};
pub use redact::{Redaction, Veil, analyze_redacted};
pub use sarif::write_sarif;
pub use summary::Summary;
pub use table::{Hints, render as render_table};
pub use terminal::{Look, name, plain};
pub use timeline::{Timeline, TimelineEntry, timeline};
pub use timeline_text::render as render_timeline;
pub use timesketch::{
    Form as TimesketchForm, write_failures as write_timesketch, write_timeline as write_timesketch_timeline,
};
pub use traces::{Part, TracedRecord, Traces};

use crate::classify::{self, BUILT_IN, DEFAULT_PACK, Layer, Layered, Pack, Source, digest_of_layers};
use crate::correlate::{self, ClockOffset, Correlated, EventTable, Outline, Row};
use crate::error::{Error, Result};
pub use crate::evidence::Progress;
use crate::evidence::{Digest, Discovery, FileEntry, Locator, Name, discover, is_partial, nothing_readable};
use crate::ingest::{Ingested, LeftOut, MAPPED, Options, Reread, unused};
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
    /// Only of a redacted report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,
}

impl Analysis {
    /// Writes it as one JSON object.
    ///
    /// # Errors
    /// The reports cannot be read again, or the output not written.
    pub fn write_json(&self, mut out: &mut dyn Write) -> Result<()> {
        serde_json::to_writer_pretty(&mut out, self).map_err(|e| Error::Output(e.to_string()))?;
        out.write_all(b"\n").map_err(|e| Error::Output(e.to_string()))
    }
}

/// The program that made the report.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rules {
    /// Of several layers the names of all, likewise the versions.
    pub name: String,
    pub version: String,
    /// Of the text; of several layers of their digests, one a line.
    pub sha256: String,
    /// From the bottom up.
    pub layers: Vec<Layer>,
    /// The mappings that files were read by, in the order of their names.
    pub mappings: Vec<MappingName>,
}

/// A mapping that files were read by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MappingName {
    pub name: String,
    pub sha256: String,
}

/// The mappings that `files` were read by, whether now or when they were ingested.
fn mappings(files: &[FileEntry]) -> Vec<MappingName> {
    let of = |file: &FileEntry| {
        let name = file.format.strip_prefix(MAPPED).unwrap_or(&file.format).trim_start_matches(':').to_owned();
        file.mapping.as_ref().map(|sha256| MappingName { name, sha256: sha256.to_string() })
    };
    files.iter().filter_map(of).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Rules {
    /// Those of a pack, by which `files` were weighed.
    fn of(rules: &RuleText, files: &[FileEntry]) -> Self {
        let Pack { name, version, .. } = &rules.pack;
        let (name, version, sha256) = (name.clone(), version.clone(), digest_of_layers(&rules.layers));
        Self { name, version, sha256, layers: rules.layers.clone(), mappings: mappings(files) }
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
    #[cfg_attr(test, schemars(with = "String"))]
    pub path: Name,
    pub bytes: u64,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub sha256: Option<Digest>,
}

/// A rule pack with the layers it was made of.
pub struct RuleText {
    pub pack: Pack,
    pub layers: Vec<Layer>,
    /// By rule, the layers that speak of it.
    pub of_rule: BTreeMap<String, Vec<usize>>,
}

impl RuleText {
    /// The pack that is built in.
    ///
    /// # Errors
    /// Never: a test checks it.
    pub fn built_in() -> Result<Self> {
        Ok(Self::of(Pack::built_in()?, DEFAULT_PACK))
    }

    /// Reads a pack; `origin` is what errors call it.
    ///
    /// # Errors
    /// As [`Pack::parse`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        Ok(Self::of(Pack::parse(text, origin)?, text))
    }

    fn of(pack: Pack, text: &str) -> Self {
        let layer = Layer::new(pack.name.clone(), pack.version.clone(), text);
        let of_rule = pack.rules.iter().map(|rule| (rule.id.clone(), vec![0])).collect();
        Self { pack, layers: vec![layer], of_rule }
    }

    /// Lays packs over the built-in one, the first at the bottom, and checks what comes of it.
    ///
    /// # Errors
    /// As [`classify::layered`] and [`Pack::checked`].
    pub fn layered(sources: &[Source<'_>]) -> Result<Self> {
        let mut found = Self::built_in()?;
        for (n, source) in sources.iter().enumerate() {
            found = Self::unchecked(&sources[..=n])?;
            found.pack = found.pack.checked(source.origin)?;
        }
        Ok(found)
    }

    /// The same without the checks, which say no more than the first thing that is wrong.
    ///
    /// # Errors
    /// As [`classify::layered`].
    pub fn unchecked(sources: &[Source<'_>]) -> Result<Self> {
        let all: Vec<Source<'_>> = std::iter::once(BUILT_IN).chain(sources.iter().copied()).collect();
        Self::only(&all)
    }

    /// Lays packs over each other, and over nothing else: those of a report, to make it again.
    ///
    /// # Errors
    /// As [`classify::layered`].
    pub fn only(sources: &[Source<'_>]) -> Result<Self> {
        let Layered { pack, layers, of_rule } = classify::layered(sources)?;
        Ok(Self { pack, layers, of_rule })
    }
}

/// The evidence, read and correlated: what all subcommands start from.
pub struct Evidence<'m> {
    pub discovery: Discovery,
    pub ingested: Ingested,
    pub correlated: Correlated,
    /// Records of state that say what one before them says.
    saved_again: Vec<Locator>,
    /// How it was read.
    pub options: Options<'m>,
}

impl<'m> Evidence<'m> {
    /// Reads and correlates `paths`; `progress` is told the size of every file that is done with, `total` the sum.
    ///
    /// # Errors
    /// A path is wrong, or nothing in the inputs can be read.
    pub fn read(paths: &[String], options: Options<'m>, rules: &RuleText, progress: &dyn Progress) -> Result<Self> {
        Self::of(discover(paths)?, options, rules, progress)
    }

    /// Reads and correlates what was discovered and not yet unpacked.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(
        mut discovery: Discovery,
        options: Options<'m>,
        rules: &RuleText,
        progress: &dyn Progress,
    ) -> Result<Self> {
        parts::check(&discovery.inputs, options)?;
        discovery.unpack(options.bounds)?;
        progress.total(discovery.inputs.iter().map(|input| input.bytes).sum());
        let (outline, ingested) =
            correlate::read(&discovery.inputs, options, &rules.pack.operations, &|bytes| progress.done(bytes))?;
        if ingested.files.iter().all(|file| file.parsed == 0) {
            return Err(nothing_readable(&discovery, &ingested.files));
        }
        discovery.skipped.extend(unused(options.mappings, &ingested.files));
        Self::correlated(discovery, options, outline, ingested)
    }

    /// The same inputs, read and correlated as if the records in `left_out` were not in them.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn without(&self, left_out: &LeftOut, rules: &RuleText) -> Result<Self> {
        let (discovery, operations) = (self.discovery.clone(), &rules.pack.operations);
        let (outline, ingested) =
            correlate::read_without(&discovery.inputs, self.options, left_out, operations, &|_| {})?;
        Self::correlated(discovery, self.options, outline, ingested)
    }

    fn correlated(
        discovery: Discovery,
        options: Options<'m>,
        outline: Outline,
        mut ingested: Ingested,
    ) -> Result<Self> {
        let correlated = correlate::correlate(outline, &mut ingested, &discovery.inputs, options)?;
        let saved_again = counted_once::take_out(&mut ingested, &correlated)?;
        Ok(Self { discovery, ingested, correlated, saved_again, options })
    }
}

impl Evidence<'_> {
    /// How records are read again.
    #[must_use]
    pub fn reread(&self) -> Reread<'_> {
        correlate::reread(&self.correlated.outline, &self.ingested, &self.discovery.inputs, self.options)
    }

    /// Records that repeat an earlier one and do not count.
    ///
    /// # Errors
    /// The outline cannot be read.
    pub fn repeats(&self) -> Result<BTreeSet<Locator>> {
        let rows = self.correlated.outline.wanted(&self.correlated.repeated.duplicates)?;
        Ok(rows.into_iter().map(|wanted| wanted.at).chain(self.saved_again.iter().copied()).collect())
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
    analyze_evidence(Evidence::read(paths, options, rules, progress)?, rules, selection)
}

/// Finds the failures in `evidence` and weighs those of `selection`.
///
/// # Errors
/// A stage fails.
pub fn analyze_evidence(evidence: Evidence<'_>, rules: &RuleText, selection: &Selection) -> Result<Analysis> {
    let found = weigh(&evidence, rules, selection, &mut |_| Ok(()))?;
    Ok(found.into_analysis(evidence, rules))
}

/// What is found in the evidence.
struct Found {
    summary: Summary,
    failures: Failures,
    traces: Traces,
    superseded: Vec<Superseded>,
    gaps: Vec<Gap>,
}

/// Weighs the evidence on the failures of `selection`, which are shown to `see` as they come.
fn weigh(evidence: &Evidence<'_>, rules: &RuleText, selection: &Selection, see: failure::See<'_>) -> Result<Found> {
    let mut summary = Summary::new(evidence);
    let (failures, traces) = failure::reports(evidence, &rules.pack, selection, &mut summary, None, see)?;
    Ok(Found {
        summary,
        failures,
        traces,
        superseded: counted_once::superseded(evidence)?,
        gaps: gaps::report(evidence, |_| true)?,
    })
}

impl Found {
    /// The whole result; the evidence is not needed any longer.
    fn into_analysis(self, evidence: Evidence<'_>, rules: &RuleText) -> Analysis {
        let Evidence { discovery, mut ingested, mut correlated, .. } = evidence;
        let (files, clocks) = (std::mem::take(&mut ingested.files), std::mem::take(&mut correlated.clocks.offsets));
        // Giving memory back takes a while; it happens while the report is written.
        rayon::spawn(move || drop((ingested, correlated)));
        let manifest =
            files.iter().map(|f| ManifestEntry { path: f.path.clone(), bytes: f.bytes, sha256: f.sha256 }).collect();
        let Self { summary, failures, traces, superseded, gaps } = self;
        let Discovery { skipped, unreadable, .. } = discovery;
        Analysis {
            tool: Tool::own(),
            rules: Rules::of(rules, &files),
            summary,
            failures,
            traces,
            coverage: Coverage { files, superseded, gaps, clocks, skipped, unreadable },
            manifest,
            redaction: None,
        }
    }
}
