//! The members of a tar archive: POSIX pax, GNU and the older forms, also several archives one behind the other.

use std::sync::Arc;

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::bounds::Budget;
use super::feed::Feed;
use super::listing::{Listed, Listing, Range};
use super::member::Packing;
use super::spell::{LONGEST, spelled};
use crate::error::Result;
use crate::evidence::ledger::BREAKS_OFF;

const BLOCK: u64 = 512;
/// Bytes of a pax header or a long name that are read; longer ones mean harm.
const MOST_EXTENDED: u64 = 1024 * 1024;

const HALF: &str = "get a whole copy of the archive";

/// Whether a file that begins like this is a tar archive: the name of the format, or (before there was one) a header
/// whose checksum is right.
pub fn begins(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else { return false };
    block[257..262] == *b"ustar" || (block[0] != 0 && is_header(Header::from_byte_slice(block)))
}

/// Whether the checksum is right, which was once taken over signed bytes.
fn is_header(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let others = || bytes[..148].iter().chain(&bytes[156..]);
    let spaces = 8 * u32::from(b' ');
    let unsigned = others().map(|b| u32::from(*b)).sum::<u32>() + spaces;
    let signed = others().map(|b| i32::from(b.cast_signed())).sum::<i32>() + spaces.cast_signed();
    header.cksum().is_ok_and(|sum| sum == unsigned || i64::from(sum) == i64::from(signed))
}

/// Lists the members.
///
/// # Errors
/// There is no room on the disk for what must be unpacked.
pub fn list(feed: &mut Feed, budget: &mut Budget, archive: &str) -> Result<Listing> {
    let mut walk =
        Walk { feed, budget, archive, at: 0, ended: false, next: Next::default(), listing: Listing::default() };
    while walk.step()? {}
    Ok(walk.listing)
}

/// What extended headers say of the member behind them.
#[derive(Default)]
struct Next {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

struct Walk<'a> {
    feed: &'a mut Feed,
    budget: &'a mut Budget,
    archive: &'a str,
    at: u64,
    /// Whether blocks of zeros were seen: the end, unless another archive is behind it.
    ended: bool,
    next: Next,
    listing: Listing,
}

