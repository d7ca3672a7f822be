//! Files: whatever lies in one, archives included, it is read to its end or the report says why not.

use std::path::Path;

use serde_json::Value;

use super::{file_of, records};
use crate::error::{Error, Result};
use crate::evidence::{Bounds, Input, Limits, Place, is_hostile};
use crate::ingest::{Mapping, Options};
use crate::report::{self, Hints, Look, RuleText, Selection};

/// Bounds that hostile files soon reach.
fn bounded() -> Options<'static> {
    let bounds = Bounds { expansion: 10, unpacked: 16 << 20, members: 200, depth: 3 };
    Options { bounds, limits: Limits { max_record: 1 << 20, ..Limits::default() }, ..Options::default() }
}

/// Analyses one file with all that may lie in it.
pub(super) fn file(bytes: &[u8]) {
    analyze(&file_of(bytes), bounded());
}

/// The same for files that are packed.
pub(super) fn container(bytes: &[u8]) {
    file(bytes);
}

/// A mapping, and behind a line of three dashes the file that is read by it.
pub(super) fn mapping(bytes: &[u8]) {
    const LINE: &[u8] = b"\n---\n";
    let at = bytes.windows(LINE.len()).position(|window| window == LINE);
    let (text, rest) = at.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + LINE.len()..]));
    let Ok(mapping) = Mapping::parse(&String::from_utf8_lossy(text), "a mapping") else { return };
    rest.split(|byte| *byte == b'\n').for_each(|line| records::mapped(line, &mapping));
    analyze(&file_of(rest), Options { mappings: std::slice::from_ref(&mapping), ..bounded() });
}

/// A draft of a mapping is a mapping.
pub(super) fn draft(bytes: &[u8]) {
    let path = file_of(bytes);
    let input = Input { label: "a".into(), place: Place::File(path.as_path().into()), bytes: bytes.len() as u64 };
    if let Ok(text) = crate::ingest::draft(&input, bounded()) {
        let read = Mapping::parse(&text, "a draft");
        assert!(read.is_ok(), "{}\n{text}", read.err().map(|e| e.to_string()).unwrap_or_default());
    }
}

fn analyze(path: &Path, options: Options<'_>) {
    let rules = RuleText::built_in().expect("a pack");
    match report::analyze(&[path.display().to_string()], options, &rules, &Selection::default(), &()) {
        Ok(analysis) => check(&analysis).expect("written"),
        Err(error @ (Error::Frame { .. } | Error::Changed { .. } | Error::Output(_))) => panic!("{error}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check(analysis: &report::Analysis) -> Result<()> {
    for file in &analysis.coverage.files {
        assert_eq!(file.records, file.parsed + file.rejected, "{}", file.path);
        assert!(!is_hostile_text(&file.path), "{:?}", file.path);
    }
    let text = serde_json::to_vec(analysis).expect("JSON");
    let json: Value = serde_json::from_slice(&text).expect("JSON");
    let count = json["failures"].as_array().map_or(0, Vec::len);
    let (mut lines, mut rows) = (Vec::new(), Vec::new());
    analysis.failures.write_ndjson(&mut lines)?;
    assert_eq!(lines.split(|byte| *byte == b'\n').count(), count + 1, "a line a failure");
    report::write_csv(&analysis.failures, &mut rows)?;
    assert_eq!(csv::Reader::from_reader(&rows[..]).byte_records().flatten().count(), count);
    let table = report::render_table(analysis, Look { width: 80, colour: false }, Hints { paths: &[] })?;
    assert!(table.lines().all(|line| !is_hostile_text(line)), "{table:?}");
    Ok(())
}

/// Whether a terminal would do more than show it.
fn is_hostile_text(text: &str) -> bool {
    text.chars().any(is_hostile)
}
