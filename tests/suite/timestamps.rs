//! Trusted time stamps: requests that openssl reads, and answers of an authority that openssl plays.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::attestations::{Attested, commands_of, has_openssl};
use crate::cloudtrail_properties::{Change, altered, change};
use crate::support::{Run, run};

const CONFIGURATION: &str = "
[req]
distinguished_name = name
prompt = no
[name]
CN = Test
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamps]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = serial
crypto_device = builtin
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
";

fn openssl(folder: &Path, line: &str) {
    let output =
        Command::new("openssl").args(line.split_whitespace()).current_dir(folder).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// How an authority's key is made.
const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";

/// Makes a root and a certificate for time stamps below it.
fn authority(folder: &Path, prefix: &str, key: &str) {
    fs::write(folder.join("tsa.cnf"), CONFIGURATION).expect("written");
    openssl(folder, &format!("genpkey {key} -out {prefix}ca.key"));
    openssl(
        folder,
        &format!(
            "req -x509 -new -key {prefix}ca.key -config tsa.cnf -extensions ca -subj /CN={prefix}root -days 30 -out {prefix}ca.pem"
        ),
    );
    openssl(folder, &format!("genpkey {key} -out {prefix}tsa.key"));
    openssl(
        folder,
        &format!("req -new -key {prefix}tsa.key -config tsa.cnf -subj /CN={prefix}stamps -out {prefix}tsa.csr"),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {prefix}tsa.csr -CA {prefix}ca.pem -CAkey {prefix}ca.key -CAcreateserial -extfile tsa.cnf -extensions stamps -days 30 -out {prefix}tsa.pem"
        ),
    );
}

/// The authority's answer to a request.
fn answer(folder: &Path, prefix: &str, hash: &str, request: &str, token: &str) {
    openssl(
        folder,
        &format!(
            "ts -reply -config tsa.cnf -section tsa_config -queryfile {request} -inkey {prefix}tsa.key -signer {prefix}tsa.pem -{hash} -out {token}"
        ),
    );
}

fn verify(folder: &Path, more: &[&str]) -> Run {
    let what = [
        "verify",
        "timestamp",
        "report.dsse.json.tsr",
        "--request",
        "report.dsse.json.tsq",
        "--of",
        "report.dsse.json",
    ];
    run(folder, &[&what, more].concat())
}

/// An attestation with a request for a stamp and its answer.
fn stamped(key: &str, hash: &str) -> Attested {
    let folder = Attested::new();
    folder.done(&[
        "attest",
        "--key",
        "key.pem",
        "--report",
        "report.json",
        "--timestamp-request",
        "--out",
        "report.dsse.json",
    ]);
    authority(folder.0.path(), "", key);
    answer(folder.0.path(), "", hash, "report.dsse.json.tsq", "report.dsse.json.tsr");
    folder
}

#[test]
fn a_stamp_by_a_trusted_authority_is_valid_whatever_its_keys_are() {
    if !has_openssl("time stamps") {
        return;
    }
    for (key, hash) in [(RSA, "sha256"), (RSA, "sha512"), (P256, "sha256"), (P384, "sha384")] {
        let folder = stamped(key, hash);
        let found = verify(folder.0.path(), &["--ca", "ca.pem"]);
        assert_eq!(found.status, 0, "{key} {hash}: {}", found.stdout);
        for what in ["status", "imprint", "nonce", "time", "signature", "certificate"] {
            assert!(found.stdout.contains(&format!("valid      {what}: ")), "{what}: {}", found.stdout);
        }
        assert!(found.stdout.contains("to within 1.500000 s, policy 1.2.3.4.1"), "{}", found.stdout);
    }
}

