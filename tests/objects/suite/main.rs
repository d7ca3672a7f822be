//! Reading evidence from an object store, through the real binary, against a server of that kind on loopback.

mod evidence;
mod faults;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use server::{KEY, SECRET, Server};

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The binary, built with the feature, and put aside: the next build without the feature takes its place.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let build = [
            "build",
            "--bin",
            "holdtrace",
            "--features",
            "object-store",
            "--message-format",
            "json-render-diagnostics",
        ];
        let output = Command::new(env!("CARGO")).current_dir(root()).args(build).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let executable =
            messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
                let ours = message["target"]["name"] == "holdtrace";
                message["executable"].as_str().filter(|_| ours).map(str::to_owned)
            });
        let aside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("holdtrace{}", std::env::consts::EXE_SUFFIX));
        std::fs::copy(executable.expect("a binary"), &aside).expect("copied");
        aside
    })
}

/// What a run printed, and how it ended.
struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", self.stdout, self.stderr))
    }

    /// The ledger's entry of a file.
    fn entry(&self, path: &str) -> Value {
        let files = &self.json()["coverage"]["files"];
        let found = files.as_array().and_then(|files| files.iter().find(|file| file["path"] == path));
        found.unwrap_or_else(|| panic!("{path} is not in {files:#}")).clone()
    }
}

fn command(endpoint: &str) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().current_dir(root());
    for (name, value) in [("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET), ("ENDPOINT_URL", endpoint)] {
        command.env(format!("AWS_{name}"), value);
    }
    command
}

fn finish(command: &mut Command) -> Run {
    let output = command.output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "a secret is shown");
    Run { status: output.status.code().expect("ended by itself"), stdout, stderr }
}

fn run(server: &Server, arguments: &[&str]) -> Run {
    finish(command(&server.endpoint).args(arguments))
}

fn analyze(server: &Server, paths: &[&str]) -> Run {
    run(server, &[&["analyze", "--format", "json"], paths].concat())
}

/// A trail of at least so many bytes, in which one record of a thousand fails.
fn trail(bytes: usize) -> String {
    let mut text = String::new();
    for n in 0.. {
        let line = line(n, n);
        text += &if n % 1000 == 0 { line } else { line.replace("failure", "success").replace("403", "200") };
        if text.len() >= bytes {
            break;
        }
    }
    text
}

/// A line of a trail.
fn line(job: usize, second: usize) -> String {
    let time = format!("2026-03-02T{:02}:{:02}:{:02}Z", second / 3600 % 24, second / 60 % 60, second % 60);
    format!(
        "{{\"timestamp\":\"{time}\",\"jobId\":\"job-{job}\",\"recordingId\":\"recording-{job}\",\"step\":\"upload\",\
         \"outcome\":\"failure\",\"status\":403,\"principal\":\"caller\",\"bucket\":\"exports\"}}\n"
    )
}
