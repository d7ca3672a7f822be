//! `verify cloudtrail`: whatever is changed in any file is found and the file named.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::bufread::GzDecoder;
use proptest::prelude::*;
use serde_json::Value;

use crate::cloudtrail_bucket::{Folder, Trail};

/// The files of a whole folder, by bucket and key.
type Files = BTreeMap<(String, String), Vec<u8>>;

/// Two trails, one of which changes its bucket, and a backfill digest.
static WHOLE: LazyLock<Files> = LazyLock::new(|| {
    let folder = Folder::new();
    let mut trails = [Trail::new(), Trail { region: "us-east-1".to_owned(), ..Trail::new() }];
    let mut backfill = Trail { backfill: true, ..Trail::new() };
    for hour in 1..=3 {
        for trail in &mut trails {
            let logs = ["a", "b"].map(|id| trail.log(&folder, hour, id));
            trail.digest(&folder, hour, &logs);
        }
        "new-logs".clone_into(&mut trails[1].bucket);
    }
    let late = backfill.log(&folder, 2, "late");
    backfill.digest(&folder, 2, &[late]);
    let checked = folder.verify(&[]);
    assert_eq!(checked.status, 0, "{:#}", checked.report);
    let buckets = folder.0.path().join("buckets");
    let files = walkdir::WalkDir::new(&buckets).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let file = |entry: walkdir::DirEntry| {
        let below = entry.path().strip_prefix(&buckets).expect("below").to_str().expect("UTF-8");
        let (bucket, key) = below.split_once('/').expect("a bucket");
        ((bucket.to_owned(), key.to_owned()), fs::read(entry.path()).expect("read"))
    };
    files.map(file).collect()
});

#[derive(Clone, Debug)]
pub enum Change {
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
    Append {
        byte: u8,
    },
    /// Two neighbours change places.
    Swap {
        at: usize,
    },
    /// Two files change places.
    Exchange {
        with: usize,
    },
}

pub fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    let at = || at.clone();
    prop_oneof![
        4 => (at(), 0u8..8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        1 => at().prop_map(|left| Change::Cut { left }),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Insert { at, byte }),
        1 => any::<u8>().prop_map(|byte| Change::Append { byte }),
        1 => at().prop_map(|at| Change::Remove { at }),
        1 => at().prop_map(|at| Change::Swap { at }),
        1 => at().prop_map(|with| Change::Exchange { with }),
    ]
}

/// Applies the change to a file, or to two; what was changed.
fn apply(change: &Change, files: &mut Files, file: usize) -> Vec<(String, String)> {
    let names: Vec<_> = files.keys().cloned().collect();
    let name = names[file % names.len()].clone();
    if let Change::Exchange { with } = change {
        let other = names[with % names.len()].clone();
        let [one, two] = [&name, &other].map(|name| files[name].clone());
        files.insert(name.clone(), two);
        files.insert(other.clone(), one);
        return vec![name, other];
    }
    let changed = altered(&files[&name], change);
    files.insert(name.clone(), changed);
    vec![name]
}

/// The bytes of one file with the change; an exchange leaves them as they are.
pub fn altered(bytes: &[u8], change: &Change) -> Vec<u8> {
    let (mut bytes, size) = (bytes.to_vec(), bytes.len());
    match change {
        Change::Flip { at, bit } => bytes[at % size] ^= 1 << bit,
        Change::Cut { left } => bytes.truncate(left % size),
        Change::Insert { at, byte } => bytes.insert(at % (size + 1), *byte),
        Change::Append { byte } => bytes.push(*byte),
        Change::Remove { at } => _ = bytes.remove(at % size),
        Change::Swap { at } => bytes.swap(at % (size - 1), at % (size - 1) + 1),
        Change::Exchange { .. } => {}
    }
    bytes
}

/// What a single gzip member holds, if there is nothing but that.
fn content(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(&mut bytes).read_to_end(&mut content).ok()?;
    bytes.is_empty().then_some(content)
}

/// What metadata says.
fn values(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_any_file_is_found_and_the_file_named(file in any::<prop::sample::Index>(), change in change()) {
        let mut files = WHOLE.clone();
        // When a backfill digest was made is not signed, nor anything else but the signature that its metadata holds.
        let changed = apply(&change, &mut files, file.index(WHOLE.len()));
        prop_assume!(!changed.iter().any(|(_, key)| key.ends_with("_backfill.json.gz.metadata.json")));
        let folder = Folder::new();
        for ((bucket, key), bytes) in &files {
            folder.write(bucket, key, bytes);
        }
        let checked = folder.verify(&[]);
        let mut whole = true;
        for (name, key) in changed.iter().map(|name| (name, &name.1)) {
            // The digests state hashes of what was packed: the time in a gzip header, say, no digest speaks of. Of the
            // metadata, which is no file of CloudTrail's, the values count.
            let same = if key.ends_with(".metadata.json") {
                values(&files[name]) == values(&WHOLE[name])
            } else {
                files[name] == WHOLE[name] || content(&files[name]) == content(&WHOLE[name])
            };
            let named = checked.faults().contains_key(key.trim_end_matches(".metadata.json"));
            prop_assert_eq!(named, !same, "{}: {:?} {:#}", key, change, checked.report);
            whole &= same;
        }
        prop_assert_eq!(checked.status, i32::from(!whole));
    }

    #[test]
    fn any_bytes_in_place_of_a_file_or_of_the_keys_are_reported_and_nothing_worse(
        file in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        keys in any::<bool>(),
    ) {
        let folder = Folder::new();
        for ((bucket, key), bytes) in WHOLE.iter() {
            folder.write(bucket, key, bytes);
        }
        if keys {
            folder.0.write("keys.json", &bytes);
        } else {
            let (bucket, key) = WHOLE.keys().nth(file.index(WHOLE.len())).expect("a file");
            folder.write(bucket, key, &bytes);
        }
        let run = folder.raw(&[]);
        prop_assert_eq!(run.status, if keys { 2 } else { 1 }, "{}", run.stderr);
        prop_assert!(!run.stderr.contains("panicked"));
    }
}
