//! Unpacking one gzip member, and noticing what does not belong to it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use crate::evidence::{Digest, is_bomb};

const BUFFER: usize = 64 * 1024;

/// What a file holds.
pub(super) struct Unpacked {
    /// SHA-256 of the unpacked bytes: what CloudTrail's digests state.
    pub hash: Digest,
    /// The unpacked bytes, if there are no more than were asked for.
    pub bytes: Option<Vec<u8>>,
    /// What follows the member, in a sentence.
    pub tail: Option<String>,
}

/// Why a file is not what CloudTrail delivers.
pub(super) struct Unfit {
    pub reason: String,
    /// SHA-256 of the file as it is, if it is not packed.
    pub plain: Option<Digest>,
}

impl From<String> for Unfit {
    fn from(reason: String) -> Self {
        Self { reason, plain: None }
    }
}

/// Unpacks the file at `path`, which CloudTrail packed as a single gzip member, and keeps up to `keep` bytes of it.
///
/// A reader that goes on to a second member would see what no digest speaks of, so whatever follows the first is told.
///
/// # Errors
/// The file cannot be read, is not gzip, is damaged or cut off.
pub(super) fn unpack(path: &Path, keep: usize) -> Result<Unpacked, Unfit> {
    let unread = |e: io::Error| format!("it cannot be read: {e}");
    let mut reader = BufReader::with_capacity(BUFFER, File::open(path).map_err(unread)?);
    let size = reader.get_ref().metadata().map_err(unread)?.len();
    let head = reader.fill_buf().map_err(unread)?;
    if !head.starts_with(&[0x1f, 0x8b]) {
        return Err(not_packed(reader, size));
    }
    let mut decoder = GzDecoder::new(reader);
    let (hash, bytes) = drain(&mut decoder, size, keep)?;
    let mut rest = decoder.into_inner();
    let after = io::copy(&mut rest, &mut io::sink()).map_err(unread)?;
    let at = size.saturating_sub(after);
    let tail = (after > 0).then(|| format!("{after} bytes follow the end of its gzip member, at offset {at}"));
    Ok(Unpacked { hash, bytes, tail })
}

/// Hashes what comes out of `decoder`.
fn drain(decoder: &mut impl Read, size: u64, keep: usize) -> Result<(Digest, Option<Vec<u8>>), String> {
    let (mut hasher, mut produced, mut kept) = (Sha256::new(), 0_u64, Some(Vec::new()));
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(damage(&e, produced)),
        };
        hasher.update(&buffer[..n]);
        produced += n as u64;
        if is_bomb(produced, size) {
            return Err(format!("it unpacks to more than {produced} bytes, which no log does; refused"));
        }
        kept = kept.filter(|bytes| bytes.len() + n <= keep);
        if let Some(bytes) = &mut kept {
            bytes.extend_from_slice(&buffer[..n]);
        }
    }
    Ok((Digest(hasher.finalize().into()), kept))
}

fn damage(error: &io::Error, produced: u64) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("its gzip member is cut off after {produced} unpacked bytes"),
        _ => format!("its gzip member is damaged after {produced} unpacked bytes ({error})"),
    }
}

fn not_packed(mut reader: impl Read, size: u64) -> Unfit {
    if size == 0 {
        return "it is empty".to_owned().into();
    }
    let plain = drain(&mut reader, size, 0).ok().map(|(hash, _)| hash);
    Unfit { reason: "it is not packed with gzip, as CloudTrail delivers it".to_owned(), plain }
}
