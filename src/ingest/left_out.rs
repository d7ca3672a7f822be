//! Records that are read as if they were not there: what would be found without them?

use std::collections::BTreeSet;

use crate::evidence::Locator;

/// Which records are left out; none by default.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// File and number of each.
    records: BTreeSet<(u32, u64)>,
}

/// Nothing is left out.
pub(super) static NOTHING: LeftOut = LeftOut { records: BTreeSet::new() };

impl LeftOut {
    /// Whether a record is left out.
    #[must_use]
    pub fn has(&self, at: &Locator) -> bool {
        !self.records.is_empty() && self.records.contains(&(at.file, at.record))
    }
}

impl<'a> FromIterator<&'a Locator> for LeftOut {
    fn from_iter<I: IntoIterator<Item = &'a Locator>>(records: I) -> Self {
        Self { records: records.into_iter().map(|at| (at.file, at.record)).collect() }
    }
}
