//! Reading single records again, all columns of them: the first pass over an archive keeps only an outline of each.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::adapter::{Collect, Facts, Tally};
use super::file::{Manner, Reader};
use super::{Options, Prints, from_part, left_out};
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
    pub manners: &'a [Arc<Manner>],
    pub options: Options<'a>,
    pub prints: Prints<'a>,
}

/// Records that one thread reads in one go.
const RUN: usize = 8192;

impl Reread<'_> {
    /// Reads the `wanted` records (in the order of the archive), one event each, into collectors that `collector` makes;
    /// these come in the same order.
    ///
    /// # Errors
    /// A file cannot be read again, or is not what it was.
    pub fn read<C: Collect + Send>(&self, wanted: &[Wanted], collector: &(dyn Fn() -> C + Sync)) -> Result<Vec<C>> {
        let read = |run: Range<usize>| {
            let mut events = collector();
            for of_file in wanted[run].chunk_by(|a, b| a.at.file == b.at.file) {
                self.read_file(of_file, &mut events)?;
            }
            Ok(events)
        };
        self.runs(wanted).into_par_iter().map(read).collect()
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
    fn read_file(&self, wanted: &[Wanted], events: &mut dyn Collect) -> Result<()> {
        let Some(first) = wanted.first() else { return Ok(()) };
        let file = first.at.file;
        let input = &self.inputs[file as usize];
        if let Some(part) = input.place.part() {
            return from_part::reread(input, part, wanted, self.prints, events);
        }
        let io = |e| Error::io(&input.label, "reading the records again", e);
        let mut records = RecordReader::open(input).map_err(io)?;
        let manner = &self.manners[file as usize];
        let Self { options, prints, .. } = *self;
        let reader = Reader { file, manner, options, prints, left_out: &left_out::NOTHING, hash_events: true };
        let (mut facts, mut tally) = (Facts::default(), Tally::default());
        for Wanted { at, fingerprint } in wanted {
            let bytes = records.read(at).map_err(io)?;
            let (same, before) = (self.prints.of(bytes, None) == *fingerprint, events.gathered());
            let read = reader.read(bytes, *at, events, &mut facts, &mut tally);
            if !same || read.is_err() || events.gathered() != before + 1 {
                return Err(Error::Changed { path: input.label.to_string(), record: at.record, offset: at.offset });
            }
        }
        Ok(())
    }
}
