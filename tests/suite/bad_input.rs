//! Input that is not what it should be: one clear sentence, a documented status, nothing lost.

use std::io::Write as _;

use holdtrace::classify::DEFAULT_PACK;
use holdtrace::correlate;
use holdtrace::evidence::discover;
use holdtrace::ingest::Options;
use holdtrace::report::RuleText;
use serde_json::{Value, json};

use crate::support::{Case, Run, run, time};

fn line(job: &str, at: i64) -> String {
    json!({ "timestamp": time(at), "jobId": job, "recordingId": format!("r-{job}"), "step": "upload", "outcome": "failure",
        "status": 403, "bucket": "b", "principal": "p", "errorMessage": "Forbidden" })
    .to_string()
}

/// Analyses `bytes` as a file of their own; the ledger entry of that file comes along.
fn analyze(name: &str, bytes: &[u8]) -> (Run, Option<Value>) {
    let case = Case::new();
    case.write(name, bytes);
    let run = run(case.path(), &["analyze", name, "--format", "json"]);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let entry = serde_json::from_str::<Value>(&run.stdout).ok().map(|json| {
        let file = json["coverage"]["files"][0].clone();
        let number = |name: &str| file[name].as_u64().expect("a number");
        assert_eq!(number("records"), number("parsed") + number("rejected"));
        file
    });
    (run, entry)
}

#[test]
fn an_empty_file_is_named_and_ends_with_status_2() {
    let (run, _) = analyze("empty.ndjson", b"");
    assert_eq!(run.status, 2);
    assert_eq!(run.stderr.lines().count(), 1);
    assert!(run.stderr.contains("empty.ndjson is empty"), "{}", run.stderr);
}

