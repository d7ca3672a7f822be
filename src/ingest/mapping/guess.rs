//! Guessing what columns are to holdtrace, by their names and by what is in them. A guess is for a person to check.

use super::survey::{Column, Survey};
use super::time_format::TimeFormat;
use crate::ingest::export_trail::truth;
use crate::ingest::fold::fold;
use crate::ingest::status::outcome_of;
use crate::ingest::time::AssumedZone;
use crate::ingest::trail_fields::{Field, STEPS, canonical_step, field_of};
use crate::ingest::trail_record::leading_number;

/// Fields that are guessed, in the order in which a draft lists them, and words in names of columns that speak for each.
pub(super) const GUESSED: &[(&str, &[&str])] = &[
    ("time", &["time", "timestamp", "ts", "date", "datetime", "when", "at", "logged", "created", "occurred"]),
    ("step", &["step", "stage", "phase", "activity", "action", "task", "event"]),
    ("operation", &["operation", "api", "method"]),
    ("outcome", &["outcome", "result", "state", "success", "succeeded", "ok"]),
    ("http_status", &["status", "http", "statuscode", "rc", "code"]),
    ("error_code", &["errorcode", "errcode", "code", "error", "fault"]),
    ("error_message", &["message", "msg", "reason", "detail", "details", "description", "error", "text"]),
    ("attempt", &["attempt", "try", "retry", "retries", "tries"]),
    ("duration_ms", &["duration", "elapsed", "latency", "took", "millis", "ms"]),
    ("job_id", &["job", "batch", "jobid"]),
    ("conversation_id", &["conversation", "conv", "interaction", "conversationid", "call"]),
    ("recording_id", &["recording", "rec", "recordingid"]),
    ("principal", &["principal", "actor", "client", "caller", "user", "account", "identity", "by"]),
    ("credential", &["credential", "accesskey"]),
    ("scopes", &["scope", "scopes", "permissions", "grants", "rights"]),
    ("hold_acknowledged", &["ack", "acknowledged", "acknowledgement", "acknowledgment"]),
    ("hold_id", &["hold", "holdid"]),
    ("tenant_id", &["tenant", "org", "organization", "organisation"]),
    ("region", &["region"]),
    ("media_type", &["media", "channel", "medium"]),
    ("queue", &["queue"]),
    ("bucket", &["bucket"]),
    ("object_key", &["key", "object", "path", "objectkey"]),
    ("correlation_id", &["correlation", "trace", "correlationid"]),
    ("request_id", &["request", "req", "requestid"]),
    ("role_arn", &["role"]),
    ("session_name", &["session"]),
];

/// Patterns of times that are tried, besides what is understood without one.
const PATTERNS: [&str; 14] = [
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %I:%M:%S %p",
    "%Y/%m/%d %H:%M:%S%.f",
    "%d-%b-%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y%m%dT%H%M%S%.fZ",
    "%b %d %Y %H:%M:%S",
];

/// A field of an event, the column it may be made of, and how the column writes times.
pub(super) struct Guess {
    pub(super) field: &'static str,
    /// Number of the column.
    pub(super) column: usize,
    pub(super) format: Option<String>,
    /// Other formats that fit as well.
    pub(super) others: Vec<String>,
}

/// Guesses what the columns of a file are, each column and each field once.
pub(super) fn guess(survey: &Survey) -> Vec<Guess> {
    let mut all: Vec<(i32, usize, usize)> = Vec::new();
    for (n, (field, words)) in GUESSED.iter().enumerate() {
        let columns = survey.columns.iter().enumerate().filter(|(_, column)| !column.nested_list);
        all.extend(columns.filter_map(|(c, column)| Some((score(field, words, column)?, n, c))));
    }
    all.sort_by_key(|(score, n, c)| (-score, *n, *c));
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    let mut guesses: Vec<(usize, Guess)> = Vec::new();
    for (_, n, column) in all {
        if fields.contains(&n) || columns.contains(&column) {
            continue;
        }
        fields.push(n);
        columns.push(column);
        let field = GUESSED[n].0;
        let mut formats = if field == "time" { formats(&survey.columns[column]) } else { Vec::new() };
        let format = if formats.is_empty() { None } else { formats.remove(0) };
        guesses.push((n, Guess { field, column, format, others: formats.into_iter().flatten().collect() }));
    }
    guesses.sort_by_key(|(n, _)| *n);
    guesses.into_iter().map(|(_, guess)| guess).collect()
}

