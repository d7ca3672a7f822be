//! Gaps: what the evidence should hold and does not, what is only perhaps missing, and what is no gap at all.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, TENANT, put_object, run, time, verdict};

fn report(case: &Case) -> Value {
    if !case.trail.is_empty() {
        let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
        case.write("trail.ndjson", lines.join("\n"));
    }
    let run = run(case.path(), &["analyze", ".", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn gaps(case: &Case) -> Vec<Value> {
    report(case)["coverage"]["gaps"].as_array().expect("a list").clone()
}

fn message(id: &str) -> Value {
    json!({ "id": id, "eventDate": time(0), "serviceName": "Quality", "action": "View", "entityType": "Recording",
        "entity": { "id": "r" }, "status": "SUCCESS" })
}

#[test]
fn cursors_that_end_nowhere_are_a_gap_and_a_last_page_ends_them() {
    let case = Case::new();
    for n in 0..2 {
        let page = json!({ "id": "query-1", "entities": [message(&format!("m{n}"))], "pageSize": 1, "cursor": format!("next-{n}") });
        case.write(&format!("p{n}.json"), page.to_string());
    }
    let found = gaps(&case);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["detail"], "2 pages of query-1 say that another follows, and none that it is the last");
    assert_eq!(
        (&found[0]["kind"], &found[0]["source"], &found[0]["possible"]),
        (&json!("pages_missing"), &json!("genesys_audit"), &json!(false))
    );
    let shown = run(case.path(), &["show", found[0]["records"][0].as_str().expect("a record"), ".", "--raw"]);
    assert!(shown.stdout.contains("\"m1\""), "it rests on the last page: {}", shown.stdout);
    case.write(
        "q.json",
        json!({ "pageSize": 1, "cursor": null, "id": "query-1", "entities": [message("last")] }).to_string(),
    );
    assert_eq!(gaps(&case), Vec::<Value>::new());
}

#[test]
fn a_last_page_without_records_ends_the_result_that_its_others_are_of() {
    // An empty page is named as an empty file, which is status 1.
    let gaps = |case: &Case| {
        let run = run(case.path(), &["analyze", ".", "--format", "json"]);
        assert!(run.status <= 1, "{}", run.stderr);
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        report["coverage"]["gaps"].as_array().expect("a list").clone()
    };
    let case = Case::new();
    case.write("a.json", json!({ "id": "query-1", "entities": [message("m1")], "cursor": "next" }).to_string());
    assert_eq!(gaps(&case).len(), 1);
    case.write("b.json", json!({ "id": "query-1", "entities": [] }).to_string());
    assert_eq!(gaps(&case), Vec::<Value>::new());
    let numbered = |number: usize, entities: Value| {
        json!({ "entities": entities, "pageNumber": number, "pageCount": 3, "selfUri": "/api/v2/audits?x" }).to_string()
    };
    case.write("c.json", numbered(1, json!([message("m2")])));
    case.write("0.json", numbered(3, json!([])));
    let found = gaps(&case);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["detail"], "of 3 pages of /api/v2/audits these are missing: 2");
    assert_eq!(found[0]["records"].as_array().map(Vec::len), Some(1), "it rests on the page that has records");
}

#[test]
fn numbers_of_pages_that_are_left_out_are_named() {
    let case = Case::new();
    for number in [1, 2, 5] {
        let page = json!({ "entities": [message(&format!("m{number}"))], "pageSize": 1, "pageNumber": number, "pageCount": 6,
            "total": 6, "selfUri": format!("/api/v2/audits?pageNumber={number}"), "nextUri": format!("/api/v2/audits?pageNumber={}", number + 1) });
        case.write(&format!("p{number}.json"), page.to_string());
    }
    let found = gaps(&case);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["detail"], "of 6 pages of /api/v2/audits these are missing: 3, 4, 6");
}

#[test]
fn lookup_events_that_stop_at_a_token_are_a_gap() {
    let case = Case::new();
    let events = |n: i64| json!([{ "EventId": "e", "CloudTrailEvent": put_object("j", n, None).to_string() }]);
    case.write("a.json", json!({ "Events": events(1), "NextToken": "x".repeat(900) }).to_string());
    assert_eq!(gaps(&case)[0]["kind"], "pages_missing");
    case.write("b.json", json!({ "Events": events(2) }).to_string());
    assert_eq!(gaps(&case).len(), 0, "a page without a token is the last");
}

