//! `verify cloudtrail`: logs, deliveries, and a folder that may hold anything.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::cloudtrail_bucket::{BUCKET, Folder, Trail, at, gzip, verify};
use crate::support::{Case, run};

#[test]
fn a_log_that_was_altered_is_invalid() {
    let (folder, _, logs) = Folder::with_hours(3);
    folder.alter(&logs[1], "GetObject", "PutObject");
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.faults().len(), checked.state(&logs[1])), (1, 1, "invalid"));
    assert!(checked.reason(&logs[1]).contains("its SHA-256"), "{}", checked.reason(&logs[1]));
}

#[test]
fn a_log_that_is_missing_or_was_moved_is_named() {
    let (folder, _, logs) = Folder::with_hours(3);
    folder.remove(&logs[0]);
    let content = fs::read(folder.path(BUCKET, &logs[1])).expect("read");
    let stray = logs[1].replace("_b.json.gz", "_elsewhere.json.gz");
    folder.write(BUCKET, &stray, content);
    folder.remove(&logs[1]);
    let checked = folder.verify(&[]);
    assert_eq!([checked.state(&logs[0]), checked.state(&logs[1])], ["missing"; 2]);
    assert!(checked.reason(&logs[1]).contains(&stray), "{}", checked.reason(&logs[1]));
    assert_eq!(checked.state(&stray), "undigested");
    assert!(checked.reason(&stray).contains(&logs[1]), "{}", checked.reason(&stray));
}

#[test]
fn a_log_that_no_digest_names_is_undigested() {
    let (folder, trail) = (Folder::with_hours(3).0, Trail::new());
    let planted = [trail.log(&folder, 0, "x"), trail.log(&folder, 2, "x"), trail.log(&folder, 5, "x")];
    let elsewhere = Trail { region: "us-east-1".to_owned(), ..Trail::new() }.log(&folder, 2, "x");
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.faults().len()), (1, 4));
    for (log, why) in
        planted.iter().chain([&elsewhere]).zip(["earlier", "digests cover its time", "later", "there are none"])
    {
        assert_eq!(checked.state(&log.key), "undigested");
        assert!(checked.reason(&log.key).contains(why), "{}", checked.reason(&log.key));
    }
}

#[test]
fn logs_of_insights_are_logs() {
    let (folder, mut trail) = (Folder::new(), Trail::new());
    let insight = trail.log_of(&folder, "CloudTrail-Insight", 1, "a", &json!({ "Records": [] }));
    trail.digest(&folder, 1, std::slice::from_ref(&insight));
    let planted = trail.log_of(&folder, "CloudTrail-Insight", 1, "b", &json!({ "Records": [] }));
    let checked = folder.verify(&[]);
    assert_eq!([checked.state(&insight.key), checked.state(&planted.key)], ["valid", "undigested"]);
}

/// The hash of the content is as the digest says, and a reader of all members would read what follows.
#[test]
fn what_follows_the_gzip_member_is_noticed_of_logs_and_of_digests() {
    let (folder, digests, logs) = Folder::with_hours(3);
    for (key, more) in [(&logs[0], vec![0]), (&logs[1], gzip(b"{\"Records\":[]}")), (&digests[1], vec![b'\n'])] {
        let mut bytes = fs::read(folder.path(BUCKET, key)).expect("read");
        let size = bytes.len();
        bytes.extend_from_slice(&more);
        folder.write(BUCKET, key, bytes);
        let checked = folder.verify(&[]);
        assert_eq!((checked.status, checked.state(key)), (1, "invalid"));
        let said = format!("{} bytes follow the end of its gzip member, at offset {size}", more.len());
        assert_eq!(checked.reason(key), said);
    }
    assert_eq!(folder.verify(&[]).faults().len(), 3, "what the digest says is proven all the same");
}

#[test]
fn logs_that_are_cut_off_unpacked_or_empty_are_invalid() {
    let (folder, _, logs) = Folder::with_hours(5);
    let packed = fs::read(folder.path(BUCKET, &logs[0])).expect("read");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).expect("unpacked");
    let mut wrong = packed.clone();
    let crc = wrong.len() - 8;
    wrong[crc] ^= 1;
    let cases: [(&str, &[u8]); 4] = [
        ("have the hash that its digest states", &text),
        ("cut off", &packed[..packed.len() - 1]),
        ("empty", b""),
        ("damaged", &wrong),
    ];
    for (reason, bytes) in cases {
        folder.write(BUCKET, &logs[0], bytes);
        let checked = folder.verify(&[]);
        assert_eq!((checked.status, checked.faults().len(), checked.state(&logs[0])), (1, 1, "invalid"));
        assert!(checked.reason(&logs[0]).contains(reason), "{}", checked.reason(&logs[0]));
    }
}

