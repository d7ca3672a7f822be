//! What is read, and how often it is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::server::{Fault, Server};
use crate::{analyze, command, finish, line, root, run, trail};

fn put_folder(server: &Server, folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        let key = format!("{prefix}/{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            put_folder(server, &path, &key);
        } else {
            server.put(&key, fs::read(&path).expect("read"));
        }
    }
}

fn samples() -> Server {
    let server = Server::new(|_| Fault::None);
    put_folder(&server, &root().join("samples"), "samples");
    server
}

#[test]
fn the_samples_in_a_bucket_give_the_report_of_the_samples_in_a_folder() {
    let server = samples();
    for format in ["json", "ndjson", "csv", "table"] {
        let there = run(&server, &["analyze", "s3://evidence/samples", "--format", format]);
        let here = run(&server, &["analyze", "samples", "--format", format]);
        assert_eq!((there.status, here.status), (0, 0), "{}", there.stderr);
        assert_eq!(there.stdout.replace("s3://evidence/samples", "samples"), here.stdout);
    }
    let show = |place: &str| run(&server, &["show", "ev:08747189a3e2afa4", place]);
    assert_eq!(show("s3://evidence/").stdout.replace("s3://evidence/samples", "samples"), show("samples").stdout);
}

#[test]
fn parquet_in_a_bucket_gives_the_rows_of_the_file() {
    let server = Server::new(|_| Fault::None);
    let path = "tests/fixtures/parquet/types.parquet";
    server.put(path, fs::read(root().join(path)).expect("read"));
    let folder = tempfile::tempdir().expect("a folder");
    let map = folder.path().join("map.toml");
    fs::write(&map, "name = \"m\"\n[match]\ncolumns = [\"at_us\"]\n[fields]\ntime = \"at_us\"\nstep = \"kind\"\n")
        .expect("written");
    let map = map.display().to_string();
    let check = |path: &str| run(&server, &["map", "check", path, "--map", &map]);
    let (there, here) = (check(&format!("s3://evidence/{path}")), check(path));
    assert_eq!(there.stdout.replace("s3://evidence/", ""), here.stdout, "{}", there.stderr);
    assert!(here.stdout.contains("3 records: 2 read, 1 rejected"), "{}", here.stdout);
}

#[test]
fn every_byte_is_asked_for_once_and_as_it_was_listed() {
    let server = samples();
    assert_eq!(analyze(&server, &["s3://evidence/samples/"]).status, 0);
    let gets = server.gets();
    let keys: BTreeSet<&str> = gets.iter().map(|seen| seen.key.as_str()).collect();
    assert_eq!((gets.len(), server.lists().len()), (keys.len(), 1), "{gets:#?}");
    assert!(gets.iter().all(|seen| seen.range.is_some() && seen.condition.is_some()), "{gets:#?}");
}

#[test]
fn prefixes_that_overlap_are_listed_once() {
    let server = samples();
    let paths = ["s3://evidence/samples/trail", "s3://evidence/samples", "s3://evidence/samples/", "samples/vault"];
    let run = analyze(&server, &paths);
    assert_eq!(server.lists().len(), 1);
    let files = run.json()["coverage"]["files"].as_array().expect("files").len();
    assert_eq!(files, 1 + server.gets().len(), "each object is read once");
}

#[test]
fn a_url_may_name_one_object() {
    let server = samples();
    let key = "samples/trail/export-trail-2026-05-04.ndjson";
    let run = analyze(&server, &[&format!("s3://evidence/{key}")]);
    assert_eq!((run.status, run.entry(&format!("s3://evidence/{key}"))["parsed"].as_u64()), (0, Some(72)));
    assert!(server.gets().iter().all(|seen| seen.key == key));
}

#[test]
fn a_prefix_ends_where_a_part_of_the_key_does() {
    let server = Server::new(|_| Fault::None);
    server.put("trail/one.ndjson", line(1, 1));
    server.put("trail-old/two.ndjson", line(2, 2));
    let run = analyze(&server, &["s3://evidence/trail"]);
    assert_eq!(run.json()["coverage"]["files"].as_array().map(Vec::len), Some(1));
}

