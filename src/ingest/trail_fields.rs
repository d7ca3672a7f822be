//! The fields of an export trail and every name they go by (DESIGN section 4).

/// A field of the export trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Timestamp,
    JobId,
    ConversationId,
    RecordingId,
    TenantId,
    Region,
    Step,
    Outcome,
    Status,
    ErrorCode,
    ErrorMessage,
    Attempt,
    Duration,
    Principal,
    Scopes,
    HoldAcknowledged,
    HoldId,
    MediaType,
    Bucket,
    ObjectKey,
    CorrelationId,
    Queue,
    Credential,
}

/// Number of fields.
pub const FIELDS: usize = Field::Credential as usize + 1;

/// The field a folded name stands for, and its rank: where a record has several names of one field, the lowest wins.
#[must_use]
pub fn field_of(folded: &str) -> Option<(Field, u8)> {
    use Field as F;
    Some(match folded {
        "timestamp" => (F::Timestamp, 0),
        "time" => (F::Timestamp, 1),
        "ts" => (F::Timestamp, 2),
        "eventtime" => (F::Timestamp, 3),
        "eventdate" => (F::Timestamp, 4),
        "jobid" => (F::JobId, 0),
        "job" => (F::JobId, 1),
        "exportjobid" => (F::JobId, 2),
        "bulkjobid" => (F::JobId, 3),
        "conversationid" => (F::ConversationId, 0),
        "interactionid" => (F::ConversationId, 1),
        "conversation" => (F::ConversationId, 2),
        "recordingid" => (F::RecordingId, 0),
        "mediaid" => (F::RecordingId, 1),
        "recording" => (F::RecordingId, 2),
        "tenantid" => (F::TenantId, 0),
        "organizationid" => (F::TenantId, 1),
        "orgid" => (F::TenantId, 2),
        "tenant" => (F::TenantId, 3),
        "region" => (F::Region, 0),
        "awsregion" => (F::Region, 1),
        "cloudregion" => (F::Region, 2),
        "step" => (F::Step, 0),
        "stage" => (F::Step, 1),
        "phase" => (F::Step, 2),
        "event" => (F::Step, 3),
        "stepname" | "stagename" | "eventname" => (F::Step, 4),
        "outcome" => (F::Outcome, 0),
        "result" => (F::Outcome, 1),
        "httpstatus" => (F::Status, 0),
        "statuscode" => (F::Status, 1),
        "httpstatuscode" => (F::Status, 2),
        "responsestatus" => (F::Status, 3),
        "responsestatuscode" => (F::Status, 4),
        "status" => (F::Status, 5),
        "errorcode" => (F::ErrorCode, 0),
        "code" => (F::ErrorCode, 1),
        "responsecode" => (F::ErrorCode, 2),
        "errormessage" => (F::ErrorMessage, 0),
        "message" => (F::ErrorMessage, 1),
        "reason" => (F::ErrorMessage, 2),
        "responsemessage" => (F::ErrorMessage, 3),
        "error" | "errorreason" | "errordescription" => (F::ErrorMessage, 4),
        "attempt" => (F::Attempt, 0),
        "retry" => (F::Attempt, 1),
        "try" => (F::Attempt, 2),
        "attemptnumber" => (F::Attempt, 3),
        "durationms" => (F::Duration, 0),
        "duration" => (F::Duration, 1),
        "latencyms" => (F::Duration, 2),
        "elapsedms" => (F::Duration, 3),
        "principal" => (F::Principal, 0),
        "actor" => (F::Principal, 1),
        "serviceaccount" => (F::Principal, 2),
        "clientid" => (F::Principal, 3),
        "principalid" | "actorid" | "serviceaccountid" => (F::Principal, 4),
        "scopes" => (F::Scopes, 0),
        "grantedscopes" => (F::Scopes, 1),
        "tokenscopes" => (F::Scopes, 2),
        "legalholdacknowledgement" | "legalholdacknowledgment" => (F::HoldAcknowledged, 0),
        "holdack" => (F::HoldAcknowledged, 1),
        "requestlegalholdacknowledgement" => (F::HoldAcknowledged, 2),
        "holdid" => (F::HoldId, 0),
        "legalholdid" => (F::HoldId, 1),
        "mediatype" => (F::MediaType, 0),
        "media" => (F::MediaType, 1),
        "channel" => (F::MediaType, 2),
        "bucket" => (F::Bucket, 0),
        "s3bucket" => (F::Bucket, 1),
        "bucketname" | "s3bucketname" => (F::Bucket, 2),
        "objectkey" => (F::ObjectKey, 0),
        "s3key" => (F::ObjectKey, 1),
        "key" => (F::ObjectKey, 2),
        "s3objectkey" => (F::ObjectKey, 3),
        "correlationid" => (F::CorrelationId, 0),
        "inincorrelationid" => (F::CorrelationId, 1),
        "contextid" => (F::CorrelationId, 2),
        "traceid" => (F::CorrelationId, 3),
        "requestid" => (F::CorrelationId, 4),
        "queue" | "queueid" => (F::Queue, 0),
        "credential" | "accesskeyid" => (F::Credential, 0),
        _ => return None,
    })
}

/// The steps that are known by their canonical names.
pub const STEPS: [&str; 14] = [
    "query",
    "metadata_injection",
    "hold_sync",
    "export",
    "upload",
    "verify",
    "probe",
    "legal_hold.placed",
    "legal_hold.synced",
    "legal_hold.released",
    "credential.rotated",
    "job.started",
    "job.failed",
    "job.completed",
];

/// The canonical name of a step; unknown steps keep their own, folded name.
#[must_use]
pub fn canonical_step(folded: &str) -> &str {
    match folded {
        "metadatainjection" | "injectmetadata" | "metadatainject" => "metadata_injection",
        "holdsync" | "legalholdsync" => "hold_sync",
        "legalholdplaced" | "holdplaced" => "legal_hold.placed",
        "legalholdsynced" | "holdsynced" => "legal_hold.synced",
        "legalholdreleased" | "holdreleased" => "legal_hold.released",
        "credentialrotated" | "credentialsrotated" => "credential.rotated",
        "jobstarted" => "job.started",
        "jobfailed" => "job.failed",
        "jobcompleted" => "job.completed",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{STEPS, canonical_step};
    use crate::ingest::fold;

    #[test]
    fn canonical_names_of_steps_are_their_own_canonical_names() {
        assert_eq!(STEPS.map(|step| canonical_step(fold(step).as_str()).to_owned()), STEPS);
    }
}
