//! Cutting a stream into records without ever holding more than a chunk of it.

use std::io::{self, Read};
use std::ops::Range;

use super::blocks::Blocks;
use super::csv_rows::CsvRows;
use super::json_tree::JsonTree;
use super::ledger::BREAKS_OFF;
use super::lines::Lines;
use super::{Encoding, Page, Reject, Sample, Shape, Stream, recognise, recognise_rows};

/// Bounds on what is held in memory at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest record that is read, bytes; a longer one is rejected, not truncated.
    pub max_record: usize,
    /// Bytes read at a time.
    pub chunk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_record: 16 * 1024 * 1024, chunk: 2 * 1024 * 1024 }
    }
}

/// A record inside a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    /// 0-based number in the file.
    pub record: u64,
}

/// A run of whole records.
#[derive(Debug)]
pub struct Chunk {
    /// The records lie where `spans` say; what lies elsewhere is of no meaning.
    pub bytes: Vec<u8>,
    /// Offset of `bytes[0]` in the decompressed stream.
    pub base: u64,
    pub spans: Vec<Span>,
    /// Records that could not even be cut out.
    pub rejects: Vec<Reject>,
    /// What documents that ended here say of being one page of several.
    pub pages: Vec<Page>,
}

/// What a splitter finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A record, as a range of the data given.
    Record(Range<usize>),
    /// Bytes at a stream offset that are no record, and why.
    Broken { offset: u64, reason: String },
    /// The end of a document that wraps records, which is none itself.
    Page(Page),
}

/// Finds record boundaries in data that arrives piece by piece.
pub(super) trait Split: Send {
    /// Looks at `data`, which begins at stream offset `base`, and pushes what it finds. Returns how many leading bytes
    /// are done with; the rest is shown again with more behind it. With `eof` nothing more will come.
    fn split(&mut self, data: &[u8], base: u64, eof: bool, cuts: &mut Vec<Cut>) -> usize;
}

/// Cuts one stream into chunks of records.
pub struct Framer {
    splitter: Option<Box<dyn Split>>,
    limits: Limits,
    /// What was read and not yet cut is the first `filled` bytes.
    buffer: Vec<u8>,
    filled: usize,
    /// A buffer that is no longer used: fresh memory costs more than what is read into it.
    spare: Vec<u8>,
    base: u64,
    records: u64,
    eof: bool,
    failure: Option<String>,
    done: bool,
}

/// As much of a file as is looked at to recognise it.
const HEAD: usize = 64 * 1024;

impl Framer {
    /// Reads the head of `stream`.
    #[must_use]
    pub fn new(stream: &mut Stream, limits: Limits) -> Self {
        Self::with_buffer(stream, limits, Vec::new())
    }

    /// Reads the head of `stream` into a buffer that is no longer used.
    #[must_use]
    pub fn with_buffer(stream: &mut Stream, limits: Limits, buffer: Vec<u8>) -> Self {
        let mut framer = Self::unread(limits, buffer);
        framer.fill(stream, HEAD);
        framer
    }

    /// One that need not recognise anything, and reads no more than a chunk at a time from the first byte on.
    #[must_use]
    pub fn of_shape(limits: Limits, shape: &Shape) -> Self {
        let mut framer = Self::unread(limits, Vec::new());
        framer.set_shape(shape);
        framer
    }

    fn unread(limits: Limits, buffer: Vec<u8>) -> Self {
        Self {
            splitter: None,
            limits,
            buffer,
            filled: 0,
            spare: Vec::new(),
            base: 0,
            records: 0,
            eof: false,
            failure: None,
            done: false,
        }
    }

    /// The first bytes of the stream, and whether they are all of it.
    #[must_use]
    pub fn head(&self) -> (&[u8], bool) {
        (&self.buffer[..self.filled], self.eof)
    }

    /// Tells by the head how the records of a stream that was packed as `encoding` are separated; `known` is for
    /// [`recognise`].
    #[must_use]
    pub fn recognise(&self, encoding: Encoding, known: &dyn Fn(&Sample) -> bool) -> (Shape, Sample) {
        let (head, whole) = self.head();
        let (shape, sample) = match encoding {
            Encoding::Parquet => recognise_rows(head, whole),
            Encoding::Plain | Encoding::Gzip | Encoding::Zstd => recognise(head, whole, known),
        };
        // A stream that breaks off before its first byte is not one that is empty.
        let broken = shape == Shape::Empty && self.failure.is_some();
        (if broken { Shape::Lines } else { shape }, sample)
    }

