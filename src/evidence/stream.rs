//! Reading a file once: hashed as found, decompressed, bounded.

use std::io::{self, BufReader, Chain, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::containers::{Bounds, FLOOR};
use super::parquet::{self, Rows};
use super::source::Source;
use super::{Digest, Place};

/// Bytes of a packed file read at a time, at most and at least.
const BUFFER: usize = 256 * 1024;
const SMALLEST_BUFFER: usize = 8 * 1024;
/// As many bytes tell how a file is packed.
const HEAD: u64 = 4;

/// How a file is packed, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Gzip,
    Zstd,
    /// The stream is one JSON object a row.
    Parquet,
}

impl Encoding {
    /// How the file at `place` is packed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(place: &Place) -> io::Result<Self> {
        Ok(encoding_at(place, &head(Source::open(place)?)?))
    }
}

/// How far a packed file is read: logs compress 10 to 50 times, bombs a thousand times and more.
#[derive(Clone, Debug)]
pub enum Expansion {
    /// To its end; what was read before is read again.
    Any,
    /// Until it has grown both past this many times what was read of it and past 256 MiB.
    Times(u64),
    /// As many bytes, and why no more.
    Bytes(u64, Arc<str>),
}

impl Expansion {
    /// How far a file is read the first time, where one may grow `times` its size.
    #[must_use]
    pub fn of(place: &Place, times: u64) -> Self {
        match place.member().and_then(|member| member.share.get()) {
            Some((bytes, reason)) => Self::Bytes(*bytes, Arc::clone(reason)),
            None => Self::Times(times),
        }
    }

    /// Why a file that gave `produced` bytes for `consumed` is not read further.
    fn refusal(&self, produced: u64, consumed: u64) -> Option<String> {
        match self {
            Self::Times(times) if produced > FLOOR && produced / (*times).max(1) > consumed => Some(format!(
                "it expands more than {times} times, which no log does; refused as a decompression bomb, raise \
                 --max-expansion if it is genuine"
            )),
            Self::Bytes(bytes, reason) if produced > *bytes => Some(reason.to_string()),
            _ => None,
        }
    }
}

/// A file being read: decompressed bytes come out, the hash of the bytes as found stays.
pub struct Stream {
    decoder: Decoder,
    /// Decompressed bytes handed out so far.
    produced: u64,
    most: Expansion,
    /// Whether it can be read from anywhere.
    seekable: bool,
    content: Content,
}

/// The SHA-256 of decompressed bytes.
enum Content {
    /// It was not asked for, there are none, or they cannot be read.
    Unknown,
    /// It is that of the file.
    AsFound,
    Hashing(Sha256),
}

enum Decoder {
    Plain(Begun),
    /// All members of a gzip file, not just the first.
    Gzip(Box<MultiGzDecoder<BufReader<Begun>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Begun>>>),
    /// Not read from its beginning to its end, and hashed when it has been read.
    Parquet(Box<Rows>),
}

/// A file of which the first bytes have been read.
type Begun = Chain<Cursor<Vec<u8>>, Hashing>;

struct Hashing {
    inner: Source,
    hasher: Sha256,
    bytes: u64,
}

impl Read for Hashing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

