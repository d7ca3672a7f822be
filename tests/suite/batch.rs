//! Reports on many archives.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::browser::observe;
use crate::support::{Case, Run, command, run, time};

/// An archive with `failures` failed jobs: all that is known of two is that they were refused, and of more that their bucket
/// refuses all.
fn archive(case: &Case, name: &str, month: i64, failures: i64) {
    let lines = (0..failures).map(|n| {
        let (job, at) = (format!("{name}-{n}"), month * 2_592_000 + n * 60);
        json!({ "timestamp": time(at), "jobId": job, "recordingId": format!("r-{job}"), "step": "upload", "outcome": "failure",
            "status": 403, "bucket": "exports", "principal": "caller" })
        .to_string()
    });
    case.write(&format!("{name}/trail.ndjson"), lines.collect::<Vec<_>>().join("\n"));
}

fn report(case: &Case, arguments: &[&str]) -> Run {
    run(case.path(), &[&["report", "--out", "out"], arguments].concat())
}

/// All files below a folder but the lock, with their bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let path = entry.path().strip_prefix(folder).expect("below").to_owned();
        found.insert(path, fs::read(entry.path()).expect("read"));
    }
    found
}

fn index(case: &Case) -> String {
    fs::read_to_string(case.path().join("out/index.html")).expect("an index")
}

fn folder(case: &Case, archive: &str) -> PathBuf {
    let starts = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&format!("{archive}-"));
    fs::read_dir(case.path().join("out")).expect("a folder").flatten().find(starts).expect("of this archive").path()
}

fn months() -> Case {
    let case = Case::new();
    archive(&case, "january", 0, 2);
    archive(&case, "february", 1, 3);
    case
}

