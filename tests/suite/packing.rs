//! Archives made for tests, byte by byte, so that any part of them can be wrong.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Members with their names.
pub type Members = Vec<(String, Vec<u8>)>;

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("packed");
    gzip.finish().expect("packed")
}

/// As small as gzip makes it.
pub fn gzip_well(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).expect("packed");
    gzip.finish().expect("packed")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("packed")
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflate.write_all(bytes).expect("packed");
    deflate.finish().expect("packed")
}

/// The header of a tar member; names longer than 100 bytes are cut off, as they stand elsewhere then.
pub fn tar_header(name: &[u8], size: u64, kind: u8) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let length = name.len().min(100);
    header.as_mut_bytes()[..length].copy_from_slice(&name[..length]);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_cksum();
    header
}

/// A tar member of any kind.
pub fn tar_member(name: &[u8], bytes: &[u8], kind: u8) -> Vec<u8> {
    let mut member = Vec::new();
    if name.len() > 100 {
        member.extend(tar_member(b"././@LongLink", &[name, b"\0"].concat(), b'L'));
    }
    member.extend(tar_header(name, bytes.len() as u64, kind).as_bytes());
    member.extend(bytes);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

pub const TAR_END: [u8; 1024] = [0; 1024];

pub fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let members: Vec<Vec<u8>> = members.iter().map(|(name, bytes)| tar_member(name.as_bytes(), bytes, b'0')).collect();
    [members.concat(), TAR_END.to_vec()].concat()
}

/// A zip member as it is written; what the archive says of it may differ from what it is.
#[derive(Clone)]
pub struct Zipped {
    pub name: Vec<u8>,
    pub packed: Vec<u8>,
    pub size: u64,
    pub crc: u32,
    pub method: u16,
    pub flags: u16,
    /// Unix mode, kind and all.
    pub mode: u32,
}

impl Zipped {
    pub fn new(name: &str, bytes: &[u8], method: u16) -> Self {
        let packed = match method {
            8 => deflate(bytes),
            93 => zstd(bytes),
            _ => bytes.to_vec(),
        };
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let (name, size) = (name.as_bytes().to_vec(), bytes.len() as u64);
        Self { name, packed, size, crc: crc.sum(), method, flags: 0x800, mode: 0o100_644 }
    }

    /// With its sizes behind it instead of before it, as streams are written.
    pub fn described(mut self) -> Self {
        self.flags |= 8;
        self
    }

    /// What stands before the bytes.
    fn local(&self) -> Vec<u8> {
        let described = self.flags & 8 != 0;
        let mut header = b"PK\x03\x04\x14\0".to_vec();
        header.extend(self.flags.to_le_bytes());
        header.extend(self.method.to_le_bytes());
        header.extend([0; 4]);
        for number in [self.crc, size(self.packed.len() as u64), size(self.size)] {
            header.extend(if described { 0 } else { number }.to_le_bytes());
        }
        header.extend(u16::try_from(self.name.len()).expect("short").to_le_bytes());
        header.extend([0; 2]);
        header.extend(&self.name);
        header
    }

    fn whole(&self) -> Vec<u8> {
        let mut bytes = self.local();
        bytes.extend(&self.packed);
        if self.flags & 8 != 0 {
            bytes.extend(b"PK\x07\x08");
            for number in [self.crc, size(self.packed.len() as u64), size(self.size)] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }
}

fn size(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("less than 4 GiB")
}

/// The directory of members that begin at these places, which itself begins at `start`.
pub fn zip_directory(members: &[(usize, &Zipped)], start: usize) -> Vec<u8> {
    let mut directory = Vec::new();
    for (at, member) in members {
        directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        directory.extend(member.flags.to_le_bytes());
        directory.extend(member.method.to_le_bytes());
        directory.extend([0; 4]);
        directory.extend(member.crc.to_le_bytes());
        directory.extend(size(member.packed.len() as u64).to_le_bytes());
        directory.extend(size(member.size).to_le_bytes());
        directory.extend(u16::try_from(member.name.len()).expect("short").to_le_bytes());
        directory.extend([0; 8]);
        directory.extend((member.mode << 16).to_le_bytes());
        directory.extend(u32::try_from(*at).expect("small").to_le_bytes());
        directory.extend(&member.name);
    }
    let (count, length) = (u16::try_from(members.len()).expect("few"), directory.len());
    directory.extend(b"PK\x05\x06\0\0\0\0");
    directory.extend(count.to_le_bytes());
    directory.extend(count.to_le_bytes());
    directory.extend(u32::try_from(length).expect("small").to_le_bytes());
    directory.extend(u32::try_from(start).expect("small").to_le_bytes());
    directory.extend([0; 2]);
    directory
}

pub fn zip_of(members: &[Zipped]) -> Vec<u8> {
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for member in members {
        places.push((bytes.len(), member));
        bytes.extend(member.whole());
    }
    let start = bytes.len();
    bytes.extend(zip_directory(&places, start));
    bytes
}

/// A zip, its members stored (0), deflated (8) or packed with zstd (93).
pub fn zip(members: &[(String, Vec<u8>)], method: u16) -> Vec<u8> {
    let members: Vec<Zipped> = members.iter().map(|(name, bytes)| Zipped::new(name, bytes, method)).collect();
    zip_of(&members)
}

/// The files below a folder as members.
pub fn members_of(folder: &Path) -> Members {
    let name = |path: &PathBuf| path.strip_prefix(folder).expect("inside").display().to_string();
    files_of(folder).iter().map(|path| (name(path), fs::read(path).expect("read"))).collect()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("listed").flatten() {
        if entry.path().is_dir() { files.extend(files_of(&entry.path())) } else { files.push(entry.path()) }
    }
    files.sort();
    files
}
