//! The members of a zip archive, by its directory.

use rawzip::{CompressionMethod, EntryMode, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive, ZipLocator};

use super::bounds::Budget;
use super::listing::{Listed, Listing, Range};
use super::member::Packing;
use super::salvage::{self, LocalHeader};
use super::spell::{LONGEST, spelled};
use super::view::Window;

/// Ends of a directory that turn out to be none, before it is given up.
const FALSE_ENDS: usize = 8;
/// A descriptor behind the bytes of a member may take up this much.
const DESCRIPTOR: u64 = 24;

/// Lists the members; `broken` says why the archive could not be unpacked to its end.
pub fn list(window: &Window, broken: Option<&str>, budget: &mut Budget, archive: &str) -> Listing {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let found = if broken.is_some() { None } else { locate(window, &mut buffer) };
    let directory = found.and_then(|zip| Directory::read(&zip, &mut buffer, budget).ok());
    match directory {
        Some(directory) => directory.listing(window, budget, archive),
        None => salvage::list(window, broken, budget, archive),
    }
}

fn locate<'a>(window: &'a Window, buffer: &mut [u8]) -> Option<ZipArchive<&'a Window>> {
    let mut end = window.len();
    for _ in 0..FALSE_ENDS {
        match ZipLocator::new().locate_in_reader(window, buffer, end) {
            Ok(zip) => return Some(zip),
            Err((_, error)) => end = error.eocd_offset()?,
        }
    }
    None
}

/// What the directory says of a member.
struct Entry {
    name: Vec<u8>,
    at: u64,
    packed: u64,
    size: u64,
    crc: u32,
    method: CompressionMethod,
    encrypted: bool,
    described: bool,
    mode: EntryMode,
    /// Where its bytes begin, or why that is unknown.
    start: Result<u64, String>,
}

struct Directory {
    entries: Vec<Entry>,
    /// Whether there are more members than are read.
    too_many: bool,
    /// Where the directory begins, and where the archive ends.
    start: u64,
    end: u64,
}

impl Directory {
    fn read(zip: &ZipArchive<&Window>, buffer: &mut [u8], budget: &mut Budget) -> Result<Self, rawzip::Error> {
        let mut directory =
            Self { entries: Vec::new(), too_many: false, start: zip.directory_offset(), end: zip.end_offset() };
        let mut entries = zip.entries(buffer);
        while let Some(entry) = entries.next_entry()? {
            let name = entry.file_path();
            let name: &[u8] = name.as_bytes();
            if !budget.member(name) {
                directory.too_many = true;
                break;
            }
            let found = zip.get_entry(entry.wayfinder());
            directory.entries.push(Entry {
                name: name.to_vec(),
                at: entry.local_header_offset(),
                packed: entry.compressed_size_hint(),
                size: entry.uncompressed_size_hint(),
                crc: entry.crc32(),
                method: entry.compression_method(),
                encrypted: entry.flags().is_encrypted() || entry.flags().is_masked(),
                described: entry.flags().has_data_descriptor(),
                mode: entry.mode(),
                start: found.map(|found| found.compressed_data_range().0).map_err(|_| {
                    format!("no member begins at offset {}, where the directory says", entry.local_header_offset())
                }),
            });
        }
        Ok(directory)
    }

    fn listing(self, window: &Window, budget: &Budget, archive: &str) -> Listing {
        let mut listing = Listing::default();
        if let Some(reason) = self.overlap() {
            listing.reject(self.start, reason);
            return listing;
        }
        if self.too_many {
            listing.reject(self.start, budget.too_many(archive));
        } else {
            self.note_gaps(window, &mut listing);
        }
        let start = self.start;
        for entry in self.entries {
            entry.list(start, &mut listing);
        }
        listing
    }

