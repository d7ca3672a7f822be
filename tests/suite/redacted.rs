//! `analyze --redact`: nothing of the evidence shows that could name anybody, and the twin says what the report says.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Case, Run, bucket_policy, put_object, run, time};

const KEY: &str = "5b1f0f7c9e6e8a6f0d3c2b1a99887766\n";
const REDACT: [&str; 3] = ["--redact", "--redact-key", "redact.key"];

/// What an archive is made of: all of it could name somebody.
#[derive(Clone, Debug)]
struct World {
    names: Vec<String>,
    phones: Vec<String>,
    accounts: Vec<String>,
}

fn world() -> impl Strategy<Value = World> {
    let some = |pattern, count: usize| proptest::collection::vec(pattern, count..=count);
    (some("[qxz][a-z0-9]{9,12}", 12), some("\\+49[0-9]{10}", 3), some("9[0-9]{11}", 2))
        .prop_map(|(names, phones, accounts)| World { names, phones, accounts })
}

impl World {
    /// Everything that must not show.
    fn all(&self) -> impl Iterator<Item = &String> {
        self.names.iter().chain(&self.phones).chain(&self.accounts)
    }

    fn name(&self, n: usize) -> &str {
        &self.names[n % self.names.len()]
    }

    /// A trail, CloudTrail, a policy for another tenant, and a line that cannot be read.
    fn archive(&self, folder: &str, case: &Case) {
        let (mut trail, mut cloudtrail) = (Vec::new(), Vec::new());
        for n in 0..4 {
            let at = i64::try_from(n).expect("small") * 1000;
            let (job, phone) = (format!("job-{}", self.name(n)), &self.phones[n % 3]);
            let principal = format!("{}@{}.example", self.name(n % 2), self.name(5));
            let key = format!("{}/conversation_id={phone}/{}.opus", self.name(6), self.name(7));
            for attempt in 0..2 {
                trail.push(json!({
                    "timestamp": time(at + 60 * attempt), "jobId": job, "conversationId": phone, "recordingId": self.name(7 + n),
                    "tenantId": self.name(6), "region": self.name(8), "principal": principal, "bucket": self.name(9),
                    "objectKey": key, "step": "upload", "outcome": "failure", "status": ([403, 409][n % 2]),
                    "mediaType": self.name(10), "queue": self.name(11), "scopes": format!("recording:export {}:read", self.name(3)),
                    "error": { "code": "AccessDenied", "message": format!("{principal} ({phone}) lacks {}:write", self.name(3)) },
                }));
            }
            let mut refused = put_object(
                &job,
                at + 30,
                Some(&format!(
                    "User: arn:aws:sts::{}:assumed-role/{}/{} is not authorized to perform: s3:PutObject on resource: \
                 \"arn:aws:s3:::{}/{key}\" because no identity-based policy allows the s3:PutObject action",
                    self.accounts[0],
                    self.name(4),
                    self.name(0),
                    self.name(9)
                )),
            );
            refused["userIdentity"]["arn"] =
                json!(format!("arn:aws:sts::{}:assumed-role/{}/{}", self.accounts[0], self.name(4), self.name(0)));
            refused["userIdentity"]["accountId"] = json!(self.accounts[0]);
            refused["requestParameters"] = json!({ "bucketName": self.name(9), "key": key });
            cloudtrail.push(refused);
        }
        let lines: Vec<String> = trail.iter().map(Value::to_string).collect();
        let broken = format!("{{\"jobId\": \"{}\", \"tenant\": {}\n", self.name(1), self.name(2));
        case.write(&format!("{folder}/{}.ndjson", self.name(2)), lines.join("\n") + "\n" + &broken);
        case.write(&format!("{folder}/cloudtrail.json"), json!({ "Records": cloudtrail }).to_string());
        let mut policy = bucket_policy(&["s3:PutObject"], self.name(1));
        policy["Statement"][0]["Resource"] = json!(format!("arn:aws:s3:::{}/{}/*", self.name(9), self.name(1)));
        policy["Statement"][0]["Principal"]["AWS"] =
            json!(format!("arn:aws:iam::{}:role/{}", self.accounts[1], self.name(4)));
        case.write(&format!("{folder}/policy.json"), policy.to_string());
    }
}

fn analyze(case: &Case, paths: &[&str], format: &str, more: &[&str]) -> Run {
    let found = run(case.path(), &[&["analyze"], paths, &["--format", format], more].concat());
    assert!((0..=1).contains(&found.status), "{}", found.stderr);
    found
}

