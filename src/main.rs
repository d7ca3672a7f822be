//! The command line of holdtrace.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    holdtrace::cli::run()
}
