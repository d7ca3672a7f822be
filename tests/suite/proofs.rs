//! Disclosing single records of a case: `prove`, `verify proof`, and the tree that an attestation names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::attestations::{decode, write_keys};
use crate::cloudtrail_properties::{Change, altered, change};
use crate::support::{Case, Run, bucket_policy, run};

/// A case of `exports` failed exports in two files, and a bucket policy, attested.
fn attested(exports: i64) -> Case {
    let case = Case::new();
    for (name, own) in [("logs/a.ndjson", 0), ("logs/b.ndjson", 1)] {
        let mut lines = Case::new();
        for n in (0..exports).filter(|n| n % 2 == own) {
            lines.step(&format!("job-{n}"), n, "upload", "failure", json!({ "status": 403 }));
        }
        let lines: Vec<String> = lines.trail.iter().map(Value::to_string).collect();
        case.write(name, lines.join("\n") + "\n");
    }
    case.write("logs/policy.json", bucket_policy(&["s3:PutObject"], "tenant").to_string());
    write_keys(&case, "", 7);
    done(&case, &["analyze", "logs", "--case", "case"]);
    done(&case, &["attest", "case", "--key", "key.pem"]);
    case
}

fn done(case: &Case, arguments: &[&str]) -> String {
    let run = run(case.path(), arguments);
    assert_eq!(run.status, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    run.stdout
}

/// The only attestation of a case.
fn attestation(case: &Case) -> String {
    let mut files = fs::read_dir(case.path().join("case/attestations")).expect("the folder").flatten();
    let name = files.next().expect("an attestation").file_name().into_string().expect("UTF-8");
    assert!(files.next().is_none());
    format!("case/attestations/{name}")
}

fn tree(case: &Case) -> Value {
    let envelope: Value =
        serde_json::from_slice(&fs::read(case.path().join(attestation(case))).expect("read")).expect("JSON");
    let statement: Value =
        serde_json::from_slice(&decode(envelope["payload"].as_str().expect("base64"))).expect("a statement");
    statement["predicate"]["records"].clone()
}

/// The record ids of all lines and documents of the logs.
fn records(case: &Case) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for name in ["a.ndjson", "b.ndjson", "policy.json"] {
        let text = fs::read(case.path().join("logs").join(name)).expect("read");
        let records = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        found.extend(records.map(|bytes| (holdtrace::evidence::Digest::of(bytes).record_id(), bytes.to_vec())));
    }
    found
}

fn verify(folder: &Path, root: &str) -> Run {
    run(folder, &["verify", "proof", "proof.json", "--root", root])
}

#[test]
fn every_record_of_a_case_can_be_disclosed_by_itself() {
    for exports in [2, 3, 5, 8] {
        let case = attested(exports);
        let tree = tree(&case);
        let root = tree["root"].as_str().expect("hex");
        assert_eq!(tree["size"], json!(exports + 1));
        let mut places = BTreeSet::new();
        for (id, bytes) in records(&case) {
            done(&case, &["prove", "case", &id, "--out", "proof.json"]);
            // Nothing but the proof is needed.
            let other = tempfile::tempdir().expect("a folder");
            fs::copy(case.path().join("proof.json"), other.path().join("proof.json")).expect("copied");
            let found = verify(other.path(), root);
            assert_eq!(found.status, 0, "{}", found.stdout);
            assert!(found.stdout.contains(&id), "{}", found.stdout);
            let proof: Value =
                serde_json::from_slice(&fs::read(other.path().join("proof.json")).expect("read")).expect("JSON");
            assert_eq!(decode(proof["bytes"].as_str().expect("base64")), bytes);
            places.insert(proof["leaf"]["index"].as_i64());
        }
        assert_eq!(places.len(), usize::try_from(exports + 1).expect("small"));
    }
}

