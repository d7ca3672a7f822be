//! `holdtrace advise`, on archives whose lags, retries and permissions are known because the test made them.

use std::collections::{BTreeMap, BTreeSet};

use holdtrace::classify::{JITTER, Replayed, Schedule, best, nearest_rank};
use holdtrace::evidence::Digest;
use holdtrace::ingest::Options;
use holdtrace::report::{self, RuleText, Selection};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, root, run, time};

const HOUR: i64 = 3600;
/// `time(0)` is one o'clock.
const FIRST_HOUR: i64 = 1;

fn advise(case: &Case) -> Value {
    if !case.trail.is_empty() {
        let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
        case.write("trail.ndjson", lines.join("\n") + "\n");
    }
    let run = run(case.path(), &["advise", ".", "--format", "json"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    serde_json::from_str(&run.stdout).expect("JSON")
}

/// A hold event; `at` in seconds as for [`Case::step`], with a fraction.
fn hold(case: &mut Case, what: &str, n: i64, at: f64, region: &str) {
    case.trail.push(json!({
        "timestamp": time_of(at), "region": region, "conversationId": format!("conversation-{n}"), "holdId": format!("hold-{n}"),
        "step": format!("legal_hold.{what}"), "outcome": "success",
    }));
}

#[expect(clippy::cast_possible_truncation, reason = "times of a test")]
fn time_of(at: f64) -> String {
    let micros = 1_772_413_200_000_000 + (at * 1e6).round() as i64;
    chrono::DateTime::from_timestamp_micros(micros).expect("in range").format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A repeatable number from 0 to `below`.
fn chance(seed: i64, below: i64) -> i64 {
    let mixed = (seed + 1).wrapping_mul(0x09e3_779b_97f4_a7c1) ^ 0x5bd1_e995;
    (mixed ^ (mixed >> 29)).wrapping_mul(0x00bf_5847_6d1c_e4e5).rotate_left(31).rem_euclid(below)
}

/// The plainest nearest rank there is: the least value that at least `percent` of 100 do not exceed.
fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let enough = |value: &&f64| sorted.iter().filter(|other| other <= value).count() * 100 >= percent * sorted.len();
    if sorted.len() < 5 { None } else { sorted.iter().find(enough).copied() }
}

fn rows<'a>(lags: &'a Value, of: &str) -> Vec<&'a Value> {
    lags.as_array().expect("a list").iter().filter(|row| row["of"] == of).collect()
}

fn assert_spread(row: &Value, values: &[f64], censored: usize) {
    assert_eq!(
        (row["count"].as_u64(), row["censored"].as_u64()),
        (Some(values.len() as u64), Some(censored as u64)),
        "{row}"
    );
    for (name, percent) in [("median", 50), ("p90", 90), ("p99", 99)] {
        let expected = percentile(values, percent);
        let found = row[name]["seconds"].as_f64();
        assert_eq!(found.map(|s| (s * 1e6).round()), expected.map(|s| (s * 1e6).round()), "{name} of {row}");
    }
    let longest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(row["longest"]["seconds"].as_f64(), (!values.is_empty()).then_some(longest), "{row}");
}