#[test]
fn thousands_of_small_objects_are_listed_page_by_page_and_read_by_few_connections() {
    let server = Server::new(|_| Fault::None);
    for n in 0..2500 {
        server.put(&format!("trail/{:02}/{n:04}.ndjson", n % 20), line(n, n));
    }
    let run = analyze(&server, &["s3://evidence/trail/"]);
    assert_eq!((run.status, run.json()["summary"]["records"].as_u64()), (0, Some(2500)), "{}", run.stderr);
    let pages = server.lists();
    assert_eq!(pages.len(), 3);
    assert_eq!(pages.iter().map(|page| &page.query).collect::<BTreeSet<_>>().len(), 3, "no page is asked for twice");
    assert_eq!(server.gets().len(), 2500);
    let most = server.most_in_flight();
    assert!((2..=16).contains(&most), "{most} requests at the same time");
}

#[test]
fn a_large_object_is_read_in_ranges_several_at_a_time() {
    let server = Server::new(|_| Fault::None);
    let text = trail(18 * 1024 * 1024);
    let path = server.put("trail/large.ndjson", &text);
    let there = analyze(&server, &["s3://evidence/trail"]);
    let folder = path.parent().expect("a folder").display().to_string();
    let here = run(&server, &["analyze", "--format", "json", &folder]);
    assert_eq!(there.status, 0, "{}", there.stderr);
    assert!(there.stdout.replace("s3://evidence/trail", &folder) == here.stdout, "the same report");
    let ranges: BTreeSet<String> = server.gets().into_iter().filter_map(|seen| seen.range).collect();
    assert_eq!((ranges.len(), server.gets().len()), (5, 5), "18 MiB in parts of 4, each once: {ranges:?}");
    assert!(server.most_in_flight() > 1);
}

/// Without room for a copy, records are read again by range.
#[test]
fn without_room_for_a_copy_the_report_is_the_same() {
    let server = samples();
    let text = trail(9 * 1024 * 1024);
    server.put("samples/large.ndjson", &text);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.replace("job-", "packed-").as_bytes()).expect("packed");
    server.put("samples/packed.ndjson.gz", packed.finish().expect("packed"));
    let with = analyze(&server, &["s3://evidence/samples/"]);
    let before = server.gets().len();
    let without = finish(command(&server.endpoint).env("TMPDIR", "/nonexistent").args([
        "analyze",
        "s3://evidence/samples/",
        "--format",
        "json",
    ]));
    assert_eq!((with.status, without.status), (0, 0), "{}", without.stderr);
    assert!(with.stdout == without.stdout, "the same report");
    assert!(server.gets().len() > 2 * before, "some of it was asked for again");
}

#[test]
fn a_server_that_lists_no_tags_is_read_too() {
    let server = Server::simple(|_| Fault::None);
    put_folder(&server, &root().join("samples"), "samples");
    let there = run(&server, &["analyze", "s3://evidence/samples", "--format", "ndjson"]);
    let here = run(&server, &["analyze", "samples", "--format", "ndjson"]);
    assert_eq!((there.status, there.stdout.replace("s3://evidence/samples", "samples")), (0, here.stdout));
}

#[test]
fn markers_of_folders_are_passed_over_without_noise_and_empty_objects_are_named() {
    let server =
        Server::new(
            |seen| if seen.method == "HEAD" && seen.key == "trail/marker" { Fault::Status(404) } else { Fault::None },
        );
    server.put("trail/one.ndjson", line(1, 1));
    // The list tells neither from an object without the slash.
    server.put("trail/marker", "");
    let run = analyze(&server, &["s3://evidence/trail/"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    server.put("trail/empty", "");
    let run = analyze(&server, &["s3://evidence/trail/"]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("s3://evidence/trail/empty: empty"), "{}", run.stderr);
}

#[test]
fn an_archive_in_a_bucket_is_named_and_costs_no_request_of_its_own() {
    let server = Server::new(|_| Fault::None);
    let mut tar = b"trail.ndjson".to_vec();
    tar.resize(257, 0);
    tar.extend(b"ustar\x0000");
    tar.resize(512, 0);
    tar.extend(line(1, 1).as_bytes());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).expect("packed");
    server.put("logs/a.tar.gz", gzip.finish().expect("packed"));
    server.put("logs/a.zip", b"PK\x03\x04rest");
    server.put("logs/b.ndjson", line(2, 2));
    let run = analyze(&server, &["s3://evidence/logs"]);
    assert_eq!((run.status, run.entry("s3://evidence/logs/b.ndjson")["parsed"].as_u64()), (1, Some(1)));
    for name in ["a.tar.gz", "a.zip"] {
        let rejects = run.entry(&format!("s3://evidence/logs/{name}"))["rejects"].to_string();
        assert!(rejects.contains("download it first"), "{rejects}");
    }
    assert_eq!(server.gets().len(), 3);
}
