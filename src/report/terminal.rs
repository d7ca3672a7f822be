//! Text for people: evidence made safe to show, colours, words kept whole at the ends of lines.

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::classify::Class;
use crate::evidence::is_hostile;

/// How text for people is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub width: u16,
    pub colour: bool,
}

pub const STRONG: Style = Style::new().bold();
pub const FAINT: Style = Style::new().dimmed();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
pub const CHANGED: Style = AnsiColor::Yellow.on_default().bold();
pub const ID: Style = AnsiColor::Cyan.on_default();

impl Look {
    /// No colours, and lines as long as they are.
    pub const PLAIN: Self = Self { width: u16::MAX, colour: false };

    /// `text` in `style`, where there are colours. Text from evidence goes through [`plain`] first.
    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// The colour of a class.
#[must_use]
pub fn of_class(class: Class) -> AnsiColor {
    match class {
        Class::ScopeCollision => AnsiColor::Magenta,
        Class::SyncRace => AnsiColor::Yellow,
        Class::PolicyMismatch => AnsiColor::Red,
        Class::OtherCause => AnsiColor::Blue,
        Class::Inconclusive => AnsiColor::Cyan,
    }
}

/// `text` in lines of at most `width` columns. A word, and so an id, is broken only where it is longer than a line.
#[must_use]
pub fn lines(text: &str, width: usize) -> Vec<String> {
    hanging(text, width, "")
}

/// The same, with all lines but the first indented.
#[must_use]
pub fn hanging(text: &str, width: usize, indent: &str) -> Vec<String> {
    let options = Options::new(width)
        .subsequent_indent(indent)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

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

/// `text` as a word of a command to copy, or `instead` where a shell would not take it as it is.
#[must_use]
pub fn word<'a>(text: &'a str, instead: &'a str) -> &'a str {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_safe) { text } else { instead }
}
