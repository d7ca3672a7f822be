//! Recording jobs and the recordings that they failed for. Synthetic, from the members of the SDK models `RecordingJob` and
//! `RecordingJobFailedRecording`; no real instance was found.

use serde_json::{Value, json};

use crate::formats::{column, ledger};
use crate::support::{Case, run, time, verdict};

const JOB: &str = "a4c8a798-a5d8-45c0-b444-74c0a668b046";

fn job(id: &str, state: &str, more: &Value) -> Value {
    let mut job = json!({
        "id": id, "user": { "id": "5730ee91-5871-4275-aa73-32e738cce4cc", "selfUri": "/api/v2/users/5730ee91" }, "state": state,
        "recordingJobsQuery": { "action": "EXPORT", "actionDate": "2026-03-02T00:00:00.000Z", "integrationId": "i",
            "conversationQuery": { "interval": "2026-03-01T00:00:00Z/2026-03-02T00:00:00Z" } },
        "dateCreated": "2026-03-02T01:00:00.000Z", "totalConversations": 100, "totalRecordings": 120, "percentProgress": 100,
        "failedRecordings": format!("/api/v2/recording/jobs/{id}/failedrecordings"), "selfUri": format!("/api/v2/recording/jobs/{id}"),
    });
    for (name, value) in more.as_object().expect("an object") {
        job[name] = value.clone();
    }
    job
}

/// A page as the API lists them; `uri` is that of the listing.
fn page(uri: &str, entities: &[Value]) -> String {
    let page = json!({ "entities": entities, "pageSize": 25, "pageNumber": 1, "total": entities.len(), "pageCount": 1,
        "firstUri": format!("{uri}?pageNumber=1"), "selfUri": format!("{uri}?pageNumber=1") });
    // The entities come first, as the API writes them.
    let text = page.to_string();
    assert!(text.find("entities") < text.find("selfUri"));
    text
}

fn failed(conversation: &str, recording: &str) -> Value {
    json!({ "conversation": { "id": conversation, "selfUri": format!("/api/v2/conversations/{conversation}") },
        "recording": { "id": recording, "selfUri": format!("/api/v2/conversations/{conversation}/recordings/{recording}") } })
}

fn listing(job: &str, entities: &[Value]) -> String {
    page(&format!("/api/v2/recording/jobs/{job}/failedrecordings"), entities)
}

#[test]
fn a_failed_job_with_nothing_else_on_record_is_inconclusive_and_says_what_to_collect() {
    let case = Case::new();
    case.write(
        "jobs.json",
        page("/api/v2/recording/jobs", &[job(JOB, "FAILED", &json!({ "errorMessage": "Job failed" }))]),
    );
    let failure = case.failure();
    assert_eq!(
        (&failure["job_id"], &failure["step"], verdict(&failure)),
        (&json!(JOB), &json!("job"), "inconclusive/-".into())
    );
    assert_eq!(failure["principal"], "5730ee91-5871-4275-aa73-32e738cce4cc");
    assert_eq!(failure["symptoms"], json!({ "timeouts": 0, "forbidden": 0, "conflicts": 0, "other": 1 }));
    assert_eq!(failure["first_failed_at"], Value::Null, "when it was created is not when it failed");
    assert!(failure["next_evidence"].to_string().contains("failedrecordings"));
    let (_, entry) = ledger(&case, &[]);
    assert_eq!((&entry["format"], &entry["first_time"]), (&json!("genesys_job"), &json!("2026-03-02T01:00:00Z")));
}

#[test]
fn a_job_whose_message_names_a_cause_is_classified_by_it() {
    for (message, expected) in [
        (
            "You are missing the following permission(s): recording:recording:editRetention",
            "scope_collision/missing_scope",
        ),
        (
            "User: arn:aws:sts::765628985471:assumed-role/r/s is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" with an explicit deny in a resource-based policy",
            "policy_mismatch/explicit_deny",
        ),
    ] {
        let case = Case::new();
        case.write("job.json", job(JOB, "FAILED", &json!({ "errorMessage": message })).to_string());
        assert_eq!(verdict(&case.failure()), expected);
    }
}

#[test]
fn jobs_that_are_under_way_cancelled_or_no_exports_are_no_failures() {
    let none = json!({});
    let some = json!({ "totalFailedRecordings": 3 });
    let deletes = json!({ "recordingJobsQuery": { "action": "DELETE" }, "errorMessage": "x" });
    let archives = json!({ "recordingJobsQuery": { "action": "ARCHIVE" }, "totalFailedRecordings": 1 });
    for (state, more) in [
        ("PENDING", &none),
        ("READY", &none),
        ("PROCESSING", &some),
        ("CANCELLED", &some),
        ("FULFILLED", &none),
        ("FAILED", &deletes),
        ("FULFILLED", &archives),
        ("SOMETHING_NEW", &some),
    ] {
        let case = Case::new();
        case.write("job.json", job(JOB, state, more).to_string());
        let found = case.analyze();
        assert!(found.is_empty(), "{state}: {found:#?}");
    }
    // What a job that deletes failed for was not to be exported.
    let case = Case::new();
    case.write("job.json", job(JOB, "FAILED", &deletes).to_string());
    case.write("failed.json", listing(JOB, &[failed("c", "r")]));
    assert!(case.analyze().is_empty());
}

