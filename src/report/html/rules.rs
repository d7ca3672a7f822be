//! The rules that the verdicts rest on, for the page.

use std::collections::BTreeMap;

use crate::classify::{Cause, Rule};

/// A rule with the number of failures that it applied to.
pub struct Applied<'a> {
    pub rule: &'a Rule,
    pub failures: usize,
}

impl<'a> Applied<'a> {
    /// Those of `counts`, which are by the rule's id, in the order of the pack.
    pub fn of(rules: &'a [Rule], counts: &BTreeMap<String, usize>) -> Vec<Self> {
        let applied = |rule: &'a Rule| Some(Self { rule, failures: *counts.get(&rule.id)? });
        rules.iter().filter_map(applied).collect()
    }

    /// What it speaks for or against.
    pub fn speaks(&self) -> String {
        let side = if self.rule.weight > 0.0 { "for" } else { "against" };
        match (self.rule.class.map(Cause::name), &self.rule.mechanism) {
            (None, _) => "how far to rely on the evidence".to_owned(),
            (Some(class), None) => format!("{side} {}", class.replace('_', " ")),
            (Some(class), Some(mechanism)) => {
                format!("{side} {}: {}", class.replace('_', " "), mechanism.replace('_', " "))
            }
        }
    }
}
