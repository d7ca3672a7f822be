//! What must not change a verdict: the order of records, repeats, other clocks, other names. And what may only take from
//! it: sources that are missing.
//!
//! The archive is the samples; `HOLDTRACE_ARCHIVE` names another folder, to be looked at by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::DateTime;
use holdtrace::evidence::Digest;
use proptest::prelude::*;
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::documents::check_table;
use crate::explain::grant;
use crate::support::{Case, root, run};

/// The files of the archive, unpacked: path below its folder, and text.
static ARCHIVE: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let folder = std::env::var_os("HOLDTRACE_ARCHIVE").map_or_else(|| root().join("samples"), PathBuf::from);
    let mut found = Vec::new();
    read(&folder, &folder, &mut found);
    found.sort();
    assert!(found.len() >= 8, "{found:?}");
    found
});

fn read(top: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("listed").flatten() {
        if entry.path().is_dir() {
            read(top, &entry.path(), found);
            continue;
        }
        let bytes = fs::read(entry.path()).expect("read");
        let mut text = String::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("unpacked");
        } else {
            text = String::from_utf8(bytes).expect("UTF-8");
        }
        let path = entry.path();
        let name = path.strip_prefix(top).expect("inside").display().to_string();
        found.push((name.trim_end_matches(".gz").to_owned(), text));
    }
}

/// What is said of each failure, in the order of its job and recording.
fn verdicts<'a>(files: impl IntoIterator<Item = &'a (String, String)>) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, text).expect("written");
    }
    let run = run(folder.path(), &["analyze", ".", "--format", "ndjson"]);
    assert!(run.status < 2 || run.stderr.contains("nothing"), "{}", run.stderr);
    let of = |failure: &Value| {
        let names = ["job_id", "recording_id", "class", "mechanism", "support", "attempts", "missing_permissions"];
        let mut said: Vec<Value> = names.iter().map(|name| failure[*name].clone()).collect();
        let weights = failure["hypotheses"].as_array().expect("a list").iter().map(|h| h["weight"].clone());
        said.push(weights.collect());
        Value::Array(said)
    };
    let mut found: Vec<Value> = run.objects().iter().map(of).collect();
    found.sort_by_key(Value::to_string);
    found
}

static AS_FOUND: LazyLock<Vec<Value>> = LazyLock::new(|| verdicts(ARCHIVE.iter()));

fn draw(text: &str, seed: u64) -> u64 {
    let digest = Digest::of(format!("{seed} {text}").as_bytes());
    u64::from_le_bytes(digest.0[..8].try_into().expect("eight bytes"))
}

/// A file taken apart: its records, and how they become a file again.
fn records(text: &str) -> (Vec<String>, Box<dyn Fn(&[String]) -> String>) {
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        let list = ["Records", "entities"].into_iter().find(|name| document[*name].is_array());
        let Some(list) = list else { return (vec![text.to_owned()], Box::new(|all| all[0].clone())) };
        let records = document[list].as_array().expect("a list").iter().map(Value::to_string).collect();
        return (
            records,
            Box::new(move |all| {
                let mut document = document.clone();
                document[list] =
                    all.iter().map(|record| serde_json::from_str::<Value>(record).expect("JSON")).collect();
                document.to_string()
            }),
        );
    }
    let header = usize::from(!text.starts_with('{'));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (head, rows) = lines.split_at(header);
    let head = head.to_vec();
    (rows.to_vec(), Box::new(move |all| [&head, all].concat().join("\n") + "\n"))
}

