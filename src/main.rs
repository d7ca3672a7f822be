//! The command line of holdtrace.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Chosen by measurement: see docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdtrace::cli::run()
}
