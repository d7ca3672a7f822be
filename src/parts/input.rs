//! A file in a folder of parts as an input.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::facts;
use super::folder::{Folder, Table};
use super::index::{Listed, Run};
use super::rows::{EventRows, Places};
use crate::error::{Error, Result};
use crate::evidence::{Digest, Input, Locator, Member, Name, Place, Stream};
use crate::ingest::{Facts, Options};

/// One input file, as a folder of parts holds it.
#[derive(Clone, Debug)]
pub struct PartFile {
    pub folder: Arc<Folder>,
    n: usize,
}

impl PartialEq for PartFile {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.folder, &other.folder) && self.n == other.n
    }
}

impl Eq for PartFile {}

/// The files of the folder of parts at `path`, and the folder.
///
/// # Errors
/// One sentence that says what is wrong with the index.
pub fn folder_of(path: &Path) -> std::result::Result<(Arc<Folder>, Vec<Input>), String> {
    let folder = Arc::new(Folder::open(path)?);
    let inputs = inputs_of(&folder);
    Ok((folder, inputs))
}

/// The files of a folder of parts as inputs.
pub fn inputs_of(folder: &Arc<Folder>) -> Vec<Input> {
    let input = |(n, listed): (usize, &Listed)| Input {
        label: listed.entry.path.clone(),
        place: Place::Part(PartFile { folder: Arc::clone(folder), n }),
        bytes: listed.entry.bytes,
    };
    folder.index.files.iter().enumerate().map(input).collect()
}

