//! Properties: cutting into records against the plainest possible reader, failures against a brute-force oracle, and any
//! bytes whatever.

use std::io::Write as _;

use holdtrace::correlate::EventTable;
use holdtrace::evidence::{Framer, Input, Limits, Locator, Place, Stream, recognise};
use holdtrace::ingest::{Collect, Event, Text};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, run, time};

/// Cuts `bytes` into records with chunks of `chunk` bytes.
fn cut(bytes: &[u8], chunk: usize) -> (Vec<(u64, Vec<u8>)>, usize) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let input = Input { label: "x".into(), place: Place::File(file.path().into()), bytes: 0 };
    let mut stream = Stream::open(&input.place).expect("opened");
    let limits = Limits { max_record: 1 << 20, chunk };
    let framer = Framer::new(&mut stream, limits);
    let (head, whole) = framer.head();
    let (shape, _) = recognise(head, whole, &|_| true);
    // Recognising reads more than a chunk; records are cut from the first byte on, chunk by chunk.
    let mut stream = Stream::open(&input.place).expect("opened");
    let mut framer = Framer::of_shape(limits, &shape);
    let (mut records, mut rejects) = (Vec::new(), 0);
    while let Some(chunk) = framer.next_chunk(&mut stream) {
        rejects += chunk.rejects.len();
        records.extend(chunk.spans.iter().map(|s| (chunk.base + s.start as u64, chunk.bytes[s.start..s.end].to_vec())));
    }
    (records, rejects)
}

fn record() -> impl Strategy<Value = Value> {
    let text = "[ -~\\n\\\\\"{}\\[\\],:äß€]{0,12}";
    let scalar = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    let tree = scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..3).prop_map(|m| json!(m)),
        ]
    });
    proptest::collection::btree_map("[a-z]{1,6}", tree, 1..4).prop_map(|m| json!(m))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_are_found_at_their_places_however_they_are_wrapped(records in proptest::collection::vec(record(), 1..12), chunk in 7usize..4096, style in 0u8..5) {
        let texts: Vec<String> = records.iter().enumerate().map(|(n, r)| if style == 4 && n % 2 == 0 {
            serde_json::to_string_pretty(r).expect("JSON")
        } else {
            r.to_string()
        }).collect();
        let document = match style {
            0 => texts.join("\n"),
            1 => format!("[{}]", texts.join(",")),
            2 => format!("{{\"id\":\"[\\\"{{\",\"pageSize\":{{\"Records\":[1]}},\"Records\":[{}],\"tail\":[1,{{}}]}}", texts.join(" , ")),
            3 => format!(" [\n {}\n]\n", texts.join(",\n ")),
            _ => format!("{{\"entities\": [\n{}\n]}}", texts.join(",\n")),
        };
        let (found, rejects) = cut(document.as_bytes(), chunk);
        prop_assert_eq!(rejects, 0);
        prop_assert_eq!(found.len(), texts.len());
        for ((offset, bytes), text) in found.iter().zip(&texts) {
            prop_assert_eq!(&String::from_utf8_lossy(bytes), text);
            let at = usize::try_from(*offset).expect("small");
            prop_assert_eq!(&document.as_bytes()[at..at + bytes.len()], &bytes[..]);
        }
    }

    #[test]
    fn chunk_size_never_changes_what_is_cut(bytes in proptest::collection::vec(prop_oneof![4 => Just(b'{'), 4 => Just(b'}'), 2 => Just(b'['), 2 => Just(b']'), 3 => Just(b'"'), 1 => Just(b'\\'), 3 => Just(b'\n'), 2 => Just(b','), 2 => Just(b':'), 4 => any::<u8>()], 0..200), chunk in 1usize..64) {
        prop_assert_eq!(cut(&bytes, chunk), cut(&bytes, 1 << 16));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunk_size_never_changes_which_blocks_are_cut(
        parts in proptest::collection::vec(prop_oneof![
            3 => Just("2026-03-02 01:00:10,586 ERROR ".to_owned()), 2 => Just("ERROR: 2026-03-02T01:00:10.586Z".to_owned()),
            4 => Just("=== REQUEST ===".to_owned()), 1 => Just("=== RESPONSE ===".to_owned()), 8 => Just("\n".to_owned()),
            2 => Just(" ".to_owned()), 1 => Just("\r".to_owned()), 1 => (50usize..90).prop_map(|n| " ".repeat(n)),
            1 => "[ -~]{0,70}",
        ], 0..60),
        chunk in 1usize..200,
    ) {
        // The first block is longer than what is read to recognise the file; what follows arrives chunk by chunk.
        let first = format!("2026-03-02 01:00:10,586 ERROR \n=== REQUEST ===\nBody: {}\n", "x".repeat(66_000));
        let text = first + &parts.concat();
        let (records, rejects) = cut(text.as_bytes(), chunk);
        prop_assert_eq!((&records, rejects), (&cut(text.as_bytes(), 1 << 20).0, 0));
        // Together the blocks are the file.
        let found: String = records.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect::<Vec<_>>().concat();
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(plain(&found), plain(&text));
    }
}

