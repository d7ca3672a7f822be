//! S3 server access log: one line a request (S3 user guide, "Amazon S3 server access log format").
//!
//! Fields are separated by spaces and unknown ones are `-`. Older lines end earlier, newer ones may go on. Request line,
//! referrer and user agent stand in quotes, but what the client sent in them is not escaped.

use std::borrow::Cow;

use chrono::NaiveDate;
use memchr::memmem;
use percent_encoding::percent_decode_str;

use super::adapter::{Adapter, Record, Refusal, Sink, read_object_key};
use super::event::{Event, Outcome, Text};
use super::status;
use super::time::{Instant, instant};
use crate::evidence::Sample;

/// The adapter.
pub struct S3Access;

/// The fields that are used, as written; unknown ones are none.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    bucket: Option<&'a str>,
    time: &'a str,
    requester: Option<&'a str>,
    request_id: Option<&'a str>,
    operation: &'a str,
    key: Option<&'a str>,
    uri: Option<&'a str>,
    status: Option<&'a str>,
    error_code: Option<&'a str>,
    total_time: Option<&'a str>,
    /// What follows the user agent.
    rest: &'a str,
}

impl Adapter for S3Access {
    fn name(&self) -> &'static str {
        "s3_access"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        sample.texts.iter().any(|text| head(text).is_ok())
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let line = parse(record.text)?;
        let mut event = Event::default();
        let time = time(line.time).ok_or_else(|| {
            Refusal::Broken(format!("`{}` is no time; expected one such as 02/Mar/2026:01:00:10 +0000", line.time))
        })?;
        event.time = sink.count(time);
        event.set(Text::Operation, Some(api_name(line.operation, line.key.is_some())));
        event.set(Text::RequestId, line.request_id);
        event.set(Text::Bucket, line.bucket);
        event.set(Text::ObjectKey, line.key.map(|key| decode_key(key, &line)));
        event.set(Text::Region, region(line.rest));
        if let Some(requester) = line.requester {
            // Services are logged as `svc:delivery.logs.amazonaws.com`.
            event.set(Text::Principal, Some(requester.strip_prefix("svc:").unwrap_or(requester)));
            let session = requester.split_once(":assumed-role/").and_then(|(_, rest)| rest.rsplit_once('/'));
            event.set(Text::SessionName, session.map(|(_, session)| session));
        }
        event.http_status = line.status.and_then(|status| status.parse().ok());
        event.outcome = match event.http_status {
            // A redirected request has yet to be made.
            None | Some(300..=399) => Outcome::Unknown,
            Some(_) => status::settle(None, event.http_status, line.error_code, None),
        };
        event.set(Text::ErrorCode, line.error_code);
        event.duration_ms = line.total_time.and_then(|time| time.parse().ok());
        if let Some((_, query)) = line.uri.and_then(|uri| uri.split_once('?')) {
            read_query(query, &mut event, sink);
        }
        read_object_key(&mut event);
        sink.event(&event, record.at);
        Ok(())
    }
}

/// The first eight fields, up to the key, and what is left.
fn head(text: &str) -> Result<(Line<'_>, &str), Refusal> {
    let (before, rest) = text.split_once(" [").ok_or(Refusal::NotMine)?;
    let (time, rest) = rest.split_once("] ").ok_or(Refusal::NotMine)?;
    let mut owner = before.split(' ');
    let (Some(_), Some(bucket), None) = (owner.next(), owner.next(), owner.next()) else {
        return Err(Refusal::NotMine);
    };
    if !looks_like_time(time) {
        return Err(Refusal::NotMine);
    }
    let mut words = rest.splitn(6, ' ');
    let mut word = || words.next().filter(|word| !word.is_empty()).ok_or_else(|| cut_off("its first eight fields"));
    let [_address, requester, request_id, operation, key] = [word()?, word()?, word()?, word()?, word()?];
    if !operation.contains('.') {
        return Err(Refusal::NotMine);
    }
    let rest = words.next().ok_or_else(|| cut_off("its key"))?;
    let line = Line {
        bucket: known(bucket),
        time,
        requester: known(requester),
        request_id: known(request_id),
        operation,
        key: known(key),
        uri: None,
        status: None,
        error_code: None,
        total_time: None,
        rest: "",
    };
    Ok((line, rest))
}

