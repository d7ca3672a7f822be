//! `attest` and `verify attestation`: what holds, what does not, and that other tools agree.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cloudtrail_properties::{Change, altered, change};
use crate::support::{Case, Run, root, run};

/// A folder with a report of one failed export, keys, and an attestation of the report.
pub struct Attested(pub Case);

impl Attested {
    pub fn new() -> Self {
        let mut case = Case::new();
        case.step("job", 0, "upload", "failure", json!({ "status": 403 }));
        let lines: Vec<String> = case.trail.iter().map(Value::to_string).collect();
        case.write("logs/trail.ndjson", lines.join("\n") + "\n");
        write_keys(&case, "", 7);
        let folder = Self(case);
        folder.done(&["analyze", "logs", "--format", "json", "--out", "report.json"]);
        folder.done(&["analyze", "logs", "--format", "csv", "--out", "report.csv"]);
        let reports = ["--report", "report.json", "--report", "report.csv"];
        folder.done(&[&["attest", "--key", "key.pem", "--out", "report.dsse.json"], &reports[..]].concat());
        folder
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        run(self.0.path(), arguments)
    }

    pub fn done(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.status, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    }

    fn verify(&self, more: &[&str]) -> Run {
        self.run(&[&["verify", "attestation", "report.dsse.json", "--public-key", "public.pem"], more].concat())
    }

    fn statement(&self) -> Value {
        let envelope: Value = serde_json::from_slice(&self.read("report.dsse.json")).expect("JSON");
        let payload = envelope["payload"].as_str().expect("base64");
        serde_json::from_slice(&decode(payload)).expect("a statement")
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).expect("read")
    }
}

pub fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

/// Writes a pair of keys, their names beginning with `prefix`.
pub fn write_keys(case: &Case, prefix: &str, seed: u8) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let private = key.to_pkcs8_pem(LineEnding::LF).expect("PEM");
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF).expect("PEM");
    case.write(&format!("{prefix}key.pem"), private.as_bytes());
    case.write(&format!("{prefix}public.pem"), public);
}

/// Whether openssl is there; a test that needs it says loudly that it did nothing.
pub fn has_openssl(test: &str) -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: {test}: openssl is not installed, nothing was tested");
    }
    found
}

