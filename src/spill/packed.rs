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
    let nonzero = words.iter().filter(|word| **word != 0).count();
    let (all, some) = (words.len(), words.len().div_ceil(8));
    // Of some words zero is as good as any other.
    let (base, width) = frame(words.iter().copied().filter(|word| *word != 0));
    let (dense_base, dense_width) = if nonzero == all { (base, width) } else { frame(words.iter().copied()) };
    if some + nonzero * width as usize >= all * dense_width as usize {
        write(words.iter().copied(), dense_base, dense_width, bytes);
        return Packed { words: count(all), width: dense_width, sparse: false, base: dense_base, kept: count(all) };
    }
    bytes.extend(
        words
            .chunks(8)
            .map(|eight| eight.iter().enumerate().fold(0, |bits: u8, (n, word)| bits | u8::from(*word != 0) << n)),
    );
    write(words.iter().copied().filter(|word| *word != 0), base, width, bytes);
    Packed { words: count(all), width, sparse: true, base, kept: count(nonzero) }
}

/// The least of some words, and how many bytes the others need beyond it.
fn frame(words: impl Iterator<Item = u64> + Clone) -> (u64, u8) {
    let (least, most) = words.fold((u64::MAX, 0), |(least, most), word| (word.min(least), word.max(most)));
    let width = match most.saturating_sub(least) {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    (least, width)
}

#[expect(clippy::cast_possible_truncation, reason = "the width was chosen by the largest")]
fn write(words: impl Iterator<Item = u64>, base: u64, width: u8, bytes: &mut Vec<u8>) {
    let beyond = words.map(|word| word - base);
    match width {
        0 => {}
        1 => bytes.extend(beyond.map(|word| word as u8)),
        2 => bytes.extend(beyond.flat_map(|word| (word as u16).to_le_bytes())),
        4 => bytes.extend(beyond.flat_map(|word| (word as u32).to_le_bytes())),
        _ => bytes.extend(beyond.flat_map(u64::to_le_bytes)),
    }
}

/// The words that lie in `bytes`; too few bytes are taken for zeros.
#[must_use]
pub fn unpack(packed: &Packed, bytes: &[u8]) -> Vec<u64> {
    let Packed { words, width, sparse, base, kept } = *packed;
    let bits = if sparse { (words as usize).div_ceil(8) } else { 0 };
    let (bits, bytes) = bytes.split_at(bits.min(bytes.len()));
    let kept: Vec<u64> = match width {
        0 => vec![base; kept as usize],
        1 => bytes.iter().map(|byte| base + u64::from(*byte)).collect(),
        2 => bytes.as_chunks().0.iter().map(|two| base + u64::from(u16::from_le_bytes(*two))).collect(),
        4 => bytes.as_chunks().0.iter().map(|four| base + u64::from(u32::from_le_bytes(*four))).collect(),
        _ => bytes.as_chunks().0.iter().map(|eight| base + u64::from_le_bytes(*eight)).collect(),
    };
    if !sparse {
        return kept;
    }
    let mut kept = kept.into_iter();
    let is_kept = (0..words as usize).map(|n| bits[n / 8] >> (n % 8) & 1 == 1);
    is_kept.map(|is_kept| if is_kept { kept.next().unwrap_or(0) } else { 0 }).collect()
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
            prop_assert_eq!(unpack(&packed, &bytes[3..]), words);
        }
    }
}
