//! Names as they are written by different exporters, made one.

/// Longest folded path; longer names are nothing that is known.
const CAPACITY: usize = 64;

/// A member name or path with case, `_`, `-`, `.` and everything else that is not a letter or digit folded away:
/// `http.status`, `httpStatus` and `HTTP_STATUS` are all `httpstatus`.
#[derive(Clone, Copy)]
pub struct Folded {
    bytes: [u8; CAPACITY],
    length: usize,
    overflow: bool,
}

impl Folded {
    /// The empty path.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0, overflow: false }
    }

    /// This path with `name` under it.
    #[must_use]
    pub fn join(mut self, name: &str) -> Self {
        for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
            if self.length == CAPACITY {
                self.overflow = true;
                break;
            }
            self.bytes[self.length] = byte.to_ascii_lowercase();
            self.length += 1;
        }
        self
    }

    /// The folded text; empty where it is too long to be any known name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.overflow { "" } else { std::str::from_utf8(&self.bytes[..self.length]).unwrap_or("") }
    }
}

impl Default for Folded {
    fn default() -> Self {
        Self::new()
    }
}

/// `name` folded.
#[must_use]
pub fn fold(name: &str) -> Folded {
    Folded::new().join(name)
}
