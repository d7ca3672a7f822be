//! holdtrace explains why bulk exports of call recordings under legal hold failed, from the exported audit logs alone.
//!
//! The data flows one way: [`evidence`] finds files and cuts them into records, [`ingest`] reads the records of every
//! source into one frame of events, [`correlate`] finds the failures among them, [`classify`] weighs the evidence on
//! each, [`report`] writes down the result. [`analyze`] runs all of it; the command line in [`cli`] is one caller.
//! [`custody`] stands beside: it checks that evidence is what it was. [`spill`] lies below: what may not fit into memory.
#![forbid(unsafe_code)]

pub mod classify;
pub mod cli;
pub mod correlate;
pub mod custody;
pub mod error;
pub mod evidence;
#[doc(hidden)]
pub mod fuzzing;
pub mod ingest;
pub mod parts;
pub mod report;
pub mod spill;

pub use error::{Error, Result};
pub use report::{Analysis, analyze};
