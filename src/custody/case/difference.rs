//! What `verify` finds.

use std::fmt;

use serde::Serialize;

/// Something that is not as the case says. Ordered by area, then path, then line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    pub area: Area,
    pub path: String,
    /// From 1, where the file is the ledger.
    pub line: Option<u64>,
    pub kind: Kind,
    /// What was expected and what was found, in one sentence.
    pub detail: String,
}

impl Difference {
    /// One of a whole file.
    pub fn of_file(area: Area, kind: Kind, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { area, path: path.into(), line: None, kind, detail: detail.into() }
    }
}

/// What part of a case a difference is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    Ledger,
    Case,
    Manifest,
    Evidence,
    Events,
    Reports,
    Rules,
    Attestations,
    Tree,
}

impl Area {
    /// The area of a file of the case, by its name.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path.split_once('/').map_or(path, |(folder, _)| folder) {
            "events" => Self::Events,
            "reports" | "failures.parquet" => Self::Reports,
            "rules" => Self::Rules,
            "attestations" => Self::Attestations,
            "tree" => Self::Tree,
            "manifest.json" => Self::Manifest,
            "custody.jsonl" => Self::Ledger,
            _ => Self::Case,
        }
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Case => "case",
            Self::Manifest => "manifest",
            Self::Evidence => "evidence",
            Self::Events => "events",
            Self::Reports => "reports",
            Self::Rules => "rules",
            Self::Attestations => "attestations",
            Self::Tree => "tree",
        }
    }
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Changed,
    Missing,
    Added,
    /// It stands where something else stood.
    Reordered,
    /// An act that was begun and never ended.
    Unfinished,
    /// A line of which only a part is there.
    Torn,
    /// A signature, a proof or a time stamp that does not hold.
    Invalid,
    /// It could not be read, so nothing can be said of it.
    Unreadable,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Reordered => "re-ordered",
            Self::Unfinished => "unfinished",
            Self::Torn => "torn",
            Self::Invalid => "invalid",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
