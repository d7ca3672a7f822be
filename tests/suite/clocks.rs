//! Clocks: what two sources record of the same requests bounds how far they may be apart, and what is nearer than that is
//! not put in order.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, TENANT, bucket_policy, put_object, run, time, verdict};

fn forbidden() -> Value {
    json!({ "status": 403, "errorCode": "forbidden", "errorMessage": "Forbidden" })
}

fn report(case: &Case) -> Value {
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("trail.ndjson", lines.join("\n"));
    let run = run(case.path(), &["analyze", ".", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

/// Requests that the trail and CloudTrail both record, CloudTrail by so many seconds later.
fn shared(case: &mut Case, later: &[i64]) -> Vec<Value> {
    let mut records = Vec::new();
    for (n, later) in (0..).zip(later) {
        let (job, at) = (format!("h{n}"), -9000 + 60 * n);
        case.step(&job, at, "upload", "success", json!({ "status": 200, "correlationId": format!("request-{n}") }));
        let mut put = put_object(&job, at + later, None);
        put["requestID"] = json!(format!("request-{n}"));
        records.push(put);
    }
    records
}

fn put_policy(at: i64, actions: &[&str]) -> Value {
    json!({ "eventVersion": "1.10", "eventTime": time(at), "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy",
        "eventID": format!("p{at}"), "requestParameters": { "bucketName": "exports", "bucketPolicy": bucket_policy(actions, TENANT) } })
}

fn rules(failure: &Value) -> Vec<&str> {
    failure["evidence"].as_array().expect("a list").iter().filter_map(|e| e["rule"].as_str()).collect()
}

/// A bucket's policy is put right so many seconds before the first success as CloudTrail has it, whose records of the same
/// requests are up to 8 s later than the trail's.
fn put_right_before_success(seconds: i64) -> Value {
    let mut case = Case::new();
    let mut records = shared(&mut case, &[0, 1, 3, 8, 5, 2]);
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 700, "upload", "success", json!({ "status": 200 }));
    records.extend([put_policy(-8000, &["s3:GetObject"]), put_policy(700 - seconds, &["s3:PutObject"])]);
    case.write("cloudtrail.json", json!({ "Records": records }).to_string());
    report(&case)
}

#[test]
fn a_change_that_certainly_lies_between_failing_and_succeeding_is_an_intervention() {
    let report = put_right_before_success(60);
    let failure = &report["failures"][0];
    assert_eq!(
        (verdict(failure).as_str(), &failure["support"]),
        ("policy_mismatch/action_not_allowed", &json!("very_strong"))
    );
    assert!(rules(failure).contains(&"policy-change-then-success"));
}

#[test]
fn a_change_nearer_to_the_success_than_the_clocks_agree_is_no_intervention_of_full_weight() {
    let report = put_right_before_success(-1);
    let failure = &report["failures"][0];
    let rules = rules(failure);
    assert!(!rules.contains(&"policy-change-then-success") && !rules.contains(&"recovered-without-policy-change"));
    assert!(rules.contains(&"policy-change-near-success") && rules.contains(&"clocks-do-not-tell"));
    let doubt = failure["evidence"].as_array().expect("a list").iter().find(|e| e["class"].is_null()).expect("a doubt");
    let said = doubt["statement"].as_str().expect("a sentence");
    assert!(said.contains("cloudtrail -2.3 to 7.3 s off export_trail"), "{said}");
    assert_eq!(doubt["records"].as_array().map(Vec::len), Some(3), "the change, the failing attempt, the success");
    // The replay of the policy at the refusal still tells; what it says is only less surely confirmed.
    assert_eq!(
        (verdict(failure).as_str(), &failure["support"]),
        ("policy_mismatch/action_not_allowed", &json!("moderate"))
    );
    assert!(failure["next_evidence"][0].as_str().is_some_and(|next| next.starts_with("Records of one clock")));
}

#[test]
fn a_change_near_the_refusal_does_not_tell_which_policy_refused() {
    let mut case = Case::new();
    let mut records = shared(&mut case, &[0, 1, 3, 8, 5, 2]);
    case.step("j", 10, "upload", "failure", forbidden());
    records.extend([put_policy(-8000, &["s3:GetObject"]), put_policy(12, &["s3:PutObject"])]);
    case.write("cloudtrail.json", json!({ "Records": records }).to_string());
    let report = report(&case);
    let failure = &report["failures"][0];
    assert_eq!(failure["class"], "inconclusive");
    assert!(
        failure["reason"].as_str().is_some_and(|reason| reason.contains("the clocks of their sources do not tell"))
    );
}

#[test]
fn a_grant_near_the_refusal_does_not_tell_what_the_caller_held() {
    for (at, expected) in [(12, false), (200, true)] {
        let mut case = Case::new();
        case.contrast();
        let mut audits = Vec::new();
        for (n, later) in (0..).zip([0, 2, 4, 6]) {
            case.step("h", -9000 + 60 * n, "query", "success", json!({ "correlationId": format!("t{n}") }));
            audits.push(
                json!({ "id": format!("a{n}"), "eventDate": time(-9000 + 60 * n + later), "serviceName": "Quality",
                "action": "View", "entityType": "Recording", "entity": { "id": "r" }, "status": "SUCCESS",
                "initiatingAction": { "transactionId": format!("t{n}") } }),
            );
        }
        audits.push(
            json!({ "id": "grant", "eventDate": time(at), "serviceName": "PeoplePermissions", "action": "Update",
            "entityType": "OAuthClient", "entity": { "id": "caller" }, "status": "SUCCESS", "propertyChanges":
            [{ "property": "permissions", "oldValues": [], "newValues": ["recording:metadata:write"] }] }),
        );
        case.write("audits.json", json!({ "entities": audits }).to_string());
        case.start("j", 0, &["recording:export"], json!({}));
        case.step("j", 10, "metadata_injection", "failure", forbidden());
        let report = report(&case);
        let failure = &report["failures"][0];
        assert_eq!(failure["class"] == "scope_collision", expected, "{failure:#}");
        assert_eq!(rules(failure).contains(&"clocks-do-not-tell"), !expected);
    }
}

#[test]
fn an_attempt_at_the_edge_of_a_holds_window_is_not_said_to_lie_in_it() {
    for (placed, inside) in [(9, false), (-60, true)] {
        let mut case = Case::new();
        let mut audits = Vec::new();
        for (n, later) in (0..).zip([0, 2, 4, 6]) {
            case.step("h", -9000 + 60 * n, "query", "success", json!({ "correlationId": format!("t{n}") }));
            audits.push(
                json!({ "id": format!("a{n}"), "eventDate": time(-9000 + 60 * n + later), "serviceName": "Quality",
                "action": "View", "entityType": "Recording", "entity": { "id": "r" }, "status": "SUCCESS",
                "initiatingAction": { "transactionId": format!("t{n}") } }),
            );
        }
        for (action, at) in [("ApplyProtection", placed), ("RevokeProtection", 500)] {
            audits.push(json!({ "id": action, "eventDate": time(at), "serviceName": "Quality", "action": action,
                "entityType": "Conversation", "entity": { "id": "conversation-j" }, "status": "SUCCESS" }));
        }
        case.write("audits.json", json!({ "entities": audits }).to_string());
        case.step("j", 10, "metadata_injection", "failure", json!({ "status": 409, "errorMessage": "Conflict" }));
        let report = report(&case);
        let failure = &report["failures"][0];
        assert_eq!(rules(failure).contains(&"inside-hold-window"), inside);
        assert_eq!(rules(failure).contains(&"clocks-do-not-tell"), !inside);
    }
}

#[test]
fn a_success_by_another_clock_recovers_only_if_it_certainly_came_later() {
    for (at, recovered) in [(14, false), (60, true)] {
        let mut case = Case::new();
        let mut records = shared(&mut case, &[0, 1, 3, 8, 5, 2]);
        case.step("j", 10, "upload", "failure", forbidden());
        records.push(put_object("j", at, None));
        case.write("cloudtrail.json", json!({ "Records": records }).to_string());
        assert_eq!(report(&case)["failures"][0]["recovered_at"].is_string(), recovered);
    }
}

#[test]
fn what_is_not_known_of_a_clock_is_stated_and_not_invented() {
    let mut case = Case::new();
    let records = shared(&mut case, &[0, 1]);
    case.write("cloudtrail.json", json!({ "Records": records }).to_string());
    case.step("j", 10, "upload", "failure", forbidden());
    let report = report(&case);
    let unknown = json!([{ "source": "cloudtrail", "against": "export_trail", "offset_seconds": null, "low_seconds": null,
        "high_seconds": null, "pairs": 2, "applied": false }]);
    assert_eq!(report["coverage"]["clocks"], unknown);
    let table = run(case.path(), &["analyze", ".", "--format", "table"]).stdout;
    assert!(table.contains("Clock offset unknown: cloudtrail"), "{table}");
}

#[test]
fn an_id_that_many_records_bear_is_no_request() {
    let mut case = Case::new();
    let mut records = Vec::new();
    for n in 0..8 {
        case.step(&format!("h{n}"), -9000 + 600 * n, "upload", "success", json!({ "correlationId": "trace" }));
        let mut put = put_object(&format!("h{n}"), -9000 + 600 * n, None);
        put["requestID"] = json!("trace");
        records.push(put);
    }
    case.write("cloudtrail.json", json!({ "Records": records }).to_string());
    assert_eq!(report(&case)["coverage"]["clocks"][0]["pairs"], 0);
}

#[test]
fn sources_without_a_trail_are_compared_with_each_other() {
    let case = Case::new();
    let vault = |n: i64| json!({ "time": time(n * 60 + 2 + n % 2), "type": "response", "request": { "id": format!("q{n}"), "operation": "read", "path": "x" } });
    let put = |n: i64| {
        let mut put = put_object("j", n * 60, None);
        put["requestID"] = json!(format!("q{n}"));
        put
    };
    case.write("vault.log", (0..5).map(|n| vault(n).to_string()).collect::<Vec<_>>().join("\n"));
    case.write("c.json", json!({ "Records": (0..6).map(put).collect::<Vec<_>>() }).to_string());
    let run = run(case.path(), &["analyze", ".", "--format", "json"]);
    let clocks = serde_json::from_str::<Value>(&run.stdout).expect("JSON")["coverage"]["clocks"].clone();
    assert_eq!((&clocks[0]["source"], &clocks[0]["against"]), (&json!("vault_audit"), &json!("cloudtrail")));
    assert_eq!((&clocks[0]["offset_seconds"], &clocks[0]["pairs"]), (&json!(2.0), &json!(5)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bounds_hold_what_the_clocks_differ_by_in_any_order_of_records(
        skew in prop_oneof![-20i64..20, 100i64..4000, -4000i64..-100],
        later in proptest::collection::vec(0i64..6, 3..30),
        stray in any::<bool>(),
        order in any::<u64>(),
    ) {
        let mut case = Case::new();
        let mut differences: Vec<i64> = later.iter().map(|later| skew + later).collect();
        // One request that was written down hours later is no matter of the clock.
        if stray && differences.len() > 8 {
            differences.push(skew + 9000);
        }
        let mut usual = differences.clone();
        usual.sort_unstable();
        let [first, third] = [1, 3].map(|quarter| usual[(usual.len() - 1) * quarter / 4]);
        usual.retain(|d| 2 * (first - d - 1) <= 3 * (third - first) && 2 * (d - third - 1) <= 3 * (third - first));
        let mut records = shared(&mut case, &differences);
        records.sort_by_key(|record| (record["eventID"].to_string().len() as u64 ^ order, record["requestID"].to_string().chars().rev().collect::<String>()));
        let turned = order % 2 == 0;
        case.write(if turned { "a.json" } else { "z.json" }, json!({ "Records": records }).to_string());
        let report = report(&case);
        let clock = &report["coverage"]["clocks"][0];
        let number = |name: &str| clock[name].as_f64().expect("a number");
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let (least, most) = (usual[0] as f64, usual[usual.len() - 1] as f64);
        prop_assert!(number("low_seconds") <= number("offset_seconds") && number("offset_seconds") <= number("high_seconds"));
        prop_assert!(number("low_seconds") <= least && most <= number("high_seconds"), "{clock} {usual:?}");
        prop_assert!(number("high_seconds") - number("low_seconds") < 30.0, "{clock}");
        prop_assert_eq!(&clock["applied"], &json!(number("offset_seconds").abs() > 60.0));
    }
}
