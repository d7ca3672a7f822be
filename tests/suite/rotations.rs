//! Rotations in Secrets Manager. Synthetic, in the form of real service events and `PutSecretValue` records.

use serde_json::{Value, json};

use crate::support::{Case, time, verdict};

const CLIENT: &str = "918a8d5c-b517-41b1-92b0-31f221cfd71c";
const ARN: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:";

/// A job of `CLIENT` whose credential is refused at 60 and 120 seconds; its trail begins at 10.
fn refused(more: &Value) -> Case {
    let mut case = Case::new();
    case.step("j", 10, "query", "success", json!({ "principal": CLIENT }));
    for at in [60, 120] {
        let mut record = json!({ "principal": CLIENT, "status": 401, "errorCode": "bad.credentials",
            "errorMessage": "Invalid login credentials." });
        for (name, value) in more.as_object().expect("an object") {
            record[name] = value.clone();
        }
        case.step("j", at, "metadata_injection", "failure", record);
    }
    case
}

fn event(name: &str, at: i64, data: &Value) -> Value {
    json!({ "eventVersion": "1.08", "eventTime": time(at), "eventSource": "secretsmanager.amazonaws.com", "eventName": name,
        "eventType": "AwsServiceEvent", "awsRegion": "eu-west-1", "eventID": format!("{name}-{at}"),
        "userIdentity": { "accountId": "111122223333", "invokedBy": "secretsmanager.amazonaws.com" },
        "requestID": format!("Rotation-{ARN}x-{at}"), "requestParameters": null, "responseElements": null,
        "additionalEventData": data })
}

fn api(name: &str, at: i64, parameters: &Value) -> Value {
    json!({ "eventVersion": "1.08", "eventTime": time(at), "eventSource": "secretsmanager.amazonaws.com", "eventName": name,
        "eventType": "AwsApiCall", "eventID": format!("{name}-{at}"), "requestID": format!("r-{at}"),
        "userIdentity": { "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Rotator/rotate" },
        "requestParameters": parameters, "responseElements": null })
}

fn class(case: &Case, records: &[Value]) -> String {
    case.write("cloudtrail.json", json!({ "Records": records }).to_string());
    verdict(&case.failure())
}

const ROTATED: &str = "other_cause/credential_rotation";
const NOT_ROTATED: &str = "other_cause/expired_credential";

#[test]
fn a_rotation_that_succeeded_within_the_job_explains_refused_credentials() {
    let secret = format!("{ARN}genesys/{CLIENT}-AbC123");
    for data in [json!({ "SecretId": secret }), json!({ "ARN": secret, "Name": "x" }), json!({ "aRN": secret })] {
        assert_eq!(class(&refused(&json!({})), &[event("RotationSucceeded", 30, &data)]), ROTATED, "{data}");
    }
    let mut elsewhere = event("RotationSucceeded", 30, &Value::Null);
    elsewhere["serviceEventDetails"] = json!({ "secretId": secret });
    assert_eq!(class(&refused(&json!({})), &[elsewhere]), ROTATED);
}

#[test]
fn a_rotation_that_only_began_or_failed_is_none() {
    let data = json!({ "SecretId": format!("{ARN}genesys/{CLIENT}-AbC123") });
    for name in
        ["RotationStarted", "RotationFailed", "RotationAbandoned", "TestRotationFailed", "StartSecretVersionDelete"]
    {
        assert_eq!(class(&refused(&json!({})), &[event(name, 30, &data)]), NOT_ROTATED, "{name}");
    }
    let failed = event("RotationFailed", 30, &data);
    let case = refused(&json!({}));
    case.write("cloudtrail.json", json!({ "Records": [failed] }).to_string());
    let outcomes = crate::formats::column(&case, "outcome");
    assert_eq!(outcomes, [Some("failure".to_owned())], "it carries no error code, but its name says so");
}

