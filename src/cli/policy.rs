//! `holdtrace policy`

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::analyze::moment;
use super::progress::Bar;
use super::{Status, output};
use crate::classify::policy::{Answer, Attached, Kind, Policies, Question, evaluate};
use crate::error::{Error, Result};
use crate::evidence::is_partial;
use crate::ingest::{AssumedZone, Options};
use crate::report::{Evidence, RuleText, add_on_record, attached, plain};

const REQUEST_HELP: &str = "The request, JSON: {\"principal\": ARN, AWS service or anonymous, \"action\", \"resource\", \
                            \"resource_account\", \"context\": {key: value or [values]}}; - for standard input";

#[derive(Args)]
pub struct Arguments {
    #[arg(long, value_name = "FILE", help = REQUEST_HELP)]
    request: PathBuf,
    /// Policy of the bucket, key or role (its trust policy), as it is or as AWS's commands print it
    #[arg(long, value_name = "FILE")]
    resource_policy: Option<PathBuf>,
    /// Identity policy of the caller (repeatable)
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Permissions boundary of the caller
    #[arg(long, value_name = "FILE")]
    boundary: Vec<PathBuf>,
    /// Policy that the caller's session was begun with
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    /// Service control policies of one level of the organisation, a document or a list of them (once per level)
    #[arg(long, value_name = "FILE")]
    scp: Vec<PathBuf>,
    /// Resource control policies of one level of the organisation, a document or a list of them (once per level)
    #[arg(long, value_name = "FILE")]
    rcp: Vec<PathBuf>,
    /// Policy of the VPC endpoint that the request came through
    #[arg(long, value_name = "FILE")]
    endpoint: Vec<PathBuf>,
    /// Take condition keys that the context does not give to be absent, as AWS does, instead of unknown
    #[arg(long)]
    strict: bool,
    /// Output format; by default text on a terminal, else json
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The time of the request (RFC 3339, or a date); policies in force then are taken from PATH
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Zone of times in PATH that carry none: an offset (+01:00) or a name (Europe/Berlin)
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    assume_tz: AssumedZone,
    /// Archives that policies not given in files are taken from
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// A request or policy in a file is no larger than this; AWS's own limits are some hundred times less.
const MAX_BYTES: u64 = 16 << 20;

pub fn run(arguments: &Arguments) -> Result<Status> {
    let at = moment("--at", arguments.at.as_ref())?;
    let files = files(arguments)?;
    let request = read(&arguments.request)?;
    let question = Question::parse(&request).map_err(|reason| wrong(&arguments.request, reason))?;
    let mut policies = given(arguments, &files)?;
    let mut status = Status::Done;
    if !arguments.paths.is_empty() {
        let reason = || "name the time of the request, at which the policies in PATH are looked up".to_owned();
        let at = at.ok_or_else(|| Error::Usage { what: "--at".to_owned(), reason: reason() })?;
        let (rules, bar) = (RuleText::built_in()?, Bar::new());
        let options = Options { zone: arguments.assume_tz, ..Options::default() };
        let evidence = Evidence::read(&arguments.paths, options, &rules, &bar);
        bar.finish();
        let evidence = evidence?;
        add_on_record(&evidence, &rules, &question, at, &mut policies)?;
        let files = &evidence.ingested.files;
        files.iter().filter(|f| f.rejected > 0 || f.records == 0).take(20).for_each(output::not_read);
        if is_partial(files) || !evidence.discovery.unreadable.is_empty() {
            status = Status::Partial;
        }
    }
    let answer = evaluate(&question, &policies, arguments.strict, at);
    let by_terminal = if io::stdout().is_terminal() { Format::Text } else { Format::Json };
    output::data(None, |out| match arguments.format.unwrap_or(by_terminal) {
        Format::Json => {
            serde_json::to_writer(&mut *out, &answer).map_err(|e| Error::Output(e.to_string()))?;
            output::written(writeln!(out))
        }
        Format::Text => output::written(out.write_all(text(&answer).as_bytes())),
    })?;
    Ok(status)
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::Usage { what: path.display().to_string(), reason }
}

/// The files that policies are given in, with their kinds and levels.
fn files(arguments: &Arguments) -> Result<Vec<(Kind, usize, &Path)>> {
    let single = [(Kind::Resource, &arguments.resource_policy), (Kind::Session, &arguments.session)];
    let many = [
        (Kind::Identity, &arguments.identity),
        (Kind::Boundary, &arguments.boundary),
        (Kind::Scp, &arguments.scp),
        (Kind::Rcp, &arguments.rcp),
        (Kind::Endpoint, &arguments.endpoint),
    ];
    let mut found: Vec<(Kind, usize, &Path)> =
        single.into_iter().filter_map(|(kind, path)| Some((kind, 0, path.as_deref()?))).collect();
    for (kind, paths) in many {
        found.extend(paths.iter().enumerate().map(|(level, path)| (kind, level, path.as_path())));
    }
    let all = found.iter().map(|(.., path)| *path).chain([arguments.request.as_path()]);
    if all.filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(wrong(Path::new("-"), "standard input can be read once; put the others into files".to_owned()));
    }
    Ok(found)
}