/// How much speaks for a column being a field; `None` where nothing does, or its values speak against it.
fn score(field: &str, words: &[&str], column: &Column) -> Option<i32> {
    let name = by_name(field, words, column);
    let values = by_values(field, column)?;
    (name + values > 0).then_some(name + values).filter(|_| name > 0 || values >= 30)
}

fn by_name(field: &str, words: &[&str], column: &Column) -> i32 {
    let path = column.place.0.join(".");
    let own = column.place.0.last().map_or("", String::as_str);
    let known = |name: &str| field_of(fold(name).as_str()).filter(|(known, _)| trail_name(*known) == field);
    if let Some((_, rank)) = known(&path) {
        return 100 - i32::from(rank);
    }
    if let Some((_, rank)) = known(own) {
        return 80 - i32::from(rank);
    }
    let named = words_of(own);
    // `C_DURATIONMS`, `exp.jobId`: a prefix that is none of the name's business.
    let without_prefix = (1..named.len()).find_map(|n| known(&named[n..].concat()));
    if let Some((_, rank)) = without_prefix {
        return 70 - i32::from(rank);
    }
    let last = words.iter().position(|word| named.iter().any(|n| n == word)).and_then(|n| i32::try_from(n).ok());
    let above = column.place.0.iter().rev().skip(1).flat_map(|name| words_of(name)).collect::<Vec<_>>();
    let over = words.iter().position(|word| above.iter().any(|n| n == word)).and_then(|n| i32::try_from(n).ok());
    match (last, over) {
        (Some(n), over) => 60 - n + i32::from(over.is_some()) * 10,
        // `{"job": {"ref": ...}}`
        (None, Some(n)) if matches!(own.to_ascii_lowercase().as_str(), "id" | "name" | "ref" | "value") => 50 - n,
        _ => 0,
    }
}

/// The words in a name: `jobRef`, `job-ref` and `JOB_REF` are `job` and `ref`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What the values add to the score; `None` where they cannot be such.
fn by_values(field: &str, column: &Column) -> Option<i32> {
    if column.values.is_empty() {
        return if field == "time" { None } else { Some(0) };
    }
    let status = |value: &str| leading_number(value).is_some_and(|n| n.fract() == 0.0 && (100.0..600.0).contains(&n));
    let number = |value: &str| value.parse::<f64>().is_ok_and(|n| n >= 0.0);
    let small = |value: &str| value.parse::<u16>().is_ok();
    let step = |value: &str| STEPS.contains(&canonical_step(fold(value).as_str()));
    let scopes = |value: &str| {
        let mut all = value.split([' ', ',', ';', '|']).filter(|scope| !scope.is_empty());
        all.next().is_some_and(|scope| {
            let named = scope.starts_with(|c: char| c.is_ascii_alphabetic()) && !scope.starts_with("arn:");
            named && scope.contains(':') && !scope.contains("//")
        })
    };
    match field {
        "time" => (!formats(column).is_empty()).then_some(50),
        "http_status" => column.mostly(status).then_some(20),
        "attempt" => column.mostly(small).then_some(0),
        "duration_ms" => column.mostly(number).then_some(0),
        "hold_acknowledged" => column.mostly(|v| truth(v).is_some()).then_some(10),
        "step" if column.mostly(step) => Some(60),
        "outcome" if column.mostly(|v| outcome_of(v).is_some()) => {
            Some(if column.mostly(|v| truth(v).is_some()) { 5 } else { 40 })
        }
        "outcome" | "step" | "operation" => (!column.mostly(number) || field == "outcome").then_some(0),
        "scopes" if column.mostly(scopes) => Some(40),
        "object_key" if column.mostly(|v| v.contains("conversation_id=")) => Some(60),
        "role_arn" => column.mostly(|v| v.starts_with("arn:") && v.contains(":role/")).then_some(30),
        "bucket" if column.mostly(|v| v.starts_with("s3://") && v.len() > 5) => Some(30),
        "bucket" | "region" | "media_type" | "queue" => (!column.mostly(number)).then_some(0),
        _ => Some(0),
    }
}

