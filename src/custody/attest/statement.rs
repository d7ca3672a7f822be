//! What is attested: an in-toto Statement v1, whose predicate says how the reports came about.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::custody::case::Program;
use crate::custody::merkle::Tree;

/// The kind of an in-toto statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The kind of the predicate: a name, under which nothing can be fetched. docs/custody.md describes it.
pub const PREDICATE_TYPE: &str = "urn:holdtrace:analysis:v1";

/// A statement about reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    pub kind: String,
    pub subject: Vec<Resource>,
    pub predicate_type: String,
    pub predicate: P,
}

/// A file with its hash (`ResourceDescriptor`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub name: String,
    pub digest: Sha256Hex,
}

/// `{"sha256": hex}`; null where a file could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256Hex {
    pub sha256: Option<String>,
}

impl From<String> for Sha256Hex {
    fn from(sha256: String) -> Self {
        Self { sha256: Some(sha256) }
    }
}

/// How the reports came about.
#[derive(Clone, Debug, Serialize)]
pub struct Predicate {
    /// What made the reports, as they say themselves.
    pub tool: ToolName,
    /// What wrote this statement.
    pub attested_by: Program,
    pub rules: RulePack,
    /// The options of the analysis; null where only files were given, which do not say.
    pub configuration: Value,
    pub inputs: Vec<Input>,
    pub coverage: Coverage,
    /// The tree over the records of the case, of which single ones can be disclosed; null where there is none.
    pub records: Option<Tree>,
    /// Of a redacted report, what it says of the one that it was made from; else null.
    pub redaction: Value,
}

/// A program and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolName {
    pub name: String,
    pub version: String,
}

/// The rules by which the evidence was weighed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RulePack {
    pub name: String,
    pub version: String,
    pub digest: Sha256Hex,
    /// The mappings by which files were read.
    pub mappings: Vec<Resource>,
}

/// An input file (`ResourceDescriptor` with annotations).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Input {
    pub name: String,
    pub digest: Sha256Hex,
    pub annotations: InputCounts,
}

/// What was read of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputCounts {
    pub bytes: u64,
    pub format: String,
    pub records: u64,
    pub parsed: u64,
    pub rejected: u64,
    pub duplicates: u64,
    pub superseded: u64,
    pub first_time: Option<String>,
    pub last_time: Option<String>,
}

/// What was read altogether, and what not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The summary of the report.
    pub summary: Map<String, Value>,
    pub gaps: usize,
    pub unreadable: Vec<String>,
    pub skipped: Vec<String>,
}
