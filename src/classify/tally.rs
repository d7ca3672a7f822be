//! Who got through a step and who did not, by what their callers held; and what failures say of permissions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::OfWave;
use super::archive::Whole;
use super::authority::{Held, STRAY_SHARE, holds};
use super::refusal;
use super::verdict::{Class, Verdict};
use crate::correlate::{EventTable, Failure, IdHash, Look, Passage, Symbol};
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::Text;

/// Jobs and callers on one side of a step.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// Jobs whose callers' permissions are known; attempts of no job count as one for each caller.
    pub jobs: usize,
    pub callers: usize,
    /// Jobs of which nothing states what the caller held.
    pub unknown: usize,
    /// Jobs that failed for a cause of which the verdict says that it is another than the caller's authority; in none of
    /// the other counts.
    pub explained: usize,
}

/// With and without a permission.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Split {
    pub jobs_with: usize,
    pub jobs_without: usize,
    pub callers_with: usize,
    pub callers_without: usize,
}

/// Refusals that name a permission, and the first of them.
pub type Named = BTreeMap<String, (usize, Locator)>;

/// What failures say of permissions.
#[derive(Default)]
pub struct Suspects {
    /// Jobs and the steps that they failed at perhaps for want of a permission: the verdict says so, or does not decide.
    /// Who failed for another cause says nothing of what the step needs.
    lacking: BTreeSet<(IdHash, Symbol)>,
    /// Permissions that refusals name, by step and media type, and by step alone.
    named: BTreeMap<(String, Option<String>), Named>,
}

impl Suspects {
    fn has(&self, passage: &Passage) -> bool {
        self.lacking.contains(&(passage.job, passage.step))
    }

    /// The permissions that refusals at a step name, of one media type or of all.
    #[must_use]
    pub fn named_at(&self, step: &str, media: Option<&str>) -> Option<&Named> {
        self.named.get(&(step.to_owned(), media.map(str::to_owned)))
    }

    fn note_refusals(&mut self, table: &EventTable, failure: &Failure) {
        for (row, step) in failure.failing.iter().zip(&failure.steps) {
            let Some(message) = table.text(Text::ErrorMessage, *row) else { continue };
            let at = table.locator(*row);
            for permission in refusal::named_permissions(message) {
                for media in std::iter::once(None).chain(failure.media_type.clone().map(Some)) {
                    let of_step = self.named.entry((step.clone(), media)).or_default();
                    let (count, first) = of_step.entry(permission.clone()).or_insert((0, at));
                    *count += 1;
                    *first = at.min(*first);
                }
            }
        }
    }
}

impl OfWave<'_, '_> {
    /// Takes in what `failures`, which have these verdicts, say of permissions.
    pub fn suspect(&self, failures: &[&Failure], verdicts: &[Verdict], suspects: &mut Suspects) {
        let (outline, table) = (self.archive.outline, self.archive.table);
        // What a role of AWS may do is another matter than the permissions of the platform's client.
        let may = |verdict: &Verdict| match verdict.class {
            Class::ScopeCollision => verdict.mechanism.as_deref() != Some("identity_policy_denied"),
            class => class == Class::Inconclusive,
        };
        for (failure, verdict) in failures.iter().zip(verdicts) {
            suspects.note_refusals(table, failure);
            if may(verdict) {
                let job = failure.job_id.as_deref().map_or(0, |job| outline.hash(job));
                let steps = failure.steps.iter().filter_map(|step| outline.symbols.find(step));
                suspects.lacking.extend(steps.map(|step| (job, step)));
            }
        }
    }
}

/// Jobs whose callers held the same.
#[derive(Default)]
struct Group {
    jobs: usize,
    callers: BTreeSet<Symbol>,
    /// The first attempt, and what states the permissions.
    example: Option<(Locator, Option<Locator>)>,
}

/// Jobs on one side of a step, by what their callers held.
#[derive(Default)]
pub struct Jobs {
    groups: BTreeMap<BTreeSet<String>, Group>,
    /// Those of which nothing states what the caller held.
    unknown: usize,
    /// Those that failed for another cause.
    explained: usize,
}

/// Those who passed, and those who failed.
#[derive(Default)]
pub struct Tally {
    pub passed: Jobs,
    pub failed: Jobs,
}

