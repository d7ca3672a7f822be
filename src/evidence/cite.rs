//! Going back to the bytes: the SHA-256 of the records a report cites, and the raw bytes of one.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use rayon::prelude::*;

use super::{Digest, Encoding, Input, Locator, Place, Stream};
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
    let mut reader = RecordReader::open(input)?;
    locators.iter().map(|locator| Ok((*locator, Digest::of(&reader.read(locator)?)))).collect()
}

/// The raw bytes of the record at `locator`.
///
/// # Errors
/// The file cannot be read, or is shorter than when it was analysed.
pub fn read_raw(input: &Input, locator: &Locator) -> Result<Vec<u8>> {
    RecordReader::open(input)
        .and_then(|mut reader| reader.read(locator))
        .map_err(|e| Error::io(&input.label, "reading the record", e))
}

/// Reads records of one file in ascending order: by seeking where the file is plain, by decompressing where it is not.
enum RecordReader {
    Plain(File),
    Packed { stream: Stream, at: u64 },
}

impl RecordReader {
    fn open(input: &Input) -> io::Result<Self> {
        let Place::File(path) = &input.place else {
            return Err(io::Error::other("standard input cannot be read twice"));
        };
        let stream = Stream::open(&input.place)?;
        Ok(match stream.encoding() {
            Encoding::Plain => Self::Plain(File::open(path)?),
            Encoding::Gzip | Encoding::Zstd => Self::Packed { stream, at: 0 },
        })
    }

    fn read(&mut self, locator: &Locator) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(file) => {
                file.seek(SeekFrom::Start(locator.offset))?;
                exactly(file, locator.length)
            }
            Self::Packed { stream, at } => {
                let gap = locator.offset.checked_sub(*at).ok_or_else(|| io::Error::other("records out of order"))?;
                io::copy(&mut stream.by_ref().take(gap), &mut io::sink())?;
                *at = locator.offset + locator.length;
                exactly(stream, locator.length)
            }
        }
    }
}

fn exactly(reader: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
