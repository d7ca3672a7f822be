//! The reasoning: each mechanism from the evidence that should show it, and the red herrings that should not matter.

use serde_json::{Value, json};

use crate::support::{Case, TENANT, bucket_policy, put_object, time, verdict};

const GOOD: [&str; 2] = ["recording:export", "recording:metadata:write"];

fn forbidden() -> Value {
    json!({ "status": 403, "errorCode": "forbidden", "errorMessage": "Forbidden" })
}

fn conflict() -> Value {
    json!({ "status": 409, "errorCode": "conflict", "errorMessage": "metadata conflict: the hold is being synchronised" })
}

fn timeout() -> Value {
    json!({ "errorCode": "request.timeout", "errorMessage": "The request timed out." })
}

fn audit(client: &str, at: i64, old: &[&str], new: &[&str]) -> Value {
    json!({
        "id": format!("audit-{client}-{at}"), "eventDate": time(at), "serviceName": "PeoplePermissions", "action": "Update",
        "entityType": "OAuthClient", "entity": { "id": client }, "status": "SUCCESS", "user": { "id": "admin" },
        "propertyChanges": [{ "property": "permissions", "oldValues": old, "newValues": new }],
    })
}

fn write_audits(case: &Case, audits: &[Value]) {
    case.write("audits.json", json!({ "pageSize": 25, "entities": audits }).to_string());
}

fn write_cloudtrail(case: &Case, records: &[Value]) {
    case.write("cloudtrail.json", json!({ "Records": records }).to_string());
}

#[test]
fn a_caller_without_the_scope_that_all_who_succeed_hold_is_a_scope_collision() {
    let mut case = Case::new();
    case.contrast();
    case.start("j", 0, &["recording:export", "interaction:write"], json!({}));
    case.step("j", 10, "metadata_injection", "timeout", timeout());
    case.step("j", 50, "metadata_injection", "failure", forbidden());
    let failure = case.failure();
    assert_eq!(verdict(&failure), "scope_collision/missing_scope");
    assert_eq!(failure["missing_permissions"], json!(["recording:metadata:write"]));
    assert_eq!(failure["symptoms"], json!({ "timeouts": 1, "forbidden": 1, "conflicts": 0, "other": 0 }));
    assert_eq!(failure["attempts"], 2);
}

