//! What is known of a request's condition keys.
//!
//! Source: IAM user guide, "AWS global condition context keys" (which keys are there for whom) and "Variables and tags"
//! (the table of principal key values).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::caller::{CANONICAL_USER, Caller};
use crate::ingest::rfc3339;

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// One value or more.
    Values(Cow<'a, [String]>),
    /// The ARN of the caller's role, but for the role's path, which the ARNs of its sessions do not show.
    Pathless(String),
    /// The request does not have it.
    Absent,
    Unknown,
}

/// The condition keys of a request.
pub(super) trait Keys {
    /// What is known of `key`; the case of its name does not matter.
    fn find(&self, key: &str) -> Found<'_>;

    /// Whether what is not known is taken to be absent.
    fn is_complete(&self) -> bool {
        false
    }
}

/// Keys as they were given, and those that follow from the request itself.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// By name in small letters; an empty list is a key that is absent for certain.
    keys: BTreeMap<String, Vec<String>>,
    /// The caller's role, where all that is known of it is a session's ARN.
    role: Option<String>,
    anonymous: bool,
    complete: bool,
}

/// What condition keys follow from.
pub(super) struct Circumstances<'a> {
    pub caller: &'a Caller,
    /// As it was given.
    pub principal: &'a str,
    pub action: &'a str,
    pub resource_account: Option<&'a str>,
    pub canonical_user: Option<&'a str>,
    /// Microseconds since 1970.
    pub time: Option<i64>,
}

impl Keys for Context {
    fn find(&self, key: &str) -> Found<'_> {
        let key = key.to_ascii_lowercase();
        match (self.keys.get(&key), &self.role) {
            (Some(values), _) if values.is_empty() => Found::Absent,
            (Some(values), _) => Found::Values(Cow::Borrowed(values)),
            (None, Some(role)) if key == "aws:principalarn" && self.complete => {
                Found::Values(Cow::Owned(vec![role.clone()]))
            }
            (None, Some(role)) if key == "aws:principalarn" => Found::Pathless(role.clone()),
            (None, _) if self.complete || (self.anonymous && is_of_principals(&key)) => Found::Absent,
            (None, _) => Found::Unknown,
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}

/// Keys about the caller, which requests without one do not have.
fn is_of_principals(key: &str) -> bool {
    key.starts_with("aws:principal") || matches!(key, "aws:username" | "aws:federatedprovider" | "aws:tokenissuetime")
}

impl Context {
    /// The context of a request. What is `given` wins over what follows from the rest; with `complete`, keys that are
    /// neither are absent.
    pub fn new(given: &BTreeMap<String, Vec<String>>, known: &Circumstances<'_>, complete: bool) -> Self {
        let mut context = Self {
            keys: BTreeMap::new(),
            role: match known.caller {
                Caller::Session { arn, .. } => role_of_session(arn),
                _ => None,
            },
            anonymous: *known.caller == Caller::Anonymous,
            complete,
        };
        context.derive_caller(known);
        context.derive_request(known);
        context.keys.extend(given.iter().map(|(key, values)| (key.to_ascii_lowercase(), values.clone())));
        context
    }

    fn set(&mut self, key: &str, value: &str) {
        self.keys.insert(key.to_ascii_lowercase(), vec![value.to_owned()]);
    }

    fn lacks(&mut self, keys: &[&str]) {
        self.keys.extend(keys.iter().map(|key| (key.to_ascii_lowercase(), Vec::new())));
    }

    fn derive_caller(&mut self, known: &Circumstances<'_>) {
        let kind = match known.caller {
            Caller::Anonymous => {
                self.set("aws:userid", "anonymous");
                "Anonymous"
            }
            Caller::Service(name) => {
                self.set("aws:PrincipalIsAWSService", "true");
                self.set("aws:PrincipalServiceName", name);
                return;
            }
            Caller::Root(account) => {
                self.set("aws:userid", account);
                self.set("aws:PrincipalArn", known.principal);
                self.lacks(&["aws:username"]);
                "Account"
            }
            Caller::User { arn, .. } => {
                self.set("aws:PrincipalArn", arn);
                self.set("aws:username", arn.rsplit('/').next().unwrap_or_default());
                "User"
            }
            Caller::Role { .. } => {
                self.set("aws:PrincipalArn", known.principal);
                self.lacks(&["aws:username"]);
                "AssumedRole"
            }
            Caller::Session { .. } => {
                self.lacks(&["aws:username"]);
                "AssumedRole"
            }
            Caller::FederatedUser { account, user, arn } => {
                self.set("aws:userid", &format!("{account}:{user}"));
                self.set("aws:PrincipalArn", arn);
                self.lacks(&["aws:username"]);
                "FederatedUser"
            }
            Caller::Member(_) | Caller::Federated(_) | Caller::Unknown => "",
        };
        if !kind.is_empty() {
            self.set("aws:PrincipalType", kind);
        }
        if let Some(account) = known.caller.account() {
            self.set("aws:PrincipalAccount", account);
            self.set("aws:PrincipalIsAWSService", "false");
            self.lacks(&["aws:PrincipalServiceName", "aws:PrincipalServiceNamesList"]);
        }
    }

    fn derive_request(&mut self, known: &Circumstances<'_>) {
        let service = known.action.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if let Some(account) = known.resource_account {
            self.set("aws:ResourceAccount", account);
            if service == "s3" {
                self.set("s3:ResourceAccount", account);
            }
        }
        if let Some(account) = known.caller.account().filter(|_| service == "kms") {
            self.set("kms:CallerAccount", account);
        }
        if let Some(id) = known.canonical_user {
            self.set(CANONICAL_USER, id);
        }
        if let Some(time) = known.time {
            self.set("aws:CurrentTime", &rfc3339(time));
            self.set("aws:EpochTime", &time.div_euclid(1_000_000).to_string());
        }
    }
}

/// The role behind an assumed-role session: `arn:aws:sts::1:assumed-role/R/s` is of `arn:aws:iam::1:role/R`.
#[must_use]
pub fn role_of_session(arn: &str) -> Option<String> {
    let (head, rest) = arn.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    Some(format!("{}:role/{role}", head.replacen(":sts:", ":iam:", 1)))
}
