//! `holdtrace prove`

use std::path::PathBuf;

use clap::Args;

use super::show::digits;
use super::{Most, Status, output};
use crate::custody::case::Case;
use crate::custody::merkle::prove;
use crate::error::Result;

#[derive(Args)]
pub struct Arguments {
    /// The case folder, attested
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// The record's id, ev: and 16 hex digits (or more of its SHA-256)
    #[arg(value_name = "ev:...")]
    id: String,
    /// Where the evidence lies now, if not where it was (repeatable)
    #[arg(long, value_name = "PATH")]
    evidence: Vec<String>,
    #[command(flatten)]
    most: Most,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let digits = digits(&arguments.id)?;
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &arguments.evidence)?;
    }
    let case = Case::open(&arguments.case)?;
    let (proof, more) = prove(&case, &digits, &arguments.evidence, arguments.most.bounds())?;
    let file = proof.file()?;
    output::data(arguments.out.as_deref(), |out| output::written(out.write_all(&file)))?;
    if more > 0 {
        output::message(&format!("holdtrace: {more} more records have this hash; this is the first of them"));
    }
    Ok(Status::Done)
}
