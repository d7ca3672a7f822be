//! `holdtrace verify`: a file per kind of evidence that can be checked.

mod attestation;
mod checks;
mod cloudtrail;
mod proof;
mod timestamp;

use clap::{Args, Subcommand};

use super::{Status, output};
use crate::error::Result;

#[derive(Args)]
#[command(after_help = EXIT)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

const EXIT: &str = "Exit status: 0 all valid; 1 something is not; 2 wrong usage or nothing that can be checked.";

#[derive(Subcommand)]
enum What {
    /// Check an attestation: its signature, and the reports it speaks of
    Attestation(attestation::Arguments),
    /// Check CloudTrail's digests, their signatures and chain, and the logs they name, offline
    Cloudtrail(cloudtrail::Arguments),
    /// Check that a disclosed record is one of a case, without the rest of it
    Proof(proof::Arguments),
    /// Check the time stamp that an authority returned for a request (RFC 3161), offline
    Timestamp(timestamp::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    match &arguments.what {
        What::Attestation(arguments) => attestation::run(arguments),
        What::Proof(arguments) => proof::run(arguments),
        What::Timestamp(arguments) => timestamp::run(arguments),
        What::Cloudtrail(arguments) => cloudtrail::run(arguments),
    }
}
