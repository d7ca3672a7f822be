//! A folder of parts being read: Parquet files are checked against the index before anything in them is used.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use polars::prelude::*;
use polars_io::parquet::read::{ParallelStrategy, ParquetReader};
use serde::{Deserialize, Serialize};

use super::index::{Index, Part};
use super::rows::{EventRows, PLACES, Places};
use crate::evidence::{Digest, quietly};

/// The tables of a folder of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Events,
    Changes,
    Documents,
}

impl Table {
    pub const ALL: [Self; 3] = [Self::Events, Self::Changes, Self::Documents];

    /// The folder that holds its Parquet files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Changes => "changes",
            Self::Documents => "documents",
        }
    }

    /// The place of a Parquet file in a folder of parts.
    #[must_use]
    pub fn file(self, number: u32) -> String {
        format!("{}/part-{number:05}.parquet", self.name())
    }
}

/// What is held of a part, or being read by some thread.
type Held<T> = Arc<OnceLock<Result<T, String>>>;

/// A folder of parts.
pub struct Folder {
    /// Its name in messages.
    pub path: PathBuf,
    pub index: Index,
    /// Where each part is in the index.
    places: BTreeMap<(Table, u32), usize>,
    /// The parts of events used last.
    events: Newest<Arc<EventRows>>,
    /// The same of those of which only the places were asked for.
    places_of_events: Newest<Arc<Places>>,
    /// The parts of changes and of documents used last.
    changes: Newest<DataFrame>,
    documents: Newest<DataFrame>,
    /// Parts that were found to be as the index lists them, and what they were then.
    checked: Mutex<BTreeMap<(Table, u32), Version>>,
}

/// Tells whether a file is the one that was read before: its device and number, and when it or its name last changed, which
/// nobody can set.
type Version = [i64; 4];

/// A file that changed so lately may change again without its time telling: clocks of file systems tick some times a second.
const SETTLED: Duration = Duration::from_secs(2);

/// Whether a file has been as it is for long enough to be known by its version.
fn is_settled([_, _, changed, _]: &Version) -> bool {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(*changed).is_ok_and(|changed| Duration::from_secs(changed) + SETTLED <= since)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn version(of: &Metadata) -> Option<Version> {
    use std::os::unix::fs::MetadataExt as _;
    Some([of.dev().cast_signed(), of.ino().cast_signed(), of.ctime(), of.ctime_nsec()])
}

#[cfg(not(unix))]
const fn version(_: &Metadata) -> Option<Version> {
    None
}

/// Parts by their numbers, newest last: as many as threads may be at work on and one more, which the next may want.
type Newest<T> = Mutex<Vec<(u32, Held<T>)>>;

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

impl Folder {
    /// Opens a folder of parts: reads its index.
    ///
    /// # Errors
    /// One sentence that says what is wrong with the index.
    pub fn open(path: &Path) -> Result<Self, String> {
        let index = Index::read(path).map_err(|reason| format!("{}: {reason}", path.display()))?;
        Ok(Self::of(path, index))
    }

    /// A folder of parts whose index is known.
    #[must_use]
    pub fn of(path: &Path, index: Index) -> Self {
        let places = index.parts.iter().enumerate().map(|(n, part)| ((part.table, part.number), n)).collect();
        Self {
            path: path.to_owned(),
            index,
            places,
            events: Mutex::default(),
            places_of_events: Mutex::default(),
            changes: Mutex::default(),
            documents: Mutex::default(),
            checked: Mutex::default(),
        }
    }

    /// Says that the parts were made by another version of holdtrace than this.
    #[must_use]
    pub fn other_version(&self) -> Option<String> {
        let (theirs, ours) = (&self.index.holdtrace_version, env!("CARGO_PKG_VERSION"));
        (theirs != ours).then(|| {
            format!(
                "{}: read by holdtrace {theirs}; this one, {ours}, may read the original files otherwise",
                self.path.display()
            )
        })
    }

    /// A part of events, checked; the ones used last are kept, because many input files lie in one.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn events(&self, number: u32) -> io::Result<Arc<EventRows>> {
        held(&self.events, number, || self.rows(number, None, EventRows::new))
    }

    /// Where the records of a part of events lie, and their hashes: few bytes of many.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn places(&self, number: u32) -> io::Result<Arc<Places>> {
        held(&self.places_of_events, number, || self.rows(number, Some(&PLACES), Places::new))
    }

    /// A part of changes.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn changes(&self, number: u32) -> io::Result<DataFrame> {
        held(&self.changes, number, || self.read(Table::Changes, number, None))
    }

    /// A part of documents.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn documents(&self, number: u32) -> io::Result<DataFrame> {
        held(&self.documents, number, || self.read(Table::Documents, number, None))
    }

    fn rows<T>(
        &self,
        number: u32,
        columns: Option<&[&str]>,
        of: fn(&DataFrame) -> PolarsResult<T>,
    ) -> Result<Arc<T>, String> {
        let frame = self.read(Table::Events, number, columns)?;
        of(&frame).map(Arc::new).map_err(|e| self.damaged(Table::Events, number, &e.to_string()))
    }

    fn part(&self, table: Table, number: u32) -> Option<&Part> {
        self.places.get(&(table, number)).map(|n| &self.index.parts[*n])
    }

    fn read(&self, table: Table, number: u32, columns: Option<&[&str]>) -> Result<DataFrame, String> {
        let part = self.part(table, number).ok_or_else(|| self.damaged(table, number, "it is not in the index"))?;
        let bytes = self.bytes(part).map_err(|e| self.damaged(table, number, &e.to_string()))?;
        decode(bytes, part.rows, columns).map_err(|what| self.damaged(table, number, &what))
    }

    /// The bytes of a part, if they are those that the index lists. They are hashed once, as long as nobody touches the file.
    fn bytes(&self, part: &Part) -> io::Result<Vec<u8>> {
        let file = self.opened(part)?;
        let (mut bytes, before) = (Vec::new(), version(&file.metadata()?));
        (&file).take(part.bytes + 1).read_to_end(&mut bytes)?;
        let unchanged = version(&file.metadata()?).filter(|after| Some(*after) == before);
        if unchanged.is_some() && self.checked(part) == unchanged {
            return Ok(bytes);
        }
        if bytes.len() as u64 != part.bytes || Digest::of(&bytes).to_string() != part.sha256 {
            return Err(io::Error::other("its SHA-256 is not the one in the index"));
        }
        if let Some(version) = unchanged.filter(is_settled) {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            checked.insert((part.table, part.number), version);
        }
        Ok(bytes)
    }

    fn checked(&self, part: &Part) -> Option<Version> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(&(part.table, part.number)).copied()
    }

    fn opened(&self, part: &Part) -> io::Result<File> {
        let folder = self.path.join(part.table.name());
        let path = self.path.join(part.table.file(part.number));
        let regular = folder.symlink_metadata()?.is_dir() && path.symlink_metadata()?.is_file();
        if !regular {
            return Err(io::Error::other("it is not a regular file"));
        }
        File::open(path)
    }

    /// Checks a part without keeping it.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn verify(&self, table: Table, number: u32) -> io::Result<()> {
        let what = match self.part(table, number).map(|part| self.verified(part)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => error.to_string(),
            None => "it is not in the index".to_owned(),
        };
        Err(io::Error::other(self.damaged(table, number, &what)))
    }

    fn verified(&self, part: &Part) -> io::Result<()> {
        let now = version(&self.opened(part)?.metadata()?);
        if now.is_some() && self.checked(part) == now { Ok(()) } else { self.bytes(part).map(drop) }
    }

    /// Says that a part cannot be used.
    pub fn damaged(&self, table: Table, number: u32, what: &str) -> String {
        let file = self.path.join(table.file(number));
        format!("the part {} cannot be used: {what}; ingest the original files again with --recheck", file.display())
    }
}

