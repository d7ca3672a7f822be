//! Servers that fail, and objects that are not what they were.

use std::process::Command;

use serde_json::Value;

use crate::server::{Fault, Seen, Server};
use crate::{Run, analyze, binary, command, finish, line, root, trail};

const LARGE: &str = "trail/large.ndjson";

/// Some 9 MiB of trail, and a small one beside it.
fn large(server: &Server) -> String {
    let text = trail(9 * 1024 * 1024);
    server.put(LARGE, &text);
    server.put("trail/small.ndjson", line(1_000_000, 1));
    text
}

fn starts_a_part(seen: &Seen) -> bool {
    ["bytes=0-", "bytes=4194304-", "bytes=8388608-"].iter().any(|start| starts_at(seen, start))
}

fn starts_at(seen: &Seen, start: &str) -> bool {
    seen.range.as_deref().is_some_and(|range| range.starts_with(start))
}

/// Whether a reject of the entry says so.
fn says(entry: &Value, words: &str) -> bool {
    let rejects = entry["rejects"].as_array().expect("rejects");
    rejects.iter().any(|reject| reject["reason"].as_str().is_some_and(|reason| reason.contains(words)))
}

fn second_part(seen: &Seen) -> bool {
    seen.is_get() && seen.key == LARGE && starts_at(seen, "bytes=4194304-")
}

#[test]
fn a_connection_that_breaks_once_in_a_body_goes_unnoticed() {
    let whole = Server::new(|_| Fault::None);
    large(&whole);
    let broken = Server::new(|seen| match seen {
        seen if seen.is_get() && seen.before == 0 && starts_a_part(seen) => Fault::BreakAfter(100_000),
        seen if seen.is_list() && seen.before == 0 => Fault::BreakAfter(300),
        _ => Fault::None,
    });
    large(&broken);
    let (whole, again) = (analyze(&whole, &["s3://evidence/trail"]), analyze(&broken, &["s3://evidence/trail"]));
    assert_eq!((again.status, again.stderr.as_str()), (0, ""));
    assert!(whole.stdout == again.stdout, "the same bytes come out");
    let resumed = broken.gets().iter().any(|seen| seen.range.as_deref() == Some("bytes=4294304-8388607"));
    assert!(resumed, "reading goes on where it broke off: {:#?}", broken.gets());
}

