//! The attestations of a case, and the time stamps beside them.
//!
//! `attestations/` holds what was signed (`*.dsse.json`), requests for time stamps (`*.tsq`), and what authorities returned
//! for them (`*.tsr`, under the name of the request); `tree/` the secret and the root of the tree over the records.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::envelope::Envelope;
use super::keys::{PrivateKey, PublicKey};
use super::report::{Report, read as read_report};
use super::statement::Resource;
use super::verify::Attestation;
use super::{Grounds, state};
use crate::custody::case::{
    ATTESTATIONS, Act, Case, Circumstances, EVENTS, FAILURES, FileDigest, Ledger, REPORT, digest,
};
use crate::custody::merkle::{ROOT, SECRET, Secret, Tree, build};
use crate::custody::timestamp::{self, Authorities};
use crate::custody::{Check, read_at_most};
use crate::error::{Error, Result};
use crate::evidence::Digest;
use crate::parts::{INDEX, Index};

/// Requests, answers and roots are far smaller.
const MAX_BYTES: u64 = 1 << 20;

/// What was written into a case, by its names in it.
#[derive(Debug, Default)]
pub struct Attested {
    pub attestation: Option<String>,
    pub request: Option<String>,
    /// Whether the request was there before, and left as it was: an answer holds for one request only.
    pub request_is_old: bool,
}

/// Attests the reports of a case and the tree over its records, if there is a key, and requests a time stamp for that, or
/// for the report.
///
/// # Errors
/// A report is not as the ledger says, or something cannot be read or written. The ledger tells of an act that failed.
pub fn attest(
    case: &Case,
    key: Option<&PrivateKey>,
    timestamp_request: bool,
    circumstances: &Circumstances,
) -> Result<Attested> {
    let mut act = case.begin("attest", circumstances)?;
    match work(case, &mut act, key, timestamp_request, circumstances) {
        Ok(attested) => act.done().map(|()| attested),
        Err(error) => {
            act.failed(&error.to_string())?;
            Err(error)
        }
    }
}

fn work(
    case: &Case,
    act: &mut Act<'_>,
    key: Option<&PrivateKey>,
    timestamp_request: bool,
    circumstances: &Circumstances,
) -> Result<Attested> {
    let reports = reports(case)?.into_iter().map(|(name, path)| read_report(&path, &name));
    let reports: Vec<Report> = reports.collect::<Result<_>>()?;
    for Report { name, sha256, bytes, .. } in &reports {
        let file = FileDigest { path: name.clone(), bytes: *bytes, sha256: sha256.to_string() };
        if act.known(name) != Some(&file) {
            let reason =
                format!("{name} is not as the last act left it; `holdtrace verify` names everything that differs");
            return Err(Error::Usage { what: case.folder().display().to_string(), reason });
        }
        act.rests_on(file);
    }
    let main = reports.iter().find(|report| report.name == REPORT).map_or(Digest([0; 32]), |report| report.sha256);
    // A name for what is attested: a case may come to hold several, of several people.
    let name = main.to_string()[..16].to_owned();
    let mut attested = Attested::default();
    let (stamped, request) = match key {
        None => (main, format!("{ATTESTATIONS}/report-{name}.tsq")),
        Some(key) => {
            let tree = build(&case.path(EVENTS), &Secret::read_or_make(&case.path(SECRET))?)?;
            let bytes = tree.bytes()?;
            act.put(ROOT, |out| write(out, &bytes))?;
            let (by, configuration) = (circumstances.tool.clone(), configuration(case, act.ledger())?);
            let statement = state(&reports, Grounds { by, configuration, records: Some(tree) })?;
            let bytes = Envelope::seal(&statement, key)?.bytes()?;
            let path = format!("{ATTESTATIONS}/{name}-{}.dsse.json", &key.public()?.id()[..8]);
            act.put(&path, |out| write(out, &bytes))?;
            attested.attestation = Some(path.clone());
            (Digest::of(&bytes), format!("{path}.tsq"))
        }
    };
    if timestamp_request {
        attested.request_is_old = is_for(case, &request, stamped);
        if !attested.request_is_old {
            let bytes = timestamp::request(stamped)?;
            act.put(&request, |out| write(out, &bytes))?;
        }
        attested.request = Some(request);
    }
    Ok(attested)
}

fn write(out: &mut dyn std::io::Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|e| Error::Output(e.to_string()))
}