#[test]
fn files_that_are_no_logs_are_told_apart() {
    for (bytes, words) in [
        (&b"\x7fELF\x02\x01\x01\0\0\0\0"[..], "binary data"),
        (b"PK\x03\x04\0\0rest", "no directory at its end"),
        (b"PAR1\0\0\0\0", "a Parquet file"),
        (b"\xff\xfea\0,\0b\0", "UTF-16"),
        (b"just some words\nand more\n", "neither JSON nor a table"),
        (b"{\"hello\":\"world\"}\n", "of no source that is known"),
    ] {
        let (run, _) = analyze("file", bytes);
        assert_eq!(run.status, 2);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn a_truncated_gzip_keeps_what_came_before_and_says_where_it_ends() {
    let text: String = (0..400).map(|n| line(&format!("job-{n}"), n) + "\n").collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("packed");
    let packed = encoder.finish().expect("packed");
    let (run, entry) = analyze("trail.gz", &packed[..packed.len() / 2]);
    let entry = entry.expect("a ledger");
    assert_eq!(run.status, 1);
    assert!(entry["parsed"].as_u64() > Some(100));
    assert!(entry["rejects"].to_string().contains("ends early"), "{entry}");
    assert!(entry["sha256"].is_string(), "the file as found is hashed to its end");
}

#[test]
fn all_members_of_a_gzip_file_are_read() {
    // The first member alone is what many readers stop at.
    let mut packed = Vec::new();
    for job in ["first", "second", "third"] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all((line(job, 1) + "\n").as_bytes()).expect("packed");
        packed.extend(encoder.finish().expect("packed"));
    }
    let (run, entry) = analyze("trail.gz", &packed);
    assert_eq!((run.status, entry.expect("a ledger")["parsed"].as_u64()), (0, Some(3)));
}

#[test]
fn a_half_line_is_rejected_with_its_offset_and_the_lines_around_it_are_read() {
    let (whole, half) = (line("a", 1), &line("b", 2)[..40]);
    let text = format!("{whole}\n{half}\n{}\n", line("c", 3));
    let (run, entry) = analyze("trail.ndjson", text.as_bytes());
    let entry = entry.expect("a ledger");
    assert_eq!(run.status, 1);
    assert_eq!(entry["parsed"], 2);
    assert_eq!(entry["rejects"][0]["record"], 1);
    assert_eq!(entry["rejects"][0]["offset"], whole.len() + 1);
}

#[test]
fn a_broken_element_of_an_array_loses_only_itself() {
    for broken in [r#"{"timestamp":"2026-03"#, r#"{"timestamp":"x","a":{"b":1,"#, r#"{"a":}"#] {
        let text = format!("[\n{},\n{broken}\n{},\n{}\n]", line("a", 1), line("b", 2), line("c", 3));
        let (run, entry) = analyze("trail.json", text.as_bytes());
        let entry = entry.expect("a ledger");
        assert_eq!((run.status, entry["parsed"].as_u64()), (1, Some(3)), "{broken}: {entry}");
    }
}

#[test]
fn a_line_of_100_megabytes_is_rejected_in_bounded_memory() {
    // Packed, so that it takes no room on the disk.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(format!("{}\n{{\"x\":\"", line("a", 1)).as_bytes()).expect("packed");
    for _ in 0..100 {
        gzip.write_all(&vec![b'a'; 1_000_000]).expect("packed");
    }
    gzip.write_all(format!("\"}}\n{}", line("b", 2)).as_bytes()).expect("packed");
    let packed = gzip.finish().expect("packed");
    assert!(packed.len() < 1_000_000);
    let (run, entry) = analyze("trail.ndjson.gz", &packed);
    let entry = entry.expect("a ledger");
    assert_eq!((run.status, entry["parsed"].as_u64(), entry["rejected"].as_u64()), (1, Some(2), Some(1)));
    assert!(entry["rejects"][0]["reason"].as_str().is_some_and(|r| r.contains("--max-record-bytes")));
}

#[test]
fn a_row_of_a_table_is_bounded_like_every_record_and_its_header_is_none() {
    let case = Case::new();
    let row = |job: &str, message: &str| format!("{},{job},r-{job},upload,failure,403,{message}\n", time(1));
    let header = "timestamp,jobId,recordingId,step,outcome,status,errorMessage\n";
    case.write("trail.csv", header.to_owned() + &row("a", "x") + &row("b", &"long".repeat(100)) + &row("c", "x"));
    // Even the header is longer than the least of these; it is no record, and the row below it is no header.
    for (most, parsed) in [("400", 2), ("50", 2), ("1000", 3)] {
        let run = run(case.path(), &["analyze", ".", "--format", "json", "--max-record-bytes", most]);
        let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let file = &json["coverage"]["files"][0];
        assert_eq!((&file["parsed"], &file["records"]), (&json!(parsed), &json!(3)), "{most}: {}", run.stderr);
        assert_eq!(run.stderr.contains("--max-record-bytes"), parsed < 3, "{}", run.stderr);
    }
}

#[test]
fn a_time_without_zone_takes_the_assumed_one_and_is_counted() {
    let case = Case::new();
    case.write("trail.ndjson", line("a", 0).replace('Z', "") + "\n");
    let run = run(case.path(), &["analyze", ".", "--format", "json", "--assume-tz", "Europe/Berlin"]);
    let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(json["failures"][0]["first_failed_at"], "2026-03-02T00:00:00Z", "Berlin is one hour ahead in March");
    assert_eq!(json["summary"]["zoneless_times"], 1);
    assert!(run.stderr.contains("carry no zone"));
}

#[test]
fn times_of_1970_and_9999_are_read_but_order_nothing() {
    let text = [line("a", 0).replace("2026-03-02", "1970-01-01"), line("b", 0).replace("2026", "9999")].join("\n");
    let (run, entry) = analyze("trail.ndjson", text.as_bytes());
    let entry = entry.expect("a ledger");
    assert_eq!((run.status, entry["parsed"].as_u64(), entry["implausible_times"].as_u64()), (0, Some(2), Some(2)));
    assert!(run.stderr.contains("before 2000 or after 2099"));
}

#[test]
fn a_time_that_is_none_rejects_the_record_with_its_reason() {
    let text = format!("{}\n{}\n", line("a", 0), line("b", 0).replace(&time(0), "yesterday"));
    let (run, entry) = analyze("trail.ndjson", text.as_bytes());
    assert_eq!(run.status, 1);
    assert!(
        entry.expect("a ledger")["rejects"][0]["reason"].as_str().is_some_and(|r| r.contains("`yesterday` is no time"))
    );
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    for bytes in [
        b"[".repeat(200_000),
        b"{\"a\":".repeat(50_000),
        [line("a", 1).as_bytes(), b"\n", &b"{\"a\":[".repeat(40_000)].concat(),
    ] {
        let (run, _) = analyze("deep.json", &bytes);
        assert!([1, 2].contains(&run.status), "{}", run.stderr);
    }
}

#[test]
fn a_record_that_is_nested_too_deeply_is_rejected_by_that_reason_and_the_others_are_read() {
    let deep = |levels: usize| format!("{{\"Statement\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    for levels in [200, 100_000] {
        let text = format!("{}\n{}\n{}\n", line("a", 1), deep(levels), line("b", 2));
        let (run, entry) = analyze("deep.ndjson", text.as_bytes());
        let entry = entry.expect("a ledger");
        assert_eq!((run.status, &entry["parsed"], &entry["rejected"]), (1, &json!(2), &json!(1)));
        assert!(run.stderr.contains("nested more than 128 levels deep"), "{}", run.stderr);
    }
    // What is not used of a record may be as deep as it likes.
    let deep = line("a", 1).replace("\"bucket\"", &format!("\"x\":{},\"bucket\"", deep(100_000)));
    let (run, entry) = analyze("deep.ndjson", format!("{}\n{deep}\n", line("b", 2)).as_bytes());
    assert_eq!((run.status, &entry.expect("a ledger")["parsed"]), (0, &json!(2)), "{}", run.stderr);
}

#[test]
fn a_decompression_bomb_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..600 {
        encoder.write_all(&vec![b'\n'; 1024 * 1024]).expect("packed");
    }
    let (run, _) = analyze("bomb.gz", &encoder.finish().expect("packed"));
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("decompression bomb"), "{}", run.stderr);
}

