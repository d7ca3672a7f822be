//! Ingest: records of every source into one frame of events, with the changes and documents they carry.

mod adapter;
mod cloudtrail;
mod cloudtrail_changes;
mod event;
mod export_trail;
mod facts;
mod file;
mod fold;
mod from_part;
mod genesys_audit;
mod left_out;
mod loose;
pub mod policy_json;
mod prints;
mod redact;
mod reread;
pub mod scopes;
mod snapshot;
mod status;
mod time;
mod trail_fields;
mod trail_names;
mod trail_record;
mod vault_audit;

use std::ops::Range;

use rayon::prelude::*;

pub use adapter::{Adapter, Collect, Facts, Record, Refusal, Sink};
pub use event::{Event, EventColumns, Outcome, TEXT_COLUMN_DOCS, TEXT_COLUMNS, Text};
pub use facts::{Change, ChangeKind, Document, DocumentKind};
pub use file::Manner;
pub use fold::fold;
pub use left_out::LeftOut;
pub use prints::Prints;
pub use reread::{Reread, Wanted};
pub use time::{AssumedZone, is_believed, rfc3339};

use crate::evidence::{FileEntry, Input, Limits};

/// The sources, in the order in which they are asked whether a file is theirs.
pub const ADAPTERS: &[&dyn Adapter] = &[
    &cloudtrail::CloudTrail,
    &genesys_audit::GenesysAudit,
    &vault_audit::VaultAudit,
    &snapshot::Snapshot,
    &export_trail::ExportTrail,
];

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub zone: AssumedZone,
    pub limits: Limits,
}

/// What was read of an archive besides its events.
#[derive(Default)]
pub struct Ingested {
    pub changes: Vec<Change>,
    pub documents: Vec<Document>,
    pub files: Vec<FileEntry>,
    /// How to read records of each file again.
    pub manners: Vec<Manner>,
}

/// Runs of small files that are read before their parts are taken in.
const RUNS_AT_ONCE: usize = 8;

/// Reads all inputs, their events into collectors that `collector` makes; `absorb` gets these in the order of the files
/// and of the records in them, while others are still being filled. `progress` is told the size as found of every file
/// that is done with. What cannot be read is in `files`.
#[must_use]
pub fn ingest<C: Collect + Send>(
    inputs: &[Input],
    options: Options,
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
    options: Options,
    prints: Prints<'_>,
    left_out: &LeftOut,
    collector: &(dyn Fn() -> C + Sync),
    absorb: &mut dyn FnMut(C),
    progress: &(dyn Fn(u64) + Sync),
) -> Ingested {
    let context = file::Context { options, prints, left_out, collector };
    let mut ingested = Ingested::default();
    let mut take = |part: file::Part<C>| {
        absorb(part.events);
        ingested.changes.extend(part.facts.changes);
        ingested.documents.extend(part.facts.documents);
        for (entry, manner) in part.files {
            ingested.files.push(entry);
            ingested.manners.push(manner);
        }
    };
    let work = file::divide(inputs);
    let mut work = &work[..];
    while let Some(first) = work.first() {
        if let file::Work::Large(n) = first {
            file::read_large(inputs, *n, &context, &mut take);
            progress(inputs[*n].bytes);
            work = &work[1..];
            continue;
        }
        let runs: Vec<Range<usize>> = work.iter().map_while(file::Work::small).take(RUNS_AT_ONCE).collect();
        work = &work[runs.len()..];
        let read = |run: Range<usize>| {
            let parts = file::read_small(inputs, run.clone(), &context);
            run.for_each(|n| progress(inputs[n].bytes));
            parts
        };
        let parts: Vec<file::Part<C>> = runs.into_par_iter().flat_map_iter(read).collect();
        parts.into_iter().for_each(&mut take);
    }
    ingested.changes.sort_by_key(|change| (change.time, change.at, change.kind));
    ingested
}
