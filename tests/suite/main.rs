//! Tests through the real binary, and properties of the stages.

mod bad_input;
mod classes;
mod determinism;
mod documents;
mod labelled;
mod outputs;
mod policies;
mod properties;
mod real_logs;
mod rule_packs;
mod security;
mod spelling;
mod support;
