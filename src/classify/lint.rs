//! What is wrong or doubtful in a rule pack: broken conditions, examples that do not hold, conditions that nothing meets.

use std::collections::BTreeSet;

use polars::prelude::*;

use super::features::{self, FEATURES, FeatureRow, Kind, Value};
use super::pack::{Pack, Rule, condition};
use super::policy::{Decision, Gap};

/// How much a remark weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The pack does not do what it says.
    Problem,
    /// Worth a look.
    Note,
}

/// A remark on a pack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remark {
    pub severity: Severity,
    pub text: String,
}

/// Combinations of values that are tried for one part of a condition.
const COMBINATIONS: usize = 100_000;

/// All remarks on a pack, problems first.
#[must_use]
pub fn lint(pack: &Pack) -> Vec<Remark> {
    let problem = |text: String| Remark { severity: Severity::Problem, text };
    let note = |text: String| Remark { severity: Severity::Note, text };
    let mut found: Vec<Remark> = pack.problems().into_iter().map(problem).collect();
    let empty = features::frame(&[] as &[&FeatureRow]).unwrap_or_default();
    for rule in pack.rules.iter().filter(|rule| rule.check(&empty).is_ok()) {
        let of_rule = |text: String| format!("rule `{}`: {text}", rule.id);
        let broken = examples(rule).into_iter().chain(doubts(&rule.when)).map(of_rule);
        found.extend(broken.map(problem));
        let (met, unmet) = (rule.examples.iter().any(|e| e.met), rule.examples.iter().any(|e| !e.met));
        let missing = match (met, unmet) {
            (true, true) => continue,
            (false, false) => "it has no examples",
            (false, true) => "no example meets it",
            (true, false) => "no example fails to meet it",
        };
        found.push(note(of_rule(missing.to_owned())));
    }
    for advice in pack.remedies.iter().chain(&pack.next_evidence) {
        let name = advice.id.as_ref().or(advice.mechanism.as_ref()).unwrap_or(&advice.text);
        let doubts = advice.when.as_deref().map(doubts).unwrap_or_default();
        found.extend(doubts.into_iter().map(|text| problem(format!("advice `{name}`: {text}"))));
    }
    found.sort_by_key(|remark| remark.severity);
    found
}

/// Examples that turn out otherwise than they say.
fn examples(rule: &Rule) -> Vec<String> {
    let rows: Vec<FeatureRow> = rule.examples.iter().map(|example| example.given.row()).collect();
    let frame = features::frame(&rows.iter().collect::<Vec<_>>());
    let met = condition(&rule.when).and_then(|when| {
        frame.and_then(|frame| meets(&frame, &when)).map_err(|e| format!("its examples cannot be evaluated ({e})"))
    });
    let met = match met {
        Ok(met) => met,
        Err(reason) => return vec![reason],
    };
    let wrong = rule.examples.iter().zip(met).enumerate().filter(|(_, (example, met))| example.met != *met);
    let said = |met: bool| if met { "meets" } else { "does not meet" };
    wrong.map(|(n, (_, met))| format!("example {} {} the condition", n + 1, said(met))).collect()
}

/// Whether each row meets a condition; null is not met.
fn meets(frame: &DataFrame, when: &Expr) -> PolarsResult<Vec<bool>> {
    let result = frame.clone().lazy().select([when.clone().alias("met")]).collect()?;
    let met = result.column("met")?.bool()?.clone();
    let one = met.len() == 1;
    Ok((0..frame.height()).map(|row| met.get(if one { 0 } else { row }).unwrap_or(false)).collect())
}

/// What makes a condition look mistaken: values that a column never takes, and that nothing meets it.
fn doubts(sql: &str) -> Vec<String> {
    let Ok(whole) = condition(sql) else { return Vec::new() };
    let mut found = strange(&whole);
    if found.is_empty() {
        let literals = Literals::of(sql);
        let parts = joined(conjuncts(whole).into_iter().map(Part::of).collect());
        let impossible = parts.iter().filter(|part| part.is_impossible(&literals) == Some(true));
        found.extend(impossible.map(|part| {
            let columns: Vec<String> = part.columns.iter().map(|name| format!("`{name}`")).collect();
            let columns = columns.join(", ");
            format!("nothing meets what it asks of {columns}, whichever of the values that it names are tried")
        }));
    }
    found
}

/// Texts that are compared with a column which never takes them.
fn strange(whole: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    for expression in whole {
        let (column, texts) = match expression {
            Expr::BinaryExpr { left, op: Operator::Eq | Operator::NotEq, right } => match (&**left, &**right) {
                (Expr::Column(name), Expr::Literal(text)) | (Expr::Literal(text), Expr::Column(name)) => {
                    (name, text.extract_str().map(str::to_owned).into_iter().collect())
                }
                _ => continue,
            },
            Expr::Function { input, .. } => match &input[..] {
                [Expr::Column(name), list] => (name, listed(list)),
                _ => continue,
            },
            _ => continue,
        };
        let Some(known) = values(column) else { continue };
        let texts: Vec<String> = texts;
        let strange = texts.into_iter().filter(|text| !known.contains(&text.as_str()));
        found.extend(strange.map(|text| format!("`{text}` is no value of `{column}`")));
    }
    found
}