#[test]
fn a_version_that_is_put_in_use_is_a_new_credential_and_one_that_is_not_is_none() {
    let secret = format!("{ARN}{CLIENT}-AbC123");
    let of = |more: Value| {
        let mut parameters = json!({ "secretId": secret, "clientRequestToken": "t" });
        parameters.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        parameters
    };
    for (name, parameters, expected) in [
        ("PutSecretValue", of(json!({})), ROTATED),
        ("PutSecretValue", of(json!({ "versionStages": ["AWSCURRENT"] })), ROTATED),
        ("PutSecretValue", of(json!({ "versionStages": ["AWSPENDING"] })), NOT_ROTATED),
        (
            "UpdateSecretVersionStage",
            of(json!({ "versionStage": "AWSCURRENT", "moveToVersionId": "v2", "removeFromVersionId": "v1" })),
            ROTATED,
        ),
        (
            "UpdateSecretVersionStage",
            of(json!({ "versionStage": "AWSPENDING", "removeFromVersionId": "v1" })),
            NOT_ROTATED,
        ),
        ("UpdateSecret", of(json!({ "description": "x" })), NOT_ROTATED),
        ("RotateSecret", of(json!({})), NOT_ROTATED),
        ("GetSecretValue", of(json!({})), NOT_ROTATED),
    ] {
        assert_eq!(class(&refused(&json!({})), &[api(name, 30, &parameters)]), expected, "{name} {parameters}");
    }
    let mut denied = api("PutSecretValue", 30, &of(json!({})));
    denied["errorCode"] = json!("AccessDeniedException");
    assert_eq!(class(&refused(&json!({})), &[denied]), NOT_ROTATED);
}

#[test]
fn a_secret_is_the_jobs_only_if_something_says_so() {
    let rotation = |secret: &str| event("RotationSucceeded", 30, &json!({ "SecretId": secret }));
    // By the client's id in its name, by a part of the name, by the secret that the calls say they were made with.
    for secret in [format!("{ARN}export-{CLIENT}-prod-AbC123"), format!("{ARN}a/{CLIENT}/b-AbC123"), CLIENT.to_owned()]
    {
        assert_eq!(class(&refused(&json!({})), &[rotation(&secret)]), ROTATED, "{secret}");
    }
    let other = format!("{ARN}exporter/prod-AbC123");
    assert_eq!(class(&refused(&json!({})), &[rotation(&other)]), NOT_ROTATED);
    for credential in [other.as_str(), "exporter/prod"] {
        assert_eq!(class(&refused(&json!({ "credential": credential })), &[rotation(&other)]), ROTATED, "{credential}");
    }
    // A name that merely begins like it.
    assert_eq!(class(&refused(&json!({})), &[rotation(&format!("{ARN}{}-AbC123", &CLIENT[..30]))]), NOT_ROTATED);
}

#[test]
fn a_rotation_of_another_secret_between_failing_and_succeeding_is_set_aside_and_listed() {
    let mut case = refused(&json!({}));
    case.step("j", 300, "metadata_injection", "success", json!({ "principal": CLIENT, "status": 204 }));
    let other = format!("{ARN}exporter/prod-AbC123");
    case.write(
        "cloudtrail.json",
        json!({ "Records": [event("RotationSucceeded", 200, &json!({ "SecretId": other }))] }).to_string(),
    );
    let failure = case.failure();
    assert_ne!(verdict(&failure), ROTATED);
    let own = format!("{ARN}{CLIENT}-AbC123");
    case.write(
        "cloudtrail.json",
        json!({ "Records": [event("RotationSucceeded", 200, &json!({ "SecretId": own }))] }).to_string(),
    );
    assert_eq!(verdict(&case.failure()), ROTATED);
}

#[test]
fn an_access_key_that_was_switched_off_is_found_by_its_id() {
    let mut case = Case::new();
    let refusal = json!({ "status": 403, "errorCode": "InvalidAccessKeyId", "credential": "AKIAEXAMPLE" });
    case.step("j", 10, "query", "success", json!({}));
    case.step("j", 60, "upload", "failure", refusal);
    let mut record = api(
        "UpdateAccessKey",
        30,
        &json!({ "userName": "exporter", "accessKeyId": "AKIAEXAMPLE", "status": "Inactive" }),
    );
    record["eventSource"] = json!("iam.amazonaws.com");
    assert_eq!(class(&case, &[record]), ROTATED);
}
