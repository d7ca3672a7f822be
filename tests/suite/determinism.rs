//! The same evidence gives the same bytes.

use std::io::Write as _;

use holdtrace::ingest::Options;
use holdtrace::report::{self, RuleText, Selection};
use serde_json::json;

use crate::support::{Case, command, root, run};

fn analyze(paths: &[&str], threads: &str, format: &str) -> Vec<u8> {
    let output = command(root())
        .env("POLARS_MAX_THREADS", threads)
        .args(["analyze", "--threads", threads, "--format", format])
        .args(paths)
        .output()
        .expect("the binary runs");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    for format in ["ndjson", "json", "csv", "parquet", "table"] {
        assert!(analyze(&["samples"], "1", format) == analyze(&["samples"], "2", format), "{format}");
    }
}

#[test]
fn the_order_of_the_paths_does_not_matter() {
    let folders = ["samples/trail", "samples/cloudtrail", "samples/genesys", "samples/vault", "samples/snapshots"];
    let mut backwards = folders;
    backwards.reverse();
    assert!(analyze(&folders, "2", "json") == analyze(&backwards, "2", "json"));
}

#[test]
fn a_file_named_twice_is_read_once() {
    let once = analyze(&["samples"], "2", "ndjson");
    let twice = run(root(), &["analyze", "samples", "./samples/trail", "--format", "ndjson"]);
    assert!(twice.bytes == once);
}

#[test]
fn standard_input_reads_like_a_file() {
    let file = "samples/trail/export-trail-2026-05-04.ndjson";
    let mut piped = command(root());
    piped.args(["analyze", "-", "--format", "ndjson"]).stdin(std::fs::File::open(root().join(file)).expect("opened"));
    let piped = piped.output().expect("the binary runs");
    assert_eq!(String::from_utf8_lossy(&piped.stdout), run(root(), &["analyze", file, "--format", "ndjson"]).stdout);
}

/// Records are read twice, and a pipe gives them once: `holdtrace analyze <(zcat logs.gz)` must work all the same.
#[cfg(unix)]
#[test]
fn a_pipe_reads_like_a_file() {
    let file = "samples/trail/export-trail-2026-05-04.ndjson";
    let mut cat = std::process::Command::new("cat");
    let mut cat = cat.arg(root().join(file)).stdout(std::process::Stdio::piped()).spawn().expect("cat runs");
    let mut piped = command(root());
    piped.args(["analyze", "/dev/stdin", "--format", "ndjson"]).stdin(cat.stdout.take().expect("a pipe"));
    let piped = piped.output().expect("the binary runs");
    cat.wait().expect("cat ends");
    assert_eq!(String::from_utf8_lossy(&piped.stdout), run(root(), &["analyze", file, "--format", "ndjson"]).stdout);
}

/// Jobs enough for more than one chunk of a file, every eighth of which fails.
fn many_jobs() -> Case {
    let mut case = Case::new();
    for n in 0..1600 {
        let job = format!("job-{n:05}");
        let at = i64::from(n) * 60;
        if n % 8 == 0 {
            case.start(&job, at, &["recording:export"], json!({}));
            case.step(&job, at + 1, "metadata_injection", "timeout", json!({ "status": 504 }));
            case.step(
                &job,
                at + 20,
                "metadata_injection",
                "failure",
                json!({ "status": 409, "errorCode": "metadata.conflict" }),
            );
            case.step(&job, at + 50, "metadata_injection", "success", json!({ "status": 200 }));
        } else {
            case.healthy(&job, at, &["recording:export", "recording:metadata:write"], &json!({}));
        }
    }
    case
}

#[test]
fn a_large_file_tells_what_its_records_tell_in_small_ones_plain_or_packed() {
    let made = many_jobs();
    let lines: Vec<String> = made.trail.iter().map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(text.len() > 4 * 1024 * 1024, "large enough to be read by all threads: {}", text.len());
    let whole = Case::new();
    whole.write("trail.ndjson", &text);
    let apart = Case::new();
    for (n, lines) in lines.chunks(701).enumerate() {
        apart.write(&format!("{n:03}.ndjson"), lines.join("\n"));
    }
    let packed = Case::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("packed");
    packed.write("trail.ndjson.gz", gzip.finish().expect("packed"));
    let found = |case: &Case, threads: &str| {
        run(case.path(), &["analyze", ".", "--format", "ndjson", "--threads", threads]).stdout
    };
    let expected = found(&whole, "1");
    assert_eq!(expected.lines().count(), 200);
    for (name, case) in [("whole", &whole), ("apart", &apart), ("packed", &packed)] {
        for threads in ["1", "3"] {
            assert!(found(case, threads) == expected, "{name} with {threads} threads");
        }
    }
}

/// Failures are worked on wave by wave, so that many take no more memory than some; a wave must not miss what another has.
#[test]
fn however_few_attempts_are_worked_on_at_a_time_the_failures_are_the_same() {
    let rules = RuleText::built_in().expect("a pack");
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples").to_owned();
    let failures = |attempts_at_a_time: usize| {
        let options = Options { attempts_at_a_time, ..Options::default() };
        let paths = [samples.clone()];
        let analysis = report::analyze(&paths, options, &rules, &Selection::default(), &()).expect("analysed");
        let mut text = Vec::new();
        analysis.failures.write_ndjson(&mut text).expect("written");
        String::from_utf8(text).expect("text")
    };
    let whole = failures(usize::MAX);
    assert!(whole.lines().count() >= 10, "{} failures", whole.lines().count());
    for few in [1, 2, 5, 20, 100] {
        assert_eq!(failures(few), whole, "{few} attempts at a time");
    }
}
