//! `verify cloudtrail`: the public keys.

use serde_json::{Value, json};

use crate::cloudtrail_bucket::{FIRST, Folder, SECOND, at, keys};

fn with(keys: impl ToString) -> (Folder, String) {
    let (folder, digests, _) = Folder::with_hours(1);
    folder.0.write("keys.json", keys.to_string());
    (folder, digests.into_iter().next().expect("one"))
}

fn list(keys: &[Value]) -> Value {
    json!({ "PublicKeyList": keys })
}

#[test]
fn a_key_that_is_not_listed_makes_a_digest_invalid() {
    let (folder, digest) = with(list(&[SECOND.listed(Value::Null, Value::Null)]));
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.state(&digest)), (1, "invalid"));
    assert!(checked.reason(&digest).contains(FIRST.fingerprint), "{}", checked.reason(&digest));
    let mut other = SECOND.listed(Value::Null, Value::Null);
    other["Fingerprint"] = json!(FIRST.fingerprint);
    let (folder, digest) = with(list(&[other]));
    assert!(folder.verify(&[]).reason(&digest).contains("does not verify"));
}

#[test]
fn a_key_counts_only_within_its_validity_however_times_are_written() {
    // With a fraction, as version 1 of the command line writes it.
    let epoch = |text: &str| {
        let seconds = chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp();
        serde_json::from_str::<Value>(&format!("{seconds}.0")).expect("a number")
    };
    let within = [
        (json!("2026-02-20T00:00:00+00:00"), json!("2026-03-20T00:00:00+00:00")),
        (json!("2026-03-02T03:01:31+02:00"), json!("2026-03-02T01:01:31Z")),
        (json!("2026-03-02 00:30:00"), json!("2026-03-03 00:30:00.123")),
        (epoch("2026-03-01T00:00:00Z"), epoch("2026-03-03T00:00:00Z")),
        (json!(at(2)), Value::Null),
    ];
    for (from, to) in within {
        let (folder, _) = with(list(&[FIRST.listed(from.clone(), to.clone())]));
        let checked = folder.verify(&[]);
        assert_eq!(checked.status, 0, "{from} to {to}: {:#}", checked.report);
    }
    for (from, to) in
        [(json!(at(4)), Value::Null), (Value::Null, json!(at(0))), (Value::Null, epoch("2016-02-17T00:25:02Z"))]
    {
        let (folder, digest) = with(list(&[FIRST.listed(from, to)]));
        let checked = folder.verify(&[]);
        assert_eq!(checked.state(&digest), "invalid");
        assert!(checked.reason(&digest).contains("outside the validity"), "{}", checked.reason(&digest));
    }
}

#[test]
fn keys_are_read_as_pkcs_1_and_as_subject_public_key_info_in_one_file_or_several() {
    let mut spki = FIRST.listed(Value::Null, Value::Null);
    spki["Value"] = json!(FIRST.spki());
    assert_eq!(with(list(&[spki])).0.verify(&[]).status, 0);

    let regions = format!(
        "{}\n{}",
        list(&[SECOND.listed(Value::Null, Value::Null)]),
        list(&[FIRST.listed(Value::Null, Value::Null)])
    );
    assert_eq!(with(regions).0.verify(&[]).status, 0);

    let (folder, _) = with(list(&[SECOND.listed(Value::Null, Value::Null)]));
    folder.0.write("more.json", list(&[FIRST.listed(Value::Null, Value::Null)]).to_string());
    assert_eq!(folder.verify(&["--public-keys", "more.json"]).status, 0);
}

#[test]
fn a_key_that_is_listed_twice_is_one_key_and_a_broken_one_harms_no_other() {
    let key = FIRST.listed(Value::Null, Value::Null);
    let mut broken = key.clone();
    broken["Value"] = json!("MIIB");
    let past = FIRST.listed(Value::Null, json!(at(0)));
    let (folder, _) = with(list(&[broken, past, key.clone(), key]));
    assert_eq!(folder.verify(&[]).status, 0);
}

#[test]
fn key_files_that_cannot_be_used_are_refused_in_a_sentence() {
    let mut broken = FIRST.listed(Value::Null, Value::Null);
    broken["Value"] = json!("AAAA");
    let mut clock = FIRST.listed(Value::Null, Value::Null);
    clock["ValidityEndTime"] = json!("yesterday");
    for text in ["", "{}", "[1", "no json", "{\"PublicKeyList\": []}"].map(str::to_owned).into_iter().chain([
        list(&[broken]).to_string(),
        list(&[clock]).to_string(),
        keys().to_string() + "x",
    ]) {
        let run = with(&text).0.raw(&[]);
        assert_eq!((run.status, run.stderr.lines().count(), run.stdout.len()), (2, 1, 0), "{text}: {}", run.stderr);
    }
    let (folder, _, _) = Folder::with_hours(1);
    assert_eq!(folder.raw(&["--public-keys", "nowhere.json"]).status, 2);
}
