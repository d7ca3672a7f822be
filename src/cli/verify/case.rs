//! `holdtrace verify CASE`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Status, output};
use crate::custody::attest::PublicKey;
use crate::custody::case::{Case, render_verification, verify};
use crate::custody::timestamp::Authorities;
use crate::error::Result;
use crate::report;

#[derive(Args)]
pub struct CaseArguments {
    /// The case folder
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// Where the evidence lies now (repeatable); by default where it lay when the case was made
    #[arg(long, value_name = "DIR")]
    evidence: Vec<PathBuf>,
    /// Check the case without its evidence
    #[arg(long, conflicts_with_all = ["evidence", "reproduce"])]
    without_evidence: bool,
    /// Only sizes, small files and the ledger
    #[arg(long)]
    quick: bool,
    /// Analyse the evidence again and compare every byte
    #[arg(long)]
    reproduce: bool,
    /// Compare with somebody else's manifest.json, or case, of the same evidence
    #[arg(long, value_name = "OTHER")]
    manifest: Option<PathBuf>,
    /// Ed25519 public key of someone who is to have attested the case (PEM, repeatable); get it from them, not with the case
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// Certificates of time-stamping authorities that are trusted (PEM)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: what was checked, and each difference
    Table,
    /// One JSON object
    Json,
}

pub fn run(arguments: &CaseArguments) -> Result<Status> {
    let case = Case::open(&arguments.case)?;
    if let Some(out) = &arguments.out {
        let folders = arguments.evidence.iter().chain([&arguments.case]);
        output::keep_out_of_evidence(out, &folders.map(|path| path.display().to_string()).collect::<Vec<_>>())?;
    }
    let how = verify::How {
        evidence: arguments.evidence.clone(),
        without_evidence: arguments.without_evidence,
        quick: arguments.quick,
        reproduce: arguments.reproduce,
        manifest: arguments.manifest.clone(),
        public_keys: arguments.public_key.iter().map(|path| PublicKey::read(path)).collect::<Result<_>>()?,
        authorities: arguments.ca.as_deref().map(Authorities::read).transpose()?,
    };
    let found = verify::verify(&case, &how)?;
    output::data(arguments.out.as_deref(), |out| match arguments.format {
        Format::Table => output::written(out.write_all(report::plain(&render_verification(&found)).as_bytes())),
        Format::Json => output::json(&found, out),
    })?;
    Ok(if found.is_fine() { Status::Done } else { Status::Partial })
}