impl PartFile {
    /// The part in which its last events lie, if it has any.
    #[must_use]
    pub fn last_part(&self) -> Option<u32> {
        self.listed().runs(Table::Events).last().map(|run| run.part)
    }

    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.listed().runs(Table::Events).iter().fold(0, |all: u64, run| all.saturating_add(run.rows as u64))
    }

    /// The folder of parts it is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// What the index says of it.
    #[must_use]
    pub fn listed(&self) -> &Listed {
        &self.folder.index.files[self.n]
    }

    /// Checks all parts it has rows in.
    ///
    /// # Errors
    /// A part cannot be read or is not what was written.
    pub fn verify(&self) -> io::Result<()> {
        Table::ALL.iter().try_for_each(|table| match (table, self.listed().runs(*table)) {
            (_, []) => Ok(()),
            // Small files have all their rows in one part, which is read next and kept for the files behind them.
            (Table::Events, [run]) => self.folder.events(run.part).map(drop),
            (Table::Changes, [run]) => self.folder.changes(run.part).map(drop),
            (Table::Documents, [run]) => self.folder.documents(run.part).map(drop),
            (_, runs) => runs.iter().try_for_each(|run| self.folder.verify(*table, run.part)),
        })
    }

    /// The events of a run of its rows.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn rows(&self, run: &Run) -> io::Result<Arc<EventRows>> {
        self.folder.events(run.part)
    }

    /// Its changes and documents.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn facts(&self, file: u32) -> io::Result<Facts> {
        let mut all = Facts::default();
        for run in self.listed().runs(Table::Changes) {
            let frame = self.folder.changes(run.part)?;
            for row in run.first..run.first + run.rows {
                let change = facts::change(&frame, row, file);
                all.changes.push(change.ok_or_else(|| self.not_ours(Table::Changes, run, &no_row(row)))?);
            }
        }
        for run in self.listed().runs(Table::Documents) {
            let frame = self.folder.documents(run.part)?;
            for row in run.first..run.first + run.rows {
                let document = facts::document(&frame, row, file);
                all.documents.push(document.ok_or_else(|| self.not_ours(Table::Documents, run, &no_row(row)))?);
            }
        }
        Ok(all)
    }

    /// A part that is whole and holds what no ingest of this version writes.
    fn not_ours(&self, table: Table, run: &Run, what: &str) -> io::Error {
        io::Error::other(self.folder.damaged(table, run.part, what))
    }

    /// Says that a row is none that an ingest writes.
    #[must_use]
    pub fn bad_row(&self, run: &Run, row: usize) -> io::Error {
        self.not_ours(Table::Events, run, &no_row(row))
    }

    /// Calls `visit` with the rows of the records in `wanted`, which ascends.
    ///
    /// # Errors
    /// As [`Self::verify`]; or a record has no row, or `visit` fails.
    pub fn visit(
        &self,
        wanted: &[Locator],
        visit: &mut dyn FnMut(&EventRows, usize, &Locator) -> io::Result<()>,
    ) -> io::Result<()> {
        self.visit_in(wanted, &|run| self.rows(run), visit)
    }

    fn visit_in<R: AsRef<Places>>(
        &self,
        wanted: &[Locator],
        rows_of: &dyn Fn(&Run) -> io::Result<Arc<R>>,
        visit: &mut dyn FnMut(&R, usize, &Locator) -> io::Result<()>,
    ) -> io::Result<()> {
        let runs = self.listed().runs(Table::Events);
        let of = |at: &Locator| runs.partition_point(|run| run.record <= at.record).saturating_sub(1);
        for group in wanted.chunk_by(|a, b| of(a) == of(b)) {
            let missing = || io::Error::other("a record that was there a moment ago is not");
            let run = group.first().and_then(|at| runs.get(of(at))).ok_or_else(missing)?;
            let rows = rows_of(run)?;
            let (places, mut first): (&Places, _) = ((*rows).as_ref(), run.first);
            for at in group {
                first = search(places, first..run.first + run.rows, at.record).ok_or_else(missing)?;
                if places.locator(first, at.file).as_ref() != Some(at) {
                    return Err(missing());
                }
                visit(&rows, first, at)?;
            }
        }
        Ok(())
    }

    /// The SHA-256 of its records at `wanted`, which ascends.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn digests(&self, wanted: &[Locator]) -> io::Result<Vec<(Locator, Digest)>> {
        let mut digests = Vec::with_capacity(wanted.len());
        self.visit_in(wanted, &|run| self.folder.places(run.part), &mut |places: &Places, row, at| {
            let digest = places.digest(row).ok_or_else(|| io::Error::other("a record has no SHA-256"))?;
            digests.push((*at, digest));
            Ok(())
        })?;
        Ok(digests)
    }

    /// The records whose SHA-256 `is` the one looked for, in their order.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn find(&self, file: u32, is: &dyn Fn(&Digest) -> bool) -> io::Result<Vec<(Locator, Digest)>> {
        let mut found = Vec::new();
        for run in self.listed().runs(Table::Events) {
            let rows = self.folder.places(run.part)?;
            let all = (run.first..run.first + run.rows).filter_map(|row| rows.locator(row, file).zip(rows.digest(row)));
            found.extend(all.filter(|(_, digest)| is(digest)));
        }
        let facts = self.facts(file)?;
        let changes = facts.changes.iter().map(|change| (change.at, change.sha256));
        let all = changes.chain(facts.documents.iter().map(|document| (document.at, document.sha256)));
        found.extend(all.filter_map(|(at, digest)| Some((at, digest?))).filter(|(_, digest)| is(digest)));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

fn no_row(row: usize) -> String {
    format!("row {row} is none that this version writes")
}

/// The row of a record among `range`, whose records ascend.
fn search(rows: &Places, range: std::ops::Range<usize>, record: u64) -> Option<usize> {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if rows.record(middle)? < record { low = middle + 1 } else { high = middle }
    }
    (low < range.end && rows.record(low)? == record).then_some(low)
}

