//! Record ids of cited records.

use std::collections::HashMap;

use rayon::prelude::*;

use super::Evidence;
use crate::correlate::EventTable;
use crate::error::Result;
use crate::evidence::{Cited, Digest, Locator, cite};
use crate::ingest::Ingested;

/// The SHA-256 of records: computed while reading where a record is that of a row of a table, of a change or of a document,
/// else found by going back.
pub struct Digests<'a> {
    evidence: &'a Evidence<'a>,
    /// Places of changes and of documents, in the order of their records.
    changes: Vec<u32>,
    documents: Vec<u32>,
    /// Those that were found by going back: they may be asked for again.
    found: Cited,
    /// Those of rows of tables, and of changes of holds, that were asked for last.
    of_rows: HashMap<Locator, Digest, foldhash::fast::RandomState>,
}

impl<'a> Digests<'a> {
    /// None found yet.
    #[must_use]
    pub fn new(evidence: &'a Evidence<'a>) -> Self {
        let Ingested { changes, documents, .. } = &evidence.ingested;
        let mut of_changes: Vec<u32> = (0..).zip(changes).map(|(place, _)| place).collect();
        of_changes.sort_unstable_by_key(|place| changes[*place as usize].at);
        let mut of_documents: Vec<u32> = (0..).zip(documents).map(|(place, _)| place).collect();
        of_documents.sort_unstable_by_key(|place| documents[*place as usize].at);
        Self {
            evidence,
            changes: of_changes,
            documents: of_documents,
            found: Cited::new(),
            of_rows: HashMap::default(),
        }
    }

    /// Finds those of `wanted`, of which some may be rows of `tables`.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn find(&mut self, wanted: impl IntoIterator<Item = Locator>, tables: &[&EventTable]) -> Result<()> {
        let mut wanted: Vec<Locator> = wanted.into_iter().collect();
        wanted.par_sort_unstable();
        wanted.dedup();
        let of_row = |at: &Locator| tables.iter().find_map(|table| table.sha256(table.row_at(at)?));
        self.of_rows.clear();
        self.of_rows.par_extend(wanted.par_iter().filter_map(|at| Some((*at, of_row(at)?))));
        let log = self.evidence.correlated.holds.log();
        for at in &wanted {
            let told = if log.is_empty() || self.of(at).is_some() { None } else { log.of_record(at)?.pop() };
            self.of_rows.extend(told.and_then(|change| Some((*at, change.sha256?))));
        }
        let unknown = wanted.iter().copied().filter(|at| self.of(at).is_none());
        let found = cite(&self.evidence.discovery.inputs, unknown)?;
        self.found.extend(found);
        Ok(())
    }

    /// The SHA-256 of a record that was wanted.
    #[must_use]
    pub fn of(&self, at: &Locator) -> Option<Digest> {
        let told = self.of_rows.get(at).copied();
        told.or_else(|| self.of_fact(at)).or_else(|| self.found.get(at).copied())
    }

    fn of_fact(&self, at: &Locator) -> Option<Digest> {
        let Ingested { changes, documents, .. } = &self.evidence.ingested;
        let change = self.changes.binary_search_by_key(at, |place| changes[*place as usize].at).ok();
        let document = || self.documents.binary_search_by_key(at, |place| documents[*place as usize].at).ok();
        let of_change = change.and_then(|n| changes[self.changes[n] as usize].sha256);
        of_change.or_else(|| documents[self.documents[document()?] as usize].sha256)
    }
}
