//! Reading one file: recognise, cut, parse, count.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::adapter::{Adapter, Collect, Facts, Record, Refusal, Sink, Table, Tally};
use super::recognise::{Recognised, recognise};
use super::{ADAPTERS, LeftOut, Options, Prints, from_part, pages};
use crate::evidence::{
    Chunk, Digest, Expansion, FileEntry, Framer, Input, Locator, Member, Place, Reject, Rejects, Shape, Stamp, Stream,
};

/// What all files of a run share.
pub struct Context<'a, C> {
    pub options: Options<'a>,
    pub prints: Prints<'a>,
    /// Records that are passed over.
    pub left_out: &'a LeftOut,
    /// Makes an empty collector of events.
    pub collector: &'a (dyn Fn() -> C + Sync),
}

/// What came out of a run of files, or of a run of chunks of a large one.
pub struct Part<C> {
    pub events: C,
    pub facts: Facts,
    pub files: Vec<(FileEntry, Manner)>,
}

/// How the records of a file are read, once it has been recognised.
#[derive(Clone)]
pub struct Manner {
    /// The adapter that recognised the file, asked first for each record.
    pub adapter: Option<&'static dyn Adapter>,
    pub table: Option<Table>,
    /// The mapping to read them by instead, as its number among the options'.
    pub mapping: Option<usize>,
    /// What its pages state for all records, where they agree.
    pub page: Option<String>,
    /// Whether the file can only be read from its start: it is compressed.
    pub packed: bool,
}

impl PartialEq for Manner {
    fn eq(&self, other: &Self) -> bool {
        let rest = |manner: &Self| (manner.adapter.map(Adapter::name), manner.mapping, manner.packed);
        rest(self) == rest(other) && self.table == other.table && self.page == other.page
    }
}

impl Manner {
    /// That of a file of which no record is read.
    pub const NONE: Self = Self { adapter: None, table: None, mapping: None, page: None, packed: false };
}

/// Chunks of one file that are parsed at the same time, while as many more are being read.
const CHUNKS_AT_ONCE: usize = 4;

thread_local! {
    /// What small files are read into: fresh memory costs more than what is read into it.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// The largest of these that is kept, bytes.
const KEPT: usize = 1024 * 1024;

/// Reads a run of small files.
#[must_use]
pub fn read_small<C: Collect + Send>(inputs: &[Input], run: Range<usize>, context: &Context<'_, C>) -> Vec<Part<C>> {
    let mut parts = vec![part(context)];
    let mut buffer = BUFFER.take();
    for n in run {
        read_file(
            &inputs[n],
            n,
            context,
            &mut Destination { parts: &mut parts, drain: &mut |_| {}, buffer: &mut buffer },
        );
    }
    if buffer.len() <= KEPT {
        BUFFER.set(buffer);
    }
    parts
}

/// Reads a large file; its parts are given to `absorb` as they are done.
pub fn read_large<C: Collect + Send>(
    inputs: &[Input],
    n: usize,
    context: &Context<'_, C>,
    absorb: &mut dyn FnMut(Part<C>),
) {
    let mut parts = vec![part(context)];
    let mut drain = |parts: &mut Vec<Part<C>>| {
        let last = parts.pop();
        parts.drain(..).for_each(&mut *absorb);
        parts.extend(last);
    };
    let mut buffer = Vec::new();
    read_file(&inputs[n], n, context, &mut Destination { parts: &mut parts, drain: &mut drain, buffer: &mut buffer });
    parts.into_iter().for_each(absorb);
}

/// Where what is read goes.
pub struct Destination<'a, C> {
    /// There is always one.
    pub parts: &'a mut Vec<Part<C>>,
    /// Hears of parts that are complete but for the last.
    pub drain: &'a mut dyn FnMut(&mut Vec<Part<C>>),
    /// Memory that the file before was read into.
    pub buffer: &'a mut Vec<u8>,
}

/// A part with nothing in it.
pub fn part<C>(context: &Context<'_, C>) -> Part<C> {
    Part { events: (context.collector)(), facts: Facts::default(), files: Vec::new() }
}

fn read_file<C: Collect + Send>(input: &Input, n: usize, context: &Context<'_, C>, into: &mut Destination<'_, C>) {
    #[expect(clippy::cast_possible_truncation, reason = "four thousand million files would not fit a run")]
    let file = n as u32;
    if let Some(part) = input.place.part() {
        return from_part::read(input, part, file, context, into);
    }
    let mut entry = FileEntry::unread(&input.label, input.bytes);
    let mut tally = Tally::default();
    let manner = read_place(file, input, context, into, &mut entry, &mut tally);
    entry.parsed = tally.parsed;
    entry.rejected = entry.rejects.records();
    entry.records = entry.parsed + entry.rejected;
    entry.first_time = tally.first.map(Stamp);
    entry.last_time = tally.last.map(Stamp);
    entry.zoneless_times = tally.zoneless;
    entry.implausible_times = tally.implausible;
    entry.redacted = tally.redacted;
    into.parts.last_mut().expect("there is always a part").files.push((entry, manner));
}

