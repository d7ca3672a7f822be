//! `analyze --case`: what a case holds, and what becomes of it when it grows.

use std::fs;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::case_folder::{Kept, files};
use crate::support::{command, run};

fn sha256(bytes: &[u8]) -> String {
    const_hex::encode(Sha256::digest(bytes))
}

#[test]
fn a_case_holds_manifest_events_failures_reports_rules_and_a_ledger() {
    let kept = Kept::with_case();
    let case = files(&kept.path("case"));
    let report = |format: &str| run(kept.0.path(), &["analyze", "logs", "--format", format]).bytes;
    assert!(case["reports/report.json"] == report("json"), "the report on the logs, byte for byte");
    assert!(case["reports/failures.ndjson"] == report("ndjson"));
    assert!(case["failures.parquet"] == report("parquet"));
    assert!(case.contains_key("events/holdtrace-parts.json") && case.contains_key("events/events/part-00000.parquet"));
    let pack = run(kept.0.path(), &["rules"]).bytes;
    assert!(case[&format!("rules/pack-{}.toml", &sha256(&pack)[..16])] == pack, "the pack, byte for byte");
    let about = kept.json("case/case.json");
    assert_eq!((&about["format_version"], &about["name"]), (&1.into(), &"case".into()));
    let manifest = kept.json("case/manifest.json");
    assert_eq!(manifest["paths"], serde_json::json!(["logs"]));
    let packed = &manifest["inputs"][0];
    assert_eq!(packed["path"], "logs/sub/trail-b.ndjson.gz");
    let bytes = fs::read(kept.path("logs/sub/trail-b.ndjson.gz")).expect("there");
    assert_eq!((packed["bytes"].as_u64(), &packed["sha256"]), (Some(bytes.len() as u64), &sha256(&bytes).into()));
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut content).expect("unpacked");
    assert_eq!(packed["content_sha256"], sha256(&content));
    let plain = &manifest["inputs"][1];
    assert!(plain["sha256"] == plain["content_sha256"] && plain["sha256"].is_string());
    assert!(
        plain["records"].as_u64() > Some(0) && plain["first_time"].is_string() && plain["format"] == "export_trail"
    );
}

#[test]
fn the_ledger_says_who_did_what_when_where_and_with_which_program() {
    let kept = Kept::new();
    let at = ["--custodian", "Anna Berg", "--at", "2026-03-02T10:00:00+01:00"];
    assert_eq!(kept.analyze(&at).status, 0);
    let [begun, done] = &kept.ledger()[..] else { panic!("two entries") };
    assert_eq!((&begun["state"], &done["state"], &done["begun"]), (&"begun".into(), &"done".into(), &1.into()));
    for entry in [begun, done] {
        assert_eq!((&entry["who"], &entry["when"]), (&"Anna Berg".into(), &"2026-03-02T10:00:00+01:00".into()));
        assert_eq!(entry["command"].as_array().expect("words")[1], "analyze");
        assert!(entry["host"].is_string() && entry["folder"].is_string());
    }
    let binary = fs::read(assert_cmd::cargo::cargo_bin!("holdtrace")).expect("there");
    assert_eq!(done["tool"]["sha256"], sha256(&binary));
    let text = fs::read(kept.path("case/custody.jsonl")).expect("a ledger");
    let first = text.split_inclusive(|b| *b == b'\n').next().expect("a line");
    assert_eq!(done["previous"], sha256(first), "of the line before, with its line feed");
    let manifest = fs::read(kept.path("case/manifest.json")).expect("there");
    let has = |list: &str, path: &str, sha256: &str| {
        let mut files = done[list].as_array().expect("a list").iter();
        files.any(|file| file["path"] == path && file["sha256"] == sha256)
    };
    assert!(has("inputs", "manifest.json", &sha256(&manifest)));
    // Every file but the ledger and its lock is an output, with its hash.
    for (path, bytes) in files(&kept.path("case")) {
        assert!(has("outputs", &path, &sha256(&bytes)) || ["custody.jsonl", "case.lock"].contains(&&*path), "{path}");
    }
}

