//! The command line: one file per subcommand. Only this module prints.

mod analyze;
mod evaluate;
mod explain;
mod ingest;
mod output;
mod progress;
mod rules;
mod show;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::evidence::Limits;
use crate::ingest::{AssumedZone, Options};
use crate::report::RuleText;

/// How a run ended (DESIGN section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Done.
    Done = 0,
    /// Done, but some input could not be read; the ledger says what.
    Partial = 1,
    /// Wrong usage, or nothing readable.
    Unusable = 2,
    /// Done, and `--fail-on` met its class.
    Met = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

#[derive(Parser)]
#[command(
    version,
    about = "Explains why bulk exports of call recordings under legal hold failed, from the exported audit logs alone",
    after_help = "Exit status: 0 done; 1 done, but some input could not be read; 2 wrong usage or nothing readable; \
                  3 done, and --fail-on met that class."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find the failed exports and say why each failed
    Analyze(analyze::Arguments),
    /// Read logs into a folder of parts (Parquet), which all commands take in place of the logs
    Ingest(ingest::Arguments),
    /// Show every record of a job from every source, in order of time
    Timeline(timeline::Arguments),
    /// Explain a verdict: facts, reading, doubts, alternatives, what it hangs on, what to collect next
    Explain(explain::Arguments),
    /// Show the raw bytes of a record and check its hash again
    Show(show::Arguments),
    /// Print the built-in rule pack; list, show and check rules
    Rules(rules::Arguments),
    /// Compare the verdicts on labelled archives with the truth: by class, by support, by margin
    Evaluate(evaluate::Arguments),
}

/// What is read, and how.
#[derive(Args)]
struct Inputs {
    /// Files, folders, globs, folders of parts, - for standard input, or s3://, gs://, az:// if built with object-store;
    /// packed with gzip or zstd or not
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Zone of times that carry none: an offset (+01:00) or a name (Europe/Berlin)
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    assume_tz: AssumedZone,
    /// Longest record that is read, in bytes; a longer one is rejected
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_record)]
    max_record_bytes: usize,
    /// Threads to read and parse with; by default as many as there are cores
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Inputs {
    fn options(&self) -> Options {
        Options { zone: self.assume_tz, limits: Limits { max_record: self.max_record_bytes, ..Limits::default() } }
    }

    fn set_threads(&self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        built.map_err(|e| Error::Usage { what: "--threads".to_owned(), reason: e.to_string() })
    }
}

/// What all subcommands that classify share.
#[derive(Args)]
struct Reading {
    #[command(flatten)]
    inputs: Inputs,
    /// Rule pack to lay over the built-in one; repeatable, a later one changes what earlier ones say
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
}

impl Reading {
    fn rules(&self) -> Result<RuleText> {
        rules::layered(&self.rules)
    }
}

/// Parses the arguments, runs the subcommand, says what went wrong.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Status::Unusable.into() } else { Status::Done.into() };
        }
    };
    let result = match cli.command {
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Ingest(arguments) => ingest::run(&arguments),
        Command::Timeline(arguments) => timeline::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            output::message(&format!("holdtrace: {error}"));
            Status::Unusable.into()
        }
    }
}
