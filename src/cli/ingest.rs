//! `holdtrace ingest`

use std::path::PathBuf;

use clap::Args;

use super::progress::Bar;
use super::{Inputs, Status, output};
use crate::error::Result;
use crate::evidence::{FileEntry, is_partial};
use crate::parts::{How, Update, update};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// The folder of parts: a new one, or one that is to be brought up to date
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Hash known files again instead of trusting their size and time of modification
    #[arg(long)]
    recheck: bool,
    /// Rows that one Parquet file holds at most
    #[arg(long, value_name = "N", default_value_t = How::default().rows, value_parser = rows)]
    rows_per_part: usize,
}

fn rows(text: &str) -> std::result::Result<usize, String> {
    let number = text.parse().ok().filter(|n| (1..=1_000_000).contains(n));
    number.ok_or_else(|| "give a number from 1 to 1000000".to_owned())
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let inputs = &arguments.inputs;
    inputs.set_threads()?;
    output::keep_out_of_evidence(&arguments.out, &inputs.paths)?;
    let mappings = inputs.maps.read()?;
    let how = How { recheck: arguments.recheck, rows: arguments.rows_per_part };
    let bar = Bar::new();
    let done = update(&inputs.paths, &arguments.out, inputs.options(&mappings), how, &bar);
    bar.finish();
    let done = done?;
    report(&done);
    let partial = is_partial(&done.files) || !done.kept.is_empty() || !done.unreadable.is_empty();
    Ok(if partial { Status::Partial } else { Status::Done })
}

fn report(done: &Update) {
    done.read.iter().filter(|file| file.is_partial()).take(output::MOST_SAID).for_each(output::not_read);
    for some in [&done.kept, &done.unreadable, &done.skipped] {
        output::notes(some.iter());
    }
    for path in done.replaced.iter().take(output::MOST_SAID) {
        output::message(&format!("holdtrace: {path}: changed since; what was read of it before is replaced"));
    }
    let sum = |of: fn(&FileEntry) -> u64| done.read.iter().map(of).sum::<u64>();
    output::message(&format!(
        "holdtrace: {} files taken over, {} read ({} records, {} rejected); {} files in the folder",
        done.taken_over,
        done.read.len(),
        sum(|file| file.records),
        sum(|file| file.rejected),
        done.files.len()
    ));
}