#[test]
fn the_root_can_be_taken_from_an_attestation_and_must_be_that_of_the_proof() {
    let case = attested(4);
    let (id, _) = records(&case).remove(2);
    done(&case, &["prove", "case", &id, "--out", "proof.json"]);
    let signed = attestation(&case);
    let by_attestation = ["verify", "proof", "proof.json", "--attestation", &signed, "--public-key", "public.pem"];
    let out = done(&case, &by_attestation);
    assert_eq!(out.matches("valid ").count(), 2, "{out}");
    let other = attested(4);
    let found = verify(case.path(), tree(&other)["root"].as_str().expect("hex"));
    assert!(
        found.status == 1 && found.stdout.contains("INVALID    proof.json: its leaf, salt and path lead to"),
        "{}",
        found.stdout
    );
    write_keys(&case, "other-", 8);
    let by_other = ["verify", "proof", "proof.json", "--attestation", &signed, "--public-key", "other-public.pem"];
    let found = run(case.path(), &by_other);
    assert!(found.status == 1 && found.stdout.contains("unchecked  proof.json"), "{}", found.stdout);
}

#[test]
fn the_same_records_have_other_hashes_in_another_case() {
    let [one, two] = [attested(3), attested(3)];
    assert_eq!(records(&one), records(&two));
    assert_ne!(tree(&one)["root"], tree(&two)["root"], "hashes can be compared with those of guessed records");
    let id = &records(&one)[0].0;
    let [one, two] =
        [&one, &two].map(|case| serde_json::from_str::<Value>(&done(case, &["prove", "case", id])).expect("JSON"));
    assert_eq!(one["leaf"], two["leaf"]);
    assert_ne!(one["salt"], two["salt"]);
    assert_ne!(one["path"], two["path"]);
}

#[test]
fn what_cannot_be_proven_is_refused_in_a_sentence() {
    let case = attested(2);
    let (id, _) = records(&case).remove(0);
    let unknown = run(case.path(), &["prove", "case", "ev:0000000000000000"]);
    assert!(unknown.status == 2 && unknown.stderr.contains("no record in the 3 of this case"), "{}", unknown.stderr);
    fs::rename(case.path().join("logs"), case.path().join("moved")).expect("moved");
    let gone = run(case.path(), &["prove", "case", &id]);
    assert!(gone.status == 2 && gone.stderr.contains("logs/a.ndjson"), "{}", gone.stderr);
    done(&case, &["prove", "case", &id, "--evidence", "moved"]);
    case.write("moved/a.ndjson", "{}\n");
    let changed = run(case.path(), &["prove", "case", &id, "--evidence", "moved"]);
    assert!(changed.status == 2 && changed.stderr.contains("not what they were"), "{}", changed.stderr);
    fs::remove_file(case.path().join("case/tree/secret")).expect("removed");
    let secret = run(case.path(), &["prove", "case", &id, "--evidence", "moved"]);
    assert!(secret.status == 2 && secret.stderr.contains("tree/secret"), "{}", secret.stderr);
}

#[test]
fn a_record_in_an_archive_can_be_disclosed() {
    let case = Case::new();
    let mut inner = Case::new();
    inner.step("job", 0, "upload", "failure", json!({ "status": 403 }));
    let line = inner.trail[0].to_string() + "\n";
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(line.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "trail.ndjson", line.as_bytes()).expect("appended");
    case.write("logs/all.tar", tar.into_inner().expect("finished"));
    write_keys(&case, "", 7);
    done(&case, &["analyze", "logs", "--case", "case"]);
    done(&case, &["attest", "case", "--key", "key.pem"]);
    let id = holdtrace::evidence::Digest::of(line.trim_end().as_bytes()).record_id();
    done(&case, &["prove", "case", &id, "--out", "proof.json"]);
    let found = verify(case.path(), tree(&case)["root"].as_str().expect("hex"));
    assert!(found.status == 0 && found.stdout.contains("all.tar!/trail.ndjson"), "{}", found.stdout);
}

#[cfg(unix)]
#[test]
fn the_secret_is_for_its_owner_only_and_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = attested(2);
    let secret = case.path().join("case/tree/secret");
    assert_eq!(fs::metadata(&secret).expect("there").permissions().mode() & 0o777, 0o600);
    let (before, root) = (fs::read(&secret).expect("read"), tree(&case));
    done(&case, &["attest", "case", "--key", "key.pem"]);
    assert_eq!(before, fs::read(&secret).expect("read"));
    assert_eq!(root, tree(&case), "the same case is attested with the same root");
}

