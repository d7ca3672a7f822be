//! Weighing: which rules apply to a failure, which cause leads, and what to say where none does.

use std::borrow::Cow;
use std::collections::BTreeSet;

use polars::prelude::*;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::amend::SmallestChange;
use super::dossier::{Dossier, MAX_CITED};
use super::features::{self, FeatureRow, Value};
use super::pack::{Advice, Cause, Evidence, Pack, Rule, condition};
use super::questions;
use crate::correlate::Failure;
use crate::evidence::Locator;

/// What a failure is classified as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Class {
    ScopeCollision,
    SyncRace,
    PolicyMismatch,
    OtherCause,
    Inconclusive,
}

impl Class {
    /// All classes, in the order of the report.
    pub const ALL: [Self; 5] =
        [Self::ScopeCollision, Self::SyncRace, Self::PolicyMismatch, Self::OtherCause, Self::Inconclusive];

    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScopeCollision => "scope_collision",
            Self::SyncRace => "sync_race",
            Self::PolicyMismatch => "policy_mismatch",
            Self::OtherCause => "other_cause",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl From<Cause> for Class {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::ScopeCollision => Self::ScopeCollision,
            Cause::SyncRace => Self::SyncRace,
            Cause::PolicyMismatch => Self::PolicyMismatch,
            Cause::OtherCause => Self::OtherCause,
        }
    }
}

/// How strongly the evidence speaks for the verdict; a degree of judgement, not a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Support {
    Weak,
    Moderate,
    Strong,
    VeryStrong,
}

impl Support {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Moderate => "moderate",
            Self::Strong => "strong",
            Self::VeryStrong => "very_strong",
        }
    }
}

/// A cause with what speaks for and against it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hypothesis {
    pub class: Cause,
    pub weight: f64,
    #[serde(rename = "for")]
    pub supports: Vec<String>,
    pub against: Vec<String>,
}

/// A rule that applied.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: String,
    /// None where it only says how far the evidence is to be relied on.
    pub class: Option<Cause>,
    pub weight: f64,
    pub statement: String,
    pub records: Vec<Locator>,
}

impl Finding {
    /// Whether it speaks of a class, for it or against it.
    #[must_use]
    pub fn is_of(&self, class: Class) -> bool {
        self.class.map(Class::from) == Some(class)
    }
}

/// The verdict on one failure.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub class: Class,
    pub mechanism: Option<String>,
    pub support: Option<Support>,
    pub missing_permissions: Vec<String>,
    /// Failing attempts by symptom: timeouts, forbidden, conflicts, other.
    pub symptoms: [usize; 4],
    pub hypotheses: Vec<Hypothesis>,
    pub findings: Vec<Finding>,
    pub reason: Option<String>,
    pub next_evidence: Vec<String>,
    pub remedy: Vec<String>,
    /// What would have to be added to which policy or role, and no more.
    pub change: Option<SmallestChange>,
}

/// Placeholders that statements and advice may use besides the feature columns.
pub const EXTRA_PLACEHOLDERS: [&str; 10] = [
    "missing_permissions",
    "principal",
    "bucket",
    "tenant_id",
    "job_id",
    "object_key",
    "conversation_id",
    "recording_id",
    "region",
    "api_host",
];

/// What stands for a value that is not known.
const UNKNOWN: &str = "(unknown)";

/// How values from the evidence are put into sentences; without one they are put there as they are.
pub trait Wording: Sync {
    /// What stands for the `value` of a placeholder.
    fn value<'v>(&self, placeholder: &str, value: &'v str) -> Cow<'v, str>;
}

/// A rule pack, ready to weigh with: its conditions are read once.
pub struct Scales<'a> {
    pack: &'a Pack,
    pub wording: Option<&'a dyn Wording>,
    rules: Vec<&'a Rule>,
    met: Vec<Expr>,
    remedies: Vec<Expr>,
    next: Vec<Expr>,
}

