//! The facts: what records say, without a word on what it means.

use std::collections::{BTreeMap, BTreeSet};

use super::{Said, Subject, words};
use crate::classify::{Dossier, Verdict};
use crate::correlate::{EventTable, Row};
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::{Change, Text, rfc3339};
use crate::report::Evidence;

/// Records of one kind that get a sentence of their own; of more, it is said how many there are.
const SHOWN: usize = 12;
/// Characters of a message that are shown.
const MESSAGE: usize = 200;

/// What is on record of a failure, in order of time, the whole of it first.
///
/// # Errors
/// A temporary file cannot be read.
pub(super) fn facts(subject: Subject<'_>, dossier: &Dossier, verdict: &Verdict) -> Result<Vec<Said>> {
    let Subject { evidence, table, failure, .. } = subject;
    let facts = Facts(subject);
    let mut found: BTreeMap<(bool, Option<i64>, Locator), String> = BTreeMap::new();
    let mut note = |time: Option<i64>, at: Locator, text: String| {
        found.entry((time.is_none(), time, at)).or_insert(text);
    };
    let cited: BTreeSet<Locator> = verdict.findings.iter().flat_map(|f| f.records.iter().copied()).collect();
    let attempts = failure.failing.iter().take(SHOWN).chain(failure.witnesses.iter().take(SHOWN));
    for row in attempts.chain(&failure.recovery) {
        note(table.time(*row), table.locator(*row), facts.attempt(table, *row));
    }
    let probes = &evidence.correlated.probes;
    let cited_probes = dossier.groups.get("probes").into_iter().flatten().filter_map(|at| probes.row_at(at));
    for row in cited_probes {
        note(probes.time(row), probes.locator(row), facts.attempt(probes, row));
    }
    let cited_changes = evidence.ingested.changes.iter().filter(|change| cited.contains(&change.at));
    let of_holds = on_holds(evidence, &cited)?;
    for change in cited_changes.chain(&of_holds) {
        let by = change.actor.as_ref().map(|actor| format!(" by {actor}")).unwrap_or_default();
        let source = words::source(change.source);
        let text = format!("At {} {}{by}, says {source}.", rfc3339(change.time), words::change(change));
        note(Some(change.time), change.at, text);
    }
    for document in evidence.ingested.documents.iter().filter(|d| cited.contains(&d.at)) {
        let text = match document.time {
            Some(time) => format!("At {} the {} was written.", rfc3339(time), words::document(document)),
            None => format!("A copy of the {} was saved; when is not known.", words::document(document)),
        };
        note(document.time, document.at, text);
    }
    let each = found.into_iter().map(|((_, _, at), text)| Said { text, at: vec![at] });
    Ok(facts.whole().into_iter().chain(each).chain(Facts::set_aside(dossier)).collect())
}

/// The changes of holds that cited records tell of.
fn on_holds(evidence: &Evidence<'_>, cited: &BTreeSet<Locator>) -> Result<Vec<Change>> {
    let log = evidence.correlated.holds.log();
    let found = cited.iter().map(|at| log.of_record(at)).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().collect())
}

struct Facts<'a>(Subject<'a>);

impl Facts<'_> {
    /// What failed, how often, from when to when, and how it ended.
    fn whole(&self) -> Vec<Said> {
        let Subject { failure, table, .. } = self.0;
        let item = match (&failure.recording_id, &failure.object_key, &failure.bucket) {
            (Some(id), ..) => format!(" for recording {id}"),
            (None, Some(key), _) => format!(" for object {key}"),
            (None, None, Some(bucket)) => format!(" at bucket {bucket}"),
            _ => String::new(),
        };
        let job = failure.job_id.as_ref().map(|job| format!(" of job {job}")).unwrap_or_default();
        let caller = failure.principal.as_ref().map(|caller| format!(", called by {caller},")).unwrap_or_default();
        let mut steps: Vec<String> = Vec::new();
        for step in failure.steps.iter().map(|step| step.replace('_', " ")) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        let attempts = words::counted(failure.failing.len(), "attempt");
        let when = match (failure.first_failed_at, failure.last_failed_at) {
            (Some(first), Some(last)) if first == last => format!(" at {}", rfc3339(first)),
            (Some(first), Some(last)) => format!(" from {} to {}", rfc3339(first), rfc3339(last)),
            _ => " at times that are not known".to_owned(),
        };
        let text = format!("{attempts}{item}{job}{caller} failed at the step {}{when}.", words::listed(&steps));
        let failing = failure.failing.iter().take(SHOWN).map(|row| table.locator(*row)).collect();
        let mut said = vec![Said { text, at: failing }];
        if failure.failing.len() > SHOWN {
            let text = format!("Of these {} the first {SHOWN} are listed here.", failure.failing.len());
            said.push(Said { text, at: Vec::new() });
        }
        if failure.recovery.is_none() {
            let text = "No later success at this step, or at one after it, is on record.".to_owned();
            said.push(Said { text, at: Vec::new() });
        }
        said
    }

    /// One attempt, as its record tells it.
    fn attempt(&self, table: &EventTable, row: Row) -> String {
        let text = |column| table.text(column, row);
        let when =
            table.time(row).map_or_else(|| "At an unknown time".to_owned(), |time| format!("At {}", rfc3339(time)));
        let what = text(Text::Step).or_else(|| text(Text::Operation)).unwrap_or("a call").replace('_', " ");
        let status = table.status(row);
        let with = |word: &str| status.map_or_else(|| word.to_owned(), |status| format!("{word} ({status})"));
        let became = match (table.outcome(row), status) {
            ("success", _) => with("succeeded"),
            ("timeout", _) => with("timed out"),
            (_, Some(401 | 403)) => with("was refused"),
            (_, Some(409 | 412)) => with("met a conflict"),
            (_, Some(429)) => with("was throttled"),
            (_, Some(500..)) => with("was answered with a fault"),
            _ => with("failed"),
        };
        let number = table.attempt(row).map(|n| format!(", attempt {n},")).unwrap_or_default();
        let caller = text(Text::Principal).filter(|caller| Some(*caller) != self.0.failure.principal.as_deref());
        let caller = caller.map(|caller| format!(" by {caller}")).unwrap_or_default();
        let said: Vec<String> =
            [text(Text::ErrorCode), text(Text::ErrorMessage)].into_iter().flatten().map(shortened).collect();
        let said = if said.is_empty() { String::new() } else { format!(": \u{201c}{}\u{201d}", said.join(": ")) };
        let source = words::source(table.source(row));
        format!("{when} {what}{number}{caller} {became}, says {source}{said}.")
    }

    /// Changes in between that have nothing to do with it.
    fn set_aside(dossier: &Dossier) -> Option<Said> {
        let what = dossier.features.str("set_aside_detail")?;
        let count = dossier.features.get("set_aside").map(ToString::to_string).unwrap_or_default();
        let at = dossier.groups.get("set_aside").cloned().unwrap_or_default();
        let text = format!(
            "Changes to something else between the last failing attempt and the success, considered and set aside: {count} \
             ({what})."
        );
        Some(Said { text, at })
    }
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= MESSAGE { text.to_owned() } else { text.chars().take(MESSAGE).chain(['…']).collect() }
}
