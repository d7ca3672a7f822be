//! Telling whose records a file holds: a mapping's, or a source's that is known.

use std::io;

use super::adapter::Adapter;
use super::mapping::Mapping;
use super::{ADAPTERS, Options};
use crate::evidence::{Encoding, Framer, Input, Sample, Shape, Stream, sample_at};

/// How the records of a file are separated and read.
pub struct Recognised {
    pub shape: Shape,
    /// The source whose records they look like.
    pub adapter: Option<&'static dyn Adapter>,
    /// The mapping to read them by, as its number among those that were given. It goes before any source.
    pub mapping: Option<usize>,
    /// Whether its pages may state something for all records.
    pub paged: bool,
}

/// Recognises the file called `label` by its head, which `framer` holds.
#[must_use]
pub fn recognise(label: &str, framer: &Framer, encoding: Encoding, mappings: &[Mapping]) -> Recognised {
    let known = |sample: &Sample| mappings.is_empty() && choose(sample).is_some();
    let (shape, sample) = framer.recognise(encoding, &known);
    for (n, mapping) in mappings.iter().enumerate().filter(|(_, mapping)| mapping.covers(label)) {
        match &mapping.records {
            None if mapping.fits(&sample) => {
                return Recognised { shape, adapter: None, mapping: Some(n), paged: false };
            }
            Some(path) if encoding != Encoding::Parquet => {
                let (head, whole) = framer.head();
                if mapping.fits(&sample_at(head, whole, path)) {
                    return Recognised {
                        shape: Shape::JsonAt(path.clone()),
                        adapter: None,
                        mapping: Some(n),
                        paged: false,
                    };
                }
            }
            _ => {}
        }
    }
    if encoding == Encoding::Parquet && is_part(&sample) {
        let reason = "a table out of a folder of parts; name the folder that holds its index".to_owned();
        return Recognised { shape: Shape::Unknown { reason }, adapter: None, mapping: None, paged: false };
    }
    let adapter = choose(&sample);
    let paged = adapter.is_some_and(|adapter| adapter.has_pages(&sample));
    Recognised { shape, adapter, mapping: None, paged }
}

/// The mapping by which a file would be read.
///
/// # Errors
/// The file cannot be opened.
pub fn mapping_of<'m>(input: &Input, options: Options<'m>) -> io::Result<Option<&'m Mapping>> {
    if options.mappings.is_empty() {
        return Ok(None);
    }
    let mut stream = Stream::open(&input.place)?;
    let framer = Framer::new(&mut stream, options.limits);
    let found = recognise(&input.label, &framer, stream.encoding(), options.mappings);
    Ok(found.mapping.map(|n| &options.mappings[n]))
}

fn choose(sample: &Sample) -> Option<&'static dyn Adapter> {
    ADAPTERS.iter().copied().find(|adapter| adapter.recognises(sample))
}

/// Whether rows are events, changes or documents of a part, which are not evidence of their own.
fn is_part(sample: &Sample) -> bool {
    let columns = ["source", "file", "record", "offset", "length", "sha256"];
    sample.records.first().is_some_and(|row| columns.iter().all(|column| row.get(column).is_some()))
}