fn parse(text: &str) -> Result<Line<'_>, Refusal> {
    let (mut line, rest) = head(text)?;
    let rest = if let Some(after) = rest.strip_prefix("- ") {
        answer(after, &mut line)
    } else {
        let quoted = rest.strip_prefix('"').ok_or_else(|| cut_off("its request line"))?;
        // A client may put quotes into its request line, but no spaces: the first place that looks so is its end.
        memmem::find_iter(quoted.as_bytes(), b"\" ").find_map(|end| {
            let rest = answer(&quoted[end + 2..], &mut line)?;
            line.uri = known(&quoted[..end]);
            Some(rest)
        })
    };
    let rest =
        rest.ok_or_else(|| cut_off("its request line, or in the status, error code, sizes and times behind it"))?;
    line.rest = after_agent(rest)?;
    Ok(line)
}

/// Reads what follows the request line: status, error code, bytes sent, size of the object, total and turn-around time.
/// `None` where `text` does not begin with these, else what is left.
fn answer<'a>(text: &'a str, line: &mut Line<'a>) -> Option<&'a str> {
    let mut words = text.splitn(7, ' ');
    let number = |word: &&str| *word == "-" || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()));
    let status = words.next().filter(number).filter(|status| *status == "-" || status.len() == 3)?;
    let code = words.next().filter(|code| !code.is_empty() && !code.contains('"'))?;
    let [_sent, _size, total, _turn_around] = [
        words.next().filter(number)?,
        words.next().filter(number)?,
        words.next().filter(number)?,
        words.next().filter(number)?,
    ];
    (line.status, line.error_code, line.total_time) = (known(status), known(code), known(total));
    Some(words.next().unwrap_or(""))
}

/// What follows referrer and user agent. The fields behind them hold no quotes, so whatever quotes the user agent holds,
/// the last one ends it.
fn after_agent(rest: &str) -> Result<&str, Refusal> {
    let bare = |text: &str| -> Option<usize> { (text == "-" || text.starts_with("- ")).then_some(1) };
    let referrer = || {
        let end = rest.find("\" \"").map(|n| n + 1).or_else(|| rest.find("\" - ").map(|n| n + 1));
        end.or_else(|| rest.ends_with("\" -").then(|| rest.len() - 2))
    };
    let end = bare(rest).or_else(referrer).ok_or_else(|| cut_off("its referrer"))?;
    let agent = rest[end..].trim_start();
    if let Some(end) = bare(agent) {
        return Ok(agent[end..].trim_start());
    }
    match agent.rfind('"') {
        Some(end) if end > 0 => Ok(agent[end + 1..].trim_start()),
        _ => Err(cut_off("its user agent")),
    }
}

fn cut_off(inside: &str) -> Refusal {
    Refusal::Broken(format!("an S3 access log line that ends in {inside}; it was cut off or changed, get a whole copy"))
}

fn known(field: &str) -> Option<&str> {
    Some(field).filter(|field| *field != "-" && !field.is_empty())
}

fn looks_like_time(text: &str) -> bool {
    let separators = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    text.len() == 26 && separators.iter().all(|(at, byte)| text.as_bytes()[*at] == *byte)
}

/// `02/Mar/2026:01:00:10 +0000`. Always in UTC, so far; the zone is read all the same.
fn time(text: &str) -> Option<Instant> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse().ok()
    };
    if !looks_like_time(text) {
        return None;
    }
    let month = MONTHS.iter().zip(1..).find_map(|(name, month)| (text.get(3..6)? == *name).then_some(month))?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(7, 11)?).ok()?, month, number(0, 2)?)?;
    let time = date.and_hms_opt(number(12, 14)?, number(15, 17)?, number(18, 20)?)?;
    let ahead = i64::from(number(22, 24)? * 60 + number(24, 26)?) * 60;
    let ahead = match text.as_bytes()[21] {
        b'+' => ahead,
        b'-' => -ahead,
        _ => return None,
    };
    Some(instant((time.and_utc().timestamp() - ahead) * 1_000_000))
}