impl Walk<'_> {
    /// Reads one header and what belongs to it; says whether there may be more.
    fn step(&mut self) -> Result<bool> {
        let mut header = Header::new_old();
        let read = self.feed.fill(header.as_mut_bytes(), self.at)?;
        if read < header.as_bytes().len() {
            self.end(read);
            return Ok(false);
        }
        if header.as_bytes().iter().all(|b| *b == 0) {
            self.at += BLOCK;
            self.ended = true;
            return Ok(true);
        }
        let size = header.entry_size();
        let Some(size) = size.ok().filter(|_| is_header(&header)) else {
            let what = if self.ended { "behind the end of the tar archive there are" } else { "there are" };
            let reason = format!("{what} bytes that are no tar header; from here on nothing is read, {HALF}");
            self.listing.reject(self.at, reason);
            return Ok(false);
        };
        self.ended = false;
        self.at += BLOCK;
        let kind = header.entry_type();
        let extends = is_extension(kind);
        if kind.is_gnu_sparse() {
            self.skip_sparse_map(&header)?;
        }
        let size = match kind.as_byte() {
            // Links, devices, folders and pipes have no bytes, whatever their headers say (as GNU tar reads them).
            b'1'..=b'6' => 0,
            _ => self.next.size.filter(|_| !extends).unwrap_or(size),
        };
        let Some(end) = size.checked_next_multiple_of(BLOCK).and_then(|padded| self.at.checked_add(padded)) else {
            self.listing.reject(self.at - BLOCK, format!("a member of {size} bytes, larger than any file; {HALF}"));
            return Ok(false);
        };
        let more = if extends { self.extended(kind, size)? } else { self.member(&header, size)? };
        self.at = end;
        Ok(more)
    }

    /// Says how the archive ends, if not as it should.
    fn end(&mut self, read: usize) {
        let why = self.feed.failure().map(str::to_owned);
        let reason = match why {
            Some(reason) => format!("the archive {BREAKS_OFF}: {reason}"),
            None if self.ended && read == 0 => return,
            None if read == 0 => {
                format!("the archive ends without the blocks of zeros that end a tar: it may have been cut off, {HALF}")
            }
            None => format!("the archive ends inside a header: it was cut off, {HALF}"),
        };
        self.listing.reject(self.at, reason);
    }

    /// Reads what tells more of the next member.
    fn extended(&mut self, kind: EntryType, size: u64) -> Result<bool> {
        let mut bytes = vec![0; usize::try_from(size.min(MOST_EXTENDED)).unwrap_or(0)];
        let read = self.feed.fill(&mut bytes, self.at)?;
        if read < bytes.len() {
            self.end(read);
            return Ok(false);
        }
        match kind.as_byte() {
            _ if size > MOST_EXTENDED => {
                let reason =
                    format!("a header of {size} bytes, which is no name; the member behind it goes by a short name");
                self.listing.reject(self.at, reason);
                return Ok(self.counted(&[]));
            }
            b'L' => {
                let name = bytes.split(|b| *b == 0).next().unwrap_or_default();
                self.next.name = Some(name.to_vec());
            }
            b'x' | b'X' if !pax(&bytes, &mut self.next) => {
                let reason = "a pax header that is not as pax headers are; what it says is not used";
                self.listing.reject(self.at, reason.to_owned());
                return Ok(self.counted(&[]));
            }
            // Links are not followed, so it does not matter where to; what holds for all members is no name.
            _ => {}
        }
        Ok(true)
    }

    /// Counts a member; says whether it is not one too many.
    fn counted(&mut self, name: &[u8]) -> bool {
        let fits = self.budget.member(name);
        if !fits {
            self.listing.reject(self.at - BLOCK, self.budget.too_many(self.archive));
        }
        fits
    }

    /// Takes in a member.
    fn member(&mut self, header: &Header, size: u64) -> Result<bool> {
        let Next { name, sparse, .. } = std::mem::take(&mut self.next);
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = header.entry_type();
        if !self.counted(&name) {
            return Ok(false);
        }
        if kind.is_dir() || (!kind.is_gnu_sparse() && name.ends_with(b"/")) || kind.as_byte() == b'D' {
            return Ok(true);
        }
        if let Some(what) = passed_over(kind) {
            let target = header.link_name_bytes().filter(|_| what.contains("link"));
            let target = target.map_or_else(String::new, |target| format!(" (to {})", spelled(&target)));
            self.listing.pass_over(&name, &format!("{what}{target}"));
            return Ok(true);
        }
        if name.len() > LONGEST {
            self.listing
                .reject(self.at - BLOCK, format!("a member whose name is {} bytes long; it is not read", name.len()));
            return Ok(true);
        }
        if kind.is_gnu_sparse() || sparse {
            let reason = "a sparse file, which is not read out of a tar; unpack the archive with GNU tar".to_owned();
            self.listing.members.push(Listed { name, size, what: Err(reason) });
            return Ok(true);
        }
        self.regular(name, size)
    }

    fn regular(&mut self, name: Vec<u8>, size: u64) -> Result<bool> {
        let (start, end) = (self.at, self.at + size);
        let reached = self.feed.reach(end)?;
        let mut what = Ok(Range { start, len: size, packing: Packing::Stored, crc: None, cut: None });
        if reached < end {
            let reason = self.feed.failure().unwrap_or("the archive ends inside this member").to_owned();
            let shown = spelled(&name);
            self.listing.reject(start, format!("the archive {BREAKS_OFF} than into {shown}: {reason}"));
            what = if self.feed.is_refused() {
                Err(reason)
            } else {
                let cut: Arc<str> = format!("{reason}, after {} of {size} bytes", reached.saturating_sub(start)).into();
                what.map(|range| Range { cut: Some(cut), ..range })
            };
        }
        self.listing.members.push(Listed { name, size, what });
        Ok(reached == end)
    }

    /// The map of a sparse file goes on in blocks of its own before the data.
    fn skip_sparse_map(&mut self, header: &Header) -> Result<()> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while more {
            let mut map = GnuExtSparseHeader::new();
            let read = self.feed.fill(map.as_mut_bytes(), self.at)?;
            self.at += BLOCK;
            more = read as u64 == BLOCK && map.is_extended();
        }
        Ok(())
    }
}

fn is_extension(kind: EntryType) -> bool {
    matches!(kind.as_byte(), b'L' | b'K' | b'x' | b'X' | b'g')
}

/// What a member is that is no file.
fn passed_over(kind: EntryType) -> Option<&'static str> {
    Some(match kind.as_byte() {
        b'1' => "a hard link in the archive, not followed",
        b'2' => "a symbolic link in the archive, not followed",
        b'3' | b'4' => "a device in the archive, not read",
        b'6' => "a pipe in the archive, not read",
        b'M' => "the rest of a file that begins in another volume, not read",
        b'N' => "old GNU long names, not read",
        b'V' => "the name of a volume",
        _ => return None,
    })
}

/// Reads the records of a pax header, `LENGTH KEY=VALUE\n` each; says whether they are such.
fn pax(bytes: &[u8], next: &mut Next) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() && rest[0] != 0 {
        let space = rest.iter().position(|b| *b == b' ');
        let length = space.and_then(|space| std::str::from_utf8(&rest[..space]).ok()?.parse::<usize>().ok());
        let record = space.zip(length).and_then(|(space, length)| rest.get(space + 1..length));
        let Some((record, length)) = record.and_then(|r| r.strip_suffix(b"\n")).zip(length) else { return false };
        let Some(equals) = record.iter().position(|b| *b == b'=') else { return false };
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => next.name = Some(value.to_vec()),
            b"size" => next.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            b"GNU.sparse.name" => (next.name, next.sparse) = (Some(value.to_vec()), true),
            _ => next.sparse |= key.starts_with(b"GNU.sparse."),
        }
        rest = &rest[length..];
    }
    true
}
