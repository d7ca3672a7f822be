//! The timeline and the table of failures as people see them.

use serde_json::json;

use crate::support::{Case, command, root, run};

const RACE: &str = "a4c8a798-a5d8-45c0-b444-74c0a668b046";

fn table(arguments: &[&str]) -> String {
    let run = run(root(), &[&["timeline", "samples", "--format", "table"], arguments].concat());
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    run.stdout
}

/// The length of the longest line; commands to copy are not broken.
fn widest(text: &str) -> usize {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("holdtrace "))
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn the_timeline_reads_so_at_80_columns_with_a_zone_beside_utc() {
    let text = table(&["--job", RACE, "--tz", "Europe/Berlin"]);
    assert!(widest(&text) <= 80, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_timeline_reads_so_at_200_columns() {
    let text = table(&["--job", RACE, "--width", "200"]);
    assert!(widest(&text) <= 200, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_failures_read_so_at_200_columns() {
    let run = run(root(), &["analyze", "samples", "--format", "table", "--width", "200"]);
    assert!(widest(&run.stdout) <= 200, "{}", run.stdout);
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn ids_are_whole_at_any_width() {
    let objects = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    for width in ["60", "80", "100", "159", "160", "200", "240"] {
        let text = run(root(), &["analyze", "samples", "--format", "table", "--width", width]).stdout;
        assert!(widest(&text) <= width.parse().expect("a number"), "{width}: {text}");
        for id in objects.iter().flat_map(|o| [&o["job_id"], &o["recording_id"]]) {
            assert!(text.contains(id.as_str().expect("an id")), "{id} at {width}");
        }
    }
    assert_eq!(run(root(), &["analyze", "samples", "--width", "10"]).status, 2, "too narrow for anything");
}

#[test]
fn colours_come_when_asked_for_and_not_in_pipes() {
    for command_line in
        [&["analyze", "samples", "--format", "table"][..], &["timeline", "samples", "--format", "table", "--job", RACE]]
    {
        let coloured = |more: &[&str], variables: &[(&str, &str)]| {
            let mut command = command(root());
            command.args(command_line).args(more).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
            let output = command.envs(variables.iter().copied()).output().expect("the binary runs");
            assert_eq!(output.status.code(), Some(0));
            String::from_utf8_lossy(&output.stdout).contains('\u{1b}')
        };
        assert!(!coloured(&[], &[]), "a pipe");
        assert!(coloured(&["--color", "always"], &[]));
        assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
        assert!(!coloured(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(
            coloured(&["--color", "always"], &[("NO_COLOR", "1")]),
            "what is asked for goes before the environment"
        );
        assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let without = table(&["--job", RACE]);
    let with = table(&["--job", RACE, "--color", "always"]);
    let escape = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("an expression");
    assert_eq!(escape.replace_all(&with, ""), without);
}

/// A job that fails twice, with a rotation an hour later and a success after it.
fn slow(case: &mut Case) {
    case.start("job", 0, &["recording:export"], json!({}));
    case.step("job", 10, "metadata_injection", "failure", json!({ "status": 401, "attempt": 1 }));
    case.step("job", 20, "metadata_injection", "failure", json!({ "status": 401, "attempt": 2 }));
    case.step("job", 3620, "credential.rotated", "success", json!({}));
    case.step("job", 3640, "metadata_injection", "success", json!({ "status": 204, "attempt": 3 }));
    case.step("job", 9000, "verify", "success", json!({}));
    let lines: Vec<String> = case.trail.iter().map(ToString::to_string).collect();
    case.write("trail.ndjson", lines.join("\n"));
}

#[test]
fn attempts_are_numbered_and_what_changed_between_them_is_said() {
    let mut case = Case::new();
    slow(&mut case);
    let objects = run(case.path(), &["timeline", ".", "--job", "job", "--format", "ndjson"]).objects();
    let marks: Vec<(Option<&str>, Option<u64>)> =
        objects.iter().map(|o| (o["mark"].as_str(), o["failing_attempt"].as_u64())).collect();
    assert_eq!(
        marks,
        [
            (None, None),
            (Some("failing_attempt"), Some(1)),
            (Some("failing_attempt"), Some(2)),
            (None, None),
            (Some("recovery"), None),
            (None, None)
        ]
    );
    assert_eq!(objects[3]["change"]["kind"], "new credential");
    assert_eq!(objects[1]["failure_id"], objects[4]["failure_id"]);
    let text = run(case.path(), &["timeline", ".", "--job", "job", "--format", "table"]).stdout;
    assert!(text.contains("10s after failing attempt 1; in between: no change on record"), "{text}");
    assert!(text.contains("1h 20s after failing attempt 2; in between: new credential"), "{text}");
    assert!(text.contains("nothing on record for 1h\n"), "{text}");
    assert!(!text.contains("nothing on record for 10s"), "{text}");
}

#[test]
fn around_keeps_what_is_near_an_attempt_and_says_what_it_left_out() {
    let mut case = Case::new();
    slow(&mut case);
    let of = |time: &str, format: &str| {
        run(case.path(), &["timeline", ".", "--job", "job", "--around", time, "--format", format])
    };
    let times = |time: &str| -> usize { of(time, "ndjson").objects().len() };
    assert_eq!([times("9s"), times("10s"), times("20s"), times("2h")], [3, 4, 5, 6]);
    assert!(of("9s", "table").stdout.contains("3 records further away are left out"));
    assert_eq!(of("soon", "table").status, 2);
    let mut healthy = Case::new();
    healthy.healthy("fine", 0, &["recording:export"], &json!({}));
    healthy.write("trail.ndjson", healthy.trail.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let run = run(healthy.path(), &["timeline", ".", "--job", "fine", "--around", "1m", "--format", "ndjson"]);
    assert_eq!((run.status, run.objects().len()), (0, 7));
    assert!(run.stderr.contains("nothing of this job failed"), "{}", run.stderr);
}

#[test]
fn another_zone_may_be_on_another_day_and_summer_time_is_kept() {
    let mut case = Case::new();
    slow(&mut case);
    let of =
        |zone: &str| run(case.path(), &["timeline", ".", "--job", "job", "--format", "table", "--tz", zone]).stdout;
    assert!(of("America/Los_Angeles").contains("01:00:10  17:00:10-08:00 -1d"), "{}", of("America/Los_Angeles"));
    assert!(of("+05:30").contains("01:00:10  06:30:10+05:30  "), "{}", of("+05:30"));
    assert_eq!(run(case.path(), &["timeline", ".", "--job", "job", "--tz", "Mars"]).status, 2);
}

#[test]
fn hints_are_commands_that_run_and_hostile_names_are_no_part_of_them() {
    let text = run(root(), &["analyze", "samples", "--format", "table"]).stdout;
    let mut hints = 0;
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("holdtrace ")) {
        hints += 1;
        let run = run(root(), &line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(run.status, 0, "{line}: {}", run.stderr);
    }
    assert_eq!(hints, 4, "{text}");
    let mut case = Case::new();
    case.step("$(touch x)", 0, "upload", "failure", json!({ "status": 403 }));
    case.write("trail.ndjson", case.trail[0].to_string());
    let text = run(case.path(), &["analyze", ".", "--format", "table"]).stdout;
    assert!(text.contains("holdtrace timeline --job ID ."), "{text}");
}
