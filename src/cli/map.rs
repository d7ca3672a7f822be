//! `holdtrace map`: drafts of mappings, and what a mapping makes of files.

use std::io::Write;

use clap::{Args, Subcommand};
use foldhash::quality::RandomState;

use super::{Inputs, Status, output};
use crate::error::{Error, Result};
use crate::evidence::{FileEntry, discover, is_partial, nothing_readable};
use crate::ingest::{Filled, Mapping, Prints, draft, ingest};
use crate::report::plain;

#[derive(Subcommand)]
pub enum Command {
    /// Write a first draft of a mapping, made from a file's own columns
    Init(InitArguments),
    /// Say what a mapping makes of files: records read, and how often each field is filled
    Check(CheckArguments),
}

#[derive(Args)]
pub struct InitArguments {
    /// The file: CSV, JSON, NDJSON or Parquet
    #[arg(value_name = "FILE")]
    file: String,
}

#[derive(Args)]
pub struct CheckArguments {
    #[command(flatten)]
    inputs: Inputs,
}

pub fn run(command: &Command) -> Result<Status> {
    match command {
        Command::Init(arguments) => init(arguments),
        Command::Check(arguments) => check(arguments),
    }
}

fn init(arguments: &InitArguments) -> Result<Status> {
    let discovery = discover(std::slice::from_ref(&arguments.file))?;
    let [input] = &discovery.inputs[..] else {
        let reason = "it is more than one file; name one, others like it are then read by the same mapping".to_owned();
        return Err(Error::Usage { what: arguments.file.clone(), reason });
    };
    if input.place.part().is_some() {
        let reason =
            "it is a folder of parts, which is read without a mapping; name one of the original files".to_owned();
        return Err(Error::Usage { what: arguments.file.clone(), reason });
    }
    let text = draft(input, crate::ingest::Options::default())?;
    output::data(None, |out| output::written(out.write_all(text.as_bytes())))?;
    Ok(Status::Done)
}

fn check(arguments: &CheckArguments) -> Result<Status> {
    let inputs = &arguments.inputs;
    inputs.set_threads()?;
    let mappings = inputs.maps.read()?;
    if mappings.is_empty() {
        let reason = "name a mapping; `holdtrace map init FILE` drafts one".to_owned();
        return Err(Error::Usage { what: "--map".to_owned(), reason });
    }
    let discovery = discover(&inputs.paths)?;
    let options = inputs.options(&mappings);
    let keys = RandomState::default();
    let mut files = Vec::new();
    let mut filled: Vec<Filled> = Vec::new();
    for input in &discovery.inputs {
        let one = std::slice::from_ref(input);
        let mut all = Filled::default();
        let prints = Prints::of_run(&keys, one);
        let mut ingested = ingest(one, options, prints, &Filled::default, &mut |part| all.add(part), &|_| {});
        files.append(&mut ingested.files);
        filled.push(all);
    }
    if files.iter().all(|file| file.parsed == 0) {
        return Err(nothing_readable(&discovery, &files));
    }
    output::data(None, |out| {
        files
            .iter()
            .zip(&filled)
            .filter(|(file, _)| file.mapping.is_some())
            .try_for_each(|(file, filled)| output::written(write(file, filled, out)))
    })?;
    files.iter().filter(|file| file.rejected > 0 || file.records == 0).take(20).for_each(output::not_read);
    output::unused_mappings(&mappings, &files);
    let unused =
        mappings.iter().any(|mapping: &Mapping| !files.iter().any(|f| f.mapping.as_ref() == Some(&mapping.sha256)));
    Ok(if is_partial(&files) || unused { Status::Partial } else { Status::Done })
}

fn write(file: &FileEntry, filled: &Filled, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{}: {}, {} records: {} read, {} rejected",
        plain(&file.path),
        file.format,
        file.records,
        file.parsed,
        file.rejected
    )?;
    if let (Some(first), Some(last)) = (&file.first_time, &file.last_time) {
        writeln!(out, "  from {first} to {last}")?;
    }
    for (name, n) in &filled.fields {
        writeln!(out, "  {name:<18} {n}")?;
    }
    let shown = |name: &str, counts: Vec<(&str, usize)>, out: &mut dyn Write| {
        let counts: Vec<String> = counts.iter().take(20).map(|(what, n)| format!("{} {n}", plain(what))).collect();
        if counts.is_empty() { Ok(()) } else { writeln!(out, "  {name}: {}", counts.join(", ")) }
    };
    shown("steps", filled.steps.iter().map(|(step, n)| (step.as_str(), *n)).collect(), out)?;
    shown("outcomes", filled.outcomes.iter().map(|(outcome, n)| (*outcome, *n)).collect(), out)?;
    writeln!(out)
}
