//! What a refusal says of itself: the kind of policy that refused, the permissions it names, errors of credentials.

use std::sync::LazyLock;

use regex::Regex;

/// The side on which a named policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The caller's own: identity-based, permissions boundary, session, service control policy.
    Identity,
    /// The destination's: resource-based, resource control, VPC endpoint policy, block public access.
    Resource,
    /// The trust policy of the role to be assumed.
    Trust,
    /// The policy of a KMS key.
    Key,
}

/// A policy that a refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub side: Side,
    pub explicit: bool,
    /// Whether it is the bucket's own policy, where the side is the destination's.
    pub of_bucket: bool,
}

// The wordings are AWS's (IAM user guide, "Troubleshoot access denied error messages"; S3 user guide, "Troubleshoot
// access denied (403 Forbidden) errors"); text may follow them.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix) (?: because\s+no \s+ (?P<implicit> KIND ) \s+ allows
        | explicit\s+deny\s+in\s+(?:an?|the) \s+ (?P<explicit> KIND ) )"
            .replace("KIND", r"identity-based\s+policy|resource-based\s+policy|permissions\s+boundary|sessions?\s+policy|service\s+control\s+policy|resource\s+control\s+policy|VPC\s+endpoint\s+policy|role\s+trust\s+policy|key\s+policy")
            .as_str(),
    )
    .expect("a fixed pattern")
});
static PUBLIC_BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)Block\s+Public\s+Access|blocked\s+upload\s+requests\s+that\s+specify\s+Server\s+Side\s+Encryption")
        .expect("a fixed pattern")
});
// Genesys Cloud error bodies, codes `missing.any.permissions` and `missing.permissions`.
static PERMISSIONS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)permissions?(?:\(s\))?(?:\s+assigned)?\s*:\s*\[?\s*(?P<list>[\w*.-]+(?::[\w*.-]+)+(?:\s*,\s*[\w*.-]+(?::[\w*.-]+)+)*)")
        .expect("a fixed pattern")
});
static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"is\s+not\s+authorized\s+to\s+perform:\s+(?P<action>[\w-]+:[\w*]+)(?:\s+on\s+resource:\s+"?(?P<resource>arn:[^\s"]+))?"#)
        .expect("a fixed pattern")
});

/// The policy that `message` says refused, if it says so.
#[must_use]
pub fn named_policy(message: &str) -> Option<Named> {
    let Some(found) = NAMED.captures(message) else {
        let block = Named { side: Side::Resource, explicit: true, of_bucket: false };
        return PUBLIC_BLOCK.is_match(message).then_some(block);
    };
    let explicit = found.name("explicit");
    let kind = explicit.or_else(|| found.name("implicit"))?.as_str().to_ascii_lowercase();
    let about_key = message.contains("kms:");
    let side = match kind.split_whitespace().next()? {
        "identity-based" | "permissions" | "session" | "sessions" | "service" => Side::Identity,
        "role" => Side::Trust,
        "key" => Side::Key,
        "resource-based" if about_key => Side::Key,
        _ => Side::Resource,
    };
    Some(Named { side, explicit: explicit.is_some(), of_bucket: kind.starts_with("resource-based") })
}

/// The permissions that a refusal says are missing; platforms are known to name wrong ones.
#[must_use]
pub fn named_permissions(message: &str) -> Vec<String> {
    let Some(found) = PERMISSIONS.captures(message) else { return Vec::new() };
    found["list"].split(',').map(|p| p.trim().to_owned()).collect()
}

/// The action and resource of an AWS refusal.
#[must_use]
pub fn refused_call(message: &str) -> Option<(String, Option<String>)> {
    let found = REFUSED.captures(message)?;
    Some((found["action"].to_owned(), found.name("resource").map(|m| m.as_str().to_owned())))
}

/// Whether an error is about the credential itself, not about what it may do.
#[must_use]
pub fn is_credential_error(code: Option<&str>, message: Option<&str>) -> bool {
    // Genesys Cloud, S3, STS and OAuth codes, folded; exporters write them in every case.
    const CODES: [&str; 14] = [
        "badcredentials",
        "credentialsexpired",
        "authenticationrequired",
        "invalidclient",
        "expiredtoken",
        "expiredtokenexception",
        "invalidtoken",
        "tokenrefreshrequired",
        "invalidaccesskeyid",
        "invalidclienttokenid",
        "signaturedoesnotmatch",
        "unrecognizedclientexception",
        "tokenexpired",
        "credentialexpired",
    ];
    const WORDS: [&str; 6] = [
        "credentialsareexpired",
        "tokenhasexpired",
        "tokenisexpired",
        "tokenexpired",
        "invalidlogincredentials",
        "credentialsexpired",
    ];
    let message = folded(message);
    CODES.contains(&folded(code).as_str()) || WORDS.iter().any(|words| message.contains(words))
}

/// Whether a conflict is one about the hold or the item's metadata, by its code or message.
#[must_use]
pub fn is_hold_conflict(code: Option<&str>, message: Option<&str>) -> bool {
    let text = folded(code) + &folded(message);
    !is_conditional_conflict(code, message)
        && ["metadataconflict", "legalhold", "holdsync", "holdconflict", "beingsynchroni", "syncinprogress"]
            .iter()
            .any(|words| text.contains(words))
}

/// Whether a conflict is S3's between two conditional or concurrent writes.
#[must_use]
pub fn is_conditional_conflict(code: Option<&str>, message: Option<&str>) -> bool {
    let code = folded(code);
    ["operationaborted", "conditionalrequestconflict", "preconditionfailed", "concurrentmodification"]
        .iter()
        .any(|known| code.starts_with(known))
        || ["conflictingconditionaloperation", "conflictingoperation", "conditionalrequest", "preconditions"]
            .iter()
            .any(|words| folded(message).contains(words))
}

/// Whether an error code says that there were too many calls.
#[must_use]
pub fn is_throttling(code: &str) -> bool {
    let code = folded(Some(code));
    ["slowdown", "throttl", "toomanyrequests", "ratelimit", "requestlimitexceeded"].iter().any(|w| code.contains(w))
}

fn folded(text: Option<&str>) -> String {
    text.unwrap_or("").chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
