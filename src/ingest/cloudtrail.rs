//! AWS CloudTrail: deliveries (`Records`), JSON lines, `lookup-events`, EventBridge and CloudWatch Logs envelopes.
//!
//! Source: CloudTrail record contents, user guide. A record carries no HTTP status; see [`super::status::of_aws_code`].

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::adapter::{Adapter, Record, Refusal, Sink, read_message_arns, read_object_key};
use super::cloudtrail_changes as changes;
use super::cloudtrail_record::{Identity, Members, Resource, parse};
use super::cloudtrail_secrets as secrets;
use super::event::{Event, Outcome, Text};
use super::loose::Loose;
use super::status;
use crate::evidence::{Locator, Sample};

/// The adapter.
pub struct CloudTrail;

/// The service whose answers name the credentials that it issues.
const STS: &str = "sts.amazonaws.com";

/// What a record says of the one that it amends.
#[derive(Deserialize)]
struct Addendum<'a> {
    #[serde(borrow, default, rename = "originalEventID")]
    original: Loose<'a>,
}

/// What STS answers: the key that later calls are made with. The secret and the token are passed over.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    credentials: Option<Credentials<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    #[serde(borrow, default)]
    access_key_id: Loose<'a>,
}

/// Forms in which a record comes wrapped.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "CloudTrailEvent")]
    lookup: Loose<'a>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "@message")]
    message: Option<&'a RawValue>,
}

impl Adapter for CloudTrail {
    fn name(&self) -> &'static str {
        "cloudtrail"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        let is_record = |v: &Value| v.get("eventName").is_some() && v.get("eventSource").is_some();
        sample.records.iter().any(|record| {
            is_record(record)
                || record.get("CloudTrailEvent").is_some()
                || record.get("detail").is_some_and(is_record)
                || record
                    .get("@message")
                    .is_some_and(|m| is_record(m) || m.as_str().is_some_and(|s| s.contains("eventSource")))
        })
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let by_layout = Members::by_layout(record.text);
        let is_known = by_layout.is_some();
        if let Some(members) = by_layout.filter(Members::are_enough) {
            return read_record(members, record.text, record.at, sink);
        }
        let raw = parse(record.text)?;
        if raw.event_name.0.is_some() {
            // One that failed would not be read by its layout.
            let is_new = !is_known && raw.error_code.0.is_none();
            read_record(Members::of_raw(raw), record.text, record.at, sink)?;
            if is_new {
                Members::learn(record.text);
            }
            return Ok(());
        }
        let envelope: Envelope<'_> = serde_json::from_str(record.text).map_err(|e| Refusal::not_json(&e))?;
        let inner = match (&envelope.lookup.0, envelope.detail.or(envelope.message)) {
            (Some(text), _) => Cow::Borrowed(text.as_ref()),
            (None, Some(raw)) if raw.get().starts_with('"') => {
                Cow::Owned(serde_json::from_str::<String>(raw.get()).map_err(|e| Refusal::not_json(&e))?)
            }
            (None, Some(raw)) => Cow::Borrowed(raw.get()),
            (None, None) => return Err(Refusal::NotMine),
        };
        read_record(Members::of_raw(parse(&inner)?), &inner, record.at, sink)
    }
}

impl Members<'_> {
    /// Whether nothing else of the record is read, given that it did not fail.
    fn are_enough(&self) -> bool {
        let name = self.raw.event_name.as_deref().unwrap_or("");
        let service = self.raw.event_source.as_deref().unwrap_or("");
        service != STS && service != secrets::SERVICE && !changes::concerns(name)
    }
}

