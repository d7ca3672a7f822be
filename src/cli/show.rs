//! `holdtrace show`

use std::io::{self, IsTerminal as _};

use clap::Args;

use super::{Maps, Most, Status, output};
use crate::error::{Error, Result};
use crate::evidence::{Encoding, Framer, Input, discover, find_records};
use crate::ingest::recognise;
use crate::report::plain;

#[derive(Args)]
pub struct Arguments {
    /// The record's id, ev: and 16 hex digits (or more of its SHA-256)
    #[arg(value_name = "ev:...")]
    id: String,
    /// Files, folders, globs, folders of parts or URLs to look in
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    most: Most,
    #[command(flatten)]
    maps: Maps,
    /// Only the record's bytes, as they are
    #[arg(long)]
    raw: bool,
}

/// The hex digits of a record id.
pub fn digits(id: &str) -> Result<String> {
    let digits = id.strip_prefix("ev:").unwrap_or(id).to_ascii_lowercase();
    if digits.len() < 8 || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let reason = "not a record id; expected ev: and 16 hex digits, as the reports print them".to_owned();
        return Err(Error::Record { id: id.to_owned(), reason });
    }
    Ok(digits)
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let digits = digits(&arguments.id)?;
    let (limits, bounds) = (arguments.most.limits(), arguments.most.bounds());
    let mut discovery = discover(&arguments.paths)?;
    discovery.unpack(bounds)?;
    let mappings = arguments.maps.read()?;
    let shape_of =
        |input: &Input, framer: &Framer, encoding: Encoding| recognise(&input.label, framer, encoding, &mappings).shape;
    let mut found = find_records(&discovery.inputs, &digits, (limits, bounds), &shape_of)?;
    if arguments.raw && found.iter().any(|record| record.bytes.is_some()) {
        found.retain(|record| record.bytes.is_some());
    }
    if found.is_empty() {
        let reason = format!("no record in these {} files has this hash", discovery.inputs.len());
        return Err(Error::Record { id: arguments.id.clone(), reason });
    }
    if let Some(record) = found.first().filter(|record| arguments.raw && record.bytes.is_none()) {
        let reason = format!("a part keeps no raw bytes; those of this record lie in {}, name it as well", record.file);
        return Err(Error::Record { id: arguments.id.clone(), reason });
    }
    let shown = io::stdout().is_terminal();
    output::data(None, |out| {
        for record in &found {
            if !arguments.raw {
                let how = if record.bytes.is_some() { "checked now" } else { "as it was ingested" };
                output::written(write!(
                    out,
                    "file    {}\nrecord  {}\noffset  {}\nlength  {}\nsha256  {} ({how})\n\n",
                    plain(&record.file),
                    record.at.record,
                    record.at.offset,
                    record.at.length,
                    record.digest
                ))?;
            }
            let Some(bytes) = &record.bytes else {
                let file = plain(&record.file);
                output::written(writeln!(
                    out,
                    "A part keeps no raw bytes; to see and check them, name {file} as well.\n"
                ))?;
                continue;
            };
            // A terminal obeys control characters in evidence; a file or pipe gets the bytes as they are.
            if shown && !arguments.raw {
                output::written(out.write_all(plain(&String::from_utf8_lossy(bytes)).as_bytes()))?;
            } else {
                output::written(out.write_all(bytes))?;
            }
            if !arguments.raw {
                output::written(out.write_all(b"\n\n"))?;
            }
        }
        Ok(())
    })?;
    Ok(Status::Done)
}
