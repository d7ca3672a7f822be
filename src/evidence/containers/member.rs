//! One member of a container being read.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, OnceLock};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::view::{View, Window};
use crate::evidence::Name;

/// How a member is packed by the archive itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Stored,
    Deflate,
    Zstd,
}

/// Where the bytes of a member are, and what the archive says of them.
#[derive(Clone)]
pub struct Data {
    pub view: View,
    pub packing: Packing,
    /// Size when unpacked.
    pub size: u64,
    pub crc: Option<u32>,
    /// Why it ends before that.
    pub cut: Option<Arc<str>>,
}

/// A member of a container.
pub struct Member {
    /// The name of the container.
    pub container: Name,
    /// Its bytes, or why it is not read.
    pub data: Result<Data, String>,
    /// Bytes that come out of it; of one that is not read, 0.
    pub size: u64,
    /// What may come out of it where it is packed itself, and why no more.
    pub share: OnceLock<(u64, Arc<str>)>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a member of {}", self.container)
    }
}

/// One and the same only.
impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Member {}

impl Member {
    /// The name of the container it is in.
    #[must_use]
    pub const fn container(&self) -> &Name {
        &self.container
    }

    /// Why it is not read, if it is not.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.data.as_ref().err().map(String::as_str)
    }

    /// Whether it can be read from anywhere.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.data.as_ref().is_ok_and(|data| data.packing == Packing::Stored)
    }

    /// Opens it.
    ///
    /// # Errors
    /// It is not read, or the container cannot be opened.
    pub(in crate::evidence) fn open(&self) -> io::Result<Contents> {
        self.data.as_ref().map_err(|reason| io::Error::other(reason.clone()))?.open()
    }
}

impl Data {
    /// Bytes that may come out of it.
    pub fn most(&self) -> u64 {
        if self.packing == Packing::Stored { self.size.min(self.view.len) } else { self.size }
    }

    /// Opens it.
    ///
    /// # Errors
    /// The container cannot be opened.
    pub fn open(&self) -> io::Result<Contents> {
        let window = self.view.open()?;
        // Most members are small.
        let capacity = usize::try_from(self.view.len).unwrap_or(MOST).clamp(64, MOST);
        let buffered = |window| BufReader::with_capacity(capacity, window);
        let inner = match self.packing {
            Packing::Stored => Inner::Stored(window),
            Packing::Deflate => Inner::Packed(Box::new(DeflateDecoder::new(buffered(window)))),
            Packing::Zstd => Inner::Packed(Box::new(zstd::Decoder::with_buffer(buffered(window))?)),
        };
        let crc = self.crc.map(|crc| (Crc::new(), crc));
        Ok(Contents { inner, size: self.size, read: 0, crc, cut: self.cut.clone(), goes_on: false })
    }
}

/// Packed bytes that are read at a time, at most.
const MOST: usize = 64 * 1024;

enum Inner {
    Stored(Window),
    Packed(Box<dyn Read + Send>),
}

/// The bytes of a member, checked against what the archive says of them.
pub struct Contents {
    inner: Inner,
    size: u64,
    read: u64,
    crc: Option<(Crc, u32)>,
    cut: Option<Arc<str>>,
    /// Whether more comes out than the archive says.
    goes_on: bool,
}

impl Contents {
    /// Size when unpacked, as the archive says.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// At the end: whether there should have been more, or other bytes. Where only the checksum is wrong, all bytes have
    /// come; the end is an end then, once it has been said.
    fn end(&mut self) -> io::Result<usize> {
        if let Some(cut) = &self.cut {
            return Err(io::Error::other(cut.to_string()));
        }
        if self.read < self.size {
            let (read, size) = (self.read, self.size);
            let reason = format!("it ends after {read} of the {size} bytes that the archive says it has");
            return Err(io::Error::other(reason));
        }
        if let Inner::Packed(packed) = &mut self.inner {
            self.goes_on = self.goes_on || packed.read(&mut [0])? > 0;
            if self.goes_on {
                let size = self.size;
                return Err(io::Error::other(format!(
                    "it goes on behind the {size} bytes that the archive says it has"
                )));
            }
        }
        let Some((crc, expected)) = self.crc.take() else { return Ok(0) };
        if crc.sum() == expected {
            return Ok(0);
        }
        let reason = format!("its CRC-32 is {:08x} and should be {expected:08x}: it was damaged", crc.sum());
        Err(io::Error::other(reason))
    }
}

impl Read for Contents {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size - self.read).unwrap_or(usize::MAX);
        let wanted = buf.len().min(rest);
        if buf.is_empty() {
            return Ok(0);
        }
        if wanted == 0 {
            return self.end();
        }
        let read = match &mut self.inner {
            Inner::Stored(window) => window.read(&mut buf[..wanted]),
            Inner::Packed(packed) => packed.read(&mut buf[..wanted]),
        };
        match read {
            Ok(0) => self.end(),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.end(),
            Ok(n) => {
                self.read += n as u64;
                if let Some((crc, _)) = &mut self.crc {
                    crc.update(&buf[..n]);
                }
                Ok(n)
            }
            Err(e) => Err(e),
        }
    }
}

impl Seek for Contents {
    /// What was stored can be read from anywhere; its checksum is not looked at then.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.inner {
            Inner::Stored(window) => {
                self.crc = None;
                self.read = window.seek(to)?.min(self.size);
                Ok(self.read)
            }
            Inner::Packed(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
