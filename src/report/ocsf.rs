//! OCSF 1.5.0: the records behind each failure as API Activity, and a Detection Finding on it (docs/exports.md).

use std::io::Write;

use serde_json::{Value, json};

use super::known::known;
use super::terminal::plain;
use super::{Analysis, EvidenceReport, FailureReport, Part, TracedRecord};
use crate::classify::{Class, Support};
use crate::error::{Error, Result};
use crate::ingest::{micros, rfc3339};

/// The version that is written.
const VERSION: &str = "1.5.0";
/// What OCSF calls what it requires and nobody knows.
const UNKNOWN: &str = "Unknown";

/// Writes the failures as OCSF, one JSON object a line: the records of a failure, then the finding on it. Gives how many
/// records were left out because their time is not known, which OCSF requires.
///
/// # Errors
/// The reports cannot be read again, or the output not written.
pub fn write_ocsf(analysis: &Analysis, out: &mut dyn Write) -> Result<u64> {
    let mut left_out = 0;
    let mut put = |event: Value| {
        serde_json::to_writer(&mut *out, &known(event)).map_err(|e| Error::Output(e.to_string()))?;
        out.write_all(b"\n").map_err(|e| Error::Output(e.to_string()))
    };
    for traced in analysis.traced() {
        let (failure, records) = traced?;
        for record in records.iter().filter(|record| record.part.is_act()) {
            match record.time {
                Some(time) => put(activity(analysis, &failure, record, time))?,
                None => left_out += 1,
            }
        }
        match failure.first_failed_at.as_deref().and_then(micros) {
            Some(time) => put(finding(analysis, &failure, &records, time))?,
            None => left_out += 1,
        }
    }
    Ok(left_out)
}

fn metadata(analysis: &Analysis, uid: Option<&str>, log: Option<&str>, correlation: Option<&str>) -> Value {
    let tool = &analysis.tool;
    json!({
        "version": VERSION,
        "product": { "name": tool.name, "vendor_name": tool.name, "version": tool.version },
        "profiles": ["datetime"],
        "uid": uid,
        "log_name": log,
        "correlation_uid": correlation,
    })
}

/// API Activity (6003).
fn activity(analysis: &Analysis, failure: &FailureReport, record: &TracedRecord, time: i64) -> Value {
    let what = record.what.as_deref().unwrap_or(UNKNOWN);
    let operation = record.operation.as_deref().unwrap_or(what);
    let (activity, activity_name) =
        if record.part == Part::Change { (3, "Update".to_owned()) } else { doing(what, operation) };
    let (status, status_name) = match record.outcome.as_deref() {
        Some("success") => (1, "Success"),
        Some("failure" | "timeout") => (2, "Failure"),
        _ => (0, UNKNOWN),
    };
    let severity = if status == 2 { (2, "Low") } else { (1, "Informational") };
    let user = match &record.principal {
        Some(principal) => json!({ "uid": principal, "credential_uid": record.credential }),
        None => json!({ "name": UNKNOWN, "credential_uid": record.credential }),
    };
    json!({
        "class_uid": 6003,
        "class_name": "API Activity",
        "category_uid": 6,
        "category_name": "Application Activity",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": 600_300 + activity,
        "type_name": format!("API Activity: {activity_name}"),
        "severity_id": severity.0,
        "severity": severity.1,
        "time": time.div_euclid(1000),
        "time_dt": rfc3339(time),
        "status_id": status,
        "status": status_name,
        "status_code": record.http_status.map(|status| status.to_string()).or_else(|| record.error_code.clone()),
        "status_detail": record.error_message,
        "message": record.line(),
        "metadata": metadata(analysis, record.record_id.as_deref(), record.source.as_deref(), record.correlation_id.as_deref()),
        "actor": { "user": user },
        "api": {
            "operation": operation,
            "request": record.request_id.as_ref().map(|uid| json!({ "uid": uid })),
            // Its code is required and is a number; what is no status is in `status_code`.
            "response": record.http_status.map(|code| json!({
                "code": code, "error": record.error_code, "error_message": record.error_message, "message": record.error_message,
            })),
        },
        "src_endpoint": { "name": UNKNOWN },
        "resources": resources(failure),
        "unmapped": {
            "failure_id": failure.failure_id,
            "part": record.part.name(),
            "step": record.what,
            "outcome": record.outcome,
            "attempt": record.attempt,
            "error_code": record.error_code,
            "job_id": failure.job_id,
            "tenant_id": failure.tenant_id,
            "region": record.region,
            "evidence": place(analysis, record),
        },
    })
}

/// What a call does, by its step or the first word of its name.
fn doing(what: &str, operation: &str) -> (u32, String) {
    let starts = |verbs: &[&str]| verbs.iter().any(|verb| operation.starts_with(verb));
    match what {
        "upload" => (1, "Create".to_owned()),
        "query" | "verify" => (2, "Read".to_owned()),
        "metadata_injection" => (3, "Update".to_owned()),
        _ if starts(&["Put", "Create", "Upload", "Complete"]) => (1, "Create".to_owned()),
        _ if starts(&["Get", "Head", "List", "Describe"]) => (2, "Read".to_owned()),
        _ if starts(&["Update"]) => (3, "Update".to_owned()),
        _ if starts(&["Delete", "Abort"]) => (4, "Delete".to_owned()),
        _ => (99, operation.to_owned()),
    }
}

