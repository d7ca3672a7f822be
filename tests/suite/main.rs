//! Tests through the real binary, and properties of the stages.
#![allow(
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "tests say what they skip, and build values in place"
)]

mod amended;
mod bad_input;
mod classes;
mod clocks;
mod determinism;
mod documents;
mod formats;
mod genesys_jobs;
mod labelled;
mod outputs;
mod parts;
mod policies;
mod properties;
mod real_logs;
mod rotations;
mod rule_packs;
mod s3_access;
mod sdk_logs;
mod security;
mod spelling;
mod support;
mod twins;
