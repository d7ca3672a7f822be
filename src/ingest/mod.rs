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
pub mod scopes;
mod snapshot;
mod status;
mod time;
mod trail_fields;
mod trail_record;
mod vault_audit;

use polars::prelude::*;
use rayon::prelude::*;

pub use adapter::{Adapter, Record, Refusal, Sink};
pub use event::{Event, EventColumns, Outcome, TEXT_COLUMN_DOCS, TEXT_COLUMNS, Text};
pub use facts::{Change, ChangeKind, Document, DocumentKind};
pub use fold::fold;
pub use time::{AssumedZone, rfc3339};

use crate::error::{Error, Result};
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

/// Everything that was read.
pub struct Ingested {
    /// One row per event, in the order of the files and of the records in them.
    pub events: DataFrame,
    pub changes: Vec<Change>,
    pub documents: Vec<Document>,
    pub files: Vec<FileEntry>,
}

/// Reads all inputs. `progress` is told the size as found of every file that is done with.
///
/// # Errors
/// Only if the columns do not fit together, which would be a defect; what cannot be read is in `files`.
pub fn ingest(inputs: &[Input], options: Options, progress: &(dyn Fn(u64) + Sync)) -> Result<Ingested> {
    let keys = foldhash::quality::RandomState::default();
    let context = file::Context { options, keys: &keys };
    let parts: Vec<file::Part> = file::batches(inputs)
        .into_par_iter()
        .flat_map_iter(|batch| {
            let part = file::read_batch(inputs, batch.clone(), &context);
            batch.for_each(|n| progress(inputs[n].bytes));
            part
        })
        .collect();
    merge(parts).map_err(Error::frame("ingest"))
}

fn merge(parts: Vec<file::Part>) -> PolarsResult<Ingested> {
    let mut events: Option<DataFrame> = None;
    let mut ingested =
        Ingested { events: DataFrame::default(), changes: Vec::new(), documents: Vec::new(), files: Vec::new() };
    for part in parts {
        let frame = part.out.events.finish()?;
        match &mut events {
            None => events = Some(frame),
            Some(events) => {
                events.vstack_mut_owned(frame)?;
            }
        }
        ingested.changes.extend(part.out.changes);
        ingested.documents.extend(part.out.documents);
        ingested.files.extend(part.files);
    }
    let mut events = match events {
        Some(events) => events,
        None => EventColumns::default().finish()?,
    };
    events.rechunk_mut_par();
    ingested.events = events;
    ingested.changes.sort_by_key(|change| (change.time, change.at, change.kind));
    Ok(ingested)
}
