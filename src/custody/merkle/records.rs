//! The records of a case: all that were read, in the order of the files and of the records in them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::evidence::{Digest, Input, Locator};
use crate::parts::{PartFile, Table, folder_of};

/// The records that a folder of parts lists; one part is in memory at a time.
pub struct Records {
    inputs: Vec<Input>,
}

/// A record with the file that it is in.
pub struct Record<'a> {
    pub file: &'a PartFile,
    pub at: Locator,
    pub digest: Digest,
}

impl Records {
    /// Those of the folder of parts at `path`.
    ///
    /// # Errors
    /// Its index cannot be read or is not what was written.
    pub fn of(path: &Path) -> Result<Self> {
        folder_of(path).map(|(_, inputs)| Self { inputs }).map_err(|reason| Error::Parts { reason })
    }

    /// Calls `visit` with every record.
    ///
    /// # Errors
    /// A part is not what was written.
    pub fn each(&self, visit: &mut dyn FnMut(&Record<'_>)) -> Result<()> {
        let files = self.inputs.iter().filter_map(|input| input.place.part());
        for (n, file) in (0..).zip(files) {
            each_of(file, n, visit).map_err(|e| Error::Parts { reason: e.to_string() })?;
        }
        Ok(())
    }
}

/// A record may be an event, say something else besides, or only something else.
fn each_of(file: &PartFile, n: u32, visit: &mut dyn FnMut(&Record<'_>)) -> io::Result<()> {
    let facts = file.facts(n)?;
    let changes = facts.changes.iter().map(|change| (change.at, change.sha256));
    let all = changes.chain(facts.documents.iter().map(|document| (document.at, document.sha256)));
    let mut others: BTreeMap<u64, (Locator, Digest)> =
        all.filter_map(|(at, digest)| Some((at.record, (at, digest?)))).collect();
    for run in file.listed().runs(Table::Events) {
        let rows = file.rows(run)?;
        for row in run.first..run.first + run.rows {
            let known = rows.locator(row, n).zip(rows.digest(row));
            let (at, digest) = known.ok_or_else(|| file.bad_row(run, row))?;
            while let Some(before) = others.first_entry().filter(|other| *other.key() <= at.record) {
                let (other, digest) = before.remove();
                if other.record < at.record {
                    visit(&Record { file, at: other, digest });
                }
            }
            visit(&Record { file, at, digest });
        }
    }
    for (at, digest) in others.into_values() {
        visit(&Record { file, at, digest });
    }
    Ok(())
}