#[test]
fn a_decompression_bomb_is_refused() {
    let (folder, digests, logs) = Folder::with_hours(2);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..300).for_each(|_| std::io::Write::write_all(&mut bomb, &zeros).expect("packed"));
    let bomb = bomb.finish().expect("packed");
    folder.write(BUCKET, &logs[0], &bomb);
    folder.write(BUCKET, &digests[1], &bomb);
    let checked = folder.verify(&[]);
    for key in [&logs[0], &digests[1]] {
        assert_eq!(checked.state(key), "invalid");
        assert!(checked.reason(key).contains("refused"), "{}", checked.reason(key));
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_nothing_outside_is_opened() {
    let (folder, digests, logs) = Folder::with_hours(3);
    let outside = Case::new();
    for key in [&logs[0], &digests[1]] {
        let target = outside.write("moved.json.gz", fs::read(folder.path(BUCKET, key)).expect("read"));
        folder.remove(key);
        std::os::unix::fs::symlink(target, folder.path(BUCKET, key)).expect("linked");
    }
    let checked = folder.verify(&[]);
    for key in [&logs[0], &digests[1]] {
        assert_eq!(checked.state(key), "missing");
        assert!(checked.reason(key).contains("a link, not followed"), "{}", checked.reason(key));
    }
    assert_eq!(checked.report["skipped"].as_array().map(Vec::len), Some(2));

    let mut trail = Trail::new();
    let mut named = trail.log(&folder, 9, "x");
    folder.remove(&named.key);
    named.rename("../../../../etc", "passwd");
    let digest = trail.digest(&folder, 9, &[named]);
    let checked = folder.verify(&[]);
    assert_eq!([checked.state("passwd"), checked.state(&digest)], ["missing", "valid"]);
}

/// Every file of a folder with its size, content and time of modification.
fn listing(folder: &Path) -> Vec<(String, Vec<u8>, SystemTime)> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let entry = |entry: walkdir::DirEntry| {
        let modified = entry.metadata().expect("metadata").modified().expect("a time");
        (entry.path().display().to_string(), fs::read(entry.path()).unwrap_or_default(), modified)
    };
    files.map(entry).collect()
}

#[test]
fn a_folder_that_cannot_be_written_to_is_checked_and_left_as_it_was() {
    let (folder, digests, _) = Folder::with_hours(3);
    let buckets = folder.0.path().join("buckets");
    let set = |read_only: bool| {
        for entry in walkdir::WalkDir::new(&buckets).into_iter().flatten() {
            let mut permissions = entry.metadata().expect("metadata").permissions();
            permissions.set_readonly(read_only);
            fs::set_permissions(entry.path(), permissions).expect("set");
        }
    };
    set(true);
    let before = listing(&buckets);
    let checked = folder.verify(&[]);
    assert_eq!((checked.status, checked.state(&digests[0])), (0, "valid"));
    let inside = buckets.join("report.json").display().to_string();
    assert_eq!(folder.raw(&["--out", &inside]).status, 2, "nothing is written into evidence");
    assert_eq!(before, listing(&buckets));
    set(false);
}

#[test]
fn what_cannot_be_checked_ends_with_a_sentence_and_status_2() {
    let folder = Folder::new();
    assert_eq!(folder.raw(&[]).status, 2, "no folder");
    folder.write(BUCKET, "notes.txt", "nothing of CloudTrail");
    let nothing = folder.raw(&[]);
    assert!(nothing.status == 2 && nothing.stderr.contains("no CloudTrail digest or log"), "{}", nothing.stderr);
    Trail::new().digest(&folder, 1, &[]);
    let inner = format!("buckets/{BUCKET}");
    let inner = run(folder.0.path(), &["verify", "cloudtrail", &inner, "--public-keys", "keys.json"]);
    assert!(inner.status == 2 && inner.stderr.contains("the folder above it"), "{}", inner.stderr);
    assert_eq!(folder.raw(&["--since", "someday"]).status, 2);
    assert_eq!(run(folder.0.path(), &["verify", "cloudtrail", "buckets"]).status, 2, "no keys");
    assert_eq!(run(folder.0.path(), &["verify"]).status, 2);
    assert_eq!(folder.verify(&[]).report["other_files"], 1);
}