#[test]
fn the_same_evidence_gives_the_same_case_at_any_time_and_number_of_threads() {
    let kept = Kept::with_case();
    let run = kept.run(&["analyze", "logs", "--case", "other", "--threads", "1", "--at", "2031-01-01T00:00:00Z"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let [one, other] = ["case", "other"].map(|name| files(&kept.path(name)));
    for (path, bytes) in one {
        let own = ["custody.jsonl", "case.json"].contains(&&*path);
        assert!(own || other[&path] == bytes, "{path} differs");
    }
}

#[test]
fn a_case_that_grows_reads_what_is_new_and_says_which_verdict_flipped_and_why() {
    let kept = Kept::with_case();
    let first = kept.json("case/reports/changes.json");
    assert!(first["since"].is_null() && first["counts"]["now"] == 1, "{first:#}");
    kept.add_recovery();
    let run = kept.analyze(&[]);
    assert!(run.status == 0 && run.stderr.contains("2 files taken over, 1 read"), "{}", run.stderr);
    let changes = kept.json("case/reports/changes.json");
    assert_eq!(changes["since"]["act"], 1);
    assert_eq!(changes["evidence"], serde_json::json!({ "added": ["logs/later.ndjson"], "changed": [], "gone": [] }));
    let flip = &changes["flipped"][0];
    assert_eq!(
        (&flip["before"]["class"], &flip["now"]["class"]),
        (&"inconclusive".into(), &"sync_race".into()),
        "{changes:#}"
    );
    let score = flip["hypotheses"].as_array().expect("a list").iter().find(|score| score["class"] == "sync_race");
    let score = score.expect("its weight is another");
    assert!(score["now"].as_f64() > score["before"].as_f64());
    let evidence = flip["evidence_added"].as_array().expect("a list");
    assert!(evidence.iter().any(|one| one["class"] == "sync_race" && one["records"][0].is_string()), "{flip:#}");
    assert!(
        run.stdout.contains("inconclusive -> sync_race") && run.stdout.contains("logs/later.ndjson"),
        "{}",
        run.stdout
    );
    let report = self::run(kept.0.path(), &["analyze", "logs", "--format", "json"]).bytes;
    assert!(fs::read(kept.path("case/reports/report.json")).expect("there") == report);
    kept.verify(&["--reproduce"]).assert_fine();
}

#[test]
fn evidence_that_changed_or_is_gone_is_told() {
    let kept = Kept::with_case();
    let trail = kept.path("logs/trail-a.ndjson");
    fs::write(&trail, fs::read_to_string(&trail).expect("there") + "\n\n").expect("written");
    fs::remove_file(kept.path("logs/sub/trail-b.ndjson.gz")).expect("removed");
    let run = kept.analyze(&[]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let evidence = &kept.json("case/reports/changes.json")["evidence"];
    assert_eq!(evidence["changed"], serde_json::json!(["logs/trail-a.ndjson"]));
    assert_eq!(evidence["gone"], serde_json::json!(["logs/sub/trail-b.ndjson.gz"]));
    // What was read of it stays, and verify misses it.
    assert_eq!(kept.verify(&[]).only(), ("logs/sub/trail-b.ndjson.gz".to_owned(), "missing".to_owned()));
    kept.verify(&["--without-evidence"]).assert_fine();
}

#[test]
fn nothing_in_the_evidence_is_written_touched_or_locked() {
    let kept = Kept::new();
    let logs = kept.path("logs");
    let set = |read_only: bool| {
        for entry in walkdir::WalkDir::new(&logs).into_iter().flatten() {
            let mut permissions = entry.metadata().expect("metadata").permissions();
            permissions.set_readonly(read_only);
            fs::set_permissions(entry.path(), permissions).expect("set");
        }
    };
    let listing = || -> Vec<(String, u64, SystemTime)> {
        let entries = walkdir::WalkDir::new(&logs).sort_by_file_name().into_iter().flatten();
        let entry = |entry: walkdir::DirEntry| {
            let metadata = entry.metadata().expect("metadata");
            (entry.path().display().to_string(), metadata.len(), metadata.modified().expect("a time"))
        };
        entries.map(entry).collect()
    };
    set(true);
    let before = listing();
    // Whoever holds a lock on a file is not in the way, so none is asked for.
    let held = fs::File::open(logs.join("trail-a.ndjson")).expect("opened");
    held.lock().expect("locked");
    assert_eq!(kept.analyze(&[]).status, 0);
    kept.verify(&["--reproduce"]).assert_fine();
    assert_eq!(before, listing());
    set(false);
}

#[test]
fn a_case_does_not_lie_in_its_evidence_nor_among_other_files() {
    let kept = Kept::new();
    let refused = |arguments: &[&str], why: &str| {
        let run = kept.run(arguments);
        assert!(run.status == 2 && run.stderr.contains(why), "{arguments:?}: {}", run.stderr);
    };
    refused(&["analyze", "logs", "--case", "logs/case"], "lies in the evidence");
    refused(&["analyze", ".", "--case", "case"], "lies in the evidence");
    refused(&["analyze", "lgos", "--case", "case"], "no such file or folder");
    assert!(!kept.path("case").exists());
    kept.0.write("full/notes.txt", "mine");
    refused(&["analyze", "logs", "--case", "full"], "holds other files");
    refused(&["analyze", "logs", "--case", "case", "--format", "json"], "cannot be used with");
    refused(&["analyze", "logs", "--case", "case", "--at", "noon"], "`noon` is no time");
    kept.0.write("none/.keep", "");
    refused(&["verify", "none"], "it is no case");
    assert_eq!(kept.run(&["case", "new", "case", "logs", "--name", "Matter 7"]).status, 0);
    assert_eq!(kept.json("case/case.json")["name"], "Matter 7");
    refused(&["case", "new", "case", "logs"], "there is a case in it already");
    kept.0.write("case/kept.ndjson", "{}");
    refused(&["analyze", "case/kept.ndjson", "--case", "case"], "lies in it");
    refused(&["analyze", "logs", "--case", "case", "--assume-tz", "+02:00"], "it was made with --assume-tz UTC");
    let last = kept.ledger().pop().expect("an entry");
    assert!(
        last["state"] == "failed" && last["reason"].as_str().expect("a reason").contains("--assume-tz"),
        "{last:#}"
    );
}

#[test]
fn two_acts_at_a_time_exclude_each_other() {
    let kept = Kept::with_case();
    let lock = fs::File::options().write(true).open(kept.path("case/case.lock")).expect("opened");
    lock.lock().expect("locked");
    let run = kept.analyze(&[]);
    assert!(run.status == 2 && run.stderr.contains("another act on this case is going on"), "{}", run.stderr);
    drop(lock);
    assert_eq!(kept.analyze(&[]).status, 0);
}

#[test]
fn mappings_and_changed_rules_are_kept_byte_for_byte() {
    let kept = Kept::new();
    let root = crate::support::root();
    for name in ["exporter.csv", "exporter.toml"] {
        kept.0.write(&format!("maps/{name}"), fs::read(root.join("docs/mapping").join(name)).expect("there"));
    }
    fs::rename(kept.path("maps/exporter.csv"), kept.path("logs/exporter.csv")).expect("moved");
    let pack = run(kept.0.path(), &["rules"]).stdout + "\n# changed\n";
    kept.0.write("my-rules.toml", &pack);
    let run = kept.analyze(&["--map", "maps/exporter.toml", "--rules", "my-rules.toml"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let case = files(&kept.path("case"));
    let map = fs::read(kept.path("maps/exporter.toml")).expect("there");
    assert!(case[&format!("rules/map-{}.toml", &sha256(&map)[..16])] == map);
    assert!(case[&format!("rules/pack-{}.toml", &sha256(pack.as_bytes())[..16])] == pack.as_bytes());
    kept.verify(&["--reproduce"]).assert_fine();
}

#[test]
fn a_time_is_taken_from_the_environment_or_from_the_clock_with_its_zone() {
    let kept = Kept::with_case();
    assert_eq!(kept.ledger()[0]["when"], "2026-03-02T10:00:00Z");
    let mut now = command(kept.0.path());
    now.args(["analyze", "logs", "--case", "case"]).env("TZ", "Europe/Berlin").env_remove("SOURCE_DATE_EPOCH");
    assert!(now.output().expect("runs").status.success());
    let when = kept.ledger()[3]["when"].as_str().expect("a time").to_owned();
    let read = chrono::DateTime::parse_from_rfc3339(&when).expect("RFC 3339");
    assert!(read.timestamp() > 1_772_445_600, "{when}");
}
