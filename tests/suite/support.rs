//! Running the binary on evidence made for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a run printed, and how it ended.
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    pub bytes: Vec<u8>,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("ended by itself"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }
}

impl Run {
    /// The NDJSON on standard output.
    pub fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// The binary, in `folder`.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("holdtrace"));
    command.current_dir(folder);
    command
}

/// Runs the binary in `folder`.
pub fn run(folder: &Path, arguments: &[&str]) -> Run {
    command(folder).args(arguments).output().expect("the binary runs").into()
}

/// A folder of evidence.
pub struct Case {
    folder: TempDir,
    /// Lines of the export trail, not yet written.
    pub trail: Vec<Value>,
}

impl Case {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), trail: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(&path, bytes).expect("written");
        path
    }

    /// A step of a job: `job` names job, conversation, recording and caller; `at` is in seconds after a fixed start.
    pub fn step(&mut self, job: &str, at: i64, step: &str, outcome: &str, more: Value) {
        let mut record = json!({
            "timestamp": time(at), "jobId": job, "conversationId": format!("conversation-{job}"),
            "recordingId": format!("recording-{job}"), "tenantId": TENANT, "region": "eu-west-1", "principal": "caller",
            "bucket": "exports", "step": step, "outcome": outcome,
            "objectKey": format!("{TENANT}/year=2026/month=3/day=2/hour=1/conversation_id=conversation-{job}/recording-{job}.opus"),
        });
        merge(&mut record, more);
        self.trail.push(record);
    }

    /// A job's start, with the caller's scopes.
    pub fn start(&mut self, job: &str, at: i64, scopes: &[&str], more: Value) {
        let mut record = json!({
            "timestamp": time(at), "jobId": job, "tenantId": TENANT, "principal": "caller", "step": "job.started",
            "outcome": "success", "bucket": "exports", "scopes": scopes,
        });
        merge(&mut record, more);
        self.trail.push(record);
    }

    /// A job in which nothing fails.
    pub fn healthy(&mut self, job: &str, at: i64, scopes: &[&str], more: &Value) {
        self.start(job, at, scopes, more.clone());
        for (n, step) in (1..).zip(["query", "metadata_injection", "hold_sync", "export", "upload", "verify"]) {
            self.step(job, at + n, step, "success", more.clone());
        }
    }

    /// Three healthy jobs of a caller who holds `recording:metadata:write`: enough to show what the steps need.
    pub fn contrast(&mut self) {
        for n in 0..3 {
            let more = json!({ "principal": "healthy-caller" });
            self.healthy(
                &format!("healthy-{n}"),
                -90_000 + 600 * n,
                &["recording:export", "recording:metadata:write"],
                &more,
            );
        }
    }

    /// Writes the trail as NDJSON and analyses the folder.
    pub fn analyze(&self) -> Vec<Value> {
        if !self.trail.is_empty() {
            let lines: Vec<String> = self.trail.iter().map(Value::to_string).collect();
            self.write("trail.ndjson", lines.join("\n") + "\n");
        }
        let run = run(self.path(), &["analyze", ".", "--format", "ndjson"]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.objects()
    }

    /// Writes the trail as NDJSON and analyses what `arguments` name.
    pub fn analyze_with(&self, arguments: &[&str]) -> Vec<Value> {
        let lines: Vec<String> = self.trail.iter().map(Value::to_string).collect();
        self.write("trail.ndjson", lines.join("\n") + "\n");
        let run = run(self.path(), &[&["analyze", "--format", "ndjson"], arguments].concat());
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.objects()
    }

    /// The only failure.
    pub fn failure(&self) -> Value {
        let failures = self.analyze();
        assert_eq!(failures.len(), 1, "{failures:#?}");
        failures.into_iter().next().expect("one")
    }
}

pub const TENANT: &str = "0d3a2c54-9f7e-4a61-8b1d-62c0f5e7a914";

/// Seconds after 2026-03-02T01:00:00Z as RFC 3339.
pub fn time(at: i64) -> String {
    chrono::DateTime::from_timestamp(1_772_413_200 + at, 0).expect("in range").format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn merge(record: &mut Value, more: Value) {
    if let (Value::Object(record), Value::Object(more)) = (record, more) {
        for (name, value) in more {
            if value.is_null() {
                record.remove(&name);
            } else {
                record.insert(name, value);
            }
        }
    }
}

/// `class/mechanism` of a failure.
pub fn verdict(failure: &Value) -> String {
    let text = |name: &str| failure[name].as_str().unwrap_or("-").to_owned();
    format!("{}/{}", text("class"), text("mechanism"))
}

/// A `PutObject` as CloudTrail records it; `at` as for [`Case::step`].
pub fn put_object(job: &str, at: i64, error: Option<&str>) -> Value {
    let key =
        format!("{TENANT}/year=2026/month=3/day=2/hour=1/conversation_id=conversation-{job}/recording-{job}.opus");
    let mut record = json!({
        "eventVersion": "1.10", "eventTime": time(at), "eventSource": "s3.amazonaws.com", "eventName": "PutObject",
        "awsRegion": "eu-west-1", "eventID": format!("put-{job}-{at}"), "requestID": format!("REQ{at}"),
        "userIdentity": { "type": "AssumedRole", "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE",
            "arn": "arn:aws:sts::111122223333:assumed-role/Export/session" },
        "requestParameters": { "bucketName": "exports", "key": key },
    });
    if let Some(message) = error {
        merge(&mut record, json!({ "errorCode": "AccessDenied", "errorMessage": message }));
    }
    record
}

/// A bucket policy that lets the exporting role write below `tenant`.
pub fn bucket_policy(actions: &[&str], tenant: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "Export", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:role/Export" },
        "Action": actions, "Resource": format!("arn:aws:s3:::exports/{tenant}/*"),
    }] })
}
