//! Reading one file: recognise, cut, parse, count.

use std::hash::BuildHasher;
use std::ops::Range;

use rayon::prelude::*;

use super::adapter::{Adapter, Record, Refusal, Sink, Table, Tally, Yield};
use super::{ADAPTERS, Options, rfc3339};
use crate::evidence::{
    Chunk, Digest, Encoding, FileEntry, Framer, Input, Locator, Place, Reject, Sample, Shape, Stream, recognise,
};

/// What all files of a run share.
pub struct Context<'a> {
    pub options: Options,
    /// Keys of the fingerprints, fresh in each run: nobody can prepare two records that collide.
    pub keys: &'a foldhash::quality::RandomState,
}

/// What came out of a run of files, or of one chunk of a large one.
#[derive(Default)]
pub struct Part {
    pub out: Yield,
    pub files: Vec<FileEntry>,
}

/// Small files are read together, so that thousands of them make few frames.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Chunks of one file that are parsed at the same time.
const CHUNKS_AT_ONCE: usize = 4;

/// Divides the inputs into runs of about equal size, in order.
#[must_use]
pub fn batches(inputs: &[Input]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (n, input) in inputs.iter().enumerate() {
        bytes += input.bytes;
        if bytes >= BATCH_BYTES {
            batches.push(start..n + 1);
            (start, bytes) = (n + 1, 0);
        }
    }
    if start < inputs.len() {
        batches.push(start..inputs.len());
    }
    batches
}

/// Reads a run of files.
#[must_use]
pub fn read_batch(inputs: &[Input], batch: Range<usize>, context: &Context<'_>) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    for n in batch {
        #[expect(clippy::cast_possible_truncation, reason = "four thousand million files would not fit a run")]
        read_file(&inputs[n], n as u32, context, &mut parts);
    }
    parts
}

fn read_file(input: &Input, file: u32, context: &Context<'_>, parts: &mut Vec<Part>) {
    let mut entry = FileEntry {
        path: input.label.clone(),
        sha256: None,
        bytes: input.bytes,
        format: "unreadable".to_owned(),
        records: 0,
        parsed: 0,
        rejected: 0,
        duplicates: 0,
        first_time: None,
        last_time: None,
        zoneless_times: 0,
        implausible_times: 0,
        redacted: 0,
        rejects: Vec::new(),
    };
    let mut tally = Tally::default();
    let outcome = Stream::open(&input.place)
        .map(|stream| read_stream(input, file, stream, context, parts, &mut entry, &mut tally));
    if let Err(error) = outcome {
        let reason = format!("the file cannot be opened: {error}; check its permissions");
        entry.rejects.push(Reject { record: 0, offset: 0, reason });
    }
    entry.rejects.sort_by_key(|reject| reject.record);
    entry.parsed = tally.parsed;
    entry.rejected = entry.rejects.len() as u64;
    entry.records = entry.parsed + entry.rejected;
    entry.first_time = tally.first.map(rfc3339);
    entry.last_time = tally.last.map(rfc3339);
    entry.zoneless_times = tally.zoneless;
    entry.implausible_times = tally.implausible;
    entry.redacted = tally.redacted;
    parts.last_mut().expect("there is always a part").files.push(entry);
}

fn read_stream(
    input: &Input,
    file: u32,
    mut stream: Stream,
    context: &Context<'_>,
    parts: &mut Vec<Part>,
    entry: &mut FileEntry,
    tally: &mut Tally,
) {
    // Packed files and standard input are hashed record by record now: going back to them later costs more, or is
    // impossible. Plain files are read again where a record is cited.
    let hash_now = stream.encoding() != Encoding::Plain || input.place == Place::Stdin;
    let mut framer = Framer::new(&mut stream, context.options.limits);
    let (head, whole) = framer.head();
    let (shape, sample) = recognise(head, whole);
    let adapter = choose(&sample);
    entry.format = adapter.map_or_else(|| format_name(&shape), |a| a.name().to_owned());
    framer.set_shape(&shape);
    if let Shape::Unknown { reason } = &shape {
        entry.rejects.push(Reject { record: 0, offset: 0, reason: reason.clone() });
    }
    let table = match shape {
        Shape::Csv { delimiter, header } => Some(Table { delimiter, header }),
        _ => None,
    };
    let reader = Reader { file, adapter, table, hash_now, context };
    loop {
        let chunks: Vec<Chunk> = (0..CHUNKS_AT_ONCE).map_while(|_| framer.next_chunk(&mut stream)).collect();
        let Some(last) = parts.last_mut().filter(|_| !chunks.is_empty()) else { break };
        if let [chunk] = &chunks[..] {
            reader.parse(chunk, &mut last.out, &mut entry.rejects, tally);
            continue;
        }
        let read: Vec<(Part, FileEntryDelta)> = chunks.par_iter().map(|chunk| reader.read_apart(chunk)).collect();
        for (part, delta) in read {
            parts.push(part);
            entry.rejects.extend(delta.rejects);
            add(tally, &delta.tally);
        }
    }
    match stream.finish() {
        Ok((digest, bytes)) => {
            entry.sha256 = Some(digest.to_string());
            entry.bytes = bytes;
        }
        Err(error) => {
            let record = tally.parsed + entry.rejects.len() as u64;
            let reason = format!("the file cannot be read to its end, so it has no SHA-256: {error}");
            entry.rejects.push(Reject { record, offset: 0, reason });
        }
    }
}

