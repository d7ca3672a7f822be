//! `holdtrace verify proof`

use std::path::PathBuf;

use clap::Args;

use super::checks::{self, Format};
use super::{EXIT, Status};
use crate::custody::Check;
use crate::custody::attest::{Attestation, PublicKey};
use crate::custody::merkle::check;
use crate::error::Result;

#[derive(Args)]
#[command(after_help = EXIT)]
pub struct Arguments {
    /// The proof, as `holdtrace prove` wrote it
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// Root of the tree over the records of the case, 64 hex digits
    #[arg(long, value_name = "HEX", required_unless_present = "attestation")]
    root: Option<String>,
    /// Attestation to take the root from
    #[arg(long, value_name = "FILE", requires = "public_key", conflicts_with = "root")]
    attestation: Option<PathBuf>,
    /// Ed25519 public key of who signed the attestation (PEM)
    #[arg(long, value_name = "FILE", requires = "attestation")]
    public_key: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let mut checks = Vec::new();
    let root = match (&arguments.root, &arguments.attestation, &arguments.public_key) {
        (None, Some(attestation), Some(key)) => {
            let found = Attestation::read(attestation, &PublicKey::read(key)?)?;
            checks = found.checks;
            let name = attestation.display().to_string();
            match found.records {
                Some(records) => Some(records.root),
                None if checks.iter().all(Check::is_valid) => {
                    checks.push(Check::invalid(name, "it names no tree over records; attest the case, not files"));
                    None
                }
                None => None,
            }
        }
        (root, ..) => root.clone(),
    };
    let name = || arguments.proof.display().to_string();
    checks.push(match root {
        Some(root) => check(&arguments.proof, &root)?,
        None => Check::unchecked(name(), "there is no root to compare with"),
    });
    checks::print(&checks, arguments.format)
}