#[test]
fn lags_of_holds_are_those_of_a_brute_force_reader_and_each_figure_cites_its_two_records() {
    let mut case = Case::new();
    let mut cells: BTreeMap<(&str, i64), (Vec<f64>, usize)> = BTreeMap::new();
    for n in 0..260 {
        let region = ["eu-west-1", "us-east-1"][usize::from(chance(n, 3) == 0)];
        let hour = chance(n + 1000, 4);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (placed, lag) = ((n * 24 * HOUR + hour * HOUR) as f64 + 0.25, chance(n + 5000, 900_000) as f64 / 1000.0);
        hold(&mut case, "placed", n, placed, region);
        let cell = cells.entry((region, (hour + FIRST_HOUR) % 24)).or_default();
        match n % 13 {
            5 => cell.1 += 1,
            9 => {
                hold(&mut case, "released", n, placed + lag, region);
                cell.1 += 1;
            }
            _ => {
                hold(&mut case, "synced", n, placed + lag, region);
                cell.0.push((lag * 1000.0).round() / 1000.0);
            }
        }
    }
    // The platform's audit log tells of a placing a second time; a hold is counted once.
    case.trail.push(json!({ "timestamp": time_of(0.5), "conversationId": "conversation-0", "region": "eu-west-1",
        "step": "legal_hold.placed", "outcome": "success" }));
    let advice = advise(&case);
    let holds = &advice["holds"];
    let all: Vec<f64> = cells.values().flat_map(|(values, _)| values.iter().copied()).collect();
    let open: usize = cells.values().map(|(_, open)| open).sum();
    assert_eq!(
        [&holds["placed"], &holds["synced"], &holds["open"]],
        [260, all.len(), open].map(|n| json!(n)).each_ref()
    );
    assert_eq!([&holds["lifted"], &holds["told_again"]], [&json!(20), &json!(1)]);
    assert_spread(rows(&holds["lags"], "all")[0], &all, open);
    for region in ["eu-west-1", "us-east-1"] {
        let of: Vec<_> = cells.iter().filter(|((own, _), _)| *own == region).collect();
        let values: Vec<f64> = of.iter().flat_map(|(_, (values, _))| values.iter().copied()).collect();
        let row = rows(&holds["lags"], "region").into_iter().find(|row| row["region"] == region).expect("the region");
        assert_spread(row, &values, of.iter().map(|(_, (_, open))| open).sum());
    }
    let by_hour = rows(&holds["lags"], "region_hour");
    assert_eq!(by_hour.len(), cells.len());
    for row in by_hour {
        let key = (row["region"].as_str().expect("a region"), row["hour"].as_i64().expect("an hour"));
        let (values, open) = &cells[&key];
        assert_spread(row, values, *open);
    }
    let by_id: BTreeMap<String, &Value> =
        case.trail.iter().map(|line| (Digest::of(line.to_string().as_bytes()).record_id(), line)).collect();
    for row in holds["lags"].as_array().expect("a list") {
        for name in ["median", "p90", "p99", "longest"] {
            let Some(seconds) = row[name]["seconds"].as_f64() else { continue };
            let records = row[name]["records"].as_array().expect("a list");
            let lines: Vec<&Value> = records.iter().map(|id| by_id[id.as_str().expect("an id")]).collect();
            assert_eq!([&lines[0]["step"], &lines[1]["step"]], ["legal_hold.placed", "legal_hold.synced"]);
            assert_eq!(lines[0]["holdId"], lines[1]["holdId"]);
            let at = |line: &Value| {
                let text = line["timestamp"].as_str().expect("a time");
                chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros()
            };
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let between = (at(lines[1]) - at(lines[0])) as f64 / 1e6;
            assert!((between - seconds).abs() < 1e-9, "{name} of {row} is the time between the records it cites");
        }
    }
}

/// A job that meets a conflict at `at`, is tried again after each of `waits`, and gets through with the last of them.
fn conflict(case: &mut Case, job: &str, at: i64, waits: &[i64], gets_through: bool, more: &Value) {
    let mut now = at;
    case.start(job, at - 1, &["recording:export", "recording:metadata:write"], more.clone());
    for (n, wait) in std::iter::once(&0).chain(waits).enumerate() {
        now += wait;
        let ok = gets_through && n == waits.len();
        let (outcome, status) = if ok { ("success", 200) } else { ("failure", 409) };
        let mut said = json!({ "status": status, "attempt": n + 1 });
        if !ok {
            said["errorCode"] = json!("metadata.conflict");
        }
        for (name, value) in more.as_object().expect("an object") {
            said[name] = value.clone();
        }
        case.step(job, now, "metadata_injection", outcome, said);
    }
}

#[test]
fn conflicts_are_measured_to_success_and_what_never_got_through_is_no_value() {
    let mut case = Case::new();
    let mut cells: BTreeMap<i64, (Vec<f64>, usize)> = BTreeMap::new();
    for n in 0..60 {
        let (hour, wait) = (chance(n, 3), 10 + chance(n + 77, 300));
        let through = n % 10 != 3;
        conflict(&mut case, &format!("job-{n}"), n * 24 * HOUR + hour * HOUR, &[wait, 2 * wait], through, &json!({}));
        let cell = cells.entry(hour + FIRST_HOUR).or_default();
        if through {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            cell.0.push((3 * wait) as f64);
        } else {
            cell.1 += 1;
        }
    }
    // What ended it was the acknowledgement, not time.
    case.step(
        "ack",
        5,
        "metadata_injection",
        "failure",
        json!({ "status": 409, "legalHoldAcknowledgement": false,
        "errorCode": "metadata.conflict", "errorMessage": "legal hold not acknowledged" }),
    );
    case.step("ack", 4000, "metadata_injection", "success", json!({ "status": 200, "legalHoldAcknowledgement": true }));
    let advice = advise(&case);
    let conflicts = &advice["conflicts"];
    assert_eq!(conflicts["set_aside"], json!({ "missing_hold_acknowledgement": 1 }));
    assert_eq!(
        [&conflicts["failures"], &conflicts["recovered"], &conflicts["open"]],
        [&json!(60), &json!(54), &json!(6)]
    );
    let all: Vec<f64> = cells.values().flat_map(|(values, _)| values.iter().copied()).collect();
    assert_spread(rows(&conflicts["lags"], "all")[0], &all, 6);
    for row in rows(&conflicts["lags"], "region_hour") {
        let (values, open) = &cells[&row["hour"].as_i64().expect("an hour")];
        assert_spread(row, values, *open);
    }
}

