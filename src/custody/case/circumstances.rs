//! Who acts, when, where and with which program.

use std::path::PathBuf;

use chrono::{DateTime, FixedOffset, Local, SecondsFormat, Timelike as _};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::evidence::{Place, Stream};

/// What the ledger says of each act besides the act itself. What is not known is null.
#[derive(Clone, Debug)]
pub struct Circumstances {
    pub who: Option<String>,
    pub host: Option<String>,
    pub tool: Program,
    /// The command line.
    pub command: Vec<String>,
    /// The folder it was given in, to which relative paths refer.
    pub folder: Option<String>,
    /// A time to be written instead of the clock's.
    at: Option<DateTime<FixedOffset>>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub version: String,
    /// SHA-256 of its file, hex.
    pub sha256: Option<String>,
}

impl Circumstances {
    /// Those of this process. `custodian` is who acts if it is not the user; `at` (RFC 3339), or else the variable
    /// `SOURCE_DATE_EPOCH` (seconds since 1970), is the time if it is not now.
    ///
    /// # Errors
    /// A time is none.
    pub fn of_this_process(custodian: Option<&str>, at: Option<&str>) -> Result<Self> {
        let folder = std::env::current_dir().ok().map(|folder| folder.display().to_string());
        let command = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        Ok(Self {
            who: custodian.map(str::to_owned).or_else(|| whoami::username().ok()),
            host: whoami::hostname().ok(),
            tool: Program::running(),
            command: command.collect(),
            folder,
            at: given_time(at)?,
        })
    }

    /// The time of an entry, RFC 3339 with the offset of the local zone. Nowhere else does the clock enter a file.
    pub(super) fn now(&self) -> String {
        let now = self.at.unwrap_or_else(|| Local::now().fixed_offset());
        let whole = now.nanosecond() == 0;
        now.to_rfc3339_opts(if whole { SecondsFormat::Secs } else { SecondsFormat::Micros }, true)
    }
}

fn given_time(at: Option<&str>) -> Result<Option<DateTime<FixedOffset>>> {
    let wrong = |what: &str, text: &str, expected: &str| Error::Usage {
        what: what.to_owned(),
        reason: format!("`{text}` is no time; give {expected}"),
    };
    if let Some(text) = at {
        let expected = "RFC 3339 with its zone (2026-03-02T10:00:00+01:00)";
        return DateTime::parse_from_rfc3339(text).map(Some).map_err(|_| wrong("--at", text, expected));
    }
    let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let time = text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let time = time.ok_or_else(|| wrong("SOURCE_DATE_EPOCH", &text, "seconds since 1970"))?;
    Ok(Some(time.fixed_offset()))
}

impl Program {
    fn running() -> Self {
        let hashed = |path: PathBuf| Stream::open(&Place::File(path.as_path().into())).and_then(Stream::finish).ok();
        let sha256 = std::env::current_exe().ok().and_then(hashed).map(|(digest, _)| digest.to_string());
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), sha256 }
    }
}