#[test]
fn a_refusal_that_names_a_permission_others_do_without_does_not_mislead() {
    let mut case = Case::new();
    case.contrast();
    let names = json!({ "status": 403, "errorCode": "missing.any.permissions",
        "errorMessage": "You must have at least one of the following permissions assigned: [interaction:write]" });
    case.start("j", 0, &["recording:export"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", names);
    let failure = case.failure();
    assert_eq!(failure["missing_permissions"], json!(["recording:metadata:write"]));
}

#[test]
fn a_grant_to_this_caller_between_failing_and_succeeding_is_a_scope_collision() {
    let mut case = Case::new();
    case.contrast();
    write_audits(&case, &[audit("caller", 900, &[], &["recording:metadata:write"])]);
    case.start("j", 0, &["recording:export"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", forbidden());
    case.step("j", 1000, "metadata_injection", "success", json!({ "status": 204 }));
    let failure = case.failure();
    assert_eq!(verdict(&failure), "scope_collision/missing_scope");
    assert_eq!(failure["support"], "very_strong");
    assert_eq!(failure["recovered_at"], time(1000));
}

#[test]
fn a_grant_to_somebody_else_is_set_aside() {
    let mut case = Case::new();
    case.contrast();
    write_audits(&case, &[audit("somebody-else", 30, &[], &["recording:metadata:write"])]);
    case.start("j", 0, &GOOD, json!({}));
    case.step("j", 10, "metadata_injection", "failure", conflict());
    case.step("j", 100, "metadata_injection", "success", json!({ "status": 204 }));
    assert_eq!(verdict(&case.failure()), "sync_race/hold_conflict");
}

#[test]
fn a_scope_taken_away_in_the_middle_of_the_archive_explains_only_what_came_after() {
    let mut case = Case::new();
    case.contrast();
    write_audits(&case, &[audit("caller", 0, &["recording:metadata:write"], &[])]);
    case.healthy("before", -5000, &GOOD, &json!({}));
    // No scopes are stated at this job's start: what the caller holds is what it held, less what was taken.
    case.step("after", 100, "metadata_injection", "timeout", timeout());
    case.step("after", 150, "metadata_injection", "failure", forbidden());
    let failure = case.failure();
    assert_eq!(failure["job_id"], "after");
    assert_eq!(verdict(&failure), "scope_collision/missing_scope");
    assert_eq!(failure["missing_permissions"], json!(["recording:metadata:write"]));
}

#[test]
fn a_caller_who_may_place_holds_but_not_write_is_named_so() {
    let mut case = Case::new();
    case.contrast();
    case.start("j", 0, &["recording:export", "recording:deletionProtection:apply"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", forbidden());
    assert_eq!(verdict(&case.failure()), "scope_collision/hold_lock_without_write");
}

#[test]
fn a_probe_by_the_same_caller_tells_scope_from_time() {
    for (outcome, status, expected) in
        [("failure", 403, "scope_collision/missing_scope"), ("success", 204, "sync_race/residency_sync_lag")]
    {
        let mut case = Case::new();
        case.step("j", 10, "metadata_injection", "timeout", timeout());
        case.step("j", 50, "metadata_injection", "failure", forbidden());
        case.step("j", 4000, "probe", outcome, json!({ "status": status }));
        assert_eq!(verdict(&case.failure()), expected);
    }
}

#[test]
fn a_probe_by_another_caller_says_nothing() {
    let mut case = Case::new();
    case.step("j", 10, "metadata_injection", "timeout", timeout());
    case.step("j", 4000, "probe", "success", json!({ "status": 204, "principal": "somebody-else" }));
    assert_eq!(case.failure()["class"], "inconclusive");
}

#[test]
fn a_403_inside_the_hold_window_that_passes_with_the_hold_is_a_sync_race() {
    let mut case = Case::new();
    case.contrast();
    let hold = |step: &str, at| json!({ "timestamp": time(at), "conversationId": "conversation-j", "holdId": "h", "step": step, "outcome": "success" });
    case.trail.push(hold("legal_hold.placed", 5));
    case.trail.push(hold("legal_hold.synced", 200));
    case.start("j", 0, &GOOD, json!({}));
    case.step("j", 10, "metadata_injection", "timeout", timeout());
    case.step("j", 100, "metadata_injection", "failure", forbidden());
    case.step("j", 210, "metadata_injection", "success", json!({ "status": 204 }));
    assert_eq!(verdict(&case.failure()), "sync_race/residency_sync_lag");
}

#[test]
fn the_acknowledgement_that_was_missing_is_found() {
    let mut case = Case::new();
    case.contrast();
    case.start("j", 0, &GOOD, json!({}));
    for at in [10, 500, 1500] {
        let mut more = conflict();
        more["legalHoldAcknowledgement"] = json!(false);
        case.step("j", at, "metadata_injection", "failure", more);
    }
    case.step("j", 2500, "metadata_injection", "success", json!({ "request": { "legal_hold_acknowledgement": true } }));
    assert_eq!(verdict(&case.failure()), "sync_race/missing_hold_acknowledgement");
}

#[test]
fn a_refusal_that_passes_within_seconds_is_propagation_where_the_log_shows_no_change() {
    let mut case = Case::new();
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 20, "upload", "success", json!({ "status": 200 }));
    write_cloudtrail(&case, &[put_object("j", 10, Some("Access Denied")), put_object("j", 20, None)]);
    let failure = case.failure();
    assert_eq!(verdict(&failure), "sync_race/grant_propagation");
    assert_eq!(failure["attempts"], 1, "CloudTrail witnesses the trail's attempt, it adds none");
}

#[test]
fn a_refusal_that_passes_after_hours_without_the_log_of_changes_is_not_called_a_race() {
    let mut case = Case::new();
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 9000, "upload", "success", json!({ "status": 200 }));
    assert_eq!(case.failure()["class"], "inconclusive");
}

#[test]
fn a_tenant_that_differs_in_one_character_is_shown() {
    let mut case = Case::new();
    let other = TENANT.replace("a914", "a915");
    let policy = json!({ "Policy": bucket_policy(&["s3:PutObject"], &other).to_string() });
    case.write("policy.json", policy.to_string());
    case.step("j", 10, "metadata_injection", "timeout", timeout());
    case.step("j", 40, "metadata_injection", "success", json!({ "status": 204 }));
    case.step("j", 50, "export", "failure", forbidden());
    let failure = case.failure();
    assert_eq!(verdict(&failure), "policy_mismatch/tenant_mismatch");
    assert!(failure["evidence"].to_string().contains("differ in one character, number 36"));
}

#[test]
fn a_policy_that_allows_speaks_against_a_policy_mismatch() {
    let mut case = Case::new();
    case.write("policy.json", bucket_policy(&["s3:PutObject"], TENANT).to_string());
    case.step("j", 10, "upload", "failure", forbidden());
    write_cloudtrail(&case, &[put_object("j", 10, Some("Access Denied"))]);
    let failure = case.failure();
    assert_eq!(failure["class"], "inconclusive");
    let policy = &failure["hypotheses"][2];
    assert_eq!(policy["class"], "policy_mismatch");
    assert!(policy["against"].to_string().contains("policy-replay-allows"));
}

#[test]
fn the_policy_in_force_is_the_latest_logged_before_the_attempt_not_the_snapshot() {
    let mut case = Case::new();
    let change = |at, actions: &[&str]| {
        json!({ "eventVersion": "1.10", "eventTime": time(at), "eventSource": "s3.amazonaws.com",
            "eventName": "PutBucketPolicy", "eventID": format!("policy-{at}"),
            "requestParameters": { "bucketName": "exports", "bucketPolicy": bucket_policy(actions, TENANT) } })
    };
    case.write("snapshot.json", bucket_policy(&["s3:PutObject"], TENANT).to_string());
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 3000, "upload", "success", json!({ "status": 200 }));
    write_cloudtrail(
        &case,
        &[
            change(-100, &["s3:GetObject"]),
            put_object("j", 10, Some("Access Denied")),
            change(2000, &["s3:PutObject"]),
            put_object("j", 3000, None),
        ],
    );
    let failure = case.failure();
    assert_eq!(verdict(&failure), "policy_mismatch/action_not_allowed");
    assert!(failure["hypotheses"][2]["for"].to_string().contains("policy-change-then-success"));
}

#[test]
fn a_harmless_change_of_this_buckets_policy_is_no_intervention() {
    let mut case = Case::new();
    let change = json!({ "eventVersion": "1.10", "eventTime": time(100), "eventSource": "s3.amazonaws.com",
        "eventName": "PutBucketPolicy", "eventID": "p",
        "requestParameters": { "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:PutObject", "s3:PutObjectAcl"], TENANT) } });
    case.write("snapshot.json", bucket_policy(&["s3:PutObject"], TENANT).to_string());
    case.step("j", 90, "upload", "failure", forbidden());
    case.step("j", 110, "upload", "success", json!({ "status": 200 }));
    write_cloudtrail(&case, &[put_object("j", 90, Some("Access Denied")), change, put_object("j", 110, None)]);
    assert_eq!(verdict(&case.failure()), "sync_race/grant_propagation");
}

#[test]
fn refusals_that_name_the_policy_are_believed() {
    let arn = "arn:aws:sts::111122223333:assumed-role/Export/session";
    for (why, expected) in [
        ("because no identity-based policy allows the s3:PutObject action", "scope_collision/identity_policy_denied"),
        ("with an explicit deny in a permissions boundary", "scope_collision/identity_policy_denied"),
        ("with an explicit deny in a sessions policy", "scope_collision/identity_policy_denied"),
        (
            "with an explicit deny in a service control policy, with policy ARN: arn:x",
            "scope_collision/identity_policy_denied",
        ),
        ("because no resource-based policy allows the s3:PutObject action", "policy_mismatch/action_not_allowed"),
        ("with an explicit deny in a resource-based policy", "policy_mismatch/explicit_deny"),
        ("with an explicit deny in a resource control policy", "policy_mismatch/explicit_deny"),
        ("because no VPC endpoint policy allows the s3:PutObject action", "policy_mismatch/action_not_allowed"),
    ] {
        let mut case = Case::new();
        case.step("j", 10, "upload", "failure", forbidden());
        let message = format!(
            "User: {arn} is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::exports/k\" {why}"
        );
        write_cloudtrail(&case, &[put_object("j", 10, Some(&message))]);
        assert_eq!(verdict(&case.failure()), expected, "{why}");
    }
}

#[test]
fn a_role_that_trusts_another_tenant_is_found_through_the_role_in_the_message() {
    let mut case = Case::new();
    let role = "arn:aws:iam::111122223333:role/Export-7";
    let message = format!(
        "User: arn:aws:sts::765628985471:assumed-role/bulk/j is not authorized to perform: sts:AssumeRole on resource: {role}"
    );
    case.step(
        "j",
        10,
        "upload",
        "failure",
        json!({ "status": 403, "errorCode": "not.authorized", "errorMessage": message }),
    );
    write_cloudtrail(
        &case,
        &[json!({ "eventVersion": "1.10", "eventTime": time(10), "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole", "eventID": "a", "errorCode": "AccessDenied", "errorMessage": message,
        "userIdentity": { "type": "AWSAccount", "principalId": "AROAX:j", "accountId": "765628985471" }, "requestParameters": null })],
    );
    let trust = json!({ "Role": { "Arn": role, "RoleName": "Export-7", "AssumeRolePolicyDocument": { "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::765628985471:root" }, "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "sts:ExternalId": "another-tenant" } } }] } } });
    case.write("role.json", trust.to_string());
    let failure = case.failure();
    assert_eq!(verdict(&failure), "policy_mismatch/trust_policy");
    assert_eq!(failure["attempts"], 1);
}

#[test]
fn a_credential_replaced_in_the_retry_window_is_another_cause_but_not_somebody_elses() {
    for (rotated, expected) in
        [("caller", "other_cause/credential_rotation"), ("somebody-else", "other_cause/expired_credential")]
    {
        let mut case = Case::new();
        case.step("j", 10, "query", "success", json!({}));
        case.trail.push(json!({ "timestamp": time(20), "tenantId": TENANT, "principal": rotated, "step": "credential.rotated", "outcome": "success" }));
        for at in [30, 60] {
            let more =
                json!({ "status": 401, "errorCode": "bad.credentials", "errorMessage": "Invalid login credentials." });
            case.step("j", at, "metadata_injection", "failure", more);
        }
        assert_eq!(verdict(&case.failure()), expected);
    }
}

#[test]
fn throttling_and_faults_of_the_service_are_named_even_when_they_pass() {
    for (status, code, expected) in [
        (429, "too.many.requests", "other_cause/throttled"),
        (503, "SlowDown", "other_cause/throttled"),
        (500, "internal.server.error", "other_cause/service_fault"),
    ] {
        let mut case = Case::new();
        for at in [10, 20, 30] {
            case.step("j", at, "metadata_injection", "failure", json!({ "status": status, "errorCode": code }));
        }
        case.step("j", 90, "metadata_injection", "success", json!({ "status": 204 }));
        assert_eq!(verdict(&case.failure()), expected);
    }
}

#[test]
fn two_writers_that_meet_are_a_conditional_conflict() {
    let mut case = Case::new();
    let more = json!({ "status": 409, "errorCode": "OperationAborted",
        "errorMessage": "A conflicting conditional operation is currently in progress against this resource. Please try again." });
    case.step("j", 10, "upload", "failure", more);
    case.step("j", 30, "upload", "success", json!({ "status": 200 }));
    assert_eq!(verdict(&case.failure()), "sync_race/conditional_conflict");
}

#[test]
fn a_symptom_alone_is_inconclusive_and_says_what_to_collect() {
    for (outcome, more) in [("failure", forbidden()), ("timeout", timeout()), ("failure", json!({ "status": 409 }))] {
        let mut case = Case::new();
        case.step("j", 10, "metadata_injection", outcome, more);
        let failure = case.failure();
        assert_eq!(failure["class"], "inconclusive");
        assert_eq!(failure["support"], Value::Null);
        assert!(failure["reason"].as_str().is_some_and(|r| !r.is_empty()));
        assert!(!failure["next_evidence"].as_array().expect("a list").is_empty());
    }
}

#[test]
fn cloudtrail_alone_is_analysed_and_a_policy_that_leaves_out_the_service_explains_its_refusals() {
    let case = Case::new();
    let change = json!({ "eventVersion": "1.08", "eventTime": time(0), "eventSource": "s3.amazonaws.com",
        "eventName": "PutBucketPolicy", "eventID": "p", "requestParameters": { "bucketName": "logs", "bucketPolicy": {
            "Statement": [{ "Sid": "Delivery", "Effect": "Allow", "Principal": { "Service": "config.amazonaws.com" },
                "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/*" }] } } });
    let refused = |n: i64| {
        json!({ "eventVersion": "1.08", "eventTime": time(60 + n), "eventSource": "s3.amazonaws.com", "eventName": "PutObject",
            "eventID": format!("r{n}"), "errorCode": "AccessDenied", "errorMessage": "Access Denied",
            "userIdentity": { "type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com" },
            "requestParameters": { "bucketName": "logs", "key": format!("AWSLogs/{n}.json.gz") } })
    };
    let records: Vec<Value> = std::iter::once(change).chain((0..200).map(refused)).collect();
    write_cloudtrail(&case, &records);
    let failures = case.analyze();
    assert_eq!(failures.len(), 200);
    for failure in &failures {
        assert_eq!(verdict(failure), "policy_mismatch/principal_not_allowed");
        assert_eq!(failure["job_id"], Value::Null);
        assert!(failure["object_key"].as_str().is_some_and(|k| k.starts_with("AWSLogs/")));
    }
}

#[test]
fn several_recordings_of_a_job_fail_and_recover_each_by_itself() {
    let mut case = Case::new();
    for (n, recovers) in [(1, true), (2, false)] {
        let id = json!({ "recordingId": format!("r{n}"), "conversationId": "c", "objectKey": null });
        let with = |more: Value| {
            let mut all = id.clone();
            all.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
            all
        };
        case.step("j", 10 + n, "metadata_injection", "failure", with(conflict()));
        if recovers {
            case.step("j", 60, "metadata_injection", "success", with(json!({ "status": 204 })));
        }
    }
    let failures = case.analyze();
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0]["recording_id"], "r1");
    assert_eq!(failures[0]["recovered_at"], time(60));
    assert_eq!(failures[1]["recovered_at"], Value::Null);
}

#[test]
fn closeness_in_time_alone_joins_nothing() {
    let mut case = Case::new();
    case.step("j", 10, "upload", "failure", forbidden());
    let mut stranger = put_object("another", 10, Some("Access Denied"));
    stranger["requestParameters"]["bucketName"] = json!("another-bucket");
    write_cloudtrail(&case, &[stranger]);
    let failures = case.analyze();
    assert_eq!(failures.len(), 2, "the refusal of another object is a failure of its own");
}

// What follows was found by an adversary; each test is one of its finds.

#[test]
fn an_unrelated_scope_that_all_who_succeed_happen_to_share_is_not_called_missing() {
    let mut case = Case::new();
    for n in 0..12 {
        let scopes = ["recording:export", "recording:metadata:write", "analytics:report:view"];
        case.healthy(&format!("h{n}"), -90_000 + 600 * n, &scopes, &json!({ "principal": "healthy-caller" }));
    }
    case.start("j", 0, &GOOD, json!({}));
    case.step("j", 10, "metadata_injection", "timeout", timeout());
    assert_eq!(case.failure()["class"], "inconclusive");
}

#[test]
fn widening_the_refused_roles_permissions_is_an_intervention_on_the_identity_side() {
    let mut case = Case::new();
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 500, "upload", "success", json!({ "status": 200 }));
    let message = "User: arn:aws:sts::111122223333:assumed-role/Export/session is not authorized to perform: s3:PutObject because no identity-based policy allows the s3:PutObject action";
    let grant = json!({ "eventVersion": "1.10", "eventTime": time(300), "eventSource": "iam.amazonaws.com", "eventName": "AttachRolePolicy",
        "eventID": "g", "requestParameters": { "roleName": "Export", "policyArn": "arn:aws:iam::111122223333:policy/Write" } });
    write_cloudtrail(&case, &[put_object("j", 10, Some(message)), grant, put_object("j", 500, None)]);
    assert_eq!(verdict(&case.failure()), "scope_collision/identity_policy_denied");
}

#[test]
fn a_hold_that_never_ends_on_record_does_not_explain_a_failure_months_later() {
    let mut case = Case::new();
    write_audits(
        &case,
        &[
            json!({ "id": "a", "eventDate": "2025-11-01T00:00:00Z", "action": "ApplyProtection", "entityType": "Conversation",
            "entity": { "id": "conversation-j" }, "status": "SUCCESS", "serviceName": "Quality" }),
        ],
    );
    case.step("j", 10, "metadata_injection", "timeout", timeout());
    assert_eq!(case.failure()["class"], "inconclusive");
}

#[test]
fn one_hold_on_two_conversations_delays_each_by_itself() {
    let mut case = Case::new();
    for (conversation, placed, synced) in [("conversation-j", -9000, -8900), ("conversation-other", 0, 200)] {
        for (step, at) in [("legal_hold.placed", placed), ("legal_hold.synced", synced)] {
            case.trail.push(json!({ "timestamp": time(at), "conversationId": conversation, "holdId": "matter", "step": step, "outcome": "success" }));
        }
    }
    case.step("j", 10, "metadata_injection", "timeout", json!({ "holdId": "matter" }));
    assert_eq!(case.failure()["class"], "inconclusive");
}

#[test]
fn one_record_a_line_inside_a_wrapper_is_a_document_not_lines() {
    let mut case = Case::new();
    case.step("j", 10, "upload", "failure", forbidden());
    let records: Vec<String> = (0..3).map(|n| put_object("j", 10 + n, Some("Access Denied")).to_string()).collect();
    case.write("cloudtrail.json", format!("{{\"Records\":[\n{}\n]}}", records.join(",\n")));
    let policy = bucket_policy(&["s3:GetObject"], TENANT)
        .to_string()
        .replace("\"Statement\":[", "\"Statement\":[\n")
        .replace("}]}", "}\n]}");
    case.write("policy.json", policy);
    assert_eq!(verdict(&case.failure()), "policy_mismatch/action_not_allowed");
}

#[test]
fn eventbridge_lists_resources_as_plain_arns() {
    let case = Case::new();
    let detail = put_object("j", 10, Some("Access Denied"));
    let envelope = json!({ "version": "0", "detail-type": "AWS API Call via CloudTrail", "resources": ["arn:aws:s3:::exports"], "detail": detail });
    case.write("events.ndjson", envelope.to_string());
    assert_eq!(case.failure()["bucket"], "exports");
}

#[test]
fn a_failed_job_without_a_failing_attempt_on_record_is_a_failure_itself() {
    let mut case = Case::new();
    case.start("j", 0, &GOOD, json!({}));
    case.trail.push(
        json!({ "timestamp": time(5), "jobId": "j", "principal": "caller", "step": "job.failed", "outcome": "failure",
        "status": 403, "errorMessage": "Forbidden" }),
    );
    let failure = case.failure();
    assert_eq!(
        (failure["job_id"].as_str(), failure["recording_id"].as_str(), failure["step"].as_str()),
        (Some("j"), None, Some("job"))
    );
}

#[test]
fn caller_and_bucket_stated_only_at_the_jobs_start_hold_for_its_records() {
    let mut case = Case::new();
    case.contrast();
    case.write("policy.json", bucket_policy(&["s3:GetObject"], TENANT).to_string());
    case.start("j", 0, &GOOD, json!({}));
    case.step(
        "j",
        10,
        "upload",
        "failure",
        json!({ "status": 403, "principal": null, "bucket": null, "tenantId": null }),
    );
    let failure = case.failure();
    assert_eq!((failure["principal"].as_str(), failure["bucket"].as_str()), (Some("caller"), Some("exports")));
    assert_eq!(verdict(&failure), "policy_mismatch/action_not_allowed");
}

#[test]
fn the_same_policy_written_again_changes_nothing() {
    let mut case = Case::new();
    let put = |at| {
        json!({ "eventVersion": "1.10", "eventTime": time(at), "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy",
            "eventID": format!("p{at}"), "requestParameters": { "bucketName": "exports", "bucketPolicy": bucket_policy(&["s3:PutObject"], TENANT) } })
    };
    case.step("j", 10, "metadata_injection", "failure", conflict());
    case.step("j", 200, "metadata_injection", "success", json!({ "status": 204 }));
    write_cloudtrail(&case, &[put(-500), put(100)]);
    assert_eq!(verdict(&case.failure()), "sync_race/hold_conflict");
}

#[test]
fn a_prefix_before_the_tenant_in_the_object_key_is_no_other_tenant() {
    let mut case = Case::new();
    let key =
        format!("exports/{TENANT}/year=2026/month=3/day=2/hour=1/conversation_id=conversation-j/recording-j.opus");
    case.step("j", 10, "upload", "failure", json!({ "status": 403, "objectKey": key }));
    assert_eq!(case.failure()["class"], "inconclusive");
}

#[test]
fn a_role_given_to_the_caller_is_a_grant_of_what_the_role_allows() {
    let mut case = Case::new();
    case.contrast();
    case.write(
        "role.json",
        json!({ "id": "role-1", "name": "Exporter", "permissionPolicies": [
        { "domain": "recording", "entityName": "metadata", "actionSet": ["write"] }] })
        .to_string(),
    );
    let mut grant = audit("caller", 900, &[], &["role-1"]);
    grant["propertyChanges"][0]["property"] = json!("roles");
    write_audits(&case, &[grant]);
    case.start("j", 0, &["recording:export"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", forbidden());
    case.step("j", 1000, "metadata_injection", "success", json!({ "status": 204 }));
    let failure = case.failure();
    assert_eq!(verdict(&failure), "scope_collision/missing_scope");
    assert_eq!(failure["missing_permissions"], json!(["recording:metadata:write"]));
}

#[test]
fn a_source_whose_clock_is_off_is_recognised_by_shared_requests_and_put_right() {
    let mut case = Case::new();
    let mut records = Vec::new();
    let skew = -2400;
    for n in 0..4 {
        let job = format!("h{n}");
        case.step(&job, -4000 + n, "upload", "success", json!({ "correlationId": format!("request-{n}") }));
        let mut put = put_object(&job, -4000 + n + skew, None);
        put["requestID"] = json!(format!("request-{n}"));
        records.push(put);
    }
    // By CloudTrail's own clock the policy was put right before the first refusal.
    let put = |at: i64, actions: &[&str]| {
        json!({ "eventVersion": "1.10", "eventTime": time(at + skew), "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy",
            "eventID": format!("p{at}"), "requestParameters": { "bucketName": "exports", "bucketPolicy": bucket_policy(actions, TENANT) } })
    };
    case.step("j", 10, "upload", "failure", forbidden());
    case.step("j", 700, "upload", "success", json!({ "status": 200 }));
    records.extend([
        put(-3000, &["s3:GetObject"]),
        put(600, &["s3:PutObject"]),
        put_object("j", 10 + skew, Some("Access Denied")),
    ]);
    write_cloudtrail(&case, &records);
    assert_eq!(verdict(&case.failure()), "policy_mismatch/action_not_allowed");
    let json: Value =
        serde_json::from_str(&crate::support::run(case.path(), &["analyze", ".", "--format", "json"]).stdout)
            .expect("JSON");
    assert_eq!(json["coverage"]["clocks"][0]["offset_seconds"], -2400.0);
    assert_eq!(json["coverage"]["clocks"][0]["applied"], true);
}

#[test]
fn a_grant_that_had_not_yet_reached_every_server_still_explains_the_success() {
    let mut case = Case::new();
    case.contrast();
    write_audits(&case, &[audit("caller", 900, &[], &["recording:metadata:write"])]);
    case.start("j", 0, &["recording:export"], json!({}));
    case.step("j", 10, "metadata_injection", "failure", forbidden());
    case.step("j", 905, "metadata_injection", "failure", forbidden());
    case.step("j", 960, "metadata_injection", "success", json!({ "status": 204 }));
    assert_eq!(verdict(&case.failure()), "scope_collision/missing_scope");
}
