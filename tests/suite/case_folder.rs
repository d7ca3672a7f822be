//! Cases made for tests, and their evidence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Case, Run, command};

/// A folder with evidence (`logs/`) and, later, a case of it (`case/`).
pub struct Kept(pub Case);

/// What `verify` said.
pub struct Found {
    pub status: i32,
    pub report: Value,
}

impl Kept {
    /// Evidence of a job that times out once, in two files and an archive; no case yet.
    pub fn new() -> Self {
        let mut case = Case::new();
        case.contrast();
        case.start("slow", 0, &["recording:export", "recording:metadata:write"], json!({}));
        case.step("slow", 10, "query", "success", json!({}));
        case.step("slow", 60, "metadata_injection", "timeout", json!({ "status": 504 }));
        let kept = Self(case);
        let lines: Vec<String> = kept.0.trail.iter().map(Value::to_string).collect();
        let (first, second) = lines.split_at(lines.len() / 2);
        kept.0.write("logs/trail-a.ndjson", first.join("\n") + "\n");
        kept.0.write("logs/sub/trail-b.ndjson.gz", gzip((second.join("\n") + "\n").as_bytes()));
        kept
    }

    /// With a case.
    pub fn with_case() -> Self {
        let kept = Self::new();
        let run = kept.analyze(&[]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        kept
    }

    /// The later success of the same step: the cause was time.
    pub fn add_recovery(&self) {
        let mut later = Case::new();
        later.step("slow", 600, "metadata_injection", "success", json!({}));
        later.step("slow", 700, "upload", "success", json!({}));
        let lines: Vec<String> = later.trail.iter().map(Value::to_string).collect();
        self.0.write("logs/later.ndjson", lines.join("\n") + "\n");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the binary in the folder.
    pub fn run(&self, arguments: &[&str]) -> Run {
        run_in(self.0.path(), arguments)
    }

    /// `analyze logs --case case`.
    pub fn analyze(&self, more: &[&str]) -> Run {
        self.run(&[&["analyze", "logs", "--case", "case"], more].concat())
    }

    /// `verify case`.
    pub fn verify(&self, more: &[&str]) -> Found {
        verify_in(self.0.path(), more)
    }

    /// The entries of the ledger.
    pub fn ledger(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("case/custody.jsonl")).expect("a ledger");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).expect("there")).expect("JSON")
    }
}

/// Runs the binary in `folder`, at a fixed time by a fixed person.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = command(folder);
    command.env("SOURCE_DATE_EPOCH", "1772445600").args(arguments);
    command.output().expect("the binary runs").into()
}

/// `verify case` in `folder`.
pub fn verify_in(folder: &Path, more: &[&str]) -> Found {
    let run = run_in(folder, &[&["verify", "case", "--format", "json"], more].concat());
    let report = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    Found { status: run.status, report }
}

impl Found {
    /// The differences: path to kinds.
    pub fn differences(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let text = |one: &Value, name: &str| one[name].as_str().expect("text").to_owned();
        for one in self.report["differences"].as_array().expect("a list") {
            all.entry(text(one, "path")).or_default().push(text(one, "kind"));
        }
        all
    }

    /// The only difference.
    pub fn only(&self) -> (String, String) {
        let differences = self.differences();
        assert!(differences.len() == 1 && self.status == 1, "{:#}", self.report);
        let (path, kinds) = differences.into_iter().next().expect("one");
        assert_eq!(kinds.len(), 1, "{:#}", self.report);
        (path, kinds[0].clone())
    }

    pub fn assert_fine(&self) {
        assert!(self.status == 0 && self.differences().is_empty(), "{:#}", self.report);
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("packed")
}

/// Every file and folder below `folder`, with its content.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let walk = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let file = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(folder).expect("below").display().to_string();
        (name, fs::read(entry.path()).expect("read"))
    };
    walk.map(file).collect()
}

/// Writes files below `folder`.
pub fn put(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }
}
