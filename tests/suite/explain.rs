//! Explanations: what they say, and that what they say a verdict hangs on is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Case, bucket_policy, command, put_object, root, run, verdict};

fn explain(folder: &Path, paths: &[&str], job: &str, recording: Option<&str>) -> Vec<Value> {
    let mut arguments = [&["explain"], paths, &["--job", job, "--format", "json"]].concat();
    arguments.extend(recording.iter().flat_map(|id| ["--recording", *id]));
    let run = run(folder, &arguments);
    assert!(run.status < 2, "{}", run.stderr);
    let all: Value = serde_json::from_str(&run.stdout).expect("JSON");
    all["explanations"].as_array().expect("a list").clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap_or_else(|| panic!("{name} is a list"))
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("listed").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// Deletes records from files below `folder` as somebody with an editor would: lines from a file of lines, elements with
/// their comma from a document, packed or not. A file in which nothing is left is deleted.
fn delete(folder: &Path, places: &[Value]) {
    let mut by_file: BTreeMap<&str, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for place in places {
        let number = |name: &str| usize::try_from(place[name].as_u64().expect("a number")).expect("small");
        by_file.entry(text(place, "file")).or_default().insert((number("offset"), number("length")));
    }
    for (file, spans) in by_file {
        let path = folder.join(file);
        let found = fs::read(&path).expect("read");
        let packed = found.starts_with(&[0x1f, 0x8b]);
        let mut bytes = found.clone();
        if packed {
            bytes.clear();
            flate2::read::MultiGzDecoder::new(&found[..]).read_to_end(&mut bytes).expect("unpacked");
        }
        let document = serde_json::from_slice::<Value>(&bytes).is_ok();
        for (offset, length) in spans.into_iter().rev() {
            cut(&mut bytes, offset, offset + length, document);
        }
        if bytes.trim_ascii().is_empty() {
            fs::remove_file(&path).expect("deleted");
        } else if packed {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes).expect("packed");
            fs::write(&path, encoder.finish().expect("packed")).expect("written");
        } else {
            fs::write(&path, bytes).expect("written");
        }
    }
}

fn cut(bytes: &mut Vec<u8>, start: usize, end: usize, document: bool) {
    let before = bytes[..start].iter().rposition(|b| !b.is_ascii_whitespace());
    let after = bytes[end..].iter().position(|b| !b.is_ascii_whitespace()).map(|n| end + n);
    let is = |at: Option<usize>| at.is_some_and(|at| bytes[at] == b',');
    let (start, end) = match (before, after) {
        (_, Some(comma)) if document && is(after) => (start, comma + 1),
        (Some(comma), _) if document && is(before) => (comma, end),
        _ if document => (start, end),
        _ => (start, bytes[end..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| end + n + 1)),
    };
    bytes.drain(start..end);
}

/// Explains every failure of `wanted` in `archive`, deletes what its verdict is said to hang on from a copy, and looks again.
fn pivots_hold(archive: &Path, wanted: &[(String, String)]) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for (job, recording) in wanted {
        let copied = tempfile::tempdir().expect("a folder");
        copy(archive, &copied.path().join("archive"));
        let explained = explain(copied.path(), &["archive"], job, Some(recording));
        let [explanation] = &explained[..] else { panic!("one failure of {job} and {recording}: {explained:#?}") };
        let (pivotal, before) = (&explanation["pivotal"], text(&explanation["failure"], "class"));
        let effect = text(pivotal, "effect");
        assert!(matches!(effect, "other_class" | "no_failure"), "{job}: {pivotal:#}");
        assert!(!list(pivotal, "records").is_empty());
        delete(copied.path(), list(pivotal, "places"));
        let after = run(copied.path(), &["analyze", "archive", "--format", "ndjson", "--job", job]);
        assert!(after.status < 2, "{}", after.stderr);
        let same = after.objects().into_iter().find(|failure| text(failure, "recording_id") == recording.as_str());
        let class = same.as_ref().map(|failure| text(failure, "class"));
        assert_ne!(class, Some(before), "{job}: {pivotal:#}");
        assert_eq!(class, pivotal["becomes"].as_str(), "{job}: {pivotal:#}");
        *effects.entry(format!("{effect} {}", list(pivotal, "records").len().min(2))).or_default() += 1;
    }
    effects
}