/// Whether there is a request for this already.
fn is_for(case: &Case, request: &str, stamped: Digest) -> bool {
    let bytes = read_at_most(&case.path(request), "reading the request", MAX_BYTES);
    bytes.is_ok_and(|bytes| timestamp::requested(&bytes) == Ok(stamped))
}

/// The options of the analysis: those of reading, and the command line.
fn configuration(case: &Case, ledger: &Ledger) -> Result<Value> {
    let index = Index::read(&case.path(EVENTS)).map_err(|reason| Error::Parts { reason })?;
    let act = ledger.last_done("analyze");
    Ok(json!({
        "assume_tz": index.assume_tz,
        "max_record_bytes": index.max_record_bytes,
        "bounds": index.bounds,
        "act": act.and_then(|act| act.begun),
        "command": act.map(|act| &act.command),
    }))
}

/// The reports of a case, by their names in it.
fn reports(case: &Case) -> Result<BTreeMap<String, PathBuf>> {
    let mut found: BTreeMap<String, PathBuf> = files(case, "reports")?.into_iter().collect();
    let table = case.path(FAILURES);
    if table.is_file() {
        found.insert(FAILURES.to_owned(), table);
    }
    if found.contains_key(REPORT) {
        return Ok(found);
    }
    let reason = format!("it holds no {REPORT}; analyze --case writes it");
    Err(Error::Usage { what: case.folder().display().to_string(), reason })
}

