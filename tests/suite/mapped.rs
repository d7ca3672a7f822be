//! Mappings: foreign tables and JSON come out like the export trail that they could have been.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::parquet::{parquet, table_of};
use crate::support::{Case, Run, root, run, time};

/// The foreign names of the trail's steps and outcomes.
const STEPS: [(&str, &str); 9] = [
    ("metadata_injection", "MetaWrite"),
    ("hold_sync", "HoldAbgleich"),
    ("legal_hold.placed", "Sperre an"),
    ("legal_hold.synced", "Sperre fertig"),
    ("upload", "Ablegen"),
    ("export", "X"),
    ("query", "Q"),
    ("job.started", "Beginn"),
    ("credential.rotated", "NeuerSchluessel"),
];
const OUTCOMES: [(&str, &str); 3] = [("success", "OK"), ("failure", "KO"), ("timeout", "TMO")];

/// The fields of a mapping and the trail's names for them, but for the time, steps and outcomes.
const FIELDS: [(&str, &str); 17] = [
    ("job_id", "jobId"),
    ("conversation_id", "conversationId"),
    ("recording_id", "recordingId"),
    ("tenant_id", "tenantId"),
    ("region", "region"),
    ("http_status", "status"),
    ("error_code", "errorCode"),
    ("error_message", "errorMessage"),
    ("attempt", "attempt"),
    ("duration_ms", "durationMs"),
    ("principal", "principal"),
    ("scopes", "scopes"),
    ("hold_acknowledged", "legalHoldAcknowledgement"),
    ("hold_id", "holdId"),
    ("media_type", "mediaType"),
    ("bucket", "bucket"),
    ("object_key", "objectKey"),
];

