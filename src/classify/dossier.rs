//! Everything the evidence says of one failure, before it is weighed.

use std::collections::{BTreeMap, BTreeSet};

use super::archive::Archive;
use super::features::FeatureRow;
use super::{interventions, moments, state, surroundings, symptoms};
use crate::correlate::{Failure, Row};
use crate::evidence::Locator;

/// A failure's features, and the first records behind them by group; a rule cites groups.
#[derive(Clone, Debug, Default)]
pub struct Dossier {
    pub features: FeatureRow,
    pub groups: BTreeMap<&'static str, Vec<Locator>>,
    /// Failing attempts by symptom: timeouts, forbidden, conflicts, other.
    pub symptoms: [usize; 4],
    /// Permissions that refusals name.
    pub named: BTreeSet<String>,
    /// Scopes the caller lacked and the step needs, by the archive.
    pub missing: BTreeSet<String>,
    /// Scopes taken from the caller before it failed.
    pub revoked: BTreeSet<String>,
    /// Permissions granted between failing and succeeding.
    pub granted: BTreeSet<String>,
}

/// The groups of records that a rule may cite.
pub const GROUPS: &[(&str, &str)] = &[
    ("failing", "the failing attempts"),
    ("witnesses", "records of other sources about the same attempts"),
    ("listed", "the platform's own list of what failed"),
    ("recovery", "the attempt that succeeded"),
    ("timeouts", "the attempts that timed out"),
    ("throttled", "the attempts that were throttled"),
    ("server_errors", "the attempts answered with 500 and above"),
    ("hold_conflicts", "the conflicts about the hold"),
    ("conditional_conflicts", "the conflicts of concurrent writes"),
    ("credential_errors", "the refusals of the credential"),
    ("named_identity", "the refusals that name an identity-side policy"),
    ("named_resource", "the refusals that name a resource-side policy"),
    ("named_trust", "the refusals that name a trust policy"),
    ("named_key", "the refusals that name a key policy"),
    ("named_permissions", "the refusals that name permissions"),
    ("scopes", "the records that state the caller's scopes, and the changes since"),
    ("successes", "attempts of others that got through"),
    ("caller_successes", "an attempt of the same caller that got through the step"),
    ("policy", "the bucket policy in force"),
    ("trust", "the trust policy in force"),
    ("key", "the key policy in force"),
    ("grants", "the grants in between"),
    ("revocations", "the revocations before"),
    ("policy_changes", "the policy changes in between"),
    ("credentials", "the replacement of the credential"),
    ("holds", "the placing and synchronising of the hold"),
    ("unacknowledged", "the attempts that did not acknowledge the hold"),
    ("ack_demanded", "the attempts whose message asks for an acknowledgement"),
    ("probes", "the direct metadata writes"),
    ("gap", "the records around the gap in the log in which a change would stand"),
    ("disputed", "records of the same requests that contradict each other"),
    ("unordered", "changes so near to an attempt that the clocks do not tell which came first"),
    ("did_not_help", "changes that could have helped, before a further attempt that failed"),
    ("set_aside", "changes in between to something else"),
];

/// Records that one finding cites at most; the others are counted by the features.
pub const MAX_CITED: usize = 12;
/// Records that a group holds at most: enough for a finding even if all that other groups gave it are here too.
pub const MAX_HELD: usize = 2 * MAX_CITED;

impl Dossier {
    /// Gathers what the archive says of `failure`.
    #[must_use]
    pub fn new(archive: &Archive<'_, '_>, failure: &Failure) -> Self {
        let mut dossier = Self::default();
        symptoms::fill(archive, failure, &mut dossier);
        state::fill(archive, failure, &mut dossier);
        surroundings::fill(archive, failure, &mut dossier);
        interventions::fill(archive, failure, &mut dossier);
        moments::fill(archive, &mut dossier);
        dossier
    }

    /// Adds rows to a group.
    pub fn cite_rows(&mut self, archive: &Archive<'_, '_>, group: &'static str, rows: &[Row]) {
        self.cite(group, rows.iter().map(|row| archive.table.locator(*row)));
    }

    /// Adds records to a group.
    pub fn cite(&mut self, group: &'static str, records: impl IntoIterator<Item = Locator>) {
        debug_assert!(GROUPS.iter().any(|(known, _)| *known == group), "{group} is documented");
        let mut records = records.into_iter().peekable();
        if records.peek().is_none() {
            return;
        }
        let held = self.groups.entry(group).or_default();
        for record in records {
            if held.len() == MAX_HELD {
                break;
            }
            if !held.contains(&record) {
                held.push(record);
            }
        }
    }
}
