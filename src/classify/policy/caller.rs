//! Who asks, and whether a policy names them.
//!
//! Source: IAM user guide, "AWS JSON policy elements: Principal" and the page on its `Not` form.

use super::context::{Found, Keys};
use super::tri::Tri;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody that is known.
    Unknown,
    Anonymous,
    Service(String),
    /// An identity provider, for `AssumeRoleWithSAML` and `AssumeRoleWithWebIdentity`.
    Federated(String),
    Root(String),
    User {
        account: String,
        arn: String,
    },
    /// A role, of whichever session.
    Role {
        account: String,
        name: String,
    },
    Session {
        account: String,
        role: String,
        arn: String,
    },
    /// A session by `GetFederationToken`.
    FederatedUser {
        account: String,
        user: String,
        arn: String,
    },
    /// Somebody of an account. Callers of other accounts are logged so.
    Member(String),
}

/// How a statement names the caller: the way decides what else limits what it grants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// As what it is, or as everybody.
    pub direct: Tri,
    /// By the role, or the user, whose session it is.
    pub entity: Tri,
    /// By its account alone.
    pub account: Tri,
}

impl Named {
    pub const NOT: Self = Self { direct: Tri::No, entity: Tri::No, account: Tri::No };
    /// Everybody is meant.
    pub const ALL: Self = Self { direct: Tri::Yes, ..Self::NOT };

    pub fn any(self) -> Tri {
        self.direct.or(self.entity).or(self.account)
    }

    pub fn or(self, other: Self) -> Self {
        Self {
            direct: self.direct.or(other.direct),
            entity: self.entity.or(other.entity),
            account: self.account.or(other.account),
        }
    }
}

