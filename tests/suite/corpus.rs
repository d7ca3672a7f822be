//! The corpus of the fuzz targets, as it is and damaged in ways that are the same in every run.

use std::fs;
use std::path::PathBuf;

use holdtrace::fuzzing::{TARGETS, run};
use serde_json::Value;

use crate::support::{self, root};

fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("read"))).collect()
}

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("small")
    }
}

/// Bytes that mean something to one parser or another.
pub const TELLING: &[u8] = b"\"{}[],:;\n\r\\\0\xff\x1f\x7f-%*?$(PKA0";

fn damaged(bytes: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let (at, end) = (numbers.below(bytes.len()), numbers.below(bytes.len() + 1));
        match numbers.below(6) {
            0 => bytes.truncate(end),
            1 => drop(bytes.drain(at.min(end)..end)),
            2 => bytes.insert(at, TELLING[numbers.below(TELLING.len())]),
            3 => {
                let start = numbers.below(other.len());
                bytes.splice(at..at, other[start..].iter().copied().take(200));
            }
            _ if bytes.is_empty() => {}
            4 => bytes[at] ^= 1 << numbers.below(8),
            _ => bytes[at] = TELLING[numbers.below(TELLING.len())],
        }
    }
    bytes
}

/// `bytes` with some of them wrong.
pub fn damage(bytes: &[u8], seed: u64) -> Vec<u8> {
    damaged(bytes, bytes, &mut Numbers(seed | 1))
}

#[test]
fn every_parser_has_a_fuzz_target_and_a_corpus() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("read");
    for (target, _) in TARGETS {
        let source = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{target}.rs"))).expect(target);
        assert!(source.contains(&format!("run(\"{target}\", bytes)")), "{target}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        assert!(!files(target).is_empty(), "{target}");
    }
    for folder in fs::read_dir(root().join("fuzz/corpus")).expect("listed").flatten() {
        let name = folder.file_name().into_string().expect("text");
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name} is driven by nothing");
    }
}

#[test]
fn what_holds_for_any_bytes_holds_for_the_corpus_whole_and_damaged() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for (target, _) in TARGETS {
        let files = files(target);
        // Whole analyses take a thousand times as long as single records.
        let times = if matches!(*target, "file" | "gzip" | "nested" | "tar" | "zip" | "zstd") { 1 } else { 12 };
        for (n, (path, bytes)) in files.iter().enumerate() {
            println!("{}", path.display());
            run(target, bytes);
            for _ in 0..times {
                run(target, &damaged(bytes, &files[(n + 1) % files.len()].1, &mut numbers));
            }
        }
    }
}

#[test]
fn the_whole_corpus_in_one_folder_is_analysed_and_every_loss_is_counted() {
    let run = support::run(root(), &["analyze", "fuzz/corpus", "--format", "json"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let files = report["coverage"]["files"].as_array().expect("a list");
    let named = |name: &str| files.iter().find(|file| file["path"] == name).unwrap_or_else(|| panic!("{name}"));
    for file in files {
        let number = |name: &str| file[name].as_u64().expect("a number");
        assert_eq!(number("records"), number("parsed") + number("rejected"), "{file}");
    }
    for (target, _) in TARGETS {
        for (path, _) in self::files(target) {
            named(&path.strip_prefix(root()).expect("inside").display().to_string());
        }
    }
    assert_eq!(named("fuzz/corpus/nested/zip-in-tar!/in.zip!/access.log")["format"], "s3_access");
}
