//! `holdtrace case` and `holdtrace analyze --case`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::progress::Bar;
use super::{Reading, Status, output};
use crate::custody::case::{self, Circumstances, Outcome, Request};
use crate::error::{Error, Result};
use crate::evidence::is_partial;
use crate::report;

#[derive(Subcommand)]
pub enum Command {
    /// Make a case of evidence: the same as analyze --case
    New(New),
}

#[derive(Args)]
pub struct New {
    /// The case folder: a new or an empty one
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Name of the case; by default that of the folder
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    reading: Reading,
}

/// Who acts, for the ledger.
#[derive(Args)]
pub struct Who {
    /// Who acts, for the ledger of the case, if not the user that runs this
    #[arg(long, value_name = "NAME")]
    custodian: Option<String>,
    /// Time of the act for the ledger of the case, RFC 3339 with its zone, if not now (or set `SOURCE_DATE_EPOCH`)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Who {
    /// Who acts, when and where.
    pub fn circumstances(&self) -> Result<Circumstances> {
        Circumstances::of_this_process(self.custodian.as_deref(), self.at.as_deref())
    }
}

pub fn run(command: &Command) -> Result<Status> {
    let Command::New(new) = command;
    if case::Case::is_at(&new.folder) {
        let reason = "there is a case in it already; analyze --case adds to it".to_owned();
        return Err(Error::Usage { what: new.folder.display().to_string(), reason });
    }
    analyze(&new.folder, &new.reading, &new.who, new.name.as_deref()).map(|(_, status)| status)
}

/// Analyses into a case, and says what changed in it.
pub fn analyze(folder: &Path, reading: &Reading, who: &Who, name: Option<&str>) -> Result<(Outcome, Status)> {
    let inputs = &reading.inputs;
    output::keep_apart(folder, &inputs.paths)?;
    let rules = reading.rules()?;
    let mappings = inputs.maps.read()?;
    let texts = inputs.maps.map.iter();
    let texts = texts.map(|path| std::fs::read(path).map_err(|e| Error::io(path, "reading the mapping", e)));
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let (options, circumstances) = (inputs.options(&mappings), who.circumstances()?);
    let bar = Bar::new();
    let request = Request { paths: &inputs.paths, options, rules: &rules, mappings: &texts, name };
    let outcome = case::analyze(folder, &request, &circumstances, &bar);
    bar.finish();
    let outcome = outcome?;
    let text = case::render_changes(&outcome.changes, &outcome.analysis.summary);
    output::data(None, |out| output::written(out.write_all(report::plain(&text).as_bytes())))?;
    say(&outcome);
    let partial = is_partial(&outcome.update.files) || !outcome.update.unreadable.is_empty();
    let partial = partial || !outcome.update.kept.is_empty();
    let status = if partial { Status::Partial } else { Status::Done };
    Ok((outcome, status))
}

fn say(outcome: &Outcome) {
    let update = &outcome.update;
    update.read.iter().filter(|file| file.is_partial()).take(output::MOST_SAID).for_each(output::not_read);
    for some in [&update.kept, &update.unreadable, &update.skipped] {
        output::notes(some.iter());
    }
    for act in &outcome.unfinished {
        output::message(&format!("holdtrace: act {act} of this case never ended; this one made good what it left"));
    }
    for path in outcome.found_changed.iter().take(output::MOST_SAID) {
        output::message(&format!("holdtrace: {path} was not as the act before had left it; the ledger says so"));
    }
    let (taken_over, read) = (update.taken_over, update.read.len());
    output::message(&format!("holdtrace: {taken_over} files taken over, {read} read"));
}
