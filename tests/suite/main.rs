//! Tests through the real binary, and properties of the stages.
#![allow(
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "tests say what they skip, and build values in place"
)]

mod advise;
mod amended;
mod any_bytes;
mod archives_in_parts;
mod attestations;
mod bad_input;
mod batch;
mod browser;
mod calibration;
mod case_analyze;
mod case_folder;
mod case_properties;
mod case_verify;
mod certificates;
mod classes;
mod clocks;
mod cloudtrail_bucket;
mod cloudtrail_chain;
mod cloudtrail_files;
mod cloudtrail_keys;
mod cloudtrail_properties;
mod containers;
mod corpus;
mod determinism;
mod documents;
mod drafts;
mod exchange;
mod exhaustion;
mod explain;
mod exports;
mod formats;
mod gaps;
mod genesys_jobs;
mod html;
mod identity;
mod invariance;
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
mod proofs;
mod properties;
mod real_logs;
mod redacted;
mod rotations;
mod rule_packs;
mod s3_access;
mod schemas;
mod sdk_logs;
mod security;
mod smallest_change;
mod spelling;
mod support;
mod timeline_terminal;
mod timestamps;
mod twins;
