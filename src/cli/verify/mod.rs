//! `holdtrace verify`: a case, and a file per kind of evidence that can be checked.

mod attestation;
mod case;
mod checks;
mod cloudtrail;
mod proof;
mod timestamp;

use clap::{Args, Subcommand};

use super::{Status, output};
use crate::error::Result;

#[derive(Args)]
#[command(after_help = EXIT, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    case: Option<case::CaseArguments>,
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
    match (&arguments.what, &arguments.case) {
        (Some(What::Attestation(arguments)), _) => attestation::run(arguments),
        (Some(What::Cloudtrail(arguments)), _) => cloudtrail::run(arguments),
        (Some(What::Proof(arguments)), _) => proof::run(arguments),
        (Some(What::Timestamp(arguments)), _) => timestamp::run(arguments),
        (None, Some(arguments)) => case::run(arguments),
        (None, None) => Err(crate::error::Error::Usage {
            what: "verify".to_owned(),
            reason: "name a case, or what is to be checked".to_owned(),
        }),
    }
}
