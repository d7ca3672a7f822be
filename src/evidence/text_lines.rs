//! Telling lines of a storage service's access log from other text: each says whose bucket, when, and which operation.

use memchr::memchr;

/// The first `most` such lines, however many others stand before them; none where there are none.
pub(super) fn samples(body: &[u8], whole: bool, most: usize) -> Vec<String> {
    let end = if whole { body.len() } else { memchr::memrchr(b'\n', body).unwrap_or(0) };
    let lines = body[..end].split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.filter(|line| is_access(line)).take(most).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

/// `OWNER BUCKET [02/Mar/2026:01:00:10 +0000] ADDRESS REQUESTER REQUEST OPERATION ...`, the operation in words with dots
/// between them.
fn is_access(line: &[u8]) -> bool {
    let Some(open) = memchr(b'[', line) else { return false };
    let Some(close) = memchr(b']', &line[open..]).map(|n| open + n) else { return false };
    let time = &line[open + 1..close];
    let owner_and_bucket = line[..open].split(|b| *b == b' ').filter(|word| !word.is_empty()).count() == 2;
    let mut words = line[close + 1..].split(|b| *b == b' ').filter(|word| !word.is_empty());
    let operation = words.nth(3).unwrap_or_default();
    owner_and_bucket
        && (time.len(), time.get(2), time.get(6)) == (26, Some(&b'/'), Some(&b'/'))
        && operation.contains(&b'.')
        && operation.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_'))
}
