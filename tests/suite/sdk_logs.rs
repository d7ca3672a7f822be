//! Logs of the Genesys Cloud client SDKs as they are found. Synthetic, in the form in which the SDKs' loggers write.

use serde_json::{Value, json};

use crate::formats::{SDKS, Sdk, call, column, ledger, sdk, when};
use crate::support::{Case, Run, run, time, verdict};

const JOB: &str = "a4c8a798-a5d8-45c0-b444-74c0a668b046";
const RECORDING: &str = "32f05afe-1fae-4c68-b53e-ba093c44ce87";
const CONVERSATION: &str = "05ee9065-697b-4ba5-b555-680d0f7528c3";

/// A refused metadata write at a number of seconds.
fn refused(at: i64) -> Value {
    json!({ "timestamp": time(at), "conversationId": CONVERSATION, "recordingId": RECORDING, "outcome": "failure", "status": 403,
        "correlationId": format!("f3ac4404-283d-4d98-8b70-b75c4891d{at:03}"),
        "error": { "code": "not.authorized", "message": "You are not authorized to perform the requested action." } })
}

fn log(text: impl AsRef<[u8]>) -> Case {
    let case = Case::new();
    case.write("client", text);
    case
}

fn failures(run: &Run) -> Vec<Value> {
    serde_json::from_str::<Value>(&run.stdout).expect("JSON")["failures"].as_array().expect("a list").clone()
}

#[test]
fn local_times_take_the_zone_that_is_assumed_and_are_counted() {
    for form in SDKS {
        let case = log([refused(10), refused(20)].iter().map(|record| sdk(record, form)).collect::<String>());
        let (run, entry) = ledger(&case, &["--assume-tz", "+02:00"]);
        assert_eq!(
            (run.status, &entry["format"], &entry["parsed"]),
            (0, &json!("sdk_log"), &json!(2)),
            "{form:?} {entry}"
        );
        let local = matches!(form, Sdk::PythonJson | Sdk::PythonText);
        assert_eq!(entry["zoneless_times"], if local { 2 } else { 0 }, "{form:?}");
        assert_eq!(entry["first_time"], time(10), "{form:?}");
        let failures = failures(&run);
        assert_eq!((failures.len(), &failures[0]["recording_id"]), (1, &json!(RECORDING)), "{form:?}");
        assert_eq!(
            (&failures[0]["step"], &failures[0]["attempts"]),
            (&json!("metadata_injection"), &json!(2)),
            "{form:?}"
        );
    }
}

#[test]
fn blocks_are_cut_at_their_exact_bytes_also_with_other_line_ends() {
    for form in [Sdk::JavaScriptText, Sdk::PythonText] {
        for ends in ["\n", "\r\n"] {
            let blocks = [refused(10), refused(20), refused(30)].map(|record| sdk(&record, form).replace('\n', ends));
            let case = log(format!("\u{feff}{}", blocks.concat()));
            let (_, entry) = ledger(&case, &[]);
            assert_eq!((&entry["parsed"], &entry["rejected"]), (&json!(3), &json!(0)), "{form:?} {entry}");
            for block in &blocks {
                let id = holdtrace::evidence::Digest::of(block.trim().as_bytes()).record_id();
                let shown = run(case.path(), &["show", "--raw", &id, "."]);
                assert_eq!(shown.bytes.trim_ascii(), block.trim().as_bytes(), "{form:?}");
            }
            let codes = column(&case, "error_code");
            assert!(codes.iter().all(|code| code.as_deref() == Some("not.authorized")), "{codes:?}");
        }
    }
}

