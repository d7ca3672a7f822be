//! The records of a file that could not be read, in bounded memory.

use serde::{Deserialize, Serialize};

use super::ledger::BREAKS_OFF;

/// Rejected records of one file that are listed one by one.
const LISTED: usize = 1_000;

/// Rejected records of all files that are listed one by one, beyond the first and the last of each.
const LISTED_IN_ALL: usize = 100_000;

/// A record that could not be read, or the first of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reject {
    /// 0-based number of the record in its file.
    pub record: u64,
    /// Byte offset in the decompressed stream.
    pub offset: u64,
    /// What was expected and what was found.
    pub reason: String,
    /// How many rejected records it stands for: this one and those that were rejected next.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub records: u64,
}

const fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_one(records: &u64) -> bool {
    *records == 1
}

impl Reject {
    /// One record.
    #[must_use]
    pub const fn new(record: u64, offset: u64, reason: String) -> Self {
        Self { record, offset, reason, records: 1 }
    }
}

/// Rejected records in the order of the file. Hostile files hold millions, so only the first [`LISTED`] stand alone: the
/// ones after them are one entry, with the place and the reason of the first of them and their number, and then comes
/// the last, which tells where a file breaks off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Rejects(Vec<Reject>);

impl Rejects {
    /// Adds one that comes after all that are there.
    pub fn push(&mut self, reject: Reject) {
        self.push_within(reject, LISTED);
    }

    fn push_within(&mut self, reject: Reject, listed: usize) {
        if let Some(last) = self.0.get_mut(listed + 1) {
            let before = std::mem::replace(last, reject);
            self.0[listed].records += before.records;
        } else {
            self.0.push(reject);
        }
    }

    /// How many records they are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.0.iter().map(|reject| reject.records).fold(0, u64::saturating_add)
    }

    /// Keeps no more of them than there is `room` for in a run, but for those that always stay, and takes them from it.
    pub fn fit(&mut self, room: &mut Room) {
        if self.0.len() > room.0 + 2 {
            let all = std::mem::take(&mut self.0);
            for reject in all {
                self.push_within(reject, room.0);
            }
        }
        room.0 -= self.0.len().min(room.0);
    }

    /// The one that tells most: where the file breaks off, else the first.
    #[must_use]
    pub fn foremost(&self) -> Option<&Reject> {
        self.0.iter().find(|reject| reject.reason.contains(BREAKS_OFF)).or_else(|| self.0.first())
    }
}

impl std::ops::Deref for Rejects {
    type Target = [Reject];

    fn deref(&self) -> &[Reject] {
        &self.0
    }
}

impl Extend<Reject> for Rejects {
    fn extend<T: IntoIterator<Item = Reject>>(&mut self, rejects: T) {
        rejects.into_iter().for_each(|reject| self.push(reject));
    }
}

impl IntoIterator for Rejects {
    type Item = Reject;
    type IntoIter = std::vec::IntoIter<Reject>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// How many more rejected records a run lists one by one.
#[derive(Clone, Copy, Debug)]
pub struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(LISTED_IN_ALL)
    }
}
