//! Records of several lines, as client SDKs log a request: a line with time and severity, then one that marks its start.

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use super::framer::{Cut, Split};
use super::lines::{bom_length, too_long};

/// The second line of every block.
const MARKER: &[u8] = b"=== REQUEST ===";
/// The line before the marker says when and how severe; longer ones do not. So much white space may follow the marker.
const MAX_OPENING: usize = 64;
/// Bytes that are looked at again with more behind them: an opening line, its marker, white space.
const OVERLAP: usize = 4 * MAX_OPENING;

/// Splits before the line above each marker.
pub(super) struct Blocks {
    limit: u64,
    /// Stream offset at which the block at hand, or text that belongs to none, begins.
    start: u64,
    /// Whether what begins there is a block.
    in_block: bool,
    /// Whether it has outgrown the limit, so that its start is no longer in memory.
    overlong: bool,
    /// Stream offset up to which markers were looked for.
    searched: u64,
    finder: Finder<'static>,
}

impl Blocks {
    pub(super) fn new(limit: u64) -> Self {
        let finder = Finder::new(MARKER);
        Self { limit, start: 0, in_block: false, overlong: false, searched: 0, finder }
    }

    /// Where the opening line above the marker at `at` begins; `None` where there is none.
    fn line_above(&self, data: &[u8], base: u64, at: usize) -> Option<usize> {
        let end = at.checked_sub(1).filter(|end| data[*end] == b'\n')?;
        let first = || usize::try_from(self.start.checked_sub(base)?).ok();
        let start = memrchr(b'\n', &data[..end]).map(|n| n + 1).or_else(first)?;
        (end.checked_sub(start)? <= MAX_OPENING && is_opening(data[start..end].trim_ascii())).then_some(start)
    }

    /// Ends what is at hand at stream offset `end`.
    fn close(&mut self, data: &[u8], base: u64, end: u64, cuts: &mut Vec<Cut>) {
        let (offset, overlong) = (self.start, std::mem::take(&mut self.overlong));
        if overlong && self.in_block {
            cuts.push(too_long(offset, end - offset, self.limit));
            return;
        }
        let from = usize::try_from(offset.saturating_sub(base)).unwrap_or(0);
        let text = &data[from..usize::try_from(end - base).unwrap_or(data.len())];
        let first = text.iter().position(|b| !b.is_ascii_whitespace());
        let Some(first) = first.filter(|_| !overlong) else {
            if overlong {
                cuts.push(stray(offset));
            }
            return;
        };
        let last = text.iter().rposition(|b| !b.is_ascii_whitespace()).unwrap_or(first);
        cuts.push(if !self.in_block {
            stray(offset + first as u64)
        } else if (last - first) as u64 >= self.limit {
            too_long(offset + first as u64, (last - first + 1) as u64, self.limit)
        } else {
            Cut::Record(from + first..from + last + 1)
        });
    }
}

fn stray(offset: u64) -> Cut {
    let reason = format!(
        "text that belongs to no logged request; expected a line with time and level, and `{}` below it",
        String::from_utf8_lossy(MARKER)
    );
    Cut::Broken { offset, reason }
}

impl Split for Blocks {
    fn split(&mut self, data: &[u8], base: u64, eof: bool, cuts: &mut Vec<Cut>) -> usize {
        if base == 0 && self.start == 0 {
            self.start = bom_length(data) as u64;
        }
        let mut from = usize::try_from(self.searched.saturating_sub(base)).unwrap_or(0);
        while let Some(at) = self.finder.find(&data[from..]).map(|n| from + n) {
            from = at + MARKER.len();
            let above = self.line_above(data, base, at).filter(|_| ends_line(&data[from..], eof));
            let Some(opening) = above else { continue };
            let offset = base + opening as u64;
            if offset > self.start || (!self.in_block && offset == self.start) {
                self.close(data, base, offset, cuts);
                (self.start, self.in_block) = (offset, true);
            }
        }
        if eof {
            self.close(data, base, base + data.len() as u64, cuts);
            return data.len();
        }
        let again = data.len().saturating_sub(OVERLAP);
        self.searched = base + again as u64;
        self.overlong |= base + data.len() as u64 - self.start > self.limit;
        let kept = if self.overlong { again } else { usize::try_from(self.start - base).unwrap_or(0) };
        kept.min(data.len())
    }
}

/// Whether nothing but white space follows up to the end of the line.
fn ends_line(rest: &[u8], eof: bool) -> bool {
    let rest = &rest[..rest.len().min(MAX_OPENING)];
    let end = memchr(b'\n', rest).or_else(|| (eof && rest.len() < MAX_OPENING).then_some(rest.len()));
    end.is_some_and(|end| rest[..end].trim_ascii().is_empty())
}

/// `2026-03-02 01:00:10,586 ERROR`, or `ERROR: 2026-03-02T01:00:10.586Z`.
fn is_opening(line: &[u8]) -> bool {
    let level = line.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let time = if level > 0 { line[level..].strip_prefix(b": ") } else { Some(line) };
    let shape = |text: &[u8]| {
        text.len() > 10
            && text[..10]
                .iter()
                .enumerate()
                .all(|(n, b)| if matches!(n, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() })
            && matches!(text[10], b' ' | b'T')
    };
    time.is_some_and(shape)
}

/// The first blocks of a file, `most` at most; none where it holds none.
pub(super) fn samples(head: &[u8], most: usize) -> Vec<String> {
    let mut cuts = Vec::new();
    if Finder::new(MARKER).find(head).is_some() {
        Blocks::new(head.len() as u64).split(head, 0, true, &mut cuts);
    }
    let texts = cuts.into_iter().filter_map(|cut| match cut {
        Cut::Record(range) => Some(String::from_utf8_lossy(&head[range]).into_owned()),
        Cut::Broken { .. } | Cut::Page(_) => None,
    });
    texts.take(most).collect()
}
