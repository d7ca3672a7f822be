//! Dividing the inputs into pieces of work for threads.

use std::ops::Range;
use std::path::Path;

use crate::evidence::Input;

/// Files smaller than this are read by one thread each.
const LARGE: u64 = 4 * 1024 * 1024;
/// Small files are read together, so that thousands of them make few parts, but not so many that what is read of them and
/// not yet taken in takes up much memory.
const RUN_BYTES: u64 = 1024 * 1024;
/// How much larger packed logs are, for that purpose, when they are unpacked; a name is enough to go by here.
const PACKED_GROWTH: u64 = 10;
/// What an event of a part counts for, so that there is room for the files of one part as `ingest` makes them in a run.
const EVENT_BYTES: u64 = 32;

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A run of small files, for one thread.
    Small(Range<usize>),
    /// A file that all threads work on.
    Large(usize),
}

impl Work {
    /// The run of small files, if it is one.
    pub fn small(&self) -> Option<Range<usize>> {
        match self {
            Self::Small(run) => Some(run.clone()),
            Self::Large(_) => None,
        }
    }
}

/// Divides the inputs into pieces of work, in order.
#[must_use]
pub fn divide(inputs: &[Input]) -> Vec<Work> {
    let mut work = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    let mut parts = Vec::new();
    for (n, input) in inputs.iter().enumerate() {
        let (size, unpacked) = sizes(input);
        let large = size >= LARGE;
        if (large || needs_another(input, &mut parts)) && start < n {
            work.push(Work::Small(start..n));
            (start, bytes) = (n, 0);
        }
        bytes = u64::saturating_add(bytes, unpacked);
        if large {
            work.push(Work::Large(n));
        } else if bytes >= RUN_BYTES {
            work.push(Work::Small(start..n + 1));
        }
        if large || bytes >= RUN_BYTES {
            (start, bytes) = (n + 1, 0);
        }
    }
    if start < inputs.len() {
        work.push(Work::Small(start..inputs.len()));
    }
    work
}

/// How much there is to read of a file, as found and unpacked.
fn sizes(input: &Input) -> (u64, u64) {
    // Containers are hashed elsewhere; their members are inputs of their own.
    if input.place.container().is_some() {
        return (0, 0);
    }
    if let Some(part) = input.place.part() {
        let bytes = part.events().saturating_mul(EVENT_BYTES);
        return (bytes, bytes);
    }
    let packed = [".gz", ".zst", ".parquet"].iter().any(|ending| input.label.ends_with(ending));
    (input.bytes, if packed { input.bytes * PACKED_GROWTH } else { input.bytes })
}

/// Whether the events of a file lie in another part than those of the files before, of which `parts` are. Threads that
/// need the same part wait for each other.
fn needs_another<'i>(input: &'i Input, parts: &mut Vec<(&'i Path, u32)>) -> bool {
    let Some((folder, part)) = input.place.part().and_then(|file| Some((file.folder(), file.last_part()?))) else {
        return false;
    };
    let another = parts.iter().any(|(known, before)| *known == folder && *before != part);
    if another {
        parts.clear();
    }
    if !parts.contains(&(folder, part)) {
        parts.push((folder, part));
    }
    another
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::{LARGE, RUN_BYTES, Work, divide};
    use crate::evidence::{Bounds, FileEntry, FilePath, Input, Name, Place};
    use crate::parts::{Folder, Index, Listed, Run, inputs_of};

    fn plain(name: &str, bytes: u64) -> Input {
        let label = Name::from(name);
        Input { place: Place::File(FilePath::of(Path::new(name), &label)), label, bytes }
    }

    /// The files of a folder of parts, by the parts in which each has how many rows.
    fn of_parts(folder: &str, files: &[&[(u32, usize)]]) -> Vec<Input> {
        let mut index = Index::new("UTC".to_owned(), 1 << 20, Bounds::default());
        for (n, runs) in files.iter().enumerate() {
            let run = |(part, rows): &(u32, usize)| Run { part: *part, first: 0, rows: *rows, record: 0 };
            index.files.push(Listed {
                entry: FileEntry::unread(&Name::from(format!("{n} {folder}")), 1 << 20),
                content_sha256: None,
                modified: None,
                from_parts: false,
                events: runs.iter().map(run).collect(),
                changes: Vec::new(),
                documents: Vec::new(),
            });
        }
        inputs_of(&Arc::new(Folder::of(Path::new(folder), index)))
    }

    #[test]
    fn small_files_are_read_together_and_a_large_one_by_itself() {
        let small = RUN_BYTES / 2;
        let inputs = [
            plain("a", small),
            plain("b", small),
            plain("c", 1),
            plain("d", LARGE),
            plain("e.gz", small),
            plain("f", small),
        ];
        assert_eq!(
            divide(&inputs),
            [Work::Small(0..2), Work::Small(2..3), Work::Large(3), Work::Small(4..5), Work::Small(5..6)]
        );
        assert_eq!(divide(&[]), []);
    }

    #[test]
    fn files_of_one_part_are_read_by_one_thread() {
        let files = of_parts("a", &[&[(0, 10)], &[], &[(0, 10)], &[(0, 1), (1, 9)], &[(1, 10)], &[(2, 1 << 20)]]);
        assert_eq!(divide(&files), [Work::Small(0..3), Work::Small(3..5), Work::Large(5)]);
    }

    #[test]
    fn files_of_two_folders_of_parts_that_take_turns_are_read_together() {
        let mut files = of_parts("a", &[&[(0, 10)], &[(0, 10)], &[(1, 10)]]);
        files.extend(of_parts("b", &[&[(0, 10)], &[(0, 10)], &[(0, 10)]]));
        files.sort_by(|a, b| a.label.cmp(&b.label));
        assert_eq!(divide(&files), [Work::Small(0..4), Work::Small(4..6)]);
    }
}