#[test]
fn every_archive_has_a_page_and_the_index_links_to_all() {
    let case = months();
    let run = report(&case, &["january", "february"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert_eq!(
        run.stdout,
        "holdtrace: 2 archives: 2 read, 0 unchanged, 0 not readable, 0 of earlier runs; 5 failures (2 inconclusive, 3 policy_mismatch); \
         out/index.html\n"
    );
    let index = index(&case);
    assert!(index.find(">january<") < index.find(">february<"), "in order of time");
    for link in regex::Regex::new("href=\"([^\"]+)\"").expect("an expression").captures_iter(&index) {
        assert!(case.path().join("out").join(&link[1]).is_file(), "{}", &link[1]);
    }
    assert!(!index.contains("This run is not over"));
    let alone = crate::support::run(case.path(), &["analyze", "january", "--format", "json"]).bytes;
    assert_eq!(fs::read(folder(&case, "january").join("report.json")).expect("a report"), alone, "as analyze has it");
}

#[test]
fn two_runs_of_the_same_are_the_same_bytes() {
    let case = months();
    report(&case, &["january", "february"]);
    let first = files(&case.path().join("out"));
    fs::remove_dir_all(case.path().join("out")).expect("removed");
    report(&case, &["february/", "./january", "--threads", "1"]);
    assert_eq!(files(&case.path().join("out")), first);
    let again = report(&case, &["january", "february"]);
    assert!(again.stdout.contains("0 read, 2 unchanged"), "{}", again.stdout);
    assert_eq!(files(&case.path().join("out")), first);
}

#[test]
fn what_has_changed_is_read_again_and_nothing_else() {
    let case = months();
    report(&case, &["january", "february"]);
    archive(&case, "january", 0, 4);
    let run = report(&case, &["january", "february"]);
    assert!(run.stdout.contains("1 read, 1 unchanged"), "{}", run.stdout);
    assert!(run.stdout.contains("7 failures"), "{}", run.stdout);
    // The same bytes with another time of modification are known by their hash.
    archive(&case, "february", 1, 3);
    assert!(report(&case, &["january", "february"]).stdout.contains("0 read, 2 unchanged"));
    // Other rules, another zone, a lost page: read again.
    fs::remove_file(folder(&case, "january").join("index.html")).expect("removed");
    assert!(report(&case, &["january", "february"]).stdout.contains("1 read, 1 unchanged"));
    let zone = report(&case, &["january", "february", "--assume-tz", "+01:00"]);
    assert!(zone.stdout.contains("2 read, 0 unchanged"), "{}", zone.stdout);
    let rules = crate::support::run(case.path(), &["rules"]).stdout;
    case.write("mine.toml", rules + "\n# mine\n");
    let rules = report(&case, &["january", "february", "--rules", "mine.toml", "--assume-tz", "+01:00"]);
    assert!(rules.stdout.contains("2 read, 0 unchanged"), "{}", rules.stdout);
}

#[test]
fn recheck_finds_a_change_that_hides_behind_the_old_time() {
    let case = months();
    report(&case, &["january"]);
    let path = case.path().join("january/trail.ndjson");
    let modified = path.metadata().and_then(|m| m.modified()).expect("a time");
    let text = fs::read_to_string(&path).expect("read").replace("403", "409");
    fs::write(&path, text).expect("written");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("set");
    assert!(report(&case, &["january"]).stdout.contains("0 read, 1 unchanged"));
    assert!(report(&case, &["january", "--recheck"]).stdout.contains("1 read, 0 unchanged"));
}

#[test]
fn since_last_compares_with_the_end_of_the_last_run() {
    let case = months();
    let first = report(&case, &["january", "--since-last"]);
    assert!(first.stdout.contains("no earlier run to compare with"), "{}", first.stdout);
    archive(&case, "january", 0, 5);
    let run = report(&case, &["january", "february", "--since-last"]);
    assert!(run.stdout.contains("+3 failures since the last run, and 1 archives more"), "{}", run.stdout);
    let index = index(&case);
    assert!(index.contains(">+3<") && index.contains(">new<") && index.contains("Since last run"), "{index}");
    archive(&case, "january", 0, 1);
    let fewer = report(&case, &["january", "february", "--since-last"]);
    assert!(fewer.stdout.contains("\u{2212}4 failures since the last run;"), "{}", fewer.stdout);
}

#[test]
fn archives_of_earlier_runs_stay_in_the_index() {
    let case = months();
    report(&case, &["january"]);
    let run = report(&case, &["february"]);
    assert!(
        run.stdout.contains("2 archives: 1 read, 0 unchanged, 0 not readable, 1 of earlier runs; 5 failures"),
        "{}",
        run.stdout
    );
    assert!(index(&case).contains("from an earlier run"));
}

#[test]
fn one_that_cannot_be_read_does_not_stop_the_others() {
    let case = months();
    case.write("broken/x.ndjson", "no log");
    let run = report(&case, &["january", "broken", "nowhere", "february"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stdout.contains("4 archives: 2 read, 0 unchanged, 2 not readable"), "{}", run.stdout);
    assert!(run.stderr.contains("nowhere: not read: nowhere: no such file or folder"), "{}", run.stderr);
    assert!(index(&case).contains("not read: nothing readable"), "{}", index(&case));
    let none = crate::support::run(case.path(), &["report", "--out", "other", "nowhere"]);
    assert_eq!(none.status, 2);
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    let case = Case::new();
    let names: Vec<String> = (0..12).map(|n| format!("part{n:02}")).collect();
    for (n, name) in (0..).zip(&names) {
        archive(&case, name, n, 40);
    }
    let arguments = || ["report", "--out", "out"].into_iter().chain(names.iter().map(String::as_str));
    let mut child = command(case.path()).args(arguments()).stdout(Stdio::null()).spawn().expect("the binary runs");
    let done = || {
        walkdir::WalkDir::new(case.path().join("out"))
            .into_iter()
            .flatten()
            .filter(|e| e.file_name() == "archive.json")
            .count()
    };
    while done() < 2 && child.try_wait().expect("asked").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let read_before = done();
    let page = index(&case);
    assert!(page.ends_with("</html>\n") || page.trim_end().ends_with("</html>"), "whole at any moment");
    let run = run(case.path(), &arguments().collect::<Vec<_>>());
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stdout.contains(&format!("{} read, {read_before} unchanged", 12 - read_before)), "{}", run.stdout);
    let resumed = files(&case.path().join("out"));
    fs::remove_dir_all(case.path().join("out")).expect("removed");
    crate::support::run(case.path(), &arguments().collect::<Vec<_>>());
    let mut left_aside = resumed;
    left_aside
        .retain(|path, _| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".holdtrace-")));
    assert_eq!(files(&case.path().join("out")), left_aside);
}

