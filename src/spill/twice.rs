//! Which of many hashes come more than once, told in little memory: a bit for each, and a bit for those met again. A hash may
//! be taken for one that was met because another falls on its bit, never the other way round.

use std::sync::atomic::{AtomicU64, Ordering};

/// The hashes that were met. Threads may note them in any order.
pub struct Twice {
    once: Vec<AtomicU64>,
    again: Vec<AtomicU64>,
    /// How far a hash is shifted to be the number of its bit.
    shift: u32,
}

/// Bits for each hash, and at least half as many: one in some six is taken for one that was met.
const BITS: usize = 8;
/// Bits that there are at most, 64 MiB of them, and at least.
const MOST: u32 = 28;
const LEAST: u32 = 10;

impl Twice {
    /// None of some `expected` ones.
    #[must_use]
    pub fn of(expected: usize) -> Self {
        let bits = (expected.max(1) * BITS).ilog2().clamp(LEAST, MOST);
        let empty = || std::iter::repeat_with(AtomicU64::default).take(1 << (bits - 6)).collect();
        Self { once: empty(), again: empty(), shift: u64::BITS - bits }
    }

    /// Notes a hash.
    pub fn note(&self, hash: u64) {
        let (word, bit) = self.place(hash);
        if self.once[word].fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            self.again[word].fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether a hash may have been noted more than once.
    #[must_use]
    pub fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.again[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Whether a hash may have been noted at all.
    #[must_use]
    pub fn may_have_met(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.once[word].load(Ordering::Relaxed) & bit != 0
    }

    const fn place(&self, hash: u64) -> (usize, u64) {
        let number = hash >> self.shift;
        ((number / 64) as usize, 1 << (number % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::Twice;

    #[test]
    fn every_hash_that_comes_twice_is_told_and_few_others() {
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let met = Twice::of(10_000);
        (0..10_000).chain(0..500).for_each(|n| met.note(hash(n)));
        assert!((0..500).all(|n| met.may_have(hash(n))));
        assert!((0..10_000).all(|n| met.may_have_met(hash(n))));
        assert!((10_000..20_000).filter(|n| met.may_have_met(hash(*n))).count() < 3_000);
        assert!((500..10_000).filter(|n| met.may_have(hash(*n))).count() < 2_000);
    }
}
