//! `holdtrace attest`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Status, output};
use crate::custody::attest::{Circumstances, Envelope, PrivateKey, digest, read_report, state};
use crate::custody::timestamp;
use crate::error::{Error, Result};
use crate::evidence::Digest;

#[derive(Args)]
pub struct Arguments {
    /// Report to attest (repeatable); one of them is that of `analyze --format json`, which says how the others came about
    #[arg(long, value_name = "FILE", required = true)]
    report: Vec<PathBuf>,
    /// Ed25519 private key to sign with (PEM, as `openssl genpkey -algorithm ed25519` writes it)
    #[arg(long, value_name = "FILE", required_unless_present = "timestamp_request")]
    key: Option<PathBuf>,
    /// Write a request for a trusted time stamp (RFC 3161) beside the attestation, named like it with .tsq at the end;
    /// without --key, one for the report
    #[arg(long)]
    timestamp_request: bool,
    /// Write to this file instead of standard output (whole or not at all)
    #[arg(long, value_name = "FILE", required_if_eq("timestamp_request", "true"))]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Status> {
    let paths: Vec<String> = arguments.report.iter().map(|path| path.display().to_string()).collect();
    if let Some(out) = &arguments.out {
        output::keep_out_of_evidence(out, &paths)?;
    }
    let distinct: BTreeSet<&String> = paths.iter().collect();
    if distinct.len() < paths.len() {
        return Err(Error::Usage { what: "--report".to_owned(), reason: "a report is named twice".to_owned() });
    }
    match (&arguments.key, &arguments.out) {
        (Some(key), out) => {
            let attestation = attestation(arguments, key)?;
            write(out.as_deref(), &attestation)?;
            if let Some(out) = out.as_ref().filter(|_| arguments.timestamp_request) {
                let mut beside = out.clone().into_os_string();
                beside.push(".tsq");
                request(Digest::of(&attestation), Path::new(&beside))?;
            }
        }
        (None, Some(out)) => {
            let [report] = arguments.report.as_slice() else {
                let reason =
                    "a request is for one file; name one report, or sign an attestation of all of them with --key";
                return Err(Error::Usage { what: "--timestamp-request".to_owned(), reason: reason.to_owned() });
            };
            let digest = digest(report).map_err(|e| Error::io(report, "reading the report", e))?;
            request(digest, out)?;
        }
        (None, None) => {}
    }
    Ok(Status::Done)
}

fn attestation(arguments: &Arguments, key: &Path) -> Result<Vec<u8>> {
    let key = PrivateKey::read(key)?;
    let reports = arguments.report.iter().map(|path| read_report(path, &path.display().to_string()));
    let reports = reports.collect::<Result<Vec<_>>>()?;
    Envelope::seal(&state(&reports, Circumstances::default())?, &key)?.bytes()
}

fn request(digest: Digest, out: &Path) -> Result<()> {
    write(Some(out), &timestamp::request(digest)?)
}

fn write(out: Option<&Path>, bytes: &[u8]) -> Result<()> {
    output::data(out, |to| output::written(to.write_all(bytes)))
}
