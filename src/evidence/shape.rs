//! Telling by content how the records of a file are separated.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::blocks;
use super::containers::Kind;
use super::csv_rows::row_end;
use super::framer::{Cut, Split};
use super::json_tree::{JsonTree, WRAPPERS};
use super::lines::bom_length;
use super::text_lines;

/// How records are separated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object a line (possibly with something before it, as Vault's prefix), or one line of text a request.
    Lines,
    /// Several lines of text a request.
    Blocks,
    /// Top-level objects, arrays, or objects that wrap a list of records.
    Json,
    /// Elements of the list that these members lead to, from a top-level object on.
    JsonAt(Vec<String>),
    /// Rows under a header.
    Csv { delimiter: u8, header: Vec<String> },
    /// Zero bytes, or white space only.
    Empty,
    /// Neither; the sentence says what it looks like.
    Unknown { reason: String },
}

/// The first records of a file, for the adapters to recognise.
#[derive(Debug, Default)]
pub struct Sample {
    pub records: Vec<Value>,
    pub header: Vec<String>,
    /// Records that are plain text.
    pub texts: Vec<String>,
}

/// Records looked at to recognise a format, and as many as are enough where each is a line by itself.
const SAMPLES: usize = 16;
const FEW: usize = 4;

/// Bytes of a wrapped list of records that are looked at first: thousands of small files are told apart by this.
const ENOUGH: usize = 8 * 1024;

fn of_records(records: Vec<Value>) -> Sample {
    Sample { records, ..Sample::default() }
}

/// Recognises the shape of a file by its first bytes; `whole` says whether they are all of it. `known` says of a sample
/// whether it is enough to tell whose records these are.
#[must_use]
pub fn recognise(head: &[u8], whole: bool, known: &dyn Fn(&Sample) -> bool) -> (Shape, Sample) {
    // What a tar holds may well look like lines. Whoever comes here could not be unpacked.
    if let Some(kind) = Kind::of(head) {
        let kind = kind.name();
        let reason = format!("a {kind} archive, which is not unpacked where it lies; download it first");
        return (Shape::Unknown { reason }, Sample::default());
    }
    let body = &head[bom_length(head)..];
    let Some(first) = body.iter().find(|b| !b.is_ascii_whitespace()) else {
        let shape = if whole { Shape::Empty } else { Shape::Lines };
        return (shape, Sample::default());
    };
    if begins_with_wrapper(body) {
        let start = &head[..head.len().min(ENOUGH)];
        let tree = || JsonTree::new(head.len() as u64);
        let (mut records, _) = tree_records(start, whole && start.len() == head.len(), &mut tree());
        if records.is_empty() && start.len() < head.len() {
            (records, _) = tree_records(head, whole, &mut tree());
        }
        return (Shape::Json, of_records(records));
    }
    let (few, share) = json_lines(body, whole, FEW);
    if share >= 1.0 && few.len() == FEW && *first == b'{' && !few.iter().any(wraps_records) {
        let sample = of_records(few);
        let sample = if known(&sample) { sample } else { of_records(json_lines(body, whole, SAMPLES).0) };
        return (Shape::Lines, sample);
    }
    let texts = blocks::samples(body, FEW);
    if !texts.is_empty() {
        return (Shape::Blocks, Sample { texts, ..Sample::default() });
    }
    let (lines, share) = json_lines(body, whole, SAMPLES);
    if lines.is_empty() {
        let texts = text_lines::samples(body, whole, FEW);
        if !texts.is_empty() {
            return (Shape::Lines, Sample { texts, ..Sample::default() });
        }
    }
    let by_line = |records| (Shape::Lines, of_records(records));
    if matches!(first, b'{' | b'[') {
        let wrapped = lines.iter().any(wraps_records);
        if *first == b'{' && share >= 0.5 && !wrapped {
            return by_line(lines);
        }
        // One line of a document may happen to be an object by itself; only if the whole makes no sense do lines count.
        let (records, broken) = tree_records(head, whole, &mut JsonTree::new(head.len() as u64));
        let more = lines.len() > records.len() || (*first == b'{' && lines.len() == records.len());
        if broken && more && !wrapped {
            return by_line(lines);
        }
        return (Shape::Json, of_records(records));
    }
    if !lines.is_empty() {
        return by_line(lines);
    }
    if let Some(reason) = unreadable(body) {
        return (Shape::Unknown { reason }, Sample::default());
    }
    csv(body).unwrap_or_else(|| {
        let reason =
            "text that is neither JSON nor a table with a header row; expected one of the formats in docs/formats.md";
        (Shape::Unknown { reason: reason.to_owned() }, Sample::default())
    })
}

/// The shape of what Parquet is presented as: a line a row, whatever its columns are called.
#[must_use]
pub fn recognise_rows(head: &[u8], whole: bool) -> (Shape, Sample) {
    let records = json_lines(head, whole, SAMPLES).0;
    let shape = if head.is_empty() && whole { Shape::Empty } else { Shape::Lines };
    (shape, of_records(records))
}