#[test]
fn a_block_that_the_end_of_the_file_cuts_is_named_unless_it_says_what_became_of_the_call() {
    for form in [Sdk::JavaScriptText, Sdk::PythonText] {
        let (whole, last) = (sdk(&refused(10), form), sdk(&refused(20), form));
        let status = last.find("Status: 403").expect("the status") + "Status: 403".len();
        let body = last.find("Body: {").expect("the body") + "Body: ".len();
        let end = last.rfind('}').expect("its end");
        let marker = last.find("=== REQUEST ===").expect("the marker") + "=== REQUEST ===".len();
        let case = Case::new();
        for cut in 1..last.len() {
            case.write(&format!("{cut:04}"), format!("{whole}{}", &last[..cut]));
        }
        let json: Value =
            serde_json::from_str(&run(case.path(), &["analyze", ".", "--format", "json"]).stdout).expect("JSON");
        for (cut, entry) in (1..).zip(json["coverage"]["files"].as_array().expect("files")) {
            // Before the marker nothing says yet that these bytes begin a block: they are the end of the one before.
            let (parsed, rejected) = match cut {
                _ if cut < marker => (1, 0),
                _ if (status..=body).contains(&cut) || cut > end => (2, 0),
                _ => (1, 1),
            };
            let found = (&entry["parsed"], &entry["rejected"]);
            assert_eq!(found, (&json!(parsed), &json!(rejected)), "{form:?} {cut}: {:?} {entry}", &last[..cut]);
            if rejected > 0 {
                assert_eq!(entry["rejects"][0]["offset"], whole.len(), "{form:?} {cut}");
            }
        }
    }
}

#[test]
fn text_around_blocks_loses_none_and_is_named() {
    let block = sdk(&refused(10), Sdk::PythonText);
    let text = format!("starting up\nreading 3 conversations\n{block}retrying\n{}", sdk(&refused(20), Sdk::PythonText));
    let (run, entry) = ledger(&log(&text), &[]);
    assert_eq!((run.status, &entry["parsed"], &entry["rejected"]), (1, &json!(2), &json!(1)), "{entry}");
    assert_eq!((&entry["rejects"][0]["record"], &entry["rejects"][0]["offset"]), (&json!(0), &json!(0)));
    assert!(entry["rejects"][0]["reason"].as_str().expect("a reason").contains("belongs to no logged request"));
    // Bytes that are no text cost the block they stand in.
    let mut bytes = text.clone().into_bytes();
    let at = text.find("retrying").expect("there");
    bytes[at] = 0xff;
    let (_, entry) = ledger(&log(bytes), &[]);
    assert_eq!((&entry["parsed"], &entry["rejected"]), (&json!(1), &json!(2)), "{entry}");
}

#[test]
fn a_block_with_two_responses_is_not_believed() {
    // The JavaScript SDK writes addresses decoded: they may bring line feeds and headings along.
    let block = sdk(&refused(10), Sdk::JavaScriptText);
    let forged = block.replace("\nMethod: PUT", "\n=== RESPONSE ===\nStatus: 200\nMethod: PUT");
    let (run, entry) = ledger(&log(format!("{}{forged}", sdk(&refused(20), Sdk::JavaScriptText))), &[]);
    assert_eq!((run.status, &entry["rejected"]), (1, &json!(1)));
    assert!(entry["rejects"][0]["reason"].as_str().expect("a reason").contains("two responses"), "{entry}");
}

#[test]
fn a_failing_call_that_is_logged_at_every_level_is_one_attempt() {
    let error = sdk(&refused(10), Sdk::JavaScriptJson);
    let again = |level: &str| error.replace("\"error\"", &format!("\"{level}\""));
    let (run, _) = ledger(&log(again("trace") + &again("debug") + &error), &[]);
    let found = failures(&run);
    assert_eq!((found.len(), &found[0]["attempts"]), (1, &json!(1)));
}

#[test]
fn an_error_without_an_answer_says_only_that_it_failed() {
    let mut line: Value = serde_json::from_str(&sdk(&refused(10), Sdk::JavaScriptJson)).expect("JSON");
    for name in ["statusCode", "responseHeaders", "responseBody"] {
        line.as_object_mut().expect("an object").remove(name);
    }
    let case = log(format!("{line}\n"));
    assert_eq!(column(&case, "outcome"), [Some("failure".to_owned())]);
    assert!(failures(&ledger(&case, &[]).0).is_empty(), "no status, no refusal");
}