#[test]
fn an_object_that_always_breaks_is_named_and_what_came_before_is_kept() {
    let server = Server::new(|seen| match seen {
        seen if second_part(seen) => Fault::BreakAfter(50_000),
        // Any attempt to go on after that ends too.
        seen if seen.is_get() && seen.key == LARGE && !starts_at(seen, "bytes=0-") => Fault::Status(500),
        _ => Fault::None,
    });
    let text = large(&server);
    let run = analyze(&server, &["s3://evidence/trail"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let entry = run.entry("s3://evidence/trail/large.ndjson");
    let kept = text.as_bytes()[..4 * 1024 * 1024].split(|b| *b == b'\n').count() as u64 - 1;
    assert!(entry["parsed"].as_u64() >= Some(kept), "{entry:#}");
    assert!(entry["rejects"][0]["offset"].as_u64() >= Some(4 * 1024 * 1024), "{entry:#}");
    assert!(says(&entry, "the server answers 500 Internal Server Error, again and again"), "{entry:#}");
    assert!(entry["sha256"].is_null());
    assert_eq!(run.entry("s3://evidence/trail/small.ndjson")["parsed"], 1);
    assert_eq!(
        entry["records"].as_u64(),
        Some(entry["parsed"].as_u64().unwrap() + entry["rejected"].as_u64().unwrap())
    );
}

#[test]
fn an_object_whose_connection_breaks_every_time_is_named() {
    let server = Server::new(|seen| match seen {
        seen if seen.is_get() && seen.key == "trail/bad.ndjson" => Fault::BreakAfter(10),
        _ => Fault::None,
    });
    server.put("trail/bad.ndjson", (0..50).map(|n| line(n, n)).collect::<String>());
    server.put("trail/good.ndjson", line(1_000_000, 1));
    let run = analyze(&server, &["s3://evidence/trail"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let entry = run.entry("s3://evidence/trail/bad.ndjson");
    assert!(says(&entry, "no whole answer from the server"), "{entry:#}");
    assert_eq!(run.entry("s3://evidence/trail/good.ndjson")["parsed"], 1);
}

#[test]
fn answers_of_5xx_and_429_are_tried_again() {
    for status in [500, 503, 429] {
        let server = Server::new(move |seen| if seen.before < 2 { Fault::Status(status) } else { Fault::None });
        server.put("trail/one.ndjson", line(1, 1));
        let run = analyze(&server, &["s3://evidence/trail/"]);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
        assert_eq!((server.lists().len(), server.gets().len()), (3, 3));
    }
}

/// The server is taken for gone, and the objects that are left are not each waited for in vain.
#[test]
fn a_server_that_goes_away_midway_leaves_what_was_read() {
    let server =
        Server::new(
            |seen| if seen.is_get() && seen.key.as_str() > "trail/0100" { Fault::Status(503) } else { Fault::None },
        );
    for n in 0..400 {
        server.put(&format!("trail/{n:04}.ndjson"), line(n, n));
    }
    let run = analyze(&server, &["s3://evidence/trail"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let summary = &run.json()["summary"];
    assert_eq!(summary["records"].as_u64(), Some(400), "{summary:#}");
    assert_eq!(run.json()["failures"].as_array().map(Vec::len), Some(100));
    assert!(server.gets().len() < 300 * 4, "{} requests", server.gets().len());
}

/// Replaces an object as soon as it has been listed.
fn replaced(tags: bool, new: &'static str) -> (Server, Run) {
    let path = std::sync::Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let there = path.clone();
    let fault = move |seen: &Seen| {
        if seen.is_get() && seen.key == "trail/one.ndjson" {
            std::fs::write(there.get().expect("a path"), new).expect("replaced");
        }
        Fault::None
    };
    let server = if tags { Server::new(fault) } else { Server::simple(fault) };
    path.set(server.put("trail/one.ndjson", line(1, 1))).expect("once");
    let past = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    std::fs::File::options()
        .write(true)
        .open(server.path("trail/one.ndjson"))
        .and_then(|f| f.set_modified(past))
        .expect("aged");
    server.put("trail/two.ndjson", line(2, 2));
    let run = analyze(&server, &["s3://evidence/trail"]);
    (server, run)
}

#[test]
fn an_object_that_is_replaced_after_it_was_listed_is_named_and_not_mixed() {
    let same_length: &'static str = Box::leak(line(9, 1).into_boxed_str());
    for (tags, new) in [(true, same_length), (true, "{}"), (false, same_length), (false, "{}")] {
        let (_server, run) = replaced(tags, new);
        assert_eq!(run.status, 1, "{}", run.stderr);
        let entry = run.entry("s3://evidence/trail/one.ndjson");
        assert!(
            entry["rejects"][0]["reason"].as_str().is_some_and(|r| r.contains("replaced since it was listed")),
            "{entry:#}"
        );
        assert_eq!(
            (entry["parsed"].as_u64(), run.entry("s3://evidence/trail/two.ndjson")["parsed"].as_u64()),
            (Some(0), Some(1))
        );
    }
}

#[test]
fn what_names_nothing_is_one_sentence_and_status_2() {
    let server = Server::new(|_| Fault::None);
    server.put("trail/one.ndjson", line(1, 1));
    for (paths, words) in [
        (&["s3://nowhere/trail"][..], "no such bucket"),
        (&["s3://evidence/nothing"], "no such object"),
        (
            &["s3://evidence/trail", "s3://evidence/trail/nothing"],
            "s3://evidence/trail/nothing: there is no such object",
        ),
        (&["s3://"], "no bucket is named"),
        (&["s3://evidence/a//b"], "not a key"),
    ] {
        let run = analyze(&server, paths);
        assert_eq!((run.status, run.stderr.lines().count(), run.stdout.as_str()), (2, 1, ""), "{}", run.stderr);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn wrong_or_missing_credentials_are_one_sentence_and_status_2() {
    let server = Server::new(|_| Fault::None);
    server.put("trail/one.ndjson", line(1, 1));
    let wrong = finish(
        command(&server.endpoint).env("AWS_SECRET_ACCESS_KEY", "wrong").args(["analyze", "s3://evidence/trail"]),
    );
    // The machine's metadata service would be asked next; here it is a port where nobody listens.
    let mut missing = Command::new(binary());
    missing.env_clear().current_dir(root()).env("AWS_ENDPOINT_URL", &server.endpoint);
    missing.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9").args(["analyze", "s3://evidence/trail"]);
    for run in [wrong, finish(&mut missing)] {
        assert_eq!((run.status, run.stderr.lines().count()), (2, 1), "{}", run.stderr);
        assert!(run.stderr.contains("AWS_ACCESS_KEY_ID"), "{}", run.stderr);
    }
}