    /// Members in the order of their places, and where each ends.
    fn by_place(&self) -> Vec<(u64, u64, &Entry)> {
        let end = |entry: &Entry| {
            let least = entry.at.saturating_add(LocalHeader::SIZE as u64);
            entry.start.as_ref().map_or(least, |start| start.saturating_add(entry.packed))
        };
        let mut places: Vec<_> = self.entries.iter().map(|entry| (entry.at, end(entry), entry)).collect();
        places.sort_by_key(|(start, end, _)| (*start, *end));
        places
    }

    /// Says which members share bytes: then none of them can be trusted, and a few bytes may be made to unpack to any
    /// number.
    fn overlap(&self) -> Option<String> {
        let places = self.by_place();
        let pair = places.windows(2).find(|pair| pair[1].0 < pair[0].1)?;
        let [(.., first), (at, _, second)] = pair else { return None };
        Some(format!(
            "the members {} and {} share the bytes at offset {at}, as only decompression bombs and forgeries do; nothing in \
             it is read",
            spelled(&first.name),
            spelled(&second.name)
        ))
    }

    /// Names bytes that belong to no member: whoever removes one from the directory alone leaves its bytes.
    fn note_gaps(&self, window: &Window, listing: &mut Listing) {
        let (mut end, mut gaps, mut first, mut bytes) = (0, 0, 0, 0);
        let places = self.by_place();
        let spans =
            places.iter().map(|(start, end, entry)| (*start, end + if entry.described { DESCRIPTOR } else { 0 }));
        for (start, next) in spans.chain([(self.start, self.end), (window.len(), window.len())]) {
            if start > end {
                if LocalHeader::at(window, end).is_some() {
                    let reason = format!(
                        "{} bytes that hold a member which the directory does not list (removed, or of another archive \
                         before this one) and that are not read",
                        start - end
                    );
                    listing.reject(end, reason);
                } else {
                    (first, bytes) = (if gaps == 0 { end } else { first }, bytes + start - end);
                    gaps += 1;
                }
            }
            end = end.max(next);
        }
        if gaps > 0 {
            listing.notes.push(format!(
                ": {bytes} bytes in {gaps} places, the first at offset {first}, belong to no member and are not read"
            ));
        }
    }
}

impl Entry {
    fn list(self, directory: u64, listing: &mut Listing) {
        let kind = self.mode.value() & 0o170_000;
        let special = match kind {
            0o120_000 => Some("a symbolic link in the archive, not followed"),
            0o020_000 | 0o060_000 => Some("a device in the archive, not read"),
            0o010_000 => Some("a pipe in the archive, not read"),
            _ => None,
        };
        if let Some(what) = special {
            listing.pass_over(&self.name, what);
            return;
        }
        if self.name.ends_with(b"/") && self.size == 0 {
            return;
        }
        if self.name.len() > LONGEST {
            listing.reject(self.at, format!("a member whose name is {} bytes long; it is not read", self.name.len()));
            return;
        }
        let crc = Some(self.crc);
        let runs_over = |start: u64| start.checked_add(self.packed).is_none_or(|end| end > directory);
        let range = self.start.and_then(|start| {
            let packing = packing(self.method, self.encrypted)?;
            if runs_over(start) {
                return Err("it runs into the directory; get a whole copy of the archive".to_owned());
            }
            Ok(Range { start, len: self.packed, packing, crc, cut: None })
        });
        listing.members.push(Listed { name: self.name, size: self.size, what: range });
    }
}

/// How a member is packed, or why it is not read.
pub fn packing(method: CompressionMethod, encrypted: bool) -> Result<Packing, String> {
    match method {
        _ if encrypted => Err("it is encrypted; unpack the archive with its password and name the folder".to_owned()),
        CompressionMethod::STORE => Ok(Packing::Stored),
        CompressionMethod::DEFLATE => Ok(Packing::Deflate),
        CompressionMethod::ZSTD | CompressionMethod::ZSTD_DEPRECATED => Ok(Packing::Zstd),
        _ => {
            let name = method.name().map_or_else(|| format!("method {}", method.as_u16()), str::to_owned);
            Err(format!("it is packed with {name}, which is not read; unpack the archive and name the folder"))
        }
    }
}