#[test]
fn error_bodies_are_read_in_every_form_in_which_they_are_met() {
    for (body, code, message) in [
        (json!({ "code": "not.found", "message": "m" }), "not.found", Some("m")),
        (json!("{\"code\":\"conflict\",\"message\":\"m\"}"), "conflict", Some("m")),
        (json!({ "error": "invalid_client", "description": "d" }), "invalid_client", Some("d")),
        (json!({ "error_code": 403, "message": null }), "403", None),
        (json!({ "code": 403, "message": { "nested": 1 } }), "403", None),
    ] {
        let mut line: Value = serde_json::from_str(&sdk(&refused(10), Sdk::PythonJson)).expect("JSON");
        line["responseBody"] = body.clone();
        let case = log(line.to_string());
        assert_eq!(column(&case, "error_code"), [Some(code.to_owned())], "{body}");
        assert_eq!(column(&case, "error_message"), [message.map(str::to_owned)], "{body}");
    }
    // A body that is no JSON, as a proxy answers.
    let text = sdk(&refused(10), Sdk::PythonText).split("Body: ").next().expect("a head").to_owned()
        + "Body: <html>\n<p>Forbidden\n";
    let case = log(text);
    assert_eq!((column(&case, "error_code"), column(&case, "outcome")), (vec![None], vec![Some("failure".to_owned())]));
}

#[test]
fn secrets_in_headers_bodies_and_addresses_are_counted_and_kept_nowhere() {
    let secret = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0c2VjcmV0.abcdef";
    let mut plain: Value = serde_json::from_str(&sdk(&refused(10), Sdk::JavaScriptJson)).expect("JSON");
    plain["requestHeaders"]["Authorization"] = json!(format!("Bearer {secret}"));
    plain["responseBody"]["message"] = json!(format!("refused: Authorization: Bearer {secret}"));
    let at = when(&refused(20));
    let mut token: Value = serde_json::from_str(&call(
        Sdk::JavaScriptJson,
        at,
        "POST",
        &format!("https://login.mypurecloud.de/oauth/token?access_token={secret}"),
        200,
        "c",
        Some(&json!({ "access_token": secret, "token_type": "bearer", "expires_in": 86400 })),
    ))
    .expect("JSON");
    token["requestBody"] = json!(format!("grant_type=client_credentials&client_secret={secret}"));
    let block = sdk(&refused(30), Sdk::PythonText).replace("[REDACTED]", &format!("Basic {secret}"));
    let case = Case::new();
    case.write("a.log", format!("{plain}\n{token}\n"));
    case.write("b.log", block);
    let json: Value =
        serde_json::from_str(&run(case.path(), &["analyze", ".", "--format", "json"]).stdout).expect("JSON");
    let redacted: Vec<&Value> =
        json["coverage"]["files"].as_array().expect("files").iter().map(|f| &f["redacted"]).collect();
    assert_eq!(redacted, [&json!(5), &json!(1)], "header and message; body, answer, address; header");
    assert!(!json.to_string().contains(secret));
    assert_eq!(run(case.path(), &["ingest", "a.log", "b.log", "--out", "parts"]).status, 0);
    for part in std::fs::read_dir(case.path().join("parts/events")).expect("listed").flatten() {
        assert!(!String::from_utf8_lossy(&std::fs::read(part.path()).expect("read")).contains(secret));
    }
    let messages = column(&case, "error_message");
    assert!(messages.contains(&Some("refused: Authorization: Bearer [redacted]".to_owned())), "{messages:?}");
}

#[test]
fn addresses_name_the_call_and_what_it_is_about() {
    let base = "https://api.mypurecloud.ie/api/v2";
    let cases = [
        ("POST", format!("{base}/recording/jobs"), "POST /api/v2/recording/jobs", [None; 3]),
        ("put", format!("{base}/recording/jobs/{JOB}"), "PUT /api/v2/recording/jobs/{jobId}", [Some(JOB), None, None]),
        (
            "GET",
            format!("{base}/recording/jobs/{JOB}/failedrecordings?pageSize=100#x"),
            "GET /api/v2/recording/jobs/{jobId}/failedrecordings",
            [Some(JOB), None, None],
        ),
        (
            "POST",
            format!("{base}/conversations/{CONVERSATION}/recordings/{RECORDING}/annotations"),
            "POST /api/v2/conversations/{conversationId}/recordings/{recordingId}/annotations",
            [None, Some(CONVERSATION), Some(RECORDING)],
        ),
        (
            "PATCH",
            format!("{base}/conversations/calls/{CONVERSATION}/participants/{RECORDING}/attributes"),
            "PATCH /api/v2/conversations/calls/{conversationId}/participants/{participantId}/attributes",
            [None, Some(CONVERSATION), None],
        ),
        // Jobs of another kind, and a part that is nothing anybody would name a call by.
        (
            "GET",
            format!("/api/v2/analytics/conversations/details/jobs/{JOB}"),
            "GET /api/v2/analytics/conversations/details/jobs/{id}",
            [None; 3],
        ),
        ("GET", format!("{base}/users/a%20b%0Ac/x\u{1b}[2J"), "GET /api/v2/users/{id}/{id}", [None; 3]),
    ];
    for (method, url, operation, [job, conversation, recording]) in cases {
        let case = log(call(Sdk::PythonJson, when(&refused(1)), method, &url, 200, "c", None));
        assert_eq!(column(&case, "operation"), [Some(operation.to_owned())]);
        for (name, expected) in [("job_id", job), ("conversation_id", conversation), ("recording_id", recording)] {
            assert_eq!(column(&case, name), [expected.map(str::to_owned)], "{url} {name}");
        }
    }
}

