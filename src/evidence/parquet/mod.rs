//! Parquet presented as a stream: each row a line of JSON, so that rows are cut, hashed, cited and shown like all other
//! records. docs/formats.md says how each type is written.
//!
//! The file is read one row group at a time, and of that as many rows as fit a budget. Nothing that the file says of its own
//! sizes is believed before it has been checked: `footer` and `pages` do that.

mod cells;
mod footer;
mod group;
mod pages;
mod quietly;

use std::io::{self, Read};

pub use quietly::quietly;

use super::source::Source;
use footer::Footer;
use group::Group;

/// What a Parquet file begins and ends with.
pub(super) const MAGIC: [u8; 4] = *b"PAR1";
/// Text that is made at a time; a single row may be longer.
const TEXT: usize = 256 * 1024;

/// The rows of a Parquet file as lines of JSON.
pub(super) struct Rows {
    source: Source,
    footer: Option<Footer>,
    group: Option<Group>,
    /// The row group that comes next.
    next: usize,
    text: Vec<u8>,
    /// Bytes of `text` that were handed out.
    given: usize,
    /// Bytes of the file that rows were made of.
    consumed: u64,
    failed: Option<String>,
}

impl Rows {
    /// Those of the file in `source`, which is looked at when it is first read.
    pub(super) fn new(source: Source) -> Self {
        Self { source, footer: None, group: None, next: 0, text: Vec::new(), given: 0, consumed: 0, failed: None }
    }

    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(super) fn into_source(self) -> Source {
        self.source
    }

    /// Makes the text of some more rows; `false` at the end.
    fn more(&mut self) -> Result<bool, String> {
        let Some(footer) = &self.footer else {
            self.footer = Some(Footer::read(&mut self.source)?);
            return Ok(true);
        };
        let group = match &mut self.group {
            Some(group) if !group.is_done() => group,
            _ if self.next == footer.groups() => return Ok(false),
            _ => {
                self.group = None;
                let group = Group::read(&mut self.source, footer, self.next)?;
                self.next += 1;
                self.consumed += group.bytes();
                self.group.insert(group)
            }
        };
        while self.text.len() < TEXT && group.write_row(footer, &mut self.text)? {}
        Ok(true)
    }
}

impl Read for Rows {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if let Some(reason) = &self.failed {
                return Err(io::Error::other(reason.clone()));
            }
            self.text.clear();
            self.given = 0;
            // The decoder may come upon bytes that it does not expect; should it panic then, the file is one that is broken.
            let more = quietly(|| self.more()).unwrap_or_else(|_| Err("it is no Parquet that can be read".to_owned()));
            match more {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                // Whole rows that came before are given out first.
                Err(reason) => {
                    let whole = memchr::memrchr(b'\n', &self.text).map_or(0, |end| end + 1);
                    self.text.truncate(whole);
                    self.failed = Some(reason);
                }
            }
        }
        let n = buf.len().min(self.text.len() - self.given);
        buf[..n].copy_from_slice(&self.text[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}
