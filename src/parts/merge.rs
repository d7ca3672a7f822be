//! An index and what was read since: found by name, so that a file more costs no more in a large archive than in a small one.

use std::collections::{BTreeMap, BTreeSet};

use super::folder::Table;
use super::index::{Index, Listed, Part, Walk};
use super::update::Update;
use crate::evidence::{BETWEEN, Name};

/// Files that are listed, by their names; files of other folders of parts may have the same.
type Files = BTreeMap<Name, Vec<Listed>>;

/// The old index with what was read: a file that was changed takes the place of what it was, one that cannot be read any
/// more does not.
pub fn merged(old: Index, read: Vec<Listed>, parts: Vec<Part>, walk: Walk, update: &mut Update) -> Index {
    let mut index = old;
    let mut files = Files::new();
    for listed in std::mem::take(&mut index.files) {
        files.entry(listed.entry.path.clone()).or_default().push(listed);
    }
    let mut left = BTreeSet::new();
    for new in read {
        let path = &new.entry.path;
        // The members of an archive that stays as it was stay as well.
        if new.entry.container.as_ref().is_some_and(|container| left.contains(container)) {
            left.insert(path.clone());
            continue;
        }
        let mut same = files.remove(path).unwrap_or_default();
        let before = same.iter().find(|listed| supersedes(&new, listed)).map(|listed| listed.entry.sha256);
        match before {
            Some(Some(_)) if new.entry.sha256.is_none() => {
                let reason = new.entry.rejects.last().map_or("", |reject| &reject.reason);
                update.kept.push(format!("{path}: {reason}; what was read of it before is kept"));
                left.insert(path.clone());
                files.insert(path.clone(), same);
                continue;
            }
            Some(before) if before.is_some() && before != new.entry.sha256 => update.replaced.push(path.to_string()),
            _ => {}
        }
        same.retain(|listed| !supersedes(&new, listed));
        if !new.from_parts {
            remove_members(&mut files, path);
        }
        let path = path.clone();
        same.push(new);
        files.insert(path, same);
    }
    index.files = files.into_values().flatten().collect();
    index.files.sort_by(|a, b| (&a.entry.path, &a.entry.sha256).cmp(&(&b.entry.path, &b.entry.sha256)));
    index.walks.retain(|before| before.paths != walk.paths);
    index.walks.push(walk);
    index.walks.sort_by(|a, b| a.paths.cmp(&b.paths));
    index.parts.extend(parts);
    let runs =
        |table: Table| index.files.iter().flat_map(move |file| file.runs(table)).map(move |run| (table, run.part));
    let used: BTreeSet<(Table, u32)> = Table::ALL.into_iter().flat_map(runs).collect();
    index.parts.retain(|part| used.contains(&(part.table, part.number)));
    index
}

/// Whether a file takes the place of one of the same name.
fn supersedes(new: &Listed, listed: &Listed) -> bool {
    let (was, is) = (&listed.entry.sha256, &new.entry.sha256);
    let same_file = !new.from_parts && !listed.from_parts;
    let of_parts = new.from_parts && listed.from_parts && was.is_none();
    same_file || of_parts || (was.is_some() && was == is)
}

/// Takes out what was read of the members of an archive, at all levels: their names begin with its own.
fn remove_members(files: &mut Files, archive: &Name) {
    let prefix = format!("{archive}{BETWEEN}");
    let below = files.range(Name::from(prefix.as_str())..).take_while(|(path, _)| path.starts_with(&prefix));
    let mut gone = BTreeSet::from([archive.clone()]);
    let is_within = |listed: &Listed, gone: &BTreeSet<Name>| {
        !listed.from_parts && listed.entry.container.as_ref().is_some_and(|container| gone.contains(container))
    };
    // A container stands before its members.
    for (path, listed) in below {
        if listed.iter().any(|listed| is_within(listed, &gone)) {
            gone.insert(path.clone());
        }
    }
    gone.remove(archive);
    let containers: BTreeSet<Name> = gone.iter().chain([archive]).cloned().collect();
    for path in gone {
        if let Some(listed) = files.get_mut(&path) {
            listed.retain(|listed| !is_within(listed, &containers));
        }
    }
}