fn labels(truth: &Path) -> Vec<(String, String, String)> {
    let truth: Value = serde_json::from_slice(&fs::read(truth).expect("read")).expect("JSON");
    let label = |f: &Value| {
        let kind = format!("{}/{}", text(f, "class"), text(f, "mechanism"));
        (text(f, "job_id").to_owned(), text(f, "recording_id").to_owned(), kind)
    };
    list(&truth, "failures").iter().map(label).collect()
}

#[test]
fn without_its_pivotal_records_every_verdict_on_the_samples_is_another() {
    let labels = labels(&root().join("tests/fixtures/samples-truth.json"));
    let wanted: Vec<(String, String)> = labels.into_iter().map(|(job, recording, _)| (job, recording)).collect();
    let effects = pivots_hold(&root().join("samples"), &wanted);
    println!("{effects:?}");
    assert!(effects.get("other_class 1").is_some_and(|count| *count >= 2), "some hang on one record: {effects:?}");
    assert!(effects.get("other_class 2").is_some_and(|count| *count >= 2), "some hang on several: {effects:?}");
}

/// One failure of every kind in every labelled archive; all of them where `HOLDTRACE_ALL_PIVOTS` is set, which takes minutes.
#[test]
fn without_its_pivotal_records_every_verdict_on_the_labelled_archives_is_another() {
    let cases = root().join("../shared/cases");
    let Ok(folders) = fs::read_dir(&cases) else {
        println!("skipped: {} is not here", cases.display());
        return;
    };
    let all = std::env::var_os("HOLDTRACE_ALL_PIVOTS").is_some();
    let mut seen = BTreeSet::new();
    let mut folders: Vec<_> = folders.flatten().map(|f| f.path()).filter(|f| f.join("truth.json").exists()).collect();
    folders.sort();
    for folder in folders {
        let labels = labels(&folder.join("truth.json")).into_iter();
        let wanted = labels.filter(|(_, _, kind)| seen.insert(kind.clone()) || all).map(|(job, rec, _)| (job, rec));
        println!("{}: {:?}", folder.display(), pivots_hold(&folder.join("archive"), &wanted.collect::<Vec<_>>()));
    }
    assert!(seen.len() >= 10, "the archives hold failures of many kinds");
}

/// A failure that hangs on one grant, which an audit page tells of.
fn granted() -> Case {
    let mut case = Case::new();
    case.contrast();
    case.step("job", 0, "metadata_injection", "failure", json!({ "status": 403 }));
    case.step("job", 60, "metadata_injection", "failure", json!({ "status": 403 }));
    case.step("job", 600, "metadata_injection", "success", json!({ "status": 204 }));
    case.write("audits.json", json!({ "entities": [grant("one", 300)] }).to_string());
    case.analyze();
    case
}

pub fn grant(id: &str, at: i64) -> Value {
    json!({
        "id": id, "eventDate": crate::support::time(at), "serviceName": "PeoplePermissions", "action": "Add",
        "entityType": "OAuthClient", "entity": { "id": "caller" }, "user": { "id": "admin", "name": "admin" },
        "propertyChanges": [{ "property": "permissions", "oldValues": [], "newValues": ["recording:metadata:write"] }],
    })
}

#[test]
fn a_record_that_came_twice_is_pivotal_in_both_places() {
    let case = granted();
    let once = explain(case.path(), &["."], "job", None);
    assert_eq!(verdict(&once[0]["failure"]), "scope_collision/missing_scope");
    let pivotal = &once[0]["pivotal"];
    assert_eq!((text(pivotal, "effect"), list(pivotal, "places").len()), ("other_class", 1), "{pivotal:#}");
    // The page is delivered again, with one more message: the bytes of the page are others, the message's are not.
    case.write("again.json", json!({ "entities": [grant("one", 300), grant("two", -500_000)] }).to_string());
    let twice = explain(case.path(), &["."], "job", None);
    let twice = &twice[0]["pivotal"];
    assert_eq!((list(twice, "records"), list(twice, "places").len()), (list(pivotal, "records"), 2));
    delete(case.path(), list(twice, "places"));
    let after = run(case.path(), &["analyze", ".", "--format", "ndjson"]).objects();
    assert_eq!(after[0]["class"], twice["becomes"]);
}

