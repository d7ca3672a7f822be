//! `holdtrace verify attestation`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::checks::{self, Format};
use super::{EXIT, Status};
use crate::custody::attest::{Attestation, PublicKey};
use crate::custody::case::digest;
use crate::error::{Error, Result};
use crate::evidence::Digest;

#[derive(Args)]
#[command(after_help = EXIT)]
pub struct Arguments {
    /// The attestation, as `holdtrace attest` wrote it
    #[arg(value_name = "FILE")]
    attestation: PathBuf,
    /// Ed25519 public key of who signed (PEM, as `openssl pkey -pubout` writes it); get it from them, not with the report
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// A report that it is to speak of (repeatable); a report is known by its hash, whatever it is called
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let key = PublicKey::read(&arguments.public_key)?;
    let mut found = Attestation::read(&arguments.attestation, &key)?;
    let hashed = |path: &PathBuf| -> Result<(String, Digest)> {
        let digest = digest(path).map_err(|e| Error::io(path, "reading the report", e))?;
        Ok((path.display().to_string(), digest))
    };
    let reports: BTreeMap<_, _> = arguments.report.iter().map(hashed).collect::<Result<_>>()?;
    let compared = found.compare(&reports);
    found.checks.extend(compared);
    checks::print(&found.checks, arguments.format)
}
