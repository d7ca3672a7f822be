//! A progress bar on standard error, only where that is a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::{Progress, plain};

/// Shows bytes read.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar, invisible where nobody watches.
    pub fn new() -> Self {
        Self::of("")
    }

    /// A bar that says what is being read.
    pub fn of(what: &str) -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{prefix}reading {bytes} of {total_bytes} {wide_bar} {eta}") {
            bar.set_style(style);
        }
        bar.set_prefix(plain(what));
        Self(bar)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn total(&self, bytes: u64) {
        self.0.set_length(bytes);
    }

    fn done(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}
