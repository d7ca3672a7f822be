//! Drafts of certifications.

use std::fs;

use crate::support::{Case, Run, run};

/// A case over evidence of which one file has a hostile name.
fn made() -> Case {
    let case = Case::new();
    let record = r#"{"timestamp":"2026-03-02T08:00:00Z","jobId":"j","step":"upload","outcome":"failure","status":403}"#;
    case.write("logs/a.ndjson", record);
    case.write("logs/b`|\u{202e}[x](y).ndjson", format!("{record} \nno record"));
    let made = run(
        case.path(),
        &["analyze", "logs", "--case", "case", "--custodian", "A. Custodian", "--at", "2026-03-03T09:00:00+01:00"],
    );
    assert_eq!(made.status, 1, "a record is rejected: {}", made.stderr);
    case
}

fn draft(case: &Case, arguments: &[&str]) -> Run {
    run(case.path(), &[&["certificate", "case"], arguments].concat())
}

fn sha256(case: &Case, path: &str) -> String {
    holdtrace::evidence::Digest::of(&fs::read(case.path().join(path)).expect("read")).to_string()
}

#[test]
fn a_certification_is_drafted_from_what_the_case_says_and_leaves_open_what_it_does_not() {
    let case = made();
    let before = sha256(&case, "case/custody.jsonl");
    let run = draft(&case, &[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let text = &run.stdout;
    for path in ["case/manifest.json", "case/reports/report.json", "logs/a.ndjson"] {
        assert!(text.contains(&sha256(&case, path)), "{path}: {text}");
    }
    for said in [
        "**This is a draft",
        "2 files with 3 records",
        "of 3 records 1 could not be read",
        "| 1 | `2026-03-03T09:00:00+01:00` | `A. Custodian` |",
        "nothing differed\n(",
        "28 U.S.C. § 1746",
        "[signature]",
        "knows nothing of them",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("is admissible, because") && text.contains("is not for the program to say"), "{text}");
    assert_eq!(draft(&case, &[]).stdout, *text, "the same again");
    assert_eq!(sha256(&case, "case/custody.jsonl"), before, "nothing is written into the case");
}

#[test]
fn names_from_the_evidence_break_no_table_of_a_draft() {
    let text = draft(&made(), &[]).stdout;
    let row = text.lines().find(|line| line.contains("logs/b")).expect("the file");
    assert!(!row.contains('\u{202e}') && row.contains("`` logs/b`\\|\\u{202e}[x](y).ndjson ``"), "{row}");
    let cells = row.replace("\\|", "").matches('|').count();
    assert_eq!(cells, 8, "{row}");
    let parser = pulldown_cmark::Parser::new_ext(&text, pulldown_cmark::Options::ENABLE_TABLES);
    let outside = parser.filter(|event| {
        matches!(
            event,
            pulldown_cmark::Event::Start(pulldown_cmark::Tag::Link { .. } | pulldown_cmark::Tag::Image { .. })
        )
    });
    assert_eq!(outside.count(), 0);
}

#[test]
fn a_case_that_is_not_as_it_was_is_drafted_with_its_differences() {
    let case = made();
    let report = fs::read_to_string(case.path().join("case/reports/report.json")).expect("read");
    case.write("case/reports/report.json", report + " ");
    fs::write(case.path().join("logs/a.ndjson"), "another").expect("written");
    let run = draft(&case, &[]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("is not as it was"), "{}", run.stderr);
    assert!(run.stdout.contains("**differences were found (2)**"), "{}", run.stdout);
    for path in ["reports/report.json: ", "logs/a.ndjson: "] {
        assert!(run.stdout.lines().any(|line| line.starts_with("- ") && line.contains(path)), "{path}: {}", run.stdout);
    }
    let only = draft(&case, &["--without-evidence"]);
    assert!(!only.stdout.contains("- `logs/a.ndjson: "), "{}", only.stdout);
}

#[test]
fn what_is_no_case_and_a_place_in_one_are_refused() {
    let case = made();
    let refused = |arguments: &[&str]| {
        let run = run(case.path(), arguments);
        assert_eq!((run.status, run.stderr.lines().count(), run.stdout.as_str()), (2, 1, ""), "{}", run.stderr);
    };
    refused(&["certificate", "logs"]);
    refused(&["certificate", "nowhere"]);
    refused(&["certificate", "case", "--out", "case/certification.md"]);
    fs::remove_file(case.path().join("case/manifest.json")).expect("removed");
    refused(&["certificate", "case"]);
}
