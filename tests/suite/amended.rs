//! Records that come late, again, or amended: each counts once, and as what it was said to be last.

use std::io::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, TENANT, bucket_policy, put_object, run, time, verdict};

fn forbidden() -> Value {
    json!({ "status": 403, "errorCode": "forbidden", "errorMessage": "Forbidden" })
}

fn cloudtrail(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

/// `record` as AWS amends it: a record of its own that names the original.
fn amended(record: &Value, id: &str, more: Value) -> Value {
    let mut amended = record.clone();
    amended["addendum"] = json!({ "reason": "UPDATED_DATA", "updatedFields": "errorMessage",
        "originalRequestID": record["requestID"], "originalEventID": record["eventID"] });
    amended["eventID"] = json!(id);
    if let (Value::Object(amended), Value::Object(more)) = (&mut amended, more) {
        amended.extend(more);
    }
    amended
}

fn report(case: &Case) -> Value {
    let run = run(case.path(), &["analyze", ".", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

const IDENTITY: &str = "User: arn:aws:sts::111122223333:assumed-role/Export/session is not authorized to perform: s3:PutObject because no identity-based policy allows the s3:PutObject action";

#[test]
fn an_amended_record_takes_the_place_of_its_original_whichever_comes_first() {
    for order in [["a.json", "b.json"], ["b.json", "a.json"]] {
        let case = Case::new();
        let original = put_object("j", 10, Some("Access Denied"));
        let addendum = amended(&original, "later", json!({ "errorMessage": IDENTITY }));
        case.write(order[0], cloudtrail(&[original]));
        case.write(order[1], cloudtrail(&[addendum]));
        let report = report(&case);
        let failures = report["failures"].as_array().expect("a list");
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0]["attempts"], 1, "one attempt, told twice");
        assert_eq!(verdict(&failures[0]), "scope_collision/identity_policy_denied");
        assert_eq!((&report["summary"]["superseded"], &report["summary"]["duplicates"]), (&json!(1), &json!(0)));
        let named = &report["coverage"]["superseded"][0];
        assert_eq!(named["file"], format!("./{}", order[0]));
        let cited = &failures[0]["evidence"][0]["records"];
        assert!(cited.as_array().is_some_and(|ids| ids.contains(&named["superseded_by"])), "{cited}");
    }
}

#[test]
fn an_addendum_under_the_id_of_its_original_takes_its_place_too() {
    let case = Case::new();
    let original = put_object("j", 10, Some("Access Denied"));
    let addendum = amended(&original, "put-j-10", json!({ "errorMessage": IDENTITY }));
    case.write("a.json", cloudtrail(&[original, addendum.clone(), addendum]));
    let report = report(&case);
    assert_eq!(verdict(&report["failures"][0]), "scope_collision/identity_policy_denied");
    assert_eq!((&report["summary"]["superseded"], &report["summary"]["duplicates"]), (&json!(1), &json!(1)));
}

#[test]
fn an_addendum_whose_original_is_absent_stands_by_itself() {
    let case = Case::new();
    let original = put_object("j", 10, Some("Access Denied"));
    case.write("a.json", cloudtrail(&[amended(&original, "later", json!({ "errorMessage": IDENTITY }))]));
    let mut late = put_object("k", 20, Some("Access Denied"));
    late["addendum"] = json!({ "reason": "DELIVERY_DELAY" });
    case.write("b.json", cloudtrail(&[late]));
    let report = report(&case);
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["summary"]["superseded"], 0);
}

#[test]
fn a_change_that_was_amended_counts_as_it_was_amended() {
    let mut case = Case::new();
    let mut put = put_object("j", 600, None);
    put["eventName"] = json!("PutBucketPolicy");
    put["requestParameters"] =
        json!({ "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:GetObject"], TENANT) });
    let parameters = json!({ "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:PutObject"], TENANT) });
    let addendum = amended(&put, "later", json!({ "requestParameters": parameters }));
    let mut before = put.clone();
    before["eventTime"] = json!(time(-3000));
    before["eventID"] = json!("before");
    case.write("a.json", cloudtrail(&[addendum, before, put]));
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 700, "upload", "success", json!({ "status": 200 }));
    let failure = case.failure();
    assert_eq!(verdict(&failure), "policy_mismatch/action_not_allowed");
    assert_eq!(failure["support"], "very_strong");
}

#[test]
fn records_that_amend_each_other_are_all_kept() {
    let case = Case::new();
    let (a, b) = (put_object("j", 10, Some("Access Denied")), put_object("k", 20, Some("Access Denied")));
    let (of_a, of_b) = (b["eventID"].clone(), a["eventID"].clone());
    let circle = |record: &Value, original: Value| {
        let mut record = record.clone();
        record["addendum"] = json!({ "reason": "UPDATED_DATA", "originalEventID": original });
        record
    };
    case.write("a.json", cloudtrail(&[circle(&a, of_a), circle(&b, of_b)]));
    let report = report(&case);
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["summary"]["superseded"], 0);
}

