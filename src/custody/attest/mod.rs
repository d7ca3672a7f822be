//! Attestations: an in-toto statement about reports, signed with Ed25519 in a DSSE envelope, and checking one.
//!
//! Sources: in-toto attestation framework, Statement v1; secure-systems-lab DSSE 1.0.2. docs/custody.md shows how to check
//! one without this program.

mod case;
mod envelope;
mod keys;
mod report;
mod statement;
mod verify;

use serde_json::Value;

pub use case::{attest as attest_case, check as check_case};
pub use envelope::{Envelope, PAYLOAD_TYPE, Signature};
pub use keys::{PrivateKey, PublicKey};
pub use report::{Facts, Report, read as read_report};
pub use statement::{PREDICATE_TYPE, Statement};
pub use verify::Attestation;

use crate::custody::case::Program;
use crate::custody::merkle::Tree;
use crate::error::{Error, Result};
use statement::{Predicate, Resource, STATEMENT_TYPE};

/// What is attested beside the reports.
pub struct Grounds {
    /// The program that attests.
    pub by: Program,
    /// The options of the analysis.
    pub configuration: Value,
    pub records: Option<Tree>,
}

/// The statement about `reports`, of which one is the JSON report that says how they came about.
///
/// # Errors
/// None of them is, or two contradict each other.
pub fn state(reports: &[Report], circumstances: Grounds) -> Result<Vec<u8>> {
    let usage = |reason: &str| Error::Usage { what: "--report".to_owned(), reason: reason.to_owned() };
    let mut facts = reports.iter().filter_map(|report| report.facts.as_ref());
    let first = facts.next().ok_or_else(|| {
        usage("none of them is the report that `analyze --format json` writes, which says how the others came about; name it as well")
    })?;
    if facts.any(|other| other != first) {
        return Err(usage(
            "they are of different analyses (tool, rules, inputs or coverage differ); attest each by itself",
        ));
    }
    let subject = |report: &Report| Resource { name: report.name.clone(), digest: report.sha256.to_string().into() };
    let Facts { tool, rules, inputs, coverage, redaction } = first.clone();
    let Grounds { by, configuration, records } = circumstances;
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: reports.iter().map(subject).collect(),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate { tool, attested_by: by, rules, configuration, inputs, coverage, records, redaction },
    };
    serde_json::to_vec(&statement).map_err(|e| Error::Output(e.to_string()))
}
