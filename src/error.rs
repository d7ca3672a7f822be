//! What can go wrong, said in one sentence each: what, where, what was expected, what to do.

use std::path::PathBuf;

/// Every failure the library returns. Unreadable *records* are not errors: they are counted in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: no such file or folder; check the spelling, or quote a glob so that holdtrace expands it")]
    MissingPath { path: String },
    #[error("{pattern}: not a valid glob ({reason}); `*`, `?`, `[a-z]` and `**` are understood")]
    BadGlob { pattern: String, reason: String },
    #[error("{path}: the folder holds no files; name the folder into which the logs were exported")]
    EmptyFolder { path: String },
    #[error("nothing readable in the {files} input file(s): {detail}")]
    NothingReadable { files: usize, detail: String },
    #[error("{path}: {action} failed: {source}")]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    #[error(
        "{path}: record {record} at offset {offset} is not what it was a moment ago; the file changes while it is being \
         analysed, work on a copy that nothing writes to"
    )]
    Changed { path: String, record: u64, offset: u64 },
    #[error("{reason}")]
    Parts { reason: String },
    #[error("{origin}: {reason}")]
    RulePack { origin: String, reason: String },
    #[error("{origin}: {reason}")]
    Mapping { origin: String, reason: String },
    #[error("{what}: {reason}")]
    Usage { what: String, reason: String },
    #[error("{id}: {reason}")]
    Record { id: String, reason: String },
    #[error("the {stage} stage could not be computed: {source}; this is a defect of holdtrace, please report it")]
    Frame { stage: &'static str, source: polars::error::PolarsError },
    #[error("the report could not be written: {0}; if the disk is full, make room and run it again")]
    Output(String),
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an I/O failure with the path and what was being done.
    pub fn io(path: impl Into<PathBuf>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), action, source }
    }

    /// Wraps a dataframe failure with the stage it happened in.
    pub fn frame(stage: &'static str) -> impl Fn(polars::error::PolarsError) -> Self {
        move |source| Self::Frame { stage, source }
    }
}
