//! The request that is asked about, and the policies it is held against.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::caller::{Caller, account_of, is_account};
use super::document::Kind;

/// A request to AWS.
#[derive(Clone, Debug)]
pub struct Question {
    /// ARN, AWS service, number of an account, identity provider, or `anonymous`.
    pub principal: String,
    /// As `s3:PutObject`.
    pub action: String,
    /// ARN, or `*` for actions that are on none.
    pub resource: String,
    /// The resource's account; null where neither the request nor the ARN says.
    pub resource_account: Option<String>,
    /// The canonical user id of the caller's account.
    pub canonical_user: Option<String>,
    /// Condition keys with their values; none for a key that is absent for certain.
    pub context: BTreeMap<String, Vec<String>>,
    pub(super) caller: Caller,
}

/// As it is written in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    principal: String,
    action: String,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    resource_account: Option<String>,
    #[serde(default)]
    canonical_user: Option<String>,
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

impl Question {
    /// Reads a request: `{"principal", "action", "resource", "resource_account", "context": {key: value or [values]}}`.
    ///
    /// # Errors
    /// It is no JSON of this form, or something in it is not what it should be; the text says what.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(text).map_err(|e| format!("no request ({e}); {FORM}"))?;
        let caller = Caller::read(&raw.principal).ok_or_else(|| {
            let principal = &raw.principal;
            format!(
                "`{principal}` is no principal; give the ARN of a user, role or session, an AWS service, the number of \
                 an account, or anonymous"
            )
        })?;
        if !raw.action.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty()) {
            return Err(format!("`{}` is no action; give one such as s3:PutObject", raw.action));
        }
        let resource = raw.resource.unwrap_or_else(|| "*".to_owned());
        if let Some(account) = raw.resource_account.as_ref().filter(|account| !is_account(account)) {
            return Err(format!("`{account}`, for resource_account, is no number of an account; it has 12 digits"));
        }
        let resource_account = raw.resource_account.or_else(|| account_of(&resource).map(str::to_owned));
        let mut context = BTreeMap::new();
        for (key, value) in raw.context.unwrap_or_default() {
            let values = values(&value).ok_or_else(|| format!("context: {key} is no text or list of texts"))?;
            if context.insert(key.to_ascii_lowercase(), values).is_some() {
                return Err(format!("context: {key} is there twice; the case of a key's name does not matter"));
            }
        }
        let Raw { principal, action, canonical_user, .. } = raw;
        Ok(Self { principal, action, resource, resource_account, canonical_user, context, caller })
    }
}

impl Question {
    /// The name of the user or role whose identity policies bear on the request.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        match &self.caller {
            Caller::User { arn, .. } => arn.rsplit('/').next(),
            Caller::Role { name, .. } | Caller::Session { role: name, .. } => Some(name),
            Caller::FederatedUser { user, .. } => Some(user),
            _ => None,
        }
    }
}

const FORM: &str = "expected {\"principal\", \"action\", \"resource\", \"resource_account\", \"context\"}";

/// The values of a key: text, number or truth value, or a list of them. Null, like an empty list, is none.
fn values(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(text).collect(),
        other => text(other).map(|text| vec![text]),
    }
}

/// A policy that is attached to something.
#[derive(Clone, Debug)]
pub struct Attached {
    pub kind: Kind,
    /// For policies of an organisation: the level, from 0.
    pub level: usize,
    /// The file it was read from.
    pub origin: String,
    /// The id of the record it stands in, where it was found in an archive.
    pub record: Option<String>,
    /// Since when it is in force, RFC 3339, where a log says so.
    pub since: Option<String>,
    /// Who put it there, where a log says so.
    pub changed_by: Option<String>,
    pub body: Value,
}

/// All policies that bear on a request.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    pub attached: Vec<Attached>,
    /// Levels of the organisation above the caller's account, and above the resource's.
    pub scp_levels: usize,
    /// See above.
    pub rcp_levels: usize,
    /// Kinds of which it is not known whether there are any, and what of: "the bucket policy of exports".
    pub not_on_record: Vec<(Kind, String)>,
}
