//! SARIF and OCSF, held against their published schemas and against the evidence.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use holdtrace::evidence::Digest;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::exports::hostile;
use crate::support::{Case, root, run};

fn validator(name: &str) -> Validator {
    let text = fs::read_to_string(root().join("tests/fixtures/schemas").join(name)).expect("a schema");
    // Of one pattern in SARIF's schema, that of languages, the brackets are not in pairs; no language is written.
    let text = text.replace(r"^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "");
    let schema = serde_json::from_str(&text).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a valid schema")
}

fn obeys(validator: &Validator, value: &Value) {
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
}

fn sarif(folder: &Path, paths: &[&str]) -> Value {
    let run = run(folder, &[&["analyze", "--format", "sarif"], paths].concat());
    assert!([0, 1].contains(&run.status), "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_else(|| panic!("a number: {value}"))
}

/// The bytes of a file, those that it unpacks to if it is packed with gzip.
fn unpacked(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("read");
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).expect("gzip");
    unpacked
}

/// All locations of a result, wherever they stand in it.
fn locations(result: &Value) -> Vec<&Value> {
    let flows = list(result, "/codeFlows").iter().flat_map(|flow| list(flow, "/threadFlows"));
    let steps = flows.flat_map(|thread| list(thread, "/locations")).map(|step| &step["location"]);
    list(result, "/locations").iter().chain(list(result, "/relatedLocations")).chain(steps).collect()
}

#[test]
fn sarif_obeys_its_schema_and_points_to_the_bytes() {
    let log = sarif(root(), &["samples"]);
    obeys(&validator("sarif-2.1.0.json"), &log);
    let run = &log["runs"][0];
    let (rules, artifacts) = (list(run, "/tool/driver/rules"), list(run, "/artifacts"));
    for artifact in artifacts {
        let path = root().join(artifact["location"]["uri"].as_str().expect("a URI"));
        let bytes = fs::read(&path).expect("the URI leads to the file");
        assert_eq!(artifact["hashes"]["sha-256"], Digest::of(&bytes).to_string());
        assert_eq!(number(&artifact["length"]), bytes.len());
    }
    let mut seen = 0;
    for result in list(run, "/results") {
        assert_eq!(rules[number(&result["ruleIndex"])]["id"], result["ruleId"]);
        assert_eq!(list(result, "/locations").len(), 1, "the first failing attempt");
        for location in locations(result) {
            let place = &location["physicalLocation"];
            let artifact = &artifacts[number(&place["artifactLocation"]["index"])];
            assert_eq!(artifact["location"]["uri"], place["artifactLocation"]["uri"]);
            let bytes = unpacked(&root().join(artifact["location"]["uri"].as_str().expect("a URI")));
            let (offset, length) = (number(&place["region"]["byteOffset"]), number(&place["region"]["byteLength"]));
            assert_eq!(location["properties"]["sha256"], Digest::of(&bytes[offset..offset + length]).to_string());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} locations");
}

#[test]
fn sarif_has_a_result_per_failure_and_leaves_the_undecided_open() {
    let log = sarif(root(), &["samples"]);
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let results = list(&log, "/runs/0/results");
    assert_eq!(results.len(), failures.len());
    for (result, failure) in results.iter().zip(&failures) {
        assert_eq!(&result["properties"], failure, "nothing of the report is lost");
        assert_eq!(result["partialFingerprints"]["failureId/v1"], failure["failure_id"]);
        let (kind, level) = (result["kind"].as_str().expect("a kind"), result["level"].as_str().expect("a level"));
        match (failure["class"] == "inconclusive", failure["recovered_at"].is_null()) {
            (true, _) => assert_eq!((kind, level), ("open", "none")),
            (false, true) => assert_eq!((kind, level), ("fail", "error")),
            (false, false) => assert_eq!((kind, level), ("fail", "warning")),
        }
        let cited: BTreeSet<String> =
            list(failure, "/evidence").iter().flat_map(|e| list(e, "/records")).map(Value::to_string).collect();
        let related = list(result, "/relatedLocations").iter().map(|location| &location["properties"]["recordId"]);
        let related: BTreeSet<String> = related.map(Value::to_string).collect();
        assert_eq!(related, cited, "every cited record, and no other");
    }
    assert!(results.iter().any(|result| result["kind"] == "open"), "the samples have an undecided one");
}

#[test]
fn the_code_flow_of_sarif_is_the_timeline_with_a_thread_per_source() {
    let log = sarif(root(), &["samples"]);
    for result in list(&log, "/runs/0/results") {
        let threads = list(result, "/codeFlows/0/threadFlows");
        let mut steps: Vec<&Value> = threads.iter().flat_map(|thread| list(thread, "/locations")).collect();
        steps.sort_by_key(|step| number(&step["executionOrder"]));
        let orders: BTreeSet<usize> = steps.iter().map(|step| number(&step["executionOrder"])).collect();
        assert_eq!(orders.len(), steps.len(), "each has its own place");
        let times: Vec<&str> = steps.iter().map(|step| step["executionTimeUtc"].as_str().expect("a time")).collect();
        assert!(times.is_sorted(), "{times:?}");
        let parts: Vec<&Value> = steps.iter().map(|step| &step["location"]["properties"]["part"]).collect();
        let failing = parts.iter().filter(|part| ***part == "failing").count();
        assert_eq!(failing, number(&result["properties"]["attempts"]), "{parts:?}");
        assert_eq!(parts.contains(&&json!("recovery")), !result["properties"]["recovered_at"].is_null());
    }
    let most = list(&log, "/runs/0/results").iter().map(|result| list(result, "/codeFlows/0/threadFlows").len()).max();
    assert!(most > Some(1), "some failure is told of by several sources");
}

#[test]
fn the_rules_of_sarif_are_those_of_the_pack() {
    let run_of = |arguments: &[&str]| sarif(root(), arguments)["runs"][0].clone();
    let whole = run_of(&["samples"]);
    let verdicts: Vec<&Value> = list(&whole, "/tool/driver/rules").iter().map(|rule| &rule["id"]).collect();
    assert!(verdicts.contains(&&json!("sync_race/residency_sync_lag")) && verdicts.contains(&&json!("inconclusive")));
    let pack = list(&whole, "/tool/extensions/0/rules");
    let grant = pack.iter().find(|rule| rule["id"] == "grant-then-success").expect("a rule of the pack");
    assert_eq!(grant["properties"]["class"], "scope_collision");
    let shipped = run(root(), &["rules"]).stdout;
    assert_eq!(pack.len(), shipped.matches("[[rule]]").count());
    let unused = pack.iter().chain(list(&whole, "/tool/driver/rules")).filter(|rule| {
        let text = rule["shortDescription"]["text"].as_str().expect("a text");
        text.replace("{{", "").replace("}}", "").contains(['{', '}'])
    });
    assert_eq!(unused.count(), 0, "placeholders of holdtrace are none of SARIF's");
}

#[test]
fn sarif_says_what_could_not_be_read_where() {
    let mut case = Case::new();
    case.start("job", 0, &["recording:export"], json!({}));
    case.step("job", 5, "metadata_injection", "failure", json!({ "status": 409 }));
    case.analyze();
    case.write("broken.ndjson", "{\"jobId\": \"other\"}\n{\"jobId\": ");
    let log = sarif(case.path(), &["."]);
    obeys(&validator("sarif-2.1.0.json"), &log);
    let notes = list(&log, "/runs/0/invocations/0/toolExecutionNotifications");
    let note = notes.iter().find(|note| note["level"] == "warning").expect("a warning");
    let uri = &note["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert!(uri.as_str().is_some_and(|uri| uri.ends_with("broken.ndjson")), "{note:#}");
    assert!(note["message"]["text"].as_str().is_some_and(|text| text.contains("records not read")), "{note:#}");
}

#[test]
fn fingerprints_stay_when_other_evidence_is_added() {
    let of = |paths: &[&str]| -> BTreeSet<String> {
        let log = sarif(root(), paths);
        list(&log, "/runs/0/results").iter().map(|result| result["partialFingerprints"].to_string()).collect()
    };
    let (some, all) = (of(&["samples/trail"]), of(&["samples"]));
    assert!(!some.is_empty() && some.is_subset(&all), "{some:#?}\n{all:#?}");
}

#[test]
fn ocsf_obeys_its_schema_and_every_finding_follows_its_events() {
    let events = run(root(), &["analyze", "samples", "--format", "ocsf"]).objects();
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let (activity, finding) =
        (validator("ocsf-1.5.0-api_activity.json"), validator("ocsf-1.5.0-detection_finding.json"));
    let (mut written, mut findings) = (BTreeSet::new(), Vec::new());
    for event in &events {
        assert_eq!(event["metadata"]["version"], "1.5.0");
        let (class, act) = (number(&event["class_uid"]), number(&event["activity_id"]));
        assert_eq!(number(&event["type_uid"]), 100 * class + act);
        let time = chrono::DateTime::parse_from_rfc3339(event["time_dt"].as_str().expect("a time")).expect("RFC 3339");
        assert_eq!(event["time"], time.timestamp_millis());
        if class == 6003 {
            obeys(&activity, event);
            written.insert(event["metadata"]["uid"].to_string());
            continue;
        }
        obeys(&finding, event);
        let related = list(event, "/finding_info/related_events");
        assert!(!related.is_empty() && related.iter().all(|other| written.contains(&other["uid"].to_string())));
        findings.push(event);
    }
    assert_eq!(findings.len(), failures.len());
    for (finding, failure) in findings.iter().zip(&failures) {
        assert_eq!(finding["finding_info"]["uid"], failure["failure_id"]);
        assert_eq!(finding["status"] == "Resolved", !failure["recovered_at"].is_null());
        let cited = |e: &Value| -> BTreeSet<String> {
            list(e, "/data/records").iter().map(|record| record["record_id"].to_string()).collect()
        };
        for (evidence, reported) in list(finding, "/evidences").iter().zip(list(failure, "/evidence")) {
            assert_eq!(evidence["name"], reported["rule"]);
            assert_eq!(cited(evidence), list(reported, "/records").iter().map(Value::to_string).collect());
        }
    }
}

#[test]
fn hostile_texts_break_neither_schema_and_make_no_links() {
    let case = hostile();
    let log = sarif(case.path(), &["."]);
    obeys(&validator("sarif-2.1.0.json"), &log);
    for artifact in list(&log, "/runs/0/artifacts") {
        let uri = artifact["location"]["uri"].as_str().expect("a URI");
        assert!(!uri.contains(['<', ':', ' ', '"']), "{uri}");
    }
    for result in list(&log, "/runs/0/results") {
        let said =
            locations(result).into_iter().chain([result]).map(|of| of["message"]["text"].as_str().expect("a text"));
        for text in said {
            let bare =
                text.replace("\\\\", "").replace("\\[", "").replace("\\]", "").replace("{{", "").replace("}}", "");
            assert!(!bare.contains(['[', ']', '{', '}', '\u{1b}', '\u{202e}']), "{text}");
        }
    }
    let run = run(case.path(), &["analyze", ".", "--format", "ocsf"]);
    let (activity, finding) =
        (validator("ocsf-1.5.0-api_activity.json"), validator("ocsf-1.5.0-detection_finding.json"));
    let events = run.objects();
    assert!(!events.is_empty());
    for event in events {
        obeys(if event["class_uid"] == 6003 { &activity } else { &finding }, &event);
    }
}