/// What `verify` finds of a case attested by the key in public.pem.
fn verified(case: &Case, more: &[&str]) -> (i32, Value) {
    let check = ["verify", "case", "--public-key", "public.pem", "--format", "json"];
    let found = run(case.path(), &[&check, more].concat());
    assert!((0..=1).contains(&found.status), "{}", found.stderr);
    (found.status, serde_json::from_str(&found.stdout).expect("JSON"))
}

fn notes(found: &Value) -> String {
    found["notes"].to_string()
}

#[test]
fn an_attested_case_is_valid_and_its_ledger_tells_of_it() {
    let case = attested(4);
    let (status, found) = verified(&case, &[]);
    assert_eq!(status, 0, "{found:#}");
    assert!(notes(&found).contains("signed with the key") && notes(&found).contains("made anew"), "{found:#}");
    let ledger = fs::read_to_string(case.path().join("case/custody.jsonl")).expect("read");
    let last: Value = serde_json::from_str(ledger.lines().next_back().expect("a line")).expect("JSON");
    assert_eq!((&last["act"], &last["state"]), (&json!("attest"), &json!("done")));
    let outputs: Vec<&str> =
        last["outputs"].as_array().expect("a list").iter().filter_map(|file| file["path"].as_str()).collect();
    assert!(outputs.len() == 2 && outputs.contains(&"tree/tree.json"), "{outputs:?}");
    let envelope: Value =
        serde_json::from_slice(&fs::read(case.path().join(attestation(&case))).expect("read")).expect("JSON");
    let statement: Value =
        serde_json::from_slice(&decode(envelope["payload"].as_str().expect("base64"))).expect("a statement");
    assert_eq!(statement["predicate"]["configuration"]["assume_tz"], "UTC");
    assert!(statement["subject"].to_string().contains("failures.parquet"));
    let (status, found) = verified(&case, &["--quick"]);
    assert_eq!(status, 0, "{found:#}");
}

#[test]
fn a_copy_without_the_secret_is_whole_and_says_what_was_not_made_anew() {
    let case = attested(2);
    fs::remove_file(case.path().join("case/tree/secret")).expect("removed");
    let (status, found) = verified(&case, &[]);
    assert!(status == 0 && notes(&found).contains("the secret is not in this copy"), "{found:#}");
}

#[test]
fn whoever_is_said_to_have_signed_must_have_signed() {
    let case = attested(2);
    write_keys(&case, "other-", 8);
    let (status, found) = verified(&case, &["--public-key", "other-public.pem"]);
    assert!(
        status == 1 && found["differences"].to_string().contains("no attestation of this case holds by the key"),
        "{found:#}"
    );
    done(&case, &["attest", "case", "--key", "other-key.pem"]);
    let (status, found) = verified(&case, &["--public-key", "other-public.pem"]);
    assert_eq!(status, 0, "{found:#}");
    let unnamed = run(case.path(), &["verify", "case"]);
    assert!(unnamed.status == 0 && unnamed.stdout.contains("who signed was not checked"), "{}", unnamed.stdout);
}

#[test]
fn a_case_that_has_grown_keeps_its_attestation_and_wants_a_new_one() {
    let case = attested(3);
    let old = tree(&case);
    let id = records(&case).remove(0).0;
    let mut more = Case::new();
    more.step("late", 9000, "upload", "failure", json!({ "status": 403 }));
    case.write("logs/late.ndjson", more.trail[0].to_string() + "\n");
    done(&case, &["analyze", "logs", "--case", "case"]);
    let (status, found) = verified(&case, &[]);
    assert_eq!(status, 0, "{found:#}");
    assert!(notes(&found).contains("of reports as an earlier act wrote them"), "{found:#}");
    assert!(notes(&found).contains("by which the case has grown"), "{found:#}");
    let refused = run(case.path(), &["prove", "case", &id]);
    assert!(refused.status == 2 && refused.stderr.contains("attest it again"), "{}", refused.stderr);
    done(&case, &["attest", "case", "--key", "key.pem"]);
    let proof: Value = serde_json::from_str(&done(&case, &["prove", "case", &id])).expect("JSON");
    assert_eq!(proof["leaf"]["size"], json!(5));
    assert_ne!(proof["root"], old["root"]);
    let (status, found) = verified(&case, &[]);
    assert_eq!(status, 0, "{found:#}");
}