fn format_name(shape: &Shape) -> String {
    match shape {
        Shape::Empty => "empty",
        Shape::Lines | Shape::Json => "unknown JSON",
        Shape::Csv { .. } => "unknown table",
        Shape::Unknown { .. } => "unknown",
    }
    .to_owned()
}

fn choose(sample: &Sample) -> Option<&'static dyn Adapter> {
    ADAPTERS.iter().copied().find(|adapter| adapter.recognises(sample))
}

fn add(tally: &mut Tally, more: &Tally) {
    tally.parsed += more.parsed;
    tally.first = [tally.first, more.first].into_iter().flatten().min();
    tally.last = [tally.last, more.last].into_iter().flatten().max();
    tally.zoneless += more.zoneless;
    tally.implausible += more.implausible;
    tally.redacted += more.redacted;
}

#[derive(Default)]
struct FileEntryDelta {
    rejects: Vec<Reject>,
    tally: Tally,
}

/// Parses the records of one file.
struct Reader<'a> {
    file: u32,
    /// The adapter that recognised the file, asked first for each record.
    adapter: Option<&'static dyn Adapter>,
    table: Option<Table>,
    hash_now: bool,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    fn read_apart(&self, chunk: &Chunk) -> (Part, FileEntryDelta) {
        let (mut part, mut delta) = (Part::default(), FileEntryDelta::default());
        self.parse(chunk, &mut part.out, &mut delta.rejects, &mut delta.tally);
        (part, delta)
    }

    fn parse(&self, chunk: &Chunk, out: &mut Yield, rejects: &mut Vec<Reject>, tally: &mut Tally) {
        rejects.extend(chunk.rejects.iter().cloned());
        for span in &chunk.spans {
            let bytes = &chunk.bytes[span.start..span.end];
            let at = Locator {
                file: self.file,
                record: span.record,
                offset: chunk.base + span.start as u64,
                length: bytes.len() as u64,
            };
            match self.read(bytes, at, out, tally) {
                Ok(()) => tally.parsed += 1,
                Err(reason) => rejects.push(Reject { record: at.record, offset: at.offset, reason }),
            }
        }
    }

    fn read(&self, bytes: &[u8], at: Locator, out: &mut Yield, tally: &mut Tally) -> Result<(), String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| format!("not UTF-8 text from byte {} of the record on", e.valid_up_to()))?;
        if self.table.is_some() && self.adapter.is_none() {
            return Err(
                "a row of a table whose columns are of no source that is known; docs/formats.md lists them".to_owned()
            );
        }
        let record = Record { bytes, text, at, table: self.table.as_ref() };
        let mut sink = Sink {
            out,
            tally,
            zone: self.context.options.zone,
            fingerprint: self.context.keys.hash_one(bytes),
            sha256: self.hash_now.then(|| Digest::of(bytes)),
            source: "",
        };
        let first = self.adapter;
        let others = ADAPTERS.iter().copied().filter(|a| first.is_none_or(|f| f.name() != a.name()));
        for adapter in first.into_iter().chain(others) {
            sink.source = adapter.name();
            match adapter.read(&record, &mut sink) {
                Ok(()) => return Ok(()),
                Err(Refusal::Broken(reason)) => return Err(reason),
                // A row of a table has no other reader than the one its header called for.
                Err(Refusal::NotMine) if record.table.is_some() => break,
                Err(Refusal::NotMine) => {}
            }
        }
        Err("readable, but of no source that is known; docs/formats.md lists them".to_owned())
    }
}
