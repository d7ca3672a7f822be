//! Custody: what lets others check evidence and reports again without trusting this program.
//!
//! Nothing here says why an export failed, and nothing is ever written into evidence.

pub mod attest;
pub mod case;
pub mod certificate;
mod check;
pub mod cloudtrail;
pub mod merkle;
pub mod timestamp;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

pub use check::{Check, CheckStatus};

use crate::error::{Error, Result};

/// The bytes of a small file; one of more than `most` bytes is refused.
///
/// # Errors
/// It cannot be read or is larger.
pub fn read_at_most(path: &Path, action: &'static str, most: u64) -> Result<Vec<u8>> {
    let failed = |e| Error::io(path, action, e);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(failed(std::io::Error::other(format!("it is larger than {most} bytes, which no such file is"))));
    }
    Ok(bytes)
}
