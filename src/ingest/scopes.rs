//! Lists of scopes and permissions as they are written.

use std::collections::BTreeSet;

/// The scopes in `text`, separated by spaces, commas, semicolons or bars, possibly in brackets or quotes.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '[' | ']' | '"' | '\''))
        .filter(|scope| !scope.is_empty())
}

/// One text for a set of scopes: sorted, each once, separated by spaces.
#[must_use]
pub fn canonical<'a>(scopes: impl IntoIterator<Item = &'a str>) -> String {
    let set: BTreeSet<&str> = scopes.into_iter().map(str::trim).filter(|s| !s.is_empty()).collect();
    set.into_iter().collect::<Vec<_>>().join(" ")
}
