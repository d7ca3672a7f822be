//! Parts: events kept as Parquet, with all that is needed to analyse them as if the files they came from were there.
//!
//! A folder of parts holds
//!
//! - `holdtrace-parts.json`, the index: versions, how the files were read, every input file with its whole ledger entry and
//!   where its rows are, every Parquet file with its SHA-256, and the index's own;
//! - `events/part-00000.parquet` and so on: the event frame, one row a record, with its place and SHA-256;
//! - `changes/` and `documents/`: what records say besides being events, likewise;
//! - `holdtrace-parts.lock`, held while an ingest writes.
//!
//! Everything is written aside and renamed, the index last: an ingest that is interrupted leaves what was there before.
//! [`crate::evidence`] finds such folders and gives each file in them as an input of its own, [`crate::ingest`] takes its
//! events from there. docs/parts.md has the columns.

mod facts;
mod folder;
mod index;
mod input;
mod merge;
mod rows;
mod update;
mod write;

use std::path::Path;

pub use folder::{Folder, Table};
pub use index::{Index, Listed, Run};
pub use input::{PartFile, check, content, folder_of, inputs_of, joined};
pub use rows::EventRows;
pub use update::{How, Update, lock, update};
pub use write::put_by;

/// The name of the index.
pub const INDEX: &str = "holdtrace-parts.json";
/// The name of the file that is locked while an ingest writes.
pub const LOCK: &str = "holdtrace-parts.lock";
/// What files that are being written begin with.
pub const ASIDE: &str = ".holdtrace-";

/// Whether a file belongs to a folder of parts, by its name and place: such files are not evidence of their own.
#[must_use]
pub fn owns(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    if name == INDEX || name == LOCK {
        return true;
    }
    let Some(folder) = path.parent() else { return false };
    let beside = |folder: &Path| folder.join(INDEX).is_file() || folder.join(LOCK).is_file();
    if name.starts_with(ASIDE) && beside(folder) {
        return true;
    }
    let of_table = folder.file_name().is_some_and(|name| Table::ALL.iter().any(|table| name == table.name()));
    of_table && (is_part(name) || name.starts_with(ASIDE)) && folder.parent().is_some_and(beside)
}

/// Whether this is the name of a Parquet file of a table.
fn is_part(name: &str) -> bool {
    let digits = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".parquet"));
    digits.is_some_and(|digits| digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit()))
}
