//! The explanation of a verdict: facts, what they are taken to mean, what is uncertain, what else it could have been, what
//! it hangs on, and what to collect next; each sentence with its records.

mod facts;
mod page;
mod pivotal;
mod reading;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::record_ids::Digests;
use super::{Evidence, FailureReport, RuleText, Rules, Tool, failure};
use crate::classify::{Class, Examined, Judge, Question, SmallestChange};
use crate::correlate::{EventTable, Failure, Order, Wave};
use crate::error::{Error, Result};
use crate::evidence::Locator;
pub use page::render;
use pivotal::{Pivot, Search};
use reading::Reading;
pub use reading::{Alternative, Argument};

/// Which failures are to be explained.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub job: Option<String>,
    pub recording: Option<String>,
    /// The id of one failure.
    pub failure: Option<String>,
    /// How often the archive may be looked at again for what one verdict hangs on.
    pub tries: usize,
}

/// Failures for which it is looked what the verdict hangs on; each may cost many readings of the archive.
pub const MAX_SEARCHED: usize = 20;

/// Failures of which each gets a page.
pub const MAX_EXPLAINED: usize = 200;

/// A sentence with the records it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Sentence {
    pub text: String,
    pub records: Vec<String>,
}

/// The same, as long as records are known by their places.
#[derive(Clone, Debug)]
struct Said {
    text: String,
    at: Vec<Locator>,
}

/// A record with its place.
#[derive(Clone, Debug, Serialize)]
pub struct Placed {
    pub record_id: String,
    pub file: String,
    pub record: u64,
    pub offset: u64,
    pub length: u64,
}

/// What happens to a verdict without its pivotal records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The class is another.
    OtherClass,
    /// There is no failure any more: these are its failing attempts.
    NoFailure,
    /// The verdict stood whatever was left out.
    Stands,
    /// It was not looked.
    NotSearched,
}

/// The records without which the verdict would fall, as was seen when they were left out.
#[derive(Clone, Debug, Serialize)]
pub struct Pivotal {
    pub effect: Effect,
    /// Ids of the records, all of which must be gone; one where a single record suffices.
    pub records: Vec<String>,
    /// Where they lie; a record that came twice lies in two places.
    pub places: Vec<Placed>,
    /// The class without them; null where there is no failure any more, or none was found.
    pub becomes: Option<Class>,
    /// Whether it was seen that none of them can be spared.
    pub smallest: bool,
    /// How often the archive was looked at again.
    pub tries: usize,
    pub text: String,
}

/// One failure explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub failure: FailureReport,
    pub facts: Vec<Sentence>,
    pub interpretation: Vec<Sentence>,
    pub uncertainty: Vec<Sentence>,
    /// All four causes, the heaviest first.
    pub alternatives: Vec<Alternative<Vec<String>>>,
    pub pivotal: Pivotal,
    /// Null where the verdict is not about a permission or a policy.
    pub smallest_change: Option<Change>,
    /// Ranked.
    pub next_evidence: Vec<Question>,
}

/// The smallest change that would have let through what was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// What is to be changed, such as `bucket policy`.
    pub of: &'static str,
    /// Whose: a caller, bucket, role or key.
    pub subject: String,
    /// What to do with it; why no change can be told, where `added` is null.
    pub text: String,
    /// What is to be added, in the platform's own JSON: permission policies of a role, or a statement.
    pub added: Option<Value>,
    /// The policy in force, amended; null for what is no policy on record.
    pub amended: Option<Value>,
    /// From the policy in force to the amended one, unified.
    pub diff: Option<String>,
    /// The record of the policy in force.
    pub records: Vec<String>,
}

/// All failures asked for, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanations {
    pub tool: Tool,
    pub rules: Rules,
    pub job_id: Option<String>,
    /// In the order of the reports.
    pub explanations: Vec<Explanation>,
    /// Failures that were asked for and are not among them, because there are so many.
    pub left_out: usize,
}

impl Asked {
    fn takes(&self, failure: &Failure) -> bool {
        let fits = |wanted: &Option<String>, own: Option<&String>| wanted.is_none() || wanted.as_ref() == own;
        fits(&self.job, failure.job_id.as_ref())
            && fits(&self.recording, failure.recording_id.as_ref())
            && fits(&self.failure, Some(&failure.id))
    }
}