impl Caller {
    /// Reads a principal: an ARN, an AWS service, an account's number, an identity provider, `anonymous`; `None` where it
    /// is none of these.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "anonymous" | "*" => return Some(Self::Anonymous),
            _ if is_account(text) => return Some(Self::Member(text.to_owned())),
            _ if is_service(text) => return Some(Self::Service(text.to_owned())),
            _ => {}
        }
        if text.starts_with("arn:") {
            Self::of_arn(text)
        } else {
            is_domain(text).then(|| Self::Federated(text.to_owned()))
        }
    }

    fn of_arn(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, _, account, resource] = parts[..] else { return None };
        let (account, arn) = (account.to_owned(), arn.to_owned());
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        Some(match (service, kind) {
            ("iam", "root") => Self::Root(account),
            // Origin access identities of CloudFront: `arn:aws:iam::cloudfront:user/...`.
            ("iam", "user") if !is_account(&account) => Self::Service(arn),
            ("iam", "user") if !name.is_empty() => Self::User { account, arn },
            ("iam", "role") if !name.is_empty() => Self::Role { account, name: last(name).to_owned() },
            ("iam", "saml-provider" | "oidc-provider") => Self::Federated(arn),
            ("sts", "assumed-role") => {
                let role = name.split('/').next().filter(|role| !role.is_empty())?;
                Self::Session { account, role: role.to_owned(), arn }
            }
            ("sts", "federated-user") => Self::FederatedUser { account, user: name.to_owned(), arn },
            _ => return None,
        })
    }

    /// The caller's account.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::Anonymous | Self::Service(_) | Self::Federated(_) => None,
            Self::Root(account)
            | Self::User { account, .. }
            | Self::Role { account, .. }
            | Self::Session { account, .. }
            | Self::FederatedUser { account, .. }
            | Self::Member(account) => Some(account),
        }
    }

    /// Whether policies of an account apply to it: users, roles and their sessions, root users.
    pub fn is_of_account(&self) -> bool {
        self.account().is_some()
    }

    /// A role that a service made for itself, and its sessions: no boundary, service control policy or resource control
    /// policy limits it.
    pub fn is_service_linked(&self) -> bool {
        match self {
            Self::Role { name, .. } | Self::Session { role: name, .. } => name.starts_with("AWSServiceRoleFor"),
            _ => false,
        }
    }

    /// Whether `name`, under `kind` in a Principal element, names it.
    pub fn named(&self, kind: &str, name: &str, keys: &dyn Keys) -> Named {
        match (kind, self) {
            ("AWS", _) if name == "*" => Named::ALL,
            (_, Self::Unknown) => Named { direct: Tri::Unknown, entity: Tri::Unknown, account: Tri::Unknown },
            ("AWS", Self::Service(own)) => direct(own == name),
            ("AWS", _) => self.named_by_aws(name, keys),
            ("Service", Self::Service(own)) => direct(name == "*" || own.eq_ignore_ascii_case(name)),
            // Cognito's name as an identity provider looks like a service's.
            ("Federated", Self::Federated(own) | Self::Service(own)) => direct(name == "*" || own == name),
            ("Federated", Self::Session { .. }) => match keys.find("aws:FederatedProvider") {
                Found::Values(values) => direct(values.iter().any(|value| value == name)),
                _ => Named::NOT,
            },
            ("CanonicalUser", _) if self.is_of_account() => match keys.find(CANONICAL_USER) {
                Found::Values(values) => Named {
                    account: Tri::of(values.iter().any(|value| value.eq_ignore_ascii_case(name))),
                    ..Named::NOT
                },
                Found::Unknown => Named { account: Tri::Unknown, ..Named::NOT },
                _ => Named::NOT,
            },
            _ => Named::NOT,
        }
    }

    fn named_by_aws(&self, name: &str, keys: &dyn Keys) -> Named {
        let Some(own_account) = self.account() else { return Named::NOT };
        if let Some(account) = account_in(name) {
            return match self {
                Self::Root(_) => direct(account == own_account),
                _ => Named { account: Tri::of(account == own_account), ..Named::NOT },
            };
        }
        if !name.starts_with("arn:") {
            return named_by_id(name, keys);
        }
        let Some(other) = Self::of_arn(name).filter(|other| other.account() == Some(own_account)) else {
            return Named::NOT;
        };
        let entity = |same: bool| Named { entity: Tri::of(same), ..Named::NOT };
        match (self, &other) {
            // Which of the account's members it is, is not known.
            (Self::Member(_), Self::Role { .. }) => Named { entity: Tri::Unknown, ..Named::NOT },
            (Self::Member(_), _) => Named { direct: Tri::Unknown, ..Named::NOT },
            // A role may have a path, which its sessions' ARNs do not show; its name is its own in the account.
            (Self::Session { role, .. } | Self::Role { name: role, .. }, Self::Role { name, .. }) => {
                entity(role == name)
            }
            (Self::Role { name, .. }, Self::Session { role, .. }) if name == role => {
                let session = if keys.is_complete() { Tri::No } else { Tri::Unknown };
                Named { direct: session, ..Named::NOT }
            }
            (Self::FederatedUser { user, .. }, Self::User { arn, .. }) => entity(last(arn) == user),
            _ => direct(*self == other),
        }
    }
}

/// What stands in the context for the canonical user id of the caller's account, which is no condition key.
pub(super) const CANONICAL_USER: &str = "canonical_user";

fn direct(yes: bool) -> Named {
    Named { direct: Tri::of(yes), ..Named::NOT }
}

/// AWS shows the unique id of a user or role that was deleted since: whoever has its name now is another.
fn named_by_id(name: &str, keys: &dyn Keys) -> Named {
    match keys.find("aws:userid") {
        Found::Values(ids) => {
            let is_own = ids.iter().any(|id| id == name || id.split_once(':').is_some_and(|(role, _)| role == name));
            let of_session = ids.iter().any(|id| id.contains(':') && id != name);
            if of_session { Named { entity: Tri::of(is_own), ..Named::NOT } } else { direct(is_own) }
        }
        _ => Named::NOT,
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_service(text: &str) -> bool {
    is_domain(text) && (text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn"))
}

fn is_domain(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b))
}

/// The account that `name` stands for: its number, or its root's ARN.
fn account_in(name: &str) -> Option<&str> {
    if is_account(name) {
        return Some(name);
    }
    let arn = name.strip_suffix(":root").filter(|arn| arn.starts_with("arn:"))?;
    arn.rsplit(':').next().filter(|account| is_account(account))
}

/// Whether `text` is the number of an AWS account.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The account in an ARN.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| is_account(account))
}
