//! Going back to the bytes: records of a file again, and the SHA-256 of those that a report cites.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Seek, SeekFrom};

use rayon::prelude::*;

use super::source::Source as Bytes;
use super::{Digest, Encoding, Input, Locator, Stream};
use crate::error::{Error, Result};

/// The hashes of cited records.
pub type Cited = HashMap<Locator, Digest>;

/// Computes the SHA-256 of the records at `wanted`, one pass over each file that holds one.
///
/// # Errors
/// A file that was read before cannot be read again, or is shorter now.
pub fn cite(inputs: &[Input], wanted: impl IntoIterator<Item = Locator>) -> Result<Cited> {
    let mut by_file: BTreeMap<u32, Vec<Locator>> = BTreeMap::new();
    for locator in wanted {
        by_file.entry(locator.file).or_default().push(locator);
    }
    let files: Vec<_> = by_file.into_iter().collect();
    let parts: Vec<Vec<(Locator, Digest)>> = files
        .into_par_iter()
        .map(|(file, mut locators)| {
            locators.sort_unstable();
            locators.dedup();
            let input = &inputs[file as usize];
            digests(input, &locators).map_err(|e| Error::io(&input.label, "reading a cited record again", e))
        })
        .collect::<Result<_>>()?;
    Ok(parts.into_iter().flatten().collect())
}

fn digests(input: &Input, locators: &[Locator]) -> io::Result<Vec<(Locator, Digest)>> {
    if let Some(part) = input.place.part() {
        return part.digests(locators);
    }
    let mut reader = RecordReader::open(input)?;
    locators.iter().map(|locator| Ok((*locator, Digest::of(reader.read(locator)?)))).collect()
}

/// Reads records of one file in ascending order: by seeking where the file is plain, by decompressing where it is not.
pub struct RecordReader {
    source: Source,
    /// Bytes of the decompressed stream from `base` on.
    window: Vec<u8>,
    base: u64,
}

enum Source {
    Plain(Bytes),
    Packed(Box<Stream>),
}

/// Bytes that are read at a time: records that lie near each other cost one call.
const WINDOW: u64 = 32 * 1024;
const STEP: u64 = 1024 * 1024;

impl RecordReader {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(input: &Input) -> io::Result<Self> {
        let source = match Encoding::of(&input.place)? {
            Encoding::Plain if Bytes::is_seekable(&input.place) => Source::Plain(Bytes::open(&input.place)?),
            _ => Source::Packed(Box::new(Stream::open(&input.place)?)),
        };
        Ok(Self { source, window: Vec::new(), base: 0 })
    }

    /// The bytes of the record at `locator`, which must not lie before the one read last.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it was.
    pub fn read(&mut self, locator: &Locator) -> io::Result<&[u8]> {
        let end = locator.offset + locator.length;
        if locator.offset < self.base || end > self.base + self.window.len() as u64 {
            self.fill(locator)?;
        }
        let range = locator.offset.checked_sub(self.base).zip(end.checked_sub(self.base));
        let (start, end) = range.ok_or_else(|| io::Error::other("records out of order"))?;
        let bytes = usize::try_from(start).ok().zip(usize::try_from(end).ok()).and_then(|(s, e)| self.window.get(s..e));
        bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn fill(&mut self, locator: &Locator) -> io::Result<()> {
        match &mut self.source {
            Source::Plain(file) => {
                file.seek(SeekFrom::Start(locator.offset))?;
                self.window.clear();
                let read = append(file, &mut self.window, locator.length.max(WINDOW));
                // What lies behind the record need not be readable.
                read.or_else(|e| if (self.window.len() as u64) < locator.length { Err(e) } else { Ok(()) })?;
            }
            Source::Packed(stream) => {
                let out_of_order = || io::Error::other("records out of order");
                locator.offset.checked_sub(self.base).ok_or_else(out_of_order)?;
                unpack(stream, &mut self.window, &mut self.base, locator)?;
                return Ok(());
            }
        }
        self.base = locator.offset;
        Ok(())
    }
}

/// Appends up to `most` bytes: in one go where a file gives them so, as `read_to_end` does not.
fn append(from: &mut impl Read, window: &mut Vec<u8>, most: u64) -> io::Result<()> {
    let mut rest = most;
    while rest > 0 {
        let filled = window.len();
        // Step by step: how long a record is may be a claim.
        window.resize(filled + usize::try_from(rest.min(STEP)).unwrap_or(0), 0);
        let read = loop {
            match from.read(&mut window[filled..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        window.truncate(filled + read.as_ref().map_or(0, |read| *read));
        match read? {
            0 => break,
            read => rest -= read as u64,
        }
    }
    Ok(())
}

/// Unpacks until the window, which begins at stream offset `base`, holds the record at `locator`, and gives up what lies
/// before it.
fn unpack(stream: &mut Stream, window: &mut Vec<u8>, base: &mut u64, locator: &Locator) -> io::Result<()> {
    let end = locator.offset + locator.length;
    while *base + (window.len() as u64) < end {
        let done = usize::try_from(locator.offset - *base).unwrap_or(usize::MAX).min(window.len());
        window.drain(..done);
        *base += done as u64;
        let before = window.len();
        // What lies behind the record need not be readable.
        match append(stream, window, WINDOW) {
            Err(e) if *base + (window.len() as u64) < end => return Err(e),
            _ if window.len() == before => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
    }
    Ok(())
}
