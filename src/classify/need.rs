//! What steps need, judged by who gets through them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::authority::{Authority, ENOUGH_JOBS, STRAY_SHARE, holds};
use crate::error::Result;
use crate::evidence::Locator;

/// What a step needs, as far as the archive tells.
#[derive(Clone, Debug, Default)]
pub struct Need {
    /// Scopes that every caller who got through held.
    pub needed: BTreeSet<String>,
    /// Scopes without which somebody got through.
    pub not_needed: BTreeSet<String>,
    /// Jobs that got through with known scopes.
    pub jobs: usize,
    /// Records that got through, to cite.
    pub examples: Vec<Locator>,
}

/// The first records that got through, to cite.
const EXAMPLES: usize = 3;

impl Authority<'_> {
    /// What `step` needs, judged by who got through it.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn need(&self, step: &str) -> Result<Need> {
        let (mut passed, mut examples) = (Passed::default(), BTreeSet::new());
        let mut look = self.contrast.statements.look();
        self.contrast.through(step, |group| {
            let principal = self.outline.symbols.name(group.principal).unwrap_or_default();
            let Some(held) = self.held_as_stated(principal, group.job, group.time, &mut look)? else { return Ok(()) };
            examples.insert(group.example);
            if examples.len() > EXAMPLES {
                examples.pop_last();
            }
            passed.note(held.scopes);
            Ok(())
        })?;
        let candidates = self.candidates.get(step).map(Vec::as_slice).unwrap_or_default();
        let mut need = passed.need(candidates);
        need.examples.extend(examples);
        // Callers who succeed share scopes that have nothing to do with the step. Where one that the pack names for it is
        // among them, the others are taken for such.
        if need.needed.iter().any(|scope| self.is_candidate(step, scope)) {
            need.needed.retain(|scope| self.is_candidate(step, scope));
        }
        Ok(need)
    }
}

/// The jobs that got through a step, by what their callers held. Callers may be very many, each with scopes of its own: so
/// jobs are counted by scope, and by sets of scopes only where these have wildcards.
#[derive(Default)]
struct Passed<'a> {
    jobs: usize,
    /// Those that held just what a statement names, as nearly all do; by where its scopes lie.
    stated: HashMap<*const BTreeSet<String>, (&'a BTreeSet<String>, usize), foldhash::fast::RandomState>,
    by_scope: HashMap<String, usize, foldhash::fast::RandomState>,
    with_wildcards: BTreeMap<BTreeSet<String>, usize>,
}

impl<'a> Passed<'a> {
    /// Takes in a job.
    fn note(&mut self, held: Cow<'a, BTreeSet<String>>) {
        self.jobs += 1;
        match held {
            Cow::Borrowed(scopes) => self.stated.entry(scopes).or_insert((scopes, 0)).1 += 1,
            Cow::Owned(scopes) => self.count(&scopes, 1),
        }
    }

    fn count(&mut self, scopes: &BTreeSet<String>, jobs: usize) {
        if scopes.iter().any(|scope| scope.contains('*')) {
            match self.with_wildcards.get_mut(scopes) {
                Some(held) => *held += jobs,
                None => drop(self.with_wildcards.insert(scopes.clone(), jobs)),
            }
            return;
        }
        for scope in scopes {
            match self.by_scope.get_mut(scope) {
                Some(held) => *held += jobs,
                None => drop(self.by_scope.insert(scope.clone(), jobs)),
            }
        }
    }

    /// What they say of the scopes that any of them held, and of `candidates`.
    fn need(mut self, candidates: &[String]) -> Need {
        let mut stated: Vec<(&BTreeSet<String>, usize)> = std::mem::take(&mut self.stated).into_values().collect();
        stated.sort_unstable();
        for (scopes, jobs) in stated {
            self.count(scopes, jobs);
        }
        let Self { jobs, by_scope, with_wildcards, .. } = self;
        let named: BTreeSet<&String> = with_wildcards.keys().flatten().collect();
        let universe: BTreeSet<&String> = by_scope.keys().chain(named.iter().copied()).chain(candidates).collect();
        let mut need = Need { jobs, ..Need::default() };
        for scope in universe {
            let by_wildcards = with_wildcards.iter().filter(|(held, _)| holds(held, scope)).map(|(_, jobs)| jobs);
            let jobs_with = by_scope.get(scope).copied().unwrap_or(0) + by_wildcards.sum::<usize>();
            if (jobs - jobs_with) * STRAY_SHARE > jobs {
                need.not_needed.insert(scope.clone());
            } else if jobs >= ENOUGH_JOBS && (by_scope.contains_key(scope) || named.contains(scope)) {
                need.needed.insert(scope.clone());
            }
        }
        need
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{ENOUGH_JOBS, Passed, STRAY_SHARE, holds};

    /// What is needed and what is not, by going through all jobs for each scope.
    fn by_definition(held: &[BTreeSet<String>], candidates: &[String]) -> [BTreeSet<String>; 2] {
        let with: BTreeSet<&String> = held.iter().flatten().collect();
        let [mut needed, mut not_needed] = [BTreeSet::new(), BTreeSet::new()];
        for scope in with.iter().copied().chain(candidates) {
            let without = held.iter().filter(|held| !holds(held, scope)).count();
            if without * STRAY_SHARE > held.len() {
                not_needed.insert(scope.clone());
            } else if with.contains(scope) && held.len() >= ENOUGH_JOBS {
                needed.insert(scope.clone());
            }
        }
        [needed, not_needed]
    }

    fn scopes() -> impl Strategy<Value = BTreeSet<String>> {
        let scope = prop::sample::select(&["a:b:c", "a:b:d", "a:*", "*", "e:f", "g", "h:*:i", "h:j:i"][..]);
        prop::collection::btree_set(scope.prop_map(str::to_owned), 0..5)
    }

    proptest! {
        #[test]
        fn what_a_step_needs_is_counted_by_scope_as_it_is_by_going_through_all_jobs(
            kinds in prop::collection::vec(scopes(), 1..4),
            picks in prop::collection::vec((0..4usize, any::<bool>()), 0..120),
            candidates in prop::collection::vec(prop::sample::select(&["a:b:c", "x:y"][..]).prop_map(str::to_owned), 0..2),
        ) {
            let held: Vec<BTreeSet<String>> = picks.iter().map(|(n, _)| kinds[n % kinds.len()].clone()).collect();
            let mut passed = Passed::default();
            for (n, stated) in &picks {
                let scopes = &kinds[n % kinds.len()];
                passed.note(if *stated { Cow::Borrowed(scopes) } else { Cow::Owned(scopes.clone()) });
            }
            let need = passed.need(&candidates);
            prop_assert_eq!(need.jobs, held.len());
            prop_assert_eq!([need.needed, need.not_needed], by_definition(&held, &candidates));
        }
    }
}