#[test]
fn the_exporters_own_schedule_is_learned_and_found_too_short() {
    let mut case = Case::new();
    for n in 0..30 {
        let at = n * HOUR;
        let conversation =
            json!({ "conversationId": format!("conversation-{n}"), "recordingId": format!("recording-{n}") });
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        hold(&mut case, "placed", n, (at - 5) as f64, "eu-west-1");
        // It waits 10, 20 and 40 s and gives up; of three holds one synchronises while it tries.
        let through = n % 3 == 0;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        hold(&mut case, "synced", n, if through { at + 60 } else { at + 200 + n } as f64, "eu-west-1");
        conflict(&mut case, &format!("job-{n}"), at, &[10, 20, 40], through, &conversation);
    }
    // The evidence goes on, so it is known that nothing else was tried.
    case.healthy("last", 40 * HOUR, &["recording:export"], &json!({}));
    let advice = advise(&case);
    let own = &advice["own_schedule"][0];
    assert_eq!(own["mechanism"], Value::Null);
    assert_eq!([&own["base_seconds"], &own["factor"], &own["retries"]], [&json!(10.0), &json!(2.0), &json!(3)]);
    assert_eq!([&own["fitting"], &own["of_waits"], &own["retries_from"]], [&json!(90), &json!(90), &json!("gave_up")]);
    assert_eq!([&own["gave_up"], &own["gave_up_too_soon"], &own["got_through"]], [&json!(20), &json!(20), &json!(10)]);
    assert_eq!(own["survives"], json!(false));
    assert_eq!([&own["replay"]["cleared"], &own["replay"]["settled"]], [&json!(10), &json!(30)]);
    // From the first failing attempt to the synchronising of the hold: 60 s, or 200 + n.
    let backoff = &advice["backoff"][0];
    assert_eq!([&backoff["settled"], &backoff["unsettled"]], [&json!(30), &json!(0)]);
    assert_eq!(backoff["needed"]["seconds"], json!(229.0));
    let span = backoff["schedule"]["least_span_seconds"].as_f64().expect("a number");
    assert!(span >= 229.0, "{backoff}");
}

/// All schedules that docs/advise.md says are tried, the plain way.
fn documented_schedules() -> Vec<Schedule> {
    let mut found = Vec::new();
    for base_seconds in [1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0] {
        for factor in [1.5, 2.0, 3.0] {
            found.extend((1..=8).map(|retries| Schedule { base_seconds, factor, retries, jitter: 0.2 }));
        }
    }
    found.retain(|schedule| schedule.span() <= 86_400.0);
    found
}

#[test]
fn the_advised_backoff_clears_99_of_100_and_no_schedule_that_gives_up_sooner_does() {
    let mut case = Case::new();
    let mut settled: Vec<i64> = Vec::new();
    for n in 0..150 {
        // One in 75 takes far longer: 99 of 100 do without it.
        let wait = if n % 75 == 7 { 50_000 } else { 20 + chance(n, 200) };
        conflict(&mut case, &format!("job-{n}"), n * 24 * HOUR, &[wait], true, &json!({}));
        settled.push(wait * 1_000_000);
    }
    settled.sort_unstable();
    let advice = advise(&case);
    let backoff = &advice["backoff"][0];
    assert_eq!(backoff["needed"]["seconds"].as_f64(), percentile(&seconds(&settled), 99));
    let replay = &backoff["schedule"];
    let advised = Schedule {
        base_seconds: replay["base_seconds"].as_f64().expect("a number"),
        factor: replay["factor"].as_f64().expect("a number"),
        retries: u32::try_from(replay["retries"].as_u64().expect("a number")).expect("small"),
        jitter: replay["jitter"].as_f64().expect("a number"),
    };
    // The last retry comes soonest when chance shortens every wait by all of the jitter.
    let clears = |schedule: &Schedule| {
        let waits =
            (0..schedule.retries).map(|n| schedule.base_seconds * (0..n).map(|_| schedule.factor).product::<f64>());
        let last = waits.sum::<f64>() * (1.0 - schedule.jitter);
        seconds(&settled).iter().filter(|at| **at <= last).count()
    };
    assert_eq!(replay["cleared"].as_u64(), Some(clears(&advised) as u64));
    assert_eq!(replay["attempts"], json!(advised.retries + 1));
    assert!(clears(&advised) * 100 >= 99 * 150);
    let quarter = percentile(&seconds(&settled), 25).expect("enough");
    for other in documented_schedules().iter().filter(|schedule| schedule.base_seconds <= quarter) {
        let sooner = other.span() < advised.span();
        assert!(
            !sooner || clears(other) * 100 < 99 * 150,
            "{other:?} clears as many and gives up sooner than {advised:?}"
        );
    }
    // The remedy says the same, of all failures, whichever are wanted.
    let sentence = format!(
        "In this archive 99 of 100 such failures (150 counted) had cleared {:.1} s after the first failing attempt: retry {}.",
        backoff["needed"]["seconds"].as_f64().expect("a number"),
        advised.words()
    );
    let arguments = ["analyze", ".", "--format", "ndjson"];
    let all = run(case.path(), &arguments).objects();
    for failure in &all {
        assert_eq!(
            (failure["class"].as_str(), failure["mechanism"].as_str()),
            (Some("sync_race"), Some("hold_conflict"))
        );
        assert_eq!(failure["remedy"].as_array().expect("a list").last(), Some(&json!(sentence)));
    }
    let one = run(case.path(), &[&arguments[..], &["--job", "job-3"]].concat()).objects();
    assert_eq!(one, all[3..4]);
}

