//! Rule packs: what exports do, what steps are said to need, and the rules that weigh evidence, as data.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::dossier::GROUPS;
use super::features::{self, FEATURES, FeatureRow};
use super::given::Given;
use super::questions::{self, Outcome};
use crate::correlate::Operation;
use crate::error::{Error, Result};

/// The pack that is built in.
pub const DEFAULT_PACK: &str = include_str!("default_rules.toml");

/// The causes that are weighed against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    ScopeCollision,
    SyncRace,
    PolicyMismatch,
    OtherCause,
}

impl Cause {
    /// All causes, in the order of the report.
    pub const ALL: [Self; 4] = [Self::ScopeCollision, Self::SyncRace, Self::PolicyMismatch, Self::OtherCause];

    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScopeCollision => "scope_collision",
            Self::SyncRace => "sync_race",
            Self::PolicyMismatch => "policy_mismatch",
            Self::OtherCause => "other_cause",
        }
    }
}

/// The kind of evidence a rule stands for, strongest first (DESIGN section 6). A symptom alone decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    Intervention,
    NamedCause,
    State,
    Probe,
    Pattern,
    Symptom,
    /// How far the evidence is to be relied on; the kind of rules without a class.
    Reliability,
}

impl Evidence {
    /// The name used in packs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intervention => "intervention",
            Self::NamedCause => "named_cause",
            Self::State => "state",
            Self::Probe => "probe",
            Self::Pattern => "pattern",
            Self::Symptom => "symptom",
            Self::Reliability => "reliability",
        }
    }
}

/// How well a rule's source is founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// By the vendor.
    Documented,
    /// In data.
    Observed,
    /// By users, unconfirmed.
    Reported,
}

impl Standing {
    /// The name used in packs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Observed => "observed",
            Self::Reported => "reported",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    /// The class it speaks for or against; none for rules that only say how far the evidence is to be relied on.
    pub class: Option<Cause>,
    /// The mechanism it speaks for; none for rules that speak of the class as a whole, or against it.
    pub mechanism: Option<String>,
    pub evidence: Evidence,
    /// Expert judgement; negative speaks against the class. Zero where there is no class.
    #[serde(default)]
    pub weight: f64,
    /// By how many degrees it lowers the support of whatever the verdict is; only where there is no class.
    #[serde(default)]
    pub lowers: u8,
    /// SQL boolean expression over the feature columns; null counts as not met.
    pub when: String,
    /// Features that meet the condition, and such as do not.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// The sentence for the reader; `{column}` is replaced by the feature's value.
    pub statement: String,
    /// Groups of records that the sentence rests on.
    #[serde(default)]
    pub cites: Vec<String>,
    pub source: String,
    pub standing: Standing,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// An example of a rule: features that are given, all others unknown, and whether the rule applies to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub met: bool,
    pub given: Given,
}

/// Advice on what to do or collect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// By which a later layer changes it.
    pub id: Option<String>,
    /// The mechanism it is for; for `next_evidence`, absent.
    pub mechanism: Option<String>,
    /// Condition over the feature columns; absent is always.
    pub when: Option<String>,
    /// Whether it is given with verdicts of any support; only for `next_evidence`.
    #[serde(default)]
    pub always: bool,
    pub text: String,
    /// For `next_evidence`: a line for a shell that fetches it.
    pub command: Option<String>,
    /// For `next_evidence`: what the answers would mean.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
}

/// Permissions that a step is said to need.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    pub step: String,
    pub permissions: Vec<String>,
    pub standing: Standing,
    pub source: String,
}

/// Least weight of the winning class for each degree of support.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Support {
    pub moderate: f64,
    pub strong: f64,
    pub very_strong: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    version: String,
    margin: f64,
    support: Support,
    assumed_sync_lag_seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: Head,
    #[serde(default)]
    operation: Vec<Operation>,
    #[serde(default)]
    requirement: Vec<Requirement>,
    #[serde(default)]
    rule: Vec<Rule>,
    #[serde(default)]
    remedy: Vec<Advice>,
    #[serde(default)]
    next_evidence: Vec<Advice>,
}

/// A rule pack, checked.
#[derive(Clone, Debug)]
pub struct Pack {
    pub name: String,
    pub version: String,
    /// How far the winning class must lead.
    pub margin: f64,
    pub support: Support,
    /// Taken for the longest lag of a hold where the archive shows none.
    pub assumed_sync_lag_seconds: f64,
    pub operations: Vec<Operation>,
    pub requirements: Vec<Requirement>,
    pub rules: Vec<Rule>,
    pub remedies: Vec<Advice>,
    pub next_evidence: Vec<Advice>,
}

fn yes() -> bool {
    true
}

