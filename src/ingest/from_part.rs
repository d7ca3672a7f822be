//! A file that lies in a folder of parts: its events come from there.

use rayon::prelude::*;

use super::file::{Context, Destination, Manner, part as empty};
use super::reread::Wanted;
use super::{Collect, LeftOut, Prints};
use crate::error::{Error, Result};
use crate::evidence::{FileEntry, Input, Locator, Reject};
use crate::parts::{PartFile, Run, Table};

/// Runs of rows of one file that are read at the same time.
const RUNS_AT_ONCE: usize = 4;

/// Reads the events and facts of a file in a part, and its ledger entry. A part that cannot be used makes the file one
/// that cannot be read.
pub fn read<C: Collect + Send>(
    input: &Input,
    part: &PartFile,
    file: u32,
    context: &Context<'_, C>,
    into: &mut Destination<'_, C>,
) {
    let listed = part.listed();
    let content_sha256 = listed.content_sha256.filter(|_| context.options.hash_content);
    let mut entry = FileEntry { content_sha256, ..listed.entry.clone() };
    if let Err(error) = read_runs(part, file, context, into) {
        let reason = error.to_string();
        entry = FileEntry { format: entry.format, ..FileEntry::unread(&input.label, input.bytes) };
        (entry.records, entry.rejected) = (1, 1);
        entry.rejects.push(Reject::new(0, 0, reason));
    }
    into.parts.last_mut().expect("there is always a part").files.push((entry, Manner::NONE));
}

fn read_runs<C: Collect + Send>(
    part: &PartFile,
    file: u32,
    context: &Context<'_, C>,
    Destination { parts, drain, .. }: &mut Destination<'_, C>,
) -> std::io::Result<()> {
    part.verify()?;
    let mut facts = part.facts(file)?;
    facts.changes.retain(|change| !context.left_out.has(&change.at));
    facts.documents.retain(|document| !context.left_out.has(&document.at));
    match part.listed().runs(Table::Events) {
        [] => {}
        [run] => {
            let into = parts.last_mut().expect("there is always a part");
            give(part, run, file, (context.prints, context.left_out), &mut into.events)?;
        }
        runs => {
            for runs in runs.chunks(RUNS_AT_ONCE) {
                let one = |run: &Run| {
                    let mut of_run = empty(context);
                    give(part, run, file, (context.prints, context.left_out), &mut of_run.events).map(|()| of_run)
                };
                parts.extend(runs.par_iter().map(one).collect::<std::io::Result<Vec<_>>>()?);
                drain(parts);
            }
        }
    }
    let into = parts.last_mut().expect("there is always a part");
    into.facts.changes.append(&mut facts.changes);
    into.facts.documents.append(&mut facts.documents);
    Ok(())
}

/// Gives the events of a run of rows, whose records must ascend.
fn give(
    part: &PartFile,
    run: &Run,
    file: u32,
    (prints, left_out): (Prints<'_>, &LeftOut),
    events: &mut dyn Collect,
) -> std::io::Result<()> {
    let rows = part.rows(run)?;
    let mut next = run.record;
    for row in run.first..run.first + run.rows {
        if rows.locator(row, file).is_some_and(|at| left_out.has(&at)) {
            continue;
        }
        let at = rows.give(row, file, prints, events).filter(|at| at.record >= next);
        next = at.ok_or_else(|| part.bad_row(run, row))?.record + 1;
    }
    Ok(())
}

/// Reads records of a file in a part again.
///
/// # Errors
/// The part cannot be read again, or is not what it was.
pub fn reread(
    input: &Input,
    part: &PartFile,
    wanted: &[Wanted],
    prints: Prints<'_>,
    events: &mut dyn Collect,
) -> Result<()> {
    let places: Vec<Locator> = wanted.iter().map(|wanted| wanted.at).collect();
    let mut expected = wanted.iter();
    part.visit(&places, &mut |rows, row, at| {
        let same = rows.digest(row).map(|digest| prints.of_digest(&digest)) == expected.next().map(|w| w.fingerprint);
        let given = if same { rows.give(row, at.file, prints, events) } else { None };
        given.map(drop).ok_or_else(|| std::io::Error::other("a record is not what it was a moment ago"))
    })
    .map_err(|e| Error::io(&input.label, "reading the records again", e))
}