#[test]
fn a_delivery_is_whole_whatever_stands_beside_its_records() {
    let case = Case::new();
    case.write("a.json", json!({ "Records": [put_object("j", 1, None)] }).to_string());
    let report = report(&case);
    assert_eq!(report["coverage"]["gaps"], json!([]));
    assert!(report["coverage"]["files"][0].get("pages").is_none());
}

#[test]
fn a_job_that_starts_and_never_ends_is_a_gap_unless_the_evidence_ends_with_it() {
    let mut case = Case::new();
    for (job, at) in [("whole", 0), ("lost", 1000), ("late", 90_000)] {
        case.start(job, at, &["recording:export"], json!({}));
        case.step(job, at + 10, "query", "success", json!({ "status": 200 }));
    }
    case.trail
        .push(json!({ "timestamp": time(3600), "jobId": "whole", "step": "job.completed", "outcome": "success" }));
    let found = gaps(&case);
    let jobs: Vec<(&Value, &Value)> = found.iter().map(|gap| (&gap["job_id"], &gap["possible"])).collect();
    assert_eq!(jobs, [(&json!("lost"), &json!(false)), (&json!("late"), &json!(true))]);
    assert_eq!(found[0]["from"], time(1010));
    assert_eq!(found[0]["records"].as_array().map(Vec::len), Some(1));
}

/// CloudTrail of an account in which something happens every 20 s for eight hours, but for the seconds `from` to `to`.
fn steady(from: i64, to: i64) -> Vec<Value> {
    let at = (0..1440).map(|n| n * 20).filter(|at| !(from..to).contains(at));
    at.map(|at| put_object("steady", at, None)).collect()
}

#[test]
fn a_source_that_is_always_busy_does_not_fall_silent_without_being_asked_about() {
    let case = Case::new();
    case.write("c.json", json!({ "Records": steady(7200, 8700) }).to_string());
    let found = gaps(&case);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["kind"], &found[0]["possible"]), (&json!("silence"), &json!(true)));
    assert_eq!((&found[0]["from"], &found[0]["to"]), (&json!(time(7180)), &json!(time(8700))));
    assert!(
        found[0]["detail"]
            .as_str()
            .is_some_and(|d| d.contains("about 75 records would be expected") && d.contains("eu-west-1")),
        "{}",
        found[0]
    );
    let table = run(case.path(), &["analyze", ".", "--format", "table"]).stdout;
    assert!(table.contains("PERHAPS MISSING cloudtrail holds nothing of eu-west-1 between"), "{table}");
}

#[test]
fn short_silences_and_those_of_sources_that_are_often_silent_are_no_gaps() {
    let case = Case::new();
    case.write("c.json", json!({ "Records": steady(7200, 8000) }).to_string());
    assert_eq!(gaps(&case).len(), 0, "13 minutes");
    // Jobs that run every other half hour.
    let bursts: Vec<Value> =
        (0..720).map(|n| n * 20).filter(|at| at / 1800 % 2 == 0).map(|at| put_object("j", at, None)).collect();
    case.write("c.json", json!({ "Records": bursts }).to_string());
    assert_eq!(gaps(&case).len(), 0, "often silent");
}

#[test]
fn a_delivery_by_name_within_a_silence_speaks_against_a_gap_and_no_name_speaks_for_one() {
    let case = Case::new();
    let (early, late): (Vec<Value>, Vec<Value>) =
        steady(7200, 9900).into_iter().partition(|r| r["eventTime"].as_str() < Some(&time(7500)));
    let name = |stamp: &str| format!("111122223333_CloudTrail_eu-west-1_20260302T{stamp}Z_x.json");
    case.write(&name("0300"), json!({ "Records": early }).to_string());
    case.write(&name("0500"), json!({ "Records": late }).to_string());
    assert!(
        gaps(&case)[0]["detail"].as_str().is_some_and(|d| d.ends_with("no file is named for a delivery of that time"))
    );
    // Something was delivered half an hour into the silence: the log was at work.
    let other = json!({ "Records": [put_object("early", 100, None)] });
    case.write(&name("0330"), other.to_string());
    assert!(gaps(&case).iter().all(|gap| gap["kind"] != "silence"));
}