/// What verdicts, times and counts must not change.
const SAME: [&str; 13] = [
    "step",
    "first_failed_at",
    "last_failed_at",
    "recovered_at",
    "attempts",
    "symptoms",
    "class",
    "mechanism",
    "support",
    "hypotheses",
    "missing_permissions",
    "evidence",
    "region",
];
/// What is replaced, and must join as before.
const IDS: [&str; 8] =
    ["failure_id", "job_id", "conversation_id", "recording_id", "object_key", "bucket", "principal", "tenant_id"];

/// A failure without what may be replaced or withheld.
fn bare(failure: &Value) -> Vec<Value> {
    let mut failure = failure.clone();
    for evidence in failure["evidence"].as_array_mut().expect("a list") {
        evidence["statement"] = Value::Null;
        evidence["records"] = json!(evidence["records"].as_array().map(Vec::len));
    }
    failure["region"] = json!(failure["region"].is_null());
    SAME.iter()
        .filter(|name| **name != "missing_permissions")
        .map(|name| failure[name].clone())
        .chain([json!(failure["missing_permissions"].as_array().map(Vec::len))])
        .collect()
}

/// The ids of a failure, each with its kind.
fn ids(failure: &Value) -> Vec<(String, Value)> {
    let mut all: Vec<_> = IDS.iter().map(|name| ((*name).to_owned(), failure[name].clone())).collect();
    for evidence in failure["evidence"].as_array().expect("a list") {
        let records = evidence["records"].as_array().expect("a list").iter();
        all.extend(records.map(|id| ("record".to_owned(), id.clone())));
    }
    all
}

