//! The members of a zip archive without a directory: it lies at the end, and is the first to go when a copy is cut off.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use rawzip::CompressionMethod;

use super::bounds::Budget;
use super::listing::{Listed, Listing, Range};
use super::member::Packing;
use super::spell::LONGEST;
use super::view::Window;
use super::zip::packing;

/// What stands before the bytes of a member (APPNOTE 4.3.7).
pub struct LocalHeader {
    flags: u16,
    method: CompressionMethod,
    crc: u32,
    packed: u64,
    size: u64,
    name: Vec<u8>,
    /// Where the bytes begin.
    start: u64,
}

const DESCRIBED: u16 = 1 << 3;
/// In place of a size that is in the zip64 field.
const ELSEWHERE: u64 = u32::MAX as u64;

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl LocalHeader {
    pub const SIZE: usize = 30;

    /// That at `at`, if there is one.
    pub fn at(window: &Window, at: u64) -> Option<Self> {
        let mut fixed = [0; Self::SIZE];
        if window.fill(&mut fixed, at).ok()? < Self::SIZE || fixed[..4] != *b"PK\x03\x04" {
            return None;
        }
        let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let (named, extra) = (usize::from(short(26)), usize::from(short(28)));
        let mut rest = vec![0; named + extra];
        if window.fill(&mut rest, at + Self::SIZE as u64).ok()? < rest.len() {
            return None;
        }
        let mut header = Self {
            flags: short(6),
            method: CompressionMethod::new(short(8)),
            crc: u32::try_from(number(&fixed[14..18])).unwrap_or(0),
            packed: number(&fixed[18..22]),
            size: number(&fixed[22..26]),
            name: rest[..named].to_vec(),
            start: at + (Self::SIZE + rest.len()) as u64,
        };
        header.read_zip64(&rest[named..]);
        Some(header)
    }

    /// Sizes of 4 GiB and more stand in a field of their own (APPNOTE 4.5.3).
    fn read_zip64(&mut self, mut extra: &[u8]) {
        while let Some((head, rest)) = extra.split_at_checked(4) {
            let length = usize::try_from(number(&head[2..])).unwrap_or(usize::MAX);
            let Some((field, rest)) = rest.split_at_checked(length) else { return };
            extra = rest;
            if head[..2] != [1, 0] {
                continue;
            }
            let mut numbers = field.chunks_exact(8).map(number);
            for size in [&mut self.size, &mut self.packed] {
                if *size == ELSEWHERE {
                    *size = numbers.next().unwrap_or(*size);
                }
            }
        }
    }
}

/// Lists the members one behind the other from the start, up to where the archive breaks off.
pub fn list(window: &Window, broken: Option<&str>, budget: &mut Budget, archive: &str) -> Listing {
    let mut listing = Listing::default();
    let mut at = 0;
    // The mark of an archive that was once split.
    let mut mark = [0; 4];
    if window.fill(&mut mark, 0).is_ok_and(|read| read == 4) && mark == *b"PK\x07\x08" {
        at = 4;
    }
    while let Some(header) = LocalHeader::at(window, at) {
        if !budget.member(&header.name) {
            listing.reject(at, budget.too_many(archive));
            return listing;
        }
        let Some(end) = header.list(window, budget, archive, &mut listing) else { break };
        at = end;
    }
    let reason = broken.map_or_else(String::new, |reason| format!(": {reason}"));
    listing.reject(
        at,
        format!(
            "the archive has no directory at its end, so it was cut off or damaged{reason}; its members were read one behind \
             the other up to here, get a whole copy"
        ),
    );
    listing
}

impl LocalHeader {
    /// Takes in the member and returns where the next may begin, if that can be told.
    fn list(self, window: &Window, budget: &mut Budget, archive: &str, listing: &mut Listing) -> Option<u64> {
        let described = self.flags & DESCRIBED != 0;
        let packing = packing(self.method, self.flags & 1 != 0);
        let mut found = Found { packed: self.packed, size: self.size, crc: Some(self.crc), next: None, whole: true };
        found.next = self.start.checked_add(self.packed).filter(|end| *end <= window.len());
        found.whole = found.next.is_some();
        if described && self.packed == 0 {
            // The sizes stand behind the bytes: only what says itself where it ends can be read.
            if packing != Ok(Packing::Deflate) {
                let reason = "its size stands behind it, where it cannot be found without a directory".to_owned();
                listing.members.push(Listed { name: self.name, size: 0, what: Err(reason) });
                return None;
            }
            found = inflate(window, self.start, budget.rest());
        }
        if self.name.ends_with(b"/") && found.size == 0 {
            return found.next;
        }
        if self.name.len() > LONGEST {
            listing
                .reject(self.start, format!("a member whose name is {} bytes long; it is not read", self.name.len()));
            return found.next;
        }
        let len = found.packed.min(window.len().saturating_sub(self.start));
        let cut = (!found.whole).then(|| Arc::from("the archive was cut off inside this member"));
        let what = packing.and_then(|packing| match found.next {
            None if found.whole => Err(budget.too_much(archive)),
            _ => Ok(Range { start: self.start, len, packing, crc: found.crc, cut }),
        });
        listing.members.push(Listed { name: self.name, size: found.size, what });
        found.next
    }
}

/// What is known of a member once its end is.
struct Found {
    packed: u64,
    size: u64,
    crc: Option<u32>,
    /// Where the next begins.
    next: Option<u64>,
    /// Whether it is all there; if it is and there is no next, it is too large.
    whole: bool,
}

/// Unpacks a member to find its end, `most` bytes of it.
fn inflate(window: &Window, start: u64, most: u64) -> Found {
    let mut packed = Part { window, at: start };
    let mut decoder = DeflateDecoder::new(BufReader::new(packed.by_ref()));
    let (mut buffer, mut crc) = (vec![0; 64 * 1024], Crc::new());
    let mut found = Found { packed: 0, size: 0, crc: None, next: None, whole: true };
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) if found.size > most => return found,
            Ok(read) => {
                crc.update(&buffer[..read]);
                found.size += read as u64;
            }
            Err(_) => {
                found.whole = false;
                break;
            }
        }
    }
    found.packed = decoder.total_in();
    let end = start + found.packed;
    // A stream that ends with the file did not say that it ends.
    let mut descriptor = [0; 24];
    let read = window.fill(&mut descriptor, end).unwrap_or(0);
    match found.whole.then(|| descriptor_length(&descriptor[..read], crc.sum(), &found)).flatten() {
        Some(length) => (found.crc, found.next) = (Some(crc.sum()), Some(end + length)),
        None => found.whole = false,
    }
    found
}

/// Length of the descriptor behind a member, of which it has several forms (APPNOTE 4.3.9).
fn descriptor_length(bytes: &[u8], crc: u32, found: &Found) -> Option<u64> {
    let marked = if bytes.starts_with(b"PK\x07\x08") { 4 } else { 0 };
    [4, 8].into_iter().find_map(|width| {
        let fields = bytes.get(marked..marked + 4 + 2 * width)?;
        let (sum, sizes) = fields.split_at(4);
        let fits = number(sum) == u64::from(crc)
            && number(&sizes[..width]) == found.packed
            && number(&sizes[width..]) == found.size;
        fits.then_some((marked + 4 + 2 * width) as u64)
    })
}

/// The archive from a place on.
struct Part<'a> {
    window: &'a Window,
    at: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.window.fill(buf, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
