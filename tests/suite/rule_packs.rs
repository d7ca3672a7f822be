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

const SITE: &str = r#"
[pack]
name = "site"
version = "7"
margin = 1.0

[[rule]]
id = "throttled"
weight = 5.0

[[rule]]
id = "hold-conflict"
enabled = false

[[rule]]
id = "of-the-site"
class = "other_cause"
mechanism = "service_fault"
evidence = "pattern"
weight = 1.0
when = "attempts >= 1"
examples = [{ met = true, given = { attempts = 1 } }, { met = false, given = { attempts = 0 } }]
statement = "{attempts} attempts failed."
cites = ["failing"]
source = "us"
standing = "observed"

[[remedy]]
mechanism = "throttled"
text = "Ask the site."
"#;

const CASE: &str = r#"
[pack]
name = "case"
version = "a"

[[rule]]
id = "of-the-site"
weight = 2.5
"#;

/// Runs the binary with `--rules` for each of `packs`, which lie in files of their own.
fn layered(arguments: &[&str], packs: &[&str]) -> crate::support::Run {
    let case = Case::new();
    let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    for (n, pack) in packs.iter().enumerate() {
        let path = case.write(&format!("pack-{n}.toml"), pack).display().to_string();
        all.extend(["--rules".to_owned(), path]);
    }
    run(root(), &all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn check(packs: &[&str], more: &[&str]) -> crate::support::Run {
    let case = Case::new();
    let paths = packs.iter().enumerate().map(|(n, pack)| case.write(&format!("pack-{n}.toml"), pack));
    let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    let files: Vec<&str> = paths.iter().map(String::as_str).collect();
    run(root(), &[&["rules", "check"], &files[..], more].concat())
}

#[test]
fn every_built_in_rule_has_an_example_that_meets_it_and_one_that_does_not() {
    let run = check(&[], &[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let rules = self::run(root(), &["rules", "list"]).objects();
    assert!(rules.iter().all(|rule| rule["examples"].as_u64() >= Some(2)));
    let expected = format!("{} rules, ", rules.len());
    assert!(run.stdout.contains(&expected) && run.stdout.ends_with("0 problems, 0 notes\n"), "{}", run.stdout);
}

#[test]
fn later_layers_add_change_and_switch_off() {
    let rule = |packs: &[&str], id: &str| {
        let rules = layered(&["rules", "list"], packs).objects();
        rules.into_iter().find(|rule| rule["id"] == id).unwrap_or_default()
    };
    assert_eq!(rule(&[], "of-the-site"), serde_json::Value::Null);
    assert_eq!(rule(&[SITE], "of-the-site")["weight"], 1.0);
    let of_case = rule(&[SITE, CASE], "of-the-site");
    assert_eq!((&of_case["weight"], &of_case["layers"]), (&2.5.into(), &serde_json::json!(["site", "case"])));
    let throttled = rule(&[SITE, CASE], "throttled");
    assert_eq!((&throttled["weight"], &throttled["mechanism"]), (&5.0.into(), &"throttled".into()));
    assert_eq!(rule(&[SITE], "hold-conflict")["enabled"], false);

    let plain: serde_json::Value =
        serde_json::from_str(&run(root(), &["analyze", "samples", "--format", "json"]).stdout).expect("JSON");
    let both = layered(&["analyze", "samples", "--format", "json"], &[SITE, CASE]);
    let both: serde_json::Value = serde_json::from_str(&both.stdout).expect("JSON");
    let (built_in, named) = (&plain["rules"], &both["rules"]);
    assert_eq!(named["name"], format!("{} + site + case", built_in["name"].as_str().expect("a name")));
    assert_eq!(named["layers"].as_array().map(Vec::len), Some(3));
    assert_eq!(named["layers"][0]["sha256"], built_in["sha256"]);
    let digest = |text: &str| holdtrace::evidence::Digest::of(text.as_bytes()).to_string();
    assert_eq!(named["layers"][2]["sha256"], digest(CASE));
    let lines =
        named["layers"].as_array().expect("a list").iter().map(|l| format!("{}\n", l["sha256"].as_str().unwrap()));
    assert_eq!(named["sha256"], digest(&lines.collect::<String>()));
    let failures = both["failures"].as_array().expect("a list");
    let found =
        |rule: &str| failures.iter().filter(|f| f["evidence"].to_string().contains(&format!("\"{rule}\""))).count();
    assert_eq!((found("of-the-site"), found("hold-conflict")), (failures.len(), 0));
    assert!(both["failures"].to_string().contains("Ask the site."));
    assert!(!both["failures"].to_string().contains("Spread the calls"), "what a layer says of a mechanism replaces");
}

#[test]
fn a_pack_may_stand_alone() {
    let alone = built_in().replace("name = \"holdtrace default rules\"", "name = \"ours\"\nalone = true");
    let less = alone.split("[[rule]]").take(3).collect::<Vec<_>>().join("[[rule]]");
    assert_eq!(layered(&["rules", "list"], &[&less]).objects().len(), 2);
    let listed = layered(&["rules", "list"], &[SITE, &alone, CASE.replace("weight = 2.5", "weight = 1.0").as_str()]);
    assert!(listed.status == 2 && listed.stderr.contains("rule `of-the-site`: missing field"), "{}", listed.stderr);
}

#[test]
fn what_a_layer_gets_wrong_is_named_with_the_layer() {
    for (layer, words) in [
        (SITE.replace("weight = 5.0", "weigth = 5.0"), "pack-1.toml: rule `throttled`: unknown field `weigth`"),
        (SITE.replace("id = \"throttled\"\nweight", "id = \"new\"\nweight"), "pack-1.toml: rule `new`: missing field"),
        (SITE.replace("version = \"7\"", ""), "pack-1.toml: `version` in `[pack]` is missing"),
        (SITE.replace("[pack]", "[packs]"), "pack-1.toml: unknown field `packs`"),
        (
            SITE.replace("id = \"hold-conflict\"", "id = \"throttled\""),
            "pack-1.toml: rule `throttled`: the id is used twice",
        ),
        (
            SITE.replace("attempts >= 1", "attempt >= 1"),
            "pack-1.toml: rule `of-the-site`: `attempt` is no feature column",
        ),
        (SITE.replace("given = { attempts = 1 }", "given = { attempts = \"1\" }"), "`attempts` is of the type integer"),
        (SITE.replace("given = { attempts = 1 }", "given = { atempts = 1 }"), "did you mean `attempts`?"),
    ] {
        let run = layered(
            &["analyze", "samples"],
            &[CASE.replace("weight = 2.5", "enabled = true").replace("of-the-site", "throttled").as_str(), &layer],
        );
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{words}");
        assert!(run.stderr.contains(words), "{words} is not in: {}", run.stderr);
    }
}

#[test]
fn a_check_finds_examples_that_do_not_hold_and_conditions_that_nothing_meets() {
    let with = |when: &str, examples: &str| {
        let of_site = SITE.replace("attempts >= 1", when);
        let (before, rest) = of_site.split_once("examples = ").expect("examples");
        let (_, after) = rest.split_once('\n').expect("a line");
        check(&[&format!("{before}{examples}\n{after}")], &[])
    };
    let none = "";
    for (when, examples, words) in [
        (
            "attempts >= 1",
            "examples = [{ met = true, given = { attempts = 0 } }]",
            "example 1 does not meet the condition",
        ),
        ("attempts >= 1", "examples = [{ met = false, given = { attempts = 1 } }]", "example 1 meets the condition"),
        ("forbidden > 5 AND conflicts > 0 AND forbidden < 3", none, "nothing meets what it asks of `forbidden`"),
        ("recovered AND NOT recovered", none, "nothing meets what it asks of `recovered`"),
        ("step = 'upload' AND step = 'export'", none, "nothing meets what it asks of `step`"),
        ("conflicts < 0", none, "nothing meets what it asks of `conflicts`"),
        ("in_hold_window > attempts AND attempts > in_hold_window", none, "of `attempts`, `in_hold_window`"),
        ("policy_decision = 'alow'", none, "`alow` is no value of `policy_decision`"),
        ("policy_gap IN ('tenant', 'tennant')", none, "`tennant` is no value of `policy_gap`"),
        ("forbiden > 0", none, "did you mean `forbidden`?"),
        ("forbidden >", none, "no SQL expression"),
    ] {
        let run = with(when, examples);
        assert_eq!(run.status, 2, "{when}: {}", run.stdout);
        let problem =
            run.stdout.lines().find(|line| line.starts_with("problem: rule `of-the-site`")).unwrap_or_default();
        assert!(problem.contains(words), "{words} is not in: {}", run.stdout);
    }
    // What can be met is not found fault with, nor what is calculated.
    for when in [
        "forbidden > 5 AND forbidden < 7",
        "attempts - timeouts - throttles > 40",
        "step IN ('upload', 'export') AND step <> 'export'",
        "COALESCE(recovered, FALSE) OR policy_decision IN ('allow')",
        "refused_action LIKE 's3:%' AND span_over_lag > 2.5 AND span_over_lag < 2.75",
    ] {
        let run = with(when, none);
        assert_eq!(run.status, 0, "{when}: {}", run.stdout);
        assert!(run.stdout.contains("note: rule `of-the-site`: it has no examples"), "{}", run.stdout);
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let both = SITE.replace("attempts >= 1", "atempts >= 1").replace("weight = 5.0", "weight = 0.0");
    let run = check(&[&both], &["--on", "samples"]);
    assert_eq!(run.status, 2);
    for words in ["rule `throttled`: the weight", "rule `of-the-site`: `atempts`"] {
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
}

#[test]
fn the_example_in_the_documentation_is_a_layer_without_fault() {
    let page = std::fs::read_to_string(root().join("docs/rules.md")).expect("read");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    let mut seen = 0;
    for block in blocks {
        seen += 1;
        let run = check(&[block], &[]);
        assert!(run.status == 0 && run.stdout.ends_with("0 problems, 0 notes\n"), "{}{}", run.stdout, run.stderr);
    }
    assert!(seen > 0, "the page shows a pack");
}

#[test]
fn rules_that_apply_to_nothing_in_an_archive_are_named() {
    let idle = SITE
        .replace("attempts >= 1", "attempts >= 99")
        .replace("given = { attempts = 1 }", "given = { attempts = 99 }");
    let run = check(&[&idle], &["--on", "samples"]);
    assert_eq!(run.status, 0, "{}", run.stdout);
    let named: Vec<&str> =
        run.stdout.lines().filter(|line| line.contains("applies to none of the 10 failures")).collect();
    assert!(named[0].contains("`of-the-site`"), "those of the last layer come first: {named:?}");
    assert!(named.iter().any(|line| line.contains("`young-role`")));
    assert!(!named.iter().any(|line| line.contains("`throttled`") || line.contains("`hold-conflict`")), "{named:?}");
}

#[test]
fn a_rule_is_shown_with_its_columns_examples_and_layers() {
    let shown = layered(&["rules", "show", "of-the-site"], &[SITE, CASE]).stdout;
    for words in [
        "site 7",
        "case a",
        "weight     +2.5",
        "met by     attempts = 1",
        "not met by attempts = 0",
        "attempts (integer)",
    ] {
        assert!(shown.contains(words), "{words} is not in: {shown}");
    }
    let run = run(root(), &["rules", "show", "thottled"]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("did you mean `throttled`?"), "{}", run.stderr);
}
