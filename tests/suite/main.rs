//! Tests through the real binary, and properties of the stages.
#![allow(
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "tests say what they skip, and build values in place"
)]

mod archives_in_parts;
mod bad_input;
mod classes;
mod containers;
mod determinism;
mod documents;
mod exhaustion;
mod labelled;
mod outputs;
mod packing;
mod parts;
mod policies;
mod properties;
mod real_logs;
mod rule_packs;
mod security;
mod spelling;
mod support;