/// What is held of a part, which becomes the newest of those that are, and is read where it is not.
fn held<T: Clone>(of: &Newest<T>, part: u32, read: impl FnOnce() -> Result<T, String>) -> io::Result<T> {
    let held: Held<T> = {
        let mut all = of.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().position(|(key, _)| *key == part).map(|n| all.remove(n).1);
        let held: Held<T> = found.unwrap_or_default();
        all.push((part, Arc::clone(&held)));
        if all.len() > rayon::current_num_threads() + 1 {
            all.remove(0);
        }
        held
    };
    held.get_or_init(read).clone().map_err(io::Error::other)
}

/// Parquet that claims to be larger than this when unpacked is refused.
const MAX_UNPACKED: i64 = 4 << 30;

/// Reads Parquet, all columns or those that are named. The reader may come upon bytes that it does not expect only where somebody has forged a part and its
/// index; should it panic then, that is one part that cannot be used and no more.
fn decode(bytes: Vec<u8>, rows: usize, columns: Option<&[&str]>) -> Result<DataFrame, String> {
    let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let read = || -> PolarsResult<DataFrame> {
        let reader = ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None);
        let mut reader = reader.with_columns(columns);
        let metadata = reader.get_metadata()?;
        let unpacked = metadata.row_groups.iter().map(|g| i64::try_from(g.total_byte_size()).unwrap_or(i64::MAX));
        if metadata.num_rows != rows || unpacked.fold(0, i64::saturating_add) > MAX_UNPACKED {
            polars_bail!(ComputeError: "it does not hold the rows that the index lists");
        }
        let mut frame = reader.finish()?;
        // By this thread alone: one that waits for others might take up work that waits for this part.
        frame.rechunk_mut();
        Ok(frame)
    };
    let frame =
        quietly(read).map_err(|_| "it is no Parquet that can be read".to_owned())?.map_err(|e| e.to_string())?;
    let whole = frame.columns().iter().all(|column| column.len() == rows);
    if whole { Ok(frame) } else { Err("it does not hold the rows that the index lists".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Folder, Table};
    use crate::evidence::{Bounds, Digest};
    use crate::parts::index::{Index, Part};

    #[test]
    fn a_part_that_changes_after_it_was_checked_is_not_taken_for_the_one_that_was() {
        let path = tempfile::tempdir().expect("a temporary folder");
        let file = path.path().join(Table::Events.file(0));
        fs::create_dir(path.path().join(Table::Events.name())).expect("made");
        fs::write(&file, "as it was").expect("written");
        let mut index = Index::new("UTC".to_owned(), 1 << 20, Bounds::default());
        let sha256 = Digest::of(b"as it was").to_string();
        index.parts.push(Part { table: Table::Events, number: 0, rows: 1, bytes: 9, sha256 });
        let folder = Folder::of(path.path(), index);
        for _ in 0..2 {
            folder.verify(Table::Events, 0).expect("as it was");
        }
        fs::write(&file, "otherwise").expect("written");
        let said = folder.verify(Table::Events, 0).expect_err("another").to_string();
        assert!(said.contains("its SHA-256 is not the one in the index"), "{said}");
    }
}
