//! Markdown for tickets, timelines for Timesketch.

use std::collections::BTreeSet;
use std::fs;

use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::{Value, json};

use crate::support::{Case, Run, TENANT, root, run};

/// What evidence may hold to harm whoever looks at it, by renderer.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "a`b``c | d | e",
    "\u{1b}[31mred\u{202e}desrever",
    "www.evil.example @everyone #1 {0}",
    "line\n# heading\n\n---|---\n",
    "https://evil.example/?a=<b>&c=%20",
];

/// An archive in which every text is hostile.
pub fn hostile() -> Case {
    let mut case = Case::new();
    case.contrast();
    for (n, text) in HOSTILE.iter().enumerate() {
        let (job, other) = (format!("{text}{n}"), HOSTILE[(n + 3) % HOSTILE.len()]);
        let at = 1000 * i64::try_from(n).expect("few");
        let more = json!({
            "recordingId": text, "conversationId": other, "principal": text, "bucket": text, "objectKey": format!("{TENANT}/{text}"),
            "error": { "code": other, "message": format!("{text}: metadata conflict") }, "status": 409, "correlationId": text,
        });
        case.start(&job, at, &["recording:export"], json!({ "principal": text, "bucket": text }));
        case.step(&job, at + 5, "metadata_injection", "failure", more.clone());
        case.step(&job, at + 65, "metadata_injection", "timeout", more);
    }
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("<img src=x onerror=alert(1)> javascript:x.ndjson", lines.join("\n") + "\n");
    case
}

/// Runs `analyze` on a case's folder.
fn export(case: &Case, format: &str) -> Run {
    let run = run(case.path(), &["analyze", ".", "--format", format]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run
}

/// What Timesketch's importer asks of a line or row: the three mandatory fields, a time that it can read and that all rows
/// write in the same form, microseconds, and none of the names that the index keeps for itself.
fn importable(event: &Value) {
    let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("{name}: {event}"));
    assert!(!text("message").is_empty() && !text("timestamp_desc").is_empty(), "{event}");
    let time = text("datetime");
    assert_eq!((time.len(), &time[19..20], &time[26..]), (32, ".", "+00:00"), "one form: {time}");
    let micros = chrono::DateTime::parse_from_rfc3339(time).expect("ISO 8601").timestamp_micros();
    assert_eq!(event["timestamp"], micros, "microseconds since 1970");
    for name in event.as_object().expect("an object").keys() {
        let kept = ["_index", "_type", "_id", "index", "type", "source_id"];
        assert!(!name.starts_with("__ts") && !kept.contains(&name.as_str()), "{name} is the index's own");
        assert!(!event[name].is_null(), "{name} is left out where it is not known");
    }
}

/// The rows of a CSV as objects, without empty cells.
fn rows(csv: &[u8]) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.headers().expect("a header").clone();
    let row = |row: csv::StringRecord| {
        let cells = header.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
        let typed = |name: &str, cell: &str| match name {
            "timestamp" | "record" | "offset" | "length" | "http_status" | "attempt" => {
                json!(cell.parse::<i64>().unwrap())
            }
            "tag" => serde_json::from_str(cell).expect("a list"),
            _ => json!(cell),
        };
        Value::Object(cells.map(|(name, cell)| (name.to_owned(), typed(name, cell))).collect())
    };
    reader.records().map(|record| row(record.expect("a row"))).collect()
}

#[test]
fn timesketch_takes_every_line_and_row_of_the_samples() {
    let lines = run(root(), &["analyze", "samples", "--format", "timesketch-jsonl"]).objects();
    lines.iter().for_each(importable);
    let verdicts = lines.iter().filter(|line| line["data_type"] == "holdtrace:failure");
    assert_eq!(verdicts.count(), 10, "one for each failure");
    let cited = lines.iter().find(|line| line["record_id"] == "ev:08747189a3e2afa4").expect("the grant is there");
    assert_eq!(cited["part"], "change");
    assert!(cited["rules"].as_str().is_some_and(|rules| rules.contains("grant-then-success")), "{cited}");
    let csv = rows(&run(root(), &["analyze", "samples", "--format", "timesketch-csv"]).bytes);
    csv.iter().for_each(importable);
    assert_eq!(csv, lines, "both forms say the same");
}