/// The trail of the samples with the canonical names, from NDJSON and CSV alike.
pub fn samples() -> Vec<Value> {
    let read = |name: &str| fs::read_to_string(root().join("samples/trail").join(name)).expect("read");
    let ndjson = read("export-trail-2026-05-04.ndjson");
    let mut trail: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for record in &mut trail {
        let record = record.as_object_mut().expect("an object");
        for (name, inner) in [("errorCode", "code"), ("errorMessage", "message")] {
            let value = record.get("error").and_then(|error| error.get(inner)).cloned();
            value.map(|value| record.insert(name.to_owned(), value));
        }
        record.remove("error");
    }
    let names = [
        ("ts", "timestamp"),
        ("job_id", "jobId"),
        ("conversation_id", "conversationId"),
        ("recording_id", "recordingId"),
        ("tenant", "tenantId"),
        ("aws_region", "region"),
        ("stage", "step"),
        ("result", "outcome"),
        ("http_status", "status"),
        ("error_code", "errorCode"),
        ("error_message", "errorMessage"),
        ("try", "attempt"),
        ("duration_ms", "durationMs"),
        ("service_account", "principal"),
        ("media_type", "mediaType"),
        ("object_key", "objectKey"),
        ("correlation_id", "correlationId"),
    ];
    let csv = read("export-trail-2026-05-05.csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().expect("a header").clone();
    for row in reader.records() {
        let mut record = Map::new();
        for (name, cell) in header.iter().zip(&row.expect("a row")).filter(|(_, cell)| !cell.is_empty()) {
            let name = names.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
            let value = match name {
                "status" | "attempt" | "durationMs" => json!(cell.parse::<i64>().expect("a number")),
                "scopes" => json!(cell.split(' ').collect::<Vec<_>>()),
                _ => json!(cell),
            };
            record.insert(name.to_owned(), value);
        }
        trail.push(Value::Object(record));
    }
    trail
}

fn translated(pairs: &[(&str, &str)], word: &Value) -> Value {
    pairs.iter().find(|(ours, _)| *word == json!(ours)).map_or(word.clone(), |(_, theirs)| json!(theirs))
}

/// The trail under foreign names: `c_0`, `c_1` and so on, in the order of [`FIELDS`].
fn foreign(trail: &[Value]) -> Vec<Value> {
    let of = |record: &Value| {
        let mut foreign = Map::new();
        foreign.insert("wann".to_owned(), record["timestamp"].clone());
        foreign.insert("was".to_owned(), translated(&STEPS, &record["step"]));
        foreign.insert("wie".to_owned(), translated(&OUTCOMES, &record["outcome"]));
        foreign.insert("kette".to_owned(), record["correlationId"].clone());
        for (n, (_, name)) in FIELDS.iter().enumerate() {
            foreign.insert(format!("c_{n}"), record[*name].clone());
        }
        Value::Object(foreign)
    };
    trail.iter().map(of).collect()
}

/// A mapping for them; `place` says where a foreign name lies.
fn mapping(name: &str, read: &str, time: &str, place: &dyn Fn(&str) -> String) -> String {
    let table = |pairs: &[(&str, &str)]| {
        let pairs: Vec<String> = pairs.iter().map(|(ours, theirs)| format!("{theirs:?} = {ours:?}")).collect();
        format!("{{ {} }}", pairs.join(", "))
    };
    let fields = FIELDS.iter().enumerate().map(|(n, (field, _))| format!("{field} = {:?}\n", place(&format!("c_{n}"))));
    format!(
        "name = {name:?}\n[match]\ncolumns = [{:?}, {:?}]\n{read}\n[fields]\n{time}\ncorrelation_id = {:?}\n{}\
         step = {{ from = {:?}, values = {} }}\noutcome = {{ from = {:?}, values = {} }}\n",
        place("wann"),
        place("was"),
        place("kette"),
        fields.collect::<String>(),
        place("was"),
        table(&STEPS),
        place("wie"),
        table(&OUTCOMES),
    )
}

/// A copy of the samples but for the trail.
fn without_trail() -> Case {
    let case = Case::new();
    for folder in ["cloudtrail", "genesys", "snapshots", "vault"] {
        for entry in fs::read_dir(root().join("samples").join(folder)).expect("a folder").flatten() {
            let name = format!("archive/{folder}/{}", entry.file_name().display());
            case.write(&name, fs::read(entry.path()).expect("read"));
        }
    }
    case
}

/// What of a failure does not depend on how its records are written.
fn gist(failure: &Value) -> Value {
    let evidence = failure["evidence"].as_array().expect("a list");
    let rules: Vec<Value> = evidence
        .iter()
        .map(|e| json!([e["rule"], e["weight"], e["statement"], e["records"].as_array().map(Vec::len)]))
        .collect();
    let mut gist = failure.clone();
    gist["evidence"] = Value::Array(rules);
    gist
}

pub fn analyze(folder: &Path, arguments: &[&str]) -> (Run, Value) {
    let run = run(folder, &[&["analyze", "--format", "json"], arguments].concat());
    let report = serde_json::from_str(&run.stdout).unwrap_or_default();
    (run, report)
}

pub fn gists(report: &Value) -> Vec<Value> {
    report["failures"].as_array().expect("a list").iter().map(gist).collect()
}

/// The samples' stories from the file `name` and the mapping `map`.
fn assert_twin(name: &str, bytes: &[u8], map: &str) {
    let expected: Value =
        serde_json::from_str(&run(root(), &["analyze", "samples", "--format", "json"]).stdout).expect("JSON");
    let case = without_trail();
    case.write(&format!("archive/{name}"), bytes);
    case.write("map.toml", map);
    let (run, report) = analyze(case.path(), &["archive", "--map", "map.toml"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(expected["failures"].as_array().map(Vec::len), Some(10));
    assert_eq!(gists(&report), gists(&expected));
    assert_eq!(report["summary"]["jobs"], expected["summary"]["jobs"]);
    let files = report["coverage"]["files"].as_array().expect("a list");
    let file = files.iter().find(|file| file["path"] == json!(format!("archive/{name}"))).expect("listed");
    let sha256 = holdtrace::evidence::Digest::of(map.as_bytes()).to_string();
    assert_eq!((&file["format"], &file["mapping"]), (&json!("mapped:twin"), &json!(sha256)));
    assert_eq!(report["rules"]["mappings"], json!([{ "name": "twin", "sha256": sha256 }]));
}

#[test]
fn a_parquet_file_by_a_mapping_comes_out_like_its_trail() {
    let bytes = parquet(table_of(&foreign(&samples())), 40);
    assert_twin("log.parquet", &bytes, &mapping("twin", "", "time = \"wann\"", &str::to_owned));
}

#[test]
fn a_csv_with_local_times_comes_out_like_its_trail() {
    let rows = foreign(&samples());
    let names: Vec<String> = rows[0].as_object().expect("an object").keys().cloned().collect();
    let mut writer = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    writer.write_record(&names).expect("written");
    for row in &rows {
        let cell = |name: &String| match &row[name.as_str()] {
            Value::Null => "\\N".to_owned(),
            Value::Array(items) => items.iter().map(|i| i.as_str().expect("a text")).collect::<Vec<_>>().join(","),
            // The zone is an hour or two east of UTC, by the season.
            Value::String(text) if name == "wann" => {
                let utc = chrono::DateTime::parse_from_rfc3339(text).expect("a time");
                utc.with_timezone(&chrono_tz::Europe::Berlin).format("%d.%m.%Y %H:%M:%S%.3f").to_string()
            }
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        writer.write_record(names.iter().map(cell)).expect("written");
    }
    let time = r#"time = { from = "wann", format = "%d.%m.%Y %H:%M:%S%.f", zone = "Europe/Berlin" }"#;
    let map = mapping("twin", "[read]\nnull = [\"\\\\N\"]", time, &str::to_owned);
    assert_twin("log.csv", &writer.into_inner().expect("written"), &map);
}

#[test]
fn nested_json_in_a_list_of_its_own_comes_out_like_its_trail() {
    let nested = |row: &Value| {
        let (mut inner, mut call) = (Map::new(), Map::new());
        for (name, value) in row.as_object().expect("an object") {
            if name == "wann" {
                let time = chrono::DateTime::parse_from_rfc3339(value.as_str().expect("a text")).expect("a time");
                inner.insert(name.clone(), json!(time.timestamp_millis()));
            } else {
                call.insert(name.clone(), value.clone());
            }
        }
        inner.insert("a/b".to_owned(), json!({ "call": call }));
        Value::Object(inner)
    };
    let items: Vec<Value> = foreign(&samples()).iter().map(nested).collect();
    let document =
        json!({ "about": { "items": [{ "not": "these" }], "data": 1 }, "data": { "page": 1, "items": items } });
    let place = |name: &str| if name == "wann" { name.to_owned() } else { format!("/a~1b/call/{name}") };
    let time = r#"time = { from = "/wann", format = "epoch_ms" }"#;
    let map = mapping("twin", "[read]\nrecords = \"/data/items\"", time, &place);
    assert_twin("log.json", document.to_string().as_bytes(), &map);
    assert_twin("pretty.json", serde_json::to_string_pretty(&document).expect("JSON").as_bytes(), &map);
}

#[test]
fn json_inside_of_a_column_comes_out_like_its_trail() {
    let rows = foreign(&samples());
    let lines: Vec<String> = rows
        .iter()
        .map(|row| json!({ "wann": row["wann"], "payload": row.to_string(), "was": row["was"] }).to_string())
        .collect();
    let place = |name: &str| if name == "wann" || name == "was" { name.to_owned() } else { format!("/payload/{name}") };
    let map = mapping("twin", "", "time = { from = \"wann\", format = \"rfc3339\" }", &place);
    assert_twin("log.ndjson", (lines.join("\n") + "\n").as_bytes(), &map);
}

#[test]
fn parts_made_with_a_mapping_say_what_the_files_say() {
    let case = without_trail();
    case.write("archive/log.parquet", parquet(table_of(&foreign(&samples())), 40));
    let map = mapping("twin", "", "time = \"wann\"", &str::to_owned);
    case.write("map.toml", &map);
    let (_, plain) = analyze(case.path(), &["archive", "--map", "map.toml"]);
    let made = run(case.path(), &["ingest", "archive", "--out", "parts", "--map", "map.toml"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    // With the mapping or without: the parts say by what they were read.
    for arguments in [&["parts", "--map", "map.toml"][..], &["parts"]] {
        assert_eq!(analyze(case.path(), arguments).1, plain, "{arguments:?}");
    }
    let again = run(case.path(), &["ingest", "archive", "--out", "parts", "--map", "map.toml"]);
    assert!(again.stderr.contains(" 0 read"), "{}", again.stderr);
    // A mapping that was changed is not the one that the parts were made with.
    case.write("map.toml", map.replace("\"KO\"", "\"NIX\""));
    let (other, _) = analyze(case.path(), &["parts", "--map", "map.toml"]);
    assert_eq!(other.status, 2);
    assert!(other.stderr.contains("read by another mapping"), "{}", other.stderr);
    let again = run(case.path(), &["ingest", "archive", "--out", "parts", "--map", "map.toml"]);
    assert!(again.stderr.contains(" 1 read"), "only what it is for is read again: {}", again.stderr);
    let (_, plain) = analyze(case.path(), &["archive", "--map", "map.toml"]);
    assert_eq!(analyze(case.path(), &["parts", "--map", "map.toml"]).1, plain);
    let again = run(case.path(), &["ingest", "archive", "--out", "parts"]);
    assert!(again.stderr.contains(" 1 read"), "without it the file is read again: {}", again.stderr);
}

#[test]
fn folders_of_parts_that_read_a_file_differently_are_not_mixed() {
    let case = Case::new();
    case.write("a.csv", "wann,was\n2026-03-02T01:00:00Z,Q\n");
    for name in ["one", "two"] {
        let map =
            format!("name = \"{name}\"\n[match]\ncolumns = [\"wann\"]\n[fields]\ntime = \"wann\"\nstep = \"was\"\n");
        case.write(&format!("{name}.toml"), map);
        let made = run(case.path(), &["ingest", "a.csv", "--out", name, "--map", &format!("{name}.toml")]);
        assert_eq!(made.status, 0, "{}", made.stderr);
    }
    let (mixed, _) = analyze(case.path(), &["one", "two"]);
    assert_eq!(mixed.status, 2);
    assert!(mixed.stderr.contains("by one mapping in one and by another in two"), "{}", mixed.stderr);
}

#[test]
fn a_mapped_call_without_a_step_is_a_record_of_whoever_was_called() {
    // The trail tells of two refusals; the gateway's log of the same two adds none.
    let mut case = Case::new();
    for (at, attempt) in [(10, 1), (60, 2)] {
        let more = json!({ "status": 403, "errorMessage": "Forbidden", "attempt": attempt });
        case.step("a", at, "upload", "failure", more);
    }
    let key = case.trail[0]["objectKey"].as_str().expect("a key").to_owned();
    let row = |at: i64| format!("{},PutObject,{key},exports,403,AccessDenied\n", time(at));
    case.write("gateway.csv", format!("t,call,path,store,code,why\n{}{}", row(10), row(60)));
    case.write(
        "map.toml",
        "name = \"gateway\"\n[match]\ncolumns = [\"t\", \"call\"]\n[fields]\ntime = \"t\"\noperation = \"call\"\n\
         object_key = \"path\"\nbucket = \"store\"\nhttp_status = \"code\"\nerror_code = \"why\"\n",
    );
    let failures = case.analyze_with(&["trail.ndjson", "gateway.csv", "--map", "map.toml"]);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0]["attempts"], 2);
    // By itself it is what is known.
    let alone = run(case.path(), &["analyze", "gateway.csv", "--map", "map.toml", "--format", "ndjson"]).objects();
    assert_eq!((alone[0]["step"].as_str(), alone[0]["attempts"].as_u64()), (Some("upload"), Some(2)));
}

#[test]
fn the_example_in_the_documentation_is_read_as_it_says() {
    let arguments = ["docs/mapping/exporter.csv", "--map", "docs/mapping/exporter.toml"];
    let (run, report) = analyze(root(), &arguments);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let failure = &report["failures"][0];
    assert_eq!((&failure["class"], &failure["mechanism"]), (&json!("scope_collision"), &json!("missing_scope")));
    assert_eq!(failure["first_failed_at"], "2026-03-02T07:30:04Z", "local time, an hour before");
    assert_eq!((&failure["bucket"], &failure["attempts"]), (&json!("nordwind-exports"), &json!(3)));
    assert_eq!(failure["missing_permissions"], json!(["recording:metadata:write"]));
}

#[test]
fn the_excerpt_in_the_documentation_is_a_mapping() {
    let page = fs::read_to_string(root().join("docs/mapping.md")).expect("read");
    let (excerpt, _) = page.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```")).expect("an excerpt");
    let mapping = holdtrace::ingest::Mapping::parse(excerpt, "the excerpt").expect("a mapping");
    assert_eq!((mapping.name.as_str(), mapping.columns.len()), ("exporter-db", 4));
    let whole = fs::read_to_string(root().join("docs/mapping/exporter.toml")).expect("read");
    for line in excerpt.lines() {
        assert!(whole.contains(line), "{line}");
    }
}

#[test]
fn a_mapping_goes_before_what_a_file_looks_like() {
    // The status is a flag of the exporter's own, and the column that is called error is not one.
    let case = Case::new();
    case.write(
        "trail.csv",
        format!("timestamp,jobId,recordingId,step,outcome,real\n{},a,r,upload,success,403\n", time(1)),
    );
    assert_eq!(analyze(case.path(), &["trail.csv"]).1["failures"], json!([]));
    case.write(
        "map.toml",
        "name = \"flag\"\n[match]\ncolumns = [\"real\"]\n[fields]\ntime = \"timestamp\"\njob_id = \"jobId\"\n\
         recording_id = \"recordingId\"\nstep = \"step\"\nhttp_status = \"real\"\n",
    );
    let (_, report) = analyze(case.path(), &["trail.csv", "--map", "map.toml"]);
    assert_eq!(report["failures"][0]["symptoms"]["forbidden"], 1);
}

#[test]
fn of_several_mappings_the_first_that_fits_is_taken_and_paths_narrow_it() {
    let case = Case::new();
    for name in ["in/a.csv", "in/b.csv"] {
        case.write(name, format!("t,job,step\n{},a,query\n", time(1)));
    }
    let map = |name: &str, path: &str| {
        format!(
            "name = \"{name}\"\n[match]\ncolumns = [\"t\"]\n{path}\n[fields]\ntime = \"t\"\njob_id = \"job\"\nstep = \"step\"\n"
        )
    };
    case.write("first.toml", map("first", "path = \"b.*\""));
    case.write("second.toml", map("second", ""));
    let formats = |arguments: &[&str]| {
        let (run, report) = analyze(case.path(), arguments);
        assert_eq!(run.status, 0, "{}", run.stderr);
        let files = report["coverage"]["files"].as_array().expect("a list").clone();
        files.iter().map(|file| file["format"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    let both = ["in", "--map", "first.toml", "--map", "second.toml"];
    assert_eq!(formats(&both), ["mapped:second", "mapped:first"]);
    let turned = ["in", "--map", "second.toml", "--map", "first.toml"];
    assert_eq!(formats(&turned), ["mapped:second", "mapped:second"]);
}

#[test]
fn a_mapping_that_is_for_no_file_is_noted() {
    let case = Case::new();
    case.write(
        "in/trail.ndjson",
        format!("{}\n", json!({ "timestamp": time(1), "jobId": "a", "step": "query", "outcome": "ok" })),
    );
    case.write("map.toml", "name = \"other\"\n[match]\ncolumns = [\"nope\", \"/a/b\"]\n[fields]\ntime = \"nope\"\n");
    let (ran, report) = analyze(case.path(), &["in", "--map", "map.toml"]);
    assert_eq!(ran.status, 0);
    let note = report["coverage"]["skipped"][0].as_str().expect("a note");
    assert!(note.contains("`other` was not used") && note.contains("`nope`, `/a/b`"), "{note}");
    for arguments in [
        &["analyze", "in", "--map", "map.toml", "--format", "table"][..],
        &["timeline", "in", "--map", "map.toml", "--job", "a"],
        &["ingest", "in", "--map", "map.toml", "--out", "parts"],
        &["evaluate", "in", "--map", "map.toml", "--truth", "truth.json"],
    ] {
        case.write("truth.json", r#"{"failures":[]}"#);
        let run = run(case.path(), arguments);
        assert_eq!(run.stderr.matches("was not used").count(), 1, "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn records_that_a_mapping_cannot_read_are_rejected_with_the_reason() {
    let case = Case::new();
    let lines = [
        format!("INFO {}", json!({ "t": "2026-03-02T01:00:00Z", "s": "query" })),
        json!({ "t": "yesterday", "s": "query" }).to_string(),
        json!({ "s": "query" }).to_string(),
        "{\"t\":".to_owned(),
        json!({ "t": "2026-03-02T01:00:01Z" }).to_string(),
    ];
    case.write("log.ndjson", lines.join("\n"));
    case.write("map.toml", "name = \"m\"\n[match]\ncolumns = [\"t\", \"s\"]\n[fields]\ntime = { from = \"t\", format = \"rfc3339\" }\nstep = \"s\"\n");
    let (run, report) = analyze(case.path(), &["log.ndjson", "--map", "map.toml"]);
    let file = &report["coverage"]["files"][0];
    assert_eq!((run.status, &file["parsed"], &file["rejected"]), (1, &json!(2), &json!(3)));
    for (n, words) in
        ["`yesterday` is no time of the format", "no time where the mapping `m` says", "not JSON"].iter().enumerate()
    {
        assert!(file["rejects"][n]["reason"].as_str().expect("a reason").contains(words), "{file}");
    }
}

#[test]
fn times_are_read_as_the_mapping_says() {
    for (rule, value, expected) in [
        (r#""t""#, "2026-03-02 01:00:00", "2026-03-02T00:00:00Z"),
        (r#"{ from = "t", zone = "-05:00" }"#, "2026-03-02 01:00:00", "2026-03-02T06:00:00Z"),
        (r#"{ from = "t", zone = "-05:00" }"#, "2026-03-02T01:00:00Z", "2026-03-02T01:00:00Z"),
        (r#"{ from = "t", format = "epoch_s" }"#, "1772413200.25", "2026-03-02T01:00:00.250Z"),
        (r#"{ from = "t", format = "epoch_us" }"#, "1772413200000001", "2026-03-02T01:00:00.000001Z"),
        (r#"{ from = "t", format = "epoch_ns" }"#, "1772413200000001999", "2026-03-02T01:00:00.000001Z"),
        (r#"{ from = "t", format = "%d/%b/%Y:%H:%M:%S %z" }"#, "02/Mar/2026:03:00:00 +0200", "2026-03-02T01:00:00Z"),
        (r#"{ from = "t", format = "%m/%d/%y %I:%M %p" }"#, "03/02/26 01:30 PM", "2026-03-02T12:30:00Z"),
        (r#"{ from = "t", format = "%Y%m%dT%H%M%SZ", zone = "UTC" }"#, "20260302T010000Z", "2026-03-02T01:00:00Z"),
        (r#"{ join = ["t", "u"], format = "%Y-%m-%d %H:%M" }"#, "2026-03-02", "2026-03-02T11:05:00Z"),
        (r#"{ from = "t", pattern = "at (.+)$" }"#, "seen at 2026-03-02T01:00:00Z", "2026-03-02T01:00:00Z"),
    ] {
        let case = Case::new();
        case.write("log.ndjson", json!({ "t": value, "u": "12:05", "s": "query" }).to_string());
        case.write(
            "map.toml",
            format!("name = \"m\"\n[match]\ncolumns = [\"t\"]\n[fields]\ntime = {rule}\nstep = \"s\"\n"),
        );
        let (run, report) = analyze(case.path(), &["log.ndjson", "--map", "map.toml", "--assume-tz", "+01:00"]);
        let file = &report["coverage"]["files"][0];
        assert_eq!(file["first_time"], expected, "{rule}: {}", run.stderr);
        let assumed = !rule.contains("zone") && !value.contains('Z') && !rule.contains("epoch") && !rule.contains("%z");
        assert_eq!(file["zoneless_times"], json!(u8::from(assumed)), "{rule}");
    }
}

#[test]
fn values_are_picked_translated_and_filled_in() {
    let case = Case::new();
    let rows = ["1,,HTTP 403 Forbidden,2.5", "2,E7,,0.5", "3,none,HTTP 200 OK,1"];
    let rows: Vec<String> = rows.iter().zip(1..).map(|(row, n)| format!("{},job,rec-{n},{row}", time(n))).collect();
    case.write("log.csv", format!("t,job,rec,kind,err,text,secs\n{}", rows.join("\n")));
    case.write(
        "map.toml",
        "name = \"m\"\n[match]\ncolumns = [\"t\", \"kind\"]\n[read]\nnull = [\"none\"]\n[fields]\ntime = \"t\"\njob_id = \"job\"\n\
         recording_id = \"rec\"\nstep = { from = \"kind\", values = { 1 = \"upload\" }, otherwise = \"verify\" }\n\
         outcome = { from = \"err\", values = { E7 = \"timeout\" }, empty = \"success\" }\n\
         http_status = { from = \"text\", pattern = 'HTTP (\\d+)' }\nduration_ms = { from = \"secs\", unit = \"s\" }\n\
         media_type = { constant = \"voice\" }\nbucket = { join = [\"job\", \"kind\"], with = \"-\" }\n",
    );
    let made = run(case.path(), &["ingest", "log.csv", "--out", "parts", "--map", "map.toml"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let check = run(case.path(), &["map", "check", "log.csv", "--map", "map.toml"]);
    assert_eq!(check.status, 0, "{}", check.stderr);
    for line in [
        "3 records: 3 read, 0 rejected",
        "http_status        2",
        "steps: upload 1, verify 2",
        "outcomes: success 2, timeout 1",
    ] {
        assert!(check.stdout.contains(line), "{line}: {}", check.stdout);
    }
    let timeline =
        run(case.path(), &["timeline", "log.csv", "--map", "map.toml", "--job", "job", "--format", "ndjson"]).objects();
    let of = |n: usize, field: &str| timeline[n][field].clone();
    assert_eq!((of(0, "source"), of(0, "what"), of(0, "http_status")), (json!("mapped"), json!("upload"), json!(403)));
    assert_eq!(
        (of(0, "outcome"), of(1, "outcome"), of(2, "outcome")),
        (json!("success"), json!("timeout"), json!("success"))
    );
    let failures = run(case.path(), &["analyze", "log.csv", "--map", "map.toml", "--format", "ndjson"]).objects();
    assert_eq!((&failures[0]["bucket"], &failures[0]["media_type"]), (&json!("job-2"), &json!("voice")));
}

#[test]
fn secrets_in_what_a_mapping_reads_are_blanked() {
    let case = Case::new();
    let row = json!({ "t": time(1), "s": "upload", "m": "403 Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123", "h": 403, "j": "a" });
    case.write("log.ndjson", row.to_string());
    case.write("map.toml", "name = \"m\"\n[match]\ncolumns = [\"t\"]\n[fields]\ntime = \"t\"\nstep = \"s\"\nerror_message = \"m\"\nhttp_status = \"h\"\njob_id = \"j\"\n");
    let (run, report) = analyze(case.path(), &["log.ndjson", "--map", "map.toml"]);
    assert!(!run.stdout.contains("abcdefghijklmnop"));
    assert_eq!(report["coverage"]["files"][0]["redacted"], 1);
}

#[test]
fn what_is_wrong_in_a_mapping_is_said_in_one_sentence_with_its_line() {
    let head = "name = \"m\"\n[match]\ncolumns = [\"t\"]\n[fields]\n";
    let with = |rest: &str| format!("{head}{rest}\n");
    for (text, words) in [
        ("name = \"m".to_owned(), "map.toml: line 1: "),
        ("[match]\ncolumns = [\"t\"]".to_owned(), "it has no `name`"),
        (with("").replace("m\"", "Big Name\""), "line 1: expected a name of small letters"),
        ("name = \"m\"\n".to_owned(), "it has no [match]"),
        ("name = \"m\"\n[match]\npath = \"*\"\n".to_owned(), "[match] has no `columns`"),
        (with("time = \"t\"").replace("[\"t\"]", "[]"), "line 3: expected at least one"),
        (with("time = \"t\"").replace("columns", "colums"), "line 3: [match] has no `colums`; did you mean `columns`?"),
        (with("step = \"s\""), "[fields] has no `time`"),
        (with("time = \"t\"\njobid = \"j\""), "line 6: an event has no `jobid`; did you mean `job_id`?"),
        (with("time = \"t\"\nxyz = \"j\""), "line 6: an event has no `xyz`; expected one of time, outcome"),
        (
            with("time = { from = \"t\", fromat = \"any\" }"),
            "line 5: the field `time` has no `fromat`; did you mean `format`?",
        ),
        (with("time = { from = \"t\", format = \"iso\" }"), "`iso` is no format of times; expected any, rfc3339"),
        (with("time = { from = \"t\", format = \"%Y-%m-%d\" }"), "leaves a part of the time open"),
        (with("time = { from = \"t\", format = \"%Y-%m-%d %I:%M\" }"), "leaves a part of the time open"),
        (with("time = { from = \"t\", format = \"%Q\" }"), "is no format of times"),
        (with("time = { from = \"t\", zone = \"Berlin\" }"), "`Berlin` is no zone"),
        (
            with("time = \"t\"\nstep = { from = \"s\", values = { a = \"metadata_injecton\" } }"),
            "did you mean `metadata_injection`?",
        ),
        (
            with("time = \"t\"\noutcome = { from = \"s\", otherwise = \"sucess\" }"),
            "`sucess` is no outcome; did you mean `success`?",
        ),
        (with("time = \"t\"\nhttp_status = { constant = 42 }"), "`42` is no HTTP status"),
        (with("time = \"t\"\nhold_acknowledged = { from = \"s\", empty = \"perhaps\" }"), "`perhaps` is no yes or no"),
        (with("time = \"t\"\nstep = { from = \"s\", pattern = \"(\" }"), "`(` is no regular expression"),
        (with("time = \"t\"\nstep = { from = \"s\", format = \"any\" }"), "the field `step` has no `format`"),
        (with("time = \"t\"\nstep = { from = \"s\", join = [\"a\"] }"), "needs one of `from`, `join` and `constant`"),
        (with("time = \"t\"\nduration_ms = { from = \"s\", unit = \"min\" }"), "`min` is no unit of durations"),
        (with("time = \"t\"\nstep = 2026-01-01"), "expected a text, found datetime"),
        (with("time = \"t\"").replace("[fields]", "[read]\nrecords = \"/a/\"\n[fields]"), "expected a JSON pointer"),
        (with("time = \"t\"").replace("columns = [\"t\"]", "columns = [\"t\"]\npath = \"a[\""), "`a[` is no glob"),
    ] {
        let case = Case::new();
        case.write("log.ndjson", json!({ "t": time(1), "s": "query" }).to_string());
        case.write("map.toml", &text);
        let run = run(case.path(), &["analyze", "log.ndjson", "--map", "map.toml"]);
        assert_eq!(run.status, 2, "{text}");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(
            run.stderr.starts_with("holdtrace: map.toml: ") && run.stderr.contains(words),
            "{words}: {}",
            run.stderr
        );
    }
}

#[test]
fn show_finds_records_in_a_list_that_only_a_mapping_knows() {
    let case = Case::new();
    let record = json!({ "t": time(1), "j": "a", "s": "upload", "h": 403 }).to_string();
    case.write("log.json", format!("{{\"x\":{{\"list\":[{record}]}}}}"));
    case.write("map.toml", "name = \"m\"\n[match]\ncolumns = [\"t\"]\n[read]\nrecords = \"/x/list\"\n[fields]\ntime = \"t\"\njob_id = \"j\"\nstep = \"s\"\nhttp_status = \"h\"\n");
    let id = holdtrace::evidence::Digest::of(record.as_bytes()).record_id();
    let shown = run(case.path(), &["show", &id, "log.json", "--map", "map.toml", "--raw"]);
    assert_eq!((shown.status, shown.stdout.as_str()), (0, record.as_str()), "{}", shown.stderr);
    let timeline =
        run(case.path(), &["timeline", "log.json", "--map", "map.toml", "--job", "a", "--format", "ndjson"]).objects();
    assert_eq!((&timeline[0]["record_id"], &timeline[0]["offset"]), (&json!(id), &json!(14)));
}

#[test]
fn a_draft_is_made_from_the_first_record_that_says_anything() {
    let case = Case::new();
    case.write("log.ndjson", "{}\n{\"when\":\"2026-03-02T01:00:00Z\",\"task\":\"a\"}\n");
    let draft = run(case.path(), &["map", "init", "log.ndjson"]);
    assert!(draft.stdout.contains("columns = [\"when\""), "{}{}", draft.stdout, draft.stderr);
    case.write("map.toml", &draft.bytes);
    let check = run(case.path(), &["map", "check", "log.ndjson", "--map", "map.toml"]).stdout;
    assert!(check.contains("1 read") && check.contains("from 2026-03-02T01:00:00Z to 2026-03-02T01:00:00Z"), "{check}");
    case.write("nothing.json", "[{},{}]");
    let draft = run(case.path(), &["map", "init", "nothing.json"]);
    assert_eq!((draft.status, draft.stderr.lines().count()), (2, 1), "{}", draft.stderr);
    assert!(draft.stderr.contains("have no members"), "{}", draft.stderr);
}
