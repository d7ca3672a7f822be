//! `verify cloudtrail`: digests, their signatures, the chain, the hours it covers.

use std::fs;

use serde_json::json;

use crate::cloudtrail_bucket::{BUCKET, Folder, SECOND, Trail, at, gzip};

#[test]
fn what_is_as_it_was_delivered_is_valid() {
    let (folder, digests, logs) = Folder::with_hours(4);
    let checked = folder.verify(&[]);
    assert_eq!(checked.status, 0, "{:#}", checked.report);
    assert_eq!(checked.gaps(), []);
    let first = json!({ "bucket": BUCKET, "key": digests[0], "chain": "standard", "status": "valid", "reason": null });
    assert_eq!(checked.report["digests"][0], first);
    assert_eq!(checked.report["digests"].as_array().map(Vec::len), Some(4));
    let first = json!({ "bucket": BUCKET, "key": logs[0], "status": "valid", "reason": null });
    assert_eq!(checked.report["logs"][0], first);
    assert_eq!(checked.report["logs"].as_array().map(Vec::len), Some(6), "the second hour has none");
}

#[test]
fn the_newest_digest_without_metadata_is_unsigned_and_vouches_for_nothing() {
    let (folder, digests, logs) = Folder::with_hours(3);
    for key in &digests {
        folder.remove_metadata(key);
    }
    let checked = folder.verify(&[]);
    assert_eq!(checked.status, 1);
    assert_eq!(checked.state(&digests[2]), "unsigned");
    assert_eq!(
        [checked.state(&digests[0]), checked.state(&digests[1])],
        ["valid"; 2],
        "the next ones give their signatures"
    );
    assert_eq!([checked.state(&logs[2]), checked.state(&logs[3])], ["undigested"; 2]);
    assert!(checked.reason(&logs[2]).contains("itself not proven"), "{}", checked.reason(&logs[2]));
    assert_eq!(checked.state(&logs[0]), "valid");
}

#[test]
fn a_digest_that_was_altered_is_invalid_with_metadata_and_without() {
    for metadata in [true, false] {
        let (folder, digests, logs) = Folder::with_hours(3);
        if !metadata {
            digests[..2].iter().for_each(|key| folder.remove_metadata(key));
        }
        folder.alter(&digests[0], "\"oldestEventTime\"", "\"oldestEventTimf\"");
        let checked = folder.verify(&[]);
        assert_eq!((checked.status, checked.state(&digests[0])), (1, "invalid"));
        assert!(checked.reason(&digests[0]).contains(&digests[1]), "{}", checked.reason(&digests[0]));
        assert_eq!([checked.state(&digests[1]), checked.state(&digests[2])], ["valid"; 2]);
        assert_eq!([checked.state(&logs[0]), checked.state(&logs[2])], ["undigested", "valid"]);
    }
}

#[test]
fn the_newest_digest_altered_is_invalid_and_spoils_no_other() {
    let (folder, digests, _) = Folder::with_hours(3);
    digests[..2].iter().for_each(|key| folder.remove_metadata(key));
    folder.alter(&digests[2], "\"previousDigestHashValue\":\"", "\"previousDigestHashValue\":\"0");
    let checked = folder.verify(&[]);
    assert_eq!(checked.state(&digests[2]), "invalid");
    assert_eq!(checked.state(&digests[1]), "valid", "the signature it gives verifies, whoever gives it");
}

/// AWS's own checker compares neither of these two.
#[test]
fn a_previous_hash_that_is_not_that_of_the_digest_before_is_found() {
    let (folder, mut trail) = (Folder::new(), Trail::new());
    let first = trail.digest(&folder, 1, &[]);
    let second = trail.digest_with(&folder, 2, &[], |digest| digest["previousDigestHashValue"] = json!("0".repeat(64)));
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.state(&first)), (1, "invalid"));
    assert!(checked.reason(&first).contains("its SHA-256 is") && checked.reason(&first).contains(&second));
}