#[test]
fn parts_are_explained_as_the_files_they_are_made_of() {
    let case = granted();
    let parts = tempfile::tempdir().expect("a folder");
    let folder = parts.path().join("parts").display().to_string();
    assert_eq!(run(case.path(), &["ingest", ".", "--out", &folder]).status, 0);
    let (plain, of_parts) = (explain(case.path(), &["."], "job", None), explain(case.path(), &[&folder], "job", None));
    assert_eq!(plain, of_parts);
}

#[test]
fn an_explanation_is_the_same_at_any_number_of_threads_and_from_standard_input() {
    let case = granted();
    let with =
        |more: &[&str]| run(case.path(), &[&["explain", ".", "--job", "job", "--format", "json"], more].concat());
    let once = with(&[]);
    assert_eq!(once.status, 0, "{}", once.stderr);
    for threads in ["1", "5"] {
        assert_eq!(with(&["--threads", threads]).stdout, once.stdout);
    }
    let trail = fs::File::open(case.path().join("trail.ndjson")).expect("opened");
    let arguments = ["explain", "-", "audits.json", "--job", "job", "--format", "json"];
    let piped = command(case.path()).args(arguments).stdin(trail).output().expect("the binary runs");
    let piped: Value = serde_json::from_slice(&piped.stdout).expect("JSON");
    let once: Value = serde_json::from_str(&once.stdout).expect("JSON");
    let of = |all: &Value| all["explanations"][0]["pivotal"]["records"].clone();
    assert_eq!(of(&piped), of(&once));
}

#[test]
fn what_an_answer_is_said_to_mean_comes_true() {
    for (answer, status, outcome) in [("403", 403, "failure"), ("204 (or 200)", 204, "success")] {
        let mut case = Case::new();
        case.contrast();
        case.step("job", 0, "metadata_injection", "timeout", json!({}));
        assert_eq!(case.failure()["class"], "inconclusive");
        let explained = explain(case.path(), &["."], "job", None);
        let asked = list(&explained[0], "next_evidence");
        let probe = asked.iter().find(|q| text(q, "text").contains("probe")).expect("a probe is advised");
        let said = list(probe, "outcomes").iter().find(|o| text(o, "answer") == answer).expect("the answer");
        case.step("job", 9000, "probe", outcome, json!({ "status": status }));
        let failure = case.failure();
        assert_ne!(failure["class"], "inconclusive");
        assert_eq!((&failure["class"], &failure["mechanism"]), (&said["class"], &said["mechanism"]), "{said:#}");
        assert_eq!(said["changes_verdict"], true);
    }
}

#[test]
fn the_most_telling_evidence_comes_first() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let open = failures.iter().find(|failure| failure["class"] == "inconclusive").expect("one is not decided");
    let explained = explain(root(), &["samples"], text(open, "job_id"), None);
    let telling = |question: &Value| list(question, "outcomes").iter().filter(|o| o["changes_verdict"] == true).count();
    let counts: Vec<usize> = list(&explained[0], "next_evidence").iter().map(telling).collect();
    assert!(counts.is_sorted_by(|a, b| a >= b) && counts[0] >= 2, "{counts:?}");
    let command =
        list(&explained[0], "next_evidence").iter().map(|q| text(q, "command")).find(|c| c.starts_with("curl"));
    let command = command.expect("a line of curl");
    assert!(command.contains("https://api.mypurecloud.de/api/v2/"), "{command}");
}

#[test]
fn nothing_in_the_evidence_reaches_the_shell() {
    let mut case = Case::new();
    let hostile = "c\"; touch /tmp/owned; $(id) `id` '";
    case.step(
        "job",
        0,
        "metadata_injection",
        "timeout",
        json!({ "conversationId": hostile, "principal": "../../x", "region": "\u{1b}]0;x\u{7}" }),
    );
    case.step(
        "job",
        60,
        "export",
        "failure",
        json!({ "conversationId": hostile, "status": 403, "bucket": "--b'$(id)" }),
    );
    case.analyze();
    let explained = explain(case.path(), &["."], "job", None);
    let commands: Vec<&str> =
        list(&explained[0], "next_evidence").iter().filter_map(|question| question["command"].as_str()).collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for command in &commands {
        for bad in ["touch", "$(", "`", "..", "\u{1b}", "--b'"] {
            assert!(!command.contains(bad), "{bad} in {command}");
        }
    }
    assert!(commands.iter().any(|c| c.contains("$CONVERSATION_ID") && c.contains("$API_HOST")), "{commands:?}");
    let page = run(case.path(), &["explain", ".", "--job", "job"]);
    assert_eq!(page.status, 0);
    assert!(!page.stdout.contains('\u{1b}'), "a terminal is not told anything");
}

