//! Custody: what lets others check evidence again without trusting this program.
//!
//! Nothing here says why an export failed, and nothing is ever written.

pub mod cloudtrail;
