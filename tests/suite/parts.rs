//! Parts: events kept as Parquet say what the files say that they came from.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::formats::{SDKS, s3, s3_request, sdk};
use crate::support::{Case, Run, bucket_policy, put_object, root, run, time};

/// A repeatable series of numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("packed");
    gzip.finish().expect("packed")
}

/// A copy of the samples, and files that are harder: records that come again in other files, broken lines, a table, packed
/// files, changes and documents that are logged twice, times without a zone, an empty file, one that is no log; and in a
/// folder of their own a record that is amended, some exported again with other white space, requests that two sources
/// record, a page that says another follows.
fn archive() -> Case {
    let mut case = Case::new();
    for entry in walk(&root().join("samples")) {
        let name = entry.strip_prefix(root()).expect("inside").display().to_string();
        case.write(&name, fs::read(&entry).expect("read"));
    }
    case.contrast();
    for n in 0..6 {
        let job = format!("job-{n}");
        case.start(&job, n * 100, &["recording:export"], json!({}));
        case.step(
            &job,
            n * 100 + 1,
            "metadata_injection",
            "timeout",
            json!({ "status": 504, "correlationId": format!("c{n}") }),
        );
        case.step(
            &job,
            n * 100 + 9,
            "metadata_injection",
            "failure",
            json!({ "status": 403, "errorMessage": "Forbidden" }),
        );
        case.step(&job, n * 100 + 40, "legal_hold.synced", "success", json!({ "holdId": format!("h{n}") }));
        case.step(
            &job,
            n * 100 + 50,
            "metadata_injection",
            "success",
            json!({ "status": 200, "durationMs": 12, "attempt": 3 }),
        );
    }
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    let broken = format!("{}\n{{\"half\": \n{}\n\u{fffd}\n", lines[..12].join("\n"), lines[12..25].join("\n"));
    case.write("made/a.ndjson", broken);
    case.write("made/b.ndjson.gz", gzip(&lines[20..40].join("\n")));
    case.write("made/c.json", format!("[{}]", lines[35..].join(",\n")));
    case.write("made/again.ndjson", lines[5..].join("\n"));
    let row =
        |n: i64| format!("2026-03-02 01:0{n}:00,csv-{n},rec-{n},upload,failure,403,\"a \"\"quoted\"\"\nfield\"\n");
    case.write(
        "made/t.csv",
        format!("timestamp,jobId,recordingId,step,outcome,status,errorMessage\n{}{}", row(1), row(2)),
    );
    let policy = bucket_policy(&["s3:PutObject"], "another-tenant");
    let mut put_policy = put_object("job-1", 30, None);
    put_policy["eventName"] = json!("PutBucketPolicy");
    put_policy["eventID"] = json!("policy-1");
    put_policy["requestParameters"] = json!({ "bucketName": "exports", "bucketPolicy": policy });
    let records = json!({ "Records": [put_object("job-1", 3, Some("Access Denied")), put_policy, put_object("job-1", 45, None)] });
    case.write("made/cloud.json.gz", gzip(&records.to_string()));
    case.write("made/deep/cloud-again.json", records.to_string());
    let mut addendum = put_object("job-1", 3, Some("Access Denied, and why"));
    addendum["addendum"] = json!({ "reason": "UPDATED_DATA", "originalEventID": addendum["eventID"] });
    addendum["eventID"] = json!("addendum");
    case.write("late/addendum.json", json!({ "Records": [addendum] }).to_string());
    let page = json!({ "id": "query-1", "pageSize": 1, "entities": [{ "id": "view-1", "eventDate": time(5), "action": "View",
        "serviceName": "Quality", "entityType": "Recording", "entity": { "id": "r" }, "status": "SUCCESS" }], "cursor": "more" });
    case.write("late/page.json", page.to_string());
    let requests: Vec<Value> = (0..5)
        .map(|n| {
            let mut put = put_object(&format!("job-{n}"), n * 100 + 3 + n % 3, None);
            put["requestID"] = json!(format!("c{n}"));
            put
        })
        .collect();
    case.write("late/requests.json.gz", gzip(&json!({ "Records": requests }).to_string()));
    let otherwise: Vec<String> = lines[25..45].iter().map(|line| line.replacen('{', "{  ", 1)).collect();
    case.write("late/other-white-space.ndjson", otherwise.join("\n"));
    case.write("made/policy.json", json!({ "Policy": policy.to_string() }).to_string());
    other_sources(&case);
    case.write("made/empty.log", "");
    case.write("made/notes.txt", "nothing but words\n");
    case
}

