//! Attempts of an export trail as other sources log them. Synthetic: built from the vendors' own loggers (`logger.js` and
//! `logger.py` of the Genesys Cloud SDKs) and from the documented fields of S3 access logs.

use chrono::{DateTime, Duration, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::{Case, Run, run};

/// The role that writes to the bucket, in the samples and in made cases.
pub const ROLE: &str = "arn:aws:sts::111122223333:assumed-role/RecordingExport/export";

/// How the SDKs write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    JavaScriptJson,
    JavaScriptText,
    PythonJson,
    PythonText,
}

pub const SDKS: [Sdk; 4] = [Sdk::JavaScriptJson, Sdk::JavaScriptText, Sdk::PythonJson, Sdk::PythonText];

/// Hours by which the clock on the wall of the Python SDK is ahead.
pub const AHEAD: i64 = 2;

pub fn text<'a>(record: &'a Value, pointer: &str) -> &'a str {
    record.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

pub fn when(record: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text(record, "/timestamp")).expect("a time").to_utc()
}

fn status(record: &Value) -> u64 {
    match &record["status"] {
        Value::Number(number) => number.as_u64().expect("a status"),
        _ if record["outcome"] == "timeout" => 504,
        _ => 200,
    }
}

/// The error body of the API.
pub fn body(record: &Value) -> Value {
    let (code, message) = (text(record, "/error/code"), text(record, "/error/message"));
    json!({ "message": message, "code": code, "status": status(record), "contextId": text(record, "/correlationId"),
        "messageWithParams": message, "messageParams": {}, "details": [], "errors": [] })
}

/// A metadata write as an SDK logs it.
pub fn sdk(record: &Value, sdk: Sdk) -> String {
    let url = format!(
        "https://api.mypurecloud.de/api/v2/conversations/{}/recordings/{}",
        text(record, "/conversationId"),
        text(record, "/recordingId")
    );
    call(sdk, when(record), "PUT", &url, status(record), text(record, "/correlationId"), Some(&body(record)))
}

/// One call as an SDK logs it.
pub fn call(
    sdk: Sdk,
    at: DateTime<Utc>,
    method: &str,
    url: &str,
    status: u64,
    correlation: &str,
    body: Option<&Value>,
) -> String {
    let level = if status < 400 { "trace" } else { "error" };
    let local = at + Duration::hours(AHEAD);
    let asked = json!({ "Content-Type": "application/json", "Authorization": "[REDACTED]" });
    match sdk {
        Sdk::JavaScriptJson => {
            let mut line = json!({ "level": level, "date": at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(), "method": method,
                "url": url, "correlationId": correlation, "statusCode": status, "requestHeaders": asked,
                "responseHeaders": { "inin-correlation-id": correlation, "inin-ratelimit-count": "1" } });
            if let Some(body) = body {
                line["responseBody"] = body.clone();
            }
            line.to_string() + "\n"
        }
        Sdk::PythonJson => {
            let mut line = json!({ "level": level, "date": local.format("%m-%d-%Y, %H:%M:%S").to_string(), "method": method,
                "url": url, "statusCode": status, "requestHeaders": asked,
                "responseHeaders": { "ININ-Correlation-Id": correlation } });
            if let Some(body) = body {
                line["responseBody"] = body.to_string().into();
            }
            line.to_string() + "\n"
        }
        Sdk::JavaScriptText => {
            let body = body.map(|body| format!("Body: {}\n", serde_json::to_string_pretty(body).expect("JSON")));
            format!(
                "{}: {}\n=== REQUEST === \nURL: {url}\nMethod: {method}\nHeaders: \n\tContent-Type: application/json\n\tAuthorization: [REDACTED]\n\n=== RESPONSE ===\nStatus: {status}\nHeaders: \n\tinin-correlation-id: {correlation}\nCorrelationId: {correlation}\n{}\n",
                level.to_uppercase(),
                at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
                body.unwrap_or_default()
            )
        }
        Sdk::PythonText => {
            let body = body.map(|body| format!("\nBody: {body}")).unwrap_or_default();
            format!(
                "{} {} \n=== REQUEST ===\nURL: {url}\nMethod: {method}\nHeaders: \n\tContent-Type: application/json\n\tAuthorization: [REDACTED]\n=== RESPONSE ===\nStatus: {status}\nHeaders: \n\tININ-Correlation-Id: {correlation}\nCorrelationId: {correlation}{body}\n",
                local.format("%Y-%m-%d %H:%M:%S,%3f"),
                level.to_uppercase()
            )
        }
    }
}

/// As browsers and SDKs encode a key in an address.
pub fn encoded(key: &str) -> String {
    let parts: Vec<String> =
        key.split('/').map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string()).collect();
    parts.join("/")
}

/// A line of an S3 access log about an upload.
pub fn s3(record: &Value) -> String {
    s3_request(record, &format!("{:X}", when(record).timestamp_micros()))
}

/// The same with this id of the request.
pub fn s3_request(record: &Value, id: &str) -> String {
    let status = status(record);
    let code = match (text(record, "/error/code"), status) {
        (_, 403) => "AccessDenied",
        ("", _) => "-",
        (code, _) => code,
    };
    let (key, time) = (encoded(text(record, "/objectKey")), when(record).format("%d/%b/%Y:%H:%M:%S +0000").to_string());
    line(&time, text(record, "/bucket"), &key, status, code).replace("3E57427F3EXAMPLE", id)
}

/// A line of an S3 access log; `key` is encoded once.
pub fn line(time: &str, bucket: &str, key: &str, status: u64, code: &str) -> String {
    let logged = encoded(key);
    format!(
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be {bucket} [{time}] 192.0.2.3 {ROLE} 3E57427F3EXAMPLE REST.PUT.OBJECT {logged} \"PUT /{key} HTTP/1.1\" {status} {code} 243 1024 70 10 \"-\" \"aws-sdk-java/2.20 Linux/5.10\" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader {bucket}.s3.eu-central-1.amazonaws.com TLSv1.2 - -"
    )
}

/// The ledger entry of the only file in `case`, and the run.
pub fn ledger(case: &Case, more: &[&str]) -> (Run, Value) {
    let run = run(case.path(), &[&["analyze", ".", "--format", "json"], more].concat());
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    let entry = json["coverage"]["files"][0].clone();
    let number = |name: &str| entry[name].as_u64().expect("a number");
    assert_eq!(number("records"), number("parsed") + number("rejected"));
    (run, entry)
}

/// The values of a text column of all events of `case`, in their order.
pub fn column(case: &Case, name: &str) -> Vec<Option<String>> {
    let (events, _) = crate::parts::all_of(case.path());
    let column = events.column(name).expect("a column").str().expect("text").clone();
    column.iter().map(|value| value.map(str::to_owned)).collect()
}
