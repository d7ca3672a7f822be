//! Verdicts against labels: what `evaluate` prints, and the page that shows it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use holdtrace::evidence::Digest;
use serde_json::{Value, json};

use crate::documents::check_table;
use crate::support::{Case, Run, root, run, time};

fn evaluate(paths: &[&Path]) -> Run {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let run = run(root(), &[&["evaluate"], &paths.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    assert!(run.status < 2, "{}", run.stderr);
    run
}

fn score(run: &Run) -> Value {
    serde_json::from_str(run.stdout.lines().last().expect("a score")).expect("JSON")
}

/// The tables without the line of JSON.
fn tables(run: &Run) -> String {
    run.stdout.rsplit_once("\n\n").expect("tables").0.to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a folder")).expect("created");
    fs::copy(from, to).expect("copied");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).expect("listed").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The labelled archives that lie beside the project where it is developed.
fn cases() -> Option<PathBuf> {
    let cases = root().join("../shared/cases");
    if !cases.is_dir() {
        println!("skipped: {} is not here", cases.display());
    }
    Some(cases).filter(|cases| cases.is_dir())
}

/// Whether a record is kept in a draw.
fn kept(record: &[u8], draw: u8) -> bool {
    Digest::of(&[record, &[draw]].concat()).0[0] < 128
}

/// A file with half of its records.
fn halved(bytes: &[u8], draw: u8) -> Option<Vec<u8>> {
    if let Ok(mut document) = serde_json::from_slice::<Value>(bytes) {
        for list in ["Records", "entities"] {
            if let Some(records) = document.get_mut(list).and_then(Value::as_array_mut) {
                records.retain(|record| kept(record.to_string().as_bytes(), draw));
                return Some(document.to_string().into_bytes());
            }
        }
        return kept(bytes, draw).then(|| bytes.to_owned());
    }
    let csv = !bytes.starts_with(b"{");
    let lines = bytes.split_inclusive(|b| *b == b'\n').enumerate();
    Some(lines.filter(|(n, line)| (csv && *n == 0) || kept(line, draw)).flat_map(|(_, line)| line.to_vec()).collect())
}

fn halve(cases: &Path, into: &Path) {
    for case in
        fs::read_dir(cases).expect("listed").flatten().map(|e| e.path()).filter(|p| p.join("truth.json").exists())
    {
        for draw in 0..4 {
            let name = format!("{}-{draw}", case.file_name().expect("a name").display());
            copy(&case.join("truth.json"), &into.join(&name).join("truth.json"));
            for file in files(&case.join("archive")) {
                let found = fs::read(&file).expect("read");
                let packed = found.starts_with(&[0x1f, 0x8b]);
                let mut bytes = found.clone();
                if packed {
                    bytes.clear();
                    flate2::read::MultiGzDecoder::new(&found[..]).read_to_end(&mut bytes).expect("unpacked");
                }
                let Some(mut half) = halved(&bytes, draw) else { continue };
                if packed {
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                    encoder.write_all(&half).expect("packed");
                    half = encoder.finish().expect("packed");
                }
                let to = into.join(&name).join(file.strip_prefix(&case).expect("inside"));
                fs::create_dir_all(to.parent().expect("a folder")).expect("created");
                fs::write(to, half).expect("written");
            }
        }
    }
}

#[test]
fn the_page_shows_what_is_printed_for_the_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&root().join("tests/fixtures/samples-truth.json"), &folder.path().join("truth.json"));
    for file in files(&root().join("samples")) {
        copy(&file, &folder.path().join("archive").join(file.strip_prefix(root().join("samples")).expect("inside")));
    }
    let of_folder = evaluate(&[folder.path()]);
    let named = run(root(), &["evaluate", "--truth", "tests/fixtures/samples-truth.json", "samples"]);
    assert_eq!(of_folder.stdout, named.stdout, "both ways of naming an archive say the same");
    check_table("docs/calibration.md", "samples", &tables(&named));
}

#[test]
fn the_page_shows_what_is_printed_for_the_labelled_archives() {
    let Some(cases) = cases() else { return };
    check_table("docs/calibration.md", "labelled", &tables(&evaluate(&[&cases])));
}

