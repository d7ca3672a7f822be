//! `holdtrace attest`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::case::Who;
use super::{Status, output};
use crate::custody::attest::{Envelope, Grounds, PrivateKey, attest_case, read_report, state};
use crate::custody::case::{Case, Circumstances, digest};
use crate::custody::timestamp;
use crate::error::{Error, Result};
use crate::evidence::Digest;

#[derive(Args)]
pub struct Arguments {
    /// Case to attest: its reports, and the tree over its records; what is written lies in its attestations/ and tree/
    #[arg(value_name = "CASE", required_unless_present = "report", conflicts_with_all = ["report", "out"])]
    case: Option<PathBuf>,
    /// Report to attest (repeatable); one of them is that of `analyze --format json`, which says how the others came about
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// Ed25519 private key to sign with (PEM, as `openssl genpkey -algorithm ed25519` writes it)
    #[arg(long, value_name = "FILE", required_unless_present = "timestamp_request")]
    key: Option<PathBuf>,
    /// Write a request for a trusted time stamp (RFC 3161) beside the attestation, named like it with .tsq at the end;
    /// without --key, one for the report
    #[arg(long)]
    timestamp_request: bool,
    #[command(flatten)]
    who: Who,
    /// Write to this file instead of standard output (whole or not at all); for reports only
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    match &arguments.case {
        Some(case) => of_case(arguments, case)?,
        None => of_files(arguments)?,
    }
    Ok(Status::Done)
}

/// Attests the reports of a case, or requests a time stamp for them.
fn of_case(arguments: &Arguments, case: &Path) -> Result<()> {
    let key = arguments.key.as_deref().map(PrivateKey::read).transpose()?;
    let circumstances = arguments.who.circumstances()?;
    let attested = attest_case(&Case::open(case)?, key.as_ref(), arguments.timestamp_request, &circumstances)?;
    if let Some(name) = attested.attestation {
        output::message(&format!("holdtrace: signed {name}"));
    }
    match attested.request {
        Some(name) if attested.request_is_old => {
            output::message(&format!("holdtrace: {name} is there already, and was left as it is"));
        }
        Some(name) => output::message(&format!("holdtrace: to have it stamped, send {name}")),
        None => {}
    }
    Ok(())
}

/// Attests reports, or requests a time stamp for one.
fn of_files(arguments: &Arguments) -> Result<()> {
    let usage = |what: &str, reason: &str| Error::Usage { what: what.to_owned(), reason: reason.to_owned() };
    let paths: Vec<String> = arguments.report.iter().map(|path| path.display().to_string()).collect();
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &paths)?;
    }
    let distinct: BTreeSet<&String> = paths.iter().collect();
    if distinct.len() < paths.len() {
        return Err(usage("--report", "a report is named twice"));
    }
    let out = arguments.out.as_deref();
    if out.is_none() && arguments.timestamp_request {
        return Err(usage("--timestamp-request", "it is written beside the attestation; name that with --out"));
    }
    let Some(key) = &arguments.key else {
        let ([report], Some(out)) = (arguments.report.as_slice(), out) else {
            let reason = "a request is for one file; name one report, or sign an attestation of all of them with --key";
            return Err(usage("--timestamp-request", reason));
        };
        return request(digest(report).map_err(|e| Error::io(report, "reading the report", e))?, out);
    };
    let attestation = attestation(arguments, key)?;
    write(out, &attestation)?;
    if let Some(out) = out.filter(|_| arguments.timestamp_request) {
        request(Digest::of(&attestation), Path::new(&format!("{}.tsq", out.display())))?;
    }
    Ok(())
}

fn attestation(arguments: &Arguments, key: &Path) -> Result<Vec<u8>> {
    let key = PrivateKey::read(key)?;
    let reports = arguments.report.iter().map(|path| read_report(path, &path.display().to_string()));
    let reports = reports.collect::<Result<Vec<_>>>()?;
    let by = Circumstances::of_this_process(None, None)?.tool;
    let grounds = Grounds { by, configuration: serde_json::Value::Null, records: None };
    Envelope::seal(&state(&reports, grounds)?, &key)?.bytes()
}

fn request(digest: Digest, out: &Path) -> Result<()> {
    write(Some(out), &timestamp::request(digest)?)
}

fn write(out: Option<&Path>, bytes: &[u8]) -> Result<()> {
    output::data(out, |to| output::written(to.write_all(bytes)))
}
