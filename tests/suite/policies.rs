//! Replaying policies: what each element allows, denies, and leaves open.

use holdtrace::classify::{Decision, Gap, Request, replay};
use serde_json::{Value, json};

use crate::support::{Case, TENANT, bucket_policy, put_object, verdict};

const ROLE: &str = "arn:aws:iam::111122223333:role/Export";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/Export/session";
const OBJECT: &str = "arn:aws:s3:::exports/tenant-0001/file";

fn request<'a>() -> Request<'a> {
    Request {
        principal: Some(SESSION),
        action: "s3:PutObject",
        resource: Some(OBJECT),
        tenant: Some("tenant-0001"),
        ..Request::default()
    }
}

fn statement(effect: &str, more: Value) -> Value {
    let mut statement = json!({ "Effect": effect, "Principal": { "AWS": ROLE }, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::exports/*" });
    for (name, value) in more.as_object().expect("an object") {
        if value.is_null() {
            statement.as_object_mut().expect("an object").remove(name);
        } else {
            statement[name] = value.clone();
        }
    }
    statement
}

fn decide(statements: &[Value], request: &Request<'_>) -> (Decision, Option<Gap>) {
    let replay = replay(&json!({ "Statement": statements }), request);
    (replay.decision, replay.gap)
}

#[test]
fn an_allowing_statement_allows_whatever_way_it_names_the_caller() {
    for principal in [
        json!("*"),
        json!({ "AWS": "*" }),
        json!({ "AWS": ROLE }),
        json!({ "AWS": SESSION }),
        json!({ "AWS": ["arn:aws:iam::999999999999:role/Other", ROLE] }),
        json!({ "AWS": "111122223333" }),
        json!({ "AWS": "arn:aws:iam::111122223333:root" }),
        json!({ "AWS": "arn:aws:iam::111122223333:role/path/to/Export" }),
    ] {
        let allow = statement("Allow", json!({ "Principal": principal }));
        assert_eq!(decide(&[allow], &request()).0, Decision::Allow, "{principal}");
    }
}

#[test]
fn wildcards_match_actions_and_resources() {
    for (name, value) in [
        ("Action", json!("s3:*")),
        ("Action", json!("S3:putobject")),
        ("Action", json!(["s3:GetObject", "s3:Put*"])),
        ("Resource", json!("*")),
        ("Resource", json!("arn:aws:s3:::exp?rts/tenant-*/file")),
        ("NotAction", json!("s3:GetObject")),
        ("NotResource", json!("arn:aws:s3:::other/*")),
    ] {
        let mut more = json!({});
        if let Some(positive) = name.strip_prefix("Not") {
            more[positive] = Value::Null;
        }
        more[name] = value;
        assert_eq!(decide(&[statement("Allow", more.clone())], &request()).0, Decision::Allow, "{more}");
    }
}

#[test]
fn what_nothing_allows_is_denied_and_the_closest_statement_says_why() {
    for (more, gap) in [
        (json!({ "Action": "s3:GetObject" }), Gap::Action),
        (json!({ "Principal": { "AWS": "arn:aws:iam::111122223333:role/Other" } }), Gap::Principal),
        (json!({ "Principal": { "Service": "logging.s3.amazonaws.com" } }), Gap::Principal),
        (json!({ "Resource": "arn:aws:s3:::exports/other/*" }), Gap::Resource),
        (json!({ "Resource": "arn:aws:s3:::exports/tenant-0002/*" }), Gap::Tenant),
        (json!({ "Condition": { "StringEquals": { "x:TenantId": "tenant-0002" } } }), Gap::Tenant),
        (
            json!({ "Condition": { "StringEquals": { "kms:EncryptionContext:genesys-cloud-organization-id": "tenant-0002" } } }),
            Gap::Tenant,
        ),
        (
            json!({ "Condition": { "ArnEquals": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/Other" } } }),
            Gap::Condition,
        ),
    ] {
        let found = decide(&[statement("Allow", more.clone())], &request());
        assert_eq!(found, (Decision::ImplicitDeny, Some(gap)), "{more}");
    }
    assert_eq!(decide(&[], &request()), (Decision::ImplicitDeny, Some(Gap::Principal)));
}

#[test]
fn an_explicit_deny_overrides_any_allow() {
    let deny = statement("Deny", json!({ "Principal": "*" }));
    assert_eq!(decide(&[statement("Allow", json!({})), deny], &request()).0, Decision::ExplicitDeny);
    let elsewhere = statement("Deny", json!({ "Principal": "*", "Resource": "arn:aws:s3:::other/*" }));
    assert_eq!(decide(&[statement("Allow", json!({})), elsewhere], &request()).0, Decision::Allow);
}

#[test]
fn what_the_log_does_not_carry_leaves_the_answer_open() {
    let unknown = json!({ "Condition": { "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } } });
    assert_eq!(decide(&[statement("Allow", unknown.clone())], &request()).0, Decision::Undetermined);
    assert_eq!(
        decide(&[statement("Allow", json!({})), statement("Deny", unknown)], &request()).0,
        Decision::Undetermined
    );
    let nobody = Request { principal: None, ..request() };
    assert_eq!(decide(&[statement("Allow", json!({}))], &nobody).0, Decision::Undetermined);
    let wrong_action = statement("Allow", json!({ "Action": "s3:GetObject" }));
    assert_eq!(decide(&[wrong_action], &nobody), (Decision::ImplicitDeny, Some(Gap::Action)), "whoever it was");
}

#[test]
fn a_header_that_the_log_shows_to_be_missing_meets_a_negated_condition() {
    let condition = json!({ "Condition": { "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } } });
    let statements = [statement("Allow", json!({})), statement("Deny", condition)];
    assert_eq!(decide(&statements, &request()).0, Decision::Undetermined, "the request is not logged");
    let with = |pairs: &[(&str, &str)]| Request {
        context: Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
        ..request()
    };
    assert_eq!(decide(&statements, &with(&[])).0, Decision::ExplicitDeny);
    assert_eq!(decide(&statements, &with(&[("s3xamzserversideencryption", "AES256")])).0, Decision::ExplicitDeny);
    assert_eq!(decide(&statements, &with(&[("s3xamzserversideencryption", "aws:kms")])).0, Decision::Allow);
    let null = statement("Deny", json!({ "Condition": { "Null": { "s3:x-amz-server-side-encryption": "true" } } }));
    assert_eq!(decide(&[statement("Allow", json!({})), null], &with(&[])).0, Decision::ExplicitDeny);
}

#[test]
fn an_external_id_is_compared_with_the_one_given_and_else_with_the_tenant() {
    let trust = json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "sts:ExternalId": "tenant-0001" } } } });
    let assume = Request { action: "sts:AssumeRole", ..request() };
    assert_eq!(replay(&trust, &assume).decision, Decision::Allow);
    let other = Request { external_id: Some("another"), ..assume };
    assert_eq!(replay(&trust, &other).decision, Decision::ImplicitDeny);
}

#[test]
fn a_caller_of_another_account_is_known_by_its_account_alone() {
    let foreign = Request { principal: Some("765628985471"), ..request() };
    for (principal, expected) in [
        ("arn:aws:iam::765628985471:root", Decision::Allow),
        ("765628985471", Decision::Allow),
        ("arn:aws:iam::765628985471:role/Any", Decision::Undetermined),
        ("arn:aws:iam::111122223333:root", Decision::ImplicitDeny),
    ] {
        let allow = statement("Allow", json!({ "Principal": { "AWS": principal } }));
        assert_eq!(decide(&[allow], &foreign).0, expected, "{principal}");
    }
}

/// The misleading 403: it names a permission that the caller holds. What the policy in force says tells its two causes
/// apart.
#[test]
fn a_refusal_that_names_a_permission_the_caller_holds_is_judged_by_the_policy() {
    let names = json!({ "status": 403, "errorCode": "missing.any.permissions",
        "errorMessage": "You must have at least one of the following permissions assigned: [recording:metadata:write]" });
    let failure_under = |actions: &[&str]| {
        let mut case = Case::new();
        case.contrast();
        case.write("policy.json", bucket_policy(actions, TENANT).to_string());
        case.start("j", 0, &["recording:export", "recording:metadata:write"], json!({}));
        case.step("j", 10, "upload", "failure", names.clone());
        let mut records = vec![put_object("j", 10, Some("Access Denied"))];
        if actions.contains(&"s3:PutObject") {
            // It clears by itself: the log of changes shows none in between.
            case.step("j", 40, "upload", "success", json!({ "status": 200 }));
            records.push(put_object("j", 40, None));
        }
        case.write("cloudtrail.json", json!({ "Records": records }).to_string());
        case.failure()
    };
    let refused = failure_under(&["s3:GetObject"]);
    assert_eq!(verdict(&refused), "policy_mismatch/action_not_allowed");
    assert_eq!(refused["missing_permissions"], json!([]), "the caller holds what the refusal names");
    let allowed = failure_under(&["s3:PutObject"]);
    assert_eq!(allowed["class"], "sync_race", "{allowed:#}");
    assert!(allowed["hypotheses"][2]["against"].to_string().contains("policy-replay-allows"));
}

#[test]
fn a_statement_of_no_known_form_leaves_the_answer_open_where_it_is_about_the_request() {
    let odd = statement("allow", json!({}));
    assert_eq!(decide(&[statement("Allow", json!({})), odd], &request()).0, Decision::Undetermined);
    let elsewhere = statement("allow", json!({ "Action": "s3:GetObject" }));
    assert_eq!(decide(&[statement("Allow", json!({})), elsewhere], &request()).0, Decision::Allow);
    let unknown = statement("Deny", json!({ "Condition": { "StringResembles": { "s3:prefix": "x" } } }));
    assert_eq!(decide(&[statement("Allow", json!({})), unknown], &request()).0, Decision::Undetermined);
}

#[test]
fn a_session_without_its_roles_path_may_be_of_a_role_with_one() {
    let with_path = json!({ "Principal": "*", "Condition": { "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/teams/Export" } } });
    assert_eq!(decide(&[statement("Allow", with_path)], &request()).0, Decision::Undetermined);
    let users = json!({ "Resource": "arn:aws:s3:::exports/${aws:username}/*" });
    assert_eq!(
        replay(&json!({ "Version": "2012-10-17", "Statement": [statement("Allow", users)] }), &request()).decision,
        Decision::Undetermined
    );
}
