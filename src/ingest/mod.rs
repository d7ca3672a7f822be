//! Ingest: records of every source into one frame of events, with the changes and documents they carry.

mod adapter;
mod cloudtrail;
mod cloudtrail_changes;
mod cloudtrail_record;
mod cloudtrail_secrets;
mod event;
mod export_trail;
mod facts;
mod file;
mod fold;
mod from_part;
mod genesys_audit;
mod genesys_job;
mod holds;
mod layouts;
mod left_out;
mod loose;
mod mapping;
mod pages;
pub mod policy_json;
mod prints;
mod recognise;
mod redact;
mod reread;
mod s3_access;
pub mod scopes;
mod sdk_log;
mod sdk_paths;
mod sdk_text;
mod snapshot;
mod status;
mod time;
mod trail_fields;
mod trail_json;
mod trail_names;
mod trail_record;
mod vault_audit;
mod work;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use rayon::prelude::*;

pub use adapter::{Adapter, Collect, Facts, Record, Refusal, Sink};
pub(crate) use adapter::{Table, Tally};
pub use cloudtrail_changes::policy_value;
pub use event::{Event, EventColumns, Outcome, TEXT_COLUMN_DOCS, TEXT_COLUMNS, Text};
pub use facts::{Change, ChangeKind, Document, DocumentKind};
pub use file::Manner;
pub(crate) use file::Reader;
pub use fold::fold;
pub use holds::{Entry as HoldEntry, HoldLog, Named, Place as HoldPlace};
pub use left_out::LeftOut;
pub use mapping::{Filled, MAPPED, Mapping, draft, unused};
pub use prints::Prints;
pub use recognise::{Recognised, mapping_of, recognise};
pub use redact::{redact, redact_value};
pub use reread::{Reread, Wanted};
pub use time::{AssumedZone, epoch, is_believed};
pub use trail_fields::STEPS;

pub use crate::evidence::{micros, rfc3339};

use crate::evidence::{Bounds, Container, FileEntry, Input, Limits, Reject, Room};
use work::{Work, divide};

/// The sources, in the order in which they are asked whether a file is theirs.
pub const ADAPTERS: &[&dyn Adapter] = &[
    &cloudtrail::CloudTrail,
    &genesys_audit::GenesysAudit,
    &vault_audit::VaultAudit,
    &snapshot::Snapshot,
    &genesys_job::GenesysJob,
    &sdk_log::SdkLog,
    &s3_access::S3Access,
    &export_trail::ExportTrail,
];

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Options<'m> {
    pub zone: AssumedZone,
    pub limits: Limits,
    pub bounds: Bounds,
    /// Mappings for files of other sources; where several fit a file, the first is taken.
    pub mappings: &'m [Mapping],
    /// Whether what packed files hold is hashed as well ([`FileEntry::content_sha256`]).
    pub hash_content: bool,
    /// Attempts that have to do with failures and are worked on at the same time, about half a KiB of memory each. No
    /// result depends on it.
    pub attempts_at_a_time: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        let (zone, limits, bounds) = (AssumedZone::default(), Limits::default(), Bounds::default());
        Self { zone, limits, bounds, mappings: &[], hash_content: false, attempts_at_a_time: 64 * 1024 }
    }
}

/// The name of a source as it stands in the `source` column, in the program's own copy.
#[must_use]
pub fn source_named(name: &str) -> Option<&'static str> {
    ADAPTERS.iter().map(|adapter| adapter.name()).chain([MAPPED]).find(|known| *known == name)
}

/// What was read of an archive besides its events.
#[derive(Default)]
pub struct Ingested {
    /// All but those of holds.
    pub changes: Vec<Change>,
    pub holds: HoldLog,
    pub documents: Vec<Document>,
    pub files: Vec<FileEntry>,
    /// How to read records of each file again; files that are read alike share theirs.
    pub manners: Vec<Arc<Manner>>,
}

/// Runs of small files that are being read, or have been and wait for those before them.
const RUNS_AT_ONCE: usize = 8;

/// Reads all inputs, their events into collectors that `collector` makes; `absorb` gets these in the order of the files
/// and of the records in them, while others are still being filled. `progress` is told the size as found of every file
/// that is done with. What cannot be read is in `files`.
#[must_use]
pub fn ingest<C: Collect + Send>(
    inputs: &[Input],
    options: Options<'_>,
    prints: Prints<'_>,
    collector: &(dyn Fn() -> C + Sync),
    absorb: &mut dyn FnMut(C),
    progress: &(dyn Fn(u64) + Sync),
) -> Ingested {
    ingest_without(inputs, options, prints, &LeftOut::default(), collector, absorb, progress)
}

