//! Reading single records again, all columns of them: the first pass over an archive keeps only an outline of each.

use std::collections::BTreeMap;
use std::ops::Range;

use foldhash::quality::RandomState;
use polars::prelude::*;
use rayon::prelude::*;

use super::adapter::{Facts, Tally};
use super::event::EventColumns;
use super::file::{Manner, Reader};
use super::{Options, Prints, from_part};
use crate::error::{Error, Result};
use crate::evidence::{Input, Locator, RecordReader};

/// A record that is wanted again, with its fingerprint in the first pass.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub at: Locator,
    pub fingerprint: u64,
}

/// What reading again needs to know of the first pass.
pub struct Reread<'a> {
    pub inputs: &'a [Input],
    pub manners: &'a [Manner],
    pub options: Options,
    pub keys: &'a RandomState,
    /// Microseconds to add to the times of a source whose clock is off.
    pub shifts: &'a BTreeMap<String, i64>,
}

/// Records that one thread reads in one go.
const RUN: usize = 8192;

impl Reread<'_> {
    /// The frame of the `wanted` records, one row each, in their order, which is that of the archive.
    ///
    /// # Errors
    /// A file cannot be read again, or is not what it was.
    pub fn frame(&self, wanted: &[Wanted]) -> Result<DataFrame> {
        let parts: Vec<DataFrame> = self
            .runs(wanted)
            .into_par_iter()
            .map(|run| {
                let mut columns = EventColumns::default();
                for of_file in wanted[run].chunk_by(|a, b| a.at.file == b.at.file) {
                    self.read(of_file, &mut columns)?;
                }
                columns.finish().map_err(Error::frame("ingest"))
            })
            .collect::<Result<_>>()?;
        let joined = join(parts).and_then(|frame| self.shifted(frame));
        joined.map_err(Error::frame("ingest"))
    }

    /// Divides the records into runs; a packed file is not divided, because it can only be read from its start.
    fn runs(&self, wanted: &[Wanted]) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut start = 0;
        for (n, pair) in wanted.windows(2).enumerate() {
            let file = pair[0].at.file;
            let within = file == pair[1].at.file && self.manners[file as usize].packed;
            if n + 1 - start >= RUN && !within {
                runs.push(start..n + 1);
                start = n + 1;
            }
        }
        runs.push(start..wanted.len());
        runs
    }

    /// Reads records of one file.
    fn read(&self, wanted: &[Wanted], columns: &mut EventColumns) -> Result<()> {
        let Some(first) = wanted.first() else { return Ok(()) };
        let file = first.at.file;
        let input = &self.inputs[file as usize];
        let prints = Prints::of_run(self.keys, self.inputs);
        if let Some(part) = input.place.part() {
            return from_part::reread(input, part, wanted, prints, columns);
        }
        let io = |e| Error::io(&input.label, "reading the records again", e);
        let mut records = RecordReader::open(input).map_err(io)?;
        let manner = &self.manners[file as usize];
        let reader = Reader { file, manner, options: self.options, prints, hash_events: true };
        let (mut facts, mut tally) = (Facts::default(), Tally::default());
        for Wanted { at, fingerprint } in wanted {
            let bytes = records.read(at).map_err(io)?;
            let (same, rows) = (prints.of(bytes, None) == *fingerprint, columns.len());
            if !same || reader.read(bytes, *at, columns, &mut facts, &mut tally).is_err() || columns.len() != rows + 1 {
                return Err(Error::Changed { path: input.label.clone(), record: at.record, offset: at.offset });
            }
        }
        Ok(())
    }

    fn shifted(&self, mut frame: DataFrame) -> PolarsResult<DataFrame> {
        let type_of_time = frame.column("time")?.dtype().clone();
        for (source, by) in self.shifts {
            let moved = (col("time").cast(DataType::Int64) + lit(*by)).cast(type_of_time.clone());
            let time = when(col("source").eq(lit(source.as_str()))).then(moved).otherwise(col("time")).alias("time");
            frame = frame.lazy().with_column(time).collect()?;
        }
        frame.rechunk_mut_par();
        Ok(frame)
    }
}

fn join(parts: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    let mut parts = parts.into_iter();
    let Some(mut all) = parts.next() else { return EventColumns::default().finish() };
    for part in parts {
        all.vstack_mut_owned(part)?;
    }
    Ok(all)
}
