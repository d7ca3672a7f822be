//! Tests through the real binary, and properties of the stages.
#![allow(
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "tests say what they skip, and build values in place"
)]

mod bad_input;
mod calibration;
mod classes;
mod determinism;
mod documents;
mod explain;
mod labelled;
mod outputs;
mod parts;
mod policies;
mod properties;
mod real_logs;
mod rule_packs;
mod security;
mod spelling;
mod support;
