//! The report as one HTML file: its structure, and what it does in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::observe;
use crate::support::{Case, command, root, run, time};

fn html(folder: &Path, arguments: &[&str]) -> String {
    let run = run(folder, &[&["analyze", "--format", "html"], arguments].concat());
    assert!([0, 1].contains(&run.status), "{}", run.stderr);
    String::from_utf8(run.bytes).expect("UTF-8")
}

/// What lies between two marks.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).expect("its end").0
}

fn data(page: &str, id: &str) -> Value {
    let text = between(page, &format!("<script type=\"application/json\" id=\"{id}\">"), "</script>");
    serde_json::from_str(text).expect("JSON")
}

/// The cards that are packed together under a number.
fn cards(page: &str, number: usize) -> Value {
    use base64::Engine as _;
    let text = between(page, &format!("<script type=\"application/gzip+base64\" id=\"cards-{number}\">"), "</script>");
    let packed = base64::prelude::BASE64_STANDARD.decode(text).expect("base64");
    serde_json::from_reader(flate2::read::GzDecoder::new(packed.as_slice())).expect("JSON")
}

/// The record of a card with this id.
fn record<'c>(packed: &'c Value, id: &str) -> &'c Value {
    let is = |record: &&Value| record["sha256"].as_str().is_some_and(|sha256| sha256.starts_with(&id[3..]));
    packed["records"].as_array().expect("records").iter().find(is).unwrap_or_else(|| panic!("no card holds {id}"))
}

#[test]
fn the_page_refers_to_nothing_outside_itself() {
    let page = html(root(), &["samples"]);
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
    assert!(
        policy.starts_with("default-src &#39;none&#39;; ") || policy.starts_with("default-src 'none'; "),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && policy.matches("sha256-").count() == 2, "{policy}");
    for outside in [" src=", "href=\"http", "@import", "url(http", "<link", "<iframe", "<img", " onclick", " style="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_policy_names_the_hashes_of_the_style_and_the_script() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = html(root(), &["samples"]);
    for text in [between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>")] {
        let hash = base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(text.as_bytes()));
        assert!(page.contains(&format!("sha256-{}", hash.replace('+', "&#43;"))) || page.contains(&hash), "{hash}");
    }
}

#[test]
fn one_thread_and_two_write_the_same_page() {
    let page = |threads: &str| {
        let output = command(root())
            .env("POLARS_MAX_THREADS", threads)
            .args(["analyze", "--threads", threads, "--format", "html", "samples"])
            .output()
            .expect("the binary runs");
        assert!(output.status.success());
        output.stdout
    };
    assert!(page("1") == page("2"));
    assert!(page("2") == page("2"));
}

#[test]
fn the_page_says_what_the_json_report_says() {
    let page = html(root(), &["samples"]);
    let report = run(root(), &["analyze", "samples", "--format", "json"]).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let packed = cards(&page, 0);
    assert_eq!(packed["failures"], report["failures"]);
    let rows = data(&page, "rows");
    assert_eq!(rows.as_array().expect("rows").len(), report["failures"].as_array().expect("failures").len());
    for failure in report["failures"].as_array().expect("failures") {
        let cited = failure["evidence"]
            .as_array()
            .expect("evidence")
            .iter()
            .flat_map(|e| e["records"].as_array().expect("ids"));
        for id in cited {
            let record = record(&packed, id.as_str().expect("an id"));
            assert!(record["text"].is_string(), "{record}");
        }
    }
    // Once the times of files stood there as microseconds.
    let mut timed = 0;
    for file in report["coverage"]["files"].as_array().expect("files") {
        assert!(page.contains(file["sha256"].as_str().expect("a hash")), "{}", file["path"]);
        if let [Some(first), Some(last)] = ["first_time", "last_time"].map(|name| file[name].as_str()) {
            assert!(page.contains(&format!("<td>{first}</td><td>{last}</td>")), "{}", file["path"]);
            timed += 1;
        }
    }
    assert!(timed > 1, "files with times");
}

#[test]
fn every_rule_that_a_card_names_stands_in_the_page_with_its_standing_and_source() {
    let page = html(root(), &["samples"]);
    let packed = cards(&page, 0);
    let evidence = packed["failures"].as_array().expect("failures").iter();
    let mut counts = std::collections::BTreeMap::new();
    for finding in evidence.flat_map(|failure| failure["evidence"].as_array().expect("evidence")) {
        *counts.entry(finding["rule"].as_str().expect("a rule")).or_insert(0) += 1;
    }
    assert!(counts.len() > 10 && page.matches("<tr id=\"rule-").count() == counts.len(), "{counts:?}");
    for (rule, count) in counts {
        let row = between(&page, &format!("<tr id=\"rule-{rule}\">"), "</tr>");
        assert!(row.contains(&format!("<td class=\"n\">{count}</td>")), "{rule}: {row}");
        let shown = run(root(), &["rules", "show", rule]).stdout;
        let source =
            shown.lines().find_map(|line| line.trim().strip_prefix("source     ")).unwrap_or_else(|| panic!("{shown}"));
        assert!(row.contains(source.split(['&', '<', '\'', '"']).next().expect("a beginning")), "{rule}: {row}");
    }
}