/// That each id has one pseudonym, and each pseudonym is of one id.
fn join_alike(plain: &[Value], redacted: &[Value]) {
    let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
    for (plain, redacted) in plain.iter().zip(redacted) {
        for ((kind, id), (_, pseudonym)) in ids(plain).into_iter().zip(ids(redacted)) {
            assert_eq!(id.is_null(), pseudonym.is_null());
            let (id, pseudonym) = ((kind.clone(), id.to_string()), (kind, pseudonym.to_string()));
            assert_eq!(there.entry(id.clone()).or_insert_with(|| pseudonym.clone()), &pseudonym);
            assert_eq!(back.entry(pseudonym).or_insert_with(|| id.clone()), &id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_the_evidence_shows_and_verdicts_times_and_joins_stay(world in world()) {
        let case = Case::new();
        world.archive("logs", &case);
        case.write("redact.key", KEY);
        let mut shown = 0;
        for format in ["json", "ndjson", "csv", "table"] {
            let (plain, redacted) = (analyze(&case, &["logs"], format, &[]), analyze(&case, &["logs"], format, &REDACT));
            prop_assert_eq!(plain.status, redacted.status);
            for value in world.all() {
                shown += usize::from(plain.stdout.contains(value));
                let text = redacted.stdout.clone() + &redacted.stderr;
                prop_assert!(!text.contains(value), "{} in {}: {}", value, format, text);
            }
        }
        prop_assert!(shown > world.all().count(), "the unredacted report does show them");
        let plain = analyze(&case, &["logs"], "json", &[]);
        let redacted = analyze(&case, &["logs"], "json", &REDACT);
        let [plain_json, redacted_json] = [&plain, &redacted].map(|run| serde_json::from_str::<Value>(&run.stdout).expect("JSON"));
        let digest = holdtrace::evidence::Digest::of(&plain.bytes).to_string();
        prop_assert_eq!(&redacted_json["redaction"]["unredacted_sha256"], &json!(digest));
        prop_assert_eq!(&plain_json["summary"], &redacted_json["summary"]);
        let [plain, redacted] = [&plain_json, &redacted_json].map(|json| json["failures"].as_array().expect("a list").clone());
        prop_assert_eq!(plain.len(), redacted.len());
        prop_assert!(plain.len() >= 4);
        for (plain, redacted) in plain.iter().zip(&redacted) {
            prop_assert_eq!(bare(plain), bare(redacted));
        }
        join_alike(&plain, &redacted);
    }
}

fn fixed() -> World {
    let numbered = |prefix: &str, count: usize| (0..count).map(|n| format!("{prefix}{n:02}zzz")).collect();
    World {
        names: numbered("person", 12),
        phones: (0..3).map(|n| format!("+49301234560{n}")).collect(),
        accounts: (0..2).map(|n| format!("99887766554{n}")).collect(),
    }
}

#[test]
fn twins_with_one_key_join_and_with_another_do_not() {
    let case = Case::new();
    fixed().archive("one", &case);
    fixed().archive("two", &case);
    case.write("redact.key", KEY);
    case.write("other.key", "another key that is long enough");
    let of =
        |folder: &str, key: &str| analyze(&case, &[folder], "ndjson", &["--redact", "--redact-key", key]).objects();
    let (one, two, other) = (of("one", "redact.key"), of("two", "redact.key"), of("one", "other.key"));
    for name in IDS {
        assert_eq!(one[0][name], two[0][name], "{name}");
        assert_ne!(one[0][name], other[0][name], "{name}");
    }
    let principal = one[0]["principal"].as_str().expect("text");
    assert!(principal.starts_with("per-") && principal.len() == 18, "{principal}");
}

#[test]
fn a_text_stays_only_if_it_is_on_the_list() {
    let case = Case::new();
    fixed().archive("logs", &case);
    case.write("redact.key", KEY);
    let plain: Value = serde_json::from_str(&analyze(&case, &["logs"], "json", &[]).stdout).expect("JSON");
    let files = plain["coverage"]["files"].as_array().expect("a list");
    let reason = files.iter().find_map(|file| file["rejects"][0]["reason"].as_str()).expect("a reject");
    let reasons = |more: &[&str]| {
        let found = analyze(&case, &["logs"], "json", &[&REDACT[..], more].concat());
        let json: Value = serde_json::from_str(&found.stdout).expect("JSON");
        let files = json["coverage"]["files"].as_array().expect("a list").clone();
        files.iter().find_map(|file| file["rejects"][0]["reason"].as_str().map(str::to_owned)).expect("a reject")
    };
    assert_eq!(reasons(&[]), "[withheld]");
    case.write("keep.txt", format!("something else\n{reason}\n"));
    assert_eq!(reasons(&["--keep-text", "keep.txt"]), reason);
}

/// The table once ended in commands with the paths as they were given.
#[test]
fn no_format_for_people_names_the_paths_that_were_given() {
    let case = Case::new();
    let record =
        r#"{"timestamp":"2026-03-02T08:00:00Z","jobId":"a-job","step":"upload","outcome":"failure","status":403}"#;
    case.write("of-jane-doe/trail.ndjson", record);
    case.write("redact.key", "0123456789abcdef0123456789abcdef");
    for format in ["table", "markdown", "json"] {
        let run = run(case.path(), &[&["analyze", "of-jane-doe", "--format", format], &REDACT[..]].concat());
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(!run.stdout.contains("jane") && !run.stdout.contains("a-job"), "{format}: {}", run.stdout);
        assert!(!run.stderr.contains("jane"), "{format}: {}", run.stderr);
    }
}

#[test]
fn redaction_wants_a_key_that_cannot_be_guessed() {
    let case = Case::new();
    fixed().archive("logs", &case);
    case.write("redact.key", "short\n");
    for (more, said) in [
        (&["--redact"][..], "--redact-key"),
        (&["--redact-key", "redact.key"], "--redact"),
        (&REDACT, "could be guessed"),
        (&["--redact", "--redact-key", "missing.key"], "missing.key"),
    ] {
        let found = run(case.path(), &[&["analyze", "logs"], more].concat());
        assert_eq!(found.status, 2, "{more:?}");
        assert!(found.stderr.contains(said), "{more:?}: {}", found.stderr);
    }
}

#[test]
fn a_redacted_report_can_be_attested_and_names_the_unredacted_one() {
    let case = Case::new();
    fixed().archive("logs", &case);
    case.write("redact.key", KEY);
    crate::attestations::write_keys(&case, "", 7);
    let redacted = analyze(&case, &["logs"], "json", &[&REDACT[..], &["--out", "redacted.json"]].concat());
    assert!(redacted.stdout.is_empty());
    let attest = ["attest", "--report", "redacted.json", "--key", "key.pem", "--out", "redacted.dsse.json"];
    assert_eq!(run(case.path(), &attest).status, 0);
    let read =
        |name: &str| serde_json::from_slice::<Value>(&fs::read(case.path().join(name)).expect("read")).expect("JSON");
    let payload = crate::attestations::decode(read("redacted.dsse.json")["payload"].as_str().expect("base64"));
    let statement: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(statement["predicate"]["redaction"], read("redacted.json")["redaction"]);
}
