//! Every output of the samples, to the letter.

use polars_io::SerReader as _;
use serde_json::Value;

use crate::support::{root, run};

fn stdout(arguments: &[&str]) -> String {
    let run = run(root(), arguments);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    run.stdout
}

#[test]
fn the_table_reads_so_at_80_columns() {
    let table = stdout(&["analyze", "samples", "--format", "table"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "no line is longer than 80");
    insta::assert_snapshot!(table);
}

#[test]
fn the_first_failure_reads_so_as_json() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    insta::assert_json_snapshot!(failures[0]);
}

#[test]
fn every_failure_has_every_field_of_the_contract() {
    let fields = "failure_id job_id conversation_id recording_id object_key bucket principal tenant_id region media_type step \
                  first_failed_at last_failed_at recovered_at attempts symptoms class mechanism support missing_permissions \
                  hypotheses evidence reason next_evidence remedy";
    for failure in run(root(), &["analyze", "samples", "--format", "ndjson"]).objects() {
        let names: Vec<&str> = failure.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = fields.split_whitespace().collect();
        expected.sort_unstable();
        let mut found = names.clone();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(failure["hypotheses"].as_array().map(Vec::len), Some(4), "all four causes, always");
        for evidence in failure["evidence"].as_array().expect("a list") {
            let cited = evidence["records"].as_array().expect("a list");
            assert!(cited.iter().all(|id| id.as_str().is_some_and(|id| id.len() == 19 && id.starts_with("ev:"))));
        }
    }
}

#[test]
fn the_csv_reads_so() {
    insta::assert_snapshot!(stdout(&["analyze", "samples", "--format", "csv"]));
}

#[test]
fn the_ledger_and_manifest_read_so() {
    let mut json: Value = serde_json::from_str(&stdout(&["analyze", "samples", "--format", "json"])).expect("JSON");
    json["failures"] = Value::Null;
    json["rules"]["sha256"] = Value::Null;
    json["rules"]["layers"][0]["sha256"] = Value::Null;
    insta::assert_json_snapshot!(json);
}

#[test]
fn the_timeline_of_a_job_joins_the_sources_and_says_by_what() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let job = failures[2]["job_id"].as_str().expect("a job");
    insta::assert_snapshot!(stdout(&["timeline", "samples", "--job", job, "--format", "ndjson"]));
}

#[test]
fn a_record_is_shown_with_its_bytes_and_its_hash_checked() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let mut shown = 0;
    for id in failures
        .iter()
        .flat_map(|f| f["evidence"].as_array().expect("a list"))
        .flat_map(|e| e["records"].as_array().expect("a list"))
    {
        shown += 1;
        if shown % 7 != 0 {
            continue;
        }
        let id = id.as_str().expect("an id");
        let raw = run(root(), &["show", id, "samples", "--raw"]);
        let digest = holdtrace::evidence::Digest::of(&raw.bytes);
        assert_eq!(digest.record_id(), id, "the raw bytes hash to the id that cites them");
    }
    let id = failures[5]["evidence"][0]["records"][0].as_str().expect("an id");
    insta::assert_snapshot!(stdout(&["show", id, "samples"]));
}

#[test]
fn filters_and_fail_on_do_what_they_say() {
    let all = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let job = all[4]["job_id"].as_str().expect("a job");
    let one = run(root(), &["analyze", "samples", "--format", "ndjson", "--job", job]).objects();
    assert_eq!(one, all[4..5]);
    let first_day = run(root(), &["analyze", "samples", "--format", "ndjson", "--until", "2026-05-05"]).objects();
    let second_day =
        run(root(), &["analyze", "samples", "--format", "ndjson", "--since", "2026-05-05T00:00:00Z"]).objects();
    assert_eq!([first_day, second_day].concat(), all);
    for (class, status) in [("inconclusive", 3), ("policy_mismatch", 3)] {
        assert_eq!(run(root(), &["analyze", "samples", "--fail-on", class]).status, status);
    }
    let none = run(root(), &["analyze", "samples", "--fail-on", "sync_race", "--job", job]);
    assert_eq!(none.status, 0, "only what is reported counts");
}

#[test]
fn parquet_holds_a_row_per_failure() {
    let run = run(root(), &["analyze", "samples", "--format", "parquet"]);
    assert!(run.bytes.starts_with(b"PAR1") && run.bytes.ends_with(b"PAR1"));
    let frame =
        polars_io::parquet::read::ParquetReader::new(std::io::Cursor::new(run.bytes)).finish().expect("Parquet");
    assert_eq!((frame.height(), frame.width()), (10, 27));
    assert_eq!(frame.column("first_failed_at").expect("a column").dtype().to_string(), "datetime[μs]");
}

#[test]
fn a_reader_that_goes_away_early_is_no_error() {
    let mut child = crate::support::command(root())
        .args(["analyze", "samples", "--format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
