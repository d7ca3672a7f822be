//! Failures and their records in a line: what the formats have in common.

use std::fmt::Write as _;

use super::terminal::name;
use super::{EvidenceReport, FailureReport, TimelineEntry, TracedRecord};
use crate::classify::Class;

impl FailureReport {
    /// The strongest finding for the verdict.
    #[must_use]
    pub fn decisive(&self) -> Option<&EvidenceReport> {
        let own = self.evidence.iter().filter(|e| e.class.map(Class::from) == Some(self.class) && e.weight > 0.0);
        own.reduce(|a, b| if b.weight > a.weight { b } else { a })
    }

    /// Why: the strongest finding, and what lowers it; where there is none, why it is not decided.
    #[must_use]
    pub fn why(&self) -> String {
        let Some(best) = self.decisive().filter(|_| self.class != Class::Inconclusive) else {
            return self.reason.clone().unwrap_or_default();
        };
        let cautions = self.evidence.iter().filter(|e| e.class.is_none()).map(|e| format!("But: {}", e.statement));
        std::iter::once(best.statement.clone()).chain(cautions).collect::<Vec<_>>().join(" ")
    }

    /// The class and the mechanism: `sync_race/hold_conflict`.
    #[must_use]
    pub fn verdict(&self) -> String {
        let mechanism = self.mechanism.as_ref().map(|mechanism| format!("/{mechanism}")).unwrap_or_default();
        format!("{}{mechanism}", self.class.name())
    }

    /// The verdict, its support and why, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let support = self.support.map(|s| format!(" ({} support)", s.name().replace('_', " "))).unwrap_or_default();
        name(&format!("Failed at {}: {}{support}: {}", self.step, self.verdict(), self.why()))
    }

    /// The rules that cite a record.
    pub fn rules_on<'a>(&'a self, record: &'a TracedRecord) -> impl Iterator<Item = &'a str> {
        let cites = |e: &&EvidenceReport| record.record_id.as_ref().is_some_and(|id| e.records.contains(id));
        self.evidence.iter().filter(cites).map(|e| e.rule.as_str())
    }
}

impl TracedRecord {
    /// What it says, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let said = [self.error_code.as_deref(), self.error_message.as_deref()];
        line(self.what.as_deref(), self.outcome.as_deref(), self.http_status, said, self.source.as_deref())
    }
}

impl TimelineEntry {
    /// What it says, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let said = [self.error_code.as_deref(), self.error_message.as_deref()];
        line(Some(&self.what), Some(&self.outcome), self.http_status, said, Some(&self.source))
    }
}

/// What a record says: `upload: failure 403 AccessDenied, Access Denied (cloudtrail)`.
fn line(
    what: Option<&str>,
    outcome: Option<&str>,
    status: Option<u32>,
    said: [Option<&str>; 2],
    source: Option<&str>,
) -> String {
    let mut text = what.unwrap_or("record").to_owned();
    if let Some(outcome) = outcome {
        let _ = write!(text, ": {outcome}");
    }
    if let Some(status) = status {
        let _ = write!(text, " {status}");
    }
    let said: Vec<&str> = said.into_iter().flatten().collect();
    if !said.is_empty() {
        let _ = write!(text, " {}", said.join(", "));
    }
    if let Some(source) = source {
        let _ = write!(text, " ({source})");
    }
    name(&text)
}
