//! Verdicts against labels: how often they are right, by what they say of themselves, and by the lead that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Evidence, FailureReport, RuleText, Selection, Summary, failure};
use crate::classify::{Class, Pack, Support};
use crate::error::Result;

/// The labels of an archive.
#[derive(Clone, Debug, Deserialize)]
pub struct Truth {
    pub failures: Vec<Label>,
}

/// What is true of one failure.
#[derive(Clone, Debug, Deserialize)]
pub struct Label {
    pub job_id: Option<String>,
    pub recording_id: Option<String>,
    pub class: String,
    pub mechanism: Option<String>,
    /// The permission that is missing, if one is.
    pub scope: Option<String>,
}

/// Verdicts compared with labels.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Calibration {
    pub archives: usize,
    /// Labelled failures.
    pub failures: usize,
    pub found: usize,
    /// Failures that are found and not labelled.
    pub invented: usize,
    pub class_right: usize,
    /// Another class than the truth's, and not `inconclusive`.
    pub confidently_wrong: usize,
    pub mechanisms: usize,
    pub mechanism_right: usize,
    pub scopes: usize,
    pub scope_right: usize,
    pub macro_f1: f64,
    /// From weak to very strong.
    pub by_support: Vec<BySupport>,
    /// Whether each word is right at least as often as the one below it; words that were not used do not count.
    pub support_is_ordered: bool,
    /// Ascending.
    pub by_margin: Vec<ByMargin>,
    /// True and found class, with how many there are; `missing` where a labelled failure was not found.
    #[serde(skip)]
    pub matrix: BTreeMap<(String, String), usize>,
}

/// Decided verdicts of one degree of support.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BySupport {
    pub support: Support,
    pub verdicts: usize,
    pub right: usize,
}

/// What would be decided if another lead were asked for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ByMargin {
    pub margin: f64,
    pub decided: usize,
    pub right: usize,
    /// Decided, of all labelled failures.
    pub coverage: f64,
    /// Right, of those decided; null where none is.
    pub accuracy: Option<f64>,
}

/// Leads that are tried besides the pack's.
const MARGINS: [f64; 9] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0];
const SUPPORTS: [Support; 4] = [Support::Weak, Support::Moderate, Support::Strong, Support::VeryStrong];

type Item = (Option<String>, Option<String>);

impl Calibration {
    /// None compared yet.
    #[must_use]
    pub fn new(pack: &Pack) -> Self {
        let mut margins: Vec<f64> = MARGINS.into_iter().chain([pack.margin]).collect();
        margins.sort_by(f64::total_cmp);
        margins.dedup();
        let by_margin =
            margins.into_iter().map(|margin| ByMargin { margin, decided: 0, right: 0, coverage: 0.0, accuracy: None });
        let by_support = SUPPORTS.map(|support| BySupport { support, verdicts: 0, right: 0 });
        Self { by_margin: by_margin.collect(), by_support: by_support.to_vec(), ..Self::default() }
    }

    /// Compares the verdicts on an archive with its labels.
    ///
    /// # Errors
    /// A rule cannot be evaluated, or a file not be read again.
    pub fn add(&mut self, evidence: &Evidence, rules: &RuleText, truth: &Truth) -> Result<()> {
        self.archives += 1;
        let found = verdicts(evidence, &rules.pack)?;
        self.compare(truth, &found);
        for n in 0..self.by_margin.len() {
            let margin = self.by_margin[n].margin;
            // Judged anew, because what decides is the engine's business.
            let found = verdicts(evidence, &Pack { margin, ..rules.pack.clone() })?;
            for label in &truth.failures {
                let class = found.get(&label.item()).map(|verdict| verdict.class);
                let decided = class.filter(|class| *class != Class::Inconclusive);
                self.by_margin[n].decided += usize::from(decided.is_some());
                self.by_margin[n].right += usize::from(decided.is_some_and(|class| class.name() == label.class));
            }
        }
        self.finish();
        Ok(())
    }

    fn compare(&mut self, truth: &Truth, found: &BTreeMap<Item, FailureReport>) {
        let labelled: BTreeSet<Item> = truth.failures.iter().map(Label::item).collect();
        self.failures += truth.failures.len();
        self.invented += found.keys().filter(|item| !labelled.contains(item)).count();
        for label in &truth.failures {
            let verdict = found.get(&label.item());
            let class = verdict.map_or("missing", |v| v.class.name());
            *self.matrix.entry((label.class.clone(), class.to_owned())).or_default() += 1;
            let right = class == label.class;
            self.found += usize::from(verdict.is_some());
            self.class_right += usize::from(right);
            self.confidently_wrong += usize::from(!right && class != "inconclusive" && class != "missing");
            let word = verdict.and_then(|v| v.support);
            for by in self.by_support.iter_mut().filter(|by| Some(by.support) == word) {
                by.verdicts += 1;
                by.right += usize::from(right);
            }
            if let Some(mechanism) = &label.mechanism {
                self.mechanisms += 1;
                self.mechanism_right += usize::from(verdict.is_some_and(|v| v.mechanism.as_ref() == Some(mechanism)));
            }
            if let Some(scope) = &label.scope {
                self.scopes += 1;
                self.scope_right += usize::from(verdict.is_some_and(|v| v.missing_permissions.contains(scope)));
            }
        }
    }

    fn finish(&mut self) {
        self.macro_f1 = self.macro_f1();
        let used: Vec<&BySupport> = self.by_support.iter().filter(|by| by.verdicts > 0).collect();
        // Shares as products: a/b <= c/d.
        self.support_is_ordered = used.windows(2).all(|w| w[0].right * w[1].verdicts <= w[1].right * w[0].verdicts);
        for by in &mut self.by_margin {
            by.coverage = share(by.decided, self.failures).unwrap_or(0.0);
            by.accuracy = share(by.right, by.decided);
        }
    }

    fn macro_f1(&self) -> f64 {
        let sum = |test: &dyn Fn(&str, &str) -> bool| -> usize {
            self.matrix.iter().filter(|((truth, found), _)| test(truth, found)).map(|(_, n)| *n).sum()
        };
        let f1 = |class: Class| {
            let class = class.name();
            let hits = sum(&|truth, found| truth == class && found == class);
            let all = sum(&|truth, _| truth == class) + sum(&|_, found| found == class);
            share(2 * hits, all).unwrap_or(1.0)
        };
        #[expect(clippy::cast_precision_loss, reason = "five classes")]
        let classes = Class::ALL.len() as f64;
        Class::ALL.into_iter().map(f1).sum::<f64>() / classes
    }
}

impl Label {
    fn item(&self) -> Item {
        (self.job_id.clone(), self.recording_id.clone())
    }
}

/// The first verdict on each item.
fn verdicts(evidence: &Evidence, pack: &Pack) -> Result<BTreeMap<Item, FailureReport>> {
    let mut found = BTreeMap::new();
    let (reports, _) =
        failure::reports(evidence, pack, &Selection::default(), &mut Summary::new(evidence), None, &mut |_| Ok(()))?;
    for report in &reports {
        let report = report?;
        found.entry((report.job_id.clone(), report.recording_id.clone())).or_insert(report);
    }
    Ok(found)
}

fn share(part: usize, of: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts of failures")]
    let share = |part: usize, of: usize| part as f64 / of as f64;
    (of > 0).then(|| share(part, of))
}
