//! Records without an id of their own that were exported again in another form: with other white space, another order of
//! members, as a table. Between files, what is the same in every column is the same record; within one file it is not,
//! because what no column holds may differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hash, Hasher};

use foldhash::quality::RandomState;

use super::columns::Column;
use super::outline::{Block, Id, NO_TIME, Outline};
use super::symbols::Symbol;
use super::table::Row;
use super::telling::Say;
use crate::error::Result;
use crate::evidence::{Digest, Locator};
use crate::ingest::{Collect, Event, Reread};
use crate::spill::{Size, Tell, Twice, by_share, halves, joined};

/// Ids that are the same for the same record.
const IDS: [Id; 6] = [Id::Job, Id::Recording, Id::Conversation, Id::Object, Id::Request, Id::Correlation];
/// Names that are the same for the same record.
const NAMES: [Column; 5] = [Column::Source, Column::Step, Column::Principal, Column::Bucket, Column::Region];
/// Records that are held at a time.
const HELD: usize = 1 << 20;

/// Rows that say in every column what one in another file says, in no order. Of each such record the file that has the
/// most of it keeps it: of equals, the first.
///
/// # Errors
/// A file cannot be read again.
pub fn find(outline: &Outline, reread: &Reread<'_>) -> Result<Vec<Row>> {
    let rows = alike(outline)?;
    if rows.is_empty() {
        return Ok(rows);
    }
    let wanted = outline.wanted(&rows)?;
    let keys = [RandomState::default(), RandomState::default()];
    let read = reread.read(&wanted, &|| Contents { keys: keys.clone(), found: Vec::new() })?;
    let contents = read.into_iter().flat_map(|part| part.found);
    let mut by_content: HashMap<[u64; 2], Vec<(u32, Row)>, foldhash::fast::RandomState> = HashMap::default();
    for ((row, wanted), content) in rows.iter().zip(&wanted).zip(contents) {
        by_content.entry(content).or_default().push((wanted.at.file, *row));
    }
    Ok(by_content.into_values().flat_map(repeated).collect())
}

/// Those of `same` that lie in other files than the one that has the most.
fn repeated(same: Vec<(u32, Row)>) -> Vec<Row> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for (file, _) in &same {
        *counts.entry(*file).or_default() += 1;
    }
    let keeps = counts.into_iter().max_by_key(|(file, count)| (*count, std::cmp::Reverse(*file)));
    let keeps = keeps.map(|(file, _)| file);
    same.into_iter().filter(|(file, _)| Some(*file) != keeps).map(|(_, row)| row).collect()
}

/// Rows of several files that may be the same, by what the outline tells; ascending.
fn alike(outline: &Outline) -> Result<Vec<Row>> {
    let overlapping = &overlapping(outline)?;
    if overlapping.is_empty() {
        return Ok(Vec::new());
    }
    // Hardly any has the time and the job of one in another file: the other columns are needed of few.
    let columns = [Column::Time, Column::Source, Column::Uid, Column::File, Column::Id(Id::Job)];
    let roughly = |block: &Block<'_>, n: usize| {
        outline.keys.hash_one((block.time[n], block.names(Column::Source)[n], block.id(Id::Job)[n]))
    };
    let several = Twice::of(outline.without_uid);
    let note = |block: &Block<'_>| alike_in(block, overlapping).for_each(|n| several.note(roughly(block, n)));
    outline.look(&columns, note)?;
    let some = in_several_files(outline.without_uid, |tell| {
        let look = |block: &Block<'_>, say: &mut Say<'_, 2>| {
            for n in alike_in(block, overlapping) {
                let key = roughly(block, n);
                if several.may_have(key) {
                    say(key, [key, joined(block.file(n), block.row(n))]);
                }
            }
        };
        outline.tell(&columns, look, tell)
    })?;
    let columns = [&NAMES[..], &IDS.map(Column::Id), &[Column::Time, Column::File]].concat();
    let spans: Vec<(usize, usize)> = outline.spans_of(&some).collect();
    in_several_files(some.len(), |tell| {
        let look = |block: &Block<'_>, say: &mut Say<'_, 2>| {
            for n in block.places_of(&some) {
                let names = NAMES.map(|name| block.names(name)[n]);
                let key = outline.keys.hash_one((block.time[n], names, IDS.map(|id| block.id(id)[n])));
                say(key, [key, joined(block.file(n), block.row(n))]);
            }
        };
        outline.tell_of(&spans, &columns, look, tell)
    })
}

