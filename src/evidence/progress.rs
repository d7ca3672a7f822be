//! Telling whoever waits how far reading has come.

/// Hears of the progress of reading.
pub trait Progress: Sync {
    /// Bytes that there are to read.
    fn total(&self, bytes: u64);
    /// Bytes of files that are done with.
    fn done(&self, bytes: u64);
}

/// Nobody listens.
impl Progress for () {
    fn total(&self, _: u64) {}
    fn done(&self, _: u64) {}
}