fn seconds(micros: &[i64]) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    micros.iter().map(|micros| *micros as f64 / 1e6).collect()
}

#[test]
fn of_few_failures_nothing_is_said_and_of_fewer_than_a_hundred_only_what_all_did() {
    let mut case = Case::new();
    for n in 0..4 {
        conflict(&mut case, &format!("job-{n}"), n * HOUR, &[30], true, &json!({}));
    }
    let few = advise(&case);
    let all = rows(&few["conflicts"]["lags"], "all")[0];
    assert_eq!([&all["count"], &all["median"], &all["p99"]], [&json!(4), &Value::Null, &Value::Null]);
    assert_eq!([&few["backoff"][0]["schedule"], &few["backoff"][0]["reason"]], [&Value::Null, &json!("too_few")]);
    assert_eq!(
        [&few["own_schedule"][0]["survives"], &few["own_schedule"][0]["reason"]],
        [&Value::Null, &json!("too_few")]
    );
    let remedies = |case: &Case| run(case.path(), &["analyze", ".", "--format", "csv"]).stdout;
    assert!(!remedies(&case).contains("In this archive"));
    conflict(&mut case, "job-4", 4 * HOUR, &[50], true, &json!({}));
    conflict(&mut case, "job-5", 5 * HOUR, &[], false, &json!({}));
    case.healthy("last", 40 * HOUR, &["recording:export"], &json!({}));
    let enough = advise(&case);
    assert_eq!(rows(&enough["conflicts"]["lags"], "all")[0]["p99"]["seconds"], json!(50.0));
    let said = "In this archive all 5 such failures had cleared 50.0 s after the first failing attempt; of 1 more it is not on \
                record when: retry ";
    assert!(remedies(&case).contains(said), "{}", remedies(&case));
    let text = run(case.path(), &["advise", "."]);
    assert_eq!((text.status, text.stderr.as_str()), (0, ""));
    assert!(text.stdout.contains(said), "{}", text.stdout);
}

#[test]
fn no_schedule_is_advised_where_things_take_longer_than_a_day() {
    let mut case = Case::new();
    for n in 0..6 {
        conflict(&mut case, &format!("job-{n}"), n * HOUR, &[90_000], true, &json!({}));
    }
    let backoff = &advise(&case)["backoff"][0];
    assert_eq!([&backoff["schedule"], &backoff["reason"]], [&Value::Null, &json!("too_long")]);
    assert_eq!(backoff["needed"]["seconds"], json!(90_000.0));
}

#[test]
fn the_hour_in_which_holds_are_slow_and_that_in_which_failures_crowd_are_named() {
    let mut case = Case::new();
    for day in 0..6 {
        for hour in 0..4 {
            let (n, at) = (day * 4 + hour, day * 24 * HOUR + hour * HOUR);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let at = at as f64;
            hold(&mut case, "placed", n, at, "eu-west-1");
            hold(&mut case, "synced", n, at + if hour == 2 { 400.0 } else { 100.0 }, "eu-west-1");
            let job = format!("job-{n}");
            if hour == 3 {
                conflict(&mut case, &job, day * 24 * HOUR + hour * HOUR + 600, &[30], true, &json!({}));
            } else {
                case.healthy(&job, day * 24 * HOUR + hour * HOUR, &["recording:export"], &json!({}));
            }
        }
    }
    let advice = advise(&case);
    let hours = advice["hours_to_avoid"].as_array().expect("a list");
    let named: Vec<(&str, i64)> = hours
        .iter()
        .map(|hour| (hour["why"].as_str().expect("text"), hour["hour"].as_i64().expect("an hour")))
        .collect();
    assert_eq!(named, [("holds_synchronise_slowly", 2 + FIRST_HOUR), ("failures_crowd", 3 + FIRST_HOUR)]);
    assert_eq!(
        [&hours[0]["median"]["seconds"], &hours[0]["elsewhere_median"]["seconds"]],
        [&json!(400.0), &json!(100.0)]
    );
    assert_eq!([&hours[0]["count"], &hours[0]["elsewhere"]], [&json!(6), &json!(18)]);
    assert_eq!([&hours[1]["per_thousand"], &hours[1]["elsewhere_per_thousand"]], [&json!(500.0), &json!(0.0)]);
}

