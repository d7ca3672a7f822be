//! What may not fit into memory: entries of a few words, of which most lie in unnamed temporary files. They are this process's
//! own, so the bytes are in the order of the machine; what lies in them is gone when it ends.

mod packed;
mod scratch;
mod shares;
mod sorted;
mod spilled;
mod twice;

use std::io;

pub use packed::{Packed, pack, unpack};
pub use scratch::Scratch;
pub use shares::{Size, Tell, by_share, halves, joined};
pub use sorted::{Ascending, Cursor, Sorted, Sorter};
pub use spilled::Spilled;
pub use twice::Twice;

use crate::error::Error;

/// A time as a word that is ordered as times are.
#[must_use]
pub const fn ordered(time: i64) -> u64 {
    time.cast_unsigned() ^ (1 << 63)
}

/// The time that such a word is.
#[must_use]
pub const fn time_of(ordered: u64) -> i64 {
    (ordered ^ (1 << 63)).cast_signed()
}

fn writing(error: io::Error) -> Error {
    temporary("writing what is known of the records", error)
}

fn reading(error: io::Error) -> Error {
    temporary("reading what is known of the records", error)
}

/// Wraps what went wrong with a temporary file; they lie below `TMPDIR`.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub fn temporary(action: &'static str, error: io::Error) -> Error {
    let reason = format!("{error}; set TMPDIR to a folder that has room for temporary files");
    Error::io(std::env::temp_dir(), action, io::Error::new(error.kind(), reason))
}

#[cfg(test)]
mod tests {
    use std::io;

    #[test]
    fn where_there_is_no_room_for_temporary_files_the_sentence_names_what_to_set() {
        let said = super::writing(io::ErrorKind::StorageFull.into()).to_string();
        assert!(said.contains("writing what is known of the records") && said.contains("set TMPDIR"), "{said}");
    }
}