impl<'a> Scales<'a> {
    /// Reads the conditions.
    ///
    /// # Errors
    /// One of them is no SQL expression.
    pub fn new(pack: &'a Pack) -> PolarsResult<Self> {
        let rules: Vec<&Rule> = pack.rules.iter().filter(|rule| rule.enabled).collect();
        let met = expressions(rules.iter().map(|rule| Some(rule.when.as_str())))?;
        let remedies = expressions(pack.remedies.iter().map(|a| a.when.as_deref()))?;
        let next = expressions(pack.next_evidence.iter().map(|a| a.when.as_deref()))?;
        Ok(Self { pack, wording: None, rules, met, remedies, next })
    }

    /// Weighs the evidence on every failure.
    ///
    /// # Errors
    /// Polars cannot evaluate a condition.
    pub fn weigh(&self, failures: &[&Failure], dossiers: &[Dossier]) -> PolarsResult<Vec<Verdict>> {
        let rows: Vec<&FeatureRow> = dossiers.iter().map(|d| &d.features).collect();
        let frame = features::frame(&rows)?;
        let met = evaluate(&frame, &self.met)?;
        let remedies = evaluate(&frame, &self.remedies)?;
        let next = evaluate(&frame, &self.next)?;
        let verdicts = failures.par_iter().zip(dossiers).enumerate().map(|(n, (failure, dossier))| {
            let applied: Vec<&Rule> = self.rules.iter().zip(&met).filter(|(_, met)| met[n]).map(|(r, _)| *r).collect();
            let remedies = chosen(&self.pack.remedies, &remedies, n);
            let next = chosen(&self.pack.next_evidence, &next, n);
            verdict((self.pack, self.wording), failure, dossier, &applied, &remedies, &next)
        });
        Ok(verdicts.collect())
    }
}

impl<'a> Scales<'a> {
    /// What the pack would have collected, whether or not the verdict asks for it.
    ///
    /// # Errors
    /// Polars cannot evaluate a condition.
    pub fn open(&self, dossier: &Dossier) -> PolarsResult<Vec<&'a Advice>> {
        let met = evaluate(&features::frame(&[&dossier.features])?, &self.next)?;
        Ok(chosen(&self.pack.next_evidence, &met, 0))
    }
}

fn chosen<'a>(advice: &'a [Advice], met: &[Vec<bool>], row: usize) -> Vec<&'a Advice> {
    advice.iter().zip(met).filter(|(_, met)| met[row]).map(|(advice, _)| advice).collect()
}

fn expressions<'a>(conditions: impl Iterator<Item = Option<&'a str>>) -> PolarsResult<Vec<Expr>> {
    let expression = |(n, sql): (usize, Option<&str>)| {
        let expression = match sql {
            None => lit(true),
            Some(sql) => condition(sql).map_err(|e| polars_err!(ComputeError: "{e}"))?,
        };
        Ok(expression.alias(format!("c{n}")))
    };
    conditions.enumerate().map(expression).collect()
}

/// For each condition, whether each row meets it; no condition is met by all, null is not met.
fn evaluate(frame: &DataFrame, expressions: &[Expr]) -> PolarsResult<Vec<Vec<bool>>> {
    if expressions.is_empty() || frame.height() == 0 {
        return Ok(vec![vec![false; frame.height()]; expressions.len()]);
    }
    let result = frame.clone().lazy().select(expressions).collect()?;
    let column = |n: usize| -> PolarsResult<Vec<bool>> {
        let column = result.column(&format!("c{n}"))?.bool()?.clone();
        let one = column.len() == 1 && frame.height() != 1;
        Ok((0..frame.height()).map(|row| column.get(if one { 0 } else { row }).unwrap_or(false)).collect())
    };
    (0..expressions.len()).map(column).collect()
}

