//! Reports on many archives: one page each, an index over all of them, and what is kept so that an archive which has not
//! changed is not read again.

mod index;
mod inputs;
mod stored;

pub use index::{Entry, Index, Made, State};
pub use inputs::{Inputs, Known, Manner, inputs_of};
pub use stored::{Counts, Past, Stored};

use crate::evidence::{Digest, is_hostile};

/// Letters of an archive's name that its folder's name keeps.
const KEPT: usize = 40;

/// The name of an archive: the path as it was given, without what does not tell it from others.
#[must_use]
pub fn archive_name(path: &str) -> String {
    let path = path.strip_prefix("./").filter(|rest| !rest.is_empty()).unwrap_or(path);
    let short = path.trim_end_matches('/');
    if short.is_empty() { path.to_owned() } else { short.to_owned() }
}

/// The name of the folder that an archive's report goes to: readable, harmless, and another for each archive.
#[must_use]
pub fn folder_name(archive: &str) -> String {
    let last = archive.rsplit('/').next().unwrap_or(archive);
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    let readable: String = last.chars().filter(|c| !is_hostile(*c)).take(KEPT).map(kept).collect();
    let digest = Digest::of(archive.as_bytes()).to_string();
    let readable = readable.trim_matches('-');
    if readable.is_empty() { digest[..12].to_owned() } else { format!("{readable}-{}", &digest[..8]) }
}
