//! The bytes of an input as found, wherever they lie.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::Place;

/// An input opened for reading.
pub(super) enum Source {
    File(File),
    Member(Box<super::containers::Contents>),
    #[cfg(feature = "object-store")]
    Object(Box<super::objects::Reader>),
}

impl Source {
    /// Opens `place`.
    ///
    /// # Errors
    /// The file cannot be opened. An object is asked for when it is first read.
    pub(super) fn open(place: &Place) -> io::Result<Self> {
        match place {
            Place::File(_) | Place::Stream(_) => Ok(Self::File(File::open(place.path())?)),
            Place::Container(container) => Self::open(&container.place),
            Place::Member(member) => Ok(Self::Member(Box::new(member.open()?))),
            Place::Part(_) => Err(io::Error::other("a folder of parts holds the events of this file, not its bytes")),
            #[cfg(feature = "object-store")]
            Place::Object(object) => Ok(Self::Object(Box::new(super::objects::Reader::open(object)))),
        }
    }

    /// Whether it can be read from anywhere.
    pub(super) fn is_seekable(place: &Place) -> bool {
        match place {
            Place::Member(member) => member.is_stored(),
            Place::Container(container) => Self::is_seekable(&container.place),
            _ => true,
        }
    }

    /// Size as found, if it is known.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::File(file) => file.metadata().ok().map(|m| m.len()),
            Self::Member(contents) => Some(contents.size()),
            #[cfg(feature = "object-store")]
            Self::Object(reader) => Some(reader.size()),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buf),
            Self::Member(contents) => contents.read(buf),
            #[cfg(feature = "object-store")]
            Self::Object(reader) => reader.read(buf),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Member(contents) => contents.seek(to),
            #[cfg(feature = "object-store")]
            Self::Object(reader) => reader.seek(to),
        }
    }
}