#[test]
fn the_page_s_commands_verify_a_stamp() {
    if !has_openssl("the commands on time stamps of docs/custody.md") {
        return;
    }
    let folder = stamped(P256, "sha256");
    for line in commands_of("### Checking a time stamp").lines().filter(|line| !line.is_empty()) {
        if let Some(line) = line.strip_prefix("openssl ") {
            openssl(folder.0.path(), line);
        } else {
            let line = line.strip_prefix("holdtrace ").expect("a command of holdtrace");
            folder.done(&line.split_whitespace().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_request_for_a_report_alone_needs_no_key() {
    if !has_openssl("a request for a report") {
        return;
    }
    let folder = Attested::new();
    folder.done(&["attest", "--report", "report.json", "--timestamp-request", "--out", "report.tsq"]);
    let first = folder.read("report.tsq");
    folder.done(&["attest", "--report", "report.json", "--timestamp-request", "--out", "report.tsq"]);
    assert_ne!(first, folder.read("report.tsq"), "each has a number of its own");
    authority(folder.0.path(), "", P256);
    answer(folder.0.path(), "", "sha256", "report.tsq", "report.tsr");
    folder.done(&[
        "verify",
        "timestamp",
        "report.tsr",
        "--request",
        "report.tsq",
        "--of",
        "report.json",
        "--ca",
        "ca.pem",
    ]);
}

#[test]
fn what_is_wrong_with_a_stamp_is_named() {
    if !has_openssl("what is wrong with a time stamp") {
        return;
    }
    let folder = stamped(P256, "sha256");
    let path = folder.0.path();
    let named = |found: Run, what: &str, said: &str| {
        assert_eq!(found.status, 1, "{}", found.stdout);
        let line = found.stdout.lines().find(|line| line.starts_with(&format!("INVALID    {what}: ")));
        assert!(line.is_some_and(|line| line.contains(said)), "{what}: {}", found.stdout);
    };
    authority(path, "other-", P256);
    named(verify(path, &["--ca", "other-ca.pem"]), "certificate", "UnknownIssuer");
    let unknown = verify(path, &[]);
    assert!(unknown.status == 0 && unknown.stdout.contains("unchecked  certificate"), "{}", unknown.stdout);

    let first = folder.read("report.dsse.json.tsq");
    folder.done(&[
        "attest",
        "--key",
        "key.pem",
        "--report",
        "report.json",
        "--timestamp-request",
        "--out",
        "report.dsse.json",
    ]);
    named(verify(path, &["--ca", "ca.pem"]), "nonce", "another request");
    folder.0.write("report.dsse.json.tsq", first);

    let attestation = folder.read("report.dsse.json");
    folder.done(&[
        "attest",
        "--key",
        "key.pem",
        "--report",
        "report.json",
        "--report",
        "report.csv",
        "--out",
        "report.dsse.json",
    ]);
    named(verify(path, &["--ca", "ca.pem"]), "imprint", "it was changed since");
    folder.0.write("report.dsse.json", attestation);

    folder.0.write("report.dsse.json.tsr", "no answer");
    named(verify(path, &["--ca", "ca.pem"]), "status", "neither an RFC 3161 answer nor a token");
    openssl(path, "ts -query -data report.json -sha512 -cert -out wrong.tsq");
    answer(path, "", "sha256", "wrong.tsq", "report.dsse.json.tsr");
    named(verify(path, &["--ca", "ca.pem"]), "status", "did not grant");
}

#[test]
fn a_stamp_in_a_case_is_checked_with_it_and_its_request_stays() {
    if !has_openssl("time stamps of a case") {
        return;
    }
    let folder = Attested::new();
    let path = folder.0.path();
    folder.done(&["analyze", "logs", "--case", "case"]);
    let requested = |arguments: &[&str]| {
        let found = folder.run(&[&["attest", "case", "--timestamp-request"], arguments].concat());
        assert_eq!(found.status, 0, "{}", found.stderr);
        found.stderr
    };
    authority(path, "", P256);
    for (arguments, of) in [(&["--key", "key.pem"][..], ".dsse.json"), (&[], "report-")] {
        assert!(requested(arguments).contains("to have it stamped, send attestations/"));
        assert!(requested(arguments).contains("was left as it is"));
        let names = fs::read_dir(path.join("case/attestations")).expect("listed").flatten();
        let names = names.map(|entry| entry.file_name().into_string().expect("UTF-8"));
        let request = names
            .into_iter()
            .find(|name| name.contains(of) && name.rsplit_once('.').is_some_and(|(_, end)| end == "tsq"))
            .expect("a request");
        let token = request.replace(".tsq", ".tsr");
        answer(path, "", "sha256", &format!("case/attestations/{request}"), &format!("case/attestations/{token}"));
        let found = folder.run(&["verify", "case", "--public-key", "public.pem", "--ca", "ca.pem"]);
        assert!(found.status == 0 && found.stdout.contains(&format!("{token}: time: ")), "{}", found.stdout);
    }
    authority(path, "other-", P256);
    let found = folder.run(&["verify", "case", "--ca", "other-ca.pem"]);
    assert!(found.status == 1 && found.stdout.contains("UnknownIssuer"), "{}", found.stdout);
}

/// The files of a stamped attestation.
static STAMPED: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let folder = stamped(P256, "sha256");
    ["report.dsse.json", "report.dsse.json.tsq", "report.dsse.json.tsr", "ca.pem"].map(|name| folder.read(name))
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_an_answer_moves_the_time_that_is_held_valid(change in change()) {
        if !has_openssl("changed time stamps") {
            return Ok(());
        }
        prop_assume!(!matches!(change, Change::Exchange { .. }));
        let folder = tempfile::tempdir().expect("a folder");
        let [attestation, request, token, ca] = &*STAMPED;
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("written");
        write("report.dsse.json", attestation);
        write("report.dsse.json.tsq", request);
        write("ca.pem", ca);
        write("report.dsse.json.tsr", token);
        let line = |run: &Run| run.stdout.lines().find(|line| line.contains(" time: ")).map(str::to_owned);
        let before = verify(folder.path(), &["--ca", "ca.pem"]);
        write("report.dsse.json.tsr", &altered(token, &change));
        let after = verify(folder.path(), &["--ca", "ca.pem"]);
        prop_assert!((0..=1).contains(&after.status), "{}", after.stderr);
        prop_assert!(!after.stderr.contains("panicked"));
        // What the signature does not cover, such as the words of the status, is not part of the stamp.
        prop_assert!(after.status == 1 || line(&before) == line(&after), "{}", after.stdout);
    }
}
