//! What is held of a request, and what it rests on.

use std::collections::BTreeMap;

use super::tri::Tri;

/// A statement of one of the documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    /// Place of the document.
    pub document: usize,
    pub statement: String,
}

/// Whether something holds, with what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub holds: Tri,
    /// The statements it rests on; where it is not known, those that it hangs on.
    pub by: Vec<Basis>,
    /// Keys that would tell, by their names in small letters, as a policy spells them.
    pub missing: BTreeMap<String, String>,
    /// What would have to allow and does not, where it does not hold.
    pub lacks: Vec<Lack>,
}

/// Something that does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    /// The document it would have to stand in, where that is one of those given.
    pub document: Option<usize>,
    /// A clause: "no statement of the bucket policy allows it".
    pub why: String,
}

impl Proof {
    fn plain(holds: Tri) -> Self {
        Self { holds, by: Vec::new(), missing: BTreeMap::new(), lacks: Vec::new() }
    }

    /// It holds, by no statement.
    pub fn yes() -> Self {
        Self::plain(Tri::Yes)
    }

    /// It does not hold.
    pub fn no(document: Option<usize>, why: String) -> Self {
        Self { lacks: vec![Lack { document, why }], ..Self::plain(Tri::No) }
    }

    /// Nothing tells; `key` would.
    pub fn unknown(key: Option<&str>) -> Self {
        let missing = key.map(|key| (key.to_ascii_lowercase(), key.to_owned())).into_iter().collect();
        Self { missing, ..Self::plain(Tri::Unknown) }
    }

    /// A statement that holds or not.
    pub fn of(holds: Tri, basis: Basis, missing: impl Iterator<Item = String>) -> Self {
        let missing = missing.map(|key| (key.to_ascii_lowercase(), key)).collect();
        match holds {
            Tri::No => Self::plain(Tri::No),
            Tri::Yes => Self { by: vec![basis], ..Self::plain(Tri::Yes) },
            Tri::Unknown => Self { by: vec![basis], missing, ..Self::plain(Tri::Unknown) },
        }
    }

    /// Whether one of `proofs` holds; it rests on the first that does.
    pub fn any(proofs: impl IntoIterator<Item = Self>) -> Self {
        proofs.into_iter().fold(Self::plain(Tri::No), |found, next| {
            if found.holds == Tri::Yes { found } else { found.weighed(next, Tri::or) }
        })
    }

    /// Whether all of `proofs` hold.
    pub fn all(proofs: impl IntoIterator<Item = Self>) -> Self {
        proofs.into_iter().fold(Self::yes(), |found, next| found.weighed(next, Tri::and))
    }

    /// Keeps the one that decides; both, where they agree.
    fn weighed(self, next: Self, fold: fn(Tri, Tri) -> Tri) -> Self {
        let whole = fold(self.holds, next.holds);
        match (self.holds == whole, next.holds == whole) {
            (true, true) => self.joined(next),
            (true, false) => self,
            (false, _) => next,
        }
    }

    fn joined(mut self, next: Self) -> Self {
        self.by.extend(next.by);
        self.missing.extend(next.missing);
        self.lacks.extend(next.lacks.into_iter().filter(|lack| !self.lacks.contains(lack)).collect::<Vec<_>>());
        self
    }
}
