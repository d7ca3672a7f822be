//! What the rest of the archive did: who got through which step, with which scopes, into which bucket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use super::columns::{Column, known};
use super::outline::{Block, Id, IdHash, NO_TIME, Outline, flag};
use super::statements::Statements;
use super::symbols::Symbol;
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::Text;
use crate::spill::{Size, Spilled, Tell, by_share, halves, joined};

/// Attempts that got through and that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub ok: u64,
    pub failed: u64,
    /// Jobs with an attempt that got through; attempts of no job count as one.
    pub ok_jobs: u64,
    pub failed_jobs: u64,
    /// The first record that got through, to cite.
    pub example: Option<Locator>,
}

/// Attempts of one job that got through a step without having failed at it.
#[derive(Clone, Copy, Debug)]
pub struct ScopeGroup {
    /// 0 for attempts of no job.
    pub job: IdHash,
    pub principal: Symbol,
    /// When the first of them got through.
    pub time: Option<i64>,
    pub ok: u64,
    pub example: Locator,
}

/// The archive's other jobs, as far as verdicts need them. Steps, callers, buckets and regions by their numbers in the
/// outline.
#[derive(Default)]
pub struct Contrast {
    /// By step and principal, ascending: callers may be many.
    by_caller: Vec<((Symbol, Symbol), Count)>,
    /// By bucket, of the steps that write there.
    by_bucket: Counts<Symbol>,
    /// Attempts that failed, by region and hour since 1970.
    by_hour: ByHour,
    /// Who got through the steps at which something failed, by job.
    through: BTreeMap<String, Spilled<8>>,
    /// What callers held.
    pub statements: Statements,
    /// The steps at which an attempt failed.
    pub failed_steps: BTreeSet<String>,
    /// Time of the first and last event of the archive.
    pub span: Option<(i64, i64)>,
}

type ByHour = HashMap<(Symbol, i64), u64, foldhash::fast::RandomState>;
type Counts<K> = HashMap<K, Count, foldhash::fast::RandomState>;
type Groups<K> = HashMap<(K, IdHash), Group, foldhash::fast::RandomState>;

/// Attempts of one job.
#[derive(Clone, Copy, Default)]
struct Group {
    ok: u64,
    failed: u64,
    first_ok: Option<Locator>,
    ok_at: Option<i64>,
}

const HOUR: i64 = 3_600_000_000;

/// Attempts whose jobs are grouped at a time.
const GROUPED: usize = 1 << 18;
const LOOKED_AT: [Column; 7] =
    [Column::Time, Column::Phase, Column::Principal, Column::Bucket, Column::Region, Column::Id(Id::Job), Column::At];

impl Contrast {
    /// Counts the attempts of an archive.
    ///
    /// # Errors
    /// The outline cannot be read.
    pub fn new(outline: &Outline) -> Result<Self> {
        let (span, failed_steps) = span_and_failed_steps(outline)?;
        let names = failed_steps.iter().filter_map(|step| outline.symbols.name(*step)).map(str::to_owned);
        let mut contrast = Self { span, failed_steps: names.collect(), ..Self::default() };
        let (counted, statements) =
            rayon::join(|| contrast.count(outline, &failed_steps), || Statements::gather(outline));
        counted?;
        Ok(Self { statements: statements?, ..contrast })
    }

    /// Groups the attempts by job, and counts the failing ones by the hour.
    fn count(&mut self, outline: &Outline, failed_steps: &BTreeSet<Symbol>) -> Result<()> {
        let Self { by_bucket, through, .. } = self;
        let (mut by_caller, failed) = (Counts::default(), Mutex::default());
        let size = Size { expected: outline.count(flag::ATTEMPT), most: GROUPED };
        by_share(
            size,
            |tell| tell_attempts(outline, &failed, tell),
            Grouped::default,
            Grouped::take,
            |groups| {
                add_counts(&groups.by_caller, &mut by_caller);
                add_counts(&groups.by_bucket, by_bucket);
                add_through(outline, &groups.by_caller, failed_steps, through)
            },
        )?;
        self.by_hour = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.by_caller = by_caller.into_iter().collect();
        self.by_caller.sort_unstable_by_key(|(caller, _)| *caller);
        Ok(())
    }

