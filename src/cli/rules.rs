//! `holdtrace rules`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::progress::Bar;
use super::{Status, output};
use crate::classify::{
    Cause, DEFAULT_PACK, Evidence, FEATURES, GROUPS, Rule, Severity, Source, Standing, condition, lint,
};
use crate::error::{Error, Result};
use crate::ingest::Options;
use crate::report::{self, RuleText, Selection, plain};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List the rules in force
    List {
        #[command(flatten)]
        packs: Packs,
        /// Output format; by default a table on a terminal, else ndjson
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Show one rule: what it asks, what it says, why, and its examples
    Show {
        /// The rule's id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        packs: Packs,
    },
    /// Check packs: run the examples of all rules, look for conditions that nothing meets
    Check {
        /// Packs, laid over the built-in one in this order
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Name the rules that apply to nothing in this archive
        #[arg(long, value_name = "PATH", num_args = 1..)]
        on: Vec<String>,
    },
}

#[derive(Args)]
struct Packs {
    /// Rule pack to lay over the built-in one; repeatable, a later one changes what earlier ones say, and with
    /// `alone = true` takes their place
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object per rule
    Ndjson,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    match &arguments.command {
        None => {
            output::data(None, |out| output::written(out.write_all(DEFAULT_PACK.as_bytes())))?;
            Ok(Status::Done)
        }
        Some(Command::List { packs, format }) => list(&layered(&packs.rules)?, *format),
        Some(Command::Show { id, packs }) => show(&layered(&packs.rules)?, id),
        Some(Command::Check { files, on }) => check(files, on),
    }
}

/// The packs at `paths`, laid over the built-in one and checked.
pub fn layered(paths: &[PathBuf]) -> Result<RuleText> {
    if paths.is_empty() {
        return RuleText::built_in();
    }
    with_sources(paths, RuleText::layered)
}

fn with_sources<T>(paths: &[PathBuf], of: impl FnOnce(&[Source<'_>]) -> Result<T>) -> Result<T> {
    let read = |path: &PathBuf| -> Result<(String, String)> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "reading the rule pack", e))?;
        Ok((text, path.display().to_string()))
    };
    let texts: Vec<(String, String)> = paths.iter().map(read).collect::<Result<_>>()?;
    let sources: Vec<Source<'_>> = texts.iter().map(|(text, origin)| Source { text, origin }).collect();
    of(&sources)
}

/// A rule in a list.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    /// Null where it only says how far the evidence is to be relied on.
    class: Option<Cause>,
    mechanism: Option<&'a str>,
    evidence: Evidence,
    weight: f64,
    standing: Standing,
    enabled: bool,
    when: &'a str,
    statement: &'a str,
    examples: usize,
    /// The layers that speak of it.
    layers: Vec<&'a str>,
}

impl<'a> Listed<'a> {
    fn of(rules: &'a RuleText, rule: &'a Rule) -> Self {
        let layers = rules.of_rule.get(&rule.id).into_iter().flatten();
        Self {
            id: &rule.id,
            class: rule.class,
            mechanism: rule.mechanism.as_deref(),
            evidence: rule.evidence,
            weight: rule.weight,
            standing: rule.standing,
            enabled: rule.enabled,
            when: &rule.when,
            statement: &rule.statement,
            examples: rule.examples.len(),
            layers: layers.map(|n| rules.layers[*n].name.as_str()).collect(),
        }
    }
}

fn list(rules: &RuleText, format: Option<Format>) -> Result<Status> {
    let terminal = io::stdout().is_terminal();
    let listed: Vec<Listed<'_>> = rules.pack.rules.iter().map(|rule| Listed::of(rules, rule)).collect();
    output::data(None, |out| match format.unwrap_or(if terminal { Format::Table } else { Format::Ndjson }) {
        Format::Table => output::written(writeln!(out, "{}", table(&listed))),
        Format::Ndjson => output::ndjson(&listed, out),
    })?;
    Ok(Status::Done)
}

fn table(listed: &[Listed<'_>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(132);
    }
    table.set_header(["Rule", "Class / mechanism", "Weight", "Evidence", "Standing", "Layers"]);
    for rule in listed {
        let off = if rule.enabled { "" } else { " (off)" };
        let mechanism = rule.mechanism.map(|name| format!(" / {name}")).unwrap_or_default();
        let row = [
            format!("{}{off}", rule.id),
            format!("{}{mechanism}", rule.class.map_or("(none)", Cause::name)),
            format!("{:+}", rule.weight),
            rule.evidence.name().to_owned(),
            rule.standing.name().to_owned(),
            rule.layers.join(", "),
        ];
        table.add_row(row.map(|cell| plain(&cell)));
    }
    table
}