/// An attempt of the oracle: item, step, whether it failed.
type Attempt = (u8, u8, bool);

const STEPS: [&str; 3] = ["metadata_injection", "export", "upload"];

/// For each item that failed: failing attempts, first failing time, and when it got through the step it last failed at.
fn oracle(attempts: &[Attempt]) -> Vec<(u8, usize, usize, Option<usize>)> {
    let mut found = Vec::new();
    for item in 0..4 {
        let own: Vec<(usize, &Attempt)> = attempts.iter().enumerate().filter(|(_, a)| a.0 == item).collect();
        let failing: Vec<usize> = own.iter().filter(|(_, a)| a.2).map(|(n, _)| *n).collect();
        let (Some(first), Some(last)) = (failing.first(), failing.last()) else { continue };
        let passed = own.iter().find(|(n, a)| n > last && !a.2 && a.1 >= attempts[*last].1).map(|(n, _)| *n);
        found.push((item, failing.len(), *first, passed));
    }
    found.sort_by_key(|f| f.2);
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn failures_are_those_of_a_brute_force_reader_in_any_order_of_records(
        attempts in proptest::collection::vec((0u8..4, 0u8..3, any::<bool>()), 1..40),
        order in any::<u64>(),
    ) {
        let mut lines: Vec<String> = attempts.iter().enumerate().map(|(n, (item, step, failed))| {
            let (outcome, status) = if *failed { ("failure", 403) } else { ("success", 200) };
            json!({ "timestamp": time(i64::try_from(n).expect("small") * 10), "jobId": "j", "recordingId": format!("r{item}"),
                "conversationId": format!("c{item}"), "step": STEPS[usize::from(*step)], "outcome": outcome, "status": status,
                "principal": "p", "correlationId": format!("id-{n}") }).to_string()
        }).collect();
        lines.sort_by_key(|line| foldhash_of(line, order));
        let case = Case::new();
        case.write("trail.ndjson", lines.join("\n"));
        let found: Vec<(String, u64, String, Option<String>)> = run(case.path(), &["analyze", ".", "--format", "ndjson"])
            .objects()
            .iter()
            .map(|f| (
                f["recording_id"].as_str().expect("an id").to_owned(),
                f["attempts"].as_u64().expect("a count"),
                f["first_failed_at"].as_str().expect("a time").to_owned(),
                f["recovered_at"].as_str().map(str::to_owned),
            ))
            .collect();
        let at = |n: usize| time(i64::try_from(n).expect("small") * 10);
        let expected: Vec<_> = oracle(&attempts)
            .into_iter()
            .map(|(item, count, first, passed)| (format!("r{item}"), count as u64, at(first), passed.map(at)))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_members_never_matters(seeds in proptest::collection::vec(any::<u64>(), 1..12)) {
        // Names are expected in the order of the record before; records that differ from it are read all the same.
        let record = |n: usize| vec![
            ("timestamp", json!(time(i64::try_from(n).expect("small") * 10))), ("jobId", json!("j")), ("try", json!(n)),
            ("recordingId", json!(format!("r{}", n % 3))), ("job", json!("not this one")), ("stage", json!("upload")),
            ("outcome", json!(if n.is_multiple_of(2) { "failure" } else { "success" })), ("principal", json!("p")),
            ("status", json!(if n.is_multiple_of(2) { 403 } else { 200 })), ("http", json!({ "status": 409 })), ("other", json!([n])),
        ];
        let line = |members: &[(&str, Value)]| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}\n", members.join(","))
        };
        let found = |lines: String| {
            let case = Case::new();
            case.write("trail.ndjson", lines);
            let mut found = run(case.path(), &["analyze", ".", "--format", "ndjson"]).objects();
            for failure in &mut found {
                failure["evidence"] = Value::Null;
            }
            found
        };
        let plain: String = (0..seeds.len()).map(|n| line(&record(n))).collect();
        let shuffled: String = seeds.iter().enumerate().map(|(n, seed)| {
            let mut members = record(n);
            members.sort_by_key(|(name, _)| foldhash_of(name, *seed));
            line(&members)
        }).collect();
        prop_assert_eq!(found(plain), found(shuffled));
    }

    #[test]
    fn a_table_of_events_joined_from_parts_holds_each_text_at_its_row(
        rows in proptest::collection::vec(proptest::collection::vec((0usize..4, 0u8..3), 0..5), 0..40),
        cuts in proptest::collection::vec(0usize..40, 0..4),
    ) {
        const COLUMNS: [Text; 4] = [Text::JobId, Text::RecordingId, Text::ErrorCode, Text::Uid];
        let at = Locator { file: 0, record: 0, offset: 0, length: 0 };
        let mut parts = vec![EventTable::default()];
        for (n, row) in rows.iter().enumerate() {
            if cuts.contains(&n) {
                parts.push(EventTable::default());
            }
            let mut event = Event::default();
            for (column, value) in row {
                event.set(COLUMNS[*column], Some(format!("text {value}")));
            }
            parts.last_mut().expect("a part").event("export_trail", &event, at, 0, None);
        }
        let table = EventTable::joined(parts);
        prop_assert_eq!(table.len(), rows.len());
        for (n, row) in (0..).zip(&rows) {
            for (place, column) in COLUMNS.iter().enumerate() {
                let expected = row.iter().rfind(|(column, _)| *column == place).map(|(_, value)| format!("text {value}"));
                prop_assert_eq!(table.text(*column, n), expected.as_deref());
            }
        }
    }

    #[test]
    fn any_bytes_between_lines_of_an_access_log_lose_none_of_them(
        garbage in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'"'), Just(b'['), Just(b' '), Just(b'-')], 0..300),
        place in 0usize..6,
    ) {
        let mut lines: Vec<Vec<u8>> = (0..5)
            .map(|n| crate::formats::line("02/Mar/2026:01:00:10 +0000", "exports", &format!("k{n}"), 403, "AccessDenied").into_bytes())
            .collect();
        lines.insert(place.min(5), garbage);
        let case = Case::new();
        case.write("access", lines.join(&b'\n'));
        let (run, entry) = crate::formats::ledger(&case, &[]);
        prop_assert!((0..=1).contains(&run.status), "{}", run.stderr);
        prop_assert_eq!(&entry["parsed"], &json!(5));
    }

    #[test]
    fn any_bytes_end_with_a_documented_status_and_nothing_uncounted(
        garbage in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'"'), Just(b'{')], 0..300),
        place in 0usize..6,
    ) {
        let line = |n: usize| json!({ "timestamp": time(i64::try_from(n).expect("small")), "jobId": format!("j{n}"),
            "recordingId": format!("r{n}"), "step": "upload", "outcome": "failure", "status": 403 }).to_string().into_bytes();
        let mut lines: Vec<Vec<u8>> = (0..5).map(line).collect();
        lines.insert(place.min(5), garbage);
        let case = Case::new();
        case.write("trail.ndjson", lines.join(&b'\n'));
        let run = run(case.path(), &["analyze", ".", "--format", "json"]);
        prop_assert!((0..=2).contains(&run.status), "{}", run.stderr);
        prop_assert!(!run.stderr.contains("panicked"));
        let json: Value = serde_json::from_str(&run.stdout).expect("the valid lines are read");
        let file = &json["coverage"]["files"][0];
        let number = |name: &str| file[name].as_u64().expect("a number");
        prop_assert_eq!(number("records"), number("parsed") + number("rejected"));
        prop_assert_eq!(json["failures"].as_array().map(Vec::len), Some(5), "every valid record around the garbage is found");
    }
}

/// A repeatable shuffle.
fn foldhash_of(line: &str, seed: u64) -> u64 {
    line.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