#[test]
fn a_rotation_within_the_retries_is_found_and_one_after_them_is_not() {
    for (rotated, cuts) in [(40, true), (4000, false)] {
        let mut case = Case::new();
        for n in 0..6 {
            conflict(&mut case, &format!("job-{n}"), n * 24 * HOUR, &[100], true, &json!({}));
        }
        case.trail.push(
            json!({ "timestamp": time(2 * 24 * HOUR + rotated), "step": "credential.rotated", "principal": "caller",
            "outcome": "success" }),
        );
        let advice = advise(&case);
        let credentials = &advice["credentials"];
        assert_eq!([&credentials["rotations"], &credentials["failures"]], [&json!(1), &json!(6)], "{credentials}");
        assert_eq!(credentials["cuts"], json!(cuts));
        assert_eq!(credentials["rotated_in_span"], json!(i32::from(cuts)));
        assert_eq!(credentials["records"].as_array().map(Vec::len), Some(if cuts { 2 } else { 0 }));
        assert_eq!(credentials["shortest_lifetime_seconds"], Value::Null, "events carry no lifetimes");
        if !cuts {
            continue;
        }
        let without: Vec<Value> =
            case.trail.iter().filter(|line| line["step"] != "credential.rotated").cloned().collect();
        case.trail = without;
        assert_eq!(advise(&case)["credentials"]["cuts"], Value::Null, "no rotation on record says nothing");
    }
}

fn step<'a>(advice: &'a Value, name: &str) -> &'a Value {
    let steps = advice["permissions"].as_array().expect("a list");
    steps.iter().find(|step| step["step"] == name).expect("the step")
}

fn media<'a>(step: &'a Value, name: &str) -> &'a Value {
    let media = step["media_types"].as_array().expect("a list");
    media.iter().find(|media| media["media_type"] == name).expect("the media type")
}

fn permission<'a>(at_step: &'a Value, name: &str) -> &'a Value {
    let permissions = at_step["permissions"].as_array().expect("a list");
    permissions.iter().find(|permission| permission["permission"] == name).expect("the permission")
}

/// A job that is refused at the metadata and never gets further.
fn refused(case: &mut Case, job: &str, at: i64, scopes: &[&str], more: &Value) {
    case.start(job, at, scopes, more.clone());
    let mut said = more.clone();
    said["status"] = json!(403);
    said["errorMessage"] = json!("missing permission(s): interaction:write");
    for n in 1..4 {
        case.step(job, at + n * 600, "metadata_injection", "failure", said.clone());
    }
}

#[test]
fn claims_are_set_beside_what_the_archive_says_with_jobs_and_callers() {
    let mut case = Case::new();
    let of = |media: &str, caller: &str| json!({ "mediaType": media, "principal": caller });
    for n in 0..4 {
        for (media, caller) in [("webrtc", "first"), ("voice", "second")] {
            let scopes = ["recording:export", "recording:metadata:write"];
            case.healthy(&format!("{media}-{n}"), n * HOUR, &scopes, &of(media, caller));
        }
        refused(
            &mut case,
            &format!("refused-{n}"),
            n * HOUR,
            &["recording:export"],
            &of("webrtc", &format!("refused-{n}")),
        );
    }
    let advice = advise(&case);
    let step = step(&advice, "metadata_injection");
    assert_eq!(step["passed"], json!({ "jobs": 8, "callers": 2, "unknown": 0, "explained": 0 }));
    assert_eq!(step["failed"], json!({ "jobs": 4, "callers": 4, "unknown": 0, "explained": 0 }));
    assert_eq!(step["shared"], json!(["recording:export", "recording:metadata:write"]));
    let needed = permission(step, "recording:metadata:write");
    assert_eq!([&needed["archive"], &needed["needed"]], [&json!("agrees"), &json!(true)]);
    assert_eq!(needed["passed"], json!({ "jobs_with": 8, "jobs_without": 0, "callers_with": 2, "callers_without": 0 }));
    assert_eq!(needed["failed"], json!({ "jobs_with": 0, "jobs_without": 4, "callers_with": 0, "callers_without": 4 }));
    assert_eq!(needed["claims"][0]["standing"], "reported");
    let named = permission(step, "interaction:write");
    assert_eq!([&named["archive"], &named["named_in_refusals"]], [&json!("contradicts"), &json!(12)]);
    assert_eq!(
        permission(media(step, "voice"), "recording:metadata:write")["archive"],
        "does_not_decide",
        "no voice job lacked it"
    );
    assert_eq!(permission(media(step, "webrtc"), "recording:metadata:write")["archive"], "agrees");
    for name in ["webrtc", "voice"] {
        let separate = &media(step, name)["separate"];
        assert_eq!(*separate, json!({ "answer": "no", "permissions": [], "jobs": 4, "other_jobs": 4 }), "{name}");
    }
    let ids: BTreeSet<String> =
        case.trail.iter().map(|line| Digest::of(line.to_string().as_bytes()).record_id()).collect();
    for record in needed["records"].as_array().expect("a list") {
        assert!(ids.contains(record.as_str().expect("an id")));
    }
}

