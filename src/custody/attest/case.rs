//! The attestations of a case, and the time stamps beside them.
//!
//! `attestations/` holds what was signed (`*.dsse.json`), requests for time stamps (`*.tsq`), and what authorities returned
//! for them (`*.tsr`, under the name of the request); `tree/` the secret and the root of the tree over the records.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::keys::PublicKey;
use super::report::digest;
use super::verify::Attestation;
use crate::custody::merkle::{Secret, Tree, build};
use crate::custody::timestamp::{self, Authorities};
use crate::custody::{Check, read_at_most};
use crate::error::{Error, Result};
use crate::evidence::Digest;

/// Folder of a case for what was signed.
pub const ATTESTATIONS: &str = "attestations";
/// The secret of the tree over the records.
pub const SECRET: &str = "tree/secret";
/// The root of that tree.
pub const TREE: &str = "tree/tree.json";
/// Requests, answers and roots are far smaller.
const MAX_BYTES: u64 = 1 << 20;

/// The reports of a case, by their names in it.
///
/// # Errors
/// The folder cannot be listed, or there is none.
pub fn reports(case: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found: BTreeMap<String, PathBuf> = files(case, "reports")?.into_iter().collect();
    let table = case.join("failures.parquet");
    if table.is_file() {
        found.insert("failures.parquet".to_owned(), table);
    }
    if found.contains_key("reports/report.json") {
        return Ok(found);
    }
    let reason = "no case: it holds no reports/report.json; make one with `holdtrace analyze --case`".to_owned();
    Err(Error::Usage { what: case.display().to_string(), reason })
}

/// The regular files of a folder of the case, by their names in it; none where the folder is not there.
fn files(case: &Path, folder: &str) -> Result<Vec<(String, PathBuf)>> {
    let path = case.join(folder);
    let failed = |e| Error::io(&path, "listing the folder", e);
    let entries = match fs::read_dir(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.file_type().map_err(failed)?.is_file() {
            found.push((format!("{folder}/{name}"), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes the tree over the records of a case, and its secret if there is none yet.
///
/// # Errors
/// The events are not what was written, or the secret cannot be read or kept.
pub fn tree(case: &Path) -> Result<Tree> {
    build(&case.join("events"), &Secret::read_or_make(&case.join(SECRET))?)
}

/// Checks the tree over the records, the attestations, and the time stamps of a case. Without a key or authorities it is
/// unchecked who signed.
///
/// # Errors
/// A folder cannot be listed, or a report not be read.
pub fn check(case: &Path, key: Option<&PublicKey>, authorities: Option<&Authorities>) -> Result<Vec<Check>> {
    let hashed = |(name, path): (String, PathBuf)| -> Result<(String, Digest)> {
        Ok((name, digest(&path).map_err(|e| Error::io(&path, "reading the report", e))?))
    };
    let reports: BTreeMap<String, Digest> = reports(case)?.into_iter().map(hashed).collect::<Result<_>>()?;
    let (mut checks, tree) = check_tree(case);
    let found = files(case, ATTESTATIONS)?;
    for (name, path) in found.iter().filter(|(name, _)| name.ends_with(".dsse.json")) {
        let Some(key) = key else {
            checks.push(Check::unchecked(name.clone(), "who signed is not checked; give their key with --public-key"));
            continue;
        };
        let found = Attestation::read(path, key)?.named(name);
        let compared = found.compare(&reports);
        checks.extend(found.checks.iter().cloned());
        checks.extend(compared.into_iter().filter(|check| !check.is_valid()).map(|check| Check {
            what: name.clone(),
            detail: format!("{}: {}", check.what, check.detail),
            ..check
        }));
        checks.extend(found.records.and_then(|records| other_records(name, &records, tree.as_ref())));
    }
    for (name, path) in found.iter().filter(|(_, path)| path.extension().is_some_and(|end| end == "tsr")) {
        checks.extend(check_stamp(case, name, path, &reports, authorities)?);
    }
    Ok(checks)
}

/// Compares the root in the case with that of a tree that is made anew; the second is null where it cannot be made.
fn check_tree(case: &Path) -> (Vec<Check>, Option<Tree>) {
    if !case.join(TREE).exists() && !case.join(SECRET).exists() {
        return (Vec::new(), None);
    }
    let kept = read_at_most(&case.join(TREE), "reading the root of the tree", MAX_BYTES);
    if !case.join(SECRET).exists() {
        let missing = "the secret is not in this copy of the case, so the tree was not made anew";
        return (vec![Check::unchecked(TREE, missing)], None);
    }
    let made = Secret::read(&case.join(SECRET)).and_then(|secret| build(&case.join("events"), &secret));
    let found = match (&kept, &made) {
        (Err(e), _) | (_, Err(e)) => Err(e.to_string()),
        (Ok(kept), Ok(made)) => match made.bytes() {
            Ok(bytes) if bytes == *kept => Ok(format!("root {} over {} records, made anew", made.root, made.size)),
            _ => Err(format!(
                "not the root of the tree over the events ({} over {} records): it, tree/secret or the events were changed \
                 since it was attested",
                made.root, made.size
            )),
        },
    };
    (vec![Check::of(TREE, found)], made.ok())
}

/// Says that an attestation is of other records than those in the case.
fn other_records(name: &str, attested: &Tree, tree: Option<&Tree>) -> Option<Check> {
    let tree = tree.filter(|tree| tree.root != attested.root || tree.size != attested.size)?;
    let reason = format!(
        "it is of {} records with the root {}, the case has {} with {}",
        attested.size, attested.root, tree.size, tree.root
    );
    Some(Check::invalid(name, reason))
}

fn check_stamp(
    case: &Path,
    name: &str,
    path: &Path,
    reports: &BTreeMap<String, Digest>,
    authorities: Option<&Authorities>,
) -> Result<Vec<Check>> {
    let stem = name.trim_end_matches(".tsr");
    let request = case.join(format!("{stem}.tsq"));
    if !request.is_file() {
        return Ok(vec![Check::invalid(name, "the request that it answers is missing")]);
    }
    let request = read_at_most(&request, "reading the request", MAX_BYTES)?;
    let token = read_at_most(path, "reading the token", MAX_BYTES)?;
    let attestation = case.join(stem);
    // One for an attestation is named after it; any other is for the report.
    let (of, digest) = if stem.ends_with(".dsse.json") {
        let digest = digest(&attestation).map_err(|e| Error::io(&attestation, "reading the stamped attestation", e))?;
        (stem, digest)
    } else {
        ("reports/report.json", reports["reports/report.json"])
    };
    let checks = timestamp::check(&token, &request, of, digest, authorities);
    Ok(checks
        .into_iter()
        .map(|check| Check { what: name.to_owned(), detail: format!("{}: {}", check.what, check.detail), ..check })
        .collect())
}