/// Reads all inputs as [`ingest`] does, as if the records in `left_out` were not in them.
#[must_use]
pub fn ingest_without<C: Collect + Send>(
    inputs: &[Input],
    options: Options<'_>,
    prints: Prints<'_>,
    left_out: &LeftOut,
    collector: &(dyn Fn() -> C + Sync),
    absorb: &mut dyn FnMut(C),
    progress: &(dyn Fn(u64) + Sync),
) -> Ingested {
    // Containers are hashed while others read what was in them.
    let mut ingested = rayon::in_place_scope(|scope| {
        for input in inputs {
            if let Some(container) = input.place.container() {
                scope.spawn(|_| drop(container.digest()));
            }
        }
        read(inputs, &file::Context { options, prints, left_out, collector }, absorb, progress)
    });
    for (entry, input) in ingested.files.iter_mut().zip(inputs) {
        seal(entry, input);
    }
    ingested
}

fn read<C: Collect + Send>(
    inputs: &[Input],
    context: &file::Context<'_, C>,
    absorb: &mut dyn FnMut(C),
    progress: &(dyn Fn(u64) + Sync),
) -> Ingested {
    let holds = HoldLog::new(context.prints.keys().clone());
    let mut ingested = Ingested { holds, ..Ingested::default() };
    let (mut bodies, mut sayings, mut room) = (facts::Bodies::default(), facts::Sayings::default(), Room::default());
    ingested.files.reserve_exact(inputs.len());
    ingested.manners.reserve_exact(inputs.len());
    let mut take = |part: file::Part<C>| {
        absorb(part.events);
        for mut change in part.facts.changes {
            if change.kind.is_of_hold() {
                ingested.holds.push(&change);
            } else {
                sayings.share(&mut change);
                ingested.changes.push(change);
            }
        }
        ingested.documents.extend(part.facts.documents.into_iter().map(|mut document| {
            bodies.share(&mut document);
            sayings.share_subjects(&mut document);
            document
        }));
        for (mut entry, manner) in part.files {
            entry.rejects.fit(&mut room);
            ingested.files.push(entry);
            let alike = ingested.manners.last().filter(|last| ***last == manner).map(Arc::clone);
            ingested.manners.push(alike.unwrap_or_else(|| Arc::new(manner)));
        }
    };
    let work = divide(inputs);
    let mut work = &work[..];
    while let Some(first) = work.first() {
        if let Work::Large(n) = first {
            file::read_large(inputs, *n, context, &mut take);
            progress(inputs[*n].bytes);
            work = &work[1..];
            continue;
        }
        let runs: Vec<Range<usize>> = work.iter().map_while(Work::small).collect();
        work = &work[runs.len()..];
        let read = |run: &Range<usize>| {
            let parts = file::read_small(inputs, run.clone(), context);
            run.clone().for_each(|n| progress(inputs[n].bytes));
            parts
        };
        in_order(&runs, &read, &mut |parts| parts.into_iter().for_each(&mut take));
    }
    ingested.changes.shrink_to_fit();
    ingested.documents.shrink_to_fit();
    ingested.changes.sort_by_key(Change::order);
    ingested
}

/// Gives what `read` makes of each run to `take`, in order, while others are being read.
fn in_order<T: Send>(runs: &[Range<usize>], read: &(dyn Fn(&Range<usize>) -> T + Sync), take: &mut dyn FnMut(T)) {
    // A thread of the pool would wait for itself.
    if rayon::current_thread_index().is_some() {
        for some in runs.chunks(RUNS_AT_ONCE) {
            some.par_iter().map(read).collect::<Vec<T>>().into_iter().for_each(&mut *take);
        }
        return;
    }
    let (sender, receiver) = mpsc::channel();
    rayon::in_place_scope(|scope| {
        let (mut begun, mut taken, mut early) = (0, 0, BTreeMap::new());
        while taken < runs.len() {
            for (n, run) in runs.iter().enumerate().take(taken + RUNS_AT_ONCE).skip(begun) {
                let sender = sender.clone();
                scope.spawn(move |_| {
                    let mut done = Done { number: n, made: None, sender };
                    done.made = Some(read(run));
                });
                begun = n + 1;
            }
            // Nothing was made where a thread panicked, which the end of the scope passes on.
            let Ok((n, Some(done))) = receiver.recv() else { return };
            early.insert(n, done);
            while let Some(done) = early.remove(&taken) {
                take(done);
                taken += 1;
            }
        }
    });
}

/// Says what was made, and that nothing was where making it panicked.
struct Done<T> {
    number: usize,
    made: Option<T>,
    sender: Sender<(usize, Option<T>)>,
}

impl<T> Drop for Done<T> {
    fn drop(&mut self) {
        // Who gave up waiting has no use for it.
        let _ = self.sender.send((self.number, self.made.take()));
    }
}

/// Puts the hash of a container into its entry.
fn seal(entry: &mut FileEntry, input: &Input) {
    match input.place.container().map(Container::digest) {
        None => {}
        Some(Ok((digest, bytes))) => (entry.sha256, entry.bytes) = (Some(digest), bytes),
        Some(Err(error)) => {
            let reason = format!("the archive cannot be read to its end, so it has no SHA-256: {error}");
            entry.rejects.push(Reject::new(entry.rejected, 0, reason));
            entry.rejected += 1;
            entry.records += 1;
        }
    }
}