#[test]
fn a_permission_that_only_webrtc_needs_is_found_even_among_recordings_of_one_job() {
    let mut case = Case::new();
    let both = ["recording:export", "recording:metadata:write", "webrtc:metadata:write"];
    for n in 0..6 {
        // A job of recordings of several media types; its records say which is which.
        let (job, at) = (format!("mixed-{n}"), n * HOUR);
        let scopes = if n % 2 == 0 { &both[..] } else { &both[..2] };
        case.start(&job, at, scopes, json!({}));
        for (media, after) in [("voice", 1), ("webrtc", 4)] {
            let refused = media == "webrtc" && n % 2 == 1;
            let (outcome, status) = if refused { ("failure", 403) } else { ("success", 200) };
            for again in 0..(if refused { 3 } else { 1 }) {
                let more = json!({ "mediaType": media, "status": status, "recordingId": format!("{media}-{n}"),
                    "conversationId": format!("{media}-{n}"), "objectKey": null });
                case.step(&job, at + after + again * 600, "metadata_injection", outcome, more);
            }
        }
    }
    let advice = advise(&case);
    let step = step(&advice, "metadata_injection");
    let separate = &media(step, "webrtc")["separate"];
    assert_eq!(
        *separate,
        json!({ "answer": "yes", "permissions": ["webrtc:metadata:write"], "jobs": 3, "other_jobs": 6 })
    );
    let found = permission(media(step, "webrtc"), "webrtc:metadata:write");
    assert_eq!([&found["needed"], &found["claims"], &found["archive"]], [&json!(true), &json!([]), &Value::Null]);
    assert_eq!([&found["passed"]["jobs_with"], &found["failed"]["jobs_without"]], [&json!(3), &json!(3)]);
    assert_eq!(media(step, "voice")["separate"]["answer"], "no");
    assert_eq!(step["jobs_without_media_type"], 0);
}

#[test]
fn who_failed_for_another_cause_says_nothing_of_permissions() {
    let mut case = Case::new();
    for n in 0..4 {
        case.healthy(&format!("healthy-{n}"), n * HOUR, &["recording:export", "idle:scope"], &json!({}));
        // Throttled, and without a scope that has nothing to do with it.
        let job = format!("throttled-{n}");
        case.start(&job, n * HOUR, &["recording:export"], json!({ "principal": "other" }));
        for again in 0..3 {
            let more = json!({ "principal": "other", "status": 429, "errorCode": "rate.limit.exceeded" });
            case.step(&job, n * HOUR + again * 30, "metadata_injection", "failure", more);
        }
    }
    let advice = advise(&case);
    let step = step(&advice, "metadata_injection");
    assert_eq!(step["failed"], json!({ "jobs": 0, "callers": 0, "unknown": 0, "explained": 4 }));
    let names: Vec<&str> =
        step["permissions"].as_array().expect("a list").iter().filter_map(|p| p["permission"].as_str()).collect();
    assert!(!names.contains(&"idle:scope"), "{names:?}");
}

/// The same with all record ids and times of the archive taken out.
fn without_ids(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        Value::Object(members) => {
            for name in ["records", "first_time", "last_time"] {
                if members.contains_key(name) && !members[name].is_number() {
                    let count = members[name].as_array().map(Vec::len);
                    members.insert(name.to_owned(), json!(count));
                }
            }
            members.values_mut().for_each(without_ids);
        }
        _ => {}
    }
}