fn read_place<C: Collect + Send>(
    file: u32,
    input: &Input,
    context: &Context<'_, C>,
    into: &mut Destination<'_, C>,
    entry: &mut FileEntry,
    tally: &mut Tally,
) -> Manner {
    let mut reason = None;
    if let Some(container) = input.place.container() {
        entry.format = container.format.clone().into();
        entry.members = Some(container.members);
        entry.rejects.clone_from(&container.rejects);
        entry.container = container.place.member().map(Member::container).cloned();
    } else if let Some(member) = input.place.member() {
        entry.container = Some(member.container().clone());
        reason = member.refusal().map(str::to_owned);
    }
    if input.place.container().is_none() && reason.is_none() {
        let most = Expansion::of(&input.place, context.options.bounds.expansion);
        match Stream::open(&input.place) {
            Ok(stream) => {
                let stream = stream.bounded(most);
                let stream = if context.options.hash_content { stream.hashing_content() } else { stream };
                return read_stream(file, (stream, &input.place), context, into, entry, tally);
            }
            Err(error) => reason = Some(format!("the file cannot be opened: {error}; check its permissions")),
        }
    }
    entry.rejects.extend(reason.map(|reason| Reject::new(0, 0, reason)));
    Manner::NONE
}

fn read_stream<C: Collect + Send>(
    file: u32,
    (mut stream, place): (Stream, &Place),
    context: &Context<'_, C>,
    into: &mut Destination<'_, C>,
    entry: &mut FileEntry,
    tally: &mut Tally,
) -> Manner {
    let buffer = std::mem::take(into.buffer);
    let mut framer = Framer::with_buffer(&mut stream, context.options.limits, buffer);
    let mappings = context.options.mappings;
    let Recognised { shape, adapter, mapping, paged } = recognise(&entry.path, &framer, stream.encoding(), mappings);
    let format = if framer.failure().is_some() && shape == Shape::Empty { "unreadable" } else { format_name(&shape) };
    entry.format = adapter.map_or(format, Adapter::name).into();
    if let Some(mapping) = mapping.map(|n| &mappings[n]) {
        entry.format = format!("mapped:{}", mapping.name).into();
        entry.mapping = Some(mapping.sha256.clone());
    }
    framer.set_shape(&shape);
    if let Shape::Unknown { reason } = &shape {
        entry.rejects.push(Reject::new(0, 0, reason.clone()));
    }
    let pages = adapter.filter(|_| paged);
    let page = pages.and_then(|adapter| pages::stated(adapter, place, context.options.bounds));
    let table = match shape {
        Shape::Csv { delimiter, header } => Some(Table { delimiter, header }),
        _ => None,
    };
    let manner = Manner { adapter, table, mapping, page, packed: stream.is_packed() };
    let Context { options, prints, left_out, .. } = *context;
    let reader = Reader { file, manner: &manner, options, prints, left_out, hash_events: false };
    let next = |framer: &mut Framer, stream: &mut Stream| -> Vec<Chunk> {
        (0..CHUNKS_AT_ONCE).map_while(|_| framer.next_chunk(stream)).collect()
    };
    let mut chunks = next(&mut framer, &mut stream);
    note_pages(&chunks, entry);
    while let Some(last) = into.parts.last_mut().filter(|_| !chunks.is_empty()) {
        if let [chunk] = &chunks[..] {
            reader.parse(chunk, last, &mut entry.rejects, tally);
            for chunk in chunks {
                framer.give_back(chunk.bytes);
            }
            chunks = next(&mut framer, &mut stream);
            note_pages(&chunks, entry);
            continue;
        }
        // One core reads and hashes ahead while the others parse.
        let apart = || chunks.par_iter().map(|chunk| reader.read_apart(chunk, context)).collect::<Vec<_>>();
        let (ahead, read) = rayon::join(|| next(&mut framer, &mut stream), apart);
        for (part, rejects, more) in read {
            into.parts.push(part);
            entry.rejects.extend(rejects);
            add(tally, &more);
        }
        (into.drain)(into.parts);
        chunks = ahead;
        note_pages(&chunks, entry);
    }
    *into.buffer = framer.into_buffer();
    let (unpacked, as_found) = (stream.finish_content(), stream.is_as_found());
    match stream.finish() {
        Ok((digest, bytes)) => {
            entry.sha256 = Some(digest);
            entry.content_sha256 = unpacked.or(as_found.then_some(digest));
            entry.bytes = bytes;
        }
        Err(error) => {
            let record = tally.parsed + entry.rejects.records();
            let reason = format!("the file cannot be read to its end, so it has no SHA-256: {error}");
            entry.rejects.push(Reject::new(record, 0, reason));
        }
    }
    manner
}

/// Pages of one file that are noted at most: hostile ones may be many.
const MAX_PAGES: usize = 4096;