fn resources(failure: &FailureReport) -> Value {
    let resource = |kind: &str, uid: &Option<String>| uid.as_ref().map(|uid| json!({ "type": kind, "uid": uid }));
    json!([
        resource("recording", &failure.recording_id),
        resource("conversation", &failure.conversation_id),
        resource("object", &failure.object_key),
        resource("bucket", &failure.bucket),
    ])
}

/// Where a record lies.
fn place(analysis: &Analysis, record: &TracedRecord) -> Value {
    json!({
        "record_id": record.record_id,
        "sha256": record.sha256,
        "file": analysis.file_of(record),
        "record": record.record,
        "offset": record.offset,
        "length": record.length,
    })
}

/// Detection Finding (2004): what rules make of correlated records. A Compliance Finding would name the control of a
/// standard that was checked, and none was.
fn finding(analysis: &Analysis, failure: &FailureReport, records: &[TracedRecord], time: i64) -> Value {
    let last = failure.last_failed_at.as_deref().and_then(micros).unwrap_or(time);
    let recovered = failure.recovered_at.is_some();
    let (severity, status) = if recovered { ((2, "Low"), (4, "Resolved")) } else { ((4, "High"), (1, "New")) };
    let confidence = match failure.support {
        Some(Support::Weak) => (1, "Low"),
        Some(Support::Moderate) => (2, "Medium"),
        Some(Support::Strong | Support::VeryStrong) => (3, "High"),
        None => (0, UNKNOWN),
    };
    let verdict = failure.verdict();
    json!({
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "severity_id": severity.0,
        "severity": severity.1,
        "confidence_id": confidence.0,
        "confidence": confidence.1,
        "status_id": status.0,
        "status": status.1,
        "time": time.div_euclid(1000),
        "time_dt": rfc3339(time),
        "count": failure.attempts,
        "message": failure.line(),
        "metadata": metadata(analysis, Some(&failure.failure_id), None, failure.job_id.as_deref()),
        "finding_info": {
            "uid": failure.failure_id,
            "title": format!("Export failed at {}: {verdict}", plain(&failure.step)),
            "desc": plain(&failure.why()),
            "types": [failure.class.name(), failure.mechanism],
            "analytic": analytic(analysis, failure),
            "first_seen_time": time.div_euclid(1000),
            "first_seen_time_dt": rfc3339(time),
            "last_seen_time": last.div_euclid(1000),
            "last_seen_time_dt": rfc3339(last),
            "data_sources": data_sources(records),
            "related_events": related(records),
        },
        "evidences": failure.evidence.iter().map(|e| evidence(analysis, e, records)).collect::<Vec<_>>(),
        "remediation": remediation(failure),
        "resources": resources(failure),
        "unmapped": {
            "class": failure.class,
            "mechanism": failure.mechanism,
            "support": failure.support,
            "symptoms": failure.symptoms,
            "hypotheses": failure.hypotheses,
            "missing_permissions": failure.missing_permissions,
            "reason": failure.reason,
            "next_evidence": failure.next_evidence,
            "job_id": failure.job_id,
            "principal": failure.principal,
            "tenant_id": failure.tenant_id,
            "region": failure.region,
            "media_type": failure.media_type,
            "recovered_at": failure.recovered_at,
        },
    })
}

/// The rule that decided, else the pack.
fn analytic(analysis: &Analysis, failure: &FailureReport) -> Value {
    let rules = &analysis.rules;
    let decisive = failure.decisive().filter(|_| failure.class != Class::Inconclusive);
    let uid = decisive.map_or(&rules.sha256, |e| &e.rule);
    json!({ "type_id": 1, "type": "Rule", "uid": uid, "name": rules.name, "version": rules.version })
}

fn data_sources(records: &[TracedRecord]) -> Vec<&str> {
    let mut sources: Vec<&str> = records.iter().filter_map(|record| record.source.as_deref()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// The activities that were written before the finding.
fn related(records: &[TracedRecord]) -> Vec<Value> {
    let written = records.iter().filter(|record| record.part.is_act() && record.time.is_some());
    written
        .filter_map(|record| record.record_id.as_ref())
        .map(|uid| json!({ "uid": uid, "type": "API Activity" }))
        .collect()
}

fn evidence(analysis: &Analysis, finding: &EvidenceReport, records: &[TracedRecord]) -> Value {
    let cited = records.iter().filter(|r| r.record_id.as_ref().is_some_and(|id| finding.records.contains(id)));
    json!({
        "name": finding.rule,
        "data": {
            "class": finding.class,
            "weight": finding.weight,
            "statement": finding.statement,
            "records": cited.map(|record| place(analysis, record)).collect::<Vec<_>>(),
        },
    })
}

fn remediation(failure: &FailureReport) -> Option<Value> {
    let advice = if failure.remedy.is_empty() { &failure.next_evidence } else { &failure.remedy };
    (!advice.is_empty()).then(|| json!({ "desc": advice.join(" ") }))
}
