//! Parquet: rows are records like all others, and forged files are refused in bounded memory.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};

use holdtrace::evidence::{self, Digest, Expansion, Place, Stream};
use polars::prelude::*;
use polars_io::parquet::write::ParquetWriter;
use polars_parquet_format::thrift::protocol::TCompactOutputProtocol;
use polars_parquet_format::{FieldRepetitionType, FileMetaData, SchemaElement, Type};
use serde_json::{Value, json};

use crate::support::{Case, Run, command, root, run};

/// A table of the columns that the trail of a case has, each with the type that its values ask for.
pub fn table_of(trail: &[Value]) -> DataFrame {
    let mut names: Vec<&String> =
        trail.iter().flat_map(|record| record.as_object().expect("an object").keys()).collect();
    names.sort();
    names.dedup();
    let column = |name: &&String| {
        let values: Vec<&Value> = trail.iter().map(|record| &record[name.as_str()]).collect();
        let name = PlSmallStr::from(name.as_str());
        if values.iter().any(|value| value.is_i64()) {
            return Column::new(name, values.iter().map(|value| value.as_i64()).collect::<Vec<_>>());
        }
        if values.iter().any(|value| value.is_boolean()) {
            return Column::new(name, values.iter().map(|value| value.as_bool()).collect::<Vec<_>>());
        }
        if values.iter().any(|value| value.is_array()) {
            let list = |value: &&Value| {
                let items = value.as_array()?.iter().map(|item| item.as_str().expect("a text").to_owned());
                Some(Series::new(PlSmallStr::EMPTY, items.collect::<Vec<_>>()))
            };
            return Column::new(name, values.iter().map(list).collect::<Vec<_>>());
        }
        let time =
            |value: &&Value| chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|t| t.timestamp_micros());
        let times: Vec<Option<i64>> = values.iter().map(time).collect();
        if values.iter().zip(&times).all(|(value, time)| value.is_null() == time.is_none())
            && times.iter().any(Option::is_some)
        {
            let times = Int64Chunked::from_iter_options(name, times.into_iter());
            return times.into_datetime(TimeUnit::Microseconds, None).into_series().into();
        }
        Column::new(name, values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Vec<_>>())
    };
    DataFrame::new(trail.len(), names.iter().map(column).collect()).expect("a table")
}

/// A table as Parquet, with row groups of so many rows.
pub fn parquet(mut table: DataFrame, group: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_row_group_size(Some(group)).finish(&mut table).expect("written");
    bytes
}

/// What a file is presented as, and why no more.
fn text(path: &std::path::Path) -> (String, Option<String>) {
    let most = Expansion::Times(evidence::Bounds::default().expansion);
    let mut stream = Stream::open(&Place::File(path.into())).expect("opened").bounded(most);
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err().map(|e| e.to_string());
    (String::from_utf8(bytes).expect("UTF-8"), error)
}

fn fixture(name: &str) -> std::path::PathBuf {
    root().join("tests/fixtures/parquet").join(name)
}

/// Analyses `bytes` as a file of their own.
fn analyze(bytes: &[u8]) -> (Run, Case) {
    let case = Case::new();
    case.write("log.parquet", bytes);
    let run = run(case.path(), &["analyze", "log.parquet", "--format", "json"]);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    (run, case)
}

/// A case of one failing job, and its trail.
fn failing() -> Case {
    let mut case = Case::new();
    case.contrast();
    case.start("a", 0, &["recording:export"], json!({}));
    case.step("a", 1, "metadata_injection", "timeout", json!({ "status": 504 }));
    case.step("a", 60, "metadata_injection", "failure", json!({ "status": 403, "errorMessage": "Forbidden" }));
    case
}