#[test]
fn every_cause_is_weighed_and_every_record_cited_is_shown() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    for failure in &failures {
        let explained = explain(root(), &["samples"], text(failure, "job_id"), None);
        let explanation = explained.iter().find(|e| e["failure"] == *failure).expect("the report is the same");
        let alternatives = list(explanation, "alternatives");
        assert_eq!(alternatives.len(), 4);
        let taken = alternatives.iter().filter(|alternative| alternative["taken"] == true).count();
        assert_eq!(taken, usize::from(failure["class"] != "inconclusive"));
        let arguments = alternatives.iter().flat_map(|a| list(a, "for").iter().chain(list(a, "against")));
        assert_eq!(arguments.count(), list(failure, "evidence").len(), "every finding is an argument");
        let said = ["facts", "interpretation", "uncertainty"].map(|part| list(explanation, part));
        for sentence in said.iter().flat_map(|part| part.iter()) {
            assert!(text(sentence, "text").ends_with(['.', ')']), "{sentence}");
            assert!(list(sentence, "records").iter().all(|id| id.as_str().is_some_and(|id| id.starts_with("ev:"))));
        }
        let cited: usize = said[0].iter().map(|sentence| list(sentence, "records").len()).sum();
        assert!(cited >= 2, "facts cite records");
    }
}

#[test]
fn the_page_of_a_sample_reads_so_at_80_columns() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    let page = run(root(), &["explain", "samples", "--job", text(&failures[0], "job_id")]);
    assert_eq!((page.status, page.stderr.as_str()), (0, ""));
    let short =
        |line: &&str| line.trim_start().starts_with('$') || line.starts_with("Rules:") || line.chars().count() <= 80;
    assert!(page.stdout.lines().all(|line| short(&line)), "only what is to be copied is longer than 80");
    let (page, _) = page.stdout.split_once("\nRules: ").expect("the rules are named");
    insta::assert_snapshot!(page);
}

#[test]
fn a_verdict_on_a_call_of_no_job_is_explained_by_its_id() {
    let case = Case::new();
    let records =
        json!({ "Records": [put_object("x", 0, Some("Access Denied")), put_object("x", 60, Some("Access Denied"))] });
    case.write("cloudtrail.json", records.to_string());
    case.write("policy.json", bucket_policy(&["s3:GetObject"], crate::support::TENANT).to_string());
    let failure = case.failure();
    let run = run(case.path(), &["explain", ".", "--failure", text(&failure, "failure_id"), "--format", "json"]);
    let all: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(all["explanations"][0]["failure"], failure);
    assert_eq!(all["explanations"][0]["pivotal"]["effect"], "other_class");
    delete(case.path(), list(&all["explanations"][0]["pivotal"], "places"));
    assert_eq!(case.failure()["class"], all["explanations"][0]["pivotal"]["becomes"]);
}

#[test]
fn what_cannot_be_explained_is_said_in_a_sentence() {
    let case = granted();
    for (arguments, words) in [
        (&["--job", "nobody"][..], "no record names this job"),
        (&["--job", "job", "--recording", "none"], "nothing of the job failed that is so named"),
        (&["--failure", "f:0"], "nothing that failed is so named"),
        (&[], "--job"),
    ] {
        let run = run(case.path(), &[&["explain", "."], arguments].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    let healthy = run(case.path(), &["explain", ".", "--job", "healthy-0"]);
    assert!(healthy.status == 0 && healthy.stdout.contains("Nothing of job healthy-0 failed"), "{}", healthy.stdout);
    let unsought = run(case.path(), &["explain", ".", "--job", "job", "--tries", "0", "--format", "json"]);
    assert!(unsought.stdout.contains("\"effect\": \"not_searched\""), "{}", unsought.stdout);
}

#[test]
fn a_page_that_nobody_reads_to_its_end_is_no_error() {
    let case = granted();
    let mut child = command(case.path())
        .args(["explain", ".", "--job", "job"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