/// Other names of the same kind: of the letters of an id or number, each stands for another.
fn renamed(text: &str, seed: u64) -> String {
    static IDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)|(?P<account>\b\d{12}\b)")
            .expect("a pattern")
    });
    let mask = u32::try_from(seed % 15 + 1).expect("small");
    let turned = |c: char| match c.to_digit(16) {
        Some(digit) => char::from_digit(digit ^ mask, 16).expect("a digit"),
        None => c,
    };
    let added = |c: char| char::from_digit((c.to_digit(10).expect("a digit") + mask % 9 + 1) % 10, 10).expect("one");
    let other = |found: &Captures<'_>| match (found.name("id"), found.name("account")) {
        (Some(id), _) => id.as_str().chars().map(turned).collect::<String>(),
        (_, Some(account)) => account.as_str().chars().map(added).collect(),
        _ => unreachable!("one of the two"),
    };
    let text = IDS.replace_all(text, other);
    // Buckets, roles, people, keys.
    let names = [
        ("nordwind", "suedwind"),
        ("hold-exports", "kept-recordings"),
        ("RecordingExport", "ShipsRecordings"),
        ("mira.admin", "ada.keeper"),
        ("alice.admin", "bob.keeper"),
        ("AROAEXPORT", "AROASHIP"),
    ];
    names.iter().fold(text.into_owned(), |text, (from, to)| text.replace(from, to))
}

/// All times later by so many milliseconds.
fn shifted(text: &str, by: i64) -> String {
    static TIMES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<fraction>\.\d+)?Z").expect("a pattern"));
    let later = |found: &Captures<'_>| {
        let time = DateTime::parse_from_rfc3339(&found[0]).expect("a time") + chrono::TimeDelta::milliseconds(by);
        time.format(if by % 1000 != 0 || found.name("fraction").is_some() {
            "%Y-%m-%dT%H:%M:%S%.9fZ"
        } else {
            "%Y-%m-%dT%H:%M:%SZ"
        })
        .to_string()
    };
    TIMES.replace_all(text, later).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shuffled_records_in_files_of_other_names_give_the_same_verdicts(seed in any::<u64>()) {
        let shuffled = |(name, text): &(String, String)| {
            let (mut records, join) = records(text);
            records.sort_by_key(|record| draw(record, seed));
            (format!("{:x}/{name}", draw(name, seed) % 16), join(&records))
        };
        prop_assert_eq!(&verdicts(&ARCHIVE.iter().map(shuffled).collect::<Vec<_>>()), &*AS_FOUND);
    }

    #[test]
    fn records_that_come_again_give_the_same_verdicts(seed in any::<u64>(), share in 1u64..=4) {
        let again = |(name, text): &(String, String)| {
            let (records, join) = records(text);
            let chosen: Vec<String> = records.into_iter().filter(|record| draw(record, seed) % 4 < share).collect();
            (!chosen.is_empty()).then(|| (format!("again/{name}"), join(&chosen)))
        };
        let more: Vec<(String, String)> = ARCHIVE.iter().filter_map(again).collect();
        prop_assert!(!more.is_empty());
        prop_assert_eq!(&verdicts(ARCHIVE.iter().chain(&more)), &*AS_FOUND);
    }

    #[test]
    fn clocks_that_are_all_off_by_as_much_give_the_same_verdicts(by in prop_oneof![-20_000_000_000i64..20_000_000_000, -86_400_000i64..86_400_000]) {
        let later: Vec<(String, String)> = ARCHIVE.iter().map(|(name, text)| (name.clone(), shifted(text, by))).collect();
        prop_assert!(by == 0 || later.iter().zip(ARCHIVE.iter()).filter(|(a, b)| a.1 != b.1).count() >= 4);
        prop_assert_eq!(&verdicts(&later), &*AS_FOUND);
    }

    #[test]
    fn other_names_throughout_give_the_same_verdicts(seed in any::<u64>()) {
        let other: Vec<(String, String)> = ARCHIVE.iter().map(|(name, text)| (name.clone(), renamed(text, seed))).collect();
        prop_assert!(other.iter().zip(ARCHIVE.iter()).all(|(a, b)| a.1 != b.1));
        let mut expected: Vec<Value> =
            AS_FOUND.iter().map(|said| serde_json::from_str(&renamed(&said.to_string(), seed)).expect("JSON")).collect();
        expected.sort_by_key(Value::to_string);
        prop_assert_eq!(verdicts(&other), expected);
    }
}

/// What becomes of verdicts when something is missing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moved {
    same: usize,
    inconclusive: usize,
    /// No failure any more: what told of it is gone.
    gone: usize,
    /// To another cause, or from none to one.
    other: Vec<String>,
}

