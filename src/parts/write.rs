//! Writing tables: run by run of rows into Parquet files of a bounded size, each written aside and renamed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use polars::prelude::*;
use polars_io::parquet::write::ParquetWriter;

use super::ASIDE;
use super::folder::Table;
use super::index::{Part, Run};
use crate::error::{Error, Result};
use crate::evidence::Digest;

/// Writes bytes aside and puts them in place under `path`.
///
/// # Errors
/// The file system refuses.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    put_by(path, |out| out.write_all(bytes).map_err(|e| Error::Output(e.to_string())))
}

/// Puts what `write` writes in place under `path`, once all of it has been written aside.
///
/// # Errors
/// The file system refuses, or `write` fails.
pub fn put_by(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let refused = |reason: String| {
        let reason = format!("{reason}; what was there before is left as it was, make room and run it again");
        Error::io(path, "writing the file", io::Error::other(reason))
    };
    let aside = || {
        fs::create_dir_all(folder)?;
        named(&mut tempfile::Builder::new()).prefix(ASIDE).tempfile_in(folder)
    };
    let aside = aside().map_err(|e| refused(e.to_string()))?;
    let mut buffered = BufWriter::new(aside.as_file());
    write(&mut buffered).map_err(|e| match e {
        Error::Output(reason) => refused(reason),
        other => other,
    })?;
    buffered.flush().and_then(|()| aside.as_file().sync_all()).map_err(|e| refused(e.to_string()))?;
    drop(buffered);
    aside.persist(path).map_err(|e| refused(e.error.to_string()))?;
    Ok(())
}

/// Temporary files are private; a part is as readable as any file its user makes.
#[cfg(unix)]
fn named<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn named<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    builder
}

/// Writes one table of a folder of parts.
pub struct Writer<'a> {
    folder: &'a Path,
    table: Table,
    /// Rows a part holds at most.
    most: usize,
    /// The number of the next part.
    next: u32,
    /// The names of the files by their number.
    labels: &'a [&'a str],
    held: Option<DataFrame>,
    pub parts: Vec<Part>,
    /// Where the rows of each file went.
    pub runs: BTreeMap<u32, Vec<Run>>,
}

impl<'a> Writer<'a> {
    /// A writer that goes on after the parts `before`.
    pub fn new(folder: &'a Path, table: Table, before: &[Part], most: usize, labels: &'a [&'a str]) -> Self {
        let numbers = before.iter().filter(|part| part.table == table).map(|part| part.number);
        let next = numbers.max().map_or(0, |number| number + 1);
        Self { folder, table, most, next, labels, held: None, parts: Vec::new(), runs: BTreeMap::new() }
    }

    /// Takes rows, whose column `file` holds the number of the file and `record` that of the record.
    ///
    /// # Errors
    /// A part cannot be written.
    pub fn take(&mut self, frame: DataFrame) -> Result<()> {
        let frame_error = Error::frame("parts");
        match &mut self.held {
            None => self.held = Some(frame),
            Some(held) => drop(held.vstack_mut_owned(frame).map_err(&frame_error)?),
        }
        while let Some(held) = self.held.take_if(|held| held.height() >= self.most) {
            let rest = held.slice(i64::try_from(self.most).unwrap_or(i64::MAX), held.height() - self.most);
            self.held = Some(rest);
            self.write(held.slice(0, self.most))?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A part cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        match self.held.take() {
            Some(held) if held.height() > 0 => self.write(held),
            _ => Ok(()),
        }
    }

    fn write(&mut self, mut frame: DataFrame) -> Result<()> {
        frame.rechunk_mut_par();
        let files = self.note(&frame).map_err(Error::frame("parts"))?;
        let mut bytes = Vec::new();
        let label = |file: &u32| self.labels.get(*file as usize).copied();
        let labels = Column::new("file".into(), files.iter().map(label).collect::<Vec<_>>());
        let written = frame.replace("file", labels).and_then(|frame| ParquetWriter::new(&mut bytes).finish(frame));
        written.map_err(Error::frame("parts"))?;
        put(&self.folder.join(self.table.file(self.next)), &bytes)?;
        let (rows, sha256) = (frame.height(), Digest::of(&bytes).to_string());
        self.parts.push(Part { table: self.table, number: self.next, rows, bytes: bytes.len() as u64, sha256 });
        self.next += 1;
        Ok(())
    }

    /// Notes where the rows of each file are, and returns the file of each row.
    fn note(&mut self, frame: &DataFrame) -> PolarsResult<Vec<u32>> {
        let files: Vec<u32> = frame.column("file")?.u32()?.into_no_null_iter().collect();
        let records = frame.column("record")?.u64()?;
        let mut first = 0;
        for of_file in files.chunk_by(|a, b| a == b) {
            let run = Run { part: self.next, first, rows: of_file.len(), record: records.get(first).unwrap_or(0) };
            self.runs.entry(of_file[0]).or_default().push(run);
            first += of_file.len();
        }
        Ok(files)
    }
}