/// The name that the API and CloudTrail have for an operation; one that is not part of an export stays as it is written.
fn api_name(operation: &str, of_object: bool) -> &str {
    match operation {
        "REST.PUT.OBJECT" => "PutObject",
        "REST.COPY.OBJECT" => "CopyObject",
        "REST.POST.UPLOADS" => "CreateMultipartUpload",
        "REST.PUT.PART" => "UploadPart",
        "REST.COPY.PART" => "UploadPartCopy",
        "REST.POST.UPLOAD" => "CompleteMultipartUpload",
        "REST.PUT.ACL" if of_object => "PutObjectAcl",
        "REST.PUT.OBJECT_TAGGING" => "PutObjectTagging",
        "REST.PUT.LEGAL_HOLD" => "PutObjectLegalHold",
        "REST.PUT.RETENTION" => "PutObjectRetention",
        "REST.HEAD.BUCKET" => "HeadBucket",
        "REST.GET.LOCATION" => "GetBucketLocation",
        other => other,
    }
}

/// The key as the client knows it. Keys are logged percent-encoded, those of requests once more on top of the client's own
/// encoding, those of batches and lifecycle rules once (seen in data, not in the vendor's text). Where the request line
/// names the object, it decides.
fn decode_key<'a>(key: &'a str, line: &Line<'a>) -> Cow<'a, str> {
    if !key.contains('%') {
        return Cow::Borrowed(key);
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
    let Some(once) = decoded(key) else { return Cow::Borrowed(key) };
    let twice = decoded(&once).unwrap_or_else(|| once.clone());
    let requested = line.uri.and_then(|uri| uri.split(' ').nth(1)).and_then(|path| {
        let path = decoded(path.split('?').next()?)?;
        Some(path.trim_start_matches('/').to_owned())
    });
    let names = |candidate: &str| {
        requested.as_deref().is_some_and(|path| {
            let below_bucket = line.bucket.and_then(|bucket| path.strip_prefix(bucket)?.strip_prefix('/'));
            path == candidate || below_bucket == Some(candidate)
        })
    };
    let by_itself = line.operation.starts_with("BATCH.") || line.operation.starts_with("S3.");
    Cow::Owned(if names(&twice) || (!by_itself && !names(&once)) { twice } else { once })
}

/// The region: the last field of newer lines, else the one in the host that was called.
fn region(rest: &str) -> Option<&str> {
    let field = |n: usize| rest.split(' ').nth(n);
    field(9).filter(|field| looks_like_region(field)).or_else(|| {
        let (host, _) = field(5)?.split_once(".amazonaws.com")?;
        let last = host.rsplit('.').next()?;
        Some(last.strip_prefix("s3-").unwrap_or(last)).filter(|last| looks_like_region(last))
    })
}

/// `eu-west-1`, `us-gov-east-1`.
fn looks_like_region(text: &str) -> bool {
    let mut words = text.split('-');
    let ends_in_number = words.next_back().is_some_and(|word| word.len() == 1 && word.as_bytes()[0].is_ascii_digit());
    let words: Vec<&str> = words.collect();
    ends_in_number
        && matches!(words.len(), 2 | 3)
        && words[0].len() == 2
        && words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

/// A request signed in its address says with which key. Nothing of the address is kept; its secrets are counted.
fn read_query(query: &str, event: &mut Event<'_>, sink: &mut Sink<'_>) {
    for (name, value) in query.split(['&', ' ']).filter_map(|pair| pair.split_once('=')) {
        if name.eq_ignore_ascii_case("X-Amz-Credential") {
            let value = percent_decode_str(value).decode_utf8_lossy();
            event.set(Text::Credential, value.split('/').next().map(str::to_owned));
        } else if name.eq_ignore_ascii_case("AWSAccessKeyId") {
            event.set(Text::Credential, Some(value.to_owned()));
        } else if ["X-Amz-Signature", "X-Amz-Security-Token", "Signature"].iter().any(|s| name.eq_ignore_ascii_case(s))
        {
            sink.count_redacted(1);
        }
    }
}
