//! One record a line.

use memchr::memchr;

use super::framer::{Cut, Split};

/// Splits at line feeds; blank lines are no records, a last line without line feed is one.
pub(super) struct Lines {
    limit: u64,
    /// Stream offset up to which no line feed was found.
    searched: u64,
    /// Start of a line that has already outgrown the limit.
    overlong: Option<u64>,
}

impl Lines {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, searched: 0, overlong: None }
    }

    fn line(&mut self, data: &[u8], start: usize, end: usize, base: u64, cuts: &mut Vec<Cut>) {
        if let Some(offset) = self.overlong.take() {
            cuts.push(too_long(offset, base + end as u64 - offset, self.limit));
            return;
        }
        let line = &data[start..end];
        let first = line.iter().position(|b| !b.is_ascii_whitespace());
        let Some(first) = first else { return };
        let last = line.iter().rposition(|b| !b.is_ascii_whitespace()).unwrap_or(first);
        if (last - first) as u64 >= self.limit {
            cuts.push(too_long(base + (start + first) as u64, (last - first + 1) as u64, self.limit));
        } else {
            cuts.push(Cut::Record(start + first..start + last + 1));
        }
    }
}

impl Split for Lines {
    fn split(&mut self, data: &[u8], base: u64, eof: bool, cuts: &mut Vec<Cut>) -> usize {
        let mut start = if base == 0 { bom_length(data) } else { 0 };
        let mut from = usize::try_from(self.searched.saturating_sub(base)).unwrap_or(0).max(start);
        while let Some(n) = memchr(b'\n', &data[from..]) {
            let end = from + n;
            self.line(data, start, end, base, cuts);
            start = end + 1;
            from = start;
        }
        self.searched = base + data.len() as u64;
        if eof {
            self.line(data, start, data.len(), base, cuts);
            return data.len();
        }
        if self.overlong.is_none() && (data.len() - start) as u64 > self.limit {
            self.overlong = Some(base + start as u64);
        }
        if self.overlong.is_some() { data.len() } else { start }
    }
}

pub(super) fn too_long(offset: u64, length: u64, limit: u64) -> Cut {
    Cut::Broken {
        offset,
        reason: format!(
            "a record of {length} bytes, longer than the {limit} allowed; raise --max-record-bytes if it is genuine"
        ),
    }
}

/// Length of a UTF-8 byte order mark at the start of `data`.
pub(super) fn bom_length(data: &[u8]) -> usize {
    if data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}