impl Stream {
    /// Opens `place` and looks at its first bytes to choose the decompression.
    ///
    /// # Errors
    /// The file cannot be opened or its first bytes cannot be read.
    pub fn open(place: &Place) -> io::Result<Self> {
        let inner = Source::open(place)?;
        let size = inner.size().unwrap_or(BUFFER as u64);
        let capacity = usize::try_from(size).unwrap_or(BUFFER).clamp(SMALLEST_BUFFER, BUFFER);
        let mut hashing = Hashing { inner, hasher: Sha256::new(), bytes: 0 };
        let head = head(&mut hashing)?;
        let encoding = encoding_at(place, &head);
        let begun = Cursor::new(head).chain(hashing);
        let decoder = match encoding {
            // Read without a buffer in between: whoever reads has a large one.
            Encoding::Plain => Decoder::Plain(begun),
            Encoding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(capacity, begun)))),
            Encoding::Zstd => {
                let reader = BufReader::with_capacity(capacity, begun);
                Decoder::Zstd(Box::new(zstd::Decoder::with_buffer(reader)?))
            }
            Encoding::Parquet => Decoder::Parquet(Box::new(Rows::new(begun.into_inner().1.inner))),
        };
        let seekable = Source::is_seekable(place);
        Ok(Self { decoder, produced: 0, most: Expansion::Any, seekable, content: Content::Unknown })
    }

    /// Refuses to go on when it has expanded to more than `most`.
    #[must_use]
    pub fn bounded(mut self, most: Expansion) -> Self {
        self.most = most;
        self
    }

    /// Hashes the decompressed bytes as well; rows of Parquet are none.
    #[must_use]
    pub fn hashing_content(mut self) -> Self {
        self.content = match self.encoding() {
            Encoding::Plain => Content::AsFound,
            Encoding::Gzip | Encoding::Zstd => Content::Hashing(Sha256::new()),
            Encoding::Parquet => Content::Unknown,
        };
        self
    }

    /// Whether it can only be read from the start.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        !self.seekable || self.encoding() != Encoding::Plain
    }

    /// How the file is packed.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.decoder {
            Decoder::Plain(_) => Encoding::Plain,
            Decoder::Gzip(_) => Encoding::Gzip,
            Decoder::Zstd(_) => Encoding::Zstd,
            Decoder::Parquet(_) => Encoding::Parquet,
        }
    }

    /// Reads whatever is left, if it was asked to hash what it holds, and returns the SHA-256 of the decompressed bytes, if
    /// all of them can be read.
    pub fn finish_content(&mut self) -> Option<Digest> {
        if !matches!(self.content, Content::Hashing(_)) {
            return None;
        }
        // An error is noted by reading.
        let _ = io::copy(self, &mut io::sink());
        match std::mem::replace(&mut self.content, Content::Unknown) {
            Content::Hashing(hasher) => Some(Digest(hasher.finalize().into())),
            _ => None,
        }
    }

    /// Whether the decompressed bytes are those as found.
    #[must_use]
    pub fn is_as_found(&self) -> bool {
        matches!(self.content, Content::AsFound)
    }

    /// Reads whatever is left as found and returns its SHA-256 and size.
    ///
    /// # Errors
    /// The rest of the file cannot be read.
    pub fn finish(self) -> io::Result<(Digest, u64)> {
        let mut hashing = match self.decoder {
            Decoder::Plain(begun) => begun.into_inner().1,
            Decoder::Gzip(decoder) => decoder.into_inner().into_inner().into_inner().1,
            Decoder::Zstd(decoder) => decoder.finish().into_inner().into_inner().1,
            Decoder::Parquet(rows) => {
                let mut inner = rows.into_source();
                inner.seek(SeekFrom::Start(0))?;
                Hashing { inner, hasher: Sha256::new(), bytes: 0 }
            }
        };
        io::copy(&mut hashing, &mut io::sink())?;
        Ok((Digest(hashing.hasher.finalize().into()), hashing.bytes))
    }

    fn read_bounded(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.decoder {
            Decoder::Plain(begun) => begun.read(buf),
            Decoder::Gzip(decoder) => decoder.read(buf),
            Decoder::Zstd(decoder) => decoder.read(buf),
            Decoder::Parquet(rows) => rows.read(buf),
        }?;
        self.produced += n as u64;
        let packed = !matches!(self.decoder, Decoder::Plain(_));
        match self.most.refusal(self.produced, self.consumed()).filter(|_| packed) {
            Some(reason) => Err(io::Error::other(reason)),
            None => Ok(n),
        }
    }

    fn consumed(&self) -> u64 {
        match &self.decoder {
            Decoder::Plain(begun) => begun.get_ref().1.bytes,
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref().get_ref().1.bytes,
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref().get_ref().1.bytes,
            Decoder::Parquet(rows) => rows.consumed(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.read_bounded(buf);
        match (&read, &mut self.content) {
            (Ok(n), Content::Hashing(hasher)) => hasher.update(&buf[..*n]),
            (Err(_), content) => *content = Content::Unknown,
            _ => {}
        }
        read
    }
}

/// Whether `packed` bytes that give `unpacked` bytes are no log but a decompression bomb.
pub(crate) fn is_bomb(unpacked: u64, packed: u64) -> bool {
    Expansion::Times(Bounds::default().expansion).refusal(unpacked, packed).is_some()
}

/// The bytes that tell how a file is packed, as far as there are any.
fn head(file: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Parquet is read from its end; where that cannot be, it is refused as what it is.
fn encoding_at(place: &Place, head: &[u8]) -> Encoding {
    match encoding(head) {
        Encoding::Parquet if !Source::is_seekable(place) => Encoding::Plain,
        encoding => encoding,
    }
}

pub(super) fn encoding(head: &[u8]) -> Encoding {
    match head {
        [0x1f, 0x8b, ..] => Encoding::Gzip,
        // A frame, or one that is to be skipped, with which what is packed in parallel begins.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
        _ if head.starts_with(&parquet::MAGIC) => Encoding::Parquet,
        _ => Encoding::Plain,
    }
}