/// The rows, of those that are told by a key with their files, that share their key with one of another file; ascending.
fn in_several_files(expected: usize, tell_all: impl FnOnce(&mut Tell<'_, 2>) -> Result<()>) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    let size = Size { expected, most: HELD };
    by_share(size, tell_all, Vec::new, Vec::push, |mut told: Vec<[u64; 2]>| {
        told.sort_unstable();
        for same in told.chunk_by(|a, b| a[0] == b[0]) {
            let of_each = || same.iter().map(|[_, place]| halves(*place));
            if of_each().any(|[file, _]| file != halves(same[0][1])[0]) {
                found.extend(of_each().map(|[_, row]| row));
            }
        }
        Ok(())
    })?;
    found.sort_unstable();
    Ok(found)
}

/// The places in a block of records without an id that may be in another file too.
fn alike_in<'b>(block: &'b Block<'_>, overlapping: &'b BTreeSet<File>) -> impl Iterator<Item = usize> + 'b {
    // Rows of a file lie behind each other.
    let mut last = ((0, 0), false);
    block.places().filter(move |n| {
        let file = (block.names(Column::Source)[*n], block.file(*n));
        if last.0 != file {
            last = (file, overlapping.contains(&file));
        }
        last.1 && has_no_id(block, *n)
    })
}

/// Whether a row can only be recognised by what it says. Without a time, what is alike may be many.
fn has_no_id(block: &Block<'_>, place: usize) -> bool {
    block.uid[place] == 0 && block.time[place] != NO_TIME && block.counts(place)
}

/// A source and a file that has records of it.
type File = (Symbol, u32);

/// The files that reach into the time of another of the same source. A trail that is written day by day has none.
fn overlapping(outline: &Outline) -> Result<BTreeSet<File>> {
    let of_block = |block: &Block<'_>| {
        let mut spans: Vec<(File, (i64, i64))> = Vec::new();
        for n in block.places().filter(|n| has_no_id(block, *n)) {
            let (time, file) = (block.time[n], (block.names(Column::Source)[n], block.file(n)));
            match spans.last_mut().filter(|(last, _)| *last == file) {
                Some((_, span)) => *span = (span.0.min(time), span.1.max(time)),
                None => spans.push((file, (time, time))),
            }
        }
        spans
    };
    let mut spans: BTreeMap<File, (i64, i64)> = BTreeMap::new();
    for (key, more) in
        outline.look(&[Column::Time, Column::Source, Column::Uid, Column::File], of_block)?.into_iter().flatten()
    {
        let span = spans.entry(key).or_insert(more);
        *span = (span.0.min(more.0), span.1.max(more.1));
    }
    let mut order: Vec<(File, (i64, i64))> = spans.into_iter().collect();
    order.sort_unstable_by_key(|((source, file), (start, _))| (*source, *start, *file));
    let mut found = BTreeSet::new();
    let mut reaching: Option<(File, (i64, i64))> = None;
    for (key, span) in order {
        let before = reaching.filter(|((source, _), _)| *source == key.0);
        if let Some((other, _)) = before.filter(|(_, (_, end))| span.0 <= *end) {
            found.extend([other, key]);
        }
        if before.is_none_or(|(_, (_, end))| span.1 > end) {
            reaching = Some((key, span));
        }
    }
    Ok(found)
}

/// Keyed hashes of everything that events say.
struct Contents {
    keys: [RandomState; 2],
    found: Vec<[u64; 2]>,
}

/// Everything that an event says.
struct Whole<'e, 'a>(&'static str, &'e Event<'a>);

impl Hash for Whole<'_, '_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(source, event) = self;
        let numbers = (event.time, event.http_status, event.duration_ms, event.attempt, event.hold_acknowledged);
        (source, event.outcome.name(), numbers).hash(state);
        event.texts().for_each(|text| text.hash(state));
    }
}

impl Collect for Contents {
    fn event(&mut self, source: &'static str, event: &Event<'_>, _: Locator, _: u64, _: Option<Digest>) {
        self.found.push(self.keys.each_ref().map(|keys| keys.hash_one(Whole(source, event))));
    }

    fn gathered(&self) -> usize {
        self.found.len()
    }
}
