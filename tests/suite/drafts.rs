//! Drafts of mappings: they can be loaded as they are, whatever a file holds.

use serde_json::{Map, Value, json};

use crate::mapped::{analyze, gists, samples};
use crate::parquet::{parquet, table_of};
use crate::support::{Case, run, time};

/// Drafts a mapping for `bytes` and analyses them with it, unchanged.
fn drafted(name: &str, bytes: &[u8]) -> (String, Value) {
    let case = Case::new();
    case.write(name, bytes);
    let draft = run(case.path(), &["map", "init", name]);
    assert_eq!(draft.status, 0, "{}", draft.stderr);
    assert!(!draft.stdout.contains(|c: char| c.is_control() && c != '\n'), "{:?}", draft.stdout);
    case.write("draft.toml", &draft.bytes);
    let (run, report) = analyze(case.path(), &[name, "--map", "draft.toml"]);
    assert!(!run.stderr.contains("draft.toml") || report.is_object(), "{}\n{}", run.stderr, draft.stdout);
    let ledger = run.stdout.contains("mapped:") || run.stderr.contains("the mapping `");
    assert!(ledger, "it is for the file that it was made from: {}\n{}", run.stderr, draft.stdout);
    (draft.stdout, report)
}

#[test]
fn a_draft_of_familiar_names_needs_no_edits() {
    let trail = samples();
    let names: &dyn Fn(&str) -> String = &|name| format!("LOG_{}", name.to_uppercase());
    let renamed: Vec<Value> = trail
        .iter()
        .map(|record| {
            let members = record.as_object().expect("an object").iter();
            Value::Object(members.map(|(name, value)| (names(name), value.clone())).collect())
        })
        .collect();
    let (draft, report) = drafted("log.parquet", &parquet(table_of(&renamed), 50));
    let expected = {
        let case = Case::new();
        let lines: Vec<String> = trail.iter().map(Value::to_string).collect();
        case.write("trail.ndjson", lines.join("\n"));
        analyze(case.path(), &["trail.ndjson"]).1
    };
    assert_eq!(gists(&report), gists(&expected), "{draft}");
}

#[test]
fn a_draft_finds_the_list_in_a_document_and_the_format_of_its_times() {
    let item = |n: i64| json!({ "when": format!("{:02}.03.2026 14:00:00", 13 + n), "job": { "ref": format!("j{n}") }, "stage": "MetaWrite", "http": { "code": 403 } });
    let document = json!({ "meta": { "pages": 1 }, "result": { "rows": [item(0), item(1), item(2)] } });
    let (draft, report) = drafted("doc.json", document.to_string().as_bytes());
    for line in [
        "records = \"/result/rows\"",
        "time = { from = \"when\", format = \"%d.%m.%Y %H:%M:%S%.f\" }",
        "job_id = \"/job/ref\"",
        "http_status = \"/http/code\"",
        "step = { from = \"stage\", values = { \"MetaWrite\" = \"metadata_injection\" } }",
    ] {
        assert!(draft.contains(line), "{line}:\n{draft}");
    }
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(3));
}

#[test]
fn drafts_of_hostile_names_and_values_can_be_loaded_too() {
    let evil = "a\"]\n[fields]\ntime = 'x' # \u{1b}[31m \u{202e}\\";
    let object = |name: &str| json!({ name: "x", "t": time(1), "password": "hunter2hunter2", "b": "Bearer abcdefghijklmnopqrstuvwxyz0123" });
    for name in [evil, "", "/", "~", "/a/b", "\u{7f}", "'''", "time\r", "name.with.dots", "日本", "\u{feff}x", "\"\"\""]
    {
        let (draft, _) = drafted("log.ndjson", object(name).to_string().as_bytes());
        assert!(!draft.contains("hunter2") && !draft.contains("abcdefghijklmnop"), "{draft}");
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        drafted("log.csv", format!("{quoted},when,what\n1,{},{}\n", time(1), "query").as_bytes());
    }
    // No time, and nothing that is known.
    drafted("log.csv", b"alpha,beta\nx,y\n");
    drafted("log.ndjson", br#"{"alpha":{"beta":[{"gamma":1}]}}"#);
    let wide: Map<String, Value> = (0..2000).map(|n| (format!("c{n}"), json!(n))).collect();
    drafted("wide.ndjson", Value::Object(wide).to_string().as_bytes());
}

#[test]
fn drafts_are_refused_where_there_is_nothing_to_draft_from() {
    let case = Case::new();
    case.write("empty.csv", "");
    case.write("in/a.csv", "a,b\n1,2\n");
    case.write("in/b.csv", "a,b\n1,2\n");
    case.write("program", b"\x7fELF\x02\x01\x01\0\0\0\0");
    for (path, words) in [
        ("empty.csv", "it is empty"),
        ("program", "binary data"),
        ("in", "more than one file"),
        ("missing.csv", "no such file"),
    ] {
        let run = run(case.path(), &["map", "init", path]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{path}");
        assert!(run.stderr.contains(words) && run.stderr.lines().count() == 1, "{path}: {}", run.stderr);
    }
    let check = run(case.path(), &["map", "check", "in"]);
    assert_eq!(check.status, 2);
    assert!(check.stderr.contains("holdtrace map init"), "{}", check.stderr);
}
