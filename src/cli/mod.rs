//! The command line: one file per subcommand. Only this module prints.

mod advise;
mod analyze;
mod attest;
mod case;
mod certificate;
mod evaluate;
mod explain;
mod ingest;
mod look;
mod map;
mod output;
mod policy;
mod progress;
mod prove;
mod report;
mod rules;
mod show;
mod timeline;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::evidence::{Bounds, Limits};
use crate::ingest::{AssumedZone, Mapping, Options};
use crate::report::RuleText;

/// How a run ended (DESIGN section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Done.
    Done = 0,
    /// Done, but some input could not be read; the ledger says what. Of `verify`: something is not valid.
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
    /// Report on many archives: a page each, an index over all, trends between runs; what has not changed is not read again
    Report(report::Arguments),
    /// Say how long holds and conflicts take, which retries are enough, which hours to avoid, which permissions steps need
    Advise(advise::Arguments),
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
    /// Draft and check mappings, by which files of other sources are read (--map)
    #[command(subcommand)]
    Map(map::Command),
    /// Decide one request by AWS policies: given in files, or in force in an archive at a time
    Policy(policy::Arguments),
    /// Compare the verdicts on labelled archives with the truth: by class, by support, by margin
    Evaluate(evaluate::Arguments),
    /// Sign what reports rest on (in-toto, DSSE), and write requests for trusted time stamps (RFC 3161)
    Attest(attest::Arguments),
    /// Disclose a single record of a case, with the proof that it is one of them
    Prove(prove::Arguments),
    /// Draft a certification of a case under US Federal Rules of Evidence 902(13) and (14), with a table of custody, for a
    /// person to complete and sign
    Certificate(certificate::Arguments),
    /// Make a case: evidence, reports, rules and a ledger of every act in one folder
    #[command(subcommand)]
    Case(case::Command),
    /// Check that a case and its evidence are what they were, without trusting who keeps them
    Verify(verify::Arguments),
}

/// What is read, and how.
#[derive(Args)]
struct Inputs {
    /// Files, folders, globs, folders of parts, - for standard input, or s3://, gs://, az:// if built with object-store;
    /// packed with gzip or zstd or not, Parquet, and tar and zip archives of such files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Zone of times that carry none: an offset (+01:00) or a name (Europe/Berlin)
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    assume_tz: AssumedZone,
    #[command(flatten)]
    most: Most,
    #[command(flatten)]
    maps: Maps,
    /// Threads to read and parse with; by default as many as there are cores
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The mappings that are given.
#[derive(Args)]
struct Maps {
    /// Mapping file for CSV, JSON or Parquet of other sources (repeatable; the first that fits a file is taken)
    #[arg(long, value_name = "FILE")]
    map: Vec<PathBuf>,
}

impl Maps {
    fn read(&self) -> Result<Vec<Mapping>> {
        self.map.iter().map(|path| Mapping::read(path)).collect()
    }
}

impl Inputs {
    fn options<'m>(&self, mappings: &'m [Mapping]) -> Options<'m> {
        let (limits, bounds) = (self.most.limits(), self.most.bounds());
        Options { zone: self.assume_tz, limits, bounds, mappings, ..Options::default() }
    }

    fn set_threads(&self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        built.map_err(|e| Error::Usage { what: "--threads".to_owned(), reason: e.to_string() })
    }
}

/// How much is read at most: evidence may be made to exhaust whoever reads it.
#[derive(Args)]
struct Most {
    /// Longest record that is read, in bytes; a longer one is rejected
    #[arg(long = "max-record-bytes", value_name = "N", default_value_t = Limits::default().max_record)]
    record_bytes: usize,
    /// How many times its size a file may unpack to, with all that is in it (256 MiB are always allowed)
    #[arg(long = "max-expansion", value_name = "N", default_value_t = Bounds::default().expansion)]
    expansion: u64,
    /// Bytes of temporary disk that unpacking one archive may take
    #[arg(long = "max-unpacked-bytes", value_name = "N", default_value_t = Bounds::default().unpacked)]
    unpacked_bytes: u64,
    /// Members that one archive may hold, with those of archives in it
    #[arg(long = "max-members", value_name = "N", default_value_t = Bounds::default().members)]
    members: u64,
    /// How many archives may lie in one another
    #[arg(long = "max-depth", value_name = "N", default_value_t = Bounds::default().depth)]
    depth: u32,
}

impl Most {
    fn limits(&self) -> Limits {
        Limits { max_record: self.record_bytes, ..Limits::default() }
    }

    fn bounds(&self) -> Bounds {
        Bounds { expansion: self.expansion, unpacked: self.unpacked_bytes, members: self.members, depth: self.depth }
    }
}

/// What all subcommands that classify share.
#[derive(Args)]
struct Reading {
    #[command(flatten)]
    inputs: Inputs,
    /// Rule pack to lay over the built-in one; repeatable, a later one changes what earlier ones say, and with
    /// `alone = true` takes their place
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
        Command::Report(arguments) => report::run(&arguments),
        Command::Advise(arguments) => advise::run(&arguments),
        Command::Ingest(arguments) => ingest::run(&arguments),
        Command::Timeline(arguments) => timeline::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Map(command) => map::run(&command),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Attest(arguments) => attest::run(&arguments),
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Certificate(arguments) => certificate::run(&arguments),
        Command::Case(command) => case::run(&command),
        Command::Verify(arguments) => verify::run(&arguments),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            output::message(&format!("holdtrace: {error}"));
            Status::Unusable.into()
        }
    }
}