fn verdict(
    (pack, wording): (&Pack, Option<&dyn Wording>),
    failure: &Failure,
    dossier: &Dossier,
    applied: &[&Rule],
    remedies: &[&Advice],
    next: &[&Advice],
) -> Verdict {
    let hypotheses: Vec<Hypothesis> = Cause::ALL.into_iter().map(|cause| hypothesis(cause, applied)).collect();
    let mut ranked: Vec<&Hypothesis> = hypotheses.iter().collect();
    ranked.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.class.cmp(&b.class)));
    let (best, second) = (ranked[0], ranked[1]);
    let beyond_symptom =
        applied.iter().any(|r| r.class == Some(best.class) && r.weight > 0.0 && r.evidence != Evidence::Symptom);
    let leads = best.weight > 0.0 && best.weight - second.weight.max(0.0) >= pack.margin;
    let class = if leads && beyond_symptom { Class::from(best.class) } else { Class::Inconclusive };
    let decided = class != Class::Inconclusive;
    let mechanism = decided.then(|| mechanism(best.class, applied)).flatten();
    let missing =
        if class == Class::ScopeCollision { missing_permissions(dossier, mechanism.as_deref()) } else { Vec::new() };
    let fill = |text: &str| fill(text, failure, &dossier.features, &missing, wording);
    let findings: Vec<Finding> = applied.iter().map(|rule| finding(rule, dossier, fill(&rule.statement))).collect();
    let lowered = applied.iter().fold(0, |sum: u8, rule| sum.saturating_add(rule.lowers));
    let support = decided.then(|| support(pack, best.weight).lowered(lowered));
    let for_mechanism = |advice: &&&Advice| decided && (advice.mechanism.is_none() || advice.mechanism == mechanism);
    let remedy = remedies.iter().filter(for_mechanism).map(|a| fill(&a.text)).collect();
    let asks = !decided || support == Some(Support::Weak);
    let next_evidence = next.iter().filter(|advice| asks || advice.always).map(|a| fill(&a.text)).collect();
    let doubts = || findings.iter().filter(|finding| finding.class.is_none()).map(|finding| finding.statement.as_str());
    let reason = (!decided).then(|| with_doubts(reason(pack, best, second, beyond_symptom), doubts()));
    Verdict {
        class,
        mechanism,
        support,
        missing_permissions: missing,
        symptoms: dossier.symptoms,
        hypotheses,
        findings,
        reason,
        next_evidence,
        remedy,
        change: None,
    }
}

fn hypothesis(cause: Cause, applied: &[&Rule]) -> Hypothesis {
    let of = |positive: bool| {
        let chosen = applied.iter().filter(|r| r.class == Some(cause) && (r.weight > 0.0) == positive);
        chosen.map(|r| r.id.clone()).collect()
    };
    let weight = applied.iter().filter(|r| r.class == Some(cause)).map(|r| r.weight).sum::<f64>();
    // Adding nothing gives minus zero, which would be printed as such.
    Hypothesis { class: cause, weight: weight + 0.0, supports: of(true), against: of(false) }
}

/// The mechanism with the most weight behind it; of equals, the one whose rule stands first in the pack.
fn mechanism(cause: Cause, applied: &[&Rule]) -> Option<String> {
    let mut weights: Vec<(&str, f64)> = Vec::new();
    for rule in applied.iter().filter(|r| r.class == Some(cause) && r.weight > 0.0) {
        let Some(name) = rule.mechanism.as_deref() else { continue };
        match weights.iter_mut().find(|(known, _)| *known == name) {
            Some((_, weight)) => *weight += rule.weight,
            None => weights.push((name, rule.weight)),
        }
    }
    let most = weights.iter().map(|(_, w)| *w).fold(f64::NEG_INFINITY, f64::max);
    weights.iter().find(|(_, w)| *w >= most).map(|(name, _)| (*name).to_owned())
}

impl Support {
    /// So many degrees less, but never none.
    fn lowered(self, degrees: u8) -> Self {
        let all = [Self::Weak, Self::Moderate, Self::Strong, Self::VeryStrong];
        all[(self as usize).saturating_sub(usize::from(degrees))]
    }
}

/// Adds to a reason what makes the evidence doubtful.
fn with_doubts<'f>(reason: String, doubts: impl Iterator<Item = &'f str>) -> String {
    doubts.fold(reason, |reason, doubt| {
        let mut words = doubt.trim_end_matches('.').chars();
        let first = words.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
        format!("{reason}; {first}{}", words.as_str())
    })
}

fn support(pack: &Pack, weight: f64) -> Support {
    match weight {
        w if w >= pack.support.very_strong => Support::VeryStrong,
        w if w >= pack.support.strong => Support::Strong,
        w if w >= pack.support.moderate => Support::Moderate,
        _ => Support::Weak,
    }
}