impl Moved {
    fn add(&mut self, gone: &str, left: &[Value]) {
        let key = |said: &Value| (said[0].clone(), said[1].clone());
        for before in AS_FOUND.iter() {
            let class = left.iter().find(|after| key(after) == key(before)).map(|after| after[2].clone());
            match class {
                Some(class) if class == before[2] => self.same += 1,
                Some(class) if class == "inconclusive" => self.inconclusive += 1,
                Some(class) => self.other.push(format!("without {gone}: {before} becomes {class}")),
                None => self.gone += 1,
            }
        }
    }

    fn all(&self) -> usize {
        self.same + self.inconclusive + self.gone + self.other.len()
    }
}

#[test]
fn sources_that_are_missing_only_take_from_verdicts_and_lead_to_no_other_cause() {
    let source = |name: &str| Path::new(name).components().next().expect("a folder").as_os_str().display().to_string();
    let mut sources: Vec<String> = ARCHIVE.iter().map(|(name, _)| source(name)).collect();
    sources.dedup();
    let mut table: BTreeMap<String, Moved> = BTreeMap::new();
    // One by one in every order comes to every set of them.
    for set in 1usize..(1 << sources.len()) - 1 {
        let gone: Vec<&String> = (0..sources.len()).filter(|n| set >> n & 1 == 1).map(|n| &sources[n]).collect();
        let left = ARCHIVE.iter().filter(|(name, _)| !gone.contains(&&source(name)));
        let row = if let [one] = gone[..] { one.clone() } else { format!("{} sources", gone.len()) };
        table.entry(row).or_default().add(&format!("{gone:?}"), &verdicts(left));
    }
    for (without, _) in ARCHIVE.iter() {
        let left = ARCHIVE.iter().filter(|(name, _)| name != without);
        table.entry("a file".to_owned()).or_default().add(without, &verdicts(left));
    }
    let mut page =
        "| without | same | inconclusive | no failure on record | another cause |\n|---|---|---|---|---|\n".to_owned();
    for (without, Moved { same, inconclusive, gone, other }) in &table {
        writeln!(page, "| {without} | {same} | {inconclusive} | {gone} | {} |", other.len()).expect("written");
        for moved in other {
            println!("{moved}");
        }
    }
    if std::env::var_os("HOLDTRACE_ARCHIVE").is_none() {
        check_table("docs/calibration.md", "missing", &page);
    }
    println!("{page}");
    let (all, other) =
        table.values().fold((0, 0), |(all, other), moved| (all + moved.all(), other + moved.other.len()));
    assert!(other * 100 <= all, "{other} of {all}");
    assert!(table.values().map(|moved| moved.inconclusive).sum::<usize>() > 0, "something is taken away");
    assert!(!AS_FOUND.is_empty() && table.values().all(|moved| moved.all() % AS_FOUND.len() == 0));
}

/// A step for which a permission is missing may time out. Without the log in which its grant stands, and without the scopes
/// that the caller held, nothing says that time alone helped.
#[test]
fn a_timeout_that_a_grant_ended_is_no_race_once_the_log_of_grants_is_missing() {
    for (symptom, outcome) in [(json!({}), "timeout"), (json!({ "status": 403 }), "failure")] {
        let mut case = Case::new();
        case.contrast();
        case.step("job", 0, "metadata_injection", outcome, symptom.clone());
        case.step("job", 60, "metadata_injection", outcome, symptom);
        case.step("job", 600, "metadata_injection", "success", json!({ "status": 204 }));
        case.write("audits.json", json!({ "entities": [grant("one", 300)] }).to_string());
        assert_eq!(case.failure()["class"], "scope_collision");
        fs::remove_file(case.path().join("audits.json")).expect("deleted");
        assert_eq!(case.failure()["class"], "inconclusive");
        // That it held all that the step needs says as much as a log without a grant.
        case.start("job", -5, &["recording:export", "recording:metadata:write"], json!({}));
        let class = if outcome == "timeout" { "sync_race" } else { "inconclusive" };
        assert_eq!(case.failure()["class"], class);
    }
}