    /// The count of a step by a caller.
    #[must_use]
    pub fn caller(&self, outline: &Outline, step: &str, principal: &str) -> Count {
        let key = outline.symbols.find(step).zip(outline.symbols.find(principal));
        let place = key.and_then(|key| self.by_caller.binary_search_by_key(&key, |(caller, _)| *caller).ok());
        place.map_or_else(Count::default, |place| self.by_caller[place].1)
    }

    /// The count of writes to a bucket.
    #[must_use]
    pub fn bucket(&self, outline: &Outline, bucket: &str) -> Count {
        outline.symbols.find(bucket).and_then(|key| self.by_bucket.get(&key)).copied().unwrap_or_default()
    }

    /// How many attempts failed in a region in the hour of `time`.
    #[must_use]
    pub fn failed_in_hour(&self, outline: &Outline, region: &str, time: i64) -> u64 {
        let key = outline.symbols.find(region).map(|region| (region, time.div_euclid(HOUR)));
        key.and_then(|key| self.by_hour.get(&key)).copied().unwrap_or(0)
    }

    /// Goes through who got through a step, in order of the jobs' hashes.
    ///
    /// # Errors
    /// The temporary file cannot be read; those of `see`.
    pub fn through(&self, step: &str, mut see: impl FnMut(ScopeGroup) -> Result<()>) -> Result<()> {
        let Some(groups) = self.through.get(step) else { return Ok(()) };
        groups.each(|words| see(ScopeGroup::from_words(words)))
    }
}

impl ScopeGroup {
    fn to_words(self) -> [u64; 8] {
        let [file, record, offset, length] = self.example.to_words();
        let time = self.time.unwrap_or(NO_TIME).cast_unsigned();
        [self.job, u64::from(self.principal), time, self.ok, file, record, offset, length]
    }

    fn from_words([job, principal, time, ok, file, record, offset, length]: [u64; 8]) -> Self {
        Self {
            job,
            principal: Symbol::try_from(principal).unwrap_or(0),
            time: known(time),
            ok,
            example: Locator::from_words([file, record, offset, length]),
        }
    }
}

/// Counts the attempts of each block by job, step, caller and bucket, tells of each count, and counts the failing ones by
/// the hour.
fn tell_attempts(outline: &Outline, by_hour: &Mutex<ByHour>, tell: &mut Tell<'_, 8>) -> Result<()> {
    let stores = ["upload", "export"].map(|step| outline.symbols.find(step));
    outline.tell(
        &LOOKED_AT,
        |block, say| {
            let (mut failed, mut groups) = (ByHour::default(), Groups::default());
            let jobs = block.id(Id::Job);
            for n in block.places().filter(|n| block.is(*n, flag::ATTEMPT)) {
                let stated = outline.jobs.get(jobs[n]);
                let of_job = |column: Column, text: Text| match block.names(column)[n] {
                    0 => stated.map_or(0, |stated| stated.of(text)),
                    own => own,
                };
                let phase = block.names(Column::Phase)[n];
                let principal = of_job(Column::Principal, Text::Principal);
                let stores = stores.contains(&Some(phase));
                let bucket = if stores { of_job(Column::Bucket, Text::Bucket) } else { 0 };
                if block.is(n, flag::FAILING)
                    && let Some(time) = block.known_time(n)
                {
                    let region = of_job(Column::Region, Text::Region);
                    *failed.entry((region, time.div_euclid(HOUR))).or_default() += 1;
                }
                let group: &mut Group = groups.entry(((phase, principal, bucket), jobs[n])).or_default();
                let [ok, failing] = [flag::OK, flag::FAILING].map(|flag| block.is(n, flag));
                let (first_ok, ok_at) = (ok.then(|| block.at[n]), block.known_time(n).filter(|_| ok));
                group.add(&Group { ok: ok.into(), failed: failing.into(), first_ok, ok_at });
            }
            #[expect(clippy::iter_over_hash_type, reason = "sums and least values do not depend on the order")]
            for (((phase, principal, bucket), job), group) in groups {
                say(job, group.to_words(job, [phase, principal, bucket]));
            }
            let mut all = by_hour.lock().unwrap_or_else(PoisonError::into_inner);
            #[expect(clippy::iter_over_hash_type, reason = "sums do not depend on the order")]
            for (hour, more) in failed {
                *all.entry(hour).or_default() += more;
            }
        },
        tell,
    )
}

/// The attempts of some jobs.
#[derive(Default)]
struct Grouped {
    by_caller: Groups<(Symbol, Symbol)>,
    by_bucket: Groups<Symbol>,
}

