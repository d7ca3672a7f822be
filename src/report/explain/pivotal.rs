//! What a verdict hangs on: found by taking records away and looking again.
//!
//! A record that is left out is as if it were not in its file: everything is read, correlated and weighed anew. So what is
//! named here is not what the rules are thought to rest on but what they were seen to rest on.

use std::collections::BTreeSet;

use crate::classify::{Class, Finding, Judge, Verdict};
use crate::correlate::{EventTable, Failure, Row};
use crate::error::Result;
use crate::evidence::Locator;
use crate::report::{Evidence, RuleText};

/// Records without which a verdict is another.
#[derive(Clone, Debug)]
pub struct Pivot {
    /// Ascending. None where the verdict stood whatever was left out.
    pub records: Vec<Locator>,
    /// What the failure is without them; `None` where it is no longer one.
    pub becomes: Option<Class>,
    /// Whether it was seen that none of them can be spared.
    pub smallest: bool,
    /// How often the archive was looked at again.
    pub tries: usize,
    /// Whether all was tried that was meant to be.
    pub exhausted: bool,
}

/// Single records that are tried.
const SINGLES: usize = 24;
/// Rules that are taken away one after the other.
const ROUNDS: usize = 32;

type Set = BTreeSet<Locator>;

/// What a failure is when some records are left out.
enum Without {
    /// Still a failure.
    Verdict(Box<Verdict>),
    /// No failure at all.
    Nothing,
    /// There were too many tries to look.
    Unknown,
}

impl Without {
    fn class(&self) -> Option<Class> {
        match self {
            Self::Verdict(verdict) => Some(verdict.class),
            _ => None,
        }
    }
}

/// The search for one failure's pivot.
pub struct Search<'a> {
    pub evidence: &'a Evidence<'a>,
    pub rules: &'a RuleText,
    /// The events of the failure's wave.
    pub table: &'a EventTable,
    pub failure: &'a Failure,
    pub verdict: &'a Verdict,
    /// Records that repeat another: where that is left out, one of them takes its place.
    pub repeats: &'a BTreeSet<Locator>,
    /// How often the archive may be looked at again.
    pub tries: usize,
}

