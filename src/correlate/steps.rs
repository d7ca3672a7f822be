//! Which events are attempts at something an export does, and which of them failed (DESIGN section 5).

use std::collections::HashMap;

use crate::ingest::{Event, MAPPED, Outcome, Text, fold};

/// A call of an export as CloudTrail names it, or as method and path of the platform's API, from the rule pack.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The event name, or `METHOD /path/{id}`.
    pub name: String,
    /// The step of the export it is part of.
    pub step: String,
    /// The IAM action or the platform's permission that it needs, where one is known.
    #[serde(default)]
    pub action: Option<String>,
}

/// The name of the source whose steps are an export's own.
pub const TRAIL: &str = "export_trail";
/// The source that tells how the platform's jobs stand, and which recordings they failed for, but not why.
pub const JOBS: &str = "genesys_job";
/// The step under which a failed job without a failing attempt is reported.
pub const WHOLE_JOB: &str = "job";
/// Steps of the trail that are not attempts: the life of jobs, holds and credentials, and the probe made afterwards.
const NOT_ATTEMPTS: [&str; 4] = ["job.", "legal_hold.", "credential.", "probe"];
/// S3 and STS answer these with 400, but to an export they are refusals of its credential. Folded.
const REFUSING_CODES: [&str; 4] = ["expiredtoken", "invalidtoken", "tokenrefreshrequired", "tokenexpired"];

/// The steps that calls of other sources are part of, by the name of the call.
pub struct Steps(HashMap<String, String, foldhash::fast::RandomState>);

impl Steps {
    /// Those that a rule pack lists.
    #[must_use]
    pub fn new(operations: &[Operation]) -> Self {
        Self(operations.iter().map(|o| (o.name.clone(), o.step.clone())).collect())
    }

    /// The step of the export that `event` is an attempt at; `None` where it is none.
    #[must_use]
    pub fn of<'a>(&'a self, source: &str, event: &'a Event<'_>) -> Option<&'a str> {
        if source == JOBS {
            return says_failed(event).then_some(WHOLE_JOB);
        }
        let own = event.get(Text::Step).filter(|_| is_of_trail(source, event)).and_then(|step| {
            if !NOT_ATTEMPTS.iter().any(|prefix| step.starts_with(prefix)) {
                return Some(step);
            }
            let ended = step == "job.failed" && (refused(event) || event.outcome == Outcome::Timeout);
            ended.then_some(WHOLE_JOB)
        });
        own.or_else(|| self.0.get(event.get(Text::Operation)?).map(String::as_str))
    }
}

/// Whether the platform says that an export job failed, or failed for a recording. Other jobs have no step.
fn says_failed(event: &Event<'_>) -> bool {
    let of_export = event.get(Text::Step).is_some() || event.get(Text::RecordingId).is_some();
    of_export && matches!(event.outcome, Outcome::Failure | Outcome::Timeout)
}

/// Whether a source logs what the platform was asked and answered, not AWS.
#[must_use]
pub fn is_of_platform(source: &str) -> bool {
    matches!(source, "sdk_log" | "genesys_audit") || source == JOBS
}

/// Whether a record is one of the exporter's own, given the step and the call that it names. A mapped one is, unless it
/// names a call and no step: then it is a record of whoever was called.
#[must_use]
pub fn is_own(source: &str, step: Option<&str>, operation: Option<&str>) -> bool {
    source == TRAIL || (source == MAPPED && (step.is_some() || operation.is_none()))
}

/// Whether an event is a record of the exporter's own.
#[must_use]
pub fn is_of_trail(source: &str, event: &Event<'_>) -> bool {
    is_own(source, event.get(Text::Step), event.get(Text::Operation))
}

/// Whether an attempt failed.
#[must_use]
pub fn failed(source: &str, event: &Event<'_>) -> bool {
    let tells = || source == JOBS || is_of_trail(source, event);
    let untold = || event.outcome == Outcome::Failure && event.http_status.is_none() && tells();
    match event.outcome {
        Outcome::Timeout => true,
        Outcome::Success => false,
        Outcome::Failure | Outcome::Unknown => refused(event) || refused_credential(event) || untold(),
    }
}

fn refused(event: &Event<'_>) -> bool {
    matches!(event.http_status, Some(401 | 403 | 409 | 412 | 429 | 500..))
}

fn refused_credential(event: &Event<'_>) -> bool {
    let names_credential = |code: &str| {
        let folded = fold(code);
        REFUSING_CODES.iter().any(|known| folded.as_str().starts_with(known))
    };
    matches!(event.http_status, None | Some(400)) && event.get(Text::ErrorCode).is_some_and(names_credential)
}
