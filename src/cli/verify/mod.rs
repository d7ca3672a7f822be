//! `holdtrace verify`: a file per kind of evidence that can be checked.

mod cloudtrail;

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
    /// Check CloudTrail's digests, their signatures and chain, and the logs they name, offline
    Cloudtrail(cloudtrail::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    match &arguments.what {
        What::Cloudtrail(arguments) => cloudtrail::run(arguments),
    }
}
