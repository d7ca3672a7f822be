//! One record a CSV row; a quoted field may hold line feeds (RFC 4180).

use super::framer::{Cut, Split};
use super::lines::{bom_length, too_long};

/// A quoted field that runs on for longer than this is taken for a stray quote, and its first line for the broken row.
const MAX_QUOTED: usize = 256 * 1024;

/// Splits at line feeds outside quotes. The first row is the header and is not cut out.
pub(super) struct CsvRows {
    limit: u64,
    header_seen: bool,
    overlong: Option<u64>,
}

impl CsvRows {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, header_seen: false, overlong: None }
    }

    fn row(&mut self, data: &[u8], start: usize, end: usize, base: u64, cuts: &mut Vec<Cut>) {
        if let Some(offset) = self.overlong.take() {
            if std::mem::replace(&mut self.header_seen, true) {
                cuts.push(too_long(offset, base + end as u64 - offset, self.limit));
            }
            return;
        }
        let row = &data[start..end];
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        if row.iter().all(u8::is_ascii_whitespace) || !std::mem::replace(&mut self.header_seen, true) {
            return;
        }
        cuts.push(if row.len() as u64 > self.limit {
            too_long(base + start as u64, row.len() as u64, self.limit)
        } else {
            Cut::Record(start..start + row.len())
        });
    }
}

/// Where the row that begins at `start` ends: `Ok` the line feed, `Err` whether it ran out inside quotes.
pub(super) fn row_end(data: &[u8], start: usize) -> Result<usize, bool> {
    let mut quoted = false;
    for at in memchr::memchr2_iter(b'"', b'\n', &data[start..]) {
        match data[start + at] {
            b'"' => quoted = !quoted,
            _ if !quoted => return Ok(start + at),
            _ => {}
        }
    }
    Err(quoted)
}

impl Split for CsvRows {
    fn split(&mut self, data: &[u8], base: u64, eof: bool, cuts: &mut Vec<Cut>) -> usize {
        let mut start = if base == 0 { bom_length(data) } else { 0 };
        while start < data.len() {
            let end = match row_end(data, start) {
                Ok(end) => end,
                Err(true) if eof || data.len() - start > MAX_QUOTED => match memchr::memchr(b'\n', &data[start..]) {
                    Some(n) => start + n,
                    None => break,
                },
                Err(_) => break,
            };
            self.row(data, start, end, base, cuts);
            start = end + 1;
        }
        if eof {
            if start < data.len() {
                self.row(data, start, data.len(), base, cuts);
            }
            return data.len();
        }
        if self.overlong.is_none() && (data.len() - start) as u64 > self.limit {
            self.overlong = Some(base + start as u64);
        }
        if self.overlong.is_some() { data.len() } else { start }
    }
}