impl Pack {
    /// Reads and checks a pack; `origin` is what errors call it.
    ///
    /// # Errors
    /// The text is no pack, a rule's condition is no boolean expression over known columns, a placeholder or a group of
    /// records is unknown, an id is used twice. The sentence names the rule and the column.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let pack = Self::read(text, origin)?;
        pack.checked(origin)
    }

    fn read(text: &str, origin: &str) -> Result<Self> {
        toml::from_str::<File>(text).map(Self::from).map_err(|e| unreadable(&e, origin))
    }

    /// The pack, if nothing is wrong with it; `origin` is what the error calls it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn checked(self, origin: &str) -> Result<Self> {
        match self.problems().into_iter().next() {
            Some(reason) => Err(Error::RulePack { origin: origin.to_owned(), reason }),
            None => Ok(self),
        }
    }

    /// The pack that a table holds, not checked.
    ///
    /// # Errors
    /// It holds none.
    pub fn of(table: toml::Table, origin: &str) -> Result<Self> {
        table.try_into().map(|file: File| Self::from(file)).map_err(|e| unreadable(&e, origin))
    }

    /// The pack that is built in, not checked again in every run: a test does it.
    ///
    /// # Errors
    /// Never.
    pub fn built_in() -> Result<Self> {
        Self::read(DEFAULT_PACK, "the built-in rule pack")
    }

    /// Scopes that callers are said to lack, by step.
    #[must_use]
    pub fn candidates(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for requirement in &self.requirements {
            found.entry(requirement.step.clone()).or_default().extend(requirement.permissions.iter().cloned());
        }
        found
    }

    /// What is wrong with the pack, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let empty = match features::frame(&[] as &[&FeatureRow]) {
            Ok(empty) => empty,
            Err(e) => return vec![e.to_string()],
        };
        let mut found = Vec::new();
        let mut operations = BTreeSet::new();
        let twice = self.operations.iter().filter(|operation| !operations.insert(&operation.name));
        found.extend(twice.map(|operation| format!("operation `{}` is listed twice", operation.name)));
        let mut ids = BTreeSet::new();
        for rule in &self.rules {
            let named = |reason: String| format!("rule `{}`: {reason}", rule.id);
            let twice = (!ids.insert(&rule.id)).then(|| "the id is used twice".to_owned());
            found.extend(twice.into_iter().chain(rule.check(&empty).err()).map(named));
        }
        for (n, advice) in self.remedies.iter().chain(&self.next_evidence).enumerate() {
            let named = |reason| format!("advice {} (`{}`): {reason}", n + 1, first_words(&advice.text));
            found.extend(advice.check(&empty).err().map(named));
        }
        found
    }
}

impl Rule {
    /// Checks weight, condition, sentence, groups of records and examples.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(&self, empty: &DataFrame) -> std::result::Result<(), String> {
        self.check_weight()?;
        check_condition(empty, &self.when)?;
        check_placeholders(&self.statement)?;
        let unknown = |group: &&String| !GROUPS.iter().any(|(known, _)| known == group);
        if let Some(group) = self.cites.iter().find(unknown) {
            return Err(format!("`{group}` in `cites` is no group of records; docs/rules.md lists them"));
        }
        self.examples.iter().try_for_each(|example| example.given.check())
    }

    fn check_weight(&self) -> std::result::Result<(), String> {
        let fault = match self.class {
            Some(_) if !self.weight.is_finite() || self.weight == 0.0 => "the weight must be a number other than 0",
            Some(_) if self.lowers > 0 => "`lowers` is for rules without a class",
            None if self.weight != 0.0 || self.mechanism.is_some() => {
                "a rule without a class has no weight and no mechanism"
            }
            class if class.is_none() != (self.evidence == Evidence::Reliability) => {
                "rules without a class, and only they, have the evidence `reliability`"
            }
            _ => return Ok(()),
        };
        Err(fault.to_owned())
    }
}

impl Advice {
    fn check(&self, empty: &DataFrame) -> std::result::Result<(), String> {
        if let Some(when) = &self.when {
            check_condition(empty, when)?;
        }
        std::iter::once(&self.text).chain(&self.command).try_for_each(|text| check_placeholders(text))?;
        questions::check(self)
    }
}

fn unreadable(error: &toml::de::Error, origin: &str) -> Error {
    Error::RulePack { origin: origin.to_owned(), reason: error.to_string().trim().to_owned() }
}

impl From<File> for Pack {
    fn from(file: File) -> Self {
        Self {
            name: file.pack.name,
            version: file.pack.version,
            margin: file.pack.margin,
            support: file.pack.support,
            assumed_sync_lag_seconds: file.pack.assumed_sync_lag_seconds,
            operations: file.operation,
            requirements: file.requirement,
            rules: file.rule,
            remedies: file.remedy,
            next_evidence: file.next_evidence,
        }
    }
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(5).collect::<Vec<_>>().join(" ")
}

/// The expression of a condition.
///
/// # Errors
/// It is not SQL.
pub fn condition(sql: &str) -> std::result::Result<Expr, String> {
    polars::sql::sql_expr(sql).map_err(|e| format!("`{sql}` is no SQL expression ({e})"))
}

fn check_condition(empty: &DataFrame, sql: &str) -> std::result::Result<(), String> {
    let expression = condition(sql)?;
    for name in expression.clone().meta().root_names() {
        if !FEATURES.iter().any(|(known, ..)| *known == name.as_str()) {
            return Err(format!("`{name}` is no feature column{}", suggestion(&name)));
        }
    }
    let result = empty
        .clone()
        .lazy()
        .select([expression.alias("met")])
        .collect()
        .map_err(|e| format!("`{sql}` cannot be evaluated ({e})"))?;
    match result.column("met").map(Column::dtype) {
        Ok(DataType::Boolean) => Ok(()),
        Ok(other) => Err(format!("`{sql}` gives {other}, a condition must give a boolean")),
        Err(e) => Err(e.to_string()),
    }
}

fn check_placeholders(text: &str) -> std::result::Result<(), String> {
    for name in text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
        if !FEATURES.iter().any(|(known, ..)| *known == name) && !super::verdict::EXTRA_PLACEHOLDERS.contains(&name) {
            return Err(format!("`{{{name}}}` is no feature column{}", suggestion(name)));
        }
    }
    Ok(())
}

/// The known column that a mistyped one most resembles.
pub(super) fn suggestion(name: &str) -> String {
    let closest = FEATURES.iter().map(|(known, ..)| (strsim::levenshtein(name, known), *known)).min();
    match closest {
        Some((distance, known)) if distance <= 3 => format!("; did you mean `{known}`?"),
        _ => "; docs/rules.md lists them".to_owned(),
    }
}