#[test]
fn a_record_in_a_card_is_what_show_prints() {
    let packed = cards(&html(root(), &["samples"]), 0);
    let mut shown = 0;
    for record in packed["records"].as_array().expect("records").iter().step_by(9) {
        assert_eq!((&record["whole"], &record["blanked"]), (&json!(true), &json!(false)));
        let text = run(root(), &["show", record["sha256"].as_str().expect("a hash"), "samples", "--raw"]).stdout;
        assert!(text.starts_with(record["text"].as_str().expect("text")), "{record}");
        shown += 1;
    }
    assert!(shown > 3);
}

#[test]
fn without_scripts_the_summary_and_the_first_failures_read() {
    let page = html(root(), &["samples"]);
    let (plain, _) = page.split_once("<script").expect("scripts come last");
    assert!(plain.contains("10 exports failed; 5 got through later, 5 did not in this evidence."), "the summary");
    assert_eq!(between(plain, "<table id=\"table\">", "</table>").matches("<tr>").count(), 11, "a head and ten rows");
    assert!(plain.contains("<noscript>") && plain.contains("id=\"custody\""));
}

#[test]
fn an_archive_in_which_nothing_failed_says_so() {
    let mut case = Case::new();
    case.contrast();
    assert!(case.analyze().is_empty());
    let page = html(case.path(), &["."]);
    assert!(page.contains("No failed export was found in it."));
    assert_eq!(data(&page, "rows"), json!([]));
}

#[test]
fn what_could_not_be_read_stands_in_the_summary_and_under_custody() {
    let mut case = Case::new();
    case.step("job", 0, "upload", "failure", json!({ "status": 403 }));
    let good = case.trail[0].to_string();
    case.write("trail.ndjson", format!("{good}\n{{broken\n"));
    let page = html(case.path(), &["."]);
    assert!(page.contains("1 input could not be read in full"), "the summary");
    assert!(page.contains("Record 1 at offset"), "the ledger");
}

const HOSTILE: [&str; 7] = [
    "<script>window.ran()</script>",
    "</script><script>window.ran()</script>",
    "<img src=x onerror=window.ran()>",
    "javascript:window.ran()",
    "\u{202e}gpj.exe\u{200f}",
    "\u{1b}[31mred\u{1b}[0m<!--<script>",
    "=HYPERLINK(\"http://192.0.2.1/\",\"{{7*7}}\")",
];

/// Every text that a record can hold is hostile.
fn hostile() -> Case {
    let mut case = Case::new();
    for (n, text) in (0..).zip(HOSTILE) {
        case.start(&format!("{text}-{n}"), n * 60, &[text], json!({ "principal": text, "bucket": text }));
        case.step(
            &format!("{text}-{n}"),
            n * 60 + 5,
            "upload",
            "failure",
            json!({
                "status": 403, "errorCode": text, "errorMessage": format!("{text} & \u{2028}\u{2029}"), "principal": text,
                "bucket": text, "mediaType": text, "region": text, "tenantId": text, "objectKey": text,
            }),
        );
    }
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("trail<script>window.ran()<\u{202e}.ndjson", lines.join("\n") + "\n{broken <script>window.ran()\n");
    case
}

#[test]
fn hostile_texts_cannot_leave_their_place() {
    let page = html(hostile().path(), &["."]);
    for markup in ["<script>window", "<img", "href=\"javascript", "<!--", "\u{1b}", "\u{202e}", "\u{200f}", "\u{2028}"]
    {
        assert!(!page.contains(markup), "{markup:?}");
    }
    assert_eq!(page.matches("</script").count(), page.matches("<script").count());
    assert!(data(&page, "rows").to_string().contains("</script>"), "the data are what the evidence says");
}

#[test]
fn secrets_are_blanked_in_the_raw_text() {
    let case = Case::new();
    let record = json!({
        "timestamp": time(0), "jobId": "job", "recordingId": "recording", "step": "upload", "outcome": "failure", "status": 403,
        "errorMessage": "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.abcdef.secretsecret", "secret": "hunter2hunter2",
    });
    case.write("trail.ndjson", record.to_string());
    let packed = cards(&html(case.path(), &["."]), 0).to_string();
    assert!(packed.contains("[redacted]") && packed.contains("\"blanked\":true"));
    assert!(!packed.contains("secretsecret") && !packed.contains("hunter2"), "{packed}");
}