fn read_record(members: Members<'_>, text: &str, at: Locator, sink: &mut Sink<'_>) -> Result<(), Refusal> {
    let Members { raw, parameters, resources } = members;
    let (Some(name), Some(service)) = (raw.event_name.0.clone(), raw.event_source.as_deref()) else {
        return Err(Refusal::NotMine);
    };
    let mut event = Event::default();
    event.time = raw.event_time.as_deref().map(|text| sink.time(text)).transpose()?.flatten();
    settle_outcome(&mut event, raw.error_code, raw.error_message, sink);
    let user_id = raw.user_identity.as_ref().and_then(|identity| identity.principal_id.0.clone());
    identify(&mut event, raw.user_identity);
    event.set(Text::Operation, Some(name.clone()));
    event.set(Text::Region, raw.aws_region.0);
    event.set(Text::RequestId, raw.request_id.0);
    event.set(Text::Uid, raw.event_id.0);
    let addendum = raw.addendum.and_then(|a| serde_json::from_str::<Addendum<'_>>(a.get()).ok());
    event.set(Text::Amends, addendum.and_then(|addendum| addendum.original.0));
    if service == STS {
        let answer = raw.response_elements.and_then(|a| serde_json::from_str::<Answer<'_>>(a.get()).ok());
        let issued = answer.and_then(|answer| answer.credentials).and_then(|credentials| credentials.access_key_id.0);
        event.set(Text::IssuedCredential, issued);
    }
    event.set(Text::Bucket, parameters.bucket_name.0);
    event.set(Text::ObjectKey, parameters.key.0);
    event.set(Text::RoleArn, parameters.role_arn.0);
    event.set(Text::ExternalId, parameters.external_id.0);
    if service == "kms.amazonaws.com" {
        event.set(Text::KeyArn, parameters.key_id.0);
    }
    if event.get(Text::SessionName).is_none() {
        event.set(Text::SessionName, parameters.role_session_name.0);
    }
    if event.outcome != Outcome::Success && service == "s3.amazonaws.com" {
        let context = request_context(
            raw.request_parameters,
            raw.vpc_endpoint_id.as_deref(),
            raw.tls_details.is_some(),
            user_id.as_deref(),
        );
        event.set(Text::RequestContext, context);
    }
    from_resources(&mut event, resources);
    if let Some(object) = parameters.encryption_context.as_ref().and_then(|c| c.object.as_deref()) {
        name_object(&mut event, object);
    }
    from_message(&mut event);
    read_message_arns(&mut event);
    read_object_key(&mut event);
    if event.outcome == Outcome::Success
        && let Some(parameters) = raw.request_parameters
        && changes::concerns(&name)
    {
        changes::note(&event, &name, parameters.get(), at, sink);
    }
    if service == secrets::SERVICE {
        secrets::note(&mut event, &name, text, at, sink);
    }
    sink.event(&event, at);
    Ok(())
}

/// What a refused S3 request shows of the keys that policies put conditions on: its `x-amz-` headers, the VPC endpoint,
/// TLS. Only the first words of a value are kept; none of these has more. `None` where the parameters are not logged.
fn request_context(
    parameters: Option<&RawValue>,
    endpoint: Option<&str>,
    tls: bool,
    user_id: Option<&str>,
) -> Option<String> {
    let Ok(Value::Object(parameters)) = serde_json::from_str::<Value>(parameters?.get()) else { return None };
    let headers = parameters.iter().filter(|(name, _)| name.starts_with("x-amz-"));
    let mut keys: Vec<String> = headers
        .filter_map(|(name, value)| Some(format!("s3:{name}={}", value.as_str()?.split_whitespace().next()?)))
        .collect();
    keys.extend(endpoint.map(|id| format!("aws:SourceVpce={id}")));
    keys.extend(tls.then(|| "aws:SecureTransport=true".to_owned()));
    keys.extend(user_id.map(|id| format!("aws:userid={id}")));
    keys.push("s3:bucket=known".to_owned());
    Some(keys.join(" "))
}

fn settle_outcome<'a>(event: &mut Event<'a>, code: Loose<'a>, message: Loose<'a>, sink: &mut Sink<'_>) {
    let message = message.0.map(|text| sink.clean(text));
    match code.0 {
        None => event.outcome = Outcome::Success,
        Some(code) => {
            event.http_status = status::of_aws_code(&code);
            event.outcome = status::settle(Some(Outcome::Failure), event.http_status, Some(&code), message.as_deref());
            event.set(Text::ErrorCode, Some(code));
        }
    }
    event.set(Text::ErrorMessage, message);
}

/// Who called. AWS services carry only `invokedBy`; callers of other accounts carry no ARN.
fn identify<'a>(event: &mut Event<'a>, identity: Option<Identity<'a>>) {
    let Some(identity) = identity else { return };
    let session = identity.principal_id.as_deref().and_then(|id| id.split_once(':')).map(|(_, s)| s.to_owned());
    event.set(Text::SessionName, session);
    event.set(Text::Credential, identity.access_key_id.0);
    let service = identity.kind.as_deref() == Some("AWSService");
    let arn = if service { identity.invoked_by.0 } else { identity.arn.0.or(identity.invoked_by.0) };
    let account = identity.account_id.0.filter(|_| identity.kind.as_deref() == Some("AWSAccount"));
    event.set(Text::Principal, arn.or(account).or(identity.principal_id.0));
}

fn from_resources<'a>(event: &mut Event<'a>, resources: Vec<Resource<'a>>) {
    for arn in resources.into_iter().filter_map(|r| r.arn.0) {
        if arn.starts_with("arn:aws:s3:::") {
            name_object(event, &arn);
        } else if arn.contains(":role/") && event.get(Text::RoleArn).is_none() {
            event.set(Text::RoleArn, Some(arn));
        } else if arn.contains(":kms:") && event.get(Text::KeyArn).is_none() {
            event.set(Text::KeyArn, Some(arn));
        }
    }
}

/// Fills in bucket and object of an S3 ARN, where the record does not name them itself.
fn name_object(event: &mut Event<'_>, arn: &str) {
    let Some(rest) = arn.strip_prefix("arn:aws:s3:::") else { return };
    let (bucket, key) = rest.split_once('/').map_or((rest, None), |(b, k)| (b, Some(k)));
    if event.get(Text::Bucket).is_none() {
        event.set(Text::Bucket, Some(bucket.to_owned()));
    }
    if event.get(Text::ObjectKey).is_none() {
        event.set(Text::ObjectKey, key.filter(|k| !k.contains('*')).map(str::to_owned));
    }
}

/// A refused `AssumeRole` has null request parameters: the role, and for callers of other accounts the caller, stand
/// only in the message (seen in real records).
fn from_message(event: &mut Event<'_>) {
    let Some(message) = event.get(Text::ErrorMessage) else { return };
    let after = |marker: &str| {
        let (_, rest) = message.split_once(marker)?;
        let word = rest.split(|c: char| c.is_whitespace() || c == '"').find(|w| !w.is_empty())?;
        Some(word.trim_end_matches(['.', ',']).to_owned())
    };
    let user = after("User: ");
    if event.get(Text::Principal).is_none_or(|p| !p.starts_with("arn:"))
        && let Some(user) = user.filter(|arn| arn.starts_with("arn:"))
    {
        if event.get(Text::SessionName).is_none() {
            event.set(Text::SessionName, user.rsplit('/').next().map(str::to_owned));
        }
        event.set(Text::Principal, Some(user));
    }
}