#[test]
fn days_later_and_under_other_ids_the_advice_is_the_same() {
    let text = std::fs::read_to_string(root().join("samples/trail/export-trail-2026-05-04.ndjson")).expect("read");
    let mut case = Case::new();
    let made: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    case.trail.extend(made);
    for n in 0..20 {
        conflict(
            &mut case,
            &format!("{n:08}-aaaa-4aaa-8aaa-aaaaaaaaaaaa"),
            n * 7 * HOUR,
            &[20 + n, 40],
            n % 5 != 0,
            &json!({}),
        );
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let at = (n * 5 * HOUR) as f64;
        hold(&mut case, "placed", n, at, "eu-west-1");
        hold(&mut case, "synced", n, at + 100.0, "eu-west-1");
    }
    let mut plain = advise(&case);
    let shift = |line: &str| {
        // Times in the trail are RFC 3339 in 2026; ids are hexadecimal, and named after the job.
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        let text = line["timestamp"].as_str().expect("a time");
        let later = chrono::DateTime::parse_from_rfc3339(text).expect("a time") + chrono::Duration::days(11);
        line["timestamp"] = json!(later.to_rfc3339());
        for name in ["jobId", "conversationId", "recordingId", "principal", "holdId", "correlationId"] {
            if let Some(id) = line[name].as_str().map(|id| format!("renamed-{}", id.chars().rev().collect::<String>()))
            {
                line[name] = json!(id);
            }
        }
        line["objectKey"] = Value::Null;
        line.to_string()
    };
    let unkeyed = Case::new();
    let lines: Vec<String> = case.trail.iter().map(|line| shift(&line.to_string())).collect();
    unkeyed.write("trail.ndjson", lines.join("\n") + "\n");
    let mut renamed = advise(&unkeyed);
    without_ids(&mut plain);
    without_ids(&mut renamed);
    assert!(
        plain["holds"]["synced"].as_u64() > Some(19) && !plain["permissions"].as_array().expect("a list").is_empty()
    );
    assert_eq!(plain, renamed);
}