/// What the caller lacked: what the archive shows, else what helped when it was granted, else what was refused, else
/// what the refusal claims.
fn missing_permissions(dossier: &Dossier, mechanism: Option<&str>) -> Vec<String> {
    let f = &dossier.features;
    if mechanism == Some("identity_policy_denied") {
        return vec![f.str("refused_action").unwrap_or("s3:PutObject").to_owned()];
    }
    let both: BTreeSet<String> = dossier.missing.intersection(&dossier.granted).cloned().collect();
    let claimed = if f.is("named_not_needed") { BTreeSet::new() } else { dossier.named.clone() };
    let sets = [both, dossier.missing.clone(), dossier.revoked.clone(), dossier.granted.clone(), claimed];
    sets.into_iter().find(|set| !set.is_empty()).unwrap_or_default().into_iter().collect()
}

fn finding(rule: &Rule, dossier: &Dossier, statement: String) -> Finding {
    let mut records: Vec<Locator> = Vec::new();
    for group in &rule.cites {
        for record in dossier.groups.get(group.as_str()).into_iter().flatten() {
            if !records.contains(record) && records.len() < MAX_CITED {
                records.push(*record);
            }
        }
    }
    records.sort_unstable();
    Finding { rule: rule.id.clone(), class: rule.class, weight: rule.weight, statement, records }
}

fn reason(pack: &Pack, best: &Hypothesis, second: &Hypothesis, beyond_symptom: bool) -> String {
    if best.weight <= 0.0 {
        return "nothing in the evidence speaks for any cause".to_owned();
    }
    if !beyond_symptom {
        return format!("only the symptom is on record; it leans to {} and decides nothing", best.class.name());
    }
    format!(
        "{} ({}) and {} ({}) are closer than the margin of {}",
        best.class.name(),
        best.weight,
        second.class.name(),
        second.weight,
        pack.margin
    )
}

/// Replaces `{column}` by the feature's value.
fn fill(
    text: &str,
    failure: &Failure,
    features: &FeatureRow,
    missing: &[String],
    wording: Option<&dyn Wording>,
) -> String {
    fill_with(text, failure, features, missing, wording.map_or(Put::AsItIs, Put::Worded))
}

/// How values are put into a text.
#[derive(Clone, Copy)]
pub enum Put<'a> {
    AsItIs,
    /// As part of a line for a shell.
    InShell,
    Worded(&'a dyn Wording),
}

/// The same, with values put into the text in this manner.
pub fn fill_with(text: &str, failure: &Failure, features: &FeatureRow, missing: &[String], put: Put<'_>) -> String {
    let extra = |name: &str| -> Option<Option<Cow<'_, str>>> {
        let of_failure = match name {
            "principal" => &failure.principal,
            "bucket" => &failure.bucket,
            "tenant_id" => &failure.tenant_id,
            "job_id" => &failure.job_id,
            "object_key" => &failure.object_key,
            "conversation_id" => &failure.conversation_id,
            "recording_id" => &failure.recording_id,
            "region" => &failure.region,
            "api_host" => return Some(failure.region.as_deref().and_then(questions::api_host).map(Into::into)),
            "missing_permissions" => return Some((!missing.is_empty()).then(|| missing.join(", ").into())),
            _ => return None,
        };
        Some(of_failure.as_deref().map(Cow::Borrowed))
    };
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once('}') else { break };
        let (value, is_text) = match (extra(name), features.get(name)) {
            (Some(value), _) => (value, true),
            (None, Some(Value::Text(value))) => (Some(Cow::Borrowed(value.as_str())), true),
            (None, value) => (value.map(|value| value.to_string().into()), false),
        };
        match (put, value.as_deref()) {
            (Put::InShell, value) => filled.push_str(&questions::in_shell(name, value)),
            (Put::Worded(wording), Some(value)) if is_text => filled.push_str(&wording.value(name, value)),
            (_, value) => filled.push_str(value.unwrap_or(UNKNOWN)),
        }
        rest = tail;
    }
    filled + rest
}
