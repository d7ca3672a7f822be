//! Record ids of cited records.

use std::collections::{BTreeSet, HashMap};

use super::Evidence;
use crate::correlate::EventTable;
use crate::error::Result;
use crate::evidence::{Cited, Digest, Locator, cite};
use crate::ingest::Ingested;

/// The SHA-256 of records: computed while reading where a record is that of a row of a table, of a change or of a document,
/// else found by going back.
pub struct Digests<'a> {
    evidence: &'a Evidence<'a>,
    of_facts: HashMap<Locator, Digest, foldhash::fast::RandomState>,
    /// Those that were found by going back: they may be asked for again.
    found: Cited,
    /// Those of rows of tables that were asked for last.
    of_rows: Cited,
}

impl<'a> Digests<'a> {
    /// None found yet.
    #[must_use]
    pub fn new(evidence: &'a Evidence<'a>) -> Self {
        let Ingested { changes, documents, .. } = &evidence.ingested;
        let of_changes = changes.iter().filter_map(|change| Some((change.at, change.sha256?)));
        let of_documents = documents.iter().filter_map(|document| Some((document.at, document.sha256?)));
        let of_facts = of_changes.chain(of_documents).collect();
        Self { evidence, of_facts, found: Cited::new(), of_rows: Cited::new() }
    }

    /// Finds those of `wanted`, of which some may be rows of `tables`.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn find(&mut self, wanted: &BTreeSet<Locator>, tables: &[&EventTable]) -> Result<()> {
        let of_row = |at: &Locator| tables.iter().find_map(|table| table.sha256(table.row_at(at)?));
        self.of_rows = wanted.iter().filter_map(|at| Some((*at, of_row(at)?))).collect();
        let unknown = wanted.iter().copied().filter(|at| self.of(at).is_none());
        let found = cite(&self.evidence.discovery.inputs, unknown)?;
        self.found.extend(found);
        Ok(())
    }

    /// The SHA-256 of a record that was wanted.
    #[must_use]
    pub fn of(&self, at: &Locator) -> Option<Digest> {
        self.of_facts.get(at).or_else(|| self.of_rows.get(at)).or_else(|| self.found.get(at)).copied()
    }
}
