//! Data inside the page: JSON that no text from evidence can break out of, plain or packed.

use std::fmt::{self, Write as _};
use std::io::Write;

use askama::filters::{Escaper, Html};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde::Serialize;

use super::super::terminal::plain;
use crate::error::{Error, Result};
use crate::evidence::is_hostile;

/// Escapes text for HTML, and makes characters visible that reorder or hide text.
#[derive(Clone, Copy)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, text: &str) -> fmt::Result {
        Html.write_escaped_str(dest, &plain(text))
    }
}

fn failed(error: impl Into<std::io::Error>) -> Error {
    Error::Output(error.into().to_string())
}

/// JSON in which nothing can end a script element, begin a comment, or reorder what is read in the source.
fn safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(safe, "\\u{:04x}", c as u32);
            }
            // All of them are of the basic plane.
            c if is_hostile(c) => {
                let _ = write!(safe, "\\u{:04x}", c as u32);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Writes a value as a data element.
///
/// # Errors
/// The output cannot be written.
pub fn json(out: &mut dyn Write, id: &str, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(failed)?;
    writeln!(out, r#"<script type="application/json" id="{id}">{}</script>"#, safe(&text)).map_err(failed)
}

/// A list of values, one a line.
#[derive(Default)]
pub struct List(String);

impl List {
    /// Adds a value.
    ///
    /// # Errors
    /// It is none that JSON has.
    pub fn push(&mut self, value: &impl Serialize) -> Result<()> {
        self.0.push_str(if self.0.is_empty() { "" } else { ",\n" });
        self.0.push_str(&safe(&serde_json::to_string(value).map_err(failed)?));
        Ok(())
    }

    /// Writes the list as a data element.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&self, out: &mut dyn Write, id: &str) -> Result<()> {
        writeln!(out, "<script type=\"application/json\" id=\"{id}\">[\n{}]</script>", self.0).map_err(failed)
    }
}

/// JSON that is unpacked when it is needed: gzip, in base64.
pub struct Packed(GzEncoder<Vec<u8>>);

impl Packed {
    /// Nothing yet. No time is written into it, so that the same data are the same bytes.
    #[must_use]
    pub fn new() -> Self {
        Self(GzBuilder::new().write(Vec::new(), Compression::default()))
    }

    /// Adds a value.
    ///
    /// # Errors
    /// It is none that JSON has.
    pub fn add(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, value).map_err(failed)
    }

    /// Writes it as a data element.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(self, out: &mut dyn Write, id: &str) -> Result<()> {
        let packed = BASE64_STANDARD.encode(self.0.finish().map_err(failed)?);
        writeln!(out, r#"<script type="application/gzip+base64" id="{id}">{packed}</script>"#).map_err(failed)
    }
}