fn note_pages(chunks: &[Chunk], entry: &mut FileEntry) {
    let room = MAX_PAGES - entry.pages.len().min(MAX_PAGES);
    entry.pages.extend(chunks.iter().flat_map(|chunk| &chunk.pages).take(room).cloned());
}

const fn format_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Empty => "empty",
        Shape::Lines | Shape::Json | Shape::JsonAt(_) => "unknown JSON",
        Shape::Csv { .. } => "unknown table",
        Shape::Blocks => "unknown text",
        Shape::Unknown { .. } => "unknown",
    }
}

fn add(tally: &mut Tally, more: &Tally) {
    tally.parsed += more.parsed;
    tally.first = [tally.first, more.first].into_iter().flatten().min();
    tally.last = [tally.last, more.last].into_iter().flatten().max();
    tally.zoneless += more.zoneless;
    tally.implausible += more.implausible;
    tally.redacted += more.redacted;
}

/// Parses the records of one file.
pub struct Reader<'a> {
    pub file: u32,
    pub manner: &'a Manner,
    pub options: Options<'a>,
    pub prints: Prints<'a>,
    pub left_out: &'a LeftOut,
    /// Whether events are hashed on the way.
    pub hash_events: bool,
}

impl Reader<'_> {
    fn read_apart<C: Collect>(&self, chunk: &Chunk, context: &Context<'_, C>) -> (Part<C>, Rejects, Tally) {
        let (mut part, mut rejects, mut tally) = (part(context), Rejects::default(), Tally::default());
        self.parse(chunk, &mut part, &mut rejects, &mut tally);
        (part, rejects, tally)
    }

    fn parse<C: Collect>(&self, chunk: &Chunk, part: &mut Part<C>, rejects: &mut Rejects, tally: &mut Tally) {
        let mut broken = chunk.rejects.iter().cloned().peekable();
        for span in &chunk.spans {
            rejects.extend(std::iter::from_fn(|| broken.next_if(|broken| broken.record < span.record)));
            let bytes = &chunk.bytes[span.start..span.end];
            let at = Locator {
                file: self.file,
                record: span.record,
                offset: chunk.base + span.start as u64,
                length: bytes.len() as u64,
            };
            if self.left_out.has(&at) {
                continue;
            }
            match self.read(bytes, at, &mut part.events, &mut part.facts, tally) {
                Ok(()) => tally.parsed += 1,
                Err(reason) => rejects.push(Reject::new(at.record, at.offset, reason)),
            }
        }
        rejects.extend(broken);
    }

    /// Reads one record.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(
        &self,
        bytes: &[u8],
        at: Locator,
        events: &mut dyn Collect,
        facts: &mut Facts,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| format!("not UTF-8 text from byte {} of the record on", e.valid_up_to()))?;
        let Manner { adapter: first, table, mapping, page, .. } = self.manner;
        let (first, mapping) = (*first, mapping.map(|n| &self.options.mappings[n]));
        if table.is_some() && first.is_none() && mapping.is_none() {
            return Err(
                "a row of a table whose columns are of no source that is known; docs/formats.md lists them, and a mapping \
                 (--map) can say what they are"
                    .to_owned(),
            );
        }
        let record = Record { bytes, text, at, table: table.as_ref(), page: page.as_deref() };
        let hash = self.hash_events || self.prints.need_digests();
        let sha256 = hash.then(|| Digest::of(bytes));
        let mut sink = Sink {
            events,
            facts,
            tally,
            zone: self.options.zone,
            fingerprint: self.prints.of(bytes, sha256),
            bytes,
            sha256,
            source: "",
        };
        if let Some(mapping) = mapping {
            return match mapping.record(&record, &mut sink) {
                Ok(()) => Ok(()),
                Err(Refusal::Broken(reason)) => Err(reason),
                Err(Refusal::NotMine) => Err("not what its mapping is for".to_owned()),
            };
        }
        let plain = !text.starts_with(['{', '[']) && record.table.is_none();
        let texts = ADAPTERS.iter().copied().filter(|adapter| plain && adapter.reads_text());
        let others = ADAPTERS.iter().copied().filter(|a| first.is_none_or(|f| f.name() != a.name()));
        for adapter in texts.chain(first).chain(others) {
            sink.source = adapter.name();
            match adapter.read(&record, &mut sink) {
                Ok(()) => return Ok(()),
                Err(Refusal::Broken(_)) if plain && !adapter.reads_text() && first.is_some_and(Adapter::reads_text) => {
                    let format = first.map_or("", |first| first.name());
                    return Err(format!("text that is no record of this file's format, {format}, nor of another"));
                }
                Err(Refusal::Broken(reason)) => return Err(reason),
                // A row of a table has no other reader than the one its header called for.
                Err(Refusal::NotMine) if record.table.is_some() => break,
                Err(Refusal::NotMine) => {}
            }
        }
        Err("readable, but of no source that is known; docs/formats.md lists them, and a mapping (--map) can say what it is"
            .to_owned())
    }
}
