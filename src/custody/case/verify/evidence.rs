//! The evidence against the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::{Checked, Verification, files};
use crate::custody::case::ManifestInput;
use crate::custody::case::difference::{Area, Difference, Kind};
use crate::error::Result;
use crate::evidence::discover;

/// Hashes every input again, and names files that lie beside them and were not there.
#[expect(clippy::unnecessary_wraps, reason = "all checks have this form")]
pub fn check(checked: &Checked<'_>, found: &mut Verification) -> Result<()> {
    let Some(manifest) = checked.manifest else { return Ok(()) };
    if checked.how.without_evidence {
        found.notes.push("the evidence was not checked".to_owned());
        return Ok(());
    }
    // Members of archives are in the hash of their archive.
    let inputs: Vec<&ManifestInput> = manifest.inputs.iter().filter(|input| input.container.is_none()).collect();
    let compared: Vec<Finding> = inputs.par_iter().map(|input| compare(checked, input)).collect();
    let mut differences = Vec::new();
    for finding in compared {
        match finding {
            Finding::AsItWas => found.checked.inputs += 1,
            Finding::Differs(one) => {
                found.checked.inputs += 1;
                differences.push(one);
            }
            Finding::NotLookedFor(note) => found.notes.push(note),
        }
    }
    found.checked.inputs_hashed = if checked.how.quick { 0 } else { found.checked.inputs };
    let added = added(checked, &manifest.inputs);
    if !checked.how.quick {
        say_where_it_went(checked, &inputs, &added, &mut differences);
    }
    let detail = "the manifest does not name it; analyze --case takes it in";
    differences.extend(added.into_iter().map(|path| Difference::of_file(Area::Evidence, Kind::Added, path, detail)));
    found.differences.extend(differences);
    Ok(())
}

enum Finding {
    AsItWas,
    Differs(Difference),
    NotLookedFor(String),
}

fn compare(checked: &Checked<'_>, input: &ManifestInput) -> Finding {
    let differs =
        |kind, detail: String| Finding::Differs(Difference::of_file(Area::Evidence, kind, &input.path, detail));
    let place = checked.places.of(&input.path).filter(|place| place.is_file());
    let Some(place) = place else {
        if input.from_parts || input.path.contains("://") {
            let why = if input.from_parts { "it was taken over from a folder of parts" } else { "it lies in a store" };
            return Finding::NotLookedFor(format!("{}: not checked, {why}", input.path));
        }
        let detail = match &input.sha256 {
            Some(sha256) => format!("{} bytes, SHA-256 {sha256}; --evidence says where else to look", input.bytes),
            None => format!("{} bytes; --evidence says where else to look", input.bytes),
        };
        return differs(Kind::Missing, detail);
    };
    let Some(sha256) = &input.sha256 else {
        return Finding::NotLookedFor(format!("{}: not checked, it could not be read to its end", input.path));
    };
    let is_given = checked.manifest.is_some_and(|manifest| manifest.paths.contains(&input.path));
    if place.is_symlink() && !is_given {
        return differs(Kind::Changed, "it is a link now, which is not followed".to_owned());
    }
    match place.metadata() {
        Ok(metadata) if metadata.len() != input.bytes => {
            return differs(Kind::Changed, format!("it had {} bytes and has {}", input.bytes, metadata.len()));
        }
        Ok(_) => {}
        Err(e) => return differs(Kind::Unreadable, e.to_string()),
    }
    if checked.how.quick {
        return Finding::AsItWas;
    }
    match files::digest(&place) {
        Ok(is) if is.to_string() == *sha256 => Finding::AsItWas,
        Ok(is) => differs(Kind::Changed, format!("its SHA-256 was {sha256} and is {is}")),
        Err(e) => differs(Kind::Unreadable, e.to_string()),
    }
}

/// Files in the evidence that the manifest does not name, as it would call them.
fn added(checked: &Checked<'_>, inputs: &[ManifestInput]) -> Vec<String> {
    let known: BTreeSet<&str> = inputs.iter().map(|input| input.path.as_str()).collect();
    let mut added = BTreeSet::new();
    for (root, place) in checked.places.whole_roots().filter(|(_, place)| place.is_dir()) {
        let Ok(discovery) = discover(&[place.display().to_string()]) else { continue };
        for input in discovery.inputs.iter().filter(|input| input.place.part().is_none()) {
            let Ok(below) = Path::new(&input.label).strip_prefix(place) else { continue };
            let path = Path::new(root).join(below).display().to_string();
            if !known.contains(path.as_str()) && !known.contains(path.trim_start_matches("./")) {
                added.insert(path);
            }
        }
    }
    added.into_iter().collect()
}

/// Says of what is missing or changed where its bytes lie now.
fn say_where_it_went(
    checked: &Checked<'_>,
    inputs: &[&ManifestInput],
    added: &[String],
    differences: &mut [Difference],
) {
    let should: BTreeMap<&str, &ManifestInput> = inputs.iter().map(|input| (input.path.as_str(), *input)).collect();
    let of_changed = differences.iter().filter(|one| one.kind == Kind::Changed).map(|one| one.path.clone());
    let mut holds: BTreeMap<String, String> = BTreeMap::new();
    if differences.is_empty() {
        return;
    }
    for path in of_changed.chain(added.iter().cloned()).collect::<Vec<_>>() {
        let place = checked.places.of(&path);
        if let Some(is) = place.and_then(|place| files::digest(&place).ok()) {
            holds.insert(is.to_string(), path);
        }
    }
    let by_hash: BTreeMap<&str, &str> =
        inputs.iter().filter_map(|input| Some((input.sha256.as_deref()?, input.path.as_str()))).collect();
    let holders: BTreeMap<&str, &str> = holds.iter().map(|(hash, path)| (path.as_str(), hash.as_str())).collect();
    for one in differences {
        let hash = should.get(one.path.as_str()).and_then(|input| input.sha256.as_deref());
        let now = hash.and_then(|hash| holds.get(hash));
        let other =
            holders.get(one.path.as_str()).and_then(|hash| by_hash.get(hash)).filter(|other| **other != one.path);
        match (one.kind, other, now) {
            (Kind::Changed, Some(other), _) => {
                one.kind = Kind::Reordered;
                one.detail = format!("it holds what {other} should hold");
            }
            (_, _, Some(now)) => one.detail = format!("its bytes lie in {now} now"),
            _ => {}
        }
    }
}