    /// Takes back the bytes of a chunk that is done with.
    pub fn give_back(&mut self, bytes: Vec<u8>) {
        if bytes.len() > self.spare.len() {
            self.spare = bytes;
        }
    }

    /// A buffer for the next file.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        if self.buffer.len() > self.spare.len() { self.buffer } else { self.spare }
    }

    /// Why the stream ended early, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Fixes how records are told apart; to be called before the first chunk.
    pub fn set_shape(&mut self, shape: &Shape) {
        let limit = self.limits.max_record as u64;
        self.splitter = match shape {
            Shape::Lines => Some(Box::new(Lines::new(limit))),
            Shape::Blocks => Some(Box::new(Blocks::new(limit))),
            Shape::Json => Some(Box::new(JsonTree::new(limit))),
            Shape::JsonAt(path) => Some(Box::new(JsonTree::at(limit, path.clone()))),
            Shape::Csv { .. } => Some(Box::new(CsvRows::new(limit))),
            Shape::Empty | Shape::Unknown { .. } => None,
        };
    }

    /// The next run of records; `None` at the end.
    pub fn next_chunk(&mut self, stream: &mut Stream) -> Option<Chunk> {
        let Some(mut splitter) = self.splitter.take() else {
            // Of a file that breaks off before it begins to make sense, that is all there is to say.
            return self.failure.is_some().then(|| self.failed_chunk());
        };
        let mut cuts = Vec::new();
        while !self.done && cuts.is_empty() {
            if !self.eof {
                self.fill(stream, self.limits.chunk);
            }
            let consumed = splitter.split(&self.buffer[..self.filled], self.base, self.eof, &mut cuts);
            self.done = self.eof;
            if cuts.is_empty() {
                self.buffer.copy_within(consumed..self.filled, 0);
                self.filled -= consumed;
                self.base += consumed as u64;
            } else {
                self.splitter = Some(splitter);
                return Some(self.chunk(consumed, cuts));
            }
        }
        self.failure.is_some().then(|| self.failed_chunk())
    }

    fn chunk(&mut self, consumed: usize, cuts: Vec<Cut>) -> Chunk {
        let mut next = std::mem::take(&mut self.spare);
        let rest = &self.buffer[consumed..self.filled];
        next.resize(next.len().max(rest.len()), 0);
        next[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        let bytes = std::mem::replace(&mut self.buffer, next);
        let mut chunk = Chunk {
            bytes,
            base: self.base,
            spans: Vec::with_capacity(cuts.len()),
            rejects: Vec::new(),
            pages: Vec::new(),
        };
        self.base += consumed as u64;
        for cut in cuts {
            let record = self.records;
            self.records += u64::from(!matches!(cut, Cut::Page(_)));
            match cut {
                Cut::Record(Range { start, end }) => chunk.spans.push(Span { start, end, record }),
                Cut::Broken { offset, reason } => chunk.rejects.push(Reject::new(record, offset, reason)),
                Cut::Page(page) => chunk.pages.push(Page { last_record: record.checked_sub(1), ..page }),
            }
        }
        chunk
    }

    /// The place where the stream itself broke off counts as one rejected record: whatever followed is lost.
    fn failed_chunk(&mut self) -> Chunk {
        let reason = self.failure.take().unwrap_or_default();
        let record = self.records;
        self.records += 1;
        let offset = self.base + self.filled as u64;
        let reason = format!("the file {BREAKS_OFF}: {reason}; what came before is kept, get a whole copy");
        self.splitter = None;
        Chunk {
            bytes: Vec::new(),
            base: offset,
            spans: Vec::new(),
            rejects: vec![Reject::new(record, offset, reason)],
            pages: Vec::new(),
        }
    }

    /// Reads `bytes` more, or up to the end.
    fn fill(&mut self, stream: &mut Stream, bytes: usize) {
        let end = self.filled + bytes;
        while self.filled < end {
            if self.filled == self.buffer.len() {
                // A small file does not get a large buffer.
                let step = self.buffer.len().max(HEAD);
                self.buffer.resize(end.min(self.buffer.len() + step), 0);
            }
            let room = self.buffer.len().min(end);
            match stream.read(&mut self.buffer[self.filled..room]) {
                Ok(0) => {
                    self.eof = true;
                    return;
                }
                Ok(read) => self.filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.eof = true;
                    self.failure = Some(describe(&e));
                    return;
                }
            }
        }
    }
}

pub(super) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed stream ends early (a truncated copy)".to_owned(),
        _ if error.to_string().contains("too much memory") => {
            "it is packed with a zstd window of more than 128 MiB, which is not read; unpack it with zstd -d --long=31"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