#[test]
fn every_type_is_written_as_documented() {
    let (text, error) = text(&fixture("types.parquet"));
    assert_eq!(error, None);
    let lines: Vec<&str> = text.lines().collect();
    let first = concat!(
        r#"{"text":"a \"quoted\" line\nand more","large":"x","flag":true,"i8":-1,"u16":1,"i64":9007199254740993,"#,
        r#""u64":18446744073709551615,"f32":0.1,"f64":0.1,"price":12.50,"day":"2026-05-04","#,
        r#""at_s":"2026-05-04T06:00:02.000","at_ms":"2026-05-04T06:00:02.123Z","at_us":"2026-05-04T06:00:02.123456Z","#,
        r#""at_ns":"2026-05-04T06:00:02.123456000","clock":"06:00:02.000005","bytes":"00ff","fixed":"dead","#,
        r#""id":"9131d280-4368-44af-94a2-4c431ca00858","kind":"voice","scopes":["a:b","c:d"],"#,
        r#""deep":{"code":"x","at":{"n":[1,null]}},"pairs":[{"key":"k","value":1}],"#,
        r#""attempts":[{"n":1,"ok":false},{"n":2,"ok":true}],"nothing":null}"#
    );
    assert_eq!(lines[0], first);
    let nulls: Value = serde_json::from_str(lines[1]).expect("JSON");
    assert!(nulls.as_object().expect("an object").values().all(Value::is_null), "{nulls}");
    assert_eq!(nulls.as_object().map(serde_json::Map::len), Some(25), "nothing is left out");
    assert!(lines[2].contains(r#""text":"\u001b[31mred\u0007""#), "{}", lines[2]);
    assert!(lines[2].contains(r#""f32":"NaN","f64":"-Infinity","price":-0.05,"day":"1969-12-31""#), "{}", lines[2]);
    assert!(lines[2].contains(r#""bytes":"text","fixed":"beef""#), "{}", lines[2]);
    assert!(lines[2].contains(r#""scopes":[],"deep":{"code":null,"at":null},"pairs":[]"#), "{}", lines[2]);
    let (old, error) = self::text(&fixture("int96.parquet"));
    assert_eq!(error, None);
    assert!(old.contains(r#""at_us":"2026-05-04T06:00:02.123456000""#), "{old}");
}

#[test]
fn a_trail_in_parquet_is_read_without_a_mapping_and_judged_like_its_twin() {
    let case = failing();
    let expected = case.failure();
    let twin = Case::new();
    // More rows than a row group.
    twin.write("trail.parquet", parquet(table_of(&case.trail), 7));
    let run = run(twin.path(), &["analyze", "trail.parquet", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let found = &report["failures"][0];
    for field in ["failure_id", "class", "mechanism", "support", "attempts", "hypotheses", "first_failed_at"] {
        assert_eq!(found[field], expected[field], "{field}");
    }
    let file = &report["coverage"]["files"][0];
    let sha256 = Digest::of(&fs::read(twin.path().join("trail.parquet")).expect("read")).to_string();
    assert_eq!(file["sha256"], json!(sha256), "of the file as found");
    assert_eq!((&file["format"], &file["records"]), (&json!("export_trail"), &json!(case.trail.len())));
    assert_eq!(file["zoneless_times"], json!(case.trail.len()), "a column without a zone leaves it to --assume-tz");
}

#[test]
fn a_row_is_cited_shown_and_found_again_by_its_line() {
    let case = failing();
    let twin = Case::new();
    twin.write("trail.parquet", parquet(table_of(&case.trail), 7));
    let (text, _) = text(&twin.path().join("trail.parquet"));
    let failure = &run(twin.path(), &["analyze", "trail.parquet", "--format", "ndjson"]).objects()[0];
    let ids = failure["evidence"][0]["records"].as_array().expect("a list");
    for id in ids.iter().map(|id| id.as_str().expect("a text")) {
        let shown = run(twin.path(), &["show", id, "trail.parquet"]);
        assert_eq!(shown.status, 0, "{}", shown.stderr);
        let number = |name: &str| {
            let line = shown.stdout.lines().find(|line| line.starts_with(name)).expect("a line");
            line.split_whitespace().last().expect("a number").parse::<usize>().expect("a number")
        };
        let (offset, length) = (number("offset"), number("length"));
        let line = &text[offset..offset + length];
        assert_eq!(text.lines().nth(number("record")), Some(line));
        assert_eq!(Digest::of(line.as_bytes()).record_id(), id);
        assert!(shown.stdout.contains(line));
    }
}

#[test]
fn large_files_keep_every_row_in_order() {
    let n = 40_000i64;
    let column =
        |name: &str, text: &dyn Fn(i64) -> String| Column::new(name.into(), (0..n).map(text).collect::<Vec<_>>());
    let table = DataFrame::new(
        usize::try_from(n).expect("fits"),
        vec![
            Column::new("timestamp".into(), (0..n).map(|i| 1_772_413_200 + i).collect::<Vec<_>>()),
            column("jobId", &|i| format!("job-{i}")),
            column("step", &|_| "export".to_owned()),
            column("outcome", &|_| "success".to_owned()),
        ],
    )
    .expect("a table");
    let case = Case::new();
    case.write("large.parquet", parquet(table, 23_000));
    let (text, error) = text(&case.path().join("large.parquet"));
    assert_eq!(error, None);
    let jobs = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["jobId"].clone());
    assert!(jobs.eq((0..n).map(|i| json!(format!("job-{i}")))));
}

#[test]
fn a_file_that_was_cut_off_is_refused_in_one_sentence() {
    let whole = parquet(table_of(&failing().trail), 7);
    for length in [4, 11, 12, whole.len() / 2, whole.len() - 1] {
        let (run, _) = analyze(&whole[..length]);
        assert_eq!(run.status, 2, "{length}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains("does not end as one"), "{}", run.stderr);
    }
}

#[test]
fn rows_before_a_broken_row_group_are_kept() {
    let trail = failing().trail;
    let mut bytes = parquet(table_of(&trail), 7);
    let metadata = polars_parquet::read::read_metadata(&mut Cursor::new(&bytes)).expect("a footer");
    let range = metadata.row_groups.last().expect("a row group").full_byte_range();
    let (start, end) = (usize::try_from(range.start).expect("fits"), usize::try_from(range.end).expect("fits"));
    bytes[start..end].fill(0xff);
    let (run, _) = analyze(&bytes);
    let report: Value = serde_json::from_str(&run.stdout).expect("a report");
    let file = &report["coverage"]["files"][0];
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(file["parsed"].as_u64() >= Some(14) && file["parsed"].as_u64() < Some(trail.len() as u64), "{file}");
    assert_eq!(file["rejected"], 1);
    let reason = file["rejects"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("row group"), "{reason}");
    assert!(file["sha256"].is_string(), "the file as found is hashed to its end");
}

#[test]
fn forged_bytes_anywhere_end_neither_in_a_panic_nor_in_rows_that_are_no_json() {
    let whole = fs::read(fixture("types.parquet")).expect("read");
    let case = Case::new();
    for (n, at) in (0..whole.len()).step_by(7).enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= [0xff, 0x01, 0x80][n % 3];
        let path = case.write("forged.parquet", &bytes);
        if bytes.starts_with(b"PAR1") {
            let mut stream = Stream::open(&Place::File(path.as_path().into())).expect("opened");
            let mut read = Vec::new();
            let broken = stream.read_to_end(&mut read).is_err();
            let lines = read.split(|b| *b == b'\n').filter(|line| !line.is_empty());
            let json = lines.filter(|line| serde_json::from_slice::<Value>(line).is_ok_and(|v| v.is_object())).count();
            assert!(broken || json == 3, "byte {at}: {json} rows");
        }
    }
}

/// A file of nothing but a footer.
fn of_footer(footer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(footer.len()).expect("fits").to_le_bytes();
    [&b"PAR1"[..], footer, &length, b"PAR1"].concat()
}

fn element(name: &str, children: Option<i32>) -> SchemaElement {
    SchemaElement {
        type_: children.is_none().then_some(Type::INT32),
        type_length: None,
        repetition_type: Some(FieldRepetitionType::OPTIONAL),
        name: name.to_owned(),
        num_children: children,
        converted_type: None,
        scale: None,
        precision: None,
        field_id: None,
        logical_type: None,
    }
}

fn footer(schema: Vec<SchemaElement>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let metadata = FileMetaData {
        version: 1,
        schema,
        num_rows: 0,
        row_groups: Vec::new(),
        key_value_metadata: None,
        created_by: None,
        column_orders: None,
        encryption_algorithm: None,
        footer_signing_key_metadata: None,
    };
    metadata.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut bytes)).expect("written");
    bytes
}

#[test]
fn footers_that_would_exhaust_stack_or_memory_are_refused() {
    let mut deep: Vec<SchemaElement> = (0..200_000).map(|_| element("a", Some(1))).collect();
    deep.push(element("leaf", None));
    let deep_only: Vec<SchemaElement> =
        (0..100).map(|_| element("a", Some(1))).chain([element("leaf", None)]).collect();
    let mut long = element("fixed", None);
    (long.type_, long.type_length) = (Some(Type::FIXED_LEN_BYTE_ARRAY), Some(i32::MAX));
    let many: Vec<SchemaElement> =
        [element("root", Some(20_000))].into_iter().chain((0..20_000).map(|n| element(&n.to_string(), None))).collect();
    // A list of schema elements that claims two thousand million of them.
    let lying = [&[0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07][..], &[0; 64]].concat();
    for (footer, words) in [
        (footer(deep), "columns, more than"),
        (footer(deep_only), "nested deeper than 64"),
        (footer(vec![element("root", Some(1)), long]), "bytes each"),
        (footer(many), "columns, more than"),
        (lying, "footer is broken"),
        (vec![0; 64], "footer is broken"),
    ] {
        let (run, _) = analyze(&of_footer(&footer));
        assert_eq!(run.status, 2, "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    let mut huge = of_footer(&[0; 64]);
    let at = huge.len() - 8;
    huge[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(analyze(&huge).0.stderr.contains("does not end as one"));
}

#[test]
fn a_table_that_unpacks_to_far_more_than_its_size_is_refused() {
    // A few kilobytes that say the same again and again.
    let rows = 600_000;
    let names = (0..6).map(|n| format!("{n}-{}", "long-name-".repeat(12)));
    let columns: Vec<Column> = names.map(|name| Column::new(name.into(), vec![7i64; rows])).collect();
    let bytes = parquet(DataFrame::new(rows, columns).expect("a table"), rows);
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    let case = Case::new();
    case.write("bomb.parquet", &bytes);
    let output = command(case.path()).args(["analyze", "bomb.parquet"]).output().expect("runs");
    let run = Run::from(output);
    assert_eq!(run.status, 2);
    let said = run.stderr.lines().last().expect("a line");
    assert!(said.contains("bomb.parquet") && !run.stderr.contains("panicked"), "{said}");
    let (_, error) = text(&case.path().join("bomb.parquet"));
    assert!(error.expect("refused").contains("decompression bomb"));
}

#[test]
fn a_packed_or_encrypted_parquet_file_says_what_to_do() {
    let bytes = parquet(table_of(&failing().trail), 100);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).expect("packed");
    for (bytes, words) in [
        (gzip.finish().expect("packed"), "inside of another packing"),
        ([&b"PARE"[..], &[0; 100]].concat(), "encrypted"),
    ] {
        let (run, _) = analyze(&bytes);
        assert_eq!(run.status, 2);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn a_table_out_of_a_folder_of_parts_is_not_taken_for_a_log() {
    let case = failing();
    let _ = case.analyze();
    let made = run(case.path(), &["ingest", "trail.ndjson", "--out", "parts"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let part = fs::read(case.path().join("parts/events/part-00000.parquet")).expect("read");
    let (run, _) = analyze(&part);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("folder of parts"), "{}", run.stderr);
}

#[test]
fn a_table_without_rows_is_an_empty_file() {
    let table = table_of(&failing().trail).head(Some(0));
    let (run, _) = analyze(&parquet(table, 100));
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("is empty"), "{}", run.stderr);
}