fn show(rules: &RuleText, id: &str) -> Result<Status> {
    let Some(rule) = rules.pack.rules.iter().find(|rule| rule.id == id) else {
        let closest = rules.pack.rules.iter().map(|rule| (strsim::levenshtein(id, &rule.id), &rule.id)).min();
        let meant = closest.map(|(_, id)| format!("; did you mean `{id}`?")).unwrap_or_default();
        return Err(Error::Usage { what: id.to_owned(), reason: format!("no rule has this id{meant}") });
    };
    output::data(None, |out| output::written(out.write_all(plain(&shown(rules, rule)).as_bytes())))?;
    Ok(Status::Done)
}

fn shown(rules: &RuleText, rule: &Rule) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line("rule", &rule.id);
    for n in rules.of_rule.get(&rule.id).into_iter().flatten() {
        let layer = &rules.layers[*n];
        line("layer", &format!("{} {} (sha256 {})", layer.name, layer.version, &layer.sha256[..16]));
    }
    line("enabled", if rule.enabled { "yes" } else { "no" });
    line("class", rule.class.map_or("(none: it says how far the evidence is to be relied on)", Cause::name));
    line("mechanism", rule.mechanism.as_deref().unwrap_or("(none: it speaks of the class as a whole)"));
    line("weight", &format!("{:+}", rule.weight));
    line("evidence", rule.evidence.name());
    line("standing", rule.standing.name());
    line("source", &rule.source);
    line("when", &rule.when);
    line("statement", &rule.statement);
    for group in &rule.cites {
        let meaning = GROUPS.iter().find(|(known, _)| known == group).map_or("", |(_, meaning)| *meaning);
        line("cites", &format!("{group}: {meaning}"));
    }
    for example in &rule.examples {
        line(if example.met { "met by" } else { "not met by" }, &example.given.to_string());
    }
    let columns = condition(&rule.when).map(|when| when.meta().root_names()).unwrap_or_default();
    for (name, kind, meaning) in FEATURES.iter().filter(|(name, ..)| columns.iter().any(|c| c == name)) {
        line("column", &format!("{name} ({}): {meaning}", kind.name()));
    }
    text
}

fn check(files: &[PathBuf], on: &[String]) -> Result<Status> {
    let rules = with_sources(files, RuleText::unchecked)?;
    let mut remarks: Vec<(Severity, String)> =
        lint(&rules.pack).into_iter().map(|remark| (remark.severity, remark.text)).collect();
    let broken = remarks.iter().any(|(severity, _)| *severity == Severity::Problem);
    if !on.is_empty() && !broken {
        remarks.extend(idle(&rules, on)?.into_iter().map(|text| (Severity::Note, text)));
    }
    let count = |of: Severity| remarks.iter().filter(|(severity, _)| *severity == of).count();
    let examples: usize = rules.pack.rules.iter().map(|rule| rule.examples.len()).sum();
    output::data(None, |out| {
        for (severity, text) in &remarks {
            let lead = if *severity == Severity::Problem { "problem" } else { "note" };
            output::written(writeln!(out, "{lead}: {}", plain(text)))?;
        }
        let layers: Vec<String> = rules.layers.iter().map(|l| format!("{} {}", l.name, l.version)).collect();
        output::written(writeln!(
            out,
            "{}: {} rules, {examples} examples, {} problems, {} notes",
            plain(&layers.join(" + ")),
            rules.pack.rules.len(),
            count(Severity::Problem),
            count(Severity::Note)
        ))
    })?;
    Ok(if broken { Status::Unusable } else { Status::Done })
}

/// Rules that apply to no failure of an archive.
fn idle(rules: &RuleText, paths: &[String]) -> Result<Vec<String>> {
    let bar = Bar::new();
    let analysis = report::analyze(paths, Options::default(), rules, &Selection::default(), &bar);
    bar.finish();
    let analysis = analysis?;
    let mut fired: BTreeMap<String, usize> = BTreeMap::new();
    for failure in &analysis.failures {
        for evidence in failure?.evidence {
            *fired.entry(evidence.rule).or_default() += 1;
        }
    }
    let total = analysis.failures.len();
    let mut idle: Vec<&Rule> =
        rules.pack.rules.iter().filter(|rule| rule.enabled && !fired.contains_key(&rule.id)).collect();
    // Those that the last layer speaks of come first.
    idle.sort_by_key(|rule| std::cmp::Reverse(rules.of_rule.get(&rule.id).and_then(|of| of.last())));
    Ok(idle
        .into_iter()
        .map(|rule| format!("rule `{}`: applies to none of the {total} failures of this archive", rule.id))
        .collect())
}