#[test]
fn a_signature_in_the_metadata_that_is_not_the_one_in_the_next_digest_is_found() {
    let (folder, digests, _) = Folder::with_hours(3);
    let metadata = folder.path(BUCKET, &format!("{}.metadata.json", digests[1]));
    let text = fs::read_to_string(&metadata).expect("read").replacen("\"signature\":\"", "\"signature\":\"00", 1);
    fs::write(&metadata, text).expect("written");
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.faults().len(), checked.state(&digests[1])), (1, 1, "invalid"));
    assert!(checked.reason(&digests[1]).contains("not the one that the next digest gives"));
}

#[test]
fn an_unsigned_digest_that_contradicts_the_one_before_it_is_invalid() {
    let (folder, digests, _) = Folder::with_hours(2);
    folder.remove_metadata(&digests[1]);
    folder.alter(&digests[1], "\"previousDigestHashValue\":\"", "\"previousDigestHashValue\":\"0");
    let checked = folder.verify(&[]);
    assert_eq!([checked.state(&digests[0]), checked.state(&digests[1])], ["valid", "invalid"]);
}

#[test]
fn a_missing_digest_is_named_and_each_missing_hour_listed() {
    let (folder, digests, logs) = Folder::with_hours(6);
    for key in &digests[2..4] {
        folder.remove(key);
        folder.remove_metadata(key);
    }
    folder.remove_metadata(&digests[1]);
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.state(&digests[3])), (1, "missing"));
    assert!(!checked.is_listed(&digests[2]), "nothing names it any more");
    assert_eq!(checked.gaps(), [(&*at(2), &*at(3)), (&*at(3), &*at(4))]);
    assert_eq!(checked.state(&digests[1]), "unsigned", "the digest that would give its signature is missing");
    assert_eq!(checked.state(&logs[2]), "undigested");
    assert_eq!([checked.state(&digests[0]), checked.state(&digests[4])], ["valid"; 2]);
}

#[test]
fn a_digest_whose_metadata_alone_is_left_is_missing() {
    let (folder, digests, _) = Folder::with_hours(3);
    folder.remove(&digests[2]);
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.state(&digests[2])), (1, "missing"));
    assert!(checked.reason(&digests[2]).contains("its metadata is"));
}

#[test]
fn a_trail_that_was_stopped_and_started_leaves_one_gap_and_nothing_invalid() {
    let (folder, mut trail) = (Folder::new(), Trail::new());
    trail.digest(&folder, 1, &[]);
    trail.restart();
    trail.digest(&folder, 6, &[]);
    trail.digest(&folder, 7, &[]);
    let checked = folder.verify(&[]);
    assert_eq!(checked.status, 0, "{:#}", checked.report);
    assert_eq!(checked.gaps(), [(&*at(1), &*at(5))]);
    assert_eq!(checked.report["chains"][0]["gaps"], checked.report["gaps"]);
}

#[test]
fn a_chain_that_goes_on_in_another_bucket_is_followed() {
    let (folder, mut trail) = (Folder::new(), Trail::new());
    let first = trail.digest(&folder, 1, &[]);
    trail.bucket = "new-audit-logs".to_owned();
    trail.top = "prefix/AWSLogs".to_owned();
    let log = trail.log(&folder, 2, "a");
    let second = trail.digest(&folder, 2, &[log]);
    folder.remove_metadata(&first);
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.gaps().len()), (0, 0), "{:#}", checked.report);
    fs::remove_file(folder.path(BUCKET, &first)).expect("removed");
    let checked = folder.verify(&[]);
    assert_eq!([checked.state(&first), checked.state(&second)], ["missing", "valid"]);
    assert_eq!(checked.gaps(), [(&*at(0), &*at(1))]);
}

