//! Ingest: records of every source into one frame of events, with the changes and documents they carry.

mod adapter;
mod cloudtrail;
mod cloudtrail_changes;
mod event;
mod export_trail;
mod facts;
mod file;
mod fold;
mod genesys_audit;
mod loose;
pub mod policy_json;
mod redact;
mod reread;
pub mod scopes;
mod snapshot;
mod status;
mod time;
mod trail_fields;
mod trail_record;
mod vault_audit;

use foldhash::quality::RandomState;
use rayon::prelude::*;

pub use adapter::{Adapter, Collect, Record, Refusal, Sink};
pub use event::{Event, EventColumns, Outcome, TEXT_COLUMN_DOCS, TEXT_COLUMNS, Text};
pub use facts::{Change, ChangeKind, Document, DocumentKind};
pub use file::Manner;
pub use fold::fold;
pub use reread::{Reread, Wanted};
pub use time::{AssumedZone, rfc3339};

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

/// Reads all inputs, their events into collectors that `collector` makes; these come back in the order of the files and
/// of the records in them. `progress` is told the size as found of every file that is done with. What cannot be read is
/// in `files`.
#[must_use]
pub fn ingest<C: Collect + Send>(
    inputs: &[Input],
    options: Options,
    keys: &RandomState,
    collector: &(dyn Fn() -> C + Sync),
    progress: &(dyn Fn(u64) + Sync),
) -> (Vec<C>, Ingested) {
    let context = file::Context { options, keys, collector };
    let parts: Vec<file::Part<C>> = file::batches(inputs)
        .into_par_iter()
        .flat_map_iter(|batch| {
            let part = file::read_batch(inputs, batch.clone(), &context);
            batch.for_each(|n| progress(inputs[n].bytes));
            part
        })
        .collect();
    let (mut events, mut ingested) = (Vec::with_capacity(parts.len()), Ingested::default());
    for part in parts {
        events.push(part.events);
        ingested.changes.extend(part.facts.changes);
        ingested.documents.extend(part.facts.documents);
        for (entry, manner) in part.files {
            ingested.files.push(entry);
            ingested.manners.push(manner);
        }
    }
    ingested.changes.sort_by_key(|change| (change.time, change.at, change.kind));
    (events, ingested)
}
