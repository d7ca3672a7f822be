//! Archives in folders of parts: members are files like others, and come and go with their archive.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::packing::{Members, TAR_END, Zipped, gzip, tar, tar_header, tar_member, zip, zip_of};
use crate::support::{Case, Run, run, time};

fn line(job: &str) -> Vec<u8> {
    json!({ "timestamp": time(1), "jobId": job, "recordingId": format!("r-{job}"), "step": "upload", "outcome": "failure",
        "status": 403, "bucket": "b", "principal": "p" })
    .to_string()
    .into_bytes()
}

fn members(names: &[&str]) -> Members {
    names.iter().map(|name| ((*name).to_owned(), line(name))).collect()
}

fn report(case: &Case, paths: &[&str]) -> String {
    run(case.path(), &[&["analyze", "--format", "json"], paths].concat()).stdout
}

fn ingest(case: &Case) -> Run {
    let run = run(case.path(), &["ingest", "logs", "--out", "parts"]);
    assert!(run.status < 2, "{}", run.stderr);
    run
}

/// Parts of `logs`, and the report on them.
fn from_parts(case: &Case) -> (String, String) {
    let run = ingest(case);
    (run.stderr.lines().last().unwrap_or_default().to_owned(), report(case, &["parts"]))
}

/// Archives in which there is something to be passed over and something to be refused.
fn archives() -> Case {
    let case = Case::new();
    let locked = Zipped { flags: 0x801, ..Zipped::new("locked", &line("locked"), 8) };
    let zipped = [Zipped::new("c", &line("c"), 8), locked, Zipped::new("dir/d.gz", &gzip(&line("d")), 0)];
    let mut link = tar_header(b"link", 0, b'2');
    link.set_link_name_literal("/etc/passwd").expect("set");
    link.set_cksum();
    let packed = [
        tar_member(b"a", &line("a"), b'0'),
        link.as_bytes().to_vec(),
        tar_member(b"a", &line("again"), b'0'),
        tar_member(b"in.zip", &zip_of(&zipped), b'0'),
        TAR_END.to_vec(),
    ];
    case.write("logs/x.tar.gz", gzip(&packed.concat()));
    case.write("logs/cut.tar", &tar(&members(&["e", "f"]))[..900]);
    case.write("logs/plain.ndjson", line("plain"));
    case
}

#[test]
fn the_report_on_parts_of_archives_is_that_on_the_archives() {
    let case = archives();
    let expected = report(&case, &["logs"]);
    assert!(
        expected.contains("logs/x.tar.gz!/in.zip!/dir/d.gz") && expected.contains("logs/x.tar.gz!/link: a symbolic")
    );
    let (said, found) = from_parts(&case);
    assert!(said.contains("0 files taken over, 10 read"), "{said}");
    assert!(found == expected);
    assert!(report(&case, &["parts", "logs"]) == expected, "both are one");
    // Parts of parts, and parts again where nothing has changed.
    assert!(run(case.path(), &["ingest", "parts", "--out", "more"]).status < 2);
    assert!(report(&case, &["more"]) == expected);
    let (said, found) = from_parts(&case);
    assert!(said.contains("3 files taken over"), "{said}");
    assert!(found == expected);
}

/// Gives a file another content of the same size and age.
fn forge(path: &Path, content: u8) {
    let (size, modified) = path.metadata().and_then(|m| Ok((m.len(), m.modified()?))).expect("there");
    let size = usize::try_from(size).expect("small");
    fs::write(path, vec![content; size]).expect("written");
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(modified)).expect("set");
}

#[test]
fn an_archive_that_is_known_is_not_opened_again() {
    let case = archives();
    let (_, expected) = from_parts(&case);
    forge(&case.path().join("logs/x.tar.gz"), b'?');
    let (said, found) = from_parts(&case);
    assert!(said.contains("3 files taken over, 0 read") && found == expected, "{said}");
    let run = run(case.path(), &["ingest", "logs", "--out", "parts", "--recheck"]);
    assert!(run.stderr.contains("logs/x.tar.gz: changed since"), "{}", run.stderr);
}

#[test]
fn members_come_and_go_with_their_archive() {
    let case = Case::new();
    for (packed, count) in [
        (gzip(&tar(&members(&["a", "b", "c"]))), 3),
        (gzip(&tar(&members(&["b", "c", "d", "e"]))), 4),
        (zip(&[("in".to_owned(), tar(&members(&["b", "z"])))], 8), 2),
        (line("no-archive-any-more"), 1),
        (zip(&members(&["a"]), 0), 1),
    ] {
        case.write("logs/archive", packed);
        let (said, found) = from_parts(&case);
        assert!(found == report(&case, &["logs"]), "{said}");
        let json: Value = serde_json::from_str(&found).expect("JSON");
        assert_eq!(json["failures"].as_array().map(Vec::len), Some(count), "{said}");
    }
}

#[test]
fn an_archive_one_of_whose_parts_is_lost_is_read_again() {
    let case = archives();
    let expected = report(&case, &["logs"]);
    let rows = ["ingest", "logs", "--out", "parts", "--rows-per-part", "1"];
    assert_eq!(run(case.path(), &rows).status, 1);
    fs::remove_file(case.path().join("parts/events/part-00003.parquet")).expect("removed");
    let again = run(case.path(), &rows);
    assert!(again.stderr.contains("2 files taken over"), "{}", again.stderr);
    assert!(report(&case, &["parts"]) == expected);
}

#[test]
fn other_bounds_need_another_folder() {
    let case = archives();
    ingest(&case);
    let run = run(case.path(), &["ingest", "logs", "--out", "parts", "--max-depth", "1"]);
    assert_eq!((run.status, run.stderr.lines().count()), (2, 1));
    assert!(run.stderr.contains("made with --max-depth 4, and this is 1"), "{}", run.stderr);
}