#[test]
fn wrong_usage_is_one_sentence_and_status_2() {
    let case = Case::new();
    case.write("trail.ndjson", line("a", 1));
    std::fs::create_dir(case.path().join("nothing")).expect("created");
    for (arguments, words) in [
        (&["analyze", "nowhere"][..], "no such file or folder"),
        (&["analyze", "nothing"], "holds no files"),
        (&["analyze", "*.nothing"], "no such file or folder"),
        (&["analyze", "s3://bucket/prefix"], "--features object-store"),
        (&["analyze", ".", "--rules", "nowhere.toml"], "reading the rule pack"),
        (&["analyze", ".", "--since", "later"], "is no time"),
        (&["timeline", ".", "--job", "nobody"], "no record names this job"),
        (&["show", "ev:xyz", "."], "not a record id"),
        (&["show", "ev:0123456789abcdef", "."], "no record in these"),
    ] {
        let run = run(case.path(), arguments);
        assert_eq!(run.status, 2, "{arguments:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    assert_eq!(run(case.path(), &["analyze", ".", "--format", "nonsense"]).status, 2);
}

#[test]
fn nothing_failing_at_all_is_good_news() {
    let case = Case::new();
    case.write("trail.ndjson", line("a", 1).replace("failure", "success").replace("403", "200"));
    let table = run(case.path(), &["analyze", ".", "--format", "table"]);
    assert_eq!(table.status, 0);
    assert!(table.stdout.contains("Nothing failed: 1 attempts of 1 jobs"), "{}", table.stdout);
    assert_eq!(run(case.path(), &["analyze", ".", "--format", "ndjson"]).stdout, "");
}

/// The records that a report rests on are read twice; a file that is written to in between would be cited wrongly.
#[test]
fn a_file_that_changes_between_the_two_readings_is_named() {
    let rules = RuleText::parse(DEFAULT_PACK, "the built-in rule pack").expect("a pack");
    for (changed, words) in
        [(line("other", 1), "is not what it was a moment ago"), (String::new(), "reading the records")]
    {
        let case = Case::new();
        let path = case.write("trail.ndjson", line("first", 1));
        let inputs = discover(&[path.display().to_string()]).expect("found").inputs;
        let read = correlate::read(&inputs, Options::default(), &rules.pack.operations, &|_| {});
        let (outline, mut ingested) = read.expect("read");
        case.write("trail.ndjson", changed);
        let options = Options::default();
        let correlated = correlate::correlate(outline, &mut ingested, &inputs, options).expect("correlated");
        let reread = correlate::reread(&correlated.outline, &ingested, &inputs, options);
        let error = correlated.waves(&reread).find_map(std::result::Result::err).expect("noticed");
        let said = error.to_string();
        assert!(said.contains("trail.ndjson") && said.contains(words), "{said}");
    }
}

/// 430 KB of Parquet once became millions of rejected rows, each with a sentence of its own in memory: 3.8 GB.
#[test]
fn of_very_many_rejected_records_the_first_and_the_last_are_listed_and_all_are_counted() {
    let bad: String = (0..3_000).map(|n| if n % 3 == 0 { "{\"n\":1\n" } else { "{\"n\":1}\n" }).collect();
    let text = format!("{}\n{bad}{}\n{{\"cut", line("one", 0), line("two", 9));
    let reports: Vec<Value> = ["1", "2"].map(|threads| many_rejects(&text, threads)).into();
    assert_eq!(reports[0], reports[1]);
    let file = &reports[0];
    let rejects = file["rejects"].as_array().expect("a list");
    assert_eq!((&file["rejected"], &file["parsed"]), (&json!(3_001), &json!(2)));
    assert_eq!(rejects.len(), 1_002);
    for (n, reject) in rejects[..1_001].iter().enumerate() {
        assert_eq!(reject["record"], n + 1, "in the order of the file, whatever the reason");
    }
    assert_eq!((&rejects[999]["records"], &rejects[1_000]["records"]), (&Value::Null, &json!(2_000)));
    assert_eq!((&rejects[1_001]["record"], &rejects[1_001]["offset"]), (&json!(3_002), &json!(text.len() - 5)));
}

fn many_rejects(text: &str, threads: &str) -> Value {
    let case = Case::new();
    case.write("many.ndjson", text);
    // Where the budget of a run is used up, each further file keeps two entries.
    let small = format!("{}\n{}", line("three", 0), "{}\n".repeat(1_200));
    (0..101).for_each(|n| drop(case.write(&format!("more/{n:03}.ndjson"), &small)));
    let run = run(case.path(), &["analyze", ".", "--format", "json", "--threads", threads]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let files = json["coverage"]["files"].as_array().expect("a list");
    let listed = |n: usize| files[n]["rejects"].as_array().map_or(0, Vec::len);
    assert_eq!((files.len(), listed(1), listed(99), listed(101)), (102, 1_002, 804, 2));
    for file in files {
        let records = |reject: &Value| reject["records"].as_u64().unwrap_or(1);
        let sum: u64 = file["rejects"].as_array().expect("a list").iter().map(records).sum();
        assert_eq!(Some(sum), file["rejected"].as_u64(), "{}", file["path"]);
    }
    files[0].clone()
}
