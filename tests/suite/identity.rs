//! Identity: one failure seen by several sources is one failure, every record knows by which id it joined, and where sources
//! contradict each other about a request, that is said.

use holdtrace::ingest::Options;
use holdtrace::report::{self, RuleText, Selection};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, put_object, run, time, verdict};

fn forbidden() -> Value {
    json!({ "status": 403, "errorCode": "forbidden", "errorMessage": "Access Denied" })
}

fn report(case: &Case) -> Value {
    if !case.trail.is_empty() {
        let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
        case.write("trail.ndjson", lines.join("\n"));
    }
    let run = run(case.path(), &["analyze", ".", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn write(case: &Case, name: &str, records: &[Value]) {
    case.write(name, json!({ "Records": records }).to_string());
}

fn with(mut record: Value, more: Value) -> Value {
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record
}

/// An `AssumeRole` that issues `key`, called with `caller`'s key.
fn assume_role(at: i64, request: &str, caller: &str, key: &str) -> Value {
    json!({ "eventVersion": "1.08", "eventTime": time(at), "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "awsRegion": "eu-west-1", "eventID": format!("sts-{key}-{at}"), "requestID": request,
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/exporter", "accessKeyId": caller },
        "requestParameters": { "roleArn": "arn:aws:iam::111122223333:role/Export", "roleSessionName": "batch" },
        "responseElements": { "credentials": { "accessKeyId": key, "expiration": "x", "sessionToken": "not to be kept" } } })
}

/// A refused write of an object that no trail names, with `key`.
fn refused_elsewhere(at: i64, key: &str) -> Value {
    let mut put = put_object("unknown", at, Some("Access Denied"));
    put["userIdentity"]["accessKeyId"] = json!(key);
    put["requestParameters"]["key"] = json!(format!("manifest-{at}.json"));
    put
}

fn rules(failure: &Value) -> Vec<&str> {
    failure["evidence"].as_array().expect("a list").iter().filter_map(|e| e["rule"].as_str()).collect()
}

#[test]
fn a_failure_that_several_logs_tell_of_is_one_failure_and_each_record_knows_why_it_belongs() {
    let mut case = Case::new();
    case.start("job-1", 0, &["recording:export"], json!({}));
    case.step("job-1", 5, "assume_role", "success", json!({ "status": 200, "correlationId": "STS1" }));
    case.step("job-1", 10, "upload", "failure", with(forbidden(), json!({ "correlationId": "4442587FB7D0A2F9" })));
    let put = with(put_object("job-1", 10, Some("Access Denied")), json!({ "requestID": "4442587FB7D0A2F9" }));
    let mut key = with(
        put.clone(),
        json!({ "eventSource": "kms.amazonaws.com", "eventName": "GenerateDataKey",
        "eventID": "kms", "requestID": "kms-1", "requestParameters": { "keyId": "arn:aws:kms:eu-west-1:111122223333:key/k" } }),
    );
    key["userIdentity"]["accessKeyId"] = json!("ASIAISSUED");
    let sts = assume_role(5, "STS1", "AKIAEXPORTER", "ASIAISSUED");
    // The same call, delivered by the trail of a second account under another event id.
    let shared = with(put.clone(), json!({ "eventID": "other-account" }));
    write(&case, "one.json", &[put.clone(), key, sts]);
    write(&case, "two.json", &[shared, put]);
    let report = report(&case);
    let failures = report["failures"].as_array().expect("a list");
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!((&failures[0]["job_id"], &failures[0]["attempts"]), (&json!("job-1"), &json!(1)));
    assert_eq!(report["summary"]["duplicates"], 1);
    let timeline = run(case.path(), &["timeline", ".", "--job", "job-1", "--format", "ndjson"]).objects();
    let mut joined: Vec<String> = timeline
        .iter()
        .filter(|entry| entry["joined_by"] != "job_id")
        .map(|entry| format!("{} {} {}", entry["what"], entry["joined_by"], entry["joined_id"]).replace('"', ""))
        .collect();
    joined.sort();
    assert_eq!(
        joined,
        [
            "AssumeRole request_id STS1",
            "GenerateDataKey issued_credential ASIAISSUED",
            "PutObject request_id 4442587FB7D0A2F9",
            "PutObject request_id 4442587FB7D0A2F9",
        ]
    );
    let table = run(case.path(), &["timeline", ".", "--job", "job-1", "--format", "table"]).stdout;
    assert!(table.contains("by request_id") && table.contains("4442587FB7D0"), "{table}");
    let all = run(case.path(), &["analyze", ".", "--format", "json"]).stdout;
    assert!(!all.contains("not to be kept"));
}

#[test]
fn a_key_that_the_job_had_issued_ties_calls_to_it_and_nothing_else_does() {
    let mut case = Case::new();
    case.step("job-1", 5, "assume_role", "success", json!({ "status": 200, "correlationId": "STS1" }));
    let own = assume_role(5, "STS1", "AKIAEXPORTER", "ASIAOWN");
    // The same role, the same session name, the same second; issued to somebody else.
    let other = assume_role(5, "STS2", "AKIAOTHER", "ASIAOTHER");
    write(
        &case,
        "c.json",
        &[
            own,
            other,
            refused_elsewhere(20, "ASIAOWN"),
            refused_elsewhere(21, "ASIAOTHER"),
            refused_elsewhere(22, "ASIAUNSEEN"),
        ],
    );
    let report = report(&case);
    let jobs: Vec<(&str, &Value)> = report["failures"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| (f["object_key"].as_str().expect("a key"), &f["job_id"]))
        .collect();
    assert_eq!(
        jobs,
        [("manifest-20.json", &json!("job-1")), ("manifest-21.json", &Value::Null), ("manifest-22.json", &Value::Null)]
    );
}

#[test]
fn a_key_issued_with_an_issued_key_ties_calls_to_the_job_at_the_beginning() {
    let mut case = Case::new();
    case.step("job-1", 5, "assume_role", "success", json!({ "status": 200, "correlationId": "STS1" }));
    let first = assume_role(5, "STS1", "AKIAEXPORTER", "ASIAFIRST");
    let second = assume_role(6, "STS9", "ASIAFIRST", "ASIASECOND");
    write(&case, "c.json", &[refused_elsewhere(20, "ASIASECOND"), second, first]);
    let report = report(&case);
    assert_eq!(report["failures"][0]["job_id"], "job-1");
}

#[test]
fn a_request_that_names_two_jobs_ties_a_key_to_neither() {
    let mut case = Case::new();
    for job in ["job-1", "job-2"] {
        case.step(job, 5, "assume_role", "success", json!({ "status": 200, "correlationId": "shared-trace" }));
    }
    write(
        &case,
        "c.json",
        &[assume_role(5, "shared-trace", "AKIAEXPORTER", "ASIAOWN"), refused_elsewhere(20, "ASIAOWN")],
    );
    assert_eq!(report(&case)["failures"][0]["job_id"], Value::Null);
}

#[test]
fn an_object_that_two_jobs_export_belongs_to_the_one_whose_key_was_used() {
    let mut case = Case::new();
    let same = json!({ "recordingId": "r", "conversationId": "c", "objectKey": "x/conversation_id=c/r.opus" });
    for (job, at) in [("job-1", 0), ("job-2", 1000)] {
        case.step(
            job,
            at + 5,
            "assume_role",
            "success",
            with(same.clone(), json!({ "correlationId": format!("STS-{job}") })),
        );
        case.step(job, at + 10, "upload", "failure", with(same.clone(), forbidden()));
    }
    let mut put = refused_elsewhere(1012, "ASIA1");
    put["requestParameters"]["key"] = same["objectKey"].clone();
    write(
        &case,
        "c.json",
        &[assume_role(5, "STS-job-1", "AKIA", "ASIA1"), assume_role(1005, "STS-job-2", "AKIA", "ASIA2"), put],
    );
    report(&case);
    let of = |job: &str| run(case.path(), &["timeline", ".", "--job", job, "--format", "ndjson"]).objects();
    let joined = |job: &str| {
        of(job).iter().filter(|e| e["what"] == "PutObject").map(|e| e["joined_by"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(joined("job-1"), [json!("recording_id")], "by time it would lie with the other");
    let failures = report(&case)["failures"].as_array().map(Vec::len);
    assert_eq!(failures, Some(2));
}

#[test]
fn records_of_one_request_without_a_job_are_one_failure() {
    let mut case = Case::new();
    // The exporter names the recording and no job, AWS the object.
    case.step("x", 10, "upload", "failure", json!({ "jobId": null, "status": 403, "correlationId": "REQ10", "objectKey": null, "recordingId": "r", "conversationId": null }));
    let mut put = put_object("x", 10, Some("Access Denied"));
    put["requestParameters"]["key"] = json!("plain.bin");
    write(&case, "c.json", &[put]);
    let report = report(&case);
    let failures = report["failures"].as_array().expect("a list");
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!((&failures[0]["attempts"], &failures[0]["object_key"]), (&json!(1), &json!("plain.bin")));
}

#[test]
fn sources_that_contradict_each_other_about_a_request_are_reported_and_not_averaged() {
    for trail_succeeds in [true, false] {
        let mut case = Case::new();
        let (outcome, more) =
            if trail_succeeds { ("success", json!({ "status": 200 })) } else { ("failure", forbidden()) };
        case.step("j", 10, "upload", outcome, with(more, json!({ "correlationId": "REQ8" })));
        write(&case, "c.json", &[put_object("j", 8, trail_succeeds.then_some("User: arn:aws:sts::1:assumed-role/E/s is not authorized to perform: s3:PutObject because no identity-based policy allows the s3:PutObject action"))]);
        let report = report(&case);
        let failures = report["failures"].as_array().expect("a list");
        assert_eq!(failures.len(), 1);
        let failure = &failures[0];
        assert_eq!((&failure["recovered_at"], &failure["attempts"]), (&Value::Null, &json!(1)));
        let doubt = failure["evidence"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|e| e["rule"] == "sources-contradict-each-other")
            .expect("the contradiction");
        let (refuses, succeeds) =
            if trail_succeeds { ("cloudtrail", "export_trail") } else { ("export_trail", "cloudtrail") };
        assert_eq!(
            doubt["statement"],
            format!(
                "Two sources contradict each other about the same request: {refuses} says that it failed (403), {succeeds} that it succeeded."
            )
        );
        assert_eq!(doubt["records"].as_array().map(Vec::len), Some(2));
        assert_eq!((&doubt["class"], &doubt["weight"]), (&Value::Null, &json!(0.0)));
        assert!(failure["next_evidence"][0].as_str().is_some_and(|next| next.contains("head-object --bucket exports")));
        if trail_succeeds {
            assert_eq!(
                (verdict(failure).as_str(), &failure["support"]),
                ("scope_collision/identity_policy_denied", &json!("weak"))
            );
        } else {
            assert!(failure["reason"].as_str().is_some_and(|reason| reason.contains("contradict each other")));
        }
    }
}

#[test]
fn records_of_different_attempts_do_not_contradict_each_other() {
    let disputed = |trail: &[(i64, &str, &str, Value)], puts: &[(i64, bool)]| {
        let mut case = Case::new();
        for (at, step, outcome, more) in trail {
            case.step("j", *at, step, outcome, with(more.clone(), json!({ "correlationId": "REQ" })));
        }
        let put = |(at, fails): &(i64, bool)| {
            with(put_object("j", *at, fails.then_some("Access Denied")), json!({ "requestID": "REQ" }))
        };
        write(&case, "c.json", &puts.iter().map(put).collect::<Vec<_>>());
        report(&case)["failures"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|f| rules(f).contains(&"sources-contradict-each-other"))
    };
    let (refused, passed) = (forbidden(), json!({ "status": 200 }));
    // Retried under the same id: one record of either source is of the first attempt, one of the second.
    assert!(!disputed(
        &[(10, "upload", "failure", refused.clone()), (60, "upload", "success", passed.clone())],
        &[(59, false)]
    ));
    assert!(!disputed(&[(60, "upload", "success", passed)], &[(9, true), (59, false)]));
    // The caller gave up waiting; the service was done a moment later.
    assert!(!disputed(&[(10, "upload", "timeout", json!({ "status": 504 }))], &[(11, false)]));
    // Another step under an id of the whole export.
    assert!(!disputed(&[(10, "metadata_injection", "failure", refused.clone())], &[(11, false)]));
    assert!(disputed(&[(10, "export", "failure", refused)], &[(11, false)]), "what goes by another name");
}

#[test]
fn an_id_that_a_whole_batch_bears_joins_no_strangers() {
    let mut case = Case::new();
    for n in 0..4 {
        case.step(
            &format!("j{n}"),
            10 + n,
            "upload",
            "failure",
            with(forbidden(), json!({ "correlationId": "batch" })),
        );
    }
    let puts: Vec<Value> = (0..4)
        .map(|n| with(put_object(&format!("j{n}"), 10 + n, Some("Access Denied")), json!({ "requestID": "batch" })))
        .collect();
    write(&case, "c.json", &puts);
    report(&case);
    for n in 0..4 {
        let timeline = run(case.path(), &["timeline", ".", "--job", &format!("j{n}"), "--format", "ndjson"]).objects();
        let of_failure = run(case.path(), &["analyze", ".", "--job", &format!("j{n}"), "--format", "ndjson"]).objects();
        assert_eq!(of_failure[0]["attempts"], 1);
        assert!(timeline.len() >= 2);
    }
    let cited = report(&case)["failures"][2]["evidence"][0]["records"].clone();
    assert_eq!(cited.as_array().map(Vec::len), Some(1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_the_order_of_files_nor_that_of_records_matters(order in any::<u64>(), calls in proptest::collection::vec((0i64..4, 0i64..3, any::<bool>(), any::<bool>()), 1..20)) {
        let found = |order: u64| {
            let mut case = Case::new();
            let mut records = Vec::new();
            for job in 0..3 {
                let name = format!("job-{job}");
                case.step(&name, 5, "assume_role", "success", json!({ "correlationId": format!("STS{job}") }));
                case.step(&name, 10, "upload", "failure", with(forbidden(), json!({ "correlationId": format!("REQ-{job}") })));
                records.push(assume_role(5, &format!("STS{job}"), "AKIA", &format!("ASIA{job}")));
                records.push(with(put_object(&name, 11, Some("Access Denied")), json!({ "requestID": format!("REQ-{job}") })));
            }
            for (n, (key, object, fails, shares)) in (0..).zip(&calls) {
                let mut put = refused_elsewhere(100 + n, &format!("ASIA{key}"));
                put["requestParameters"]["key"] = json!(format!("object-{object}"));
                if !fails {
                    put.as_object_mut().expect("object").remove("errorCode");
                }
                if *shares {
                    put["requestID"] = json!(format!("REQ-{object}"));
                }
                records.push(put);
            }
            let shuffled = |n: usize| (n as u64 + 1).wrapping_mul(order | 1).rotate_left(17);
            let mut trail: Vec<(u64, Value)> = case.trail.drain(..).enumerate().map(|(n, r)| (shuffled(n), r)).collect();
            let mut cloud: Vec<(u64, Value)> = records.into_iter().enumerate().map(|(n, r)| (shuffled(n), r)).collect();
            trail.sort_by_key(|(n, _)| *n);
            cloud.sort_by_key(|(n, _)| *n);
            let cloud: Vec<Value> = cloud.into_iter().map(|(_, r)| r).collect();
            let (one, two) = cloud.split_at(cloud.len() / 2);
            let names = if order.is_multiple_of(2) { ["a.json", "z.json", "m.ndjson"] } else { ["y.json", "b.json", "a.ndjson"] };
            write(&case, names[0], one);
            write(&case, names[1], two);
            case.write(names[2], trail.iter().map(|(_, r)| r.to_string()).collect::<Vec<_>>().join("\n"));
            let mut failures = run(case.path(), &["analyze", ".", "--format", "ndjson"]).objects();
            for finding in failures.iter_mut().flat_map(|f| f["evidence"].as_array_mut().expect("a list")) {
                // Of many that would do, the first in the archive is cited.
                finding["records"] = Value::Null;
            }
            failures
        };
        prop_assert!(found(order) == found(1), "{:#?}\n{:#?}", found(order), found(1));
    }
}

/// Failures are found wave by wave; what only a key or a request ties together must be in one wave.
#[test]
fn however_few_attempts_are_worked_on_at_a_time_what_belongs_together_stays_so() {
    let mut case = Case::new();
    let mut records = Vec::new();
    for n in 0..12 {
        let job = format!("job-{n}");
        case.step(&job, n, "assume_role", "success", json!({ "correlationId": format!("STS{n}") }));
        case.step(&job, 20 + n, "metadata_injection", "failure", forbidden());
        records.push(assume_role(n, &format!("STS{n}"), "AKIA", &format!("ASIA{n}")));
        records.push(refused_elsewhere(40 + n, &format!("ASIA{n}")));
        let mut probe = refused_elsewhere(60 + n, &format!("ASIA{n}"));
        probe["eventName"] = json!("HeadBucket");
        probe["requestParameters"] = json!({ "bucketName": "exports" });
        records.push(probe);
        let more = json!({ "jobId": null, "conversationId": null, "objectKey": null, "recordingId": format!("lone-{n}"), "correlationId": format!("REQ-{n}") });
        case.step("lone", 80 + n, "upload", "failure", with(forbidden(), more));
        records.push(with(refused_elsewhere(80 + n, "AKIA"), json!({ "requestID": format!("REQ-{n}") })));
    }
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("trail.ndjson", lines.join("\n"));
    write(&case, "c.json", &records);
    let rules = RuleText::built_in().expect("a pack");
    let failures = |attempts_at_a_time: usize| {
        let options = Options { attempts_at_a_time, ..Options::default() };
        let paths = [case.path().display().to_string()];
        let analysis = report::analyze(&paths, options, &rules, &Selection::default(), &()).expect("analysed");
        let mut text = Vec::new();
        analysis.failures.write_ndjson(&mut text).expect("written");
        String::from_utf8(text).expect("text")
    };
    let whole = failures(usize::MAX);
    assert_eq!(whole.lines().count(), 36, "a metadata failure, a refused object and a lone one for each");
    for few in [1, 7, 50] {
        assert_eq!(failures(few), whole, "{few} attempts at a time");
    }
}
