//! Where the evidence of a case lies now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Ledger, Manifest};

/// From the paths in the manifest to where they are now.
pub struct Places {
    /// Of each path that was given: what stands in its place now, if anything does.
    roots: BTreeMap<String, Option<PathBuf>>,
    /// Those of them that were given as they are, not as a glob.
    whole: BTreeSet<String>,
}

impl Places {
    /// Looks for what the paths of `manifest` named: below `folders` if there are any; else where they were, from here or
    /// from the folders in which the acts of `ledger` took place.
    #[must_use]
    pub fn find(manifest: &Manifest, ledger: &Ledger, folders: &[PathBuf]) -> Self {
        let was_in = ledger.entries.iter().rev().filter_map(|(_, entry)| entry.folder.as_ref()).map(PathBuf::from);
        let mut was_in: Vec<PathBuf> = was_in.collect();
        was_in.dedup();
        let of = |given: &String| {
            let root = root(given);
            let candidates: Vec<PathBuf> = if folders.is_empty() {
                [PathBuf::from(&root)].into_iter().chain(was_in.iter().map(|folder| folder.join(&root))).collect()
            } else {
                folders.iter().flat_map(|folder| below(folder, &root)).collect()
            };
            let inputs = manifest.inputs.iter().filter(|input| input.container.is_none());
            let rests: Vec<&str> = inputs.filter_map(|input| rest(&input.path, &root)).collect();
            let holds = |place: &PathBuf| rests.iter().any(|rest| joined(place, rest).is_file());
            let found = candidates.into_iter().find(holds);
            (root, found)
        };
        let given = || manifest.paths.iter().filter(|path| !is_no_path(path));
        let whole = given().filter(|path| root(path) == path.trim_end_matches('/')).map(|path| root(path)).collect();
        Self { roots: given().map(of).collect(), whole }
    }

    /// Where the file is, or should be, that the manifest calls `path`.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<PathBuf> {
        let mut all = self.roots.iter().filter_map(|(root, place)| Some((rest(path, root)?, place.as_ref()?)));
        let there = all.clone().map(|(rest, place)| joined(place, rest)).find(|place| place.is_file());
        there.or_else(|| all.next().map(|(rest, place)| joined(place, rest)))
    }

    /// The same, without what stands for a glob.
    pub fn whole_roots(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.roots().filter(|(root, _)| self.whole.contains(*root))
    }

    /// The places of what was given, each with its name in the manifest.
    pub fn roots(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.roots.iter().filter_map(|(root, place)| Some((root.as_str(), place.as_deref()?)))
    }
}

/// Standard input and objects in stores are not looked for.
fn is_no_path(path: &str) -> bool {
    path == "-" || path.contains("://")
}

/// What a glob surely names, or the path as it is.
fn root(given: &str) -> String {
    let Some(at) = given.find(['*', '?', '[']).filter(|_| !Path::new(given).exists()) else {
        return given.trim_end_matches('/').to_owned();
    };
    given[..at].rfind('/').map_or_else(|| ".".to_owned(), |slash| given[..slash].to_owned())
}

/// What of `path` lies below `root`; nothing of the root itself.
fn rest<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let below =
        path.strip_prefix(root).and_then(|rest| if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') });
    // A glob without a folder gives names without `./`.
    below.or_else(|| (root == "." && !path.starts_with('/')).then_some(path))
}

fn joined(place: &Path, rest: &str) -> PathBuf {
    if rest.is_empty() { place.to_owned() } else { place.join(rest) }
}

/// Where in `folder` what was `root` may be: under its whole path, under its name, or it is the folder itself.
fn below(folder: &Path, root: &str) -> Vec<PathBuf> {
    let relative = root.trim_start_matches("./").trim_start_matches('/');
    let mut places = Vec::new();
    if !relative.is_empty() && relative != "." {
        places.push(folder.join(relative));
        places.extend(Path::new(relative).file_name().map(|name| folder.join(name)));
    }
    places.push(folder.to_owned());
    places
}
