//! Adapters: a record that is read is one event, one that is rejected leaves nothing behind.

use foldhash::quality::RandomState;

use crate::evidence::{Digest, Locator};
use crate::ingest::{ADAPTERS, Collect, Event, Facts, LeftOut, Manner, Mapping, Options, Prints, Reader, Table, Tally};

/// Counts events.
#[derive(Default)]
struct Count(usize);

impl Collect for Count {
    fn event(&mut self, _: &'static str, _: &Event<'_>, _: Locator, _: u64, _: Option<Digest>) {
        self.0 += 1;
    }

    fn gathered(&self) -> usize {
        self.0
    }
}

macro_rules! adapters {
    ($($name:ident)*) => {$(
        pub(super) fn $name(bytes: &[u8]) {
            of(stringify!($name), bytes);
        }
    )*};
}

adapters!(cloudtrail export_trail genesys_audit genesys_job s3_access sdk_log snapshot vault_audit);

/// Reads a record as one of a file of this source.
fn of(source: &str, bytes: &[u8]) {
    let adapter = ADAPTERS.iter().copied().find(|adapter| adapter.name() == source);
    assert!(adapter.is_some(), "{source} is a source");
    read(bytes, &Manner { adapter, ..Manner::NONE }, Options::default());
}

/// Reads a row of a table as one of the exporter's trail.
pub(super) fn row(bytes: &[u8], delimiter: u8, header: &[String]) {
    let adapter = ADAPTERS.iter().copied().find(|adapter| adapter.name() == "export_trail");
    let table = Some(Table { delimiter, header: header.to_vec() });
    read(bytes, &Manner { adapter, table, ..Manner::NONE }, Options::default());
}

/// Reads a record by a mapping.
pub(super) fn mapped(bytes: &[u8], mapping: &Mapping) {
    let options = Options { mappings: std::slice::from_ref(mapping), ..Options::default() };
    read(bytes, &Manner { mapping: Some(0), ..Manner::NONE }, options);
}

fn read(bytes: &[u8], manner: &Manner, options: Options<'_>) {
    let keys = RandomState::default();
    let (prints, left_out) = (Prints::of_hashed(&keys), &LeftOut::default());
    let reader = Reader { file: 0, manner, options, prints, left_out, hash_events: true };
    let at = Locator { file: 0, record: 0, offset: 0, length: bytes.len() as u64 };
    let (mut events, mut facts, mut tally) = (Count::default(), Facts::default(), Tally::default());
    match reader.read(bytes, at, &mut events, &mut facts, &mut tally) {
        // A snapshot is a document, and no event.
        Ok(()) => assert!(events.0 <= 1, "a record is one event"),
        Err(reason) => {
            assert!(!reason.is_empty());
            assert_eq!((events.0, facts.changes.len(), facts.documents.len()), (0, 0, 0), "rejected: {reason}");
        }
    }
}
