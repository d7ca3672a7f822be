//! What is looked up by hash is looked up share by share of all hashes where an archive is large, so that it takes no more
//! memory than in a small one. The archive is gone through once however many shares there are: the entries of each lie in
//! a temporary file until it is their turn.

use rayon::prelude::*;

use super::{Scratch, reading, writing};
use crate::error::Result;

/// Entries of a share that are written and read together.
const CHUNK: usize = 512;

/// Takes an entry of `N` words, by its hash.
pub type Tell<'t, const N: usize> = dyn FnMut(u64, [u64; N]) -> Result<()> + Send + 't;

/// How many entries are expected, and how many may be held at a time.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub expected: usize,
    pub most: usize,
}

/// Goes through what `gather` tells: each share begins with `start`, takes its entries in the order in which they were told
/// and is then given to `end`. Entries of the same hash are in the same share, and those of smaller hashes in earlier ones.
///
/// # Errors
/// Those of `gather` and `end`, and of the temporary file.
pub fn by_share<const N: usize, S: Send>(
    size: Size,
    gather: impl FnOnce(&mut Tell<'_, N>) -> Result<()>,
    start: impl Fn() -> S + Sync,
    take: impl Fn(&mut S, [u64; N]) + Sync,
    mut end: impl FnMut(S) -> Result<()>,
) -> Result<()> {
    if size.expected < size.most {
        let mut share = start();
        gather(&mut |_, entry| {
            take(&mut share, entry);
            Ok(())
        })?;
        return end(share);
    }
    let shares = AT_ONCE * (1 + size.expected / size.most);
    let mut divided = Divided::new(shares);
    gather(&mut |hash, entry| divided.push(hash, entry))?;
    let of_share = |number: usize| {
        let mut share = start();
        divided.each(number, |entry| take(&mut share, entry))?;
        Ok(share)
    };
    for first in (0..shares).step_by(AT_ONCE) {
        let some = (first..first + AT_ONCE).into_par_iter().map(of_share).collect::<Result<Vec<S>>>()?;
        some.into_iter().try_for_each(&mut end)?;
    }
    Ok(())
}

/// Shares that are held at the same time, each as much smaller: threads gather one each.
const AT_ONCE: usize = 4;

/// Entries by share, in the order in which they were added.
struct Divided<const N: usize> {
    /// What is not yet in the file.
    open: Vec<Vec<[u64; N]>>,
    /// Where the chunks of each share begin in the file.
    chunks: Vec<Vec<u64>>,
    file: Scratch,
}

impl<const N: usize> Divided<N> {
    fn new(shares: usize) -> Self {
        Self { open: vec![Vec::new(); shares], chunks: vec![Vec::new(); shares], file: Scratch::default() }
    }

    fn push(&mut self, hash: u64, entry: [u64; N]) -> Result<()> {
        let share = usize::try_from((u128::from(hash) * self.open.len() as u128) >> u64::BITS).unwrap_or(0);
        let open = &mut self.open[share];
        open.push(entry);
        if open.len() == CHUNK {
            let at = self.file.append(bytemuck::cast_slice(open.as_flattened())).map_err(writing)?;
            self.chunks[share].push(at);
            open.clear();
        }
        Ok(())
    }

    /// Goes through the entries of a share.
    fn each(&self, share: usize, mut see: impl FnMut([u64; N])) -> Result<()> {
        let mut entries = Vec::new();
        entries.resize(CHUNK, [0; N]);
        for at in &self.chunks[share] {
            self.file.read(*at, bytemuck::cast_slice_mut(entries.as_flattened_mut())).map_err(reading)?;
            entries.iter().copied().for_each(&mut see);
        }
        self.open[share].iter().copied().for_each(see);
        Ok(())
    }
}

/// Two numbers in a word.
pub fn joined(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// The numbers in a word.
#[expect(clippy::cast_possible_truncation, reason = "two halves of a word")]
pub const fn halves(word: u64) -> [u32; 2] {
    [(word >> 32) as u32, word as u32]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{AT_ONCE, CHUNK, Size, by_share};

    #[test]
    fn however_many_shares_there_are_each_entry_comes_once_in_order_with_all_of_its_hash() {
        for (entries, most) in [(0, 1), (10, 100), (10, 3), (5 * CHUNK + 7, 2 * CHUNK), (40 * CHUNK, CHUNK)] {
            let (mut seen, mut shares) = (Vec::new(), 0);
            by_share::<2, Vec<[u64; 2]>>(
                Size { expected: entries, most },
                |tell| {
                    let hash = |n: u64| (n * n % 97).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    (0..entries as u64).try_for_each(|n| tell(hash(n), [n, hash(n)]))
                },
                Vec::new,
                Vec::push,
                |share| {
                    assert!(share.is_sorted(), "in order");
                    shares += 1;
                    seen.push(share);
                    Ok(())
                },
            )
            .expect("a temporary file");
            assert_eq!(shares, if entries < most { 1 } else { AT_ONCE * (1 + entries / most) });
            let hashes = |share: &Vec<[u64; 2]>| share.iter().map(|[_, hash]| *hash).collect::<Vec<u64>>();
            let (mut last, mut used) = (0, 0);
            for of_share in seen.iter().map(hashes).filter(|of_share| !of_share.is_empty()) {
                assert!(of_share.iter().all(|hash| *hash >= last), "smaller hashes first");
                (last, used) = (of_share.into_iter().max().unwrap_or(0), used + 1);
            }
            assert!(shares == 1 || entries < 1_000 || used > 1, "hashes are spread over the shares");
            let hashes: Vec<BTreeSet<u64>> = seen.iter().map(|s| s.iter().map(|[_, hash]| *hash).collect()).collect();
            let distinct: BTreeSet<&u64> = hashes.iter().flatten().collect();
            assert_eq!(distinct.len(), hashes.iter().map(BTreeSet::len).sum::<usize>(), "a hash is in one share");
            let mut all: Vec<[u64; 2]> = seen.concat();
            all.sort_unstable();
            assert!(all.len() == entries && all.iter().zip(0..).all(|([n, _], at)| *n == at), "{entries} by {most}");
        }
    }
}