/// Forty jobs that store a recording each; CloudTrail tells of all but those from the twentieth to the `until`th.
fn stored(until: i64) -> Case {
    let mut case = Case::new();
    let mut records = Vec::new();
    for n in 0..40 {
        let job = format!("job-{n}");
        case.step(&job, n * 400, "upload", "success", json!({ "status": 200 }));
        if !(20..until).contains(&n) {
            records.push(put_object(&job, n * 400 + 1, None));
        }
    }
    case.write("c.json", json!({ "Records": records }).to_string());
    case
}

#[test]
fn what_one_source_tells_of_and_the_other_is_silent_about_is_perhaps_missing() {
    let found = gaps(&stored(32));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["kind"], "unwitnessed");
    assert_eq!(
        found[0]["detail"],
        format!(
            "cloudtrail tells of none of 12 that the trail says succeeded at upload to exports between {} and {}; it tells of 28 of 40 while it tells of any",
            time(8000),
            time(12_400)
        )
    );
    assert_eq!(gaps(&stored(23)).len(), 0, "three may be chance");
}

/// A refusal that passes by itself, in the sight of CloudTrail; `more` is what the page of events says of others.
fn passed(more: Value) -> Value {
    let mut case = Case::new();
    let refused = json!({ "status": 403, "errorCode": "forbidden", "errorMessage": "Access Denied" });
    case.step("j", 10, "upload", "failure", refused);
    case.step("j", 100, "upload", "success", json!({ "status": 200 }));
    let mut page = json!({ "Events": [{ "CloudTrailEvent": put_object("j", 10, Some("Access Denied")).to_string() }] });
    page.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    case.write("c.json", page.to_string());
    report(&case)["failures"][0].clone()
}

#[test]
fn a_verdict_that_leans_on_an_absence_says_so_where_the_log_has_a_gap() {
    let whole = passed(json!({}));
    assert_eq!((verdict(&whole).as_str(), &whole["support"]), ("sync_race/grant_propagation", &json!("moderate")));
    assert_eq!(whole["next_evidence"], json!([]));
    let cut = passed(json!({ "NextToken": "more" }));
    assert_eq!((verdict(&cut).as_str(), &cut["support"]), ("sync_race/grant_propagation", &json!("weak")));
    let rules: Vec<&str> =
        cut["evidence"].as_array().expect("a list").iter().filter_map(|e| e["rule"].as_str()).collect();
    assert!(
        rules.contains(&"gap-in-the-log-of-changes") && !rules.contains(&"recovered-without-policy-change"),
        "{rules:?}"
    );
    assert!(cut["next_evidence"][0].as_str().is_some_and(|next| next.contains("1 pages say that another follows")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gaps_depend_neither_on_the_order_of_records_nor_on_how_often_they_came(order in any::<u64>(), hole in 0i64..2400, pages in 1usize..5) {
        let found = |order: u64, again: bool| {
            let mut case = Case::new();
            case.start("open", 0, &["recording:export"], json!({ "tenantId": TENANT }));
            let mut records = steady(7200, 7200 + hole);
            records.sort_by_key(|r| r["eventID"].as_str().map(|id| id.bytes().fold(order | 1, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)).rotate_left(7))));
            let (one, two) = records.split_at(records.len() / 3);
            let names = if order.is_multiple_of(2) { ["a.json", "z.json"] } else { ["y.json", "b.json"] };
            case.write(names[0], json!({ "Records": one }).to_string());
            case.write(names[1], json!({ "Records": two }).to_string());
            if again {
                case.write("m.json", json!({ "Records": records }).to_string());
            }
            for n in 0..pages {
                let page = json!({ "id": "q", "entities": [message(&format!("m{n}"))], "cursor": "x" });
                case.write(&format!("p{n}.json"), page.to_string());
            }
            let mut gaps = gaps(&case);
            for gap in &mut gaps {
                gap["records"] = json!(gap["records"].as_array().map(Vec::len));
            }
            gaps
        };
        let expected = found(1, false);
        for again in [false, true] {
            let gaps = found(order, again);
            prop_assert!(gaps == expected, "{gaps:#?}\n{expected:#?}");
        }
    }
}
