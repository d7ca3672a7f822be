//! What runs out: files that may be open, room on the disk, and the time until somebody kills the process.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::packing::{Members, gzip, tar, zip};
use crate::support::{Case, Run, command, run, time};

fn record(job: &str, status: u16) -> String {
    let outcome = if status < 300 { "success" } else { "failure" };
    json!({ "timestamp": time(1), "jobId": job, "recordingId": format!("r-{job}"), "step": "upload", "outcome": outcome,
        "status": status, "bucket": "b", "principal": "p", "errorMessage": "a message of some length, ".repeat(4) })
    .to_string()
        + "\n"
}

/// Runs the binary under a shell that sets `limit` first; `None` where there is no such shell.
fn limited(folder: &Path, limit: &str, arguments: &[&str], set: &dyn Fn(&mut Command)) -> Option<Run> {
    if !cfg!(target_os = "linux") || Command::new("bash").arg("-c").arg("true").status().is_err() {
        println!("skipped: limits are set with bash on Linux");
        return None;
    }
    let mut shell = Command::new("bash");
    let binary = assert_cmd::cargo::cargo_bin!("holdtrace");
    shell.current_dir(folder).arg("-c").arg(format!("{limit}; exec \"$0\" \"$@\"")).arg(binary).args(arguments);
    set(&mut shell);
    Some(shell.output().expect("bash runs").into())
}

#[test]
fn any_number_of_files_and_members_is_read_with_few_open_at_a_time() {
    let members: Members =
        (0..2000).map(|n| (format!("{n:04}.ndjson"), record(&format!("job-{n}"), 403).into_bytes())).collect();
    let (files, packed, many) = (Case::new(), Case::new(), Case::new());
    for (name, bytes) in &members {
        files.write(&format!("logs/{name}"), bytes);
    }
    packed.write("logs/all", zip(&members, 8));
    for (n, some) in members.chunks(10).enumerate() {
        many.write(&format!("logs/{n:03}"), gzip(&tar(some)));
    }
    for case in [&files, &packed, &many] {
        for arguments in
            [&["analyze", "logs", "--format", "ndjson", "--threads", "8"][..], &["ingest", "logs", "--out", "parts"]]
        {
            let Some(run) = limited(case.path(), "ulimit -n 64", arguments, &|_| {}) else { return };
            assert_eq!(run.status, 0, "{}", run.stderr.lines().take(3).collect::<String>());
            assert_eq!(run.stdout.lines().count(), if arguments[0] == "analyze" { 2000 } else { 0 });
        }
    }
}

#[test]
fn a_full_disk_is_one_sentence_and_status_2() {
    let case = Case::new();
    let lines: String = (0..300).map(|n| record(&format!("job-{n}"), 403)).collect();
    case.write("logs/trail.ndjson", &lines);
    let out = Case::new();
    let path = |name: &str| out.path().join(name).display().to_string();
    let small = "ulimit -f 8; trap '' XFSZ";
    for format in ["ndjson", "json", "csv", "parquet", "table"] {
        let (file, old) = (path(format), "the report of yesterday");
        fs::write(&file, old).expect("written");
        let arguments = ["analyze", "logs", "--format", format, "--out", &file];
        let Some(run) = limited(case.path(), small, &arguments, &|_| {}) else { return };
        assert_eq!((run.status, run.stderr.lines().count()), (2, 1), "{format}: {}", run.stderr);
        assert!(run.stderr.contains(&file) && run.stderr.contains("left as it was"), "{format}: {}", run.stderr);
        assert_eq!(fs::read_to_string(&file).expect("read"), old, "{format}");
    }
    assert_eq!(fs::read_dir(out.path()).expect("listed").count(), 5, "nothing else is left there");
    let arguments = ["ingest", "logs", "--out", &path("parts")];
    let run = limited(case.path(), small, &arguments, &|_| {}).expect("as before");
    assert_eq!((run.status, run.stderr.lines().count()), (2, 1), "{}", run.stderr);
    assert!(run.stderr.contains("make room") && !out.path().join("parts/holdtrace-parts.json").exists());
}

#[test]
fn standard_output_that_is_full_is_one_sentence_and_status_2() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let case = Case::new();
    case.write("trail.ndjson", (0..9).map(|n| record(&format!("job-{n}"), 403)).collect::<String>());
    for format in ["ndjson", "json", "csv", "parquet", "table"] {
        let full = fs::File::options().write(true).open("/dev/full").expect("opened");
        let run = command(case.path()).args(["analyze", ".", "--format", format]).stdout(full).output().expect("runs");
        let run = Run::from(run);
        assert_eq!((run.status, run.stderr.lines().count()), (2, 1), "{format}: {}", run.stderr);
        assert!(run.stderr.contains("if the disk is full"), "{format}: {}", run.stderr);
    }
}

