//! Addresses of the Genesys Cloud API: which call they are, and the ids they name.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What an address says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// The path with names in place of ids, as the vendor's documentation writes it.
    pub path: String,
    pub query: &'a str,
    pub job: Option<Cow<'a, str>>,
    pub conversation: Option<Cow<'a, str>>,
    pub recording: Option<Cow<'a, str>>,
}

/// Longest id that is taken for one.
const MAX_ID: usize = 64;

/// Whether this is an address of the platform's API or of its login service.
#[must_use]
pub fn is_of_platform(url: &str) -> bool {
    let path = path_of(url).0;
    path.starts_with("/api/v") || path.starts_with("/oauth/")
}

/// Reads an address.
#[must_use]
pub fn read(url: &str) -> Address<'_> {
    let (path, query) = path_of(url);
    let mut address = Address { path: String::with_capacity(path.len()), query, ..Address::default() };
    let mut before = ["", ""];
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let plain = || percent_decode_str(part).decode_utf8().unwrap_or(Cow::Borrowed(part));
        address.path.push('/');
        if before[1] != "api" && is_id(part) {
            let name = match before {
                ["recording", "jobs"] => {
                    address.job = Some(plain());
                    "{jobId}"
                }
                [_, "recordings" | "recordingmetadata"] => {
                    address.recording = Some(plain());
                    "{recordingId}"
                }
                // A medium may stand between: `/conversations/calls/{conversationId}`.
                [_, "conversations"] | ["conversations", _] if address.conversation.is_none() => {
                    address.conversation = Some(plain());
                    "{conversationId}"
                }
                [_, "participants"] => "{participantId}",
                [_, "annotations"] => "{annotationId}",
                _ => "{id}",
            };
            address.path.push_str(name);
        } else {
            address.path.push_str(part);
        }
        before = [before[1], part];
    }
    address
}

/// Path and query of an address, which may come without its host.
fn path_of(url: &str) -> (&str, &str) {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    let rest = rest.split('#').next().unwrap_or(rest);
    rest.split_once('?').unwrap_or((rest, ""))
}

/// Names of collections and actions hold no digits, ids do; what is too long or oddly written is no name either.
fn is_id(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    part.len() > MAX_ID || part.bytes().any(|b| b.is_ascii_digit() || !plain(b))
}
