//! Telling of the events of an outline, block by block, what is to be looked up share by share.

use rayon::prelude::*;

use super::columns::Column;
use super::outline::{Block, Outline};
use crate::error::Result;
use crate::spill::Tell;

/// Takes what is said of an event: the hash that it is looked up by, and its words.
pub type Say<'s, const N: usize> = dyn FnMut(u64, [u64; N]) + 's;

impl Outline {
    /// Tells what `look` says of each block with the columns that it needs, in their order. Threads look at the next blocks
    /// while what was said of those before is told.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `tell`.
    pub fn tell<const N: usize>(
        &self,
        columns: &[Column],
        look: impl Fn(&Block<'_>, &mut Say<'_, N>) + Sync,
        tell: &mut Tell<'_, N>,
    ) -> Result<()> {
        let spans: Vec<(usize, usize)> = self.spans().collect();
        self.tell_of(&spans, columns, look, tell)
    }

    /// The same of some blocks, which [`Self::spans_of`] finds.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub fn tell_of<const N: usize>(
        &self,
        spans: &[(usize, usize)],
        columns: &[Column],
        look: impl Fn(&Block<'_>, &mut Say<'_, N>) + Sync,
        tell: &mut Tell<'_, N>,
    ) -> Result<()> {
        let said_of = |span: &(usize, usize)| -> Result<Vec<(u64, [u64; N])>> {
            let (block, mut said) = (self.block(*span, columns)?, Vec::new());
            look(&block, &mut |hash, words| said.push((hash, words)));
            Ok(said)
        };
        let mut tell_all =
            |said: Vec<Vec<_>>| said.into_iter().flatten().try_for_each(|(hash, words)| tell(hash, words));
        let mut said = Vec::new();
        for next in spans.chunks(2 * rayon::current_num_threads()) {
            let before = std::mem::take(&mut said);
            let (told, next) =
                rayon::join(|| tell_all(before), || next.par_iter().map(said_of).collect::<Result<Vec<_>>>());
            told?;
            said = next?;
        }
        tell_all(said)
    }
}
