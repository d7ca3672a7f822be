//! The outputs obey the schemas in docs/schema.

use std::fs;

use serde_json::Value;

use crate::exports::hostile;
use crate::support::{root, run};

fn obeys(schema: &str, value: &Value) {
    let text = fs::read_to_string(root().join("docs/schema").join(schema)).expect("a schema");
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a valid schema");
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}");
}

#[test]
fn the_report_and_its_failures_obey_their_schemas() {
    let case = hostile();
    case.write("broken.ndjson", "{\"jobId\": \"other\"}\n{\"jobId\": ");
    let samples = root().join("samples").display().to_string();
    for paths in [vec![samples.as_str()], vec!["."]] {
        let of = |format: &str| {
            let run = run(case.path(), &[&["analyze", "--format", format][..], &paths].concat());
            assert!([0, 1].contains(&run.status), "{}", run.stderr);
            run
        };
        let report: Value = serde_json::from_str(&of("json").stdout).expect("JSON");
        assert!(report["failures"].as_array().is_some_and(|failures| failures.len() > 5));
        obeys("report.json", &report);
        of("ndjson").objects().iter().for_each(|failure| obeys("failure.json", failure));
    }
    let entries = run(root(), &["timeline", "samples", "--job", "a4c8a798-a5d8-45c0-b444-74c0a668b046"]).objects();
    assert!(!entries.is_empty());
    for entry in &entries {
        obeys("timeline-entry.json", entry);
    }
}

#[test]
fn what_lacks_a_field_or_has_an_unknown_class_does_not_obey() {
    let failure = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects().remove(0);
    let text = fs::read_to_string(root().join("docs/schema/failure.json")).expect("a schema");
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a valid schema");
    for name in failure.as_object().expect("an object").keys() {
        let mut other = failure.clone();
        other.as_object_mut().expect("an object").remove(name);
        assert!(!validator.is_valid(&other), "{name} is never left out");
    }
    let mut other = failure;
    other["class"] = "unheard_of".into();
    assert!(!validator.is_valid(&other));
}