/// The formats that all times of a column are of: none, the usual (`None`), or patterns.
fn formats(column: &Column) -> Vec<Option<String>> {
    let all = |format: &TimeFormat| {
        let believed = |value: &String| format.read(value, AssumedZone::default()).is_some_and(|i| i.micros.is_some());
        !column.values.is_empty() && column.values.iter().all(believed)
    };
    let plain_numbers = column.values.iter().all(|value| value.parse::<f64>().is_ok_and(|n| n < 1e8));
    if all(&TimeFormat::Any) && !plain_numbers {
        return vec![None];
    }
    let named = ["epoch_ns"].iter().chain(&PATTERNS);
    let fits = |text: &&&str| TimeFormat::parse(text).is_ok_and(|format| all(&format));
    named.filter(fits).map(|text| Some((*text).to_owned())).collect()
}

/// The field of an event that a field of the trail fills.
fn trail_name(field: Field) -> &'static str {
    match field {
        Field::Timestamp => "time",
        Field::JobId => "job_id",
        Field::ConversationId => "conversation_id",
        Field::RecordingId => "recording_id",
        Field::TenantId => "tenant_id",
        Field::Region => "region",
        Field::Step => "step",
        Field::Outcome => "outcome",
        Field::Status => "http_status",
        Field::ErrorCode => "error_code",
        Field::ErrorMessage => "error_message",
        Field::Attempt => "attempt",
        Field::Duration => "duration_ms",
        Field::Principal => "principal",
        Field::Scopes => "scopes",
        Field::HoldAcknowledged => "hold_acknowledged",
        Field::HoldId => "hold_id",
        Field::MediaType => "media_type",
        Field::Bucket => "bucket",
        Field::ObjectKey => "object_key",
        Field::CorrelationId => "correlation_id",
        Field::Queue => "queue",
        Field::Credential => "credential",
    }
}

/// Parts of words that speak for a step, and the step.
const STEP_WORDS: [(&[&str], &str); 15] = [
    (&["hold", "sync"], "hold_sync"),
    (&["hold", "plac"], "legal_hold.placed"),
    (&["hold", "releas"], "legal_hold.released"),
    (&["rotat"], "credential.rotated"),
    (&["probe"], "probe"),
    (&["meta"], "metadata_injection"),
    (&["inject"], "metadata_injection"),
    (&["job", "start"], "job.started"),
    (&["job", "fail"], "job.failed"),
    (&["job", "complet"], "job.completed"),
    (&["upload"], "upload"),
    (&["put"], "upload"),
    (&["export"], "export"),
    (&["quer"], "query"),
    (&["verif"], "verify"),
];

/// The step that a foreign word may stand for; `None` where it is one already, or nothing speaks for any.
pub(super) fn step_for(value: &str) -> Option<&'static str> {
    let folded = value.to_ascii_lowercase();
    if STEPS.contains(&canonical_step(fold(value).as_str())) {
        return None;
    }
    let fits = |(words, _): &&(&[&str], &str)| words.iter().all(|word| folded.contains(word));
    STEP_WORDS.iter().find(fits).map(|(_, step)| *step)
}