/// The shell block that follows a heading of docs/custody.md.
pub fn commands_of(heading: &str) -> String {
    let page = fs::read_to_string(root().join("docs/custody.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("{heading}\n")).expect("the heading");
    let (_, rest) = rest.split_once("```sh\n").expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn an_attestation_says_what_the_reports_rest_on() {
    let folder = Attested::new();
    let statement = folder.statement();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "urn:holdtrace:analysis:v1");
    let names: Vec<&str> =
        statement["subject"].as_array().expect("subjects").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["report.json", "report.csv"]);
    let report: Value = serde_json::from_slice(&folder.read("report.json")).expect("JSON");
    let predicate = &statement["predicate"];
    assert_eq!(predicate["tool"], report["tool"]);
    assert_eq!(predicate["rules"]["digest"]["sha256"], report["rules"]["sha256"]);
    assert_eq!(predicate["inputs"][0]["name"], "logs/trail.ndjson");
    assert_eq!(predicate["inputs"][0]["digest"]["sha256"], report["manifest"][0]["sha256"]);
    assert_eq!(predicate["coverage"]["summary"], report["summary"]);
    assert_eq!(predicate["attested_by"]["sha256"].as_str().map(str::len), Some(64));
    let before = folder.read("report.dsse.json");
    folder.done(&[
        "attest",
        "--key",
        "key.pem",
        "--out",
        "report.dsse.json",
        "--report",
        "report.json",
        "--report",
        "report.csv",
    ]);
    assert_eq!(before, folder.read("report.dsse.json"), "the same reports and key make the same bytes");
}

#[test]
fn an_attested_report_is_valid_under_any_name_and_a_changed_one_is_named() {
    let folder = Attested::new();
    fs::rename(folder.0.path().join("report.csv"), folder.0.path().join("other.csv")).expect("renamed");
    let both = ["--report", "report.json", "--report", "other.csv"];
    let run = folder.verify(&both);
    assert_eq!(run.status, 0, "{}", run.stdout);
    assert_eq!(run.stdout.matches("valid ").count(), 3, "{}", run.stdout);
    let mut bytes = folder.read("report.json");
    bytes[40] ^= 1;
    folder.0.write("report.json", bytes);
    let run = folder.verify(&both);
    assert_eq!(run.status, 1);
    assert!(run.stdout.contains("INVALID    report.json: ") && run.stdout.contains("it was changed"), "{}", run.stdout);
    let run = folder.verify(&["--report", "logs/trail.ndjson"]);
    assert!(run.status == 1 && run.stdout.contains("not among the attested reports"), "{}", run.stdout);
}

#[test]
fn the_signature_of_another_key_does_not_hold() {
    let folder = Attested::new();
    write_keys(&folder.0, "other-", 8);
    let run = folder.run(&[
        "verify",
        "attestation",
        "report.dsse.json",
        "--public-key",
        "other-public.pem",
        "--report",
        "report.json",
    ]);
    assert_eq!(run.status, 1);
    assert!(run.stdout.contains("INVALID    report.dsse.json: none of its 1 signature(s)"), "{}", run.stdout);
    assert!(run.stdout.contains("unchecked  report.json"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_attested_or_signed_with_is_refused_in_a_sentence() {
    let folder = Attested::new();
    folder.0.write(
        "other/trail.ndjson",
        "{\"timestamp\":\"2026-03-02T01:00:00Z\",\"jobId\":\"x\",\"step\":\"upload\",\"outcome\":\"failure\"}\n",
    );
    folder.done(&["analyze", "other", "--format", "json", "--out", "other.json"]);
    for (arguments, said) in [
        (&["attest", "--key", "key.pem", "--report", "report.csv"][..], "none of them is the report"),
        (&["attest", "--key", "public.pem", "--report", "report.json"], "openssl genpkey"),
        (&["attest", "--key", "key.pem", "--report", "missing.json"], "missing.json"),
        (&["attest", "--key", "key.pem", "--report", "logs"], "logs: reading the report"),
        (&["attest", "--key", "key.pem", "--report", "report.json", "--report", "report.json"], "twice"),
        (&["attest", "--key", "key.pem", "--report", "report.json", "--report", "other.json"], "different analyses"),
        (&["verify", "attestation", "report.dsse.json", "--public-key", "key.pem"], "openssl pkey"),
        (&["verify", "attestation", "missing", "--public-key", "public.pem"], "missing"),
    ] {
        let run = folder.run(arguments);
        assert_eq!(run.status, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn the_page_s_openssl_commands_verify_an_attestation_and_refuse_a_changed_one() {
    if !has_openssl("the openssl commands of docs/custody.md") {
        return;
    }
    let folder = Attested::new();
    let commands = commands_of("### With openssl alone");
    let run = |folder: &Attested| {
        let output =
            Command::new("sh").args(["-e", "-c", &commands]).current_dir(folder.0.path()).output().expect("a shell");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (done, said) = run(&folder);
    assert!(done && said.contains("Signature Verified Successfully"), "{said}");
    let statement: Value = serde_json::from_slice(&folder.read("statement.json")).expect("JSON");
    let digest = statement["subject"][0]["digest"]["sha256"].as_str().expect("hex");
    assert!(said.contains(digest), "the hash of the report is printed: {said}");
    let text = String::from_utf8(folder.read("report.dsse.json")).expect("text");
    folder.0.write("report.dsse.json", text.replacen("eyJ", "eyK", 1));
    let (done, said) = run(&folder);
    assert!(!done && !said.contains("Successfully"), "{said}");
}

#[test]
fn keys_that_openssl_makes_can_be_used() {
    if !has_openssl("keys made by openssl") {
        return;
    }
    let folder = Attested::new();
    let commands = commands_of("### Keys");
    let output =
        Command::new("sh").args(["-e", "-c", &commands]).current_dir(folder.0.path()).output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.done(&["attest", "--key", "key.pem", "--out", "report.dsse.json", "--report", "report.json"]);
    assert_eq!(folder.verify(&["--report", "report.json"]).status, 0);
}

/// The files of [`Attested`] that can be changed, and the key.
static WHOLE: LazyLock<[(&str, Vec<u8>); 4]> = LazyLock::new(|| {
    let folder = Attested::new();
    ["report.dsse.json", "report.json", "report.csv", "public.pem"].map(|name| (name, folder.read(name)))
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_an_attestation_or_of_what_it_attests_is_found_and_the_file_named(
        file in 0usize..3,
        change in change(),
    ) {
        prop_assume!(!matches!(change, Change::Exchange { .. }));
        let folder = Attested(Case::new());
        for (name, bytes) in &*WHOLE {
            folder.0.write(name, bytes);
        }
        let (name, before) = &WHOLE[file];
        let after = altered(before, &change);
        folder.0.write(name, &after);
        let run = folder.verify(&["--report", "report.json", "--report", "report.csv"]);
        prop_assert_eq!(run.status, i32::from(*before != after), "{}", run.stdout);
        let named = run.stdout.contains(&format!("INVALID    {name}: "));
        prop_assert_eq!(named, *before != after, "{:?} {}", change, run.stdout);
        prop_assert!(!run.stderr.contains("panicked"));
    }
}
