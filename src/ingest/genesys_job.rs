//! Genesys Cloud recording jobs: a job, pages of them, and the recordings that a job failed for (SDK models `RecordingJob`
//! and `RecordingJobFailedRecording`).
//!
//! A job is a state as it was when somebody asked for it: it says when the job was created, not when it ended. Of the
//! recordings it failed for only the ids are listed, never why.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::bytes::Regex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::adapter::{Adapter, Record, Refusal, Sink};
use super::event::{Event, Outcome, Text};
use super::loose::Loose;
use super::status;
use crate::evidence::{Locator, Sample};

/// The adapter.
pub struct GenesysJob;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
    #[serde(borrow, default)]
    state: Loose<'a>,
    #[serde(borrow, default)]
    recording_jobs_query: Option<&'a RawValue>,
    #[serde(borrow, default)]
    date_created: Loose<'a>,
    #[serde(borrow, default)]
    total_recordings: Loose<'a>,
    #[serde(borrow, default)]
    total_failed_recordings: Loose<'a>,
    #[serde(borrow, default)]
    error_message: Loose<'a>,
    #[serde(borrow, default)]
    failed_recordings: Loose<'a>,
    #[serde(borrow, default)]
    self_uri: Loose<'a>,
}

#[derive(Deserialize)]
struct Query<'a> {
    #[serde(borrow, default)]
    action: Loose<'a>,
}

/// A recording that a job failed for. Anything else in it makes it something else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FailedRecording<'a> {
    #[serde(borrow, default)]
    conversation: Option<Entity<'a>>,
    #[serde(borrow)]
    recording: Entity<'a>,
    #[serde(borrow, default, rename = "selfUri")]
    _self_uri: Loose<'a>,
}

#[derive(Deserialize)]
struct Entity<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
}

/// The only place where a list of failed recordings says whose it is: the addresses of its pages.
static LISTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("/recording/jobs/([0-9A-Za-z-]{1,64})/failedrecordings").expect("a fixed pattern"));

impl Adapter for GenesysJob {
    fn name(&self) -> &'static str {
        "genesys_job"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        sample.records.iter().any(|record| is_job(record) || is_failed_recording(record))
    }

    fn has_pages(&self, sample: &Sample) -> bool {
        sample.records.iter().any(is_failed_recording)
    }

    fn note_page(&self, piece: &[u8], found: &mut BTreeSet<String>) {
        for captures in LISTED.captures_iter(piece) {
            found.insert(String::from_utf8_lossy(&captures[1]).into_owned());
            if found.len() > 1 {
                return;
            }
        }
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let job: Job<'_> = serde_json::from_str(record.text).map_err(|e| Refusal::not_json(&e))?;
        if job.id.0.is_some() && job.state.0.is_some() && job.has_more_than_a_state() {
            return read_job(job, record.at, sink);
        }
        let entry: FailedRecording<'_> = serde_json::from_str(record.text).map_err(|_| Refusal::NotMine)?;
        let recording = entry.recording.id.take().ok_or(Refusal::NotMine)?;
        let mut event = Event::default();
        event.outcome = Outcome::Failure;
        event.set(Text::Operation, Some("RecordingJob.failedRecordings"));
        event.set(Text::JobId, record.page);
        event.set(Text::ConversationId, entry.conversation.and_then(|conversation| conversation.id.take()));
        event.set(Text::RecordingId, Some(recording));
        sink.event(&event, record.at);
        Ok(())
    }
}

/// Whether it is a recording job: other things of the platform have an id and a state too.
fn is_job(record: &Value) -> bool {
    let has = |name: &str| record.get(name).is_some();
    let of_jobs =
        |name: &str| record.get(name).and_then(Value::as_str).is_some_and(|uri| uri.contains("/recording/jobs/"));
    has("id")
        && has("state")
        && (has("recordingJobsQuery")
            || has("totalFailedRecordings")
            || of_jobs("failedRecordings")
            || of_jobs("selfUri"))
}

fn is_failed_recording(record: &Value) -> bool {
    let Some(members) = record.as_object() else { return false };
    let known = ["conversation", "recording", "selfUri"];
    members.keys().all(|name| known.contains(&name.as_str()))
        && members.get("recording").is_some_and(|recording| recording.get("id").is_some())
}

impl Job<'_> {
    /// As [`is_job`].
    fn has_more_than_a_state(&self) -> bool {
        let of_jobs = |uri: &Loose<'_>| uri.as_deref().is_some_and(|uri| uri.contains("/recording/jobs/"));
        self.recording_jobs_query.is_some()
            || self.total_failed_recordings.0.is_some()
            || of_jobs(&self.failed_recordings)
            || of_jobs(&self.self_uri)
    }
}

fn read_job(job: Job<'_>, at: Locator, sink: &mut Sink<'_>) -> Result<(), Refusal> {
    let query = job.recording_jobs_query.and_then(|raw| serde_json::from_str::<Query<'_>>(raw.get()).ok());
    let action = query.and_then(|query| query.action.take());
    let mut event = Event::default();
    // For the ledger. The event is of another time, which the record does not say.
    job.date_created.as_deref().map(|text| sink.time(text)).transpose()?;
    event.set(
        Text::Operation,
        Some(match &action {
            Some(action) => Cow::Owned(format!("RecordingJob.{action}")),
            None => Cow::Borrowed("RecordingJob"),
        }),
    );
    let user = job.user.and_then(|raw| serde_json::from_str::<Entity<'_>>(raw.get()).ok());
    event.set(Text::Principal, user.and_then(|user| user.id.take()));
    event.set(Text::JobId, job.id.take());
    let failed = job.total_failed_recordings.as_deref().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    let counted = (failed > 0).then(|| {
        let all = job.total_recordings.as_deref().map(|all| format!(", totalRecordings {all}")).unwrap_or_default();
        Cow::Owned(format!("totalFailedRecordings {failed}{all}"))
    });
    let state = job.state.as_deref().unwrap_or_default().to_ascii_lowercase();
    let message = job.error_message.take().map(|text| sink.clean(text));
    let (step, said) = match state.as_str() {
        "failed" => ("failed", Some(Outcome::Failure)),
        "fulfilled" | "completed" | "complete" if failed > 0 => ("completed", Some(Outcome::Failure)),
        "fulfilled" | "completed" | "complete" => ("completed", Some(Outcome::Success)),
        // What is under way may still succeed, and what was cancelled was not refused.
        other => (other, None),
    };
    event.outcome = said.map_or(Outcome::Unknown, |said| status::settle(Some(said), None, None, message.as_deref()));
    event.set(Text::ErrorMessage, message.or(counted.filter(|_| said.is_some())));
    // Jobs that archive or delete are no exports.
    let exports = action.as_deref().is_none_or(|action| action.eq_ignore_ascii_case("export"));
    if exports && !step.is_empty() && step.bytes().all(|b| b.is_ascii_lowercase()) {
        event.set(Text::Step, Some(format!("job.{step}")));
    }
    sink.event(&event, at);
    Ok(())
}