impl Tally {
    /// Takes in what a job did.
    ///
    /// # Errors
    /// What its caller held cannot be looked up.
    pub fn note(
        &mut self,
        archive: &Whole<'_>,
        passage: &Passage,
        suspects: &Suspects,
        look: &mut Look<'_>,
    ) -> Result<()> {
        // A job that failed at the step and got through later may have been helped by a change that no log shows.
        if passage.ok > 0 && (passage.failed == 0 || passage.job == 0) {
            let (time, first) = (passage.ok_at, passage.first_ok);
            self.passed.note(passage, held(archive, passage, time, look)?, first);
        }
        if passage.failed > 0 && !suspects.has(passage) {
            self.failed.explained += 1;
        } else if passage.failed > 0 {
            let (time, first) = (passage.failed_at, passage.first_failed);
            self.failed.note(passage, held(archive, passage, time, look)?, first);
        }
        Ok(())
    }
}

/// What the caller held.
fn held<'a>(
    archive: &'a Whole<'_>,
    passage: &Passage,
    time: Option<i64>,
    look: &mut Look<'_>,
) -> Result<Option<Held<'a>>> {
    let principal = archive.outline.symbols.name(passage.principal).unwrap_or_default();
    archive.authority.held_as_stated(principal, passage.job, time, look)
}

impl Jobs {
    fn note(&mut self, passage: &Passage, held: Option<Held<'_>>, first: Option<Locator>) {
        let Some(held) = held else {
            self.unknown += 1;
            return;
        };
        let example = first.map(|at| (at, held.basis));
        let group = match self.groups.get_mut(&*held.scopes) {
            Some(group) => group,
            None => self.groups.entry(held.scopes.into_owned()).or_default(),
        };
        group.jobs += 1;
        group.callers.insert(passage.principal);
        group.example = [group.example, example].into_iter().flatten().min();
    }

    /// The permissions that any of them held, by name.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<&str> {
        self.groups.keys().flatten().map(String::as_str).collect()
    }

    /// How many there are, whatever is known of them.
    #[must_use]
    pub fn all(&self) -> usize {
        self.unknown + self.explained + self.groups.values().map(|group| group.jobs).sum::<usize>()
    }

    /// How many there are, and of how many callers.
    #[must_use]
    pub fn side(&self) -> Side {
        let callers: BTreeSet<&Symbol> = self.groups.values().flat_map(|group| &group.callers).collect();
        let jobs = self.groups.values().map(|group| group.jobs).sum();
        Side { jobs, callers: callers.len(), unknown: self.unknown, explained: self.explained }
    }

    /// For each group, whether it held `permission`.
    #[must_use]
    pub fn pattern(&self, permission: &str) -> Vec<bool> {
        self.groups.keys().map(|held| holds(held, permission)).collect()
    }

    /// How many of them held what that pattern is of.
    #[must_use]
    pub fn split(&self, pattern: &[bool]) -> Split {
        let of = |with: bool| {
            let groups =
                self.groups.values().zip(pattern).filter(move |(_, held)| **held == with).map(|(group, _)| group);
            let callers: BTreeSet<&Symbol> = groups.clone().flat_map(|group| &group.callers).collect();
            (groups.map(|group| group.jobs).sum::<usize>(), callers.len())
        };
        let ((jobs_with, callers_with), (jobs_without, callers_without)) = (of(true), of(false));
        Split { jobs_with, jobs_without, callers_with, callers_without }
    }

    /// The first examples of those who did not hold it.
    #[must_use]
    pub fn examples_without(&self, pattern: &[bool]) -> Vec<(Locator, Option<Locator>)> {
        let without = self.groups.values().zip(pattern).filter(|(_, held)| !**held);
        let mut found: Vec<_> = without.filter_map(|(group, _)| group.example).collect();
        found.sort_unstable();
        found
    }
}

impl Split {
    /// Whether all held it, but for strays: a revocation takes a while to reach every server, and what a record states of
    /// permissions can be stale.
    #[must_use]
    pub fn is_held_by_all(&self) -> bool {
        self.jobs_without * STRAY_SHARE <= self.jobs_with + self.jobs_without
    }
}
