//! Rule packs: replaceable, and checked before anything is read.

use crate::support::{Case, root, run};

fn with_pack(text: &str) -> crate::support::Run {
    let case = Case::new();
    let pack = case.write("pack.toml", text);
    run(root(), &["analyze", "samples", "--format", "ndjson", "--rules", &pack.display().to_string()])
}

fn built_in() -> String {
    run(root(), &["rules"]).stdout
}

#[test]
fn the_printed_pack_is_the_built_in_one() {
    assert_eq!(with_pack(&built_in()).stdout, run(root(), &["analyze", "samples", "--format", "ndjson"]).stdout);
}

#[test]
fn a_rule_that_is_switched_off_no_longer_counts() {
    let without = built_in().replace("id = \"throttled\"", "id = \"throttled\"\nenabled = false");
    assert!(run(root(), &["analyze", "samples", "--format", "ndjson"]).stdout.contains("\"rule\":\"throttled\""));
    assert!(!with_pack(&without).stdout.contains("\"rule\":\"throttled\""));
}

#[test]
fn a_typo_is_named_with_its_rule_and_column() {
    let head = "[pack]\nname=\"t\"\nversion=\"1\"\nmargin=2.0\nassumed_sync_lag_seconds=900.0\nsupport={moderate=4.0,strong=7.0,very_strong=11.0}\n";
    let rule = |when: &str, more: &str| {
        format!(
            "{head}[[rule]]\nid=\"mine\"\nclass=\"sync_race\"\nevidence=\"state\"\nweight=1.0\nwhen=\"{when}\"\nstatement=\"s\"\nsource=\"s\"\nstanding=\"observed\"\n{more}"
        )
    };
    for (pack, words) in [
        (rule("forbiden > 0", ""), &["rule `mine`", "`forbiden`", "did you mean `forbidden`?"][..]),
        (rule("forbidden >", ""), &["rule `mine`", "no SQL expression"]),
        (rule("forbidden + 1", ""), &["rule `mine`", "must give a boolean"]),
        (rule("recovered", "cites=[\"nothing\"]"), &["rule `mine`", "`nothing`"]),
        (rule("recovered", "weigth=2"), &["unknown field `weigth`"]),
        (
            rule("recovered", "").replace("\"s\"\nsource", "\"{attemps}\"\nsource"),
            &["rule `mine`", "`{attemps}`", "`attempts`"],
        ),
        (rule("recovered", "").replace("sync_race", "sync_rac"), &["sync_rac"]),
        ("nonsense".to_owned(), &["pack.toml"]),
    ] {
        let run = with_pack(&pack);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{pack}");
        for word in words {
            assert!(run.stderr.contains(word), "{word} is not in: {}", run.stderr);
        }
    }
}

#[test]
fn a_rule_of_ones_own_decides() {
    let pack = built_in()
        + "\n[[rule]]\nid=\"mine\"\nclass=\"other_cause\"\nmechanism=\"service_fault\"\nevidence=\"state\"\nweight=99.0\nwhen=\"attempts > 0\"\nstatement=\"{attempts} attempts failed.\"\ncites=[\"failing\"]\nsource=\"mine\"\nstanding=\"reported\"\n";
    let run = with_pack(&pack);
    for failure in run.objects() {
        assert_eq!(
            (failure["class"].as_str(), failure["support"].as_str()),
            (Some("other_cause"), Some("very_strong"))
        );
    }
}