#[test]
fn trails_regions_accounts_and_organizations_are_chains_of_their_own() {
    let folder = Folder::new();
    let mut trails: Vec<Trail> = (0..4).map(|_| Trail::new()).collect();
    trails[1].region = "us-east-1".to_owned();
    trails[1].signer = &SECOND;
    trails[2].top = "AWSLogs/o-exampleorg".to_owned();
    trails[3].account = "444455556666".to_owned();
    for trail in &mut trails {
        for hour in 1..4 {
            let log = trail.log(&folder, hour, "a");
            trail.digest(&folder, hour, &[log]);
        }
    }
    let gone = trails[2].digest_key(2);
    let checked = folder.verify(&[]);
    assert_eq!(
        (checked.status, checked.report["chains"].as_array().map(Vec::len)),
        (0, Some(4)),
        "{:#}",
        checked.report
    );
    folder.remove(&gone);
    folder.remove_metadata(&gone);
    let checked = folder.verify(&[]);
    let faults: Vec<_> = checked.faults().into_iter().collect();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert_eq!(checked.state(&gone), "missing");
    assert_eq!(checked.gaps(), [(&*at(1), &*at(2))]);
}

#[test]
fn backfill_digests_are_a_chain_of_their_own_without_gaps() {
    let (folder, mut trail, mut backfill) = (Folder::new(), Trail::new(), Trail::new());
    backfill.backfill = true;
    let late = [1, 5].map(|hour| backfill.log(&folder, hour, "late"));
    (1..=6).for_each(|hour| _ = trail.digest(&folder, hour, &[]));
    let first = backfill.digest(&folder, 1, &late[..1]);
    let second = backfill.digest(&folder, 5, &late[1..]);
    folder.remove_metadata(&first);
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.gaps().len()), (0, 0), "{:#}", checked.report);
    let kinds =
        checked.report["digests"].as_array().expect("a list").iter().filter(|digest| digest["chain"] == "backfill");
    assert_eq!(kinds.count(), 2);

    let metadata = format!("{second}.metadata.json");
    let text = fs::read_to_string(folder.path(BUCKET, &metadata)).expect("read");
    folder.write(BUCKET, &metadata, text.replace("backfill-generation-timestamp", "x"));
    let checked = folder.verify(&[]);
    assert_eq!(checked.state(&second), "invalid");
    assert!(checked.reason(&second).contains("backfill-generation-timestamp"));
    folder.remove(&first);
    assert_eq!(folder.verify(&[]).state(&first), "missing");
}

#[test]
fn a_digest_that_was_moved_is_named_where_it_lies_and_where_it_was() {
    let (folder, digests, _) = Folder::with_hours(3);
    let key = "copies/111122223333_CloudTrail-Digest_eu-west-1_all_events_eu-west-1_20260302T020131Z.json.gz";
    let content = fs::read(folder.path(BUCKET, &digests[1])).expect("read");
    folder.write(BUCKET, key, content);
    folder.remove(&digests[1]);
    let checked = folder.verify(&[]);
    assert_eq!([checked.state(key), checked.state(&digests[1])], ["invalid", "missing"]);
    assert!(checked.reason(key).contains(&digests[1]), "{}", checked.reason(key));
    assert_eq!(checked.gaps(), [(&*at(1), &*at(2))]);
}

#[test]
fn two_digests_that_changed_places_are_both_named() {
    let (folder, digests, _) = Folder::with_hours(3);
    let [one, two] = [0, 1].map(|n| fs::read(folder.path(BUCKET, &digests[n])).expect("read"));
    folder.write(BUCKET, &digests[0], two);
    folder.write(BUCKET, &digests[1], one);
    let checked = folder.verify(&[]);
    assert_eq!([checked.state(&digests[0]), checked.state(&digests[1])], ["invalid"; 2]);
}

