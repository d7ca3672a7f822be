//! Making text from evidence safe to show.

use crate::evidence::is_hostile;

/// `text` with control characters and marks that reorder text made visible: evidence is hostile, and a terminal obeys
/// what it is sent.
#[must_use]
pub fn plain(text: &str) -> String {
    let hostile = |c: char| c != '\n' && is_hostile(c);
    if !text.contains(hostile) {
        return text.to_owned();
    }
    text.chars().map(|c| if hostile(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// A name from evidence on a line of its own: the same without ends of lines, with which it could forge other lines.
#[must_use]
pub fn name(text: &str) -> String {
    plain(text).replace('\n', "\\n")
}
