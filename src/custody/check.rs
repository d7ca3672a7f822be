//! What checking something came to.

use std::fmt;

use serde::Serialize;

/// Whether something that was checked is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Valid,
    Invalid,
    /// What it is to be compared with is not at hand.
    Unchecked,
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Invalid => "INVALID",
            Self::Unchecked => "unchecked",
        })
    }
}

/// One thing that was checked: what, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub what: String,
    pub status: CheckStatus,
    pub detail: String,
}

impl Check {
    /// As it should be.
    pub fn valid(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), status: CheckStatus::Valid, detail: detail.into() }
    }

    /// Not as it should be.
    pub fn invalid(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), status: CheckStatus::Invalid, detail: detail.into() }
    }

    /// Not compared.
    pub fn unchecked(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), status: CheckStatus::Unchecked, detail: detail.into() }
    }

    /// Valid with what was found, or invalid with the reason.
    pub fn of(what: impl Into<String>, found: Result<String, String>) -> Self {
        match found {
            Ok(detail) => Self::valid(what, detail),
            Err(reason) => Self::invalid(what, reason),
        }
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.status == CheckStatus::Valid
    }
}