impl Search<'_> {
    /// Finds what the verdict hangs on.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn run(self) -> Result<Pivot> {
        let mut attempts = Attempts { search: &self, made: 0 };
        let single = self.single(&mut attempts)?;
        if let Some(pivot) = single.changes {
            return Ok(pivot.after(&attempts));
        }
        let decided = self.verdict.class != Class::Inconclusive;
        if let Some(pivot) = if decided { self.set(&mut attempts)? } else { None } {
            return Ok(pivot.after(&attempts));
        }
        let last = match single.ends {
            Some(pivot) => Some(pivot),
            None => self.all_failing(&mut attempts)?,
        };
        let stands = Pivot::of(&Set::new(), Some(self.verdict.class), true);
        Ok(last.unwrap_or(stands).after(&attempts))
    }

    /// Tries single records: those cited for the verdict, the strongest rule first; then those that keep other causes down.
    fn single(&self, attempts: &mut Attempts<'_, '_>) -> Result<Single> {
        let mut single = Single::default();
        for at in self.candidates().into_iter().take(SINGLES) {
            let mut set = Set::from([at]);
            match attempts.without(&mut set)? {
                Without::Nothing => single.ends = single.ends.or(Some(Pivot::of(&set, None, true))),
                Without::Unknown => break,
                without if self.differs(&without) => {
                    single.changes = Some(Pivot::of(&set, without.class(), true));
                    break;
                }
                Without::Verdict(_) => {}
            }
        }
        Ok(single)
    }

    /// Takes the records of the strongest rule away, then those of what is now the strongest, until the verdict falls; then
    /// gives back what it falls without. Failing attempts go last and one by one: without all of them there is no failure.
    fn set(&self, attempts: &mut Attempts<'_, '_>) -> Result<Option<Pivot>> {
        let mut set = Set::new();
        let mut verdict = Box::new(self.verdict.clone());
        for _ in 0..ROUNDS {
            let more = self.strongest(&verdict.findings, &set);
            if more.is_empty() {
                return Ok(None);
            }
            set.extend(more);
            match attempts.without(&mut set)? {
                Without::Unknown => return Ok(None),
                without if self.falls(&without) => {
                    let pivot = Pivot::of(&set, without.class(), false);
                    return self.reduced(pivot, attempts).map(Some);
                }
                Without::Verdict(now) => verdict = now,
                Without::Nothing => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Gives records back as long as the verdict stays another, or the failure gone.
    fn reduced(&self, mut pivot: Pivot, attempts: &mut Attempts<'_, '_>) -> Result<Pivot> {
        pivot.smallest = true;
        for at in pivot.records.clone() {
            let mut fewer: Set = pivot.records.iter().filter(|other| **other != at).copied().collect();
            if fewer.is_empty() {
                continue;
            }
            match attempts.without(&mut fewer)? {
                Without::Unknown => return Ok(Pivot { smallest: false, ..pivot }),
                without if self.falls(&without) => pivot = Pivot::of(&fewer, without.class(), true),
                _ => {}
            }
        }
        Ok(pivot)
    }

    /// Without its failing attempts there is no failure.
    fn all_failing(&self, attempts: &mut Attempts<'_, '_>) -> Result<Option<Pivot>> {
        let mut set = self.locators(&[&self.failure.failing, &self.failure.witnesses]);
        match attempts.without(&mut set)? {
            Without::Nothing => self.reduced(Pivot::of(&set, None, false), attempts).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether the verdict has fallen, be it with the failure itself.
    fn falls(&self, without: &Without) -> bool {
        self.differs(without) || matches!(without, Without::Nothing)
    }

    /// Whether the verdict is another. One that decides nothing is another where something is decided.
    fn differs(&self, without: &Without) -> bool {
        without.class().is_some_and(|class| class != self.verdict.class)
    }

    fn candidates(&self) -> Vec<Locator> {
        let mut ranked: Vec<&Finding> = self.verdict.findings.iter().collect();
        ranked.sort_by(|a, b| self.speaks(b).total_cmp(&self.speaks(a)));
        let mut found: Vec<Locator> = Vec::new();
        for finding in ranked {
            for at in self.in_order(&finding.records) {
                if !found.contains(&at) {
                    found.push(at);
                }
            }
        }
        found
    }

    /// How much a finding does for the verdict: what speaks for its class, and, with less, what speaks against another. Where
    /// nothing is decided, whatever weighs may be what stands in the way.
    fn speaks(&self, finding: &Finding) -> f64 {
        let own = finding.is_of(self.verdict.class);
        match (self.verdict.class, own) {
            (Class::Inconclusive, _) => finding.weight.abs(),
            (_, true) => finding.weight,
            (_, false) => -finding.weight / 1000.0,
        }
    }

    /// What to take away next: the records of the strongest finding for the verdict that are not in `set`, but for failing
    /// attempts; where there are only such, one of them.
    fn strongest(&self, findings: &[Finding], set: &Set) -> Set {
        let failing = self.locators(&[&self.failure.failing]);
        let is_for = |finding: &&Finding| finding.is_of(self.verdict.class) && finding.weight > 0.0;
        let of = |of_failing: bool| {
            let rest = |finding: &Finding| -> Set {
                let records = finding.records.iter().filter(|at| !set.contains(at));
                records.filter(|at| of_failing == failing.contains(at)).copied().collect()
            };
            let weighed = findings.iter().filter(is_for).map(|finding| (finding.weight, rest(finding)));
            let rest = weighed.filter(|(_, rest)| !rest.is_empty());
            rest.reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|(_, rest)| rest)
        };
        of(false).or_else(|| of(true).map(|rest| rest.into_iter().take(1).collect())).unwrap_or_default()
    }

    /// What is no attempt of the item itself first, then what is no failing attempt.
    fn in_order(&self, records: &[Locator]) -> Vec<Locator> {
        let (attempts, failing) = (self.locators(&[&self.failure.attempts]), self.locators(&[&self.failure.failing]));
        let mut records = records.to_vec();
        records.sort_by_key(|at| (failing.contains(at), attempts.contains(at), *at));
        records
    }

    fn locators(&self, rows: &[&[Row]]) -> Set {
        rows.iter().copied().flatten().map(|row| self.table.locator(*row)).collect()
    }
}

#[derive(Default)]
struct Single {
    /// Without it the verdict is another.
    changes: Option<Pivot>,
    /// Without it there is no failure.
    ends: Option<Pivot>,
}

impl Pivot {
    fn of(records: &Set, becomes: Option<Class>, smallest: bool) -> Self {
        Self { records: records.iter().copied().collect(), becomes, smallest, tries: 0, exhausted: true }
    }

    fn after(self, attempts: &Attempts<'_, '_>) -> Self {
        Self { tries: attempts.made, exhausted: attempts.made < attempts.search.tries, ..self }
    }
}

/// What was tried.
struct Attempts<'s, 'a> {
    search: &'s Search<'a>,
    made: usize,
}

impl Attempts<'_, '_> {
    /// Looks at the archive without the records in `set`, to which those are added that repeat one of them.
    fn without(&mut self, set: &mut Set) -> Result<Without> {
        let Search { evidence, rules, repeats, tries, .. } = self.search;
        loop {
            if self.made >= *tries {
                return Ok(Without::Unknown);
            }
            self.made += 1;
            let read = evidence.without(&set.iter().collect(), rules)?;
            let still = if repeats.is_empty() { Set::new() } else { read.repeats()? };
            let instead: Set = repeats.iter().filter(|at| !still.contains(at) && !set.contains(at)).copied().collect();
            if instead.is_empty() {
                return self.found(&read);
            }
            set.extend(instead);
        }
    }

    /// What the failure is in `read`.
    fn found(&self, read: &Evidence<'_>) -> Result<Without> {
        let Search { failure, rules, .. } = self.search;
        for wave in read.correlated.waves(&read.reread()) {
            let wave = wave?;
            let Some(same) = wave.failures.iter().find(|other| is_same(failure, other)) else { continue };
            let judge = Judge::new(&read.ingested, &read.correlated, &rules.pack)?;
            let verdict = judge.of(&wave).verdicts(&[same])?.into_iter().next();
            return Ok(verdict.map_or(Without::Nothing, |verdict| Without::Verdict(Box::new(verdict))));
        }
        Ok(Without::Nothing)
    }
}

/// Whether a failure found with records left out is the one that was found with them: of the same job and item; where there
/// is no job, by the same caller and in the same time.
fn is_same(failure: &Failure, other: &Failure) -> bool {
    let item = (&failure.job_id, &failure.unit) == (&other.job_id, &other.unit);
    let overlaps = || {
        failure.principal == other.principal
            && other.first_failed_at <= failure.last_failed_at
            && other.last_failed_at >= failure.first_failed_at
    };
    item && (failure.job_id.is_some() || overlaps())
}