/// The texts of a list in an expression.
fn listed(list: &Expr) -> Vec<String> {
    let series = list.into_iter().filter_map(|inner| match inner {
        Expr::Literal(LiteralValue::Series(series)) => series.str().ok(),
        _ => None,
    });
    series.flat_map(|texts| texts.iter().flatten().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn kind(column: &str) -> Option<Kind> {
    FEATURES.iter().find(|(name, ..)| *name == column).map(|(_, kind, _)| *kind)
}

/// The values of a text column, where only some are possible.
fn values(column: &str) -> Option<Vec<&'static str>> {
    let decisions = [Decision::Allow, Decision::ExplicitDeny, Decision::ImplicitDeny, Decision::Undetermined];
    let gaps = [Gap::Tenant, Gap::Action, Gap::Principal, Gap::Condition, Gap::Resource];
    match column {
        "policy_decision" | "trust_decision" | "key_decision" => Some(decisions.map(Decision::name).to_vec()),
        "policy_gap" => Some(gaps.map(Gap::name).to_vec()),
        "policy_origin" => Some(vec!["logged change", "snapshot"]),
        _ => None,
    }
}

/// The parts of a condition that must all hold.
fn conjuncts(whole: Expr) -> Vec<Expr> {
    match whole {
        Expr::BinaryExpr { left, op: Operator::And | Operator::LogicalAnd, right } => {
            let mut all = conjuncts(Arc::unwrap_or_clone(left));
            all.extend(conjuncts(Arc::unwrap_or_clone(right)));
            all
        }
        other => vec![other],
    }
}

/// Parts of a condition that speak of the same columns.
struct Part {
    when: Expr,
    columns: BTreeSet<String>,
}

impl Part {
    fn of(when: Expr) -> Self {
        let columns = when.clone().meta().root_names().into_iter().map(|name| name.to_string()).collect();
        Self { when, columns }
    }

    /// Whether no combination of the values meets it; `None` where there are too many to try, or where it calculates.
    /// Values are those that the condition names and those beside them, and unknown; numbers are never below 0.
    fn is_impossible(&self, literals: &Literals) -> Option<bool> {
        let logical = |op: &Operator| matches!(op, Operator::LogicalAnd | Operator::LogicalOr);
        let calculates = |op: &Operator| !op.is_comparison_or_bitwise() && !logical(op);
        if self.when.into_iter().any(|e| matches!(e, Expr::BinaryExpr { op, .. } if calculates(op))) {
            return None;
        }
        let pools: Vec<(&String, Vec<Option<Value>>)> =
            self.columns.iter().map(|name| (name, literals.pool(name))).collect();
        let combinations = pools.iter().try_fold(1usize, |all, (_, pool)| all.checked_mul(pool.len()))?;
        if combinations > COMBINATIONS {
            return None;
        }
        let rows: Vec<FeatureRow> = (0..combinations).map(|n| row(&pools, n)).collect();
        let frame = features::frame(&rows.iter().collect::<Vec<_>>()).ok()?;
        Some(!meets(&frame, &self.when).ok()?.contains(&true))
    }
}

fn row(pools: &[(&String, Vec<Option<Value>>)], mut n: usize) -> FeatureRow {
    let mut row = FeatureRow::default();
    for (name, pool) in pools {
        if let Some(value) = &pool[n % pool.len()] {
            row.set(name, value.clone());
        }
        n /= pool.len();
    }
    row
}

/// Joins parts that share a column.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for mut part in parts {
        let (apart, shared): (Vec<Part>, Vec<Part>) =
            all.into_iter().partition(|other| other.columns.is_disjoint(&part.columns));
        for other in shared {
            part.columns.extend(other.columns);
            part.when = other.when.and(part.when);
        }
        all = apart;
        all.push(part);
    }
    all
}

/// The values that a condition names.
struct Literals {
    texts: BTreeSet<String>,
    numbers: Vec<f64>,
}

impl Literals {
    fn of(sql: &str) -> Self {
        let (mut texts, mut numbers) = (BTreeSet::new(), Vec::new());
        for (n, piece) in sql.split('\'').enumerate() {
            if n % 2 == 1 {
                texts.insert(piece.to_owned());
                continue;
            }
            let words = piece.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
            numbers.extend(words.filter_map(|word| word.parse::<f64>().ok()).filter(|number| number.is_finite()));
        }
        Self { texts, numbers }
    }

    /// Values to try for a column.
    fn pool(&self, column: &str) -> Vec<Option<Value>> {
        let mut named: Vec<f64> = [0.0, 1.0, 2.0].into_iter().chain(self.numbers.iter().copied()).collect();
        named.sort_by(f64::total_cmp);
        named.dedup();
        let last = named.last().map(|n| n + 1.0);
        // Between any two numbers that are named, one that is not.
        let between: Vec<f64> = named.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).chain(last).collect();
        let known: Vec<Value> = match kind(column) {
            Some(Kind::Bool) => [true, false].map(Value::Bool).to_vec(),
            #[expect(clippy::cast_possible_truncation, reason = "numbers that a condition names")]
            Some(Kind::Int) => {
                let beside = named.iter().flat_map(|n| [n.floor() as i64 - 1, n.floor() as i64, n.floor() as i64 + 1]);
                let whole: BTreeSet<i64> = beside.filter(|n| *n >= 0).collect();
                whole.into_iter().map(Value::Int).collect()
            }
            Some(Kind::Number) => named.into_iter().chain(between).map(Value::Number).collect(),
            Some(Kind::Text) => match values(column) {
                Some(values) => values.into_iter().map(|text| Value::Text(text.to_owned())).collect(),
                None => self.texts.iter().cloned().chain(["another".to_owned()]).map(Value::Text).collect(),
            },
            None => Vec::new(),
        };
        std::iter::once(None).chain(known.into_iter().map(Some)).collect()
    }
}
