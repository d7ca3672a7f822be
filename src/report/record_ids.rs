//! Record ids of cited records.

use std::collections::{BTreeSet, HashMap};

use super::Evidence;
use crate::correlate::EventTable;
use crate::error::Result;
use crate::evidence::{Cited, Digest, Locator, cite};
use crate::ingest::Ingested;

/// The SHA-256 of records: computed while reading where a record is that of a row of the table, of a change or of a
/// document, else found by going back.
pub struct Digests<'a> {
    evidence: &'a Evidence,
    table: &'a EventTable,
    of_facts: HashMap<Locator, Digest, foldhash::fast::RandomState>,
    /// Those that were found by going back.
    found: Cited,
}

impl<'a> Digests<'a> {
    /// None found yet; `table` is of that evidence.
    #[must_use]
    pub fn new(evidence: &'a Evidence, table: &'a EventTable) -> Self {
        let Ingested { changes, documents, .. } = &evidence.ingested;
        let of_changes = changes.iter().filter_map(|change| Some((change.at, change.sha256?)));
        let of_documents = documents.iter().filter_map(|document| Some((document.at, document.sha256?)));
        Self { evidence, table, of_facts: of_changes.chain(of_documents).collect(), found: Cited::new() }
    }

    /// Finds those of `wanted`.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn find(&mut self, wanted: &BTreeSet<Locator>) -> Result<()> {
        let unknown = wanted.iter().copied().filter(|at| self.of(at).is_none());
        let found = cite(&self.evidence.discovery.inputs, unknown)?;
        self.found.extend(found);
        Ok(())
    }

    /// The SHA-256 of a record, if it is one that was looked for or lies in memory.
    #[must_use]
    pub fn of(&self, at: &Locator) -> Option<Digest> {
        let of_row = || self.table.sha256(self.table.row_at(at)?);
        self.of_facts.get(at).or_else(|| self.found.get(at)).copied().or_else(of_row)
    }
}
