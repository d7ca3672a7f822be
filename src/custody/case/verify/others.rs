//! The manifest against that of somebody else over the same evidence.

use std::collections::BTreeMap;

use super::{Checked, Verification};
use crate::custody::case::difference::{Area, Difference, Kind};
use crate::custody::case::{Case, MANIFEST, Manifest, ManifestInput};
use crate::error::Result;

/// Compares the inputs by their SHA-256: the paths may be others, because each works from a folder of his own.
pub fn check(checked: &Checked<'_>, found: &mut Verification) -> Result<()> {
    let Some(path) = &checked.how.manifest else { return Ok(()) };
    let theirs = if path.is_dir() {
        let other = Case::open(path)?;
        check_their_ledger(&other, found)?;
        other.manifest()?
    } else {
        Manifest::read(path)?
    };
    if let Some(ours) = checked.manifest {
        found.differences.extend(compare(ours, &theirs));
    }
    Ok(())
}

/// The other's manifest must be the one that his ledger tells of.
fn check_their_ledger(other: &Case, found: &mut Verification) -> Result<()> {
    let ledger = other.ledger()?;
    let name = |path: &str| other.path(path).display().to_string();
    let of_ledger = ledger.differences.iter().cloned().map(|one| Difference { path: name(&one.path), ..one });
    found.differences.extend(of_ledger);
    let files = ledger.files();
    let told = files.get(MANIFEST).map(|(file, _)| file.sha256.clone());
    let is = super::files::digest(&other.path(MANIFEST)).ok().map(|digest| digest.to_string());
    if told != is {
        let detail = "it is not the one that the ledger beside it tells of";
        found.differences.push(Difference::of_file(Area::Manifest, Kind::Changed, name(MANIFEST), detail));
    }
    Ok(())
}

/// How often an input is there, and one of its names.
type Content<'a> = BTreeMap<&'a str, Vec<&'a ManifestInput>>;

fn by_content(manifest: &Manifest) -> Content<'_> {
    let mut by: Content<'_> = BTreeMap::new();
    for input in manifest.inputs.iter().filter(|input| input.container.is_none()) {
        by.entry(input.sha256.as_deref().unwrap_or("")).or_default().push(input);
    }
    by
}

fn compare(ours: &Manifest, theirs: &Manifest) -> Vec<Difference> {
    let (of_us, of_them) = (by_content(ours), by_content(theirs));
    let unpacked: BTreeMap<&str, &ManifestInput> =
        theirs.inputs.iter().filter_map(|input| Some((input.content_sha256.as_deref()?, input))).collect();
    let names: BTreeMap<&str, &ManifestInput> =
        theirs.inputs.iter().map(|input| (input.path.as_str(), input)).collect();
    let differs =
        |kind, input: &ManifestInput, detail: String| Difference::of_file(Area::Manifest, kind, &input.path, detail);
    let mut differences = Vec::new();
    let mut told = Vec::new();
    for (sha256, inputs) in &of_us {
        let there = of_them.get(sha256).map_or(&[][..], Vec::as_slice);
        let pair = inputs.first().zip(there.first());
        let read = |input: &ManifestInput| (input.format.clone(), input.records, input.rejected);
        if let Some((our, their)) = pair.filter(|(our, their)| read(our) != read(their)) {
            let detail = format!(
                "the same bytes are {} with {} records ({} rejected) here, and {} with {} ({} rejected) there",
                our.format, our.records, our.rejected, their.format, their.records, their.rejected
            );
            differences.push(differs(Kind::Changed, our, detail));
        }
        for input in inputs.iter().skip(there.len()) {
            let same_content = input.content_sha256.as_deref().and_then(|content| unpacked.get(content));
            if let Some(other) = same_content {
                told.push(other.path.as_str());
                let detail = format!("their manifest has the same content packed otherwise, in {}", other.path);
                differences.push(differs(Kind::Changed, input, detail));
            } else if let Some(other) = names.get(input.path.as_str()) {
                told.push(other.path.as_str());
                let (our, their) = (input.sha256.as_deref(), other.sha256.as_deref());
                let detail = format!(
                    "its SHA-256 is {} here and {} there",
                    our.unwrap_or("not known"),
                    their.unwrap_or("not known")
                );
                differences.push(differs(Kind::Changed, input, detail));
            } else {
                differences.push(differs(Kind::Missing, input, "the other manifest does not hold it".to_owned()));
            }
        }
    }
    for (sha256, inputs) in &of_them {
        let here = of_us.get(sha256).map_or(0, Vec::len);
        for input in inputs.iter().skip(here).filter(|input| !told.contains(&input.path.as_str())) {
            differences.push(differs(Kind::Added, input, "only the other manifest holds it".to_owned()));
        }
    }
    differences
}
