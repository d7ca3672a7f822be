//! Real CloudTrail archives, where they lie beside the project.

use serde_json::Value;

use crate::support::{root, run, verdict};

fn analyze(name: &str) -> Option<Value> {
    let folder = root().join("../shared/real").join(name);
    if !folder.exists() {
        println!("skipped: {} is not here", folder.display());
        return None;
    }
    let run = run(root(), &["analyze", &folder.display().to_string(), "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).ok()
}

#[test]
fn five_roles_that_refuse_just_after_they_are_created_are_five_cases_of_propagation() {
    let Some(json) = analyze("invictus") else { return };
    assert_eq!((json["summary"]["records"].as_u64(), json["summary"]["rejected"].as_u64()), (Some(2900), Some(0)));
    let failures = json["failures"].as_array().expect("a list");
    assert_eq!(failures.len(), 5, "throttled console pages and lookups that find nothing are no failed exports");
    assert!(failures.iter().all(|f| verdict(f) == "sync_race/grant_propagation" && f["recovered_at"].is_string()));
}

#[test]
fn bare_arrays_are_read_in_full() {
    let Some(json) = analyze("stratus") else { return };
    assert_eq!((json["summary"]["parsed"].as_u64(), json["summary"]["rejected"].as_u64()), (Some(310), Some(0)));
    assert_eq!(json["failures"].as_array().map(Vec::len), Some(2));
}
