//! `holdtrace verify timestamp`

use std::path::PathBuf;

use clap::Args;

use super::checks::{self, Format};
use super::{EXIT, Status};
use crate::custody::case::digest;
use crate::custody::read_at_most;
use crate::custody::timestamp::{Authorities, check};
use crate::error::{Error, Result};

/// Larger ones are not read.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Args)]
#[command(after_help = EXIT)]
pub struct Arguments {
    /// What the authority returned (.tsr)
    #[arg(value_name = "TOKEN")]
    token: PathBuf,
    /// The request that was sent (.tsq)
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The file that was stamped: the report, or its attestation
    #[arg(long, value_name = "FILE")]
    of: PathBuf,
    /// Certificates of authorities that are trusted (PEM); without, it is not checked who signed
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let authorities = arguments.ca.as_deref().map(Authorities::read).transpose()?;
    let token = read_at_most(&arguments.token, "reading the token", MAX_BYTES)?;
    let request = read_at_most(&arguments.request, "reading the request", MAX_BYTES)?;
    let digest = digest(&arguments.of).map_err(|e| Error::io(&arguments.of, "reading the stamped file", e))?;
    let name = arguments.of.display().to_string();
    checks::print(&check(&token, &request, &name, digest, authorities.as_ref()), arguments.format)
}
