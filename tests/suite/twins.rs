//! An item whose only failing evidence is in another source comes out as it does where the export trail tells of it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use serde_json::{Map, Value, json};

use crate::formats::{AHEAD, SDKS, Sdk, s3, sdk};
use crate::support::{Case, root, run, time, verdict};

/// The trails of the samples as one, in the spelling of the first.
fn trail() -> Vec<Value> {
    let folder = root().join("samples/trail");
    let text = std::fs::read_to_string(folder.join("export-trail-2026-05-04.ndjson")).expect("read");
    let mut records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut rows = csv::Reader::from_path(folder.join("export-trail-2026-05-05.csv")).expect("read");
    let names = rows.headers().expect("a header").clone();
    for row in rows.records() {
        let row = row.expect("a row");
        let mut record = Map::new();
        for (name, cell) in names.iter().zip(&row).filter(|(_, cell)| !cell.is_empty()) {
            let name = match name {
                "ts" => "timestamp",
                "job_id" => "jobId",
                "conversation_id" => "conversationId",
                "recording_id" => "recordingId",
                "tenant" => "tenantId",
                "aws_region" => "region",
                "stage" => "step",
                "result" => "outcome",
                "service_account" => "principal",
                "object_key" => "objectKey",
                "correlation_id" => "correlationId",
                "media_type" => "mediaType",
                other => other,
            };
            let value = if name == "http_status" { json!(cell.parse::<u64>().expect("a status")) } else { json!(cell) };
            record.insert(if name == "http_status" { "status".to_owned() } else { name.to_owned() }, value);
        }
        let error = json!({ "code": record.remove("error_code"), "message": record.remove("error_message") });
        record.insert("error".to_owned(), error);
        records.push(Value::Object(record));
    }
    records
}

/// The samples with `trail` in place of theirs; CloudTrail with or without the writes that it refused.
fn samples(trail: &[Value], refusals: bool) -> Case {
    let case = Case::new();
    for folder in ["genesys", "vault", "snapshots"] {
        for file in std::fs::read_dir(root().join("samples").join(folder)).expect("listed").flatten() {
            case.write(&format!("{folder}/{}", file.file_name().display()), std::fs::read(file.path()).expect("read"));
        }
    }
    let lines: Vec<String> = trail.iter().map(Value::to_string).collect();
    case.write("trail.ndjson", lines.join("\n"));
    for file in std::fs::read_dir(root().join("samples/cloudtrail")).expect("listed").flatten() {
        let packed = std::fs::File::open(file.path()).expect("opened");
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("unpacked");
        let mut delivery: Value = serde_json::from_str(&text).expect("JSON");
        let records = delivery["Records"].as_array_mut().expect("records");
        records.retain(|record| refusals || record["errorCode"].is_null());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(delivery.to_string().as_bytes()).expect("packed");
        case.write("cloudtrail.json.gz", gzip.finish().expect("packed"));
    }
    case
}

/// By job, what its failure comes down to.
fn essence(case: &Case, fields: &[&str]) -> BTreeMap<String, String> {
    let run = run(case.path(), &["analyze", ".", "--format", "ndjson", "--assume-tz", &format!("+{AHEAD:02}:00")]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let essence = |f: &Value| fields.iter().map(|name| f[*name].to_string()).collect::<Vec<_>>().join(" ");
    run.objects().iter().map(|f| (f["job_id"].as_str().expect("a job").to_owned(), essence(f))).collect()
}

fn failed(record: &Value, steps: &[&str]) -> bool {
    matches!(record["outcome"].as_str(), Some("failure" | "timeout"))
        && steps.contains(&record["step"].as_str().unwrap_or(""))
}

const WHOLE: [&str; 12] = [
    "recording_id",
    "conversation_id",
    "class",
    "mechanism",
    "support",
    "missing_permissions",
    "first_failed_at",
    "recovered_at",
    "attempts",
    "symptoms",
    "step",
    "principal",
];

#[test]
fn failing_metadata_writes_that_only_a_client_log_tells_of_are_classified_as_from_the_trail() {
    let all = trail();
    let expected = essence(&samples(&all, true), &WHOLE);
    assert_eq!(expected.len(), 10);
    let (moved, kept): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|record| failed(record, &["metadata_injection"]));
    assert_eq!(moved.len(), 15, "of six stories, all classes but one");
    for form in SDKS {
        let case = samples(&kept, true);
        case.write("client.log", moved.iter().map(|record| sdk(record, form)).collect::<String>());
        let mut found = essence(&case, &WHOLE);
        // No client logs whether a call acknowledged the hold.
        let unacknowledged = found.remove("08fda8cb-3442-4106-8885-ab55361ce27b").expect("the story");
        assert!(unacknowledged.contains("\"sync_race\" \"hold_conflict\""), "{unacknowledged}");
        for (job, essence) in &found {
            assert_eq!(Some(essence), expected.get(job), "{form:?} {job}");
        }
        assert_eq!(found.len(), 9, "{form:?}");
    }
}

#[test]
fn failing_uploads_that_only_an_access_log_tells_of_are_classified_as_from_the_trail() {
    let fields =
        ["recording_id", "object_key", "class", "mechanism", "first_failed_at", "recovered_at", "attempts", "symptoms"];
    let all = trail();
    let expected = essence(&samples(&all, true), &fields);
    let (moved, kept): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|record| failed(record, &["export", "upload"]));
    assert_eq!(moved.len(), 9);
    let case = samples(&kept, false);
    case.write("access.log", moved.iter().map(|record| s3(record) + "\n").collect::<String>());
    let mut found = essence(&case, &fields);
    // Which policy refused, CloudTrail says and an access log does not.
    let named = found.remove("46ee646f-794f-4fbb-8928-1fd465708fa5").expect("the story");
    assert!(named.contains("\"inconclusive\" null"), "{named}");
    for (job, essence) in &found {
        assert_eq!(Some(essence), expected.get(job), "{job}");
    }
    assert_eq!(found.len(), 9);
}