/// The policies in files.
fn given(arguments: &Arguments, files: &[(Kind, usize, &Path)]) -> Result<Policies> {
    let mut policies =
        Policies { scp_levels: arguments.scp.len(), rcp_levels: arguments.rcp.len(), ..Policies::default() };
    for (kind, level, path) in files {
        let found = documents(*kind, *level, path)?;
        if *kind == Kind::Resource && found.len() != 1 {
            return Err(wrong(path, format!("{} policies; a resource has one", found.len())));
        }
        policies.attached.extend(found);
    }
    Ok(policies)
}

fn documents(kind: Kind, level: usize, path: &Path) -> Result<Vec<Attached>> {
    let text = read(path)?;
    let value: Value = serde_json::from_slice(&text).map_err(|e| wrong(path, format!("no JSON: {e}")))?;
    attached(kind, level, &path.display().to_string(), &value).map_err(|reason| wrong(path, reason))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let failed = |e| Error::io(path, "reading it", e);
    if path.as_os_str() == "-" {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text)).map_err(failed)?;
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(path, format!("larger than {} MiB, which no request or policy is", MAX_BYTES >> 20)));
    }
    Ok(text)
}

fn text(answer: &Answer) -> String {
    let mut lines = vec![answer.decision.name().to_owned(), format!("  {}", answer.reason.replace('\n', "\\n"))];
    let mut list = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            lines.push(format!("{title}:"));
            // Texts of policies stay on their line.
            lines.extend(items.into_iter().map(|item| format!("  {}", item.replace('\n', "\\n"))));
        }
    };
    if answer.possible.len() > 1 {
        list("It may turn out to be", answer.possible.iter().map(|d| d.name().to_owned()).collect());
    }
    list("Condition keys that would tell", answer.missing_keys.clone());
    list("Not on record, and not counted", answer.not_on_record.clone());
    let unusable = answer.unusable.iter();
    list(
        "Statements that cannot be used",
        unusable.map(|u| format!("{} {}, statement {}: {}", u.policy, u.file, u.statement, u.reason)).collect(),
    );
    list("Note", answer.notes.clone());
    let policies = answer.policies.iter().map(|policy| {
        let part =
            |word: &str, value: &Option<String>| value.as_ref().map(|v| format!(" {word} {v}")).unwrap_or_default();
        let (record, since) = (part("record", &policy.record), part("since", &policy.since));
        format!("{} {}{record}{since}{}", policy.policy, policy.file, part("by", &policy.changed_by))
    });
    list("Policies", policies.collect());
    plain(&(lines.join("\n") + "\n"))
}