#[test]
fn any_number_of_threads_the_logs_or_their_parts_give_the_same_bytes() {
    for format in ["json", "text"] {
        let with = |threads: &str| run(root(), &["advise", "samples", "--format", format, "--threads", threads]).bytes;
        assert!(with("1") == with("3"), "{format}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let parts = folder.path().join("parts").display().to_string();
    assert_eq!(run(root(), &["ingest", "samples", "--out", &parts]).status, 0);
    let of = |path: &str| run(root(), &["advise", path, "--format", "json"]).stdout;
    assert_eq!(of(&parts), of("samples"));
}

/// Failures are worked on wave by wave; what is learned of them all must not depend on how many there are at a time.
#[test]
fn however_few_attempts_are_worked_on_at_a_time_the_advice_and_the_remedies_are_the_same() {
    let mut case = Case::new();
    for n in 0..12 {
        conflict(&mut case, &format!("job-{n}"), n * 7 * HOUR, &[20 + n, 40], n % 5 != 0, &json!({}));
        refused(&mut case, &format!("refused-{n}"), n * 3 * HOUR, &["recording:export"], &json!({}));
    }
    advise(&case);
    let rules = RuleText::built_in().expect("a pack");
    let paths = [case.path().display().to_string()];
    let found = |attempts_at_a_time: usize, job: Option<&str>| {
        let options = Options { attempts_at_a_time, ..Options::default() };
        let advice = report::advise(&paths, options, &rules, &()).expect("advised");
        let selection = Selection { job: job.map(str::to_owned), ..Selection::default() };
        let analysis = report::analyze(&paths, options, &rules, &selection, &()).expect("analysed");
        (serde_json::to_string(&advice).expect("JSON"), serde_json::to_string(&analysis.failures).expect("JSON"))
    };
    let whole = found(usize::MAX, None);
    assert!(whole.1.contains("In this archive all 9 such failures had cleared"), "{}", whole.1);
    for few in [1, 5, 40] {
        assert!(found(few, None) == whole, "{few} attempts at a time");
        assert_eq!(found(few, Some("job-1")).1, found(usize::MAX, Some("job-1")).1);
    }
}

#[test]
fn the_advice_on_the_samples_reads_so() {
    let run = run(root(), &["advise", "samples"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn a_record_that_cannot_be_read_ends_with_status_1_and_nothing_readable_with_2() {
    let mut case = Case::new();
    conflict(&mut case, "job", 0, &[30], true, &json!({}));
    let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
    case.write("trail.ndjson", lines.join("\n") + "\n{broken\n");
    let partial = run(case.path(), &["advise", ".", "--format", "json"]);
    assert_eq!(partial.status, 1);
    assert!(partial.stderr.contains("1 of 4 records not read"), "{}", partial.stderr);
    assert_eq!(serde_json::from_str::<Value>(&partial.stdout).expect("JSON")["archive"]["rejected"], 1);
    let into = run(case.path(), &["advise", ".", "--out", "advice.json"]);
    assert_eq!(into.status, 2, "nothing is written into the evidence: {}", into.stderr);
    let nothing = Case::new();
    nothing.write("x.bin", [0u8, 1, 2]);
    assert_eq!(run(nothing.path(), &["advise", "."]).status, 2);
}

#[test]
fn names_from_the_evidence_cannot_forge_lines_of_the_text_or_command_a_terminal() {
    let mut case = Case::new();
    let hostile = json!({ "region": "eu\nFORGED\u{1b}[2J", "mediaType": "voice\nFORGED media" });
    for n in 0..6 {
        conflict(&mut case, &format!("job-{n}"), n * HOUR, &[30], true, &hostile);
        let scopes = ["recording:export\nFORGED:scope", "recording:metadata:write"];
        case.healthy(&format!("healthy-{n}"), n * HOUR, &scopes, &hostile);
    }
    advise(&case);
    let text = run(case.path(), &["advise", "."]).stdout;
    assert!(text.contains("eu\\nFORGED") && text.contains("voice\\nFORGED media"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{text}");
}

#[test]
fn in_the_labelled_archives_the_permission_that_is_really_needed_is_the_one_found() {
    let cases = root().join("../shared/cases");
    let Ok(folders) = std::fs::read_dir(&cases) else {
        println!("skipped: {} is not here", cases.display());
        return;
    };
    for folder in folders.flatten().filter(|f| f.path().join("truth.json").exists()) {
        let truth = std::fs::read(folder.path().join("truth.json")).expect("read");
        let truth: Value = serde_json::from_slice(&truth).expect("JSON");
        let required = truth["required_scope"].as_str().expect("a scope");
        let advice = run(&folder.path(), &["advise", "archive", "--format", "json"]);
        assert!(advice.status < 2, "{}", advice.stderr);
        let advice: Value = serde_json::from_str(&advice.stdout).expect("JSON");
        let injection = step(&advice, "metadata_injection");
        for claim in injection["permissions"].as_array().expect("a list") {
            let expected = if claim["permission"] == required { "agrees" } else { "contradicts" };
            assert_eq!(claim["archive"], expected, "{} in {}", claim["permission"], folder.path().display());
        }
        assert_eq!(media(injection, "webrtc")["separate"]["answer"], "no");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_longer_schedule_never_clears_less_and_more_jitter_never_more(
        settled in proptest::collection::vec(0i64..500_000_000, 0..40),
        base in 1u32..100, factor in 10u32..40, retries in 1u32..9, jitter in 0u32..10,
    ) {
        let schedule = Schedule {
            base_seconds: f64::from(base), factor: f64::from(factor) / 10.0, retries, jitter: f64::from(jitter) / 10.0,
        };
        let cleared = Replayed::of(schedule, &settled).cleared;
        prop_assert_eq!(cleared, settled.iter().filter(|at| schedule.clears(**at)).count());
        for longer in [
            Schedule { retries: retries + 1, ..schedule },
            Schedule { base_seconds: schedule.base_seconds + 1.0, ..schedule },
            Schedule { factor: schedule.factor + 0.5, ..schedule },
            Schedule { jitter: schedule.jitter / 2.0, ..schedule },
        ] {
            prop_assert!(Replayed::of(longer, &settled).cleared >= cleared, "{:?} after {:?}", longer, schedule);
        }
        // The last retry comes soonest when chance shortens every wait by all of the jitter; just before, it clears.
        let waits = (0..retries).map(|n| schedule.base_seconds * (0..n).map(|_| schedule.factor).product::<f64>());
        let soonest = waits.sum::<f64>() * (1.0 - schedule.jitter);
        #[expect(clippy::cast_possible_truncation, reason = "hours at most")]
        let around = [soonest * (1.0 - 1e-9), soonest * (1.0 + 1e-9)].map(|at| (at * 1e6) as i64);
        prop_assert!(schedule.clears(around[0] - 1) && !schedule.clears(around[1] + 1), "{:?}", schedule);
    }

    #[test]
    fn a_schedule_that_is_advised_clears_99_of_100(mut settled in proptest::collection::vec(0i64..40_000_000_000, 0..300)) {
        settled.sort_unstable();
        let found = best(&settled);
        prop_assert_eq!(found.is_empty(), settled.len() < 5, "40000 s are within what is tried");
        for replay in found {
            prop_assert!(replay.cleared * 100 >= 99 * settled.len());
            prop_assert!(replay.schedule.jitter.to_bits() == JITTER.to_bits());
        }
    }

    #[test]
    fn a_nearest_rank_is_the_least_value_not_exceeded_by_enough(percent in 1usize..=100, count in 1usize..500) {
        let rank = nearest_rank(percent, count);
        prop_assert!(rank < count);
        prop_assert!((rank + 1) * 100 >= percent * count);
        prop_assert!(rank == 0 || rank * 100 < percent * count);
    }
}