#[test]
fn names_and_texts_of_archives_do_nothing_in_the_pages() {
    let case = Case::new();
    let name = "<script>alert(1)<\u{202e}&\"x";
    let record = json!({ "timestamp": time(0), "jobId": "<img src=x onerror=alert(1)>", "step": "upload", "outcome": "failure",
        "status": 403, "bucket": "javascript:alert(1)", "principal": "\u{1b}[2J", "errorMessage": "</title><script>alert(2)</script>" });
    case.write(&format!("{name}/trail.ndjson"), record.to_string());
    assert_eq!(report(&case, &[name]).status, 0);
    for (path, bytes) in files(&case.path().join("out")) {
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(!path.to_string_lossy().contains(['<', '\u{202e}']), "{path:?}");
        if path.extension().is_some_and(|e| e == "html") {
            assert!(!text.contains("<script>alert") && !text.contains("<img"), "{path:?}: {text}");
            assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "{path:?}");
        }
    }
}

#[test]
fn folders_that_are_not_its_own_and_evidence_are_left_alone() {
    let case = months();
    case.write("full/mine.txt", "mine");
    let run_into = |out: &str| crate::support::run(case.path(), &["report", "january", "--out", out]);
    assert!(run_into("full").stderr.contains("the folder holds other files"));
    assert!(run_into("full/mine.txt").stderr.contains("it is a file"));
    assert!(run_into("january/reports").stderr.contains("lies in the evidence"));
    assert_eq!(fs::read_dir(case.path().join("full")).expect("a folder").count(), 1);
    report(&case, &["january"]);
    let held = fs::File::open(case.path().join("out/holdtrace-report.lock")).expect("a lock");
    held.lock().expect("locked");
    assert!(report(&case, &["january"]).stderr.contains("another report is being written into it"));
}

#[test]
fn fail_on_looks_at_the_archives_of_this_run() {
    let case = months();
    assert_eq!(report(&case, &["january", "--fail-on", "inconclusive"]).status, 3);
    assert_eq!(report(&case, &["january", "--fail-on", "sync_race"]).status, 0);
}

#[test]
fn what_is_kept_of_a_report_names_its_inputs_with_their_hashes() {
    let case = months();
    report(&case, &["january"]);
    let kept: Value =
        serde_json::from_slice(&fs::read(folder(&case, "january").join("archive.json")).expect("kept")).expect("JSON");
    let bytes = fs::read(case.path().join("january/trail.ndjson")).expect("read");
    assert_eq!(kept["inputs"][0]["sha256"], holdtrace::evidence::Digest::of(&bytes).to_string());
    assert_eq!(kept["counts"]["failures"], 2);
}

#[test]
fn in_a_browser_the_index_reads_well_and_leads_to_the_pages_by_keyboard() {
    let case = months();
    let hostile = "<img src=x onerror=ran()>\u{202e}";
    archive(&case, hostile, 2, 1);
    report(&case, &["january"]);
    report(&case, &["january", "february", hostile, "--since-last"]);
    let Some((seen, _folder)) = observe("index.mjs", &case.path().join("out/index.html")) else { return };
    for nothing in ["errors", "dialogs", "violations"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!((&seen["ran"], seen["overflow"].as_i64()), (&json!(false), Some(0)), "{seen}");
    assert!(seen["focused"].as_str().expect("an element").contains(">january<"), "{}", seen["focused"]);
    assert!(seen["followed"].as_str().is_some_and(|title| !title.is_empty()), "{}", seen["followed"]);
    assert_eq!(seen["requests"].as_array().expect("requests").len(), 2, "the index and a page: {}", seen["requests"]);
}