/// Explains the verdicts on the failures asked for.
///
/// # Errors
/// No record names the job, nothing of it failed that was asked for, or a file cannot be read again.
pub fn explain(evidence: &Evidence<'_>, rules: &RuleText, asked: &Asked) -> Result<Explanations> {
    let mut chosen = chosen(evidence, asked)?;
    let left_out = chosen.len().saturating_sub(MAX_EXPLAINED);
    chosen.truncate(MAX_EXPLAINED);
    let judge = Judge::new(&evidence.ingested, &evidence.correlated, &rules.pack)?;
    let repeats = evidence.repeats()?;
    let mut explained: Vec<(usize, Explanation)> = Vec::with_capacity(chosen.len());
    for wave in evidence.correlated.waves(&evidence.reread()) {
        let wave = wave?;
        let (judge, table) = (judge.of(&wave), &wave.table);
        for failure in wave.failures.iter().filter(|failure| asked.takes(failure)) {
            let Ok(n) = chosen.binary_search(&failure.order(table)) else { continue };
            let examined = judge.examine(failure)?;
            let tries = if n < MAX_SEARCHED { asked.tries } else { 0 };
            let (verdict, repeats) = (&examined.verdict, &repeats);
            let search = Search { evidence, rules, table, failure, verdict, repeats, tries };
            let pivot = if tries == 0 { None } else { Some(search.run()?) };
            explained.push((n, Subject { evidence, rules, table, failure }.explanation(examined, pivot)?));
        }
    }
    explained.sort_by_key(|(n, _)| *n);
    let explanations = explained.into_iter().map(|(_, explanation)| explanation).collect();
    let named = Rules::of(rules, &evidence.ingested.files);
    Ok(Explanations { tool: Tool::own(), rules: named, job_id: asked.job.clone(), explanations, left_out })
}

/// The places of the failures asked for among all, ascending.
fn chosen(evidence: &Evidence<'_>, asked: &Asked) -> Result<Vec<Order>> {
    let mut found: Vec<Order> = Vec::new();
    for wave in evidence.correlated.waves(&evidence.reread()) {
        let Wave { table, failures, .. } = wave?;
        found.extend(failures.iter().filter(|failure| asked.takes(failure)).map(|failure| failure.order(&table)));
    }
    if !found.is_empty() {
        found.sort_unstable();
        return Ok(found);
    }
    let named = [("--job", &asked.job), ("--recording", &asked.recording), ("--failure", &asked.failure)];
    let named = named.iter().filter_map(|(option, value)| Some(format!("{option} {}", value.as_ref()?)));
    let outline = &evidence.correlated.outline;
    let known = |job: &String| outline.jobs.get(outline.hash(job)).is_some();
    let reason = match &asked.job {
        Some(job) if !known(job) => "no record names this job",
        // A job of which nothing failed has nothing to be explained.
        Some(_) if asked.recording.is_none() && asked.failure.is_none() => return Ok(found),
        Some(_) => "nothing of the job failed that is so named",
        None => "nothing that failed is so named",
    };
    let reason = format!("{reason}; `holdtrace analyze --format csv` lists what failed");
    Err(Error::Usage { what: named.collect::<Vec<_>>().join(" "), reason })
}

/// What is explained.
#[derive(Clone, Copy)]
struct Subject<'a> {
    evidence: &'a Evidence<'a>,
    rules: &'a RuleText,
    /// The events of the failure's wave.
    table: &'a EventTable,
    failure: &'a Failure,
}

impl Subject<'_> {
    fn explanation(self, examined: Examined, pivot: Option<Pivot>) -> Result<Explanation> {
        let Self { evidence, failure, .. } = self;
        let Examined { dossier, verdict, questions } = examined;
        let reading = Reading { subject: self, verdict: &verdict };
        let facts = facts::facts(self, &dossier, &verdict)?;
        let interpretation = reading.interpretation();
        let uncertainty = reading.uncertainty();
        let alternatives = reading.alternatives();
        let said = facts.iter().chain(&interpretation).chain(&uncertainty).flat_map(|said| &said.at);
        let cited = verdict.findings.iter().flat_map(|finding| &finding.records);
        let changed = verdict.change.iter().flat_map(|change| &change.at);
        let pivots = pivot.iter().flat_map(|pivot| &pivot.records);
        let mut digests = Digests::new(evidence);
        let wanted = said.chain(cited).chain(changed).chain(pivots).copied();
        digests.find(wanted, &[self.table, &evidence.correlated.probes])?;
        let ids = Ids { evidence, digests: &digests };
        let pivotal = pivotal(&ids, &facts, &verdict, pivot);
        Ok(Explanation {
            facts: ids.sentences(facts),
            interpretation: ids.sentences(interpretation),
            uncertainty: ids.sentences(uncertainty),
            alternatives: alternatives.into_iter().map(|alternative| ids.alternative(alternative)).collect(),
            pivotal,
            smallest_change: verdict.change.as_ref().map(|change| ids.change(change)),
            next_evidence: questions,
            failure: failure::report(failure, verdict, &digests),
        })
    }
}