/// Joins files as they are with files in parts, in the order of their names: what comes twice with the same content is
/// one file, what shares a name but not the content stays two, in the order of their SHA-256.
///
/// # Errors
/// A file cannot be hashed, although it must be to tell whether it is one that is in a part.
pub fn joined(plain: Vec<Input>, listed: Vec<Input>) -> Result<Vec<Input>> {
    if listed.is_empty() {
        return Ok(plain);
    }
    let mut all = plain;
    all.extend(listed);
    all.sort_by(|a, b| a.label.cmp(&b.label));
    let mut joined: Vec<Input> = Vec::with_capacity(all.len());
    for same in all.chunk_by(|a, b| a.label == b.label) {
        if let [one] = same {
            joined.push(one.clone());
            continue;
        }
        let mut hashed: Vec<(Option<String>, &Input)> =
            same.iter().map(|input| Ok((content(input)?, input))).collect::<Result<_>>()?;
        // A file as it is comes before a part: its bytes can be shown.
        hashed.sort_by(|a, b| (&a.0, a.1.place.part().is_some()).cmp(&(&b.0, b.1.place.part().is_some())));
        for pair in hashed.windows(2).filter(|pair| pair[0].0.is_some() && pair[0].0 == pair[1].0) {
            if let (Some(a), Some(b)) = (pair[0].1.place.part(), pair[1].1.place.part())
                && a.listed().entry.mapping != b.listed().entry.mapping
            {
                let (file, a, b) = (&pair[0].1.label, a.folder().display(), b.folder().display());
                let reason =
                    format!("{file} was read by one mapping in {a} and by another in {b}; leave one of them out");
                return Err(Error::Parts { reason });
            }
        }
        hashed.dedup_by(|b, a| a.0.is_some() && a.0 == b.0);
        joined.extend(hashed.into_iter().map(|(_, input)| input.clone()));
    }
    Ok(joined)
}

/// Stands for the content of a member that is not read: where the reason is the same, so is the member.
fn not_read(reason: &str) -> String {
    format!("not read: {reason}")
}

/// The SHA-256 of a file as found, hex.
pub fn content(input: &Input) -> Result<Option<String>> {
    if let Some(part) = input.place.part() {
        let entry = &part.listed().entry;
        let refused = entry.container.as_ref().and(entry.rejects.first()).map(|reject| not_read(&reject.reason));
        return Ok(entry.sha256.map(|digest| digest.to_string()).or(refused));
    }
    if let Some(reason) = input.place.member().and_then(Member::refusal) {
        return Ok(Some(not_read(reason)));
    }
    if let Some(container) = input.place.container() {
        let digest = container.digest().map_err(|e| Error::io(&input.label, "hashing the file", e))?;
        return Ok(Some(digest.0.to_string()));
    }
    let hashed = Stream::open(&input.place).and_then(Stream::finish);
    hashed.map(|(digest, _)| Some(digest.to_string())).map_err(|e| Error::io(&input.label, "hashing the file", e))
}

/// Checks that parts among `inputs` were read as `options` say.
///
/// # Errors
/// One sentence that says what differs.
pub fn check(inputs: &[Input], options: Options<'_>) -> Result<()> {
    for part in inputs.iter().filter_map(|input| input.place.part()) {
        let (index, folder, entry) = (&part.folder.index, part.folder().display(), &part.listed().entry);
        if entry.zoneless_times > 0 && index.assume_tz != options.zone.to_string() {
            let reason = format!(
                "{folder} holds times without a zone ({}), read as {}; give --assume-tz {1}, or ingest again",
                entry.path, index.assume_tz
            );
            return Err(Error::Usage { what: format!("--assume-tz {}", options.zone), reason });
        }
        let given = |sha256: &Name| options.mappings.iter().any(|mapping| mapping.sha256 == *sha256);
        if !options.mappings.is_empty() && entry.mapping.as_ref().is_some_and(|sha256| !given(sha256)) {
            let (file, format) = (&entry.path, &entry.format);
            let reason = format!(
                "{folder} holds {file} as read by another mapping ({format}) than those given; leave --map out to take it \
                 as it was read, or ingest again"
            );
            return Err(Error::Usage { what: "--map".to_owned(), reason });
        }
        let limit = options.limits.max_record as u64;
        if index.max_record_bytes != limit {
            let reason = format!("{folder} was ingested with {0}; give --max-record-bytes {0}", index.max_record_bytes);
            return Err(Error::Usage { what: format!("--max-record-bytes {limit}"), reason });
        }
    }
    Ok(())
}