#[test]
fn a_job_that_ended_with_failed_recordings_is_a_failure_unless_they_are_on_record() {
    let ended = job(JOB, "FULFILLED", &json!({ "totalFailedRecordings": 3 }));
    let case = Case::new();
    case.write("job.json", ended.to_string());
    let failure = case.failure();
    assert_eq!(
        (&failure["step"], &failure["recording_id"], &failure["class"]),
        (&json!("job"), &Value::Null, &json!("inconclusive"))
    );
    case.write("failed.json", listing(JOB, &[failed("c1", "r1"), failed("c1", "r2"), failed("c2", "r3")]));
    let found = case.analyze();
    let recordings: Vec<&str> = found.iter().filter_map(|f| f["recording_id"].as_str()).collect();
    assert_eq!((found.len(), recordings), (3, vec!["r1", "r2", "r3"]), "{found:#?}");
    assert!(found.iter().all(|f| f["job_id"] == JOB && f["class"] == "inconclusive"), "{found:#?}");
}

#[test]
fn a_listed_recording_corroborates_what_the_trail_tells_and_adds_no_attempt() {
    let mut case = Case::new();
    case.step(JOB, 10, "upload", "failure", json!({ "status": 403 }));
    case.write("job.json", job(JOB, "FAILED", &json!({ "totalFailedRecordings": 1 })).to_string());
    let (conversation, recording) = (format!("conversation-{JOB}"), format!("recording-{JOB}"));
    case.write("failed.json", listing(JOB, &[failed(&conversation, &recording)]));
    let failure = case.failure();
    assert_eq!((&failure["attempts"], &failure["first_failed_at"]), (&json!(1), &json!(time(10))));
    let timeline = run(case.path(), &["timeline", ".", "--job", JOB, "--format", "ndjson"]).objects();
    let listed: Vec<&Value> = timeline.iter().filter(|e| e["what"] == "RecordingJob.failedRecordings").collect();
    assert_eq!((timeline.len(), listed.len()), (3, 1), "{timeline:#?}");
    assert_eq!((&listed[0]["joined_by"], &listed[0]["outcome"]), (&json!("job_id"), &json!("failure")));
}

#[test]
fn a_listed_recording_that_got_through_in_the_same_job_is_no_failure_of_its_own() {
    let mut case = Case::new();
    for (job, recording) in [(JOB, "r1"), ("another-job", "r2")] {
        let stored = json!({ "status": 200, "recordingId": recording, "conversationId": "c", "objectKey": null });
        case.step(job, 10, "upload", "success", stored);
    }
    case.write("failed.json", listing(JOB, &[failed("c", "r1"), failed("c", "r2")]));
    let failure = case.failure();
    assert_eq!(failure["recording_id"], "r2", "another job stored it; this one failed for it");
}

#[test]
fn a_list_whose_page_is_lost_still_finds_the_job_by_the_recording() {
    let recording = format!("recording-{JOB}");
    let entry = failed(&format!("conversation-{JOB}"), &recording);
    for text in [json!([entry]).to_string(), entry.to_string(), json!({ "entities": [entry] }).to_string()] {
        let mut case = Case::new();
        case.step(JOB, 5, "query", "success", json!({ "status": 200 }));
        case.write("failed.json", text);
        let failure = case.failure();
        assert_eq!((&failure["job_id"], &failure["recording_id"]), (&json!(JOB), &json!(recording)));
    }
}

#[test]
fn pages_that_name_several_jobs_leave_the_job_open() {
    let (one, two) = (listing("job-1", &[failed("c1", "r1")]), listing("job-2", &[failed("c2", "r2")]));
    let case = Case::new();
    case.write("failed.json", format!("{one}\n{two}"));
    assert_eq!(column(&case, "job_id"), [None, None]);
    // However far apart: pages of one job are that job's, also beyond what is looked at to recognise a file.
    let many: Vec<Value> = (0..3000).map(|n| failed(&format!("c{n}"), &format!("r{n}"))).collect();
    let case = Case::new();
    case.write("failed.json", format!("{}\n{}", listing("job-1", &many), listing("job-1", &[failed("c", "r")])));
    assert!(column(&case, "job_id").iter().all(|job| job.as_deref() == Some("job-1")));
    case.write("failed.json", format!("{}\n{two}", listing("job-1", &many)));
    assert!(column(&case, "job_id").iter().all(Option::is_none));
}

#[test]
fn the_platform_saying_that_a_job_ended_closes_the_gap_in_the_trail() {
    let gaps = |state: Option<&str>| {
        let mut case = Case::new();
        case.start(JOB, 0, &["recording:export"], json!({}));
        case.step(JOB, 10, "upload", "failure", json!({ "status": 403 }));
        let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
        case.write("trail.ndjson", lines.join("\n"));
        if let Some(state) = state {
            case.write("job.json", job(JOB, state, &json!({})).to_string());
        }
        let json: Value =
            serde_json::from_str(&run(case.path(), &["analyze", ".", "--format", "json"]).stdout).expect("JSON");
        json["coverage"]["gaps"].as_array().expect("a list").len()
    };
    assert_eq!((gaps(None), gaps(Some("PROCESSING"))), (1, 1));
    assert_eq!((gaps(Some("FAILED")), gaps(Some("CANCELLED")), gaps(Some("FULFILLED"))), (0, 0, 0));
}

#[test]
fn a_job_polled_many_times_failed_once() {
    let case = Case::new();
    let polls: Vec<String> = (1..4)
        .map(|n| job(JOB, "FAILED", &json!({ "totalFailedRecordings": n, "errorMessage": "x" })).to_string())
        .collect();
    case.write("jobs.ndjson", polls.join("\n"));
    assert_eq!(case.failure()["attempts"], 1);
}
