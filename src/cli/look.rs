//! How wide and how coloured output for people is.

use std::io;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};

use crate::report::Look;

/// Columns where there is no terminal.
const PIPED: u16 = 80;
/// Columns that can be laid out.
const WIDTHS: std::ops::RangeInclusive<u16> = 60..=240;

#[derive(Args)]
pub struct Looks {
    /// Colours in output for people; auto: on a terminal, unless `NO_COLOR` is set, or anywhere if `CLICOLOR_FORCE` is
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    color: When,
    /// Columns of output for people, 60 to 240; by default those of the terminal, in files and pipes 80
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(i64::from(*WIDTHS.start())..=i64::from(*WIDTHS.end())))]
    width: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl Looks {
    /// How to show what goes to standard output, or to a file.
    pub fn look(&self, to_file: bool) -> Look {
        let width = self.width.unwrap_or_else(|| if to_file { PIPED } else { width() });
        let colour = match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !to_file && AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        };
        Look { width, colour }
    }
}

/// The terminal's width, or 80 columns where there is none.
pub fn width() -> u16 {
    comfy_table::Table::new().width().unwrap_or(PIPED).clamp(*WIDTHS.start(), *WIDTHS.end())
}