impl Grouped {
    fn take(&mut self, words: [u64; 8]) {
        let (job, [phase, principal, bucket], group) = Group::from_words(words);
        if principal != 0 {
            self.by_caller.entry(((phase, principal), job)).or_default().add(&group);
        }
        if bucket != 0 {
            self.by_bucket.entry((bucket, job)).or_default().add(&group);
        }
    }
}

impl Group {
    fn add(&mut self, more: &Self) {
        self.ok += more.ok;
        self.failed += more.failed;
        self.first_ok = [self.first_ok, more.first_ok].into_iter().flatten().min();
        self.ok_at = [self.ok_at, more.ok_at].into_iter().flatten().min();
    }

    /// It, and what it is a group of.
    fn to_words(self, job: IdHash, [phase, principal, bucket]: [Symbol; 3]) -> [u64; 8] {
        let [file, record, offset, length] = self.first_ok.map_or([0; 4], Locator::to_words);
        let time = self.ok_at.unwrap_or(NO_TIME).cast_unsigned();
        let file = joined(bucket, u32::try_from(file).unwrap_or(0));
        // Of one block, so far fewer than would not fit.
        let counts = self.ok << 32 | self.failed;
        [job, joined(phase, principal), file, counts, time, record, offset, length]
    }

    fn from_words([job, caller, file, counts, time, record, offset, length]: [u64; 8]) -> (IdHash, [Symbol; 3], Self) {
        let ([phase, principal], [bucket, file], [ok, failed]) = (halves(caller), halves(file), halves(counts));
        let first_ok = (ok > 0).then_some(Locator { file, record, offset, length });
        let group = Self { ok: ok.into(), failed: failed.into(), first_ok, ok_at: known(time) };
        (job, [phase, principal, bucket], group)
    }
}

/// Time of the first and last event, and the steps at which an attempt failed.
fn span_and_failed_steps(outline: &Outline) -> Result<(Option<(i64, i64)>, BTreeSet<Symbol>)> {
    let of_block = |block: &Block<'_>| {
        let known = || block.places().filter_map(|n| block.known_time(n));
        let failing = block.places().filter(|n| block.is(*n, flag::ATTEMPT) && block.is(*n, flag::FAILING));
        let steps: BTreeSet<Symbol> = failing.map(|n| block.names(Column::Phase)[n]).collect();
        (known().min().zip(known().max()), steps)
    };
    let found = outline.look(&[Column::Time, Column::Phase], of_block)?;
    let spans = || found.iter().filter_map(|(span, _)| *span);
    let span = spans().map(|(first, _)| first).min().zip(spans().map(|(_, last)| last).max());
    Ok((span, found.iter().flat_map(|(_, steps)| steps.iter().copied()).collect()))
}

fn add_counts<K: Copy + Eq + Hash>(groups: &Groups<K>, found: &mut Counts<K>) {
    #[expect(clippy::iter_over_hash_type, reason = "sums and least values do not depend on the order")]
    for ((key, _), group) in groups {
        let count: &mut Count = found.entry(*key).or_default();
        count.ok += group.ok;
        count.failed += group.failed;
        count.ok_jobs += u64::from(group.ok > 0);
        count.failed_jobs += u64::from(group.failed > 0);
        count.example = [count.example, group.first_ok].into_iter().flatten().min();
    }
}

fn add_through(
    outline: &Outline,
    groups: &Groups<(Symbol, Symbol)>,
    failed_steps: &BTreeSet<Symbol>,
    found: &mut BTreeMap<String, Spilled<8>>,
) -> Result<()> {
    let mut groups: Vec<(&((Symbol, Symbol), IdHash), &Group)> = groups.iter().collect();
    groups.sort_unstable_by_key(|((caller, job), _)| (*job, *caller));
    for (((phase, principal), job), group) in groups {
        let Some(step) = outline.symbols.name(*phase).filter(|_| failed_steps.contains(phase)) else { continue };
        let Some(example) = group.first_ok else { continue };
        // A job that failed at the step and got through later may have been helped by a change that no log shows.
        if group.failed == 0 || *job == 0 {
            let group = ScopeGroup { job: *job, principal: *principal, time: group.ok_at, ok: group.ok, example };
            let groups = match found.get_mut(step) {
                Some(groups) => groups,
                None => found.entry(step.to_owned()).or_default(),
            };
            groups.push(group.to_words())?;
        }
    }
    Ok(())
}