#[test]
fn no_room_for_what_must_be_unpacked_is_one_sentence_and_status_2() {
    let case = Case::new();
    let lines: String = (0..300).map(|n| record(&format!("job-{n}"), 403)).collect();
    let members = [("trail.ndjson".to_owned(), lines.into_bytes())];
    case.write("logs.tar.gz", gzip(&tar(&members)));
    case.write("nested.zip", zip(&[("inner.zip".to_owned(), zip(&members, 0))], 8));
    case.write("plain.tar", tar(&members));
    let small = "ulimit -f 8; trap '' XFSZ";
    for (arguments, words) in [
        (["analyze", "logs.tar.gz"], "logs.tar.gz: unpacking it"),
        (["analyze", "nested.zip"], "nested.zip!/inner.zip: unpacking it"),
        (["analyze", "-"], "-: copying it"),
    ] {
        let input = |shell: &mut Command| {
            shell.stdin(fs::File::open(case.path().join("plain.tar")).expect("opened"));
        };
        let Some(run) = limited(case.path(), small, &arguments, &input) else { return };
        assert_eq!((run.status, run.stderr.lines().count()), (2, 1), "{}", run.stderr);
        assert!(run.stderr.contains(words) && run.stderr.contains("TMPDIR"), "{}", run.stderr);
    }
    // What need not be unpacked needs no room either.
    let run = limited(case.path(), small, &["analyze", "plain.tar", "--format", "ndjson", "--job", "job-1"], &|_| {});
    assert_eq!(run.expect("as before").status, 0);
}

/// What is known of jobs went to a temporary file even where one of the smallest archives left memory for it.
#[test]
fn an_archive_of_some_ten_thousand_jobs_needs_no_room_for_temporary_files() {
    let case = Case::new();
    let lines: String = (0..40_000).map(|n| record(&format!("job-{n}"), if n == 7 { 403 } else { 200 })).collect();
    case.write("trail.ndjson", lines);
    let analyze = |temporary: &Path| {
        let mut command = command(case.path());
        command.env("TMPDIR", temporary).args(["analyze", "trail.ndjson", "--format", "json"]);
        Run::from(command.output().expect("runs"))
    };
    let (with, without) = (analyze(Case::new().path()), analyze(Path::new("/nonexistent")));
    assert_eq!((with.status, without.status), (0, 0), "{}", without.stderr);
    assert_eq!(with.stdout, without.stdout);
}

/// An archive whose report takes a while to write.
fn large() -> Case {
    let case = Case::new();
    let lines: String = (0..4000).map(|n| record(&format!("job-{n}"), 403)).collect();
    case.write("logs/trail.ndjson.tar.gz", gzip(&tar(&[("trail.ndjson".to_owned(), lines.into_bytes())])));
    case
}

/// Starts the binary and kills it after `wait`; says whether it was still running.
fn killed(folder: &Path, arguments: &[&str], wait: Duration) -> bool {
    let mut command = command(folder);
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    std::thread::sleep(wait);
    let running = child.try_wait().expect("waited").is_none();
    child.kill().expect("killed");
    child.wait().expect("ended");
    running
}

const MOMENTS: u32 = 16;

#[test]
fn whoever_is_killed_while_writing_leaves_no_half_report() {
    let (case, out) = (large(), Case::new());
    let report = out.path().join("report.json");
    let arguments = ["analyze", "logs", "--out", &report.display().to_string()];
    let begun = Instant::now();
    assert_eq!(run(case.path(), &arguments).status, 0);
    let whole = (begun.elapsed(), fs::read(&report).expect("read"));
    let mut killed_in_time = 0;
    for moment in 0..MOMENTS {
        // Every other time there is an old report, which stays until the new one is whole.
        let old = if moment % 2 == 0 { None } else { Some(b"old".to_vec()) };
        let _ = fs::remove_file(&report);
        if let Some(old) = &old {
            fs::write(&report, old).expect("written");
        }
        // Most moments are near the end, where the report is written.
        let wait = whole.0 * (MOMENTS + moment) / (2 * MOMENTS);
        killed_in_time += u32::from(killed(case.path(), &arguments, wait));
        let found = fs::read(&report).ok();
        assert!(found == old || found.as_ref() == Some(&whole.1), "a half-written report after {wait:?}");
    }
    for entry in fs::read_dir(out.path()).expect("listed").flatten() {
        let name = entry.file_name().into_string().expect("text");
        assert!(name == "report.json" || name.starts_with(".holdtrace-"), "{name}");
    }
    assert!(killed_in_time > 0, "it was never killed while it ran");
}

#[test]
fn an_ingest_that_is_killed_leaves_what_was_there_and_can_be_run_again() {
    let (case, out) = (large(), Case::new());
    let parts = |name: &str| out.path().join(name).display().to_string();
    let ingest = |out: &str| ["ingest", "logs", "--rows-per-part", "100", "--out", out].map(str::to_owned);
    let analyzed = |name: &str| run(case.path(), &["analyze", &parts(name), "--format", "json"]);
    let begun = Instant::now();
    let words = ingest(&parts("whole"));
    assert_eq!(run(case.path(), &words.each_ref().map(String::as_str)).status, 0);
    let (whole, expected) = (begun.elapsed(), analyzed("whole").stdout);
    for moment in 0..MOMENTS {
        let words = ingest(&parts("killed"));
        let words = words.each_ref().map(String::as_str);
        killed(case.path(), &words, whole * moment / MOMENTS);
        let found = analyzed("killed");
        let index = out.path().join("killed/holdtrace-parts.json");
        if index.exists() {
            let _: Value = serde_json::from_slice(&fs::read(&index).expect("read")).expect("a whole index");
            assert!(found.stdout == expected, "after {moment} of {MOMENTS}");
        } else {
            assert_eq!((found.status, found.stdout.as_str()), (2, ""), "{}", found.stderr);
        }
        if moment % 4 == 3 {
            let _ = fs::remove_dir_all(out.path().join("killed"));
        }
    }
    let words = ingest(&parts("killed"));
    assert_eq!(run(case.path(), &words.each_ref().map(String::as_str)).status, 0);
    assert!(analyzed("killed").stdout == expected);
}
