//! From error codes and words to HTTP statuses and outcomes.

use std::sync::LazyLock;

use regex::Regex;

use super::event::Outcome;
use super::fold::fold;

/// HTTP status of an AWS error code; CloudTrail records carry the code only.
///
/// Source: the S3 error code list of the AWS documentation (403, 409, 412, 500, 503 groups); STS, IAM and KMS codes from
/// their API references. `Client.` and `Server.` prefixes are EC2's. Unknown codes give `None`, not a guess.
#[must_use]
pub fn of_aws_code(code: &str) -> Option<u16> {
    let code = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    Some(match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "NotAuthorized"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "CrossLocationLoggingProhibited"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidObjectState"
        | "InvalidPayer"
        | "InvalidRegion"
        | "InvalidSecurity"
        | "MissingAuthenticationToken"
        | "NotSignedUp"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnauthorizedAccessError"
        | "UnexpectedIPError"
        | "OptInRequired" => 403,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "RequestTimeout"
        | "InvalidRequest"
        | "MalformedXML"
        | "ValidationException"
        | "InvalidParameterValue" => 400,
        "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchUpload"
        | "NoSuchVersion"
        | "NoSuchBucketPolicy"
        | "NoSuchEntity"
        | "NoSuchEntityException"
        | "NotFoundException"
        | "ObjectLockConfigurationNotFoundError"
        | "NoSuchObjectLockConfiguration" => 404,
        "AccessPointAlreadyOwnedByYou"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "BucketNotEmpty"
        | "ClientTokenConflict"
        | "ConditionalRequestConflict"
        | "InvalidBucketState"
        | "OperationAborted"
        | "RestoreAlreadyInProgress"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "EntityTemporarilyUnmodifiable"
        | "EntityTemporarilyUnmodifiableException" => 409,
        "PreconditionFailed" => 412,
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled" => 429,
        "InternalError" | "InternalFailure" | "InternalServerError" | "KMSInternalException" => 500,
        "SlowDown" | "503 SlowDown" | "ServiceUnavailable" | "ServiceUnavailableException" | "Busy" | "Unavailable" => {
            503
        }
        "GatewayTimeout" | "DependencyTimeoutException" => 504,
        _ => return None,
    })
}

/// HTTP status of a Genesys Cloud error code (the table of the error body's `code`), where the record names none.
#[must_use]
pub fn of_genesys_code(code: &str) -> Option<u16> {
    let folded: String = code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    Some(match folded.as_str() {
        "authenticationrequired" | "badcredentials" | "credentialsexpired" | "unauthorized" => 401,
        "missinganypermissions" | "missingpermissions" | "notauthorized" | "forbidden" => 403,
        "conflict" | "generalconflict" | "metadataconflict" => 409,
        "toomanyrequests" => 429,
        "internalservererror" => 500,
        "serviceunavailable" => 503,
        "requesttimeout" | "authenticationrequesttimeout" | "metadatainjectiontimeout" => 504,
        _ => return None,
    })
}

/// Whether words in an error code or message say that time ran out.
#[must_use]
pub fn says_timeout(text: &str) -> bool {
    static WORDS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("(?i)time-?out|timed out|time out|deadline exceeded").expect("a fixed pattern"));
    WORDS.is_match(text)
}

/// The outcome a word stands for.
#[must_use]
pub fn outcome_of(word: &str) -> Option<Outcome> {
    // What nearly all say.
    if word == "success" {
        return Some(Outcome::Success);
    }
    Some(match fold(word).as_str() {
        "success" | "succeeded" | "successful" | "ok" | "completed" | "complete" | "passed" | "done" | "true" => {
            Outcome::Success
        }
        "failure" | "failed" | "fail" | "error" | "denied" | "rejected" | "refused" | "false" => Outcome::Failure,
        "timeout" | "timedout" => Outcome::Timeout,
        _ => return None,
    })
}

/// Puts together what a record says of its outcome (DESIGN section 4): a timeout is said by the outcome, by 408 or 504,
/// or, where no other status contradicts it, by the code or message.
#[must_use]
pub fn settle(said: Option<Outcome>, status: Option<u16>, code: Option<&str>, message: Option<&str>) -> Outcome {
    match (said, status) {
        (Some(Outcome::Success), _) | (None, Some(100..=399)) => Outcome::Success,
        (_, Some(408 | 504)) | (Some(Outcome::Timeout), _) => Outcome::Timeout,
        // S3 answers RequestTimeout with 400.
        (_, Some(400)) if code.is_some_and(says_timeout) => Outcome::Timeout,
        (_, Some(400..=499)) => Outcome::Failure,
        _ if code.is_some_and(says_timeout) || message.is_some_and(says_timeout) => Outcome::Timeout,
        (_, Some(_)) | (Some(_), None) => said.filter(|s| *s != Outcome::Unknown).unwrap_or(Outcome::Failure),
        (None, None) if code.is_some() => Outcome::Failure,
        (None, None) => Outcome::Unknown,
    }
}
