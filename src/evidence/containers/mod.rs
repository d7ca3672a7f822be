//! Containers: tar and zip archives, packed with gzip or zstd or not, in one another.
//!
//! They are found by content once the paths have been walked, and each regular member becomes an input of its own. Nothing
//! is written under a member's name: members of a plain archive are ranges of it, deflated members of a zip are unpacked
//! whenever they are read, and what can only be read from its start (a tar in gzip, a zip in a zip) is unpacked once into one
//! temporary file without a name. However many archives and members there are, no more files are open than are being read.

mod bounds;
mod expand;
mod feed;
mod listing;
mod member;
mod salvage;
mod spell;
mod tape;
mod tar;
mod view;
mod zip;

pub use bounds::Bounds;
pub(super) use bounds::FLOOR;
pub use expand::Container;
pub(super) use expand::expand;
pub(super) use member::Contents;
pub use member::Member;
pub use spell::{BETWEEN, is_hostile};

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::stream::{Encoding, encoding};

/// What kind of container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tar,
    Zip,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Zip => "zip",
        }
    }

    /// The kind that begins like this.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            // A first member, none at all, or the mark of an archive that was once split.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, b'P', b'K', 3, 4, ..] => {
                Some(Self::Zip)
            }
            _ if tar::begins(head) => Some(Self::Tar),
            _ => None,
        }
    }
}

/// What the first bytes of a file tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    encoding: Encoding,
    kind: Option<Kind>,
}

/// Bytes that tell a container.
const HEAD: usize = 512;

/// Looks at the first bytes of `source`, and where it is packed at the first that come out. What cannot be read is no
/// container; whoever reads it will say why.
fn look(mut source: impl Read) -> Look {
    let mut head = Vec::with_capacity(HEAD);
    let _ = source.by_ref().take(HEAD as u64).read_to_end(&mut head);
    let encoding = encoding(&head);
    let unpacked = match encoding {
        Encoding::Plain | Encoding::Parquet => return Look { encoding, kind: Kind::of(&head) },
        Encoding::Gzip => first(MultiGzDecoder::new(BufReader::with_capacity(4096, head.chain(source)))),
        Encoding::Zstd => {
            zstd::Decoder::with_buffer(BufReader::new(head.chain(source))).map_or_else(|_| Vec::new(), first)
        }
    };
    Look { encoding, kind: Kind::of(&unpacked) }
}

fn first(reader: impl Read) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    let _: io::Result<usize> = reader.take(HEAD as u64).read_to_end(&mut head);
    head
}
