//! `holdtrace show`

use std::io::{self, IsTerminal as _};

use clap::Args;

use super::{Status, output};
use crate::error::{Error, Result};
use crate::evidence::{Limits, discover, find_records};
use crate::report::plain;

#[derive(Args)]
pub struct Arguments {
    /// The record's id, ev: and 16 hex digits (or more of its SHA-256)
    #[arg(value_name = "ev:...")]
    id: String,
    /// Files, folders, globs or URLs to look in
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Longest record that is read, in bytes
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_record)]
    max_record_bytes: usize,
    /// Only the record's bytes, as they are
    #[arg(long)]
    raw: bool,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let digits = arguments.id.strip_prefix("ev:").unwrap_or(&arguments.id).to_ascii_lowercase();
    if digits.len() < 8 || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let reason = "not a record id; expected ev: and 16 hex digits, as the reports print them".to_owned();
        return Err(Error::Record { id: arguments.id.clone(), reason });
    }
    let limits = Limits { max_record: arguments.max_record_bytes, ..Limits::default() };
    let discovery = discover(&arguments.paths)?;
    let found = find_records(&discovery.inputs, &digits, limits)?;
    if found.is_empty() {
        let reason = format!("no record in these {} files has this hash", discovery.inputs.len());
        return Err(Error::Record { id: arguments.id.clone(), reason });
    }
    let shown = io::stdout().is_terminal();
    output::data(None, |out| {
        for record in &found {
            if !arguments.raw {
                output::written(write!(
                    out,
                    "file    {}\nrecord  {}\noffset  {}\nlength  {}\nsha256  {} (checked now)\n\n",
                    plain(&record.file),
                    record.at.record,
                    record.at.offset,
                    record.at.length,
                    record.digest
                ))?;
            }
            // A terminal obeys control characters in evidence; a file or pipe gets the bytes as they are.
            if shown && !arguments.raw {
                output::written(out.write_all(plain(&String::from_utf8_lossy(&record.bytes)).as_bytes()))?;
            } else {
                output::written(out.write_all(&record.bytes))?;
            }
            if !arguments.raw {
                output::written(out.write_all(b"\n\n"))?;
            }
        }
        Ok(())
    })?;
    Ok(Status::Done)
}