/// Logs of clients (local times among them) and of storage, recording jobs with the page that says whose they are, a rotated
/// secret; each with records that are cut off.
fn other_sources(case: &Case) {
    let failing: Vec<&Value> =
        case.trail.iter().filter(|r| r["step"] == "metadata_injection" && r["outcome"] != "success").collect();
    for (n, form) in SDKS.into_iter().enumerate() {
        let text: String = failing.iter().skip(n).map(|record| sdk(record, form)).collect();
        case.write(&format!("made/client-{n}.log"), &text[..text.len() - 60]);
    }
    let lines: Vec<String> = case.trail.iter().filter(|r| r["objectKey"].is_string()).map(s3).collect();
    case.write("made/access.gz", gzip(&format!("{}\n{}\nwords\n", lines.join("\n"), &lines[0][..200])));
    let ids = |record: &Value| json!({ "conversation": { "id": record["conversationId"] }, "recording": { "id": record["recordingId"] } });
    let entities: Vec<Value> = failing.iter().map(|record| ids(record)).collect();
    let uri = "/api/v2/recording/jobs/job-1/failedrecordings";
    case.write("made/failed.json", json!({ "entities": entities, "selfUri": uri }).to_string());
    let job = |id: &str, state: &str| json!({ "id": id, "state": state, "dateCreated": time(1), "totalFailedRecordings": 2, "errorMessage": "x" });
    case.write("made/jobs.json", json!([job("job-1", "FAILED"), job("lone-job", "FULFILLED")]).to_string());
    let rotated = json!({ "eventVersion": "1.08", "eventTime": time(130), "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "RotationSucceeded", "eventID": "rotation", "userIdentity": { "invokedBy": "secretsmanager.amazonaws.com" },
        "additionalEventData": { "SecretId": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:caller/x-AbC123" } });
    case.write("made/rotation.json", json!({ "Records": [rotated] }).to_string());
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("listed").flatten() {
        if entry.path().is_dir() { files.extend(walk(&entry.path())) } else { files.push(entry.path()) }
    }
    files.sort();
    files
}

fn names(case: &Case, folder: &str) -> Vec<String> {
    let inside = |path: &std::path::PathBuf| path.strip_prefix(case.path()).expect("inside").display().to_string();
    walk(&case.path().join(folder)).iter().map(inside).collect()
}

fn analyze(case: &Case, paths: &[&str], format: &str) -> Run {
    run(case.path(), &[&["analyze", "--format", format], paths].concat())
}

fn ingest(case: &Case, paths: &[&str], out: &str) -> Run {
    let run = run(case.path(), &[&["ingest", "--rows-per-part", "7", "--out", out], paths].concat());
    assert!(run.status < 2, "{}", run.stderr);
    run
}

fn sums_up(run: &Run, words: &str) {
    assert!(run.stderr.lines().last().is_some_and(|line| line.contains(words)), "{words}: {}", run.stderr);
}

#[test]
fn any_split_of_an_archive_into_parts_gives_the_bytes_of_the_whole() {
    let case = archive();
    let files = ["samples", "made", "late"].map(|folder| names(&case, folder)).concat();
    let whole = |format: &&str| analyze(&case, &["samples", "made", "late"], format).bytes;
    let expected: Vec<Vec<u8>> = ["json", "ndjson", "csv"].iter().map(whole).collect();
    assert!(expected[1].len() > 1000, "there are failures");
    let json: Value = serde_json::from_slice(&expected[0]).expect("JSON");
    let coverage = &json["coverage"];
    assert_eq!(coverage["superseded"].as_array().map(Vec::len), Some(1));
    assert!(coverage["clocks"].as_array().expect("a list").iter().any(|clock| clock["pairs"] == 5));
    for kind in ["job_without_end", "pages_missing"] {
        assert!(coverage["gaps"].as_array().expect("a list").iter().any(|gap| gap["kind"] == kind), "{coverage:#}");
    }
    let mut dice = Dice(20_260_302);
    for round in 0..5 {
        let count = 1 + dice.below(4);
        let mut groups: Vec<Vec<&str>> = vec![Vec::new(); count + 1];
        for file in &files {
            groups[dice.below(count + 1)].push(file);
        }
        // The last group stays as it is; a few files go into two parts.
        let twice = [files[dice.below(files.len())].as_str(), files[dice.below(files.len())].as_str()];
        groups[dice.below(count)].extend(twice);
        groups[dice.below(count)].extend(twice);
        let raw = groups.pop().expect("a group");
        let mut paths: Vec<String> = raw.iter().map(|file| (*file).to_owned()).collect();
        for (n, group) in groups.iter().enumerate().filter(|(_, group)| !group.is_empty()) {
            let out = format!("parts-{round}-{n}");
            // Files that hold nothing readable (status 2) are listed all the same.
            run(case.path(), &[&["ingest", "--rows-per-part", "7", "--out", &out], &group[..]].concat());
            paths.push(out);
        }
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        for (format, expected) in ["json", "ndjson", "csv"].iter().zip(&expected) {
            let found = analyze(&case, &paths, format);
            assert!(found.bytes == *expected, "round {round}, {format}: {paths:?}\n{}", found.stderr);
        }
    }
}

#[test]
fn a_large_file_in_many_parts_is_read_by_all_threads_as_it_was() {
    let mut case = Case::new();
    for n in 0..1300 {
        let job = format!("job-{n:05}");
        if n % 8 == 0 {
            case.step(
                &job,
                n * 60 + 1,
                "upload",
                "failure",
                json!({ "status": 403, "errorMessage": "x".repeat(9000) }),
            );
        } else {
            case.healthy(&job, n * 60, &["recording:export"], &json!({}));
        }
    }
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    assert!(lines.iter().map(String::len).sum::<usize>() > 4 << 20, "large enough");
    case.write("trail.ndjson", lines.join("\n"));
    run(case.path(), &["ingest", "trail.ndjson", "--out", "parts", "--rows-per-part", "1000"]);
    let expected = analyze(&case, &["trail.ndjson"], "ndjson");
    assert_eq!(expected.stdout.lines().count(), 163);
    for threads in ["1", "3"] {
        let found = analyze(&case, &["parts", "--threads", threads], "ndjson");
        assert!(found.bytes == expected.bytes, "{threads}: {}", found.stderr);
    }
}

#[test]
fn files_that_cannot_be_read_are_listed_in_a_part_of_their_own() {
    let case = archive();
    let (unreadable, readable) = (["made/notes.txt", "made/empty.log"], "made/c.json");
    let done = run(case.path(), &[&["ingest", "--out", "nothing"], &unreadable[..]].concat());
    refused(&done, 2, "nothing readable in the 2 input file(s)");
    ingest(&case, &[readable], "something");
    let expected = analyze(&case, &[&unreadable[..], &[readable]].concat(), "json");
    assert!(analyze(&case, &["nothing", "something"], "json").bytes == expected.bytes);
}

#[test]
fn folders_of_parts_are_joined_into_one_that_says_the_same() {
    let case = archive();
    let expected = analyze(&case, &["samples", "made"], "json");
    ingest(&case, &["samples/trail", "made"], "one");
    ingest(&case, &["samples"], "two");
    ingest(&case, &["one", "two"], "joined");
    let found = analyze(&case, &["joined"], "json");
    assert_eq!(found.status, expected.status);
    assert!(found.bytes == expected.bytes, "{}", found.stderr);
    sums_up(&ingest(&case, &["one", "two"], "joined"), "0 read");
    // A folder that was damaged when it was taken in, and is whole again.
    let part = case.path().join("one/events/part-00000.parquet");
    let whole = fs::read(&part).expect("read");
    fs::write(&part, "").expect("written");
    assert_eq!(ingest(&case, &["one", "two"], "later").status, 1);
    fs::write(&part, whole).expect("written");
    ingest(&case, &["one", "two"], "later");
    assert!(analyze(&case, &["later"], "json").bytes == expected.bytes);
    // Parts of the new folder that are lost come from the old ones again.
    fs::remove_file(case.path().join("later/events/part-00000.parquet")).expect("removed");
    ingest(&case, &["one", "two"], "later");
    assert!(analyze(&case, &["later"], "json").bytes == expected.bytes);
}

#[test]
fn a_timeline_and_an_evaluation_of_parts_are_those_of_the_files() {
    let case = archive();
    ingest(&case, &["samples", "made"], "parts");
    for arguments in
        [&["timeline", "--job", "job-1"][..], &["timeline", "--job", "a4c8a798-a5d8-45c0-b444-74c0a668b046"]]
    {
        let expected = run(case.path(), &[arguments, &["samples", "made"]].concat());
        let found = run(case.path(), &[arguments, &["parts"]].concat());
        assert!(!expected.stdout.is_empty() && found.bytes == expected.bytes, "{}", found.stderr);
    }
    let truth = root().join("tests/fixtures/samples-truth.json").display().to_string();
    let expected = run(case.path(), &["evaluate", "--truth", &truth, "samples", "made"]);
    assert_eq!(run(case.path(), &["evaluate", "--truth", &truth, "parts"]).stdout, expected.stdout);
}

#[test]
fn the_same_parts_are_written_by_any_number_of_threads() {
    let case = archive();
    for threads in ["1", "3"] {
        run(
            case.path(),
            &["ingest", "samples", "made", "--out", threads, "--threads", threads, "--rows-per-part", "9"],
        );
    }
    let (one, three) = (walk(&case.path().join("1")), walk(&case.path().join("3")));
    assert_eq!(one.len(), three.len());
    for (one, three) in one.iter().zip(&three) {
        let same = fs::read(one).expect("read") == fs::read(three).expect("read");
        assert!(same, "{}", one.display());
    }
}

#[test]
fn a_second_run_reads_only_what_is_new() {
    let case = archive();
    sums_up(&ingest(&case, &["made"], "parts"), "0 files taken over, 18 read");
    let before = analyze(&case, &["parts"], "json");
    // The same size and time of modification, other bytes: whoever read it would see another archive.
    let known = case.path().join("made/again.ndjson");
    let (bytes, stamp) =
        (fs::read(&known).expect("read"), fs::metadata(&known).expect("there").modified().expect("a time"));
    fs::write(&known, vec![b'x'; bytes.len()]).expect("written");
    fs::File::options().write(true).open(&known).expect("opened").set_modified(stamp).expect("set");
    case.write(
        "made/new.ndjson",
        json!({ "timestamp": time(9), "jobId": "new", "step": "upload", "outcome": "failure" }).to_string(),
    );
    sums_up(&ingest(&case, &["made"], "parts"), "18 files taken over, 1 read (1 records, 0 rejected); 19 files");
    fs::write(&known, &bytes).expect("written");
    let expected = analyze(&case, &["made"], "json");
    assert!(expected.bytes != before.bytes);
    assert!(analyze(&case, &["parts"], "json").bytes == expected.bytes);
    // --recheck sees what size and time hide.
    fs::write(&known, vec![b'x'; bytes.len()]).expect("written");
    fs::File::options().write(true).open(&known).expect("opened").set_modified(stamp).expect("set");
    let rechecked = run(case.path(), &["ingest", "made", "--out", "parts", "--recheck"]);
    sums_up(&rechecked, "18 files taken over, 1 read");
    assert!(rechecked.stderr.contains("made/again.ndjson: changed since"), "{}", rechecked.stderr);
    assert!(analyze(&case, &["parts"], "json").bytes == analyze(&case, &["made"], "json").bytes);
}

#[test]
fn files_that_went_away_stay_and_parts_that_nothing_refers_to_go() {
    let case = archive();
    ingest(&case, &["made/a.ndjson", "made/c.json"], "parts");
    let expected = analyze(&case, &["parts"], "json").bytes;
    let listed = walk(&case.path().join("parts")).len();
    fs::remove_file(case.path().join("made/c.json")).expect("removed");
    sums_up(&ingest(&case, &["made/a.ndjson"], "parts"), "1 files taken over, 0 read (0 records, 0 rejected); 2 files");
    assert!(analyze(&case, &["parts"], "json").bytes == expected);
    case.write("parts/events/part-77777.parquet", "left by an ingest that was interrupted");
    case.write("parts/.holdtrace-x", "likewise");
    assert!(analyze(&case, &["parts"], "json").bytes == expected, "what the index does not list is not read");
    ingest(&case, &["made/a.ndjson"], "parts");
    assert_eq!(walk(&case.path().join("parts")).len(), listed);
}

#[cfg(unix)]
#[test]
fn what_was_passed_over_is_remembered() {
    let case = archive();
    std::os::unix::fs::symlink("/etc/passwd", case.path().join("made/link")).expect("linked");
    ingest(&case, &["made"], "parts");
    let (expected, found) = (analyze(&case, &["made"], "json"), analyze(&case, &["parts"], "json"));
    assert!(expected.stdout.contains("a link, not followed") && found.bytes == expected.bytes);
}

#[test]
fn two_files_of_one_name_stay_two_and_one_content_is_one_file() {
    let line = |job: &str| {
        json!({ "timestamp": time(1), "jobId": job, "step": "upload", "outcome": "failure", "status": 403 }).to_string()
    };
    let case = Case::new();
    for (out, job) in [("one", "a"), ("two", "b"), ("three", "a")] {
        case.write("trail.ndjson", line(job));
        ingest(&case, &["trail.ndjson"], out);
    }
    let files = |run: Run| -> Vec<Value> {
        let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
        json["manifest"].as_array().expect("a list").clone()
    };
    let found = files(analyze(&case, &["one", "two", "three", "trail.ndjson"], "json"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0]["sha256"].as_str() < found[1]["sha256"].as_str());
}

#[test]
fn a_record_is_shown_from_a_part_and_from_its_file() {
    let case = archive();
    ingest(&case, &["samples"], "parts");
    let id = "ev:08747189a3e2afa4";
    let raw = run(case.path(), &["show", id, "samples"]);
    let part = run(case.path(), &["show", id, "parts"]);
    assert_eq!((raw.status, part.status), (0, 0), "{}", part.stderr);
    let head = |run: &Run| run.stdout.lines().take(4).collect::<Vec<_>>().join("\n");
    assert_eq!(head(&raw), head(&part));
    assert!(
        part.stdout.contains("as it was ingested") && part.stdout.contains("name samples/genesys/audits.json as well"),
        "{}",
        part.stdout
    );
    let both = run(case.path(), &["show", id, "samples", "parts"]);
    assert_eq!(both.stdout, raw.stdout);
    let bare = run(case.path(), &["show", "--raw", id, "parts"]);
    assert_eq!((bare.status, bare.stderr.lines().count()), (2, 1));
    assert!(bare.stderr.contains("keeps no raw bytes"), "{}", bare.stderr);
    // A document of state is no event, and is found all the same.
    let policy =
        fs::read(case.path().join("samples/snapshots/bucket-policy-nordwind-hold-exports.json")).expect("read");
    let id = holdtrace::evidence::Digest::of(policy.trim_ascii()).record_id();
    assert!(run(case.path(), &["show", &id, "parts"]).stdout.contains("samples/snapshots/bucket-policy"));
}

/// One clear sentence, and the status.
fn refused(run: &Run, status: i32, words: &str) {
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert_eq!((run.status, run.stderr.lines().count()), (status, 1), "{}", run.stderr);
    assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
}

#[test]
fn times_without_a_zone_are_read_as_they_were_ingested() {
    let case = archive();
    ingest(&case, &["made/t.csv"], "parts");
    refused(&run(case.path(), &["analyze", "parts", "--assume-tz", "+02:00"]), 2, "give --assume-tz UTC");
    refused(
        &run(case.path(), &["ingest", "made/t.csv", "--out", "parts", "--assume-tz", "+02:00"]),
        2,
        "made with --assume-tz UTC",
    );
    refused(&run(case.path(), &["analyze", "parts", "--max-record-bytes", "5000"]), 2, "--max-record-bytes 16777216");
    ingest(&case, &["made/c.json"], "zoned");
    assert_eq!(run(case.path(), &["analyze", "zoned", "--assume-tz", "+02:00"]).status, 0);
}

#[test]
fn a_damaged_part_costs_the_files_in_it_and_says_so() {
    let case = archive();
    ingest(&case, &["made/c.json"], "bad");
    ingest(&case, &["samples"], "good");
    let part = case.path().join("bad/events/part-00001.parquet");
    let whole = fs::read(&part).expect("read");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for bytes in [&whole[..whole.len() - 9], &flipped[..], b""] {
        fs::write(&part, bytes).expect("written");
        refused(&analyze(&case, &["bad"], "json"), 2, "its SHA-256 is not the one in the index");
        let mixed = analyze(&case, &["bad", "good"], "json");
        refused(&mixed, 1, "part-00001.parquet cannot be used");
        assert!(mixed.objects_of_failures() > 5, "the rest is read");
    }
    fs::remove_file(&part).expect("removed");
    refused(&analyze(&case, &["bad"], "json"), 2, "part-00001.parquet cannot be used");
    sums_up(&ingest(&case, &["made/c.json"], "bad"), "0 files taken over, 1 read");
    let mended = analyze(&case, &["bad"], "json");
    assert!(mended.bytes == analyze(&case, &["made/c.json"], "json").bytes, "{}", mended.stderr);
    fs::write(case.path().join("good/events/part-00000.parquet"), &flipped).expect("written");
    ingest(&case, &["samples", "--recheck"], "good");
    assert!(analyze(&case, &["good"], "json").bytes == analyze(&case, &["samples"], "json").bytes);
}

#[test]
fn an_index_that_is_not_as_it_was_written_is_refused() {
    let case = archive();
    ingest(&case, &["samples"], "parts");
    let path = case.path().join("parts/holdtrace-parts.json");
    let text = fs::read_to_string(&path).expect("read");
    for (changed, words) in [
        (text.replacen("\"format_version\":2", "\"format_version\":3", 1), "version 3 of their format"),
        (text.replacen("\"parsed\":", "\"parsed\": ", 1), "its SHA-256 is another"),
        (text.replacen("samples/trail", "samples/tails", 1), "its SHA-256 is another"),
        (text[..text.len() / 2].to_owned(), "no whole index"),
        ("{\"format\":\"x\",\"format_version\":2}".to_owned(), "it says `x`"),
    ] {
        fs::write(&path, changed).expect("written");
        refused(&analyze(&case, &["parts"], "json"), 2, words);
        refused(&run(case.path(), &["ingest", "samples", "--out", "parts"]), 2, words);
        let around = analyze(&case, &["samples", "."], "json");
        assert_eq!(around.status, 1, "met on the way, it is noted: {}", around.stderr);
        assert!(around.stderr.contains(words));
    }
}

#[test]
fn parts_of_another_version_are_read_and_named() {
    let case = archive();
    ingest(&case, &["samples"], "parts");
    let plain = analyze(&case, &["parts"], "ndjson");
    let path = case.path().join("parts/holdtrace-parts.json");
    let text = fs::read_to_string(&path).expect("read");
    let ours = format!("\"holdtrace_version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    fs::write(&path, text.replacen(&ours, "\"holdtrace_version\":\"0.0.9\"", 1)).expect("written");
    let other = analyze(&case, &["parts"], "ndjson");
    assert_eq!(other.stdout, plain.stdout);
    assert!(other.stderr.contains("parts: read by holdtrace 0.0.9"), "{}", other.stderr);
    assert!(!plain.stderr.contains("0.0.9"));
}

#[test]
fn an_ingest_that_never_ended_is_named() {
    let case = archive();
    ingest(&case, &["samples"], "parts");
    fs::remove_file(case.path().join("parts/holdtrace-parts.json")).expect("removed");
    refused(&analyze(&case, &["parts"], "json"), 2, "did not get to its end");
    sums_up(&ingest(&case, &["samples"], "parts"), "0 files taken over, 8 read");
    assert!(analyze(&case, &["parts"], "json").bytes == analyze(&case, &["samples"], "json").bytes);
}

#[test]
fn parts_are_not_written_into_the_evidence_nor_among_other_files() {
    let case = archive();
    for out in ["samples", "samples/parts", "samples/trail/not/there", "./made/../samples/x"] {
        refused(&run(case.path(), &["ingest", "samples", "--out", out]), 2, "into which nothing is written");
    }
    assert!(!case.path().join("samples/parts").exists());
    refused(&run(case.path(), &["ingest", "samples", "--out", "made"]), 2, "the folder holds other files");
    refused(&run(case.path(), &["ingest", "samples", "--out", "made/a.ndjson"]), 2, "it is a file");
    refused(&run(case.path(), &["ingest", "-", "--out", "parts"]), 2, "a stream cannot be recognised");
    refused(&run(case.path(), &["ingest", "nowhere", "--out", "parts"]), 2, "no such file");
    refused(&run(case.path(), &["ingest", "made/notes.txt", "--out", "parts"]), 2, "nothing readable");
}

#[test]
fn an_index_hides_no_other_files() {
    let case = archive();
    ingest(&case, &["made"], "parts");
    let moved = case.path().join("samples/holdtrace-parts.json");
    fs::copy(case.path().join("parts/holdtrace-parts.json"), &moved).expect("copied");
    let found: Value = serde_json::from_str(&analyze(&case, &["samples"], "json").stdout).expect("JSON");
    let files = found["manifest"].as_array().expect("a list");
    assert_eq!(files.iter().filter(|f| f["path"].as_str().is_some_and(|p| p.starts_with("samples/"))).count(), 8);
    assert!(found["coverage"].to_string().contains("cannot be used"), "the parts that are not there are named");
}

/// Whoever forges a part gives the index its hash.
#[test]
fn a_forged_part_ends_with_a_sentence() {
    use sha2::Digest as _;
    let hex = |bytes: &[u8]| const_hex::encode(sha2::Sha256::digest(bytes));
    let case = archive();
    run(case.path(), &["ingest", "samples", "--out", "parts"]);
    let index = case.path().join("parts/holdtrace-parts.json");
    let text = fs::read_to_string(&index).expect("read");
    let envelope: Value = serde_json::from_str(&text).expect("JSON");
    let (_, content) = text.split_once("\"content\":").expect("the content");
    let content = &content[..content.len() - 1];
    let mut dice = Dice(77);
    for table in ["events", "changes", "documents"] {
        let part = case.path().join(format!("parts/{table}/part-00000.parquet"));
        let whole = fs::read(&part).expect("read");
        for _ in 0..24 {
            let mut forged = whole.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(forged.len());
                forged[at] ^= 1 << dice.below(8);
            }
            fs::write(&part, &forged).expect("written");
            let content = content.replace(&hex(&whole), &hex(&forged));
            let head = text.split_once("\"content\":").expect("the content").0;
            let head = head.replace(envelope["sha256"].as_str().expect("a hash"), &hex(content.as_bytes()));
            fs::write(&index, format!("{head}\"content\":{content}}}")).expect("written");
            let run = analyze(&case, &["parts"], "json");
            assert!((0..=2).contains(&run.status) && !run.stderr.contains("panicked"), "{table}: {}", run.stderr);
        }
        fs::write(&part, &whole).expect("written");
    }
}

impl Run {
    fn objects_of_failures(&self) -> usize {
        serde_json::from_str::<Value>(&self.stdout).expect("JSON")["failures"].as_array().map_or(0, Vec::len)
    }
}

/// Everything that is read of `path`: events with all columns, changes, documents, ledger.
pub fn all_of(path: &Path) -> (polars::prelude::DataFrame, String) {
    use holdtrace::evidence::discover;
    use holdtrace::ingest::{EventColumns, Options, Prints, ingest};
    let inputs = discover(&[path.display().to_string()]).expect("found").inputs;
    let keys = foldhash::quality::RandomState::default();
    let mut frames = Vec::new();
    let mut absorb = |columns: EventColumns| frames.push(columns.finish().expect("a frame"));
    let read =
        ingest(&inputs, Options::default(), Prints::of_hashed(&keys), &EventColumns::default, &mut absorb, &|_| {});
    let mut all = EventColumns::default().finish().expect("a frame");
    for frame in frames {
        all.vstack_mut_owned(frame).expect("the same columns");
    }
    (all, format!("{:#?}\n{:#?}\n{:#?}", read.changes, read.documents, read.files))
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_column_change_and_document_comes_back_as_it_was(
        texts in proptest::collection::vec("[ -~\\n\\t\\\\\"äß€😀\u{0}\u{202e}]{0,16}", 8),
        number in proptest::prelude::any::<i64>(),
        small in proptest::prelude::any::<i16>(),
        rows in 1usize..9,
    ) {
        let mut case = Case::new();
        let text = |n: usize| texts[n % texts.len()].clone();
        for n in 0..5 {
            let more = json!({
                "errorMessage": text(n), "queue": text(n + 1), "durationMs": number, "attempt": small, "status": small,
                "legalHoldAcknowledgement": n % 2 == 0, "holdId": text(n + 2), "principal": text(n + 3), "scopes": [text(n), "a"],
            });
            let step = ["upload", "legal_hold.placed", "credential.rotated", "legal_hold.synced", "job.started"][n];
            case.step(&text(n + 4), i64::from(small) + 7, step, "success", more);
        }
        let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
        case.write("logs/trail.ndjson", lines.join("\n"));
        let mut policy = bucket_policy(&["s3:PutObject"], &text(0));
        policy["Statement"][0]["Condition"] = json!({ text(1): { text(2): number, "ratio": f64::from(small) / 8.0, "list": [text(3), null, true] } });
        case.write("logs/policy.json", json!({ "Policy": policy.to_string() }).to_string());
        case.write("logs/client.json", json!({ "id": text(5), "name": text(6), "roleDivisions": [{ "roleId": text(7) }], "accessTokenValiditySeconds": number }).to_string());
        let mut put = put_object("j", 1, None);
        put["eventName"] = json!("PutBucketPolicy");
        put["requestParameters"] = json!({ "bucketName": text(4), "bucketPolicy": policy });
        case.write("logs/cloud.json", json!({ "Records": [put, put_object("k", 2, Some(&text(1)))] }).to_string());
        let mut attempt = case.trail[0].clone();
        attempt["status"] = json!(403);
        attempt["error"] = json!({ "code": text(1), "message": text(2) });
        let access = s3_request(&attempt, &text(3).replace(|c: char| !c.is_ascii_graphic(), "x"));
        case.write("logs/access.log", format!("{access}\n{access} {}", text(4)));
        case.write("logs/client.log", SDKS.map(|form| sdk(&attempt, form)).concat());
        case.write("logs/client.ndjson", SDKS.map(|form| sdk(&attempt, form)).iter().filter(|line| line.starts_with('{')).cloned().collect::<String>());
        case.write("logs/job.json", json!({ "id": text(0), "state": "FAILED", "errorMessage": text(1), "totalFailedRecordings": small,
            "user": { "id": text(2) } }).to_string());
        case.write("logs/failed.json", json!({ "entities": [{ "recording": { "id": text(3) } }], "x": "/recording/jobs/j-1/failedrecordings" }).to_string());
        let rows = rows.to_string();
        let done = run(case.path(), &["ingest", &case.path().join("logs").display().to_string(), "--out", "parts", "--rows-per-part", &rows]);
        proptest::prop_assert!(done.status < 2, "{}", done.stderr);
        let (raw, parts) = (all_of(&case.path().join("logs")), all_of(&case.path().join("parts")));
        proptest::prop_assert!(raw.0.height() > 0 && raw.1.contains("BucketPolicy"));
        proptest::prop_assert!(raw.0.equals_missing(&parts.0), "{:?}\n{:?}", raw.0, parts.0);
        proptest::prop_assert_eq!(raw.1, parts.1);
    }
}
