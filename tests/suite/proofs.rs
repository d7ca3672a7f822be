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
    done(&case, &["ingest", "logs", "--out", "case/events"]);
    fs::create_dir_all(case.path().join("case/reports")).expect("a folder");
    done(&case, &["analyze", "logs", "--format", "json", "--out", "case/reports/report.json"]);
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
    done(&case, &["ingest", "logs", "--out", "case/events"]);
    done(&case, &["analyze", "logs", "--format", "json", "--out", "report.json"]);
    case.write("case/reports/report.json", fs::read(case.path().join("report.json")).expect("read"));
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

/// The files of an attested case, the proof of a record in it, and the root.
static WHOLE: LazyLock<(Vec<(String, Vec<u8>)>, String)> = LazyLock::new(|| {
    let case = attested(7);
    done(&case, &["prove", "case", &records(&case)[3].0, "--out", "proof.json"]);
    let root = tree(&case)["root"].as_str().expect("hex").to_owned();
    let signed = attestation(&case);
    let names = [
        &signed,
        "proof.json",
        "public.pem",
        "case/reports/report.json",
        "case/tree/tree.json",
        "case/tree/secret",
        "case/events/holdtrace-parts.json",
        "case/events/events/part-00000.parquet",
        "case/events/documents/part-00000.parquet",
    ];
    let file =
        |name: &str| (name.to_owned(), fs::read(case.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}")));
    (names.into_iter().map(file).collect(), root)
});

fn whole() -> Case {
    let case = Case::new();
    for (name, bytes) in &WHOLE.0 {
        case.write(name, bytes);
    }
    case
}

#[test]
fn an_unchanged_case_is_valid_and_one_without_its_secret_is_unchecked() {
    let case = whole();
    let check = ["verify", "attestation", "case", "--public-key", "public.pem"];
    let out = done(&case, &check);
    assert!(!out.contains("INVALID") && !out.contains("unchecked"), "{out}");
    fs::remove_file(case.path().join("case/tree/secret")).expect("removed");
    let out = done(&case, &check);
    assert!(out.contains("unchecked  tree/tree.json"), "{out}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_a_proof_is_found_and_the_file_named(change in change()) {
        prop_assume!(!matches!(change, Change::Exchange { .. }));
        let (name, before) = &WHOLE.0[1];
        let case = Case::new();
        let after = altered(before, &change);
        case.write(name, &after);
        let found = verify(case.path(), &WHOLE.1);
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
        let case = whole();
        let subjects: Vec<_> = WHOLE.0.iter().filter(|(name, _)| name.starts_with("case/")).collect();
        let (name, before) = subjects[file.index(subjects.len())];
        let after = altered(before, &change);
        case.write(name, &after);
        let found = run(case.path(), &["verify", "attestation", "case", "--public-key", "public.pem"]);
        prop_assert_eq!(found.status, i32::from(*before != after), "{} {:?} {}", name, change, found.stdout);
        let of_tree = ["events", "tree"].iter().any(|folder| name.starts_with(&format!("case/{folder}/")));
        let named = if of_tree { "tree/tree.json" } else { name.trim_start_matches("case/") };
        let said = found.stdout.lines().any(|line| line.starts_with("INVALID") && line.contains(named));
        prop_assert_eq!(said, *before != after, "{} {}", name, found.stdout);
        prop_assert!(!found.stderr.contains("panicked"));
    }
}
