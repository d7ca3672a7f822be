//! What the pages of a file state once for all their records: those records are cut out of them, so it is looked for first.

use std::collections::BTreeSet;
use std::io::Read as _;

use super::adapter::Adapter;
use crate::evidence::{Bounds, Expansion, Place, Stream};

/// Bytes looked at together, and again with the next ones: no address is longer.
const PIECE: usize = 256 * 1024;
const OVERLAP: usize = 1024;

/// The one id that all pages of the file at `place` state; `None` where they state several, or the file cannot be read.
#[must_use]
pub fn stated(adapter: &dyn Adapter, place: &Place, bounds: Bounds) -> Option<String> {
    let mut stream = Stream::open(place).ok()?.bounded(Expansion::of(place, bounds.expansion));
    let (mut piece, mut found) = (Vec::with_capacity(PIECE), BTreeSet::new());
    loop {
        let read = stream.by_ref().take((PIECE - piece.len()) as u64).read_to_end(&mut piece).ok()?;
        adapter.note_page(&piece, &mut found);
        if read == 0 || found.len() > 1 {
            break;
        }
        piece.drain(..piece.len().saturating_sub(OVERLAP));
    }
    (found.len() == 1).then(|| found.pop_first())?
}
