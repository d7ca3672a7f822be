//! Cutting into records: their places are those of their bytes, and do not hang on how the bytes arrive.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::{file_of, records};
use crate::evidence::{Bounds, Expansion, Framer, Limits, Page, Place, Shape, Stream};

/// Bytes that are read at a time: as good as all, and so few that most records arrive in pieces.
const CHUNKS: [usize; 3] = [1 << 20, 7, 64];
/// Longest records: longer than any, and so short that some are too long.
const LONGEST: [usize; 2] = [1 << 20, 100];

/// What was cut out of a file.
#[derive(Debug, Default, PartialEq)]
struct Pieces {
    /// Number, offset, and bytes.
    records: Vec<(u64, u64, Vec<u8>)>,
    /// Number and offset.
    rejects: Vec<(u64, u64)>,
    pages: Vec<Page>,
}

pub(super) fn lines(bytes: &[u8]) {
    check(bytes, &Shape::Lines);
}

pub(super) fn blocks(bytes: &[u8]) {
    check(bytes, &Shape::Blocks);
}

pub(super) fn json(bytes: &[u8]) {
    check(bytes, &Shape::Json);
    check(bytes, &Shape::JsonAt(vec!["data".to_owned(), "rows".to_owned()]));
}

pub(super) fn csv(bytes: &[u8]) {
    let path = file_of(bytes);
    let (mut stream, limits) = (stream(&path), Limits::default());
    let framer = Framer::new(&mut stream, limits);
    let shape = framer.recognise(stream.encoding(), &|_| true).0;
    let Shape::Csv { delimiter, header } = &shape else { return };
    for (_, _, row) in check(bytes, &shape).records {
        records::row(&row, *delimiter, header);
    }
}

/// Parquet is presented as lines of JSON; whatever the file says, what comes out is that, or the file breaks off.
pub(super) fn parquet(bytes: &[u8]) {
    let path = file_of(&[b"PAR1", bytes].concat());
    let mut presented = Vec::new();
    let broken = stream(&path).read_to_end(&mut presented).is_err();
    for line in presented.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let row = serde_json::from_slice::<Value>(line);
        assert!(broken || row.is_ok_and(|row| row.is_object()), "{}", String::from_utf8_lossy(line));
    }
}

fn stream(path: &Path) -> Stream {
    let most = Expansion::Times(Bounds::default().expansion);
    Stream::open(&Place::File(path.into())).expect("opened").bounded(most)
}

fn check(bytes: &[u8], shape: &Shape) -> Pieces {
    let path = file_of(bytes);
    let mut found = Pieces::default();
    for max_record in LONGEST.into_iter().rev() {
        let [whole, small, middling] = CHUNKS.map(|chunk| cut(&path, shape, Limits { max_record, chunk }));
        // A record is not too long by the white space behind it, but it may arrive before the end of that does.
        if max_record > bytes.len() {
            assert_eq!(whole, small, "{shape:?}");
            assert_eq!(whole, middling, "{shape:?}");
        }
        for pieces in [&small, &middling, &whole] {
            pieces.check(bytes, max_record);
        }
        found = whole;
    }
    found
}

fn cut(path: &Path, shape: &Shape, limits: Limits) -> Pieces {
    let mut stream = stream(path);
    let mut framer = Framer::of_shape(limits, shape);
    let mut found = Pieces::default();
    while let Some(chunk) = framer.next_chunk(&mut stream) {
        let of_span = |span: &crate::evidence::Span| {
            (span.record, chunk.base + span.start as u64, chunk.bytes[span.start..span.end].to_vec())
        };
        found.records.extend(chunk.spans.iter().map(of_span));
        found.rejects.extend(chunk.rejects.into_iter().map(|reject| (reject.record, reject.offset)));
        found.pages.extend(chunk.pages);
    }
    found
}

impl Pieces {
    fn check(&self, bytes: &[u8], max_record: usize) {
        let mut end = 0;
        for (_, offset, record) in &self.records {
            let start = usize::try_from(*offset).expect("small");
            assert!(start >= end, "records lie behind one another");
            end = start + record.len();
            assert_eq!(record[..], bytes[start..end], "a record is the bytes at its place");
            assert!(!record.is_empty() && record.len() <= max_record);
        }
        let mut numbers: Vec<u64> = self.records.iter().map(|r| r.0).chain(self.rejects.iter().map(|r| r.0)).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "each has a number of its own");
        assert!(self.rejects.iter().all(|(_, offset)| *offset <= bytes.len() as u64));
    }
}
