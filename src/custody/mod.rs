//! Custody: what lets others check evidence again without trusting this program.
//!
//! Nothing here says why an export failed, and nothing is ever written into evidence.

pub mod case;
pub mod cloudtrail;
