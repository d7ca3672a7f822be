//! `verify CASE`: whatever is changed anywhere is found, and the file named.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::case_folder::{Kept, files, put, verify_in};

/// A case of three acts, the last of which found nothing new, with its evidence.
static WHOLE: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let kept = Kept::with_case();
    kept.add_recovery();
    for _ in 0..2 {
        assert_eq!(kept.analyze(&[]).status, 0);
    }
    kept.verify(&["--reproduce"]).assert_fine();
    files(kept.0.path())
});

#[derive(Clone, Debug)]
enum Change {
    Flip {
        at: usize,
        bit: u8,
    },
    Cut {
        left: usize,
    },
    Insert {
        at: usize,
        byte: u8,
    },
    Remove {
        at: usize,
    },
    SwapBytes {
        at: usize,
    },
    SwapLines {
        at: usize,
        with: usize,
    },
    /// Everything from a line on is cut off.
    CutLines {
        left: usize,
    },
    RepeatLine {
        at: usize,
    },
    RemoveFile,
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    prop_oneof![
        4 => (at(), 0u8..8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        1 => at().prop_map(|left| Change::Cut { left }),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Insert { at, byte }),
        1 => at().prop_map(|at| Change::Remove { at }),
        1 => at().prop_map(|at| Change::SwapBytes { at }),
        2 => (at(), at()).prop_map(|(at, with)| Change::SwapLines { at, with }),
        2 => at().prop_map(|left| Change::CutLines { left }),
        1 => at().prop_map(|at| Change::RepeatLine { at }),
        1 => Just(Change::RemoveFile),
    ]
}

fn apply(change: &Change, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut changed = bytes.to_vec();
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let (size, count) = (bytes.len().max(1), lines.len().max(1));
    match change {
        _ if bytes.is_empty() => changed.push(b'x'),
        Change::Flip { at, bit } => changed[at % size] ^= 1 << bit,
        Change::Cut { left } => changed.truncate(left % size),
        Change::Insert { at, byte } => changed.insert(at % (size + 1), *byte),
        Change::Remove { at } => _ = changed.remove(at % size),
        Change::SwapBytes { at } => changed.swap(at % size, (at + 1) % size),
        Change::SwapLines { at, with } => {
            lines.swap(at % count, with % count);
            changed = lines.concat();
        }
        Change::CutLines { left } => changed = lines[..left % count].concat(),
        Change::RepeatLine { at } => {
            lines.insert(at % count, lines[at % count]);
            changed = lines.concat();
        }
        Change::RemoveFile => return None,
    }
    Some(changed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_any_file_of_case_or_evidence_is_found_and_named(
        file in any::<prop::sample::Index>(),
        of_ledger in prop::bool::weighted(0.25),
        change in change(),
    ) {
        let name = if of_ledger { "case/custody.jsonl" } else { WHOLE.keys().nth(file.index(WHOLE.len())).expect("a file") };
        let changed = apply(&change, &WHOLE[name]);
        let mut all = WHOLE.clone();
        let lock = name.ends_with("lock");
        match &changed {
            Some(bytes) => _ = all.insert(name.to_owned(), bytes.clone()),
            None => _ = all.remove(name),
        }
        let folder = tempfile::tempdir().expect("a folder");
        put(folder.path(), &all);
        let found = verify_in(folder.path(), &[]);
        // A lock holds nothing and may be left behind.
        let same = changed.as_ref() == Some(&WHOLE[name]) || (lock && changed.is_none());
        prop_assert_eq!(found.status, i32::from(!same), "{}: {:?} {:#}", name, change, found.report);
        let path = name.trim_start_matches("case/");
        // Of a ledger from which whole acts were cut, what they wrote is named.
        let whole_acts = matches!(change, Change::CutLines { .. }) && path == "custody.jsonl";
        let named = found.differences().contains_key(path) || (whole_acts && !found.differences().is_empty());
        prop_assert_eq!(named, !same, "{}: {:?} {:#}", name, change, found.report);
    }
}
