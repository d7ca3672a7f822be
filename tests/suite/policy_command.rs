//! `holdtrace policy`: the forms it reads, what it says, and policies in force in an archive.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Case, Run, bucket_policy, command, root, run, time};

const ROLE: &str = "arn:aws:iam::111122223333:role/Export";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn request(more: Value) -> Value {
    let mut request = json!({
        "principal": "arn:aws:sts::111122223333:assumed-role/Export/session", "action": "s3:PutObject",
        "resource": "arn:aws:s3:::exports/tenant-0001/file", "resource_account": "111122223333", "context": {},
    });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

fn policy(statements: Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn ask(case: &Case, arguments: &[&str]) -> Value {
    let run = run(case.path(), &[&["policy", "--format", "json", "--request", "request.json"], arguments].concat());
    assert_eq!(run.status, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("one JSON object")
}

fn case_with(request: &Value) -> Case {
    let case = Case::new();
    case.write("request.json", request.to_string());
    case
}

#[test]
fn policies_are_read_as_they_are_and_as_awss_commands_print_them() {
    let own = policy(
        json!([{ "Sid": "Own", "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "s3:*", "Resource": "*" }]),
    );
    let identity = policy(json!([{ "Sid": "Own", "Effect": "Allow", "Action": "s3:*", "Resource": "*" }]));
    let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Sid%22%3A%22Own%22%2C%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";
    let case = case_with(&request(json!({})));
    for (option, saved) in [
        ("--resource-policy", own.clone()),
        ("--resource-policy", json!({ "Policy": own.to_string() })),
        ("--resource-policy", json!({ "Policy": own.to_string(), "PolicyName": "default" })),
        ("--resource-policy", json!({ "Role": { "RoleName": "T", "AssumeRolePolicyDocument": own } })),
        ("--identity", identity.clone()),
        ("--identity", json!({ "RoleName": "Export", "PolicyName": "Write", "PolicyDocument": identity })),
        ("--identity", json!({ "RoleName": "Export", "PolicyName": "Write", "PolicyDocument": encoded })),
        ("--identity", json!({ "PolicyVersion": { "VersionId": "v1", "Document": identity } })),
        ("--identity", json!([identity])),
    ] {
        case.write("policy.json", saved.to_string());
        let answer = ask(&case, &[option, "policy.json"]);
        assert_eq!(
            (&answer["decision"], &answer["decided_by"]["statement"]),
            (&json!("allow"), &json!("Own")),
            "{saved}"
        );
    }
    let level = json!({ "Policy": { "PolicySummary": { "Name": "Deny" }, "Content": policy(json!([{ "Sid": "Org", "Effect": "Deny", "Action": "*", "Resource": "*" }])).to_string() } });
    case.write("scp.json", json!([level]).to_string());
    let endpoint = json!({ "VpcEndpoints": [{ "VpcEndpointId": "vpce-1", "PolicyDocument": own.to_string() }] });
    case.write("endpoint.json", endpoint.to_string());
    let answer = ask(&case, &["--identity", "policy.json", "--scp", "scp.json", "--endpoint", "endpoint.json"]);
    assert_eq!(answer["decided_by"]["statement"], "Org");
}

#[test]
fn an_answer_says_what_decided_and_what_is_missing() {
    let case = case_with(&request(json!({})));
    let statements = json!([
        { "Sid": "Export", "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::exports/*" },
        { "Sid": "Net", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": { "NotIpAddress": { "aws:SourceIp": "10.0.0.0/8" } } },
    ]);
    case.write("bucket.json", policy(statements).to_string());
    let answer = ask(&case, &["--resource-policy", "bucket.json"]);
    assert_eq!(answer["decision"], "undetermined");
    assert_eq!(answer["missing_keys"], json!(["aws:SourceIp"]));
    assert_eq!(answer["possible"], json!(["allow", "explicit_deny"]));
    let decided = json!({ "policy": "resource-policy", "statement": "Net", "file": "bucket.json", "record": null });
    assert_eq!(answer["decided_by"], decided);
    let text = run(
        case.path(),
        &["policy", "--request", "request.json", "--resource-policy", "bucket.json", "--format", "text"],
    );
    assert!(text.stdout.starts_with("undetermined\n"), "{}", text.stdout);
    assert!(text.stdout.contains("aws:SourceIp") && text.stdout.contains("explicit_deny"), "{}", text.stdout);
    assert_eq!(ask(&case, &["--resource-policy", "bucket.json", "--strict"])["decision"], "explicit_deny");
    assert_eq!(ask(&case, &[])["decided_by"]["policy"], Value::Null);
}

#[test]
fn statements_that_cannot_be_used_are_named() {
    let case = case_with(&request(json!({})));
    let statements = json!([
        { "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "s3:PutObject", "Resource": "*" },
        { "Sid": "Odd", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*", "Condition": { "StringResembles": { "a:b": "c" } } },
        { "Sid": "Typo", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resources": "*" },
    ]);
    case.write("bucket.json", policy(statements).to_string());
    let answer = ask(&case, &["--resource-policy", "bucket.json"]);
    assert_eq!(answer["decision"], "allow", "neither is about this action");
    let named: Vec<&str> =
        answer["unusable"].as_array().expect("a list").iter().filter_map(|u| u["statement"].as_str()).collect();
    assert_eq!(named, ["Odd", "Typo"]);
    assert!(answer["unusable"][0]["reason"].as_str().is_some_and(|reason| reason.contains("StringResembles")));
}

#[test]
fn what_does_not_bear_on_the_caller_is_noted() {
    let case = case_with(&request(json!({ "principal": "anonymous" })));
    case.write("identity.json", policy(json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }])).to_string());
    let answer = ask(&case, &["--identity", "identity.json"]);
    assert_eq!((&answer["decision"], &answer["policies"][0]["applies"]), (&json!("implicit_deny"), &json!(false)));
    assert!(answer["notes"].to_string().contains("no identity policy bears on such a request"));
    case.write("request.json", request(json!({})).to_string());
    let statements = json!([
        { "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "s3:*", "Resource": "*" },
        { "Sid": "Only", "Effect": "Deny", "NotPrincipal": { "AWS": "111122223333" }, "Action": "s3:*", "Resource": "*" },
    ]);
    case.write("bucket.json", policy(statements).to_string());
    assert!(ask(&case, &["--resource-policy", "bucket.json"])["notes"].to_string().contains("by its account alone"));
}

#[test]
fn the_request_may_come_on_standard_input() {
    let case = Case::new();
    case.write(
        "bucket.json",
        policy(json!([{ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" }])).to_string(),
    );
    let mut child = command(case.path())
        .args(["policy", "--request", "-", "--resource-policy", "bucket.json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("a pipe").write_all(request(json!({})).to_string().as_bytes()).expect("written");
    let run: Run = child.wait_with_output().expect("ended").into();
    assert!(run.stdout.contains(r#""decision":"allow""#), "{}", run.stdout);
}

#[test]
fn a_hostile_policy_cannot_write_to_the_terminal() {
    let case = case_with(&request(json!({})));
    let sid = "x\u{1b}[2J\u{202e}\nallow";
    case.write(
        "bucket.json",
        policy(json!([{ "Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*" }])).to_string(),
    );
    let text = run(
        case.path(),
        &["policy", "--request", "request.json", "--resource-policy", "bucket.json", "--format", "text"],
    );
    assert!(!text.stdout.contains(['\u{1b}', '\u{202e}']), "{}", text.stdout);
    assert!(text.stdout.lines().all(|line| line != "allow"), "{}", text.stdout);
}

#[test]
fn wrong_input_is_one_sentence_and_status_2() {
    let case = case_with(&request(json!({})));
    case.write("no-json.json", "{");
    case.write("no-policy.json", r#"{"hello": "world"}"#);
    case.write("two.json", json!([policy(json!([])), policy(json!([]))]).to_string());
    for (name, more) in [
        ("principal.json", json!({ "principal": "somebody" })),
        ("action.json", json!({ "action": "PutObject" })),
        ("account.json", json!({ "resource_account": "1234" })),
        ("context.json", json!({ "context": { "a:b": { "c": 1 } } })),
        ("twice.json", json!({ "context": { "a:b": "1", "A:B": "2" } })),
        ("unknown.json", json!({ "contexts": {} })),
    ] {
        case.write(name, request(more).to_string());
    }
    for (arguments, words) in [
        (&["--request", "nowhere.json"][..], "reading it failed"),
        (&["--request", "no-json.json"], "no request"),
        (&["--request", "principal.json"], "`somebody` is no principal"),
        (&["--request", "action.json"], "`PutObject` is no action"),
        (&["--request", "account.json"], "12 digits"),
        (&["--request", "context.json"], "a:b is no text"),
        (&["--request", "twice.json"], "is there twice"),
        (&["--request", "unknown.json"], "unknown field `contexts`"),
        (&["--request", "request.json", "--resource-policy", "no-json.json"], "no JSON"),
        (&["--request", "request.json", "--resource-policy", "no-policy.json"], "no policy document"),
        (&["--request", "request.json", "--resource-policy", "two.json"], "a resource has one"),
        (&["--request", "request.json", "--identity", "nowhere.json"], "reading it failed"),
        (&["--request", "-", "--identity", "-"], "can be read once"),
        (&["--request", "request.json", "archive"], "--at"),
        (&["--request", "request.json", "--at", "later", "archive"], "is no time"),
        (&["--request", "request.json", "--at", "2026-03-02", "nowhere"], "no such file or folder"),
    ] {
        let run = run(case.path(), &[&["policy"], arguments].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments:?}: {}", run.stderr);
    }
}

/// A call of somebody who changes authority, as CloudTrail records it.
fn change(at: i64, name: &str, parameters: &Value) -> String {
    json!({ "eventTime": time(at), "eventSource": "iam.amazonaws.com", "eventName": name, "eventID": format!("{name}-{at}"),
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/admin" }, "requestParameters": parameters })
    .to_string()
}

#[test]
fn the_bucket_policy_in_force_at_a_time_is_taken_from_the_archive_with_its_record() {
    let case = case_with(&request(json!({ "resource": "arn:aws:s3:::exports/tenant-0001/file" })));
    let put = |at, tenant| {
        change(
            at,
            "PutBucketPolicy",
            &json!({ "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:PutObject"], tenant) }),
        )
    };
    let lines = [
        put(100, "tenant-0002"),
        put(200, "tenant-0001"),
        change(300, "DeleteBucketPolicy", &json!({ "bucketName": "exports" })),
    ];
    case.write("archive/trail.json", lines.join("\n"));
    case.write("archive/bucket.json", bucket_policy(&["s3:PutObject"], "tenant-0001").to_string());
    for (at, possible) in
        [(150, json!(["allow", "implicit_deny"])), (250, json!(["allow"])), (350, json!(["allow", "implicit_deny"]))]
    {
        let answer = ask(&case, &["archive", "--at", &time(at)]);
        let own = &answer["policies"][0];
        assert_eq!(answer["possible"], possible, "the identity policies are not on record: {answer}");
        assert!(answer["not_on_record"].to_string().contains("identity policies of Export"));
        assert_eq!((&own["policy"], &own["since"]), (&json!("resource-policy"), &json!(time(at - 50))));
        assert_eq!(own["changed_by"], "arn:aws:iam::111122223333:user/admin");
        let record = own["record"].as_str().expect("a record id");
        assert_eq!(run(case.path(), &["show", record, "archive"]).status, 0, "the record can be shown");
        if at == 250 {
            let decided = &answer["decided_by"];
            assert_eq!((&decided["statement"], &decided["record"]), (&json!("Export"), &own["record"]));
        }
    }
    let before = ask(&case, &["archive", "--at", &time(50)]);
    assert!(
        before["not_on_record"].to_string().contains("policy of bucket exports"),
        "the snapshot was taken later: {before}"
    );
}

#[test]
fn identity_policies_in_force_at_a_time_are_taken_from_the_archive() {
    let case = case_with(&request(json!({})));
    let allow =
        |action: &str| policy(json!([{ "Sid": "Write", "Effect": "Allow", "Action": action, "Resource": "*" }]));
    let put = |at, name: &str, document: Value| {
        change(
            at,
            "PutRolePolicy",
            &json!({ "roleName": "Export", "policyName": name, "policyDocument": document.to_string() }),
        )
    };
    let other = json!({ "roleName": "Import", "policyName": "All", "policyDocument": allow("*").to_string() });
    let lines = [
        change(50, "PutRolePolicy", &other),
        put(100, "Export", allow("s3:GetObject")),
        put(200, "Export", allow("s3:PutObject")),
        change(300, "DeleteRolePolicy", &json!({ "roleName": "Export", "policyName": "Export" })),
    ];
    case.write("archive/trail.json", lines.join("\n"));
    case.write("archive/bucket.json", policy(json!([{ "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "s3:*", "Resource": "arn:aws:s3:::exports/*" }])).to_string());
    case.write(
        "archive/role-policy.json",
        json!({ "RoleName": "Export", "PolicyName": "Keys", "PolicyDocument": allow("kms:*") }).to_string(),
    );
    for (at, expected) in [(150, "implicit_deny"), (250, "allow"), (350, "implicit_deny")] {
        let answer = ask(&case, &["archive", "--at", &time(at)]);
        assert_eq!(answer["decision"], expected, "{at}: {answer}");
        assert_eq!(answer["not_on_record"], json!([]), "{answer}");
    }
    let answer = ask(&case, &["archive", "--at", &time(250)]);
    assert_eq!(
        (&answer["decided_by"]["policy"], &answer["decided_by"]["statement"]),
        (&json!("identity"), &json!("Write"))
    );
}

#[test]
fn trust_and_key_policies_in_force_at_a_time_are_taken_from_the_archive() {
    let trust = |id: &str| {
        policy(
            json!([{ "Sid": "Trust", "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "sts:AssumeRole", "Condition": { "StringEquals": { "sts:ExternalId": id } } }]),
        )
    };
    let assume = request(
        json!({ "action": "sts:AssumeRole", "resource": "arn:aws:iam::111122223333:role/Target", "context": { "sts:ExternalId": "tenant-0001" } }),
    );
    let case = case_with(&assume);
    let update = |at, id| {
        change(at, "UpdateAssumeRolePolicy", &json!({ "roleName": "Target", "policyDocument": trust(id).to_string() }))
    };
    let key = |at, principal: &str| {
        let body = policy(
            json!([{ "Sid": "Use", "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "kms:*", "Resource": "*" }]),
        );
        change(at, "PutKeyPolicy", &json!({ "keyId": KEY, "policyName": "default", "policy": body.to_string() }))
    };
    let lines = [
        update(100, "tenant-0001"),
        update(200, "tenant-0002"),
        key(100, ROLE),
        key(200, "arn:aws:iam::111122223333:role/Import"),
    ];
    case.write("archive/trail.json", lines.join("\n"));
    assert_eq!(ask(&case, &["archive", "--at", &time(150)])["decision"], "allow");
    let refused = ask(&case, &["archive", "--at", &time(250)]);
    assert_eq!(refused["decision"], "implicit_deny", "no policy of the caller gives what the role does not: {refused}");
    case.write("request.json", request(json!({ "action": "kms:GenerateDataKey", "resource": KEY })).to_string());
    assert_eq!(ask(&case, &["archive", "--at", &time(150)])["decision"], "allow");
    assert_eq!(ask(&case, &["archive", "--at", &time(250)])["decision"], "implicit_deny");
    case.write("request.json", request(json!({})).to_string());
    let nothing = ask(&case, &["archive", "--at", &time(250)]);
    assert_eq!(
        (&nothing["possible"], &nothing["missing_keys"]),
        (&json!(["allow", "implicit_deny"]), &json!([])),
        "{nothing}"
    );
}

#[test]
fn policies_given_in_files_stand_for_those_on_record_and_time_is_known() {
    let case = case_with(&request(json!({})));
    let line = change(
        100,
        "PutBucketPolicy",
        &json!({ "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:PutObject"], "tenant-0001") }),
    );
    case.write("archive/trail.json", line);
    let until = json!([{ "Sid": "Own", "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "s3:*", "Resource": "*", "Condition": { "DateLessThan": { "aws:CurrentTime": time(300) } } }]);
    case.write("own.json", policy(until).to_string());
    case.write("none.json", policy(json!([])).to_string());
    for (at, expected) in [(250, "allow"), (350, "implicit_deny")] {
        let at = time(at);
        let given = ["--resource-policy", "own.json", "--identity", "none.json", "archive", "--at", &at];
        let answer = ask(&case, &given);
        let files: Vec<&Value> = answer["policies"].as_array().expect("a list").iter().map(|p| &p["file"]).collect();
        assert_eq!((&answer["decision"], files), (&json!(expected), vec![&json!("own.json"), &json!("none.json")]));
    }
}

/// The block of JSON that follows a mark in docs/policy.md.
fn documented(mark: &str) -> Value {
    let page = std::fs::read_to_string(root().join("docs/policy.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("<!-- {mark} -->\n```json\n")).expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    serde_json::from_str(block).expect("JSON")
}

#[test]
fn the_example_in_the_documentation_is_real() {
    let case = case_with(&documented("request"));
    let request = case.path().join("request.json").display().to_string();
    let run =
        run(root(), &["policy", "--request", &request, "samples", "--at", "2026-05-05T06:10:00Z", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    for (name, value) in documented("answer").as_object().expect("an object") {
        assert_eq!(&answer[name], value, "{name}");
    }
}

#[test]
fn an_archive_and_its_parts_give_the_same_answer() {
    let case = case_with(&request(json!({})));
    let put = |tenant| json!({ "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:PutObject"], tenant) });
    let identity = policy(json!([{ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" }])).to_string();
    let role = json!({ "roleName": "Export", "policyName": "Write", "policyDocument": identity });
    let lines = [change(100, "PutBucketPolicy", &put("tenant-0001")), change(50, "PutRolePolicy", &role)];
    case.write("archive/trail.json", lines.join("\n"));
    assert_eq!(run(case.path(), &["ingest", "archive", "--out", "parts"]).status, 0);
    let of = |path: &str| ask(&case, &[path, "--at", &time(150)]);
    let (archive, parts) = (of("archive"), of("parts"));
    assert_eq!(archive["policies"].as_array().map(Vec::len), Some(2), "{archive}");
    assert_eq!(archive, parts);
}