/// The first records of the list that `path` leads to; none where there is no such list.
#[must_use]
pub fn sample_at(head: &[u8], whole: bool, path: &[String]) -> Sample {
    if !head[bom_length(head)..].trim_ascii_start().starts_with(b"{") {
        return Sample::default();
    }
    let mut tree = JsonTree::at(head.len() as u64, path.to_vec());
    let records = tree_records(head, whole, &mut tree).0;
    let records = if tree.has_list { records } else { Vec::new() };
    of_records(records)
}

/// The first JSON objects, `most` at most, that stand alone on a line, and the share of all lines looked at that are such.
fn json_lines(body: &[u8], whole: bool, most: usize) -> (Vec<Value>, f64) {
    let end = if whole { body.len() } else { memchr::memrchr(b'\n', body).unwrap_or(0) };
    let lines = body[..end].split(|b| *b == b'\n');
    let (mut found, mut seen) = (Vec::new(), 0u32);
    for line in lines.filter(|line| !line.iter().all(u8::is_ascii_whitespace)) {
        seen += 1;
        let value = memchr::memchr(b'{', line).and_then(|at| serde_json::from_slice::<Value>(&line[at..]).ok());
        found.extend(value.filter(|value| value.as_object().is_some_and(|o| !o.is_empty())));
        if found.len() == most {
            break;
        }
    }
    let share = f64::from(u32::try_from(found.len()).unwrap_or(u32::MAX)) / f64::from(seen.max(1));
    (found, share)
}

/// Whether the document opens with `{"Records": [` or the like, as CloudTrail's deliveries do.
fn begins_with_wrapper(body: &[u8]) -> bool {
    let rest = body.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(b"\"")) else { return false };
    WRAPPERS.iter().any(|wrapper| {
        let after = rest.strip_prefix(wrapper.as_bytes()).and_then(|rest| rest.strip_prefix(b"\""));
        let list = after.and_then(|rest| rest.trim_ascii_start().strip_prefix(b":")).map(<[u8]>::trim_ascii_start);
        list.is_some_and(|list| list.starts_with(b"["))
    })
}

fn wraps_records(value: &Value) -> bool {
    WRAPPERS.iter().any(|w| value.get(w).is_some_and(Value::is_array))
}

/// The first records of a JSON document, and whether any of it is broken.
fn tree_records(head: &[u8], whole: bool, tree: &mut JsonTree) -> (Vec<Value>, bool) {
    let mut cuts = Vec::new();
    tree.split(head, 0, whole, &mut cuts);
    let (mut records, mut broken) = (Vec::new(), false);
    for cut in cuts {
        match cut {
            Cut::Record(range) if records.len() < SAMPLES => match serde_json::from_slice(&head[range]) {
                Ok(value) => records.push(value),
                Err(_) => broken = true,
            },
            Cut::Record(range) => broken |= serde_json::from_slice::<IgnoredAny>(&head[range]).is_err(),
            Cut::Broken { .. } => broken = true,
            Cut::Page(_) => {}
        }
    }
    (records, broken)
}

fn unreadable(body: &[u8]) -> Option<String> {
    if body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff") {
        return Some("UTF-16 text; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)".to_owned());
    }
    let start = &body[..body.len().min(4096)];
    let binary = start.contains(&0) || std::str::from_utf8(start).is_err_and(|e| e.error_len().is_some());
    if !binary {
        return None;
    }
    let kind = match start {
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "packed twice, which is unpacked once only; unpack it yourself"
        }
        [b'P', b'A', b'R', b'1', ..] => "a Parquet file inside of another packing; unpack it first",
        [b'P', b'A', b'R', b'E', ..] => "an encrypted Parquet file; decrypt it first",
        [b'B', b'Z', b'h', ..] => "bzip2-compressed; unpack it, or pack it as gzip or zstd",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz-compressed; unpack it, or pack it as gzip or zstd",
        _ => "binary data; expected JSON, NDJSON or CSV, plain or packed with gzip or zstd, or Parquet",
    };
    Some(kind.to_owned())
}

fn csv(body: &[u8]) -> Option<(Shape, Sample)> {
    let end = row_end(body, 0).unwrap_or(body.len());
    let row = std::str::from_utf8(&body[..end]).ok()?;
    let delimiter = [b',', b';', b'\t', b'|'].into_iter().max_by_key(|d| row.bytes().filter(|b| b == d).count())?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(row.as_bytes());
    let header: Vec<String> = reader.records().next()?.ok()?.iter().map(|f| f.trim().to_owned()).collect();
    if header.len() < 2 || header.iter().any(|name| name.len() > 64) {
        return None;
    }
    Some((Shape::Csv { delimiter, header: header.clone() }, Sample { header, ..Sample::default() }))
}
