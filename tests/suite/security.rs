//! Evidence is hostile.

use std::fs;

use serde_json::json;

use crate::support::{Case, run, time};

fn hostile(case: &Case) {
    let record = json!({
        "timestamp": time(0), "jobId": "=HYPERLINK(\"http://x\")", "recordingId": "\u{1b}[2Jr\u{202e}x", "step": "upload",
        "outcome": "failure", "status": 403, "bucket": "b", "principal": "@cmd",
        "errorMessage": "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.abcdef.secretsecret and client_secret=hunter2hunter2",
    });
    case.write("trail.ndjson", record.to_string());
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let case = Case::new();
    hostile(&case);
    for arguments in [
        &["analyze", ".", "--format", "table"][..],
        &["timeline", ".", "--job", "=HYPERLINK(\"http://x\")", "--format", "table"],
    ] {
        let run = run(case.path(), arguments);
        assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains('\u{202e}'), "{}", run.stdout);
    }
}

#[test]
fn cells_that_a_spreadsheet_would_run_are_disarmed() {
    let case = Case::new();
    hostile(&case);
    let run = run(case.path(), &["analyze", ".", "--format", "csv"]);
    assert!(run.stdout.contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "{}", run.stdout);
    assert!(run.stdout.contains(",'@cmd,"));
}

#[test]
fn secrets_are_blanked_and_counted() {
    let case = Case::new();
    hostile(&case);
    let timeline = run(case.path(), &["timeline", ".", "--job", "=HYPERLINK(\"http://x\")", "--format", "ndjson"]);
    assert!(timeline.stdout.contains("[redacted]"));
    assert!(!timeline.stdout.contains("hunter2") && !timeline.stdout.contains("secretsecret"));
    assert!(run(case.path(), &["analyze", ".", "--format", "json"]).stdout.contains("\"redacted\": 2"));
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_not_followed() {
    let (outside, case) = (Case::new(), Case::new());
    hostile(&case);
    let target = outside.write(
        "secret.ndjson",
        "{\"timestamp\":\"2026-03-02T00:00:00Z\",\"jobId\":\"outside\",\"step\":\"upload\",\"outcome\":\"failure\"}",
    );
    std::os::unix::fs::symlink(target, case.path().join("link.ndjson")).expect("linked");
    std::os::unix::fs::symlink(outside.path(), case.path().join("folder")).expect("linked");
    let run = run(case.path(), &["analyze", ".", "--format", "json"]);
    assert!(!run.stdout.contains("\"outside\""));
    assert_eq!(run.stdout.matches("not followed").count(), 2, "they are listed as passed over");
}

#[test]
fn the_evidence_folder_is_left_as_it_was() {
    let case = Case::new();
    hostile(&case);
    let listing = || fs::read_dir(case.path()).expect("listed").flatten().map(|e| e.path()).collect::<Vec<_>>();
    let before = listing();
    run(case.path(), &["analyze", ".", "--format", "json"]);
    assert_eq!(before, listing());
}

#[test]
fn an_output_inside_the_evidence_is_refused() {
    let case = Case::new();
    hostile(&case);
    case.write("inner/more.ndjson", "");
    for out in ["report.json", "./inner/report.json", "trail.ndjson"] {
        let run = run(case.path(), &["analyze", ".", "--out", out]);
        assert_eq!((run.status, run.stderr.lines().count()), (2, 1));
        assert!(run.stderr.contains("into which nothing is written"), "{}", run.stderr);
    }
    assert!(fs::read_to_string(case.path().join("trail.ndjson")).expect("read").contains("jobId"));
    assert_eq!(run(case.path(), &["analyze", "trail.ndjson", "--out", "trail.ndjson"]).status, 2);
}

#[test]
fn an_output_that_cannot_be_finished_leaves_the_old_file() {
    let case = Case::new();
    hostile(&case);
    let out = Case::new();
    let report = out.write("report.json", "the old report");
    let missing = out.path().join("nowhere/report.json");
    assert_eq!(run(case.path(), &["analyze", ".", "--out", &missing.display().to_string()]).status, 2);
    assert_eq!(run(case.path(), &["analyze", "nowhere", "--out", &report.display().to_string()]).status, 2);
    assert_eq!(fs::read_to_string(&report).expect("read"), "the old report");
    assert_eq!(run(case.path(), &["analyze", ".", "--out", &report.display().to_string()]).status, 0);
    assert!(fs::read_to_string(&report).expect("read").starts_with('{'), "the format follows the name");
}
