//! How members are named: one spelling for each, whatever is in the name.

use std::fmt::Write as _;

/// What stands between the name of a container and that of a member.
pub const BETWEEN: &str = "!/";

/// The longest name that is taken, in bytes; no file system allows longer ones.
pub const LONGEST: usize = 4096;

/// The name of a member in reports: as it is, except that
///
/// - parts that are `.` or empty are left out, a slash at the start is `\/`, and a part `..` is `\..`;
/// - a backslash is `\\`, and `!` before a slash is `\!`, because `!/` stands between a container and its member;
/// - control characters and marks that reorder text are `\u{..}`, bytes that are not UTF-8 `\x..`.
pub fn spelled(name: &[u8]) -> String {
    let mut spelled = String::with_capacity(name.len());
    if name.first() == Some(&b'/') {
        spelled.push_str("\\/");
    }
    let mut parts = name.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let (text, bang) = match part.split_last() {
            Some((b'!', text)) if !last => (text, "\\!"),
            _ => (part, ""),
        };
        if part == b".." {
            spelled.push('\\');
        }
        spell(text, &mut spelled);
        spelled.push_str(bang);
        if !last {
            spelled.push('/');
        }
    }
    // A name of nothing at all is none either.
    if spelled.is_empty() { "\\.".to_owned() } else { spelled }
}

/// The `nth` member of a name, where several share it.
pub fn repeated(spelled: &str, nth: usize) -> String {
    if nth == 1 { spelled.to_owned() } else { format!("{spelled}\\#{nth}") }
}

fn spell(bytes: &[u8], into: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => into.push_str("\\\\"),
                c if is_hostile(c) => into.extend(c.escape_unicode()),
                c => into.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(into, "\\x{byte:02x}");
        }
    }
}

/// Whether a terminal or a reader may be misled by this character: control characters, ends of lines, marks that
/// reorder text or show as nothing.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::spelled;

    #[test]
    fn every_name_has_one_spelling() {
        for (name, expected) in [
            (&b"dir/a.json"[..], "dir/a.json"),
            (b"./dir//./a.json", "dir/a.json"),
            (b"/etc/passwd", "\\/etc/passwd"),
            (b"../../a", "\\../\\../a"),
            (b"..a/b..", "..a/b.."),
            (b"a!/b!", "a\\!/b!"),
            (b"dir\\a", "dir\\\\a"),
            (b"a\x1b[2J\xe2\x80\xae", "a\\u{1b}[2J\\u{202e}"),
            (b"gr\xfcn\xc3\xbc", "gr\\xfcnü"),
            (b"", "\\."),
        ] {
            assert_eq!(spelled(name), expected);
        }
    }
}