/// Record ids for places.
struct Ids<'a> {
    evidence: &'a Evidence<'a>,
    digests: &'a Digests<'a>,
}

impl Ids<'_> {
    /// Each id once, in the order of the places.
    fn of(&self, at: &[Locator]) -> Vec<String> {
        let mut ids: Vec<String> = Vec::with_capacity(at.len());
        for id in at.iter().filter_map(|at| self.digests.of(at)).map(|digest| digest.record_id()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    fn sentences(&self, said: Vec<Said>) -> Vec<Sentence> {
        said.into_iter().map(|said| Sentence { text: said.text, records: self.of(&said.at) }).collect()
    }

    fn alternative(&self, from: Alternative<Vec<Locator>>) -> Alternative<Vec<String>> {
        let arguments = |of: Vec<Argument<Vec<Locator>>>| {
            let with_ids = |argument: Argument<Vec<Locator>>| argument.with(|at| self.of(&at));
            of.into_iter().map(with_ids).collect()
        };
        Alternative {
            class: from.class,
            weight: from.weight,
            taken: from.taken,
            text: from.text,
            supports: arguments(from.supports),
            against: arguments(from.against),
        }
    }

    fn change(&self, change: &SmallestChange) -> Change {
        let amended = change.amended();
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
        let diff = change.document.as_deref().zip(amended.as_ref()).map(|(before, after)| {
            let (before, after) = (pretty(before), pretty(after));
            let diff = TextDiff::from_lines(&before, &after);
            diff.unified_diff().header("in force", "amended").to_string()
        });
        let SmallestChange { of, subject, text, added, at, .. } = change.clone();
        Change { of, subject, text, added, amended, diff, records: self.of(&at) }
    }

    fn places(&self, at: &[Locator]) -> Vec<Placed> {
        let placed = |at: &Locator| {
            Some(Placed {
                record_id: self.digests.of(at)?.record_id(),
                file: self.evidence.discovery.inputs[at.file as usize].label.to_string(),
                record: at.record,
                offset: at.offset,
                length: at.length,
            })
        };
        at.iter().filter_map(placed).collect()
    }
}

fn pivotal(ids: &Ids<'_>, facts: &[Said], verdict: &crate::classify::Verdict, pivot: Option<Pivot>) -> Pivotal {
    let Some(pivot) = pivot else {
        let text = "What the verdict hangs on was not looked for.".to_owned();
        let none = (Vec::new(), Vec::new());
        return Pivotal {
            effect: Effect::NotSearched,
            records: none.0,
            places: none.1,
            becomes: None,
            smallest: false,
            tries: 0,
            text,
        };
    };
    let effect = match (pivot.records.is_empty(), pivot.becomes) {
        (true, _) => Effect::Stands,
        (false, None) => Effect::NoFailure,
        (false, Some(_)) => Effect::OtherClass,
    };
    let becomes = pivot.becomes.filter(|_| effect == Effect::OtherClass);
    let records = ids.of(&pivot.records);
    let says: BTreeMap<Locator, &str> = facts
        .iter()
        .filter_map(|said| match said.at[..] {
            [at] => Some((at, said.text.as_str())),
            _ => None,
        })
        .collect();
    let mut told: Vec<&str> = Vec::new();
    for text in pivot.records.iter().filter_map(|at| says.get(at)) {
        if !told.contains(text) {
            told.push(text);
        }
    }
    let text = words::pivotal(&pivot, records.len(), verdict.class, &told);
    let places = ids.places(&pivot.records);
    Pivotal { effect, records, places, becomes, smallest: pivot.smallest, tries: pivot.tries, text }
}
