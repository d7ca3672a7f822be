//! What a report says of itself, read without holding its failures.

use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::statement::{Coverage, Input, InputCounts, Resource, RulePack, ToolName};
use crate::error::{Error, Result};
use crate::evidence::{Digest, Place, Stream};

/// A file that is attested.
#[derive(Debug)]
pub struct Report {
    pub name: String,
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// Null where it is not the JSON of `analyze --format json`.
    pub facts: Option<Facts>,
}

/// What `analyze --format json` writes beside the failures.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub tool: ToolName,
    pub rules: RulePack,
    pub inputs: Vec<Input>,
    pub coverage: Coverage,
    pub redaction: Value,
}

#[derive(Deserialize)]
struct Wrapper {
    tool: ToolName,
    rules: Rules,
    summary: Map<String, Value>,
    coverage: Covered,
    #[serde(default)]
    redaction: Value,
}

#[derive(Deserialize)]
struct Rules {
    name: String,
    version: String,
    sha256: String,
    mappings: Vec<Mapping>,
}

#[derive(Deserialize)]
struct Mapping {
    name: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Covered {
    files: Vec<Covering>,
    gaps: Vec<IgnoredAny>,
    skipped: Vec<String>,
    unreadable: Vec<String>,
}

#[derive(Deserialize)]
struct Covering {
    path: String,
    sha256: Option<String>,
    #[serde(flatten)]
    counts: InputCounts,
}

/// Reads the report at `path`, which is called `name`.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path, name: &str) -> Result<Report> {
    let failed = |e| Error::io(path, "reading the report", e);
    let stream = Stream::open(&Place::File(path.into())).map_err(failed)?;
    let mut reader = BufReader::new(stream);
    // One object is a report; one a line are failures, of which the first is enough to tell.
    let first = serde_json::Deserializer::from_reader(&mut reader).into_iter::<Wrapper>().next();
    let facts = first.and_then(std::result::Result::ok).map(Facts::from);
    let (sha256, bytes) = reader.into_inner().finish().map_err(failed)?;
    Ok(Report { name: name.to_owned(), sha256, bytes, facts })
}

impl From<Wrapper> for Facts {
    fn from(wrapper: Wrapper) -> Self {
        let Wrapper { tool, rules, summary, coverage, redaction } = wrapper;
        let mappings = rules.mappings.into_iter();
        let mappings = mappings.map(|Mapping { name, sha256 }| Resource { name, digest: sha256.into() }).collect();
        let rules = RulePack { name: rules.name, version: rules.version, digest: rules.sha256.into(), mappings };
        let input = |Covering { path, sha256, counts }| Input {
            name: path,
            digest: super::statement::Sha256Hex { sha256 },
            annotations: counts,
        };
        let Covered { files, gaps, skipped, unreadable } = coverage;
        let inputs = files.into_iter().map(input).collect();
        let coverage = Coverage { summary, gaps: gaps.len(), unreadable, skipped };
        Self { tool, rules, inputs, coverage, redaction }
    }
}