/// An upload that fails at 10 and 20 seconds and gets through at 60, its failing attempts in the trail or in the log.
fn uploads(status: u64, code: &str, in_trail: bool) -> Case {
    let mut case = Case::new();
    case.step("j", 5, "query", "success", json!({ "status": 200 }));
    for at in [10, 20] {
        let error = json!({ "status": status, "error": { "code": code, "message": null } });
        case.step("j", at, "upload", "failure", error);
    }
    let failing = case.trail.split_off(1);
    case.step("j", 60, "upload", "success", json!({ "status": 200 }));
    if in_trail {
        case.trail.extend(failing);
    } else {
        case.write("access.log", failing.iter().map(|record| s3(record) + "\n").collect::<String>());
    }
    case
}

#[test]
fn conflicts_throttling_faults_and_expired_tokens_are_known_by_their_codes_in_an_access_log() {
    for (status, code, expected) in [
        (409, "OperationAborted", "sync_race/conditional_conflict"),
        (409, "ConditionalRequestConflict", "sync_race/conditional_conflict"),
        (412, "PreconditionFailed", "sync_race/conditional_conflict"),
        (503, "SlowDown", "other_cause/throttled"),
        (500, "InternalError", "other_cause/service_fault"),
        (400, "ExpiredToken", "other_cause/expired_credential"),
        (403, "AccessDenied", "inconclusive/-"),
    ] {
        for in_trail in [true, false] {
            let failure = uploads(status, code, in_trail).failure();
            assert_eq!(verdict(&failure), expected, "{code}, in the trail: {in_trail}");
            assert_eq!((failure["attempts"].as_u64(), &failure["recovered_at"]), (Some(2), &json!(time(60))), "{code}");
            assert_eq!((&failure["job_id"], &failure["recording_id"]), (&json!("j"), &json!("recording-j")));
        }
    }
}

#[test]
fn a_grant_to_the_role_that_an_access_log_names_is_a_scope_collision() {
    let case = uploads(403, "AccessDenied", false);
    let grant = json!({ "eventVersion": "1.10", "eventTime": time(40), "eventSource": "iam.amazonaws.com",
        "eventName": "PutRolePolicy", "eventID": "grant", "requestParameters": { "roleName": "RecordingExport",
        "policyDocument": "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:PutObject\",\"Resource\":\"*\"}]}" } });
    case.write("cloudtrail.json", json!({ "Records": [grant] }).to_string());
    assert_eq!(verdict(&case.failure()), "scope_collision/identity_policy_denied");
}

#[test]
fn records_of_an_access_log_about_attempts_that_the_trail_tells_of_add_none() {
    let mut case = uploads(403, "AccessDenied", true);
    let lines: String = case.trail.iter().filter(|r| r["step"] == "upload").map(|record| s3(record) + "\n").collect();
    case.write("access.log", lines);
    case.trail.push(json!({ "timestamp": time(61), "jobId": "j", "step": "job.completed", "outcome": "success" }));
    let failure = case.failure();
    assert_eq!((failure["attempts"].as_u64(), &failure["recovered_at"]), (Some(2), &json!(time(60))));
    let timeline = run(case.path(), &["timeline", ".", "--job", "j", "--format", "ndjson"]).objects();
    let witnesses: Vec<&Value> = timeline.iter().filter(|entry| entry["source"] == "s3_access").collect();
    assert_eq!(witnesses.len(), 3);
    assert!(witnesses.iter().all(|w| w["joined_by"] == "recording_id" && w["what"] == "PutObject"), "{witnesses:#?}");
}

#[test]
fn a_request_of_an_access_log_is_joined_by_its_id_where_the_trail_names_no_object() {
    let mut case = Case::new();
    let bare = json!({ "status": 403, "correlationId": "3E57427F3EXAMPLE", "objectKey": null, "recordingId": null,
        "conversationId": null });
    case.step("j", 10, "upload", "failure", bare);
    let line = crate::formats::line("02/Mar/2026:01:00:10 +0000", "exports", "plain.bin", 403, "AccessDenied");
    case.write("access.log", line);
    let failure = case.failure();
    assert_eq!(
        (&failure["job_id"], &failure["object_key"], &failure["attempts"]),
        (&json!("j"), &json!("plain.bin"), &json!(1))
    );
}

#[test]
fn a_client_log_and_the_trail_about_the_same_call_are_one_attempt() {
    let mut case = Case::new();
    let error = json!({ "status": 409, "correlationId": "f3ac4404-283d-4d98-8b70-b75c4891d2ef",
        "error": { "code": "conflict", "message": "metadata conflict" } });
    case.step("j", 10, "metadata_injection", "failure", error);
    case.write("client.log", sdk(&case.trail[0], Sdk::JavaScriptText));
    let failure = case.failure();
    assert_eq!(failure["attempts"], 1);
    let timeline = run(case.path(), &["timeline", ".", "--job", "j", "--format", "ndjson"]).objects();
    assert_eq!(timeline.len(), 2);
    assert_eq!(timeline[0]["error_message"], "metadata conflict");
}
