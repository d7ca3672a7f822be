//! `holdtrace certificate`

use std::path::PathBuf;

use clap::Args;

use super::{Status, output};
use crate::custody::case::Case;
use crate::custody::case::verify::How;
use crate::custody::certificate::draft;
use crate::error::Result;

#[derive(Args)]
pub struct Arguments {
    /// The case folder
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// Where the evidence lies now, if not where it was (repeatable)
    #[arg(long, value_name = "PATH", conflicts_with = "without_evidence")]
    evidence: Vec<PathBuf>,
    /// Do not look for the evidence: only the case is checked
    #[arg(long)]
    without_evidence: bool,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let case = Case::open(&arguments.case)?;
    if let Some(out) = &arguments.out {
        let folders = arguments.evidence.iter().chain([&arguments.case]).map(|path| path.display().to_string());
        output::keep_out_of_evidence(out, &folders.collect::<Vec<_>>())?;
    }
    let how =
        How { evidence: arguments.evidence.clone(), without_evidence: arguments.without_evidence, ..How::default() };
    let draft = draft(&case, &how)?;
    output::data(arguments.out.as_deref(), |out| output::written(out.write_all(draft.text.as_bytes())))?;
    if draft.differs {
        output::message("holdtrace: the case or its evidence is not as it was; the draft names the differences");
    }
    Ok(if draft.differs { Status::Partial } else { Status::Done })
}
