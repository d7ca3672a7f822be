//! The text of the records that cards cite.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::error::{Error, Result};
use crate::evidence::{Input, Locator, RecordReader};
use crate::ingest::{redact, redact_value};
use crate::spill::Scratch;

/// Bytes of a record that are shown; `holdtrace show` prints all of it.
pub const SHOWN: usize = 4096;
/// Bytes of all records together; after that, cards name records without their text.
pub const IN_ALL: u64 = 64 * 1024 * 1024;
/// So many more are looked at, so that a secret that is cut off is seen.
const BEYOND: usize = 1024;
/// Bytes that are held in memory.
const HELD: usize = 8 * 1024 * 1024;

/// The text of some records, put aside.
pub struct RawRecords {
    texts: Scratch,
    places: BTreeMap<Locator, (u64, usize)>,
}

/// What was kept of a record.
pub struct Kept {
    /// With what looks like a secret blanked.
    pub text: String,
    /// Whether it is all of it.
    pub whole: bool,
    /// Whether secrets were blanked in it.
    pub blanked: bool,
}

impl RawRecords {
    /// Reads the records at `wanted`, one pass over each file that holds one; a part keeps none.
    ///
    /// # Errors
    /// A file cannot be read again, or a temporary one not be written.
    pub fn read(inputs: &[Input], wanted: &BTreeSet<Locator>) -> Result<Self> {
        let (mut texts, mut places) = (Scratch::holding(HELD), BTreeMap::new());
        let wanted: Vec<Locator> = wanted.iter().copied().collect();
        for of_file in wanted.chunk_by(|a, b| a.file == b.file) {
            let input = &inputs[of_file[0].file as usize];
            if input.place.part().is_some() {
                continue;
            }
            let again = |e| Error::io(&input.label, "reading a cited record again", e);
            let mut reader = RecordReader::open(input).map_err(again)?;
            for at in of_file {
                let bytes = reader.read(at).map_err(again)?;
                let bytes = &bytes[..bytes.len().min(SHOWN + BEYOND)];
                let start = texts.append(bytes).map_err(aside)?;
                places.insert(*at, (start, bytes.len()));
            }
        }
        Ok(Self { texts, places })
    }

    /// The text of a record, if it was kept.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn of(&self, at: &Locator) -> Result<Option<Kept>> {
        let Some((start, length)) = self.places.get(at) else { return Ok(None) };
        let mut bytes = vec![0; *length];
        self.texts.read(*start, &mut bytes).map_err(aside)?;
        let (mut text, blanked) = harmless(&bytes);
        let whole = *length as u64 == at.length && text.len() <= SHOWN;
        text.truncate(text.floor_char_boundary(SHOWN));
        Ok(Some(Kept { text, whole, blanked }))
    }
}

/// The text with secrets blanked as they are at ingest: what looks like one, and what goes by the name of one.
fn harmless(bytes: &[u8]) -> (String, bool) {
    let mut text = String::from_utf8_lossy(bytes);
    let mut found = 0;
    if let Ok(mut value) = serde_json::from_slice(bytes) {
        found = redact_value(&mut value);
        if found > 0 {
            text = value.to_string().into();
        }
    }
    let (text, more) = redact(text);
    (text.into_owned(), found + more > 0)
}

fn aside(error: io::Error) -> Error {
    Error::io(std::env::temp_dir(), "putting records aside", error)
}
