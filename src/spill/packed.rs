//! Columns of words in few bytes: most are small, or close to each other, or zero.

/// How words lie in bytes: those that are not zero as how far they are from the least of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// How many words there are.
    words: u32,
    /// Bytes of each that is kept: 0, 1, 2, 4 or 8.
    width: u8,
    /// Whether bits come first that say which are kept; the others are zero.
    sparse: bool,
    base: u64,
    /// How many are kept.
    kept: u32,
}

impl Packed {
    /// How many bytes they take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        let bits = if self.sparse { (self.words as usize).div_ceil(8) } else { 0 };
        bits + self.kept as usize * self.width as usize
    }
}

/// Puts words behind `bytes`.
///
/// # Panics
/// There are more than `u32` can count.
pub fn pack(words: &[u64], bytes: &mut Vec<u8>) -> Packed {
    let count = |n: usize| u32::try_from(n).expect("no column is that long");
    let (mut nonzero, mut before, mut most) = (0, u64::MAX, 0);
    for word in words {
        nonzero += usize::from(*word != 0);
        // One less than the least that is not zero: of some words zero is as good as any other.
        before = before.min(word.wrapping_sub(1));
        most = most.max(*word);
    }
    let (all, some) = (words.len(), words.len().div_ceil(8));
    let least = before.wrapping_add(1);
    let width = width(most - least);
    let (dense_base, dense_width) = if nonzero == all { (least, width) } else { (0, self::width(most)) };
    if some + nonzero * width as usize >= all * dense_width as usize {
        write(words.iter().copied(), all, (dense_base, dense_width), bytes);
        return Packed { words: count(all), width: dense_width, sparse: false, base: dense_base, kept: count(all) };
    }
    bytes.extend(
        words
            .chunks(8)
            .map(|eight| eight.iter().enumerate().fold(0, |bits: u8, (n, word)| bits | u8::from(*word != 0) << n)),
    );
    write(words.iter().copied().filter(|word| *word != 0), nonzero, (least, width), bytes);
    Packed { words: count(all), width, sparse: true, base: least, kept: count(nonzero) }
}

/// How many bytes words need that are up to `span` beyond the least of them.
const fn width(span: u64) -> u8 {
    match span {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the width was chosen by the largest")]
fn write(words: impl Iterator<Item = u64>, count: usize, (base, width): (u64, u8), bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + count * width as usize, 0);
    let (room, beyond) = (&mut bytes[start..], words.map(|word| word - base));
    match width {
        0 => {}
        1 => room.iter_mut().zip(beyond).for_each(|(byte, word)| *byte = word as u8),
        2 => slots(room).zip(beyond).for_each(|(two, word)| *two = (word as u16).to_le_bytes()),
        4 => slots(room).zip(beyond).for_each(|(four, word)| *four = (word as u32).to_le_bytes()),
        _ => slots(room).zip(beyond).for_each(|(eight, word)| *eight = word.to_le_bytes()),
    }
}

fn slots<const N: usize>(bytes: &mut [u8]) -> impl Iterator<Item = &mut [u8; N]> {
    bytes.as_chunks_mut().0.iter_mut()
}

/// Puts the words that lie in `bytes` into `into` by `put`, one a place, but for those that are zero: they may be passed
/// over, as are those for which there are too few bytes.
pub fn unpack<T>(packed: &Packed, bytes: &[u8], into: &mut [T], put: impl Fn(&mut T, u64)) {
    let Packed { words, width, sparse, base, kept } = *packed;
    let bits = if sparse { (words as usize).div_ceil(8) } else { 0 };
    let (bits, bytes) = bytes.split_at(bits.min(bytes.len()));
    let bits = sparse.then_some(bits);
    match width {
        0 => place(bits, std::iter::repeat_n(base, kept as usize), into, put),
        1 => place(bits, bytes.iter().map(|byte| base + u64::from(*byte)), into, put),
        2 => place(bits, kept_in(bytes).map(|two| base + u64::from(u16::from_le_bytes(*two))), into, put),
        4 => place(bits, kept_in(bytes).map(|four| base + u64::from(u32::from_le_bytes(*four))), into, put),
        _ => place(bits, kept_in(bytes).map(|eight| base + u64::from_le_bytes(*eight)), into, put),
    }
}

fn kept_in<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = &[u8; N]> {
    bytes.as_chunks().0.iter()
}

/// Puts each of `kept` into its place: the next one, or the next whose bit is set.
fn place<T>(bits: Option<&[u8]>, mut kept: impl Iterator<Item = u64>, into: &mut [T], put: impl Fn(&mut T, u64)) {
    let Some(bits) = bits else {
        into.iter_mut().zip(kept).for_each(|(slot, word)| put(slot, word));
        return;
    };
    for (bits, eight) in bits.iter().zip(into.chunks_mut(8)) {
        let mut bits = *bits;
        while let Some(slot) = eight.get_mut(bits.trailing_zeros() as usize) {
            let Some(word) = kept.next() else { return };
            put(slot, word);
            bits &= bits - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{pack, unpack};

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => Just(0),
            2 => 0..300u64,
            2 => 1_000_000_000_000..1_000_000_070_000u64,
            1 => Just(u64::MAX),
            1 => Just(1 << 63),
            1 => any::<u64>(),
        ]
    }

    proptest! {
        #[test]
        fn words_come_back_from_no_more_bytes_than_they_took(
            words in prop_oneof![
                prop::collection::vec(word(), 0..100),
                prop::collection::vec(prop_oneof![Just(0), 7..9u64], 0..100),
                prop::collection::vec(500..70_000u64, 0..100),
            ],
        ) {
            let mut bytes = vec![1, 2, 3];
            let packed = pack(&words, &mut bytes);
            prop_assert_eq!(bytes.len() - 3, packed.bytes());
            prop_assert!(packed.bytes() <= words.len() * 8);
            let mut again = vec![0; words.len()];
            unpack(&packed, &bytes[3..], &mut again, |slot, word| *slot = word);
            prop_assert_eq!(&again, &words);
            // Too few bytes give fewer words, and no panic.
            let most = 3 + (bytes.len() - 3) / 2;
            unpack(&packed, &bytes[3..most], &mut again, |slot, word| *slot = word);
        }
    }
}