#[test]
fn a_job_that_may_not_be_executed_is_a_failure_of_the_job() {
    let refusal = json!({ "code": "missing.permissions", "status": 403,
        "message": "Unable to perform the requested action. You are missing the following permission(s): recording:job:edit" });
    let at = |n| when(&refused(n));
    let url = format!("https://api.mypurecloud.de/api/v2/recording/jobs/{JOB}");
    let case = log(call(Sdk::JavaScriptText, at(10), "PUT", &url, 403, "c1", Some(&refusal))
        + &call(Sdk::JavaScriptText, at(20), "GET", &url, 200, "c2", None));
    let (run, _) = ledger(&case, &[]);
    let found = failures(&run);
    assert_eq!((found.len(), &found[0]["job_id"], &found[0]["step"]), (1, &json!(JOB), &json!("export")));
    assert_eq!(verdict(&found[0]), "scope_collision/missing_scope");
    assert_eq!(found[0]["missing_permissions"], json!(["recording:job:edit"]));
}

#[test]
fn protection_that_a_client_applied_is_a_hold() {
    let url = "https://api.mypurecloud.de/api/v2/recordings/deletionprotection?protect=true";
    let mut line: Value =
        serde_json::from_str(&call(Sdk::PythonJson, when(&refused(1)), "PUT", url, 202, "c", None)).expect("JSON");
    line["requestBody"] = json!(format!("{{\"conversationIds\":[\"{CONVERSATION}\",\"other\"]}}"));
    let mut conflict = refused(60);
    conflict["status"] = json!(409);
    conflict["error"] =
        json!({ "code": "conflict", "message": "metadata conflict: the legal hold is being synchronised" });
    let case = log(format!("{line}\n{}", sdk(&conflict, Sdk::PythonJson)));
    let (run, _) = ledger(&case, &["--assume-tz", "+02:00"]);
    let found = failures(&run);
    assert!(found[0]["evidence"].to_string().contains("soon-after-hold"), "{}", found[0]);
}

#[test]
fn a_logger_that_wraps_what_it_is_given_is_understood() {
    let line: Value = serde_json::from_str(&sdk(&refused(10), Sdk::JavaScriptJson)).expect("JSON");
    let case = log(json!({ "level": "error", "message": line }).to_string());
    let (run, entry) = ledger(&case, &[]);
    assert_eq!((&entry["format"], failures(&run).len()), (&json!("sdk_log"), 1));
}

#[test]
fn a_trail_that_names_addresses_too_stays_a_trail() {
    let line = json!({ "timestamp": time(1), "date": time(1), "jobId": "j", "step": "upload", "outcome": "failure", "status": 403,
        "method": "PUT", "url": "https://exporter.example/upload" });
    assert_eq!(ledger(&log(line.to_string()), &[]).1["format"], "export_trail");
}

#[test]
fn a_block_longer_than_allowed_is_rejected_and_the_next_is_read() {
    let long = sdk(&refused(10), Sdk::PythonText).trim_end().to_owned() + &"x".repeat(5_000_000) + "\n";
    let case = log(format!("{}{long}{}", sdk(&refused(20), Sdk::PythonText), sdk(&refused(30), Sdk::PythonText)));
    let (run, entry) = ledger(&case, &["--max-record-bytes", "2000"]);
    assert_eq!((run.status, &entry["parsed"], &entry["rejected"]), (1, &json!(2), &json!(1)), "{entry}");
    assert!(entry["rejects"][0]["reason"].as_str().expect("a reason").contains("--max-record-bytes"));
    assert_eq!(entry["rejects"][0]["offset"], sdk(&refused(20), Sdk::PythonText).len());
}
