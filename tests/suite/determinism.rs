//! The same evidence gives the same bytes.

use crate::support::{command, root, run};

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
