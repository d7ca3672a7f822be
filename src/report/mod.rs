//! Report: the result of an analysis as data, and its renderings.

mod calibration;
mod csv;
mod explain;
mod failure;
mod failures;
mod gaps;
mod parquet;
mod record_ids;
mod summary;
mod table;
mod terminal;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use calibration::{ByMargin, BySupport, Calibration, Label, Truth};
pub use csv::write_csv;
pub use explain::{
    Alternative, Argument, Asked, Effect, Explanation, Explanations, MAX_SEARCHED, Pivotal, Placed, Sentence, explain,
    render as render_explanations,
};
pub use failure::{EvidenceReport, FailureReport, Selection, SymptomCounts};
pub use failures::Failures;
pub use gaps::Gap;
pub use parquet::write_parquet;
pub use summary::Summary;
pub use table::render as render_table;
pub use terminal::plain;
pub use timeline::{Timeline, TimelineEntry, timeline};

use crate::classify::{self, BUILT_IN, DEFAULT_PACK, Layer, Layered, Pack, Source, digest_of_layers};
use crate::correlate::{self, ClockOffset, Correlated, EventTable, Row};
use crate::error::Result;
pub use crate::evidence::Progress;
use crate::evidence::{Digest, Discovery, FileEntry, Locator, discover, is_partial, nothing_readable};
use crate::ingest::{Ingested, LeftOut, Options};
use crate::parts;

/// The whole result.
#[derive(Debug, Serialize)]
pub struct Analysis {
    pub tool: Tool,
    pub rules: Rules,
    pub summary: Summary,
    /// Ordered by first failing time, then job, then item.
    pub failures: Failures,
    pub coverage: Coverage,
    /// What was read: path, size and SHA-256 as found.
    pub manifest: Vec<ManifestEntry>,
}

/// The program that made the report.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
}

impl Default for Tool {
    fn default() -> Self {
        Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") }
    }
}

/// The rules the evidence was weighed by.
#[derive(Clone, Debug, Serialize)]
pub struct Rules {
    /// Of several layers the names of all, likewise the versions.
    pub name: String,
    pub version: String,
    /// Of the text; of several layers of their digests, one a line.
    pub sha256: String,
    /// From the bottom up.
    pub layers: Vec<Layer>,
}

/// What was read and what was not.
#[derive(Debug, Serialize)]
pub struct Coverage {
    pub files: Vec<FileEntry>,
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
pub struct ManifestEntry {
    pub path: String,
    pub bytes: u64,
    pub sha256: Option<String>,
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
        let sha256 = Digest::of(text.as_bytes()).to_string();
        let layer = Layer { name: pack.name.clone(), version: pack.version.clone(), sha256 };
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
        let Layered { pack, layers, of_rule } = classify::layered(&all)?;
        Ok(Self { pack, layers, of_rule })
    }
}

impl RuleText {
    /// What reports say of it.
    #[must_use]
    pub fn named(&self) -> Rules {
        let Pack { name, version, .. } = &self.pack;
        let (name, version, sha256) = (name.clone(), version.clone(), digest_of_layers(&self.layers));
        Rules { name, version, sha256, layers: self.layers.clone() }
    }
}

/// The evidence, read and correlated: what all subcommands start from.
pub struct Evidence {
    pub discovery: Discovery,
    pub ingested: Ingested,
    pub correlated: Correlated,
    /// How it was read.
    pub options: Options,
}

impl Evidence {
    /// Reads and correlates `paths`; `progress` is told the size of every file that is done with, `total` the sum.
    ///
    /// # Errors
    /// A path is wrong, or nothing in the inputs can be read.
    pub fn read(paths: &[String], options: Options, rules: &RuleText, progress: &dyn Progress) -> Result<Self> {
        let discovery = discover(paths)?;
        parts::check(&discovery.inputs, options)?;
        progress.total(discovery.inputs.iter().map(|input| input.bytes).sum());
        let evidence = Self::of(discovery, options, rules, &LeftOut::default(), &|bytes| progress.done(bytes))?;
        if evidence.ingested.files.iter().all(|file| file.parsed == 0) {
            return Err(nothing_readable(&evidence.discovery, &evidence.ingested.files));
        }
        Ok(evidence)
    }

    /// The same inputs, read and correlated as if the records in `left_out` were not in them.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn without(&self, left_out: &LeftOut, rules: &RuleText) -> Result<Self> {
        Self::of(self.discovery.clone(), self.options, rules, left_out, &|_| {})
    }

    fn of(
        discovery: Discovery,
        options: Options,
        rules: &RuleText,
        left_out: &LeftOut,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self> {
        let (inputs, operations) = (&discovery.inputs, &rules.pack.operations);
        let (outline, mut ingested) = correlate::read_without(inputs, options, left_out, operations, progress)?;
        let correlated = correlate::correlate(outline, &mut ingested, &discovery.inputs, options)?;
        let repeated = correlated.outline.wanted(&correlated.duplicates)?;
        let repeated: BTreeSet<Locator> = repeated.into_iter().map(|wanted| wanted.at).collect();
        for at in &repeated {
            ingested.files[at.file as usize].duplicates += 1;
        }
        ingested.changes.retain(|change| !repeated.contains(&change.at));
        ingested.documents.retain(|document| !repeated.contains(&document.at));
        Ok(Self { discovery, ingested, correlated, options })
    }
}

impl Evidence {
    /// All columns of the events at `rows` (ascending) of the outline.
    ///
    /// # Errors
    /// A file cannot be read again, or is not what it was.
    pub fn table(&self, rows: &[Row]) -> Result<EventTable> {
        let Correlated { outline, clocks, .. } = &self.correlated;
        let reread = correlate::reread(outline, &self.ingested, &self.discovery.inputs, self.options);
        correlate::table(outline, rows, &reread, clocks)
    }
}

/// Reads `paths`, finds the failures, weighs the evidence on those of `selection`.
///
/// # Errors
/// A path is wrong, nothing can be read, or a stage fails.
pub fn analyze(
    paths: &[String],
    options: Options,
    rules: &RuleText,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<Analysis> {
    let evidence = Evidence::read(paths, options, rules, progress)?;
    let mut summary = Summary::new(&evidence);
    let failures = failure::reports(&evidence, &rules.pack, selection, &mut summary)?;
    let gaps = gaps::find(&evidence.correlated.outline.jobs);
    let Evidence { discovery, mut ingested, mut correlated, .. } = evidence;
    let (files, clocks) = (std::mem::take(&mut ingested.files), std::mem::take(&mut correlated.clocks.offsets));
    // Giving memory back takes a while; it happens while the report is written.
    rayon::spawn(move || drop((ingested, correlated)));
    let manifest = files
        .iter()
        .map(|f| ManifestEntry { path: f.path.clone(), bytes: f.bytes, sha256: f.sha256.clone() })
        .collect();
    Ok(Analysis {
        tool: Tool::default(),
        rules: rules.named(),
        summary,
        failures,
        coverage: Coverage { files, gaps, clocks, skipped: discovery.skipped, unreadable: discovery.unreadable },
        manifest,
    })
}
