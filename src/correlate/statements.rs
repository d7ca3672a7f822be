//! What records of jobs state of the scopes that their callers hold. Every job of an archive may state some, so they do not
//! lie in memory; they are found by job, and by caller and time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::columns::{Column, known};
use super::outline::{Id, IdHash, NO_TIME, Outline};
use super::symbols::Symbol;
use crate::error::Result;
use crate::evidence::Locator;
use crate::spill::{Ascending, Cursor, Size, Sorted, Sorter, Tell, by_share, halves, joined, ordered, time_of};

/// A statement of what a caller held: when a record of its job first made it, and the first record that makes it.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    job: IdHash,
    pub time: Option<i64>,
    /// By [`Statements::scopes`].
    pub scopes: Symbol,
    pub at: Locator,
    /// 0 where the record does not say who called.
    pub principal: Symbol,
}

/// All of them.
#[derive(Default)]
pub struct Statements {
    /// Job, time, place, caller and scopes.
    by_job: Sorted<7>,
    /// Caller, time, place and scopes.
    by_caller: Sorted<7>,
    scope_sets: BTreeMap<Symbol, BTreeSet<String>>,
}

type Found = HashMap<(IdHash, Symbol, Symbol), Statement, foldhash::fast::RandomState>;

/// Jobs whose statements are gathered at a time.
const GATHERED: usize = 1 << 15;

impl Statements {
    /// Gathers those of an archive.
    ///
    /// # Errors
    /// The outline cannot be read, or a temporary file.
    pub fn gather(outline: &Outline) -> Result<Self> {
        let (mut by_job, mut by_caller) = (Ascending::default(), Sorter::default());
        let mut scope_sets = BTreeMap::new();
        let size = Size { expected: outline.jobs.count(), most: GATHERED };
        by_share(
            size,
            |tell| tell_all(outline, tell),
            Found::default,
            take,
            |found| {
                let mut found: Vec<Statement> = found.into_values().collect();
                found.sort_unstable_by_key(|said| (said.job, said.time, said.at));
                for said in found {
                    by_job.push(said.by_job())?;
                    if said.principal != 0 {
                        by_caller.push(said.by_caller())?;
                    }
                    let name = || outline.symbols.name(said.scopes).unwrap_or_default();
                    scope_sets.entry(said.scopes).or_insert_with(|| name().split(' ').map(str::to_owned).collect());
                }
                Ok(())
            },
        )?;
        Ok(Self { by_job: by_job.finish()?, by_caller: by_caller.finish()?, scope_sets })
    }

    /// The scopes that a statement names.
    #[must_use]
    pub fn scopes(&self, statement: &Statement) -> Option<&BTreeSet<String>> {
        self.scope_sets.get(&statement.scopes)
    }

    /// For looking statements up.
    #[must_use]
    pub const fn look(&self) -> Look<'_> {
        Look { by_job: self.by_job.cursor(), by_caller: self.by_caller.cursor() }
    }
}

/// Looks statements up: best in order of the jobs' hashes.
pub struct Look<'a> {
    by_job: Cursor<'a, 7>,
    by_caller: Cursor<'a, 7>,
}

impl Look<'_> {
    /// What the records of a job state, in order of time.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn of_job(&mut self, job: IdHash) -> Result<Vec<Statement>> {
        let mut found = Vec::new();
        self.by_job.beginning([job], |words| {
            found.push(Statement::from_job(words));
            Ok(())
        })?;
        Ok(found)
    }

    /// The last statement of a caller's that was not made after `time`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn last_of(&mut self, principal: Symbol, time: i64) -> Result<Option<Statement>> {
        const LAST: u64 = u64::MAX;
        let found = self.by_caller.last_before([u64::from(principal), ordered(time), LAST, LAST, LAST, LAST, LAST])?;
        let found = found.filter(|words| words[0] == u64::from(principal)).map(Statement::from_caller);
        Ok(found.filter(|said| said.time.is_some()))
    }
}

impl Statement {
    fn by_job(&self) -> [u64; 7] {
        let [file, record, offset, length] = self.at.to_words();
        [self.job, self.when(), file, record, offset, length, joined(self.principal, self.scopes)]
    }

    fn by_caller(&self) -> [u64; 7] {
        let [file, record, offset, length] = self.at.to_words();
        [u64::from(self.principal), self.when(), file, record, offset, length, joined(0, self.scopes)]
    }

    /// An unknown time comes first.
    fn when(&self) -> u64 {
        ordered(self.time.unwrap_or(NO_TIME))
    }

    fn from_job([job, when, file, record, offset, length, names]: [u64; 7]) -> Self {
        let ([principal, scopes], time) = (halves(names), Some(time_of(when)).filter(|time| *time != NO_TIME));
        Self { job, time, scopes, at: Locator::from_words([file, record, offset, length]), principal }
    }

    /// Of which job it is is not known then.
    fn from_caller([principal, when, file, record, offset, length, scopes]: [u64; 7]) -> Self {
        let [_, scopes] = halves(scopes);
        let principal = Symbol::try_from(principal).unwrap_or(0);
        Self { principal, ..Self::from_job([0, when, file, record, offset, length, joined(0, scopes)]) }
    }
}

/// Statements that are held to be compared with those that come next.
const LAST: usize = 4096;

/// Tells of each record that states scopes its job, caller and scopes, time and place, but for those that say again what
/// one of the same job said shortly before.
fn tell_all(outline: &Outline, tell: &mut Tell<'_, 7>) -> Result<()> {
    let columns = [Column::Time, Column::Principal, Column::Scopes, Column::Id(Id::Job), Column::At];
    outline.tell(
        &columns,
        |block, say| {
            let mut last = vec![(0, 0, NO_TIME); LAST];
            let (jobs, principals) = (block.id(Id::Job), block.names(Column::Principal));
            for (n, scopes) in block.names(Column::Scopes).iter().copied().enumerate().filter(|(_, s)| *s != 0) {
                let (names, time) = (joined(principals[n], scopes), block.time[n]);
                let held = &mut last[usize::try_from(jobs[n] % LAST as u64).unwrap_or(0)];
                let is_earlier = time != NO_TIME && (held.2 == NO_TIME || time < held.2);
                if (held.0, held.1) == (jobs[n], names) && !is_earlier {
                    continue;
                }
                *held = (jobs[n], names, time);
                let [file, record, offset, length] = block.at[n].to_words();
                say(jobs[n], [jobs[n], names, time.cast_unsigned(), file, record, offset, length]);
            }
        },
        tell,
    )
}

fn take(found: &mut Found, [job, names, time, file, record, offset, length]: [u64; 7]) {
    let ([principal, scopes], time) = (halves(names), known(time));
    let at = Locator::from_words([file, record, offset, length]);
    let said = Statement { job, time, scopes, at, principal };
    let held = found.entry((job, principal, scopes)).or_insert(said);
    held.time = [held.time, time].into_iter().flatten().min();
}