#[test]
fn many_failures_stay_small() {
    let mut case = Case::new();
    for n in 0..1000 {
        let job = format!("job-{n:05}");
        case.start(&job, n * 60, &["recording:export"], json!({}));
        for attempt in 0..3 {
            case.step(
                &job,
                n * 60 + 5 + attempt * 10,
                "metadata_injection",
                "failure",
                json!({ "status": 409, "attempt": attempt, "errorCode": "metadata.conflict", "errorMessage": "Metadata conflict." }),
            );
        }
    }
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("trail.ndjson", lines.join("\n") + "\n");
    let page = html(case.path(), &["."]);
    assert_eq!(data(&page, "rows").as_array().expect("rows").len(), 1000);
    assert!(page.len() < 2_000_000, "ten thousand must be below 20 MB: {} bytes of one thousand", page.len());
    let (before, _) = page.split_once("<script").expect("scripts");
    assert!(before.matches("<tr>").count() < 300, "rows are built page by page");
}

/// What a reader sees who opens a report in a browser; the folder holds what it looks like.
fn open(page: &str) -> Option<(Value, tempfile::TempDir)> {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.html");
    fs::write(&report, page).expect("written");
    observe("check.mjs", &report)
}

/// How many pages a PDF has, and its text where `pdftotext` is there.
fn printed(pdf: &Path) -> (usize, Option<String>) {
    let bytes = fs::read(pdf).expect("printed");
    let pages = String::from_utf8_lossy(&bytes).matches("/Type /Page\n").count();
    let text = Command::new("pdftotext").arg(pdf).arg("-").output().ok().filter(|output| output.status.success());
    (pages, text.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn a_reader_can_filter_sort_open_and_print_by_mouse_and_by_keyboard() {
    let Some((seen, folder)) = open(&html(root(), &["samples"])) else { return };
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().expect("texts").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(seen["errors"], json!([]), "the console");
    assert_eq!(seen["dialogs"], json!([]));
    assert_eq!(texts(&seen["requests"]).len(), 1, "nothing but the file itself is asked for: {}", seen["requests"]);
    assert_eq!(seen["all"], "10 of 10 failures");
    assert_eq!(
        (&seen["filtered"]["wanted"], &seen["filtered"]["count"]),
        (&json!("inconclusive"), &json!("1 of 10 failures"))
    );
    assert_eq!(seen["filtered"]["titles"], json!(["Inconclusive"]));
    let known = |value: &Value| -> Vec<String> { texts(value).into_iter().filter(|text| !text.is_empty()).collect() };
    let (up, mut down) = (known(&seen["ascending"]), known(&seen["descending"]));
    assert!(up.is_sorted() && up.len() > 5, "{up:?}");
    down.reverse();
    assert_eq!(up, down);
    for part in ["mouse_card", "key_card"] {
        let card = seen[part].as_str().expect("a card");
        for heading in ["What speaks for and against each cause", "Symptoms", "Timeline", "Cited records"] {
            assert!(card.contains(heading), "{part}: {heading}: {card}");
        }
    }
    assert_eq!(seen["cited"], 1, "a citation leads to its record");
    assert!(seen["mouse_card"].as_str().expect("a card").contains("SHA-256"));
    assert_eq!(seen["closed"], true);
    for tabbed in ["tabbed_to_search", "tabbed_to_head", "tabbed_to_row"] {
        assert_eq!(seen[tabbed], true, "{tabbed}");
    }
    assert_eq!(seen["searched"]["found"], json!([seen["searched"]["id"]]), "{}", seen["searched"]);
    assert_eq!((&seen["sorted_by_key"], &seen["expanded"]), (&json!("ascending"), &json!("true")));
    assert_eq!(seen["violations"], json!([]), "axe finds nothing serious");
    assert_eq!(seen["overflow"], 0, "a narrow window need not be moved sideways");
    for format in ["A4", "Letter"] {
        let (pages, text) = printed(&folder.path().join(format!("{format}.pdf")));
        assert!((3..=12).contains(&pages), "{format}: {pages} pages");
        if let Some(text) = text {
            for part in [
                "Why exports of recordings failed",
                "What to do first",
                "Evidence and custody",
                "What speaks for and against",
            ] {
                assert!(text.contains(part), "{format}: {part}");
            }
        }
    }
}

#[test]
fn a_hostile_archive_does_nothing_in_a_browser() {
    let Some((seen, _folder)) = open(&html(hostile().path(), &["."])) else { return };
    for nothing in ["errors", "dialogs", "violations"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(seen["requests"].as_array().expect("requests").len(), 1, "{}", seen["requests"]);
    assert_eq!(seen["ran"], false);
    let card = seen["mouse_card"].as_str().expect("a card");
    assert!(!card.contains(['\u{202e}', '\u{200f}', '\u{1b}']), "{card}");
}

#[test]
fn a_page_is_not_made_of_what_is_to_be_redacted() {
    let case = Case::new();
    let key = case.write("key", "0123456789abcdef0123456789abcdef").display().to_string();
    let run = run(root(), &["analyze", "samples", "--format", "html", "--redact", "--redact-key", &key]);
    assert_eq!((run.status, run.stderr.lines().count(), run.stdout.as_str()), (2, 1, ""), "{}", run.stderr);
    assert!(run.stderr.contains("give --format json"), "{}", run.stderr);
}
