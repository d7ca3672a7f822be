//! S3 server access logs as they are found: quotes, dashes, older and newer lines, lines cut off, signed addresses.

use serde_json::json;

use crate::formats::{column, ledger, line};
use crate::support::{Case, run};

const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
const HEAD: &str = "exports [02/Mar/2026:01:00:10 +0000] 192.0.2.3 arn:aws:iam::111122223333:user/u 3E57427F3EXAMPLE";

fn log(lines: &[&str]) -> Case {
    let case = Case::new();
    case.write("access", lines.join("\n") + "\n");
    case
}

/// Values that are all known.
fn known<const N: usize>(values: [&str; N]) -> [Option<String>; N] {
    values.map(|value| Some(value.to_owned()))
}

#[test]
fn quotes_that_clients_send_and_dashes_in_any_place_do_not_hide_the_answer() {
    let of = |rest: &str| format!("{OWNER} {HEAD} {rest}");
    let lines = [
        // A quote in the key, unescaped, and one in the user agent with what looks like another answer behind it.
        of(
            r#"REST.PUT.OBJECT a"b "PUT /a"b?x="y" HTTP/1.1" 403 AccessDenied 243 - 9 1 "-" "x" 200 - 1 2 3 4 "y" - host= SigV4"#,
        ),
        // Quotes in referrer and user agent.
        of(
            r#"REST.PUT.OBJECT k2 "PUT /k2 HTTP/1.1" 403 AccessDenied 243 - 9 1 "http://x/"q" "" "Mozilla "5" (a "b")" v1 host= SigV4"#,
        ),
        // No request line, no referrer, no user agent.
        of(
            "BATCH.DELETE.OBJECT k3 - 204 - - 344017 - - - - - host= SigV4 ECDHE AuthHeader s3.eu-west-1.amazonaws.com TLSv1.2",
        ),
        // A rule of the bucket's own.
        of(r#"S3.EXPIRE.OBJECT k4 "-" - - - 317 - - "-" "-" v host= - - - - - - -"#),
        // As lines ended before 2013, and as they go on since 2026.
        of(r#"REST.PUT.OBJECT k5 "PUT /exports/k5 HTTP/1.1" 403 AccessDenied 243 - 9 - "-" "S3Console/0.4""#),
        of(
            r#"REST.PUT.OBJECT k6 "PUT /k6 HTTP/1.1" 403 AccessDenied 243 - 9 - "-" "-" - host= SigV4 C AuthHeader s3.amazonaws.com TLSv1.3 - Yes us-gov-west-1 one more"#,
        ),
        // A status that is not known.
        of(r#"REST.PUT.OBJECT k7 "PUT /k7 HTTP/1.1" - - - 773 103 13 "-" "-" - host="#),
        // Whoever asked did not say who it is.
        of(r#"REST.PUT.OBJECT k8 "PUT /k8 HTTP/1.1" 403 AccessDenied 243 - 9 1 "-" "-" -"#)
            .replace("arn:aws:iam::111122223333:user/u", "-"),
    ];
    let case = log(&lines.each_ref().map(String::as_str));
    let (run, entry) = ledger(&case, &[]);
    assert_eq!((run.status, &entry["format"], &entry["parsed"]), (0, &json!("s3_access"), &json!(8)), "{entry}");
    let keys = known(["a\"b", "k2", "k3", "k4", "k5", "k6", "k7", "k8"]);
    assert_eq!(column(&case, "object_key"), keys);
    let codes: Vec<bool> = column(&case, "error_code").iter().map(Option::is_some).collect();
    assert_eq!(codes, [true, true, false, false, true, true, false, true]);
    let outcomes = known(["failure", "failure", "success", "unknown", "failure", "failure", "unknown", "failure"]);
    assert_eq!(column(&case, "outcome"), outcomes);
    let regions = column(&case, "region");
    assert_eq!(
        (regions[2].as_deref(), regions[5].as_deref(), &regions[0]),
        (Some("eu-west-1"), Some("us-gov-west-1"), &None)
    );
    assert_eq!(column(&case, "principal")[7], None);
    assert_eq!(column(&case, "operation")[..3], known(["PutObject", "PutObject", "BATCH.DELETE.OBJECT"]));
    assert!(run.stdout.contains("\"failures\": 5"), "{}", run.stdout);
}

#[test]
fn a_line_that_is_cut_off_anywhere_before_its_end_is_rejected_and_those_around_it_are_read() {
    let whole = line("02/Mar/2026:01:00:10 +0000", "exports", "a/b", 403, "AccessDenied");
    let after_agent = whole.find("Linux/5.10\"").expect("the user agent") + "Linux/5.10\"".len();
    let cuts: Vec<&str> = (1..after_agent).map(|cut| &whole[..cut]).collect();
    let other = whole.replace("3E57427F3EXAMPLE", "OTHER");
    let (run, entry) = ledger(&log(&[&[whole.as_str()], &cuts[..], &[&other]].concat()), &[]);
    let rejects = entry["rejects"].as_array().expect("a list");
    for (n, (cut, reject)) in (1..).zip(cuts.iter().zip(rejects)) {
        assert_eq!(reject["record"], n, "{cut} {reject}");
    }
    assert_eq!((run.status, &entry["parsed"], &entry["rejected"]), (1, &json!(2), &json!(cuts.len())));
    assert_eq!(rejects[0]["offset"], whole.len() + 1);
}

#[test]
fn what_does_not_belong_in_an_access_log_is_rejected_alone_wherever_it_stands() {
    let whole = line("02/Mar/2026:01:00:10 +0000", "exports", "a/b", 403, "AccessDenied");
    for stray in
        [&b"just some words"[..], b"{\"half\": [1, ", b"\xff\xfe\x80 [x] y", b"[]", b"\"quoted\" [02/Mar/2026] x"]
    {
        for before in [true, false] {
            let (first, second) = if before { (stray, whole.as_bytes()) } else { (whole.as_bytes(), stray) };
            let case = Case::new();
            case.write("access", [first, b"\r\n\r\n", second, b"\r\n"].concat());
            let (run, entry) = ledger(&case, &[]);
            let shown = String::from_utf8_lossy(stray);
            assert_eq!(
                (run.status, &entry["parsed"], &entry["rejected"]),
                (1, &json!(1), &json!(1)),
                "{shown}: {entry}"
            );
        }
    }
    // A time that is none, in a line that is whole.
    let case = log(&[&whole, &whole.replace("02/Mar", "32/Mar")]);
    assert!(ledger(&case, &[]).1["rejects"][0]["reason"].as_str().expect("a reason").contains("is no time"));
}

#[test]
fn lines_of_other_sources_in_the_same_file_find_their_readers() {
    let whole = line("02/Mar/2026:01:00:10 +0000", "exports", "a/b", 403, "AccessDenied");
    let trail = json!({ "timestamp": "2026-03-02T01:00:00Z", "jobId": "j", "step": "upload", "outcome": "failure", "status": 403 });
    let trail = trail.to_string();
    for lines in [[&whole, &trail], [&trail, &whole]] {
        let case = log(&lines.map(String::as_str));
        let (run, entry) = ledger(&case, &[]);
        assert_eq!((run.status, &entry["parsed"]), (0, &json!(2)), "{entry}");
        let mut sources = column(&case, "source");
        sources.sort();
        assert_eq!(sources, known(["export_trail", "s3_access"]));
    }
}

#[test]
fn keys_are_decoded_as_often_as_they_were_encoded() {
    let of = |operation: &str, key: &str, uri: &str| {
        format!("{OWNER} {HEAD} {operation} {key} {uri} 403 AccessDenied 243 - 9 1 \"-\" \"-\" -")
    };
    let lines = [
        // Twice, as requests are logged.
        of("REST.PUT.OBJECT", "o/year%253D2026/my%2520file", "\"PUT /o/year%3D2026/my%20file HTTP/1.1\""),
        // Once, where the address proves it; a percent sign that belongs to the key.
        of("REST.PUT.OBJECT", "o/year%3D2026/100%25", "\"PUT /exports/o/year%3D2026/100%25 HTTP/1.1\""),
        of("REST.PUT.OBJECT", "foo-%252541", "\"PUT /foo-%2541 HTTP/1.1\""),
        // Once, as batches and rules are logged.
        of("BATCH.DELETE.OBJECT", "foo-%2541", "-"),
        of("S3.EXPIRE.OBJECT", "my%20file", "\"-\""),
        // Nothing to go by: as requests are logged.
        of("REST.PUT.OBJECT", "foo-%2541", "-"),
        // No encoding at all, and one that is none.
        of("REST.PUT.OBJECT", "o/year=2026/a+b", "\"PUT /o/year=2026/a+b HTTP/1.1\""),
        of("REST.PUT.OBJECT", "%FF%zz", "-"),
    ];
    let case = log(&lines.each_ref().map(String::as_str));
    let expected = [
        "o/year=2026/my file",
        "o/year=2026/100%",
        "foo-%41",
        "foo-%41",
        "my file",
        "foo-A",
        "o/year=2026/a+b",
        "%FF%zz",
    ];
    assert_eq!(column(&case, "object_key"), known(expected));
}

#[test]
fn an_address_that_is_signed_gives_its_key_and_keeps_its_secrets_to_itself() {
    let secret = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let uri = format!(
        "PUT /a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAEXAMPLE%2F20260302%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Security-Token={secret}&X-Amz-Signature={secret} HTTP/1.1"
    );
    let line = format!("{OWNER} {HEAD} REST.PUT.OBJECT a/b \"{uri}\" 403 AccessDenied 243 - 9 1 \"-\" \"-\" -");
    let older = format!(
        "{OWNER} {HEAD} REST.PUT.OBJECT c \"PUT /c?AWSAccessKeyId=AKIAEXAMPLE&Expires=1&Signature={secret} HTTP/1.1\" 403 AccessDenied 243 - 9 1 \"-\" \"-\" -"
    );
    let case = log(&[&line, &older]);
    let (run, entry) = ledger(&case, &[]);
    assert_eq!(entry["redacted"], 3);
    assert_eq!(column(&case, "credential"), known(["ASIAEXAMPLE", "AKIAEXAMPLE"]));
    assert!(!run.stdout.contains(secret));
    crate::support::run(case.path(), &["ingest", "access", "--out", "parts"]);
    let packed = std::fs::read(case.path().join("parts/events/part-00000.parquet")).expect("read");
    assert!(!String::from_utf8_lossy(&packed).contains(secret));
}

#[test]
fn a_record_of_an_access_log_is_shown_with_its_bytes() {
    let whole = line("02/Mar/2026:01:00:10 +0000", "exports", "a/b", 403, "AccessDenied");
    let case = log(&["words", &whole]);
    let id = holdtrace::evidence::Digest::of(whole.as_bytes()).record_id();
    let shown = run(case.path(), &["show", "--raw", &id, "."]);
    assert_eq!(shown.stdout.trim_end(), whole, "{}", shown.stderr);
}
