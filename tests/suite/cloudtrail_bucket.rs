//! A folder that mirrors buckets, with logs and signed digests as CloudTrail delivers them. Made up after the user guide's
//! description of the format; the keys are in tests/fixtures/cloudtrail.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use holdtrace::evidence::Digest;
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};

use crate::support::{Case, Run, root, run};

pub const BUCKET: &str = "audit-logs";
pub const ACCOUNT: &str = "111122223333";

/// A key pair of the fixtures.
pub struct Signer {
    key: PrivateKey,
    pub fingerprint: &'static str,
}

pub static FIRST: LazyLock<Signer> = LazyLock::new(|| Signer::load("test-key-1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
pub static SECOND: LazyLock<Signer> = LazyLock::new(|| Signer::load("test-key-2", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"));

impl Signer {
    fn load(name: &str, fingerprint: &'static str) -> Self {
        let path = root().join("tests/fixtures/cloudtrail").join(format!("{name}.pem"));
        let text = fs::read_to_string(path).expect("a key");
        let body: String = text.lines().filter(|line| !line.starts_with("---")).collect();
        let der = STANDARD.decode(body).expect("base64");
        Self { key: PrivateKey::from_pkcs1_der(&der).expect("a private key"), fingerprint }
    }

    pub fn sign(&self, text: &str) -> String {
        const_hex::encode(self.key.pkcs1v15_sign::<rsa::sha2::Sha256>(text.as_bytes()).expect("signed"))
    }

    /// As `aws cloudtrail list-public-keys` lists it.
    pub fn listed(&self, from: Value, to: Value) -> Value {
        let der = self.key.to_public_key().to_pkcs1_der().expect("encoded");
        json!({ "Value": STANDARD.encode(der), "Fingerprint": self.fingerprint,
            "ValidityStartTime": from, "ValidityEndTime": to })
    }

    /// The public key as a `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> String {
        STANDARD.encode(self.key.to_public_key().to_public_key_der().expect("encoded"))
    }
}

/// Both keys, valid in March 2026.
pub fn keys() -> Value {
    let (from, to) = (json!("2026-02-20T00:00:00+00:00"), json!("2026-04-01T02:00:00+02:00"));
    json!({ "PublicKeyList": [FIRST.listed(from.clone(), to.clone()), SECOND.listed(from, to)] })
}

/// The end of the hour `hour` of 2 March 2026, as digests write it.
pub fn at(hour: i64) -> String {
    time(hour, "%Y-%m-%dT%H:%M:%SZ")
}

fn time(hour: i64, format: &str) -> String {
    let seconds = 1_772_409_691 + 3600 * hour;
    chrono::DateTime::from_timestamp(seconds, 0).expect("in range").format(format).to_string()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzBuilder::new().write(Vec::new(), Compression::default());
    packer.write_all(bytes).expect("packed");
    packer.finish().expect("packed")
}

/// A log as a digest names it.
#[derive(Clone)]
pub struct Logged {
    pub key: String,
    entry: Value,
}

impl Logged {
    /// Has the digest name another object.
    pub fn rename(&mut self, bucket: &str, key: &str) {
        (self.entry["s3Bucket"], self.entry["s3Object"]) = (json!(bucket), json!(key));
    }
}

/// A trail in one region, and the digest that was written last.
#[derive(Clone)]
pub struct Trail {
    pub bucket: String,
    /// Folders between bucket and account: an optional prefix, `AWSLogs`, an organization.
    pub top: String,
    pub account: String,
    pub region: String,
    pub name: String,
    pub backfill: bool,
    pub signer: &'static Signer,
    /// Bucket, key, hash, signature.
    pub previous: Option<(String, String, String, String)>,
}

impl Trail {
    pub fn new() -> Self {
        Self {
            bucket: BUCKET.to_owned(),
            top: "AWSLogs".to_owned(),
            account: ACCOUNT.to_owned(),
            region: "eu-west-1".to_owned(),
            name: "all_events".to_owned(),
            backfill: false,
            signer: &FIRST,
            previous: None,
        }
    }

    pub fn log_key(&self, kind: &str, hour: i64, id: &str) -> String {
        let (top, account, region) = (&self.top, &self.account, &self.region);
        let (day, at) = (time(hour - 1, "%Y/%m/%d"), time(hour - 1, "%Y%m%dT%H10Z"));
        format!("{top}/{account}/{kind}/{region}/{day}/{account}_{kind}_{region}_{at}_{id}.json.gz")
    }

    pub fn digest_key(&self, hour: i64) -> String {
        let (top, account, region, name) = (&self.top, &self.account, &self.region, &self.name);
        let (day, at) = (time(hour, "%Y/%m/%d"), time(hour, "%Y%m%dT%H%M%SZ"));
        let end = if self.backfill { "_backfill" } else { "" };
        format!(
            "{top}/{account}/CloudTrail-Digest/{region}/{day}/{account}_CloudTrail-Digest_{region}_{name}_eu-west-1_{at}{end}.json.gz"
        )
    }

    /// Writes a log of one record.
    pub fn log(&self, folder: &Folder, hour: i64, id: &str) -> Logged {
        let record = json!({ "eventTime": at(hour), "eventName": "GetObject", "eventSource": "s3.amazonaws.com", "eventID": id });
        self.log_of(folder, "CloudTrail", hour, id, &json!({ "Records": [record] }))
    }

    pub fn log_of(&self, folder: &Folder, kind: &str, hour: i64, id: &str, content: &Value) -> Logged {
        let (key, bytes) = (self.log_key(kind, hour, id), content.to_string());
        folder.write(&self.bucket, &key, gzip(bytes.as_bytes()));
        let entry = json!({ "s3Bucket": self.bucket, "s3Object": key, "hashAlgorithm": "SHA-256",
            "hashValue": Digest::of(bytes.as_bytes()).to_string(), "newestEventTime": at(hour), "oldestEventTime": at(hour - 1) });
        Logged { key, entry }
    }

    /// Writes the digest of the hour that ends at `hour`, with its metadata.
    pub fn digest(&mut self, folder: &Folder, hour: i64, logs: &[Logged]) -> String {
        self.digest_with(folder, hour, logs, |_| {})
    }

    /// Writes a digest that `edit` has changed before it was signed.
    pub fn digest_with(
        &mut self,
        folder: &Folder,
        hour: i64,
        logs: &[Logged],
        edit: impl FnOnce(&mut Value),
    ) -> String {
        let key = self.digest_key(hour);
        let (bucket, before, hash, signature) = match &self.previous {
            Some((bucket, key, hash, signature)) => (json!(bucket), json!(key), json!(hash), json!(signature)),
            None => (Value::Null, Value::Null, Value::Null, Value::Null),
        };
        let algorithm = if hash.is_null() { Value::Null } else { json!("SHA-256") };
        let mut digest = json!({
            "awsAccountId": self.account, "digestStartTime": at(hour - 1), "digestEndTime": at(hour),
            "digestS3Bucket": self.bucket, "digestS3Object": key, "digestPublicKeyFingerprint": self.signer.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": null, "oldestEventTime": null,
            "previousDigestS3Bucket": bucket, "previousDigestS3Object": before, "previousDigestHashValue": hash,
            "previousDigestHashAlgorithm": algorithm, "previousDigestSignature": signature,
            "logFiles": logs.iter().map(|log| log.entry.clone()).collect::<Vec<_>>(),
        });
        edit(&mut digest);
        let bytes = digest.to_string();
        let hash = Digest::of(bytes.as_bytes()).to_string();
        let said = |name: &str| digest[name].as_str().unwrap_or("null").to_owned();
        let text = format!(
            "{}\n{}/{}\n{hash}\n{}",
            said("digestEndTime"),
            said("digestS3Bucket"),
            said("digestS3Object"),
            said("previousDigestSignature")
        );
        let signature = self.signer.sign(&text);
        folder.write(&self.bucket, &key, gzip(bytes.as_bytes()));
        let mut metadata = json!({ "signature": signature, "signature-algorithm": "SHA256withRSA" });
        if self.backfill {
            metadata["backfill-generation-timestamp"] = json!(at(hour + 5));
        }
        folder.write(&self.bucket, &format!("{key}.metadata.json"), metadata.to_string());
        self.previous = Some((self.bucket.clone(), key.clone(), hash, signature));
        key
    }

    /// What CloudTrail does after it was stopped: the next digest names none before it.
    pub fn restart(&mut self) {
        self.previous = None;
    }
}

/// The folder, beside it the keys.
pub struct Folder(pub Case);

impl Folder {
    pub fn new() -> Self {
        let case = Case::new();
        case.write("keys.json", keys().to_string());
        Self(case)
    }

    /// Hours 1 to `hours` of one trail, two logs each but for the second hour, which has none.
    pub fn with_hours(hours: i64) -> (Self, Vec<String>, Vec<String>) {
        let (folder, mut trail) = (Self::new(), Trail::new());
        let (mut digests, mut logs) = (Vec::new(), Vec::new());
        for hour in 1..=hours {
            let ids = if hour == 2 { &[][..] } else { &["a", "b"] };
            let named: Vec<Logged> = ids.iter().map(|id| trail.log(&folder, hour, id)).collect();
            digests.push(trail.digest(&folder, hour, &named));
            logs.extend(named.into_iter().map(|log| log.key));
        }
        (folder, digests, logs)
    }

    pub fn path(&self, bucket: &str, key: &str) -> PathBuf {
        self.0.path().join("buckets").join(bucket).join(key)
    }

    pub fn write(&self, bucket: &str, key: &str, bytes: impl AsRef<[u8]>) {
        self.0.write(&format!("buckets/{bucket}/{key}"), bytes);
    }

    pub fn remove(&self, key: &str) {
        fs::remove_file(self.path(BUCKET, key)).expect("removed");
    }

    pub fn remove_metadata(&self, key: &str) {
        self.remove(&format!("{key}.metadata.json"));
    }

    /// Unpacks a file, changes its text, packs it again.
    pub fn alter(&self, key: &str, from: &str, to: &str) {
        let mut text = String::new();
        let packed = fs::read(self.path(BUCKET, key)).expect("read");
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).expect("text");
        assert!(text.contains(from), "{from} is in {text}");
        self.write(BUCKET, key, gzip(text.replacen(from, to, 1).as_bytes()));
    }

    pub fn raw(&self, more: &[&str]) -> Run {
        verify(self.0.path(), more)
    }

    /// Checks the folder.
    pub fn verify(&self, more: &[&str]) -> Checked {
        let run = self.raw(&[&["--format", "json"], more].concat());
        assert!(run.status < 2, "{}", run.stderr);
        Checked { status: run.status, report: serde_json::from_str(&run.stdout).expect("JSON") }
    }
}

/// Runs the check in `folder`, which holds `buckets` and `keys.json`.
pub fn verify(folder: &Path, more: &[&str]) -> Run {
    run(folder, &[&["verify", "cloudtrail", "buckets", "--public-keys", "keys.json"], more].concat())
}

/// What the program said.
pub struct Checked {
    pub status: i32,
    pub report: Value,
}

impl Checked {
    fn entry(&self, key: &str) -> &Value {
        let of = |list: &str| self.report[list].as_array().expect("a list").iter().find(|entry| entry["key"] == key);
        of("digests").or_else(|| of("logs")).unwrap_or_else(|| panic!("{key} is not in {:#}", self.report))
    }

    pub fn is_listed(&self, key: &str) -> bool {
        self.report.to_string().contains(&format!("\"key\":\"{key}\""))
    }

    pub fn state(&self, key: &str) -> &str {
        self.entry(key)["status"].as_str().expect("a status")
    }

    pub fn reason(&self, key: &str) -> &str {
        self.entry(key)["reason"].as_str().unwrap_or("")
    }

    /// What is not valid, by key.
    pub fn faults(&self) -> BTreeMap<&str, &str> {
        let all = ["digests", "logs"].into_iter().flat_map(|list| self.report[list].as_array().expect("a list"));
        let all = all.map(|entry| (entry["key"].as_str().expect("a key"), entry["status"].as_str().expect("a status")));
        all.filter(|(_, status)| *status != "valid").collect()
    }

    pub fn gaps(&self) -> Vec<(&str, &str)> {
        let gaps = self.report["gaps"].as_array().expect("a list");
        gaps.iter().map(|gap| (gap["from"].as_str().expect("a time"), gap["to"].as_str().expect("a time"))).collect()
    }
}