/// A trail of failing and recovering jobs, with CloudTrail, audit messages and saved policies beside it.
fn archive() -> (Case, Vec<Value>, Vec<Value>, Vec<Value>) {
    let mut case = Case::new();
    case.contrast();
    for n in 0..3 {
        let (job, at) = (format!("job-{n}"), 1000 * n);
        case.start(&job, at, &["recording:export"], json!({}));
        case.step(&job, at + 10, "metadata_injection", "timeout", json!({ "status": 504, "attempt": 1 }));
        case.step(&job, at + 20, "metadata_injection", "failure", json!({ "status": 403, "attempt": 2 }));
        case.step(&job, at + 400, "metadata_injection", "success", json!({ "status": 204, "attempt": 3 }));
        case.step(&job, at + 410, "upload", "failure", json!({ "status": 403, "errorMessage": "Access Denied" }));
    }
    let trail = std::mem::take(&mut case.trail);
    let put = |n: i64| put_object(&format!("job-{n}"), 1000 * n + 410, Some("Access Denied"));
    let cloud = (0..3).map(put).collect();
    let audit = json!({ "id": "audit-1", "eventDate": time(300), "serviceName": "PeoplePermissions", "action": "Update",
        "entityType": "OAuthClient", "entity": { "id": "caller" }, "status": "SUCCESS", "user": { "id": "admin" },
        "propertyChanges": [{ "property": "permissions", "oldValues": [], "newValues": ["recording:metadata:write"] }] });
    (case, trail, cloud, vec![audit])
}

fn lines(records: &[Value]) -> String {
    records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

/// The trail as a table.
fn table(records: &[Value]) -> String {
    let names = ["timestamp", "jobId", "conversationId", "recordingId", "tenantId", "region", "principal", "bucket"];
    let names = [&names[..], &["step", "outcome", "objectKey", "status", "errorMessage", "attempt", "scopes"]].concat();
    let cell = |record: &Value, name: &str| match &record[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let row = |record: &Value| names.iter().map(|name| cell(record, name)).collect::<Vec<_>>().join(",");
    std::iter::once(names.join(",")).chain(records.iter().map(row)).collect::<Vec<_>>().join("\n")
}

/// Records with their members turned round and room between them.
fn spread(records: &[Value]) -> String {
    let turned = |record: &Value| {
        let members: Vec<String> = record
            .as_object()
            .expect("object")
            .iter()
            .rev()
            .map(|(name, value)| format!("  {name:?} : {value}"))
            .collect();
        format!("{{\n{}\n}}", members.join(",\n"))
    };
    format!("[\n{}\n]\n", records.iter().map(turned).collect::<Vec<_>>().join(",\n"))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("packed");
    gzip.finish().expect("packed")
}

/// What a report says of failures, without the records that it cites: those of a copy have other ids.
fn verdicts(report: &Value) -> Vec<Value> {
    let mut failures = report["failures"].as_array().expect("a list").clone();
    for finding in failures.iter_mut().flat_map(|f| f["evidence"].as_array_mut().expect("a list")) {
        finding["records"] = json!(finding["records"].as_array().map(Vec::len));
    }
    failures
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_archive_that_overlaps_itself_in_other_packagings_gives_the_same_verdicts(
        packagings in proptest::collection::vec((0usize..6, 0usize..40, 1usize..40), 1..5),
        first in any::<bool>(),
    ) {
        let (case, trail, cloud, audits) = archive();
        case.write("m/trail.ndjson", lines(&trail));
        case.write("m/cloud.json", cloudtrail(&cloud));
        case.write("m/audits.json", json!({ "entities": audits }).to_string());
        case.write("m/policy.json", bucket_policy(&["s3:GetObject"], TENANT).to_string());
        let alone = report(&case);
        prop_assert_eq!(alone["failures"].as_array().map(Vec::len), Some(3));
        let folder = if first { "a" } else { "z" };
        for (n, (packaging, from, count)) in packagings.iter().enumerate() {
            let some = &trail[(*from).min(trail.len() - 1)..(*from + *count).min(trail.len())];
            let (name, bytes) = match packaging {
                0 => ("t.ndjson.gz", gzip(&lines(some))),
                1 => ("t.json", spread(some).into_bytes()),
                2 => ("t.csv", table(some).into_bytes()),
                3 => ("c.ndjson", lines(&cloud).into_bytes()),
                4 => ("g.json", spread(&audits).into_bytes()),
                _ => ("p.json", json!({ "Policy": bucket_policy(&["s3:GetObject"], TENANT).to_string() }).to_string().into_bytes()),
            };
            case.write(&format!("{folder}/{n}-{name}"), bytes);
        }
        let overlapping = report(&case);
        prop_assert_eq!(verdicts(&overlapping), verdicts(&alone));
        let more = |name: &str| overlapping["summary"][name].as_u64().unwrap_or(0) - alone["summary"][name].as_u64().unwrap_or(0);
        prop_assert_eq!(more("duplicates"), more("records"), "every record that came again is counted as such");
    }
}

#[test]
fn attempts_that_differ_only_in_what_is_not_read_are_two_within_one_file() {
    let mut case = Case::new();
    for trace in [1, 2] {
        case.step("j", 10, "upload", "failure", json!({ "status": 403, "span": trace }));
    }
    assert_eq!(case.failure()["attempts"], 2);
    case.write("again.ndjson", lines(&case.trail.iter().rev().cloned().collect::<Vec<_>>()));
    assert_eq!(case.failure()["attempts"], 2, "and two they stay when the file came twice");
}