#[test]
fn the_table_counts_and_names_and_obeys_no_control_characters() {
    let (folder, digests, logs) = Folder::with_hours(5);
    folder.remove(&digests[1]);
    folder.remove_metadata(&digests[1]);
    folder.remove(&logs[0]);
    folder.write(BUCKET, "AWSLogs/1/CloudTrail/x\u{1b}[2J\nx.json.gz", "x");
    let table = folder.raw(&[]);
    assert_eq!(table.status, 1);
    assert!(!table.stdout.contains('\u{1b}') && table.stdout.contains("[2J\\nx.json.gz"), "{}", table.stdout);
    for line in ["Digests: 4 of 5 valid (1 missing)", "Logs: 7 of 9 valid (1 missing, 1 undigested)"] {
        assert!(table.stdout.lines().any(|shown| shown == line), "{}", table.stdout);
    }
    assert!(table.stdout.contains(&format!("{} to {}", at(1), at(2))), "{}", table.stdout);
    assert!(table.stdout.contains(&logs[0]) && !table.stdout.contains(&logs[1]));
}

#[test]
fn the_report_is_the_same_at_any_number_of_threads() {
    let (folder, _, logs) = Folder::with_hours(12);
    folder.remove(&logs[3]);
    let once = folder.raw(&["--format", "json"]).bytes;
    assert!(once.len() > 1000);
    for threads in ["1", "7"] {
        let mut command = crate::support::command(folder.0.path());
        command.env("RAYON_NUM_THREADS", threads);
        command.args(["verify", "cloudtrail", "buckets", "--public-keys", "keys.json", "--format", "json"]);
        assert_eq!(command.output().expect("run").stdout, once);
    }
    verify(folder.0.path(), &["--format", "json", "--out", "report.json"]);
    assert_eq!(fs::read(folder.0.path().join("report.json")).expect("written"), once);
}

/// A `PutObject` as CloudTrail records its own deliveries.
fn delivery(key: &str, hour: i64, bytes: u64) -> serde_json::Value {
    json!({ "eventTime": at(hour), "eventSource": "s3.amazonaws.com", "eventName": "PutObject",
        "userIdentity": { "type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com" },
        "requestParameters": { "bucketName": BUCKET, "key": key, "x-amz-acl": "bucket-owner-full-control" },
        "additionalEventData": { "bytesTransferredIn": bytes, "bytesTransferredOut": 0 } })
}

#[test]
fn deliveries_on_record_are_compared_with_the_folder() {
    let (folder, mut trail) = (Folder::new(), Trail::new());
    let size = |key: &str| fs::metadata(folder.path(BUCKET, key)).expect("there").len();
    let logs = ["same", "other", "gone"].map(|id| trail.log(&folder, 1, id));
    let first = trail.digest(&folder, 1, &logs[..2]);
    let mut records = vec![delivery(&logs[0].key, 1, size(&logs[0].key)), delivery(&logs[1].key, 1, 7)];
    records.push(delivery(&logs[2].key, 1, 100));
    records.push(delivery(&trail.digest_key(3), 3, 500));
    records.push(delivery("reports/q1.pdf", 3, 500));
    let mut refused = delivery(&trail.log_key("CloudTrail", 2, "refused"), 2, 1);
    refused["errorCode"] = json!("AccessDenied");
    let mut foreign = delivery(&trail.log_key("CloudTrail", 2, "foreign"), 2, 1);
    foreign["userIdentity"] =
        json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/cloudtrail.amazonaws.com" });
    records.extend([refused, foreign]);
    let telling = trail.log_of(&folder, "CloudTrail", 2, "tells", &json!({ "Records": records }));
    let second = trail.digest(&folder, 2, std::slice::from_ref(&telling));
    let newest = trail.digest(&folder, 3, &[]);
    for key in [&logs[2].key, &newest, &format!("{newest}.metadata.json")] {
        folder.remove(key);
    }
    let checked = folder.verify(&[]);
    assert_eq!(checked.status, 1);
    let deliveries = checked.report["deliveries"].as_array().expect("a list");
    let of = |key: &str| deliveries.iter().find(|one| one["key"] == key).map(|one| one["status"].clone());
    assert_eq!(deliveries.len(), 4, "{deliveries:#?}");
    assert_eq!(of(&logs[0].key), Some(json!("as_delivered")));
    assert_eq!(of(&logs[1].key), Some(json!("differs")));
    assert_eq!([of(&logs[2].key), of(&newest)], [Some(json!("missing")), Some(json!("missing"))]);
    assert_eq!([checked.state(&logs[2].key), checked.state(&newest)], ["missing"; 2], "no digest names either");
    assert!(checked.reason(&newest).contains(&telling.key), "{}", checked.reason(&newest));
    assert_eq!([checked.state(&first), checked.state(&second), checked.state(&telling.key)], ["valid"; 3]);
    let table = folder.raw(&[]).stdout;
    assert!(table.contains("Deliveries on record: 1 of 4 as delivered (2 missing, 1 of another size)"), "{table}");
    assert!(table.contains("7 bytes were delivered"), "{table}");
}
