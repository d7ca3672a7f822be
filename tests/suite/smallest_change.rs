//! The smallest change: that it lets through what was refused, and nothing else.

use holdtrace::classify::{Decision, Request, replay};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::support::{Case, TENANT, bucket_policy, put_object, root, run, time, verdict};

const ROLE: &str = "arn:aws:iam::111122223333:role/Export";

/// The only explanation of `job`, and what it says of the change.
fn explained(case: &Case, job: &str) -> (Value, Value) {
    let run = run(case.path(), &["explain", ".", "--job", job, "--tries", "0", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let all: Value = serde_json::from_str(&run.stdout).expect("JSON");
    (all["explanations"][0]["failure"].clone(), all["explanations"][0]["smallest_change"].clone())
}

/// An upload that the bucket's `policy` refuses, as CloudTrail tells of it.
fn refused_under(policy: &Value) -> Case {
    let mut case = Case::new();
    case.contrast();
    case.write("policy.json", policy.to_string());
    case.start("j", 0, &["recording:export", "recording:metadata:write"], json!({}));
    case.step("j", 10, "upload", "failure", json!({ "status": 403 }));
    let message = "User is not authorized to perform: s3:PutObject because no resource-based policy allows the s3:PutObject action";
    case.write("cloudtrail.json", json!({ "Records": [put_object("j", 10, Some(message))] }).to_string());
    case.analyze();
    case
}

fn object() -> String {
    let own = put_object("j", 10, None);
    format!("arn:aws:s3:::exports/{}", own["requestParameters"]["key"].as_str().expect("a key"))
}

/// Checks that of many requests only the refused one is decided otherwise.
fn lets_only_the_refused_request_through(before: &Value, after: &Value) {
    let object = object();
    let principals = [
        "arn:aws:sts::111122223333:assumed-role/Export/session",
        "arn:aws:iam::111122223333:role/Other",
        "arn:aws:sts::111122223333:assumed-role/ExportMore/session",
        "arn:aws:iam::444455556666:role/Export",
        "arn:aws:iam::111122223333:user/ada",
        "logging.s3.amazonaws.com",
    ];
    let resources = [&object, "arn:aws:s3:::exports/other", "arn:aws:s3:::exports", "arn:aws:s3:::elsewhere/x"];
    for principal in principals {
        for action in ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"] {
            for resource in resources {
                let request = Request {
                    principal: Some(principal),
                    action,
                    resource: Some(resource),
                    tenant: Some(TENANT),
                    ..Request::default()
                };
                let (then, now) = (replay(before, &request).decision, replay(after, &request).decision);
                let own = principal == principals[0] && action == "s3:PutObject" && resource == object;
                if own {
                    assert_eq!((then, now), (Decision::ImplicitDeny, Decision::Allow), "{after:#}");
                } else {
                    assert_eq!(then, now, "{principal} {action} {resource}: {after:#}");
                }
            }
        }
    }
}

#[test]
fn what_a_caller_lacked_is_written_as_the_platforms_role() {
    let mut case = Case::new();
    case.contrast();
    case.start("j", 0, &["recording:export"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", json!({ "status": 403 }));
    case.step("j", 70, "metadata_injection", "failure", json!({ "status": 403 }));
    case.analyze();
    let (failure, change) = explained(&case, "j");
    assert_eq!(verdict(&failure), "scope_collision/missing_scope");
    let role = json!({ "permissionPolicies": [
        { "domain": "recording", "entityName": "metadata", "actionSet": ["write"], "allowConditions": false },
    ]});
    assert_eq!((&change["of"], &change["subject"], &change["added"]), (&json!("role"), &json!("caller"), &role));
    assert_eq!((&change["diff"], &change["amended"]), (&Value::Null, &Value::Null));
    let remedy = failure["remedy"].to_string();
    assert!(remedy.contains(&role.to_string().replace('"', "\\\"")), "{remedy}");
}

#[test]
fn a_permission_that_no_role_can_hold_is_said_to_be_none() {
    let mut case = Case::new();
    for n in 0..3 {
        let more = json!({ "principal": "healthy-caller" });
        case.healthy(&format!("healthy-{n}"), -90_000 + 600 * n, &["recording:export", "interaction:write"], &more);
    }
    case.start("j", 0, &["recording:export"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", json!({ "status": 403 }));
    case.step("j", 70, "metadata_injection", "failure", json!({ "status": 403 }));
    case.analyze();
    let (failure, change) = explained(&case, "j");
    assert_eq!(failure["missing_permissions"], json!(["interaction:write"]), "{failure:#}");
    assert_eq!(change["added"], Value::Null);
    assert!(change["text"].as_str().expect("a text").contains("domain:entity:action"), "{change:#}");
}

#[test]
fn a_bucket_policy_is_amended_by_one_statement_for_the_refused_request() {
    let policy = bucket_policy(&["s3:GetObject"], TENANT);
    let case = refused_under(&policy);
    let (failure, change) = explained(&case, "j");
    assert_eq!(verdict(&failure), "policy_mismatch/action_not_allowed");
    let statement = json!({
        "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "s3:PutObject", "Resource": object(),
    });
    assert_eq!(change["added"], statement);
    assert_eq!(change["records"].as_array().expect("a list").len(), 1, "the policy in force is cited");
    lets_only_the_refused_request_through(&policy, &change["amended"]);
    let diff = change["diff"].as_str().expect("a diff");
    let of = |sign: char| diff.lines().filter(|line| line.starts_with(sign)).count();
    assert!(diff.starts_with("--- in force\n+++ amended\n@@") && of('+') > 5, "{diff}");
    assert_eq!(of('-'), 1, "besides the header nothing is taken away: {diff}");
    let page = run(case.path(), &["explain", ".", "--job", "j", "--tries", "0"]).stdout;
    assert!(page.contains("THE SMALLEST CHANGE"), "{page}");
    assert!(diff.lines().all(|line| page.contains(line)), "{page}");
}

#[test]
fn the_role_is_named_with_its_path_where_the_policy_does() {
    let mut policy = bucket_policy(&["s3:GetObject"], TENANT);
    let with_path = "arn:aws:iam::111122223333:role/teams/Export";
    policy["Statement"][0]["Principal"] = json!({ "AWS": with_path });
    let (_, change) = explained(&refused_under(&policy), "j");
    assert_eq!(change["added"]["Principal"], json!({ "AWS": with_path }), "{change:#}");
}

#[test]
fn conditions_of_the_policy_are_kept_with_the_tenant_put_right() {
    let other = "11111111-2222-4333-8444-555555555555";
    let mut policy = bucket_policy(&["s3:PutObject"], TENANT);
    policy["Statement"][0]["Condition"] = json!({ "StringEquals": { "genesyscloud:TenantId": other } });
    let (failure, change) = explained(&refused_under(&policy), "j");
    assert_eq!(verdict(&failure), "policy_mismatch/tenant_mismatch");
    let kept = json!({ "StringEquals": { "genesyscloud:TenantId": TENANT } });
    assert_eq!(change["added"]["Condition"], kept, "{change:#}");
    lets_only_the_refused_request_through(&policy, &change["amended"]);
}

#[test]
fn where_adding_would_not_help_or_be_broader_nothing_is_added() {
    let mut denied = bucket_policy(&["s3:PutObject"], TENANT);
    let deny = json!({ "Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::exports/*" });
    denied["Statement"].as_array_mut().expect("a list").push(deny);
    let mut asks = bucket_policy(&["s3:PutObject"], TENANT);
    asks["Statement"][0]["Condition"] = json!({ "StringEquals": { "aws:PrincipalTag/team": "legal" } });
    let mut unmet = bucket_policy(&["s3:PutObject"], TENANT);
    unmet["Statement"][0]["Condition"] = json!({ "StringEquals": { "aws:PrincipalAccount": "444455556666" } });
    for (policy, words) in [
        (denied, "Nothing that is added would help"),
        (asks, "does not refuse by itself"),
        (unmet, "would be more than was refused"),
    ] {
        let case = refused_under(&policy);
        let (failure, change) = explained(&case, "j");
        assert_eq!(failure["class"], "policy_mismatch");
        assert_eq!((&change["added"], &change["diff"]), (&Value::Null, &Value::Null));
        let said = change["text"].as_str().expect("a text");
        assert!(said.contains(words), "{said}");
        assert!(!failure["remedy"].to_string().contains("In full"));
    }
}

#[test]
fn a_trust_policy_is_amended_for_the_caller_with_its_external_id() {
    let mut case = Case::new();
    case.contrast();
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::765628985471:root" }, "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "sts:ExternalId": "11111111-2222-4333-8444-555555555555" } },
    }]});
    let role = json!({ "Role": { "RoleName": "Export", "Arn": ROLE, "CreateDate": time(-900_000), "AssumeRolePolicyDocument": trust } });
    case.write("role.json", role.to_string());
    case.start("j", 0, &["recording:export", "recording:metadata:write"], json!({}));
    let refusal = json!({
        "eventVersion": "1.10", "eventTime": time(10), "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "awsRegion": "eu-west-1", "eventID": "assume-j", "requestID": "STS10", "errorCode": "AccessDenied",
        "errorMessage": "User: arn:aws:iam::765628985471:role/Genesys is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/Export",
        "userIdentity": { "type": "AWSAccount", "accountId": "765628985471", "principalId": "AIDA" },
        "requestParameters": { "roleArn": ROLE, "roleSessionName": "j", "externalId": TENANT },
    });
    case.write("cloudtrail.json", json!({ "Records": [refusal] }).to_string());
    case.analyze();
    let failures = run(case.path(), &["analyze", ".", "--format", "ndjson"]).objects();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(verdict(&failures[0]), "policy_mismatch/trust_policy", "{failures:#?}");
    let id = failures[0]["failure_id"].as_str().expect("an id");
    let run = run(case.path(), &["explain", ".", "--failure", id, "--tries", "0", "--format", "json"]);
    let all: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let change = &all["explanations"][0]["smallest_change"];
    assert_eq!(change["added"]["Condition"], json!({ "StringEquals": { "sts:ExternalId": TENANT } }), "{change:#}");
    let principal = change["added"]["Principal"]["AWS"].as_str().expect("a caller");
    assert!(principal.starts_with("arn:aws:iam::765628985471:r"), "{change:#}");
    assert_eq!(change["added"]["Action"], "sts:AssumeRole");
}