/// The regular files of a folder of the case, by their names in it; none where the folder is not there.
fn files(case: &Case, folder: &str) -> Result<Vec<(String, PathBuf)>> {
    let path = case.path(folder);
    let failed = |e| Error::io(&path, "listing the folder", e);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.file_type().map_err(failed)?.is_file() {
            found.push((format!("{folder}/{name}"), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// A case whose attestations are checked.
struct Checking<'a> {
    case: &'a Case,
    ledger: &'a Ledger,
    reports: BTreeMap<String, Digest>,
    /// Null where it cannot be made anew, or is of other records than those that are in the case now.
    tree: Option<Tree>,
}

/// Checks the tree over the records, the attestations, and the time stamps of a case. An attestation by none of the `keys` is
/// unchecked; but each of them must have signed one.
///
/// # Errors
/// A folder cannot be listed, or a file not be read.
pub fn check(
    case: &Case,
    ledger: &Ledger,
    keys: &[PublicKey],
    authorities: Option<&Authorities>,
) -> Result<Vec<Check>> {
    let hashed = |(name, path): (String, PathBuf)| Some((name, digest(&path).ok()?));
    let reports = reports(case).unwrap_or_default().into_iter().filter_map(hashed).collect();
    let mut checking = Checking { case, ledger, reports, tree: None };
    let mut checks = checking.tree();
    let found = files(case, ATTESTATIONS)?;
    let mut signed = vec![false; keys.len()];
    for (name, path) in found.iter().filter(|(name, _)| name.ends_with(".dsse.json")) {
        let attestation = read_at_most(path, "reading the attestation", super::verify::MAX_BYTES)?;
        let read = |key: &PublicKey| Attestation::of(&attestation, name, key);
        let holds = |key: &PublicKey| read(key).checks.iter().all(Check::is_valid);
        if let Some(n) = keys.iter().position(holds) {
            signed[n] = true;
            checks.extend(checking.attestation(name, read(&keys[n])));
        } else if let Some(claimed) =
            keys.iter().find(|key| memchr::memmem::find(&attestation, key.id().as_bytes()).is_some())
        {
            checks.extend(read(claimed).checks);
        } else {
            checks.push(Check::unchecked(name.clone(), "who signed was not checked; give their key with --public-key"));
        }
    }
    let without = keys.iter().zip(signed).filter(|(_, signed)| !signed);
    checks.extend(without.map(|(key, _)| {
        Check::invalid(ATTESTATIONS, format!("no attestation of this case holds by the key {}", key.id()))
    }));
    for (name, _) in found.iter().filter(|(_, path)| path.extension().is_some_and(|end| end == "tsr")) {
        checks.extend(checking.stamp(name, authorities)?);
    }
    Ok(checks)
}

impl Checking<'_> {
    /// Compares the root in the case with that of a tree that is made anew.
    fn tree(&mut self) -> Vec<Check> {
        let [root, secret] = [ROOT, SECRET].map(|name| self.case.path(name));
        if !root.exists() && !secret.exists() {
            return Vec::new();
        }
        if !secret.exists() {
            let missing = "the secret is not in this copy of the case, so the tree was not made anew";
            return vec![Check::unchecked(ROOT, missing)];
        }
        let files = self.ledger.files();
        let act = |path: &str| files.get(path).map(|(_, seq)| *seq);
        let (of_root, of_events) = (act(ROOT), act(&format!("{EVENTS}/{INDEX}")));
        if let (Some(made), Some(grown)) = (of_root, of_events)
            && made < grown
        {
            let grown = format!("made before act {grown}, by which the case has grown; attest the case again");
            return vec![Check::unchecked(ROOT, grown)];
        }
        let kept = read_at_most(&root, "reading the root of the tree", MAX_BYTES);
        let made = Secret::read(&secret).and_then(|secret| build(&self.case.path(EVENTS), &secret));
        let found = match (&kept, &made) {
            (Err(e), _) | (_, Err(e)) => Err(e.to_string()),
            (Ok(kept), Ok(made)) if made.bytes().is_ok_and(|bytes| bytes == *kept) => {
                Ok(format!("root {} over {} records, made anew", made.root, made.size))
            }
            (Ok(_), Ok(made)) => Err(format!(
                "not the root of the tree over the events ({} over {} records): it, {SECRET} or the events were changed \
                 since it was made",
                made.root, made.size
            )),
        };
        self.tree = made.ok();
        vec![Check::of(ROOT, found)]
    }

    /// Compares an attestation whose signature holds with the reports and the tree.
    fn attestation(&self, name: &str, attestation: Attestation) -> Vec<Check> {
        let mut checks = attestation.checks.clone();
        // What later acts have added to the reports is not its subject.
        let is_subject = |name: &str| attestation.subject.iter().any(|report| report.name == name);
        let reports = self.reports.iter().filter(|(name, _)| is_subject(name));
        let reports = reports.map(|(name, digest)| (name.clone(), *digest)).collect();
        let differs = attestation.compare(&reports).into_iter().filter(|check| !check.is_valid());
        let differs: Vec<Check> = differs.collect();
        if !differs.is_empty() && attestation.subject.iter().all(|report| self.was_written(report)) {
            checks
                .push(Check::valid(name, "of reports as an earlier act wrote them; they have been written anew since"));
            return checks;
        }
        let detail = |check: Check| Check::invalid(name, format!("{}: {}", check.what, check.detail));
        checks.extend(differs.into_iter().map(detail));
        let other = self.tree.as_ref().zip(attestation.records).filter(|(tree, records)| *tree != records);
        checks.extend(other.map(|(tree, records)| {
            let (was, is) = ((records.size, records.root), (tree.size, &tree.root));
            Check::invalid(
                name,
                format!("of {} records with the root {}; the case has {} with {}", was.0, was.1, is.0, is.1),
            )
        }));
        checks
    }

    /// Whether an act has ever written this report.
    fn was_written(&self, report: &Resource) -> bool {
        let outputs = self.ledger.entries.iter().flat_map(|(_, entry)| &entry.outputs);
        outputs.into_iter().any(|file| file.path == report.name && Some(&file.sha256) == report.digest.sha256.as_ref())
    }

    fn stamp(&self, name: &str, authorities: Option<&Authorities>) -> Result<Vec<Check>> {
        let stem = name.trim_end_matches(".tsr");
        let request = self.case.path(&format!("{stem}.tsq"));
        if !request.is_file() {
            return Ok(vec![Check::invalid(name, "the request that it answers is missing")]);
        }
        let request = read_at_most(&request, "reading the request", MAX_BYTES)?;
        let token = read_at_most(&self.case.path(name), "reading the token", MAX_BYTES)?;
        // One for an attestation is named after it; any other is for the report, as it was then.
        let of = if stem.ends_with(".dsse.json") { stem } else { REPORT };
        let path = self.case.path(of);
        let now = digest(&path).map_err(|e| Error::io(&path, "reading the stamped file", e))?;
        let then = timestamp::requested(&request).ok().filter(|asked| {
            let report = Resource { name: REPORT.to_owned(), digest: asked.to_string().into() };
            of == REPORT && self.was_written(&report)
        });
        let checks = timestamp::check(&token, &request, of, then.unwrap_or(now), authorities);
        let of_file = |check: Check| Check {
            what: name.to_owned(),
            detail: format!("{}: {}", check.what, check.detail),
            ..check
        };
        Ok(checks.into_iter().map(of_file).collect())
    }
}
