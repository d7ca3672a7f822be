//! What is read of a CloudTrail record before it is an event.

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::adapter::Refusal;
use super::layouts::{Kind, Layouts, Step, Use};
use super::loose::Loose;

/// A record whose members are read, but not yet understood. By its layout less is found of it than of JSON; of a call that
/// got through it is enough.
#[derive(Default)]
pub struct Members<'a> {
    pub raw: Raw<'a>,
    pub parameters: Parameters<'a>,
    pub resources: Vec<Resource<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Raw<'a> {
    #[serde(borrow, default)]
    pub event_time: Loose<'a>,
    #[serde(borrow, default)]
    pub event_name: Loose<'a>,
    #[serde(borrow, default)]
    pub event_source: Loose<'a>,
    #[serde(borrow, default)]
    pub aws_region: Loose<'a>,
    #[serde(borrow, default)]
    pub error_code: Loose<'a>,
    #[serde(borrow, default)]
    pub error_message: Loose<'a>,
    #[serde(borrow, default, rename = "requestID")]
    pub request_id: Loose<'a>,
    #[serde(borrow, default, rename = "eventID")]
    pub event_id: Loose<'a>,
    #[serde(borrow, default)]
    pub user_identity: Option<Identity<'a>>,
    #[serde(borrow, default)]
    pub request_parameters: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub resources: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub vpc_endpoint_id: Loose<'a>,
    #[serde(borrow, default)]
    pub tls_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub response_elements: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub addendum: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Loose<'a>,
    #[serde(borrow, default)]
    pub arn: Loose<'a>,
    #[serde(borrow, default)]
    pub principal_id: Loose<'a>,
    #[serde(borrow, default)]
    pub account_id: Loose<'a>,
    #[serde(borrow, default)]
    pub access_key_id: Loose<'a>,
    #[serde(borrow, default)]
    pub invoked_by: Loose<'a>,
}

#[derive(Default, Deserialize)]
pub struct Resource<'a> {
    #[serde(borrow, default, rename = "ARN")]
    pub arn: Loose<'a>,
}

/// The request parameters that correlation needs; everything else is passed over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters<'a> {
    #[serde(borrow, default)]
    pub bucket_name: Loose<'a>,
    #[serde(borrow, default)]
    pub key: Loose<'a>,
    #[serde(borrow, default)]
    pub role_arn: Loose<'a>,
    #[serde(borrow, default)]
    pub role_session_name: Loose<'a>,
    #[serde(borrow, default)]
    pub external_id: Loose<'a>,
    #[serde(borrow, default)]
    pub key_id: Loose<'a>,
    #[serde(borrow, default)]
    pub encryption_context: Option<EncryptionContext<'a>>,
}

/// S3 names the object for which it asks KMS for a key.
#[derive(Default, Deserialize)]
pub struct EncryptionContext<'a> {
    #[serde(borrow, default, rename = "aws:s3:arn")]
    pub object: Loose<'a>,
}

/// Where a member goes that is read of a record by its layout.
type Place = for<'m, 'a> fn(&'m mut Members<'a>) -> &'m mut Loose<'a>;

thread_local! {
    static LAYOUTS: RefCell<Layouts<Place>> = RefCell::new(Layouts::new(stands_for));
}