#[test]
fn with_half_of_the_records_lost_strong_verdicts_are_right_more_often_and_a_wider_margin_pays() {
    let Some(cases) = cases() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    halve(&cases, folder.path());
    let run = evaluate(&[folder.path()]);
    let score = score(&run);
    let number = |value: &Value| value.as_u64().expect("a number");
    let support = |word: &str| {
        let list = score["by_support"].as_array().expect("a list");
        let by = list.iter().find(|by| by["support"] == word).expect("the word");
        (number(&by["right"]), number(&by["verdicts"]))
    };
    let (moderate, strong, very) = (support("moderate"), support("strong"), support("very_strong"));
    assert!(moderate.0 < moderate.1, "some verdicts go wrong, or nothing is shown: {score}");
    for strong in [strong, very] {
        assert!(strong.1 >= 50 && strong.0 * moderate.1 > moderate.0 * strong.1, "{strong:?} and {moderate:?}");
        assert!(strong.0 * 100 >= strong.1 * 97, "{strong:?}");
    }
    let by_margin = score["by_margin"].as_array().expect("a list");
    let decided: Vec<u64> = by_margin.iter().map(|by| number(&by["decided"])).collect();
    assert!(decided.is_sorted_by(|a, b| a >= b), "{decided:?}");
    let accuracy: Vec<f64> = by_margin.iter().filter_map(|by| by["accuracy"].as_f64()).collect();
    assert!(accuracy.last() > accuracy.first() && accuracy.last() >= Some(&0.99), "{accuracy:?}");
    check_table("docs/calibration.md", "halved", &tables(&run));
}

#[test]
fn what_is_counted_is_what_the_reports_say() {
    let mut case = Case::new();
    case.contrast();
    case.step("race", 0, "metadata_injection", "failure", json!({ "status": 409, "message": "metadata conflict" }));
    case.step("race", 60, "metadata_injection", "success", json!({}));
    case.step("open", 0, "export", "failure", json!({ "status": 403 }));
    case.step("extra", 0, "export", "failure", json!({ "status": 503 }));
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("a/archive/trail.ndjson", lines.join("\n") + "\n");
    let label = |job: &str, class: &str, more: Value| {
        let mut label = json!({ "job_id": job, "recording_id": format!("recording-{job}"), "class": class });
        label.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        label
    };
    let truth = json!({ "failures": [
        label("race", "sync_race", json!({ "mechanism": "hold_conflict" })),
        label("open", "policy_mismatch", json!({ "mechanism": "tenant_mismatch", "scope": "x" })),
        label("gone", "other_cause", json!({})),
    ]});
    case.write("a/truth.json", truth.to_string());
    let reports = run(case.path(), &["analyze", "a/archive", "--format", "ndjson"]).objects();
    let race = reports.iter().find(|report| report["job_id"] == "race").expect("it is found");
    assert_eq!(race["class"], "sync_race");
    let run = evaluate(&[case.path()]);
    let score = score(&run);
    for (name, count) in [
        ("archives", 1),
        ("failures", 3),
        ("found", 2),
        ("invented", 1),
        ("class_right", 1),
        ("confidently_wrong", 0),
        ("mechanisms", 2),
        ("mechanism_right", 1),
        ("scopes", 1),
        ("scope_right", 0),
    ] {
        assert_eq!(score[name], count, "{name}");
    }
    let word = score["by_support"].as_array().expect("a list").iter().find(|by| by["verdicts"] == 1).expect("one");
    assert_eq!((&word["support"], &word["right"]), (&race["support"], &json!(1)));
    // Hits are one of one race; nothing else is hit; of `inconclusive`, one is found and none is true.
    let f1 = score["macro_f1"].as_f64().expect("a number");
    assert!((f1 - (1.0 + 0.0 + 0.0 + 0.0 + 1.0) / 5.0).abs() < 1e-9, "{score}");
    let weight = race["hypotheses"].as_array().expect("a list").iter().find(|h| h["class"] == "sync_race").expect("it");
    for by in score["by_margin"].as_array().expect("a list") {
        let decided = u64::from(by["margin"].as_f64() <= weight["weight"].as_f64());
        assert_eq!((&by["decided"], &by["right"]), (&json!(decided), &json!(decided)), "{by}");
    }
    assert!(run.stdout.contains("missing") && !time(0).is_empty());
}

#[test]
fn a_folder_without_labels_is_named() {
    let case = Case::new();
    case.write("archive/trail.ndjson", "");
    for (arguments, words) in [
        (&["evaluate", "."][..], "no `truth.json`"),
        (&["evaluate", "nowhere"], "nowhere"),
        (&["evaluate", "--truth", "archive/trail.ndjson", "archive"], "no labels"),
    ] {
        let run = run(case.path(), arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}
