//! Any bytes whatever among files of every format, in every container: a documented exit status, nothing uncounted, and
//! every valid record is found.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::corpus;
use crate::formats::{SDKS, line, sdk};
use crate::packing::{Members, gzip, members_of, tar, zip, zstd};
use crate::parquet::{parquet, table_of};
use crate::support::{Case, put_object, root, run};

/// A failing step of this job, as the exporter's trail has it.
fn record(job: &str, at: i64) -> Value {
    let mut case = Case::new();
    let error =
        json!({ "status": 409, "correlationId": format!("id-{job}"), "error": { "code": "conflict", "message": "x" } });
    case.step(job, at, "metadata_injection", "failure", error);
    case.trail.remove(0)
}

/// Text with `garbage` as a line of its own between two others.
fn around(lines: &[String], garbage: &[u8], place: usize) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    lines.insert(place % (lines.len() + 1), garbage);
    lines.join(&b'\n')
}

/// A file of each format, with `noise` where a line may be lost by itself, one of `garbage`, and what must be found in all.
fn evidence(noise: &[u8], garbage: &[u8], place: usize) -> (Members, Vec<String>) {
    let jobs: Vec<String> = (0..5).map(|n| format!("trail-{n}")).collect();
    let trail: Vec<String> = (0..).zip(&jobs).map(|(at, job)| record(job, at).to_string()).collect();
    let keys: Vec<String> = (0..5).map(|n| format!("access-{n}")).collect();
    let upload = |key: &String| line("02/Mar/2026:01:00:10 +0000", "exports", key, 403, "AccessDenied");
    let access: Vec<String> = keys.iter().map(upload).collect();
    let clients: Vec<String> = (0..SDKS.len()).map(|n| format!("client-{n}")).collect();
    let client = |n: usize| sdk(&record(&clients[n], 50), SDKS[n]);
    let row = |job: &str| format!("2026-03-02T01:00:00Z,{job},r-{job},upload,failure,403\n");
    let header = "timestamp,jobId,recordingId,step,outcome,status\n";
    let members = [
        ("trail.ndjson", around(&trail, noise, place)),
        ("access", around(&access, noise, place + 1)),
        (
            "cloudtrail.json",
            json!({ "Records": [put_object("cloud", 5, Some("Access Denied"))] }).to_string().into_bytes(),
        ),
        ("client.json.log", [client(0), client(2)].concat().into_bytes()),
        ("client.js.log", client(1).into_bytes()),
        ("client.py.log", client(3).into_bytes()),
        ("trail.csv", [header.to_owned(), row("table-1"), row("table-2")].concat().into_bytes()),
        ("trail.parquet", parquet(table_of(&[record("row-1", 7), record("row-2", 8)]), 1)),
        ("garbage", garbage.to_vec()),
    ];
    let others = ["recording-cloud", "table-1", "table-2", "row-1", "row-2"].map(str::to_owned);
    let clients = clients.into_iter().map(|job| format!("recording-{job}"));
    let expected = jobs.into_iter().chain(keys).chain(clients).chain(others).collect();
    (members.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec(), expected)
}

/// Writes the members as they are, or in a container.
fn write(case: &Case, members: &[(String, Vec<u8>)], container: usize, garbage: &[u8]) {
    // A table is read from its end, which a packed member has not.
    let (tables, texts): (Members, Members) = members.iter().cloned().partition(|(name, _)| name.ends_with(".parquet"));
    let packed = |bytes: Vec<u8>| case.write("logs/packed", bytes);
    let inner = |bytes: Vec<u8>| [("inner".to_owned(), bytes), ("more garbage".to_owned(), garbage.to_vec())];
    for (name, bytes) in if (1..=9).contains(&container) { &tables } else { members } {
        case.write(&format!("logs/{name}"), bytes);
    }
    match container {
        1 => texts.iter().for_each(|(name, bytes)| drop(case.write(&format!("logs/{name}.x"), gzip(bytes)))),
        2 => texts.iter().for_each(|(name, bytes)| drop(case.write(&format!("logs/{name}.x"), zstd(bytes)))),
        3 => drop(packed([tar(&texts), garbage.to_vec()].concat())),
        4 => drop(packed(gzip(&tar(&texts)))),
        5 => drop(packed(zstd(&tar(&texts)))),
        // Of a zip behind a zip the members claim each other's bytes: a forgery, which is refused as a whole, by name.
        6 if garbage.windows(2).any(|two| two == b"PK") => drop(packed(zip(&texts, 8))),
        6 => drop(packed([zip(&texts, 8), garbage.to_vec()].concat())),
        7 => drop(packed(zip(&texts, 93))),
        8 => drop(packed(gzip(&tar(&inner(zip(&texts, 8)))))),
        9 => drop(packed(zip(&inner(gzip(&tar(&texts))), 0))),
        _ => {}
    }
}

/// Bytes at random, and such as mean something.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop_oneof![any::<u8>(), proptest::sample::select(corpus::TELLING)];
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..600), proptest::collection::vec(telling, 0..300)]
}

/// The same, or a file of the corpus with some of its bytes damaged. Between lines these would not be noise: whole records
/// of another format say how a file is to be cut.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let corpus: Vec<Vec<u8>> = members_of(&root().join("fuzz/corpus")).into_iter().map(|(_, bytes)| bytes).collect();
    let damaged =
        (proptest::sample::select(corpus), any::<u64>()).prop_map(|(bytes, seed)| corpus::damage(&bytes, seed));
    prop_oneof![noise(), damaged]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn among_files_of_every_format_in_any_container_any_bytes_are_counted_and_lose_nothing_else(
        noise in noise(), garbage in garbage(), place in 0usize..6, container in 0usize..10,
    ) {
        let (members, expected) = evidence(&noise, &garbage, place);
        let case = Case::new();
        write(&case, &members, container, &garbage);
        let run = run(case.path(), &["analyze", "logs", "--format", "json"]);
        prop_assert!((0..=1).contains(&run.status), "{}", run.stderr);
        prop_assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        let report: Value = serde_json::from_str(&run.stdout).expect("a report");
        for file in report["coverage"]["files"].as_array().expect("a list") {
            let number = |name: &str| file[name].as_u64().expect("a number");
            prop_assert_eq!(number("records"), number("parsed") + number("rejected"), "{}", file);
        }
        let failures = report["failures"].as_array().expect("a list");
        for name in expected {
            let is = |failure: &Value| ["job_id", "recording_id", "object_key"].iter().any(|field| failure[*field] == json!(name));
            prop_assert!(failures.iter().any(is), "{} in container {}: {}", name, container, run.stderr);
        }
    }
}