/// What the value at the end of a path stands for, as the structures above would have it.
fn stands_for(path: &[Step<'_>], kind: Kind) -> Use<Place> {
    use Step::{Element, Member};
    match path {
        [Member(name)] => of_record(name, kind),
        [Member("userIdentity"), Member(name)] => of_identity(name),
        [Member("requestParameters"), Member("encryptionContext"), Member("aws:s3:arn")] => {
            Use::Taken(|m| &mut m.parameters.encryption_context.get_or_insert_default().object)
        }
        [Member("requestParameters"), Member(name)] => of_parameters(name, kind),
        [Member("resources"), Element, Member("ARN")] => Use::Taken(next_resource),
        // Lists are read as structures, and lists of anything but objects are no resources.
        [Member("userIdentity" | "requestParameters"), Element, ..]
        | [Member("requestParameters"), Member("encryptionContext"), Element, ..]
        | [Member("resources"), Element]
        | [Member("resources"), Element, Element, ..]
        // What it amends is rarely said, and read from the JSON.
        | [Member("addendum"), ..] => Use::Unfit,
        _ => Use::Passed,
    }
}

fn of_record(name: &str, kind: Kind) -> Use<Place> {
    Use::Taken(match name {
        "eventTime" => |m| &mut m.raw.event_time,
        "eventName" => |m| &mut m.raw.event_name,
        "eventSource" => |m| &mut m.raw.event_source,
        "awsRegion" => |m| &mut m.raw.aws_region,
        "errorMessage" => |m| &mut m.raw.error_message,
        "requestID" => |m| &mut m.raw.request_id,
        "eventID" => |m| &mut m.raw.event_id,
        "vpcEndpointId" => |m| &mut m.raw.vpc_endpoint_id,
        // Of a failure more is read than this, and the others are read otherwise where they are no objects.
        "errorCode" | "userIdentity" | "requestParameters" | "addendum" if kind != Kind::Null => return Use::Unfit,
        _ => return Use::Passed,
    })
}

fn of_identity(name: &str) -> Use<Place> {
    Use::Taken(match name {
        "type" => |m| &mut identity(m).kind,
        "arn" => |m| &mut identity(m).arn,
        "principalId" => |m| &mut identity(m).principal_id,
        "accountId" => |m| &mut identity(m).account_id,
        "accessKeyId" => |m| &mut identity(m).access_key_id,
        "invokedBy" => |m| &mut identity(m).invoked_by,
        _ => return Use::Passed,
    })
}

fn of_parameters(name: &str, kind: Kind) -> Use<Place> {
    Use::Taken(match name {
        "bucketName" => |m| &mut m.parameters.bucket_name,
        "key" => |m| &mut m.parameters.key,
        "roleArn" => |m| &mut m.parameters.role_arn,
        "roleSessionName" => |m| &mut m.parameters.role_session_name,
        "externalId" => |m| &mut m.parameters.external_id,
        "keyId" => |m| &mut m.parameters.key_id,
        "encryptionContext" if kind != Kind::Null => return Use::Unfit,
        _ => return Use::Passed,
    })
}

fn identity<'m, 'a>(members: &'m mut Members<'a>) -> &'m mut Identity<'a> {
    members.raw.user_identity.get_or_insert_default()
}

fn next_resource<'m, 'a>(members: &'m mut Members<'a>) -> &'m mut Loose<'a> {
    let number = members.resources.len();
    members.resources.push(Resource::default());
    &mut members.resources[number].arn
}

impl<'a> Members<'a> {
    /// The members of a record that is laid out like an earlier one.
    pub fn by_layout(text: &'a str) -> Option<Self> {
        LAYOUTS.with_borrow_mut(|layouts| {
            let found = layouts.read(text)?;
            let mut members = Self::default();
            for one in found {
                *(one.stands_for)(&mut members) = Loose::of_value(&one.value(text));
            }
            Some(members)
        })
    }

    /// Remembers the layout of a record that was read.
    pub fn learn(text: &str) {
        LAYOUTS.with_borrow_mut(|layouts| layouts.learn(text));
    }

    /// Those of a record that has been read as JSON.
    pub fn of_raw(raw: Raw<'a>) -> Self {
        let parameters = raw.request_parameters.and_then(|p| serde_json::from_str(p.get()).ok()).unwrap_or_default();
        // EventBridge puts a list of ARNs here, and the envelope is read by the same structure.
        let resources = raw.resources.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
        Self { raw, parameters, resources }
    }
}

/// The members of a record that is JSON.
pub fn parse(text: &str) -> Result<Raw<'_>, Refusal> {
    serde_json::from_str(text).map_err(|e| Refusal::not_json(&e))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Identity, Members, parse};
    use crate::ingest::layouts::tests::object;

    fn told(members: &Members<'_>) -> Vec<Option<String>> {
        let Members { raw, parameters, resources } = members;
        let identity = raw.user_identity.as_ref();
        let mut all = vec![
            &raw.event_time,
            &raw.event_name,
            &raw.event_source,
            &raw.aws_region,
            &raw.error_code,
            &raw.error_message,
            &raw.request_id,
            &raw.event_id,
            &raw.vpc_endpoint_id,
            &parameters.bucket_name,
            &parameters.key,
            &parameters.role_arn,
            &parameters.role_session_name,
            &parameters.external_id,
            &parameters.key_id,
        ];
        all.extend(resources.iter().map(|resource| &resource.arn).filter(|arn| arn.0.is_some()));
        let empty = Identity::default();
        let own = identity.unwrap_or(&empty);
        all.extend([&own.kind, &own.arn, &own.principal_id, &own.account_id, &own.access_key_id, &own.invoked_by]);
        let object = parameters.encryption_context.as_ref().and_then(|context| text(&context.object));
        all.into_iter().map(text).chain([object]).collect()
    }

    fn text(loose: &super::Loose<'_>) -> Option<String> {
        loose.as_deref().map(str::to_owned)
    }

    fn name() -> impl Strategy<Value = &'static str> {
        const NAMES: [&str; 25] = [
            "eventTime",
            "eventSource",
            "awsRegion",
            "errorCode",
            "errorMessage",
            "requestID",
            "eventID",
            "vpcEndpointId",
            "userIdentity",
            "requestParameters",
            "resources",
            "addendum",
            "type",
            "arn",
            "principalId",
            "accountId",
            "invokedBy",
            "bucketName",
            "key",
            "roleArn",
            "keyId",
            "encryptionContext",
            "aws:s3:arn",
            "ARN",
            "other",
        ];
        prop::sample::select(&NAMES[..])
    }

    /// A value as JSON, with `@` for what may be different in the next record.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(
            &[
                "\"@\"",
                "\"a\"",
                "4@",
                "4@.50",
                "true",
                "null",
                "[]",
                "[\"@\"]",
                "[{\"ARN\":\"@\"}]",
                "[1]",
                "[null,{}]",
                "{}",
            ][..],
        )
        .prop_map(str::to_owned);
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                4 => prop::collection::vec((name(), inner.clone()), 0..4).prop_map(|members| object(&members)),
                1 => prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_cloudtrail_record_says_by_its_layout_what_it_says_as_json(
            mut members in prop::collection::vec((name(), value()), 0..6),
            first in "[0-9]{1,3}",
            second in "[0-9]{1,3}",
        ) {
            members.insert(0, ("eventName", "\"Get@\"".to_owned()));
            let [first, second] = [first, second].map(|put| object(&members).replace('@', &put));
            if parse(&first).is_ok() {
                Members::learn(&first);
            }
            if let Some(by_layout) = Members::by_layout(&second) {
                let parsed = parse(&second).map(Members::of_raw);
                prop_assert_eq!(Some(told(&by_layout)), parsed.ok().as_ref().map(told), "{}", second);
            }
        }
    }

    #[test]
    fn a_call_that_got_through_is_read_by_its_layout_and_one_that_failed_is_not() {
        let record = |n: u32, error: &str| {
            format!(
                "{{\"userIdentity\":{{\"arn\":\"arn:{n}\"}},\"eventName\":\"PutObject\",\"requestParameters\":{{\"key\":\"{n}\"}},\
                 \"readOnly\":false{error},\"resources\":[{{\"type\":\"a\"}},{{\"ARN\":\"arn:{n}\"}}]}}"
            )
        };
        let failed = ",\"errorCode\":\"AccessDenied\"";
        Members::learn(&record(1, ""));
        Members::learn(&record(1, failed));
        let second = record(2, "");
        let members = Members::by_layout(&second).expect("a known layout");
        assert_eq!(members.parameters.key.as_deref(), Some("2"));
        assert_eq!(members.resources.iter().map(|r| r.arn.as_deref()).collect::<Vec<_>>(), [Some("arn:2")]);
        assert!(Members::by_layout(&record(2, failed)).is_none());
    }
}