#[test]
fn a_report_that_was_changed_is_not_attested() {
    let case = attested(2);
    let mut report = fs::read(case.path().join("case/reports/report.json")).expect("read");
    report[40] ^= 1;
    case.write("case/reports/report.json", report);
    let refused = run(case.path(), &["attest", "case", "--key", "key.pem"]);
    assert!(refused.status == 2 && refused.stderr.contains("not as the last act left it"), "{}", refused.stderr);
}

/// The files of an attested case, the proof of a record in it, and the root.
static WHOLE: LazyLock<(Vec<(String, Vec<u8>)>, Vec<u8>, String)> = LazyLock::new(|| {
    let case = attested(7);
    done(&case, &["prove", "case", &records(&case)[3].0, "--out", "proof.json"]);
    let root = tree(&case)["root"].as_str().expect("hex").to_owned();
    let files = walkdir::WalkDir::new(case.path()).sort_by_file_name().into_iter().flatten();
    let file = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(case.path()).expect("below").to_str().expect("UTF-8").to_owned();
        (name, fs::read(entry.path()).expect("read"))
    };
    let files = files.filter(|entry| entry.file_type().is_file()).map(file).collect();
    (files, fs::read(case.path().join("proof.json")).expect("read"), root)
});

#[test]
fn a_hash_in_capitals_is_a_changed_proof() {
    let proof: Value = serde_json::from_slice(&WHOLE.1).expect("JSON");
    for pointer in ["/root", "/salt", "/path/0", "/path/2", "/leaf/sha256", "/leaf/file_sha256"] {
        let hash = proof.pointer(pointer).and_then(Value::as_str).expect("a hash");
        let text = String::from_utf8(WHOLE.1.clone()).expect("text").replace(hash, &hash.to_ascii_uppercase());
        let case = Case::new();
        case.write("proof.json", text);
        let found = verify(case.path(), &WHOLE.2);
        assert!(found.status == 1 && found.stdout.contains("INVALID    proof.json: "), "{pointer}: {}", found.stdout);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_a_proof_is_found_and_the_file_named(change in change()) {
        prop_assume!(!matches!(change, Change::Exchange { .. }));
        let before = &WHOLE.1;
        let case = Case::new();
        let after = altered(before, &change);
        case.write("proof.json", &after);
        let found = verify(case.path(), &WHOLE.2);
        prop_assert_eq!(found.status, i32::from(*before != after), "{:?} {}", change, found.stdout);
        prop_assert_eq!(found.stdout.contains("INVALID    proof.json: "), *before != after, "{}", found.stdout);
        prop_assert!(!found.stderr.contains("panicked"));
    }

    #[test]
    fn any_change_of_what_an_attested_case_rests_on_is_found_and_the_file_named(
        file in any::<prop::sample::Index>(),
        change in change(),
    ) {
        prop_assume!(!matches!(change, Change::Exchange { .. }));
        let case = Case::new();
        for (name, bytes) in &WHOLE.0 {
            case.write(name, bytes);
        }
        let attested = ["case/attestations/", "case/tree/", "case/reports/", "case/events/", "case/failures.parquet"];
        let is_attested = |name: &str| attested.iter().any(|prefix| name.starts_with(prefix));
        let subjects: Vec<_> = WHOLE.0.iter().filter(|(name, bytes)| is_attested(name) && !bytes.is_empty()).collect();
        let (name, before) = subjects[file.index(subjects.len())];
        let after = altered(before, &change);
        case.write(name, &after);
        let (status, found) = verified(&case, &[]);
        prop_assert_eq!(status, i32::from(*before != after), "{} {:?} {:#}", name, change, found);
        // The secret is on no list: that it is another shows in the root, with both names.
        let named = name.trim_start_matches("case/");
        prop_assert_eq!(found["differences"].to_string().contains(named), *before != after, "{} {:#}", name, found);
    }
}