#[test]
fn algorithms_that_are_not_known_are_not_taken_for_known_ones() {
    let (folder, mut trail) = (Folder::new(), Trail::new());
    let signed = trail.digest_with(&folder, 1, &[], |digest| digest["digestSignatureAlgorithm"] = json!("SHA1withRSA"));
    let hashed = trail.digest_with(&folder, 2, &[], |digest| digest["previousDigestHashAlgorithm"] = json!("MD5"));
    let log = trail.log(&folder, 3, "a");
    let named = trail.digest_with(&folder, 3, std::slice::from_ref(&log), |digest| {
        digest["logFiles"][0]["hashAlgorithm"] = json!("MD5");
    });
    let metadata = trail.digest(&folder, 4, &[]);
    let beside = format!("{metadata}.metadata.json");
    let text = fs::read_to_string(folder.path(BUCKET, &beside)).expect("read");
    folder.write(BUCKET, &beside, text.replace("SHA256withRSA", "SHA512withRSA"));
    let checked = folder.verify(&[]);
    for (key, algorithm) in
        [(&signed, "SHA1withRSA"), (&hashed, "MD5"), (&log.key, "MD5"), (&metadata, "SHA512withRSA")]
    {
        assert_eq!(checked.state(key), "invalid");
        assert!(checked.reason(key).contains(algorithm), "{}", checked.reason(key));
    }
    assert_eq!(checked.state(&named), "valid");
}

#[test]
fn what_is_no_digest_is_said_to_be_none() {
    let (folder, digests, logs) = Folder::with_hours(7);
    let packed = fs::read(folder.path(BUCKET, &digests[0])).expect("read");
    let cases: [(&str, Vec<u8>); 6] = [
        ("cut off", packed[..packed.len() / 2].to_vec()),
        ("not a digest", gzip(b"{\"digestStartTime\": ")),
        ("not a digest", gzip(b"[]")),
        ("only in part", gzip(br#"{"digestStartTime":"2026-03-02T00:00:00Z","digestEndTime":"2026-03-02T01:00:00Z","digestS3Bucket":"b",
            "digestS3Object":"k","digestPublicKeyFingerprint":"f","previousDigestS3Bucket":"b","logFiles":[]}"#)),
        ("not packed", b"{}".to_vec()),
        ("empty", Vec::new()),
    ];
    for ((_, bytes), key) in cases.iter().zip(&digests) {
        folder.write(BUCKET, key, bytes);
    }
    let checked = folder.verify(&[]);
    assert_eq!(checked.state(&digests[6]), "valid");
    for ((reason, _), key) in cases.iter().zip(&digests) {
        assert_eq!(checked.state(key), "invalid");
        assert!(checked.reason(key).contains(reason), "{}", checked.reason(key));
    }
    assert_eq!(checked.gaps(), [], "they are there, though they cannot be read");
    assert_eq!(checked.state(&logs[0]), "undigested");
    assert!(checked.reason(&logs[0]).contains(&digests[0]), "{}", checked.reason(&logs[0]));
}

#[test]
fn since_and_until_bound_what_is_checked() {
    let (folder, digests, logs) = Folder::with_hours(6);
    folder.alter(&digests[0], "null", "true");
    folder.alter(&logs[0], "GetObject", "PutObject");
    folder.remove(&digests[5]);
    folder.remove_metadata(&digests[5]);
    assert_eq!(folder.verify(&[]).status, 1);
    let checked = folder.verify(&["--since", &at(1), "--until", &at(4)]);
    assert_eq!(checked.status, 0, "{:#}", checked.report);
    assert_eq!(checked.report["digests"].as_array().map(Vec::len), Some(3));
    assert!(!checked.is_listed(&logs[0]) && checked.is_listed(&logs[2]));
    assert_eq!(checked.gaps(), []);
    let checked = folder.verify(&["--since", &at(3), "--until", &at(7)]);
    assert_eq!(
        checked.gaps(),
        [(&*at(5), &*at(6)), (&*at(6), &*at(7))],
        "the chain does not reach to the end of the range"
    );
    folder.remove(&digests[1]);
    folder.remove_metadata(&digests[1]);
    assert_eq!(folder.verify(&["--since", &at(2), "--until", &at(5)]).status, 0, "what is missing ended before");
    let checked = folder.verify(&["--since", "2026-03-02T01:30:00Z", "--until", &at(5)]);
    assert_eq!(checked.gaps(), [("2026-03-02T01:30:00Z", &*at(2))]);
    let none = folder.raw(&["--since", "2026-04-01"]);
    assert_eq!((none.status, none.stderr.lines().count()), (2, 1), "{}", none.stderr);
}
