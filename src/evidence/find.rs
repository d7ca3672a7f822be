//! Finding a record by its hash.

use std::io;

use rayon::prelude::*;

use super::{Bounds, Digest, Encoding, Expansion, Framer, Input, Limits, Locator, Shape, Stream};
use crate::error::{Error, Result};

/// A record found by its hash.
#[derive(Debug)]
pub struct Found {
    pub file: String,
    pub at: Locator,
    pub digest: Digest,
    /// Its bytes, hashed just now; none where only a part is at hand, which keeps the hash alone.
    pub bytes: Option<Vec<u8>>,
}

/// Tells how the records of an input are separated, as when it was read.
pub type ShapeOf<'a> = dyn Fn(&Input, &Framer, Encoding) -> Shape + Sync + 'a;

/// All records whose SHA-256 begins with the hex digits `prefix`, in the order of the inputs. Every record is hashed
/// anew, so that what is shown is what was cited.
///
/// # Errors
/// A file cannot be opened.
pub fn find_records(
    inputs: &[Input],
    prefix: &str,
    most: (Limits, Bounds),
    shape_of: &ShapeOf<'_>,
) -> Result<Vec<Found>> {
    let found: Vec<Vec<Found>> = inputs
        .par_iter()
        .enumerate()
        .map(|(n, input)| {
            in_file(input, u32::try_from(n).unwrap_or(u32::MAX), prefix, most, shape_of)
                .map_err(|e| Error::io(&input.label, "opening the file", e))
        })
        .collect::<Result<_>>()?;
    Ok(found.into_iter().flatten().collect())
}

fn in_file(
    input: &Input,
    file: u32,
    prefix: &str,
    (limits, bounds): (Limits, Bounds),
    shape_of: &ShapeOf<'_>,
) -> io::Result<Vec<Found>> {
    if let Some(part) = input.place.part() {
        let found = part.find(file, &|digest| digest.to_string().starts_with(prefix))?;
        let found = found.into_iter();
        return Ok(found
            .map(|(at, digest)| Found { file: input.label.to_string(), at, digest, bytes: None })
            .collect());
    }
    // Containers have no records of their own, and what was refused has none that could be cited.
    if input.place.container().is_some() || input.place.member().is_some_and(|member| member.refusal().is_some()) {
        return Ok(Vec::new());
    }
    let most = Expansion::of(&input.place, bounds.expansion);
    let mut stream = Stream::open(&input.place)?.bounded(most);
    let mut framer = Framer::new(&mut stream, limits);
    framer.set_shape(&shape_of(input, &framer, stream.encoding()));
    let mut found = Vec::new();
    while let Some(chunk) = framer.next_chunk(&mut stream) {
        for span in &chunk.spans {
            let bytes = &chunk.bytes[span.start..span.end];
            let digest = Digest::of(bytes);
            if digest.to_string().starts_with(prefix) {
                let (offset, length) = (chunk.base + span.start as u64, bytes.len() as u64);
                let at = Locator { file, record: span.record, offset, length };
                found.push(Found { file: input.label.to_string(), at, digest, bytes: Some(bytes.to_vec()) });
            }
        }
    }
    Ok(found)
}
