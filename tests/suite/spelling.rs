//! The same trail, spelled as other exporters spell it, gives the same verdicts.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::support::{Case, root, run};

/// What a verdict comes down to, for comparison across spellings.
fn essence(case: &Case) -> Vec<String> {
    let run = run(case.path(), &["analyze", ".", "--format", "ndjson"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let fields = [
        "job_id",
        "recording_id",
        "class",
        "mechanism",
        "support",
        "missing_permissions",
        "first_failed_at",
        "recovered_at",
        "attempts",
        "symptoms",
        "media_type",
        "tenant_id",
        "object_key",
    ];
    run.objects().iter().map(|f| fields.map(|name| f[name].to_string()).join(" ")).collect()
}

/// The samples' first trail, with everything else of the samples beside it.
fn with_trail(name: &str, bytes: &[u8]) -> Case {
    let case = Case::new();
    for folder in ["cloudtrail", "genesys", "vault", "snapshots"] {
        for file in std::fs::read_dir(root().join("samples").join(folder)).expect("listed").flatten() {
            case.write(&format!("{folder}/{}", file.file_name().display()), std::fs::read(file.path()).expect("read"));
        }
    }
    case.write(name, bytes);
    case
}

fn trail() -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(root().join("samples/trail/export-trail-2026-05-04.ndjson")).expect("read");
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.map(|r| r.as_object().expect("an object").clone()).collect()
}

fn micros(record: &Map<String, Value>) -> i64 {
    let text = record["timestamp"].as_str().expect("a time");
    chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros()
}

/// The record under other names: nested, with epoch milliseconds, upper-case outcomes and statuses as text.
fn nested(record: &Map<String, Value>) -> Value {
    let mut other = json!({ "@timestamp": micros(record) / 1000 });
    for (name, value) in record {
        let path: &[&str] = match name.as_str() {
            "jobId" => &["job", "id"],
            "conversationId" => &["Conversation", "ID"],
            "recordingId" => &["recording", "id"],
            "tenantId" => &["organization_id"],
            "region" => &["cloud", "region"],
            "step" => &["event"],
            "outcome" => &["RESULT"],
            "status" => &["http", "status"],
            "error" => &["response"],
            "attempt" => &["retry"],
            "durationMs" => &["elapsed_ms"],
            "principal" => &["client", "id"],
            "scopes" => &["token", "scopes"],
            "legalHoldAcknowledgement" => &["request", "legal-hold-acknowledgement"],
            "holdId" => &["hold", "id"],
            "mediaType" => &["channel"],
            "bucket" => &["s3", "bucket"],
            "objectKey" => &["s3", "key"],
            "correlationId" => &["ININ-Correlation-Id"],
            _ => continue,
        };
        let value = match (name.as_str(), value) {
            ("outcome", Value::String(s)) => json!(s.to_uppercase()),
            ("step", Value::String(s)) => json!(s.replace('_', "-").to_uppercase()),
            ("status", number) => json!(format!("{number} Whatever")),
            ("scopes", Value::Array(list)) => {
                json!(list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
            }
            (_, value) => value.clone(),
        };
        let mut place = &mut other;
        for part in path {
            place = &mut place[*part];
        }
        *place = value;
    }
    other
}

fn lines(records: impl Iterator<Item = Value>) -> Vec<u8> {
    records.map(|r| r.to_string() + "\n").collect::<String>().into_bytes()
}

fn expected() -> Vec<String> {
    let found = essence(&with_trail("trail.ndjson", &lines(trail().into_iter().map(Value::Object))));
    assert_eq!(found.iter().filter(|f| f.contains("missing_scope")).count(), 2);
    found
}

#[test]
fn nested_names_in_any_case_with_epoch_milliseconds() {
    assert_eq!(essence(&with_trail("trail.log", &lines(trail().iter().map(nested)))), expected());
}

#[test]
fn a_pretty_printed_array() {
    let array = Value::Array(trail().iter().map(nested).collect());
    assert_eq!(essence(&with_trail("t", serde_json::to_string_pretty(&array).expect("JSON").as_bytes())), expected());
}

#[test]
fn epoch_seconds_and_microseconds() {
    for unit in ["seconds", "micros"] {
        let records = trail().into_iter().map(|mut record| {
            let micros = micros(&record);
            #[expect(clippy::cast_precision_loss, reason = "epoch microseconds stay below 2^53")]
            let time = if unit == "seconds" { json!(micros as f64 / 1e6) } else { json!(micros) };
            record.insert("timestamp".to_owned(), time);
            Value::Object(record)
        });
        assert_eq!(essence(&with_trail("t.ndjson", &lines(records))), expected(), "{unit}");
    }
}

#[test]
fn gzip_and_zstd_under_any_name() {
    let plain = lines(trail().into_iter().map(Value::Object));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).expect("packed");
    assert_eq!(essence(&with_trail("trail.txt", &gzip.finish().expect("packed"))), expected());
    assert_eq!(essence(&with_trail("trail", &zstd::encode_all(&plain[..], 3).expect("packed"))), expected());
}

#[test]
fn csv_with_semicolons_and_quotes() {
    let names = [
        "timestamp",
        "jobId",
        "conversationId",
        "recordingId",
        "tenantId",
        "region",
        "step",
        "outcome",
        "status",
        "error.code",
        "error.message",
        "attempt",
        "durationMs",
        "principal",
        "scopes",
        "legalHoldAcknowledgement",
        "holdId",
        "mediaType",
        "bucket",
        "objectKey",
        "correlationId",
    ];
    let mut writer =
        csv::WriterBuilder::new().delimiter(b';').quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    writer.write_record(names).expect("written");
    for record in trail() {
        let record = Value::Object(record);
        let cell = |name: &str| match record.pointer(&format!("/{}", name.replace('.', "/"))) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";"),
            Some(other) => other.to_string(),
        };
        writer.write_record(names.map(cell)).expect("written");
    }
    assert_eq!(essence(&with_trail("trail.csv", &writer.into_inner().expect("written"))), expected());
}

#[test]
fn records_that_come_twice_count_once() {
    let plain = lines(trail().into_iter().map(Value::Object));
    let case = with_trail("trail.ndjson", &plain);
    case.write("again/trail-copy.ndjson", &plain);
    assert_eq!(essence(&case), expected());
    let json: Value =
        serde_json::from_str(&run(case.path(), &["analyze", ".", "--format", "json"]).stdout).expect("JSON");
    assert_eq!(json["summary"]["duplicates"], json!(trail().len()));
}
