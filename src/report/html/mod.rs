//! The report as one HTML file for people who decide: a summary in plain words, charts, a table of failures that can be
//! searched, and a card for each with all that it rests on. It refers to nothing outside itself.

mod around;
mod cards;
mod charts;
mod embed;
mod page;
mod raw;
mod rules;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use cards::Cards;
use charts::Charts;
use embed::Packed;
use page::{Page, Row, TITLES};
use raw::RawRecords;
use rules::Applied;

use super::{Analysis, Evidence, FailureReport, Progress, RuleText, Selection, weigh};
use crate::classify::{HoldLags, Judge, Rule};
use crate::error::{Error, Result};
use crate::ingest::Options;

/// Failures that have a card: browsers work with some ten thousand, and what cannot be opened helps nobody.
const MOST_CARDS: usize = 50_000;
/// Cards that are packed together: one is unpacked when the first of them is opened.
const TOGETHER: usize = 250;
/// Failures that are in the table without scripts.
const WITHOUT_SCRIPT: usize = 100;

/// An analysis with what its cards show.
pub struct HtmlReport {
    pub analysis: Analysis,
    cards: Cards,
    raw: RawRecords,
    /// When holds were synchronising, microseconds since 1970, UTC.
    syncing: Vec<(i64, i64)>,
    lags: HoldLags,
    rules: Vec<Rule>,
}

/// Analyses `paths` as [`super::analyze`] does, and keeps what an HTML report shows besides.
///
/// # Errors
/// A path is wrong, nothing can be read, or a stage fails.
pub fn analyze_for_html(
    paths: &[String],
    options: Options<'_>,
    rules: &RuleText,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<HtmlReport> {
    let evidence = Evidence::read(paths, options, rules, progress)?;
    let mut cards = Cards::new(&evidence);
    let weighed = weigh(&evidence, rules, selection, &mut |block| cards.add(block))?;
    let raw = RawRecords::read(&evidence.discovery.inputs, cards.cited())?;
    let judge = Judge::new(&evidence.ingested, &evidence.correlated, &rules.pack)?;
    let (syncing, lags) = (charts::syncing(evidence.correlated.holds.spans()?), judge.hold_lags()?);
    drop(judge);
    let cards = cards.done();
    let analysis = weighed.into_analysis(evidence, rules);
    Ok(HtmlReport { analysis, cards, raw, syncing, lags, rules: rules.pack.rules.clone() })
}

impl HtmlReport {
    /// Writes the file.
    ///
    /// # Errors
    /// A temporary file cannot be read, or the output not written.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let failed = |e: std::io::Error| Error::Output(e.to_string());
        let mut charts = Charts::new(&self.analysis.summary, &self.syncing, &self.lags);
        let mut counts = Counts::default();
        let mut rows = embed::List::default();
        let mut first = Vec::new();
        for (n, failure) in self.analysis.failures.iter().enumerate() {
            let failure = failure?;
            charts.add(&failure);
            counts.add(&failure);
            if n >= MOST_CARDS {
                continue;
            }
            let row = Row::of(&failure);
            rows.push(&row)?;
            if first.len() < WITHOUT_SCRIPT {
                first.push(row);
            }
        }
        let page = Page::new(&self.analysis, &counts, charts.drawn(), first, Applied::of(&self.rules, &counts.by_rule));
        page.write_head(out)?;
        embed::json(out, "titles", &TITLES)?;
        rows.write(out, "rows")?;
        self.write_cards(out)?;
        Page::write_tail(out)?;
        out.flush().map_err(failed)
    }

    fn write_cards(&self, out: &mut dyn Write) -> Result<()> {
        let mut failures = self.analysis.failures.iter().take(MOST_CARDS);
        for number in 0.. {
            let some: Vec<FailureReport> = failures.by_ref().take(TOGETHER).collect::<Result<_>>()?;
            if some.is_empty() {
                break;
            }
            let mut packed = Packed::new();
            packed.add(&self.cards.of(some, &self.raw, &self.analysis.coverage.files)?)?;
            packed.write(out, &format!("cards-{number}"))?;
        }
        Ok(())
    }
}

/// What failed by mechanism and by which rules, and what to do about it.
#[derive(Default)]
struct Counts {
    by_cause: BTreeMap<(crate::classify::Class, Option<String>), Told>,
    /// Failures that a rule applied to, by its id.
    by_rule: BTreeMap<String, usize>,
}

/// Failures of one mechanism.
#[derive(Default)]
struct Told {
    count: usize,
    open: usize,
    /// What the first of them is advised.
    advice: Option<String>,
    /// The job of that one.
    job: Option<String>,
}

impl Counts {
    fn add(&mut self, failure: &FailureReport) {
        let told = self.by_cause.entry((failure.class, failure.mechanism.clone())).or_default();
        told.count += 1;
        let open = failure.recovered_at.is_none();
        // One that has not got through tells what is still to be done.
        if told.advice.is_none() || (open && told.open == 0) {
            told.advice = failure.remedy.first().or_else(|| failure.next_evidence.first()).cloned();
            told.job.clone_from(&failure.job_id);
        }
        told.open += usize::from(open);
        for rule in failure.evidence.iter().map(|evidence| &evidence.rule).collect::<BTreeSet<_>>() {
            *self.by_rule.entry(rule.clone()).or_default() += 1;
        }
    }
}
