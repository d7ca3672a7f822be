//! Tests through the real binary, and properties of the stages.
#![allow(
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "tests say what they skip, and build values in place"
)]

mod advise;
mod amended;
mod archives_in_parts;
mod bad_input;
mod classes;
mod clocks;
mod cloudtrail_bucket;
mod cloudtrail_chain;
mod cloudtrail_files;
mod cloudtrail_keys;
mod cloudtrail_properties;
mod containers;
mod determinism;
mod documents;
mod drafts;
mod exchange;
mod exhaustion;
mod exports;
mod formats;
mod gaps;
mod genesys_jobs;
mod identity;
mod labelled;
mod mapped;
mod outputs;
mod packing;
mod parquet;
mod parts;
mod policies;
mod policy_command;
mod policy_properties;
mod policy_table;
mod properties;
mod real_logs;
mod rotations;
mod rule_packs;
mod s3_access;
mod schemas;
mod sdk_logs;
mod security;
mod spelling;
mod support;
mod twins;