#[test]
fn every_policy_mismatch_of_the_samples_gets_a_change_or_a_reason() {
    let failures = run(root(), &["analyze", "samples", "--format", "ndjson"]).objects();
    for failure in failures {
        let job = failure["job_id"].as_str().expect("a job");
        let run = run(root(), &["explain", "samples", "--job", job, "--tries", "0", "--format", "json"]);
        let all: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let change = &all["explanations"][0]["smallest_change"];
        match failure["class"].as_str() {
            Some("scope_collision") => assert!(change["text"].is_string() && change["diff"].is_null(), "{change:#}"),
            Some("policy_mismatch") => {
                assert!(
                    change["text"].is_string() && change["added"].is_object() == change["diff"].is_string(),
                    "{change:#}"
                );
            }
            _ => assert_eq!(*change, Value::Null),
        }
    }
}

fn statement() -> impl Strategy<Value = Value> {
    let principals = vec![
        json!("*"),
        json!({ "AWS": ROLE }),
        json!({ "AWS": "444455556666" }),
        json!({ "AWS": "arn:aws:iam::111122223333:user/ada" }),
    ];
    let actions = vec![json!("s3:PutObject"), json!("s3:Get*"), json!(["s3:PutObjectAcl", "s3:GetObject"]), json!("*")];
    let resources = vec![
        json!("arn:aws:s3:::exports/*"),
        json!("arn:aws:s3:::exports/other"),
        json!("arn:aws:s3:::exports"),
        json!(["arn:aws:s3:::elsewhere/*"]),
    ];
    let conditions = vec![
        Value::Null,
        Value::Null,
        json!({ "StringEquals": { "genesyscloud:TenantId": TENANT } }),
        json!({ "StringLike": { "genesyscloud:TenantId": "other-00000000" } }),
        json!({ "Bool": { "aws:SecureTransport": "true" } }),
        json!("not a condition"),
    ];
    (
        select(vec!["Allow", "Allow", "Allow", "Deny"]),
        select(principals),
        select(actions),
        select(resources),
        select(conditions),
    )
        .prop_map(|(effect, principal, action, resource, condition)| {
            let mut statement =
                json!({ "Effect": effect, "Principal": principal, "Action": action, "Resource": resource });
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            statement
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_policy_is_the_change_lets_the_refused_request_through_and_no_other(statements in proptest::collection::vec(statement(), 1..4)) {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        let (_, change) = explained(&refused_under(&policy), "j");
        if change["added"].is_object() {
            lets_only_the_refused_request_through(&policy, &change["amended"]);
        }
    }
}