#[test]
fn a_jobs_timeline_goes_to_timesketch_with_every_record() {
    let job = "a4c8a798-a5d8-45c0-b444-74c0a668b046";
    let of = |format: &str| run(root(), &["timeline", "samples", "--job", job, "--format", format]);
    let (lines, entries) = (of("timesketch-jsonl").objects(), of("ndjson").objects());
    lines.iter().for_each(importable);
    let ids = |all: &[Value]| all.iter().map(|entry| entry["record_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&lines), ids(&entries));
    assert_eq!(rows(&of("timesketch-csv").bytes), lines);
}

#[test]
fn microseconds_are_kept_and_records_without_a_time_are_counted() {
    let mut case = Case::new();
    case.start("job", 0, &["recording:export"], json!({}));
    let more = |time: &str| json!({ "timestamp": time, "status": 409 });
    case.step("job", 5, "metadata_injection", "failure", more("2026-03-02T01:00:05.000001Z"));
    case.step("job", 6, "metadata_injection", "failure", more("2026-03-02T01:00:06Z"));
    case.step("job", 7, "metadata_injection", "failure", more("1999-03-02T01:00:07Z"));
    case.analyze();
    let run = export(&case, "timesketch-jsonl");
    let lines = run.objects();
    lines.iter().for_each(importable);
    assert!(lines.iter().any(|line| line["datetime"] == "2026-03-02T01:00:05.000001+00:00"), "{lines:#?}");
    assert!(run.stderr.contains("1 records without a known time are left out"), "{}", run.stderr);
    assert!(!export(&case, "timesketch-csv").stdout.contains("1970"), "no time is made up");
}

#[test]
fn hostile_texts_run_in_no_spreadsheet_and_forge_no_rows() {
    let case = hostile();
    let run = export(&case, "timesketch-csv");
    let mut reader = csv::Reader::from_reader(&run.bytes[..]);
    let mut cells = 0;
    for cell in reader.records().flat_map(|record| record.expect("a row").iter().map(str::to_owned).collect::<Vec<_>>())
    {
        cells += 1;
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
    }
    assert!(cells > 0 && run.stdout.contains("'=HYPERLINK"), "quoted, not dropped");
    let lines = export(&case, "timesketch-jsonl").objects();
    lines.iter().for_each(importable);
    let messages = lines.iter().filter_map(|line| line["message"].as_str());
    assert!(messages.into_iter().all(|text| !text.contains(['\u{1b}', '\u{202e}', '\n'])), "shown, not obeyed");
}

#[test]
fn markdown_has_no_link_html_or_heading_out_of_evidence() {
    let case = hostile();
    let page = export(&case, "markdown").stdout;
    let known = ["Why exports failed", "What was read"];
    let (mut heading, mut headings, mut spans) = (None::<String>, Vec::new(), BTreeSet::new());
    for event in Parser::new_ext(&page, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
        let (text, span) = match event {
            Event::Start(Tag::Heading { .. }) => {
                heading = Some(String::new());
                continue;
            }
            Event::End(pulldown_cmark::TagEnd::Heading(_)) => {
                headings.extend(heading.take());
                continue;
            }
            Event::Start(
                Tag::Paragraph
                | Tag::List(None)
                | Tag::Item
                | Tag::Strong
                | Tag::Table(_)
                | Tag::TableHead
                | Tag::TableRow
                | Tag::TableCell,
            )
            | Event::End(_)
            | Event::SoftBreak
            | Event::Rule => continue,
            Event::Code(text) => (text, true),
            Event::Text(text) => (text, false),
            other => panic!("{other:?}"),
        };
        if let Some(heading) = &mut heading {
            heading.push_str(&text);
        }
        if span {
            spans.insert(text.into_string());
            continue;
        }
        let marks = |c: char| !(c.is_alphanumeric() || " ,.:;()'\"-?/".contains(c));
        assert!(!text.contains(marks) && !text.contains("www") && !text.contains("//"), "plain: {text}");
    }
    assert_eq!(headings.len(), known.len() + HOSTILE.len(), "{headings:#?}");
    for text in HOSTILE.iter().filter(|text| !text.contains(['\n', '\u{1b}'])) {
        assert!(spans.contains(*text), "{text} is shown as it is: {spans:#?}");
    }
    assert!(!page.contains(['\u{1b}', '\u{202e}']), "shown, not obeyed");
}

#[test]
fn markdown_says_of_each_failure_what_why_by_which_records_and_what_to_do() {
    let page = run(root(), &["analyze", "samples", "--format", "markdown"]).stdout;
    for said in [
        "**10 failed exports** (5 recovered later) among 14 jobs.",
        "| 2 | `sync_race` | time; it had not settled yet |",
        "(`grant-then-success`, `ev:08747189a3e2afa4`,",
        "  - Grant `recording:metadata:write` to",
        "against `policy_mismatch`: ",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    let (_, inconclusive) = page.split_once(". `inconclusive`\n").expect("one is undecided");
    assert!(inconclusive.contains("- **Next evidence:**\n  - "), "{inconclusive}");
}

#[test]
fn exports_are_the_same_bytes_with_any_number_of_threads_and_written_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = root().join("samples").display().to_string();
    for format in FORMATS {
        let of = |threads: &str, out: &str| {
            let arguments = ["analyze", &samples, "--format", format, "--threads", threads, "--out", out];
            let run = run(folder.path(), &arguments);
            assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{}", run.stderr);
            fs::read(folder.path().join(out)).expect("written")
        };
        let (one, four) = (of("1", "one"), of("4", "four"));
        assert!(!one.is_empty() && one == four, "{format}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 2, "nothing is left aside");
}

/// The formats of this page.
const FORMATS: [&str; 5] = ["markdown", "timesketch-jsonl", "timesketch-csv", "sarif", "ocsf"];
