//! The exporter's own schedule of retries, as its attempts show it, and the backoff that would have been enough.

use serde::Serialize;

use super::backoff::{Replayed, Schedule, best};
use super::figures::{Cites, Figure, LEAST, Observed, Records, Sample, nearest_rank};
use super::lag::{Course, Wait};
use super::settling::sentence;
use super::symptoms::seconds;

/// Waits with a higher number are not looked at.
const MOST_WAITS: u32 = 32;
/// Records that are cited of a group.
pub const CITED: usize = 6;

/// The median of the waits of one number.
#[derive(Clone, Debug, Serialize)]
pub struct WaitFigure {
    /// 1 for the wait after the first attempt.
    pub number: u32,
    pub count: usize,
    pub median: Option<Figure>,
}

/// How the exporter retried, and whether that was enough.
#[derive(Clone, Debug, Serialize)]
pub struct OwnSchedule {
    /// Null for all mechanisms together, and the undecided.
    pub mechanism: Option<String>,
    /// Failures with at least one retry.
    pub failures: usize,
    pub waits: Vec<WaitFigure>,
    /// Median of the first waits.
    pub base_seconds: Option<f64>,
    /// Median of how much longer a wait is than the one before; null where there is no second wait, or too few.
    pub factor: Option<f64>,
    /// How often it retries: the median of those that gave up, else the most that was seen.
    pub retries: Option<u32>,
    pub retries_from: Option<&'static str>,
    /// Why it is not replayed: `too_few` retries or failures that settled, `irregular` (fewer than half of the waits fit).
    pub reason: Option<&'static str>,
    /// Of all waits, how many lie within a quarter of what base and factor give, and how many there are.
    pub fitting: usize,
    pub of_waits: usize,
    /// In fact: failures that got through, and all of which it is on record when they had settled.
    pub got_through: usize,
    pub settled: usize,
    /// Failures that it did not try again, although the evidence goes on for longer than its longest wait.
    pub gave_up: usize,
    /// Of these, those whose hold synchronised later: one retry more would have got through.
    pub gave_up_too_soon: usize,
    /// The last attempts of some of these, and the records of what they had waited for.
    pub records: Records,
    /// The schedule over all failures that settled.
    pub replay: Option<Replayed>,
    /// Whether it clears 99 of 100; null where it is not replayed.
    pub survives: Option<bool>,
}

impl Cites for OwnSchedule {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        self.waits.iter_mut().for_each(|wait| wait.median.cites(each));
        self.records.cites(each);
    }
}

/// Base, factor and number of retries, as far as they are known.
struct Shape {
    base: Option<f64>,
    factor: Option<f64>,
    retries: Option<u32>,
}

impl Shape {
    fn schedule(&self) -> Option<Schedule> {
        let (base_seconds, retries) = self.base.zip(self.retries)?;
        let factor = self.factor.or((retries < 2).then_some(1.0))?;
        Some(Schedule { base_seconds, factor, retries, jitter: 0.0 })
    }

    /// Whether a wait lies within a quarter of what it should be.
    fn fits(&self, wait: &Wait) -> bool {
        let Some(base) = self.base else { return false };
        let due = (1..wait.number).fold(base, |due, _| due * self.factor.unwrap_or(1.0));
        (seconds(wait.observed.micros) - due).abs() <= due / 4.0
    }
}

impl OwnSchedule {
    /// Learns it from the attempts of `courses`; `end` is the time of the last record.
    #[must_use]
    pub fn learn(mechanism: Option<&str>, courses: &[&Course], end: Option<i64>) -> Self {
        let waits: Vec<Wait> = courses.iter().flat_map(|course| course.waits.iter().copied()).collect();
        let by_number = (1..=MOST_WAITS).map(|number| wait_figure(number, &waits)).take_while(|wait| wait.count > 0);
        let by_number: Vec<WaitFigure> = by_number.collect();
        let longest = waits.iter().map(|wait| wait.observed.micros).max().unwrap_or(0);
        let ended =
            |c: &&&Course| c.to_success.is_none() && end.is_some_and(|end| end.saturating_sub(c.last_failed) > longest);
        let gave_up: Vec<&Course> = courses.iter().filter(ended).copied().collect();
        let mut too_soon: Vec<Observed> = gave_up.iter().filter_map(|course| course.to_settle).collect();
        too_soon.sort_unstable();
        let (retries, retries_from) = retries(courses, &gave_up);
        let base = by_number.first().and_then(|wait| Some(wait.median.as_ref()?.seconds));
        let shape = Shape { base, factor: factor(courses), retries };
        let fitting = waits.iter().filter(|wait| shape.fits(wait)).count();
        let settled: Vec<i64> = courses.iter().filter_map(|course| Some(course.to_settle?.micros)).collect();
        let (replay, reason) = match shape.schedule() {
            Some(_) if fitting * 2 < waits.len() => (None, Some("irregular")),
            Some(schedule) if settled.len() >= LEAST => (Some(Replayed::of(schedule, &settled)), None),
            _ => (None, Some("too_few")),
        };
        Self {
            mechanism: mechanism.map(str::to_owned),
            failures: courses.iter().filter(|course| !course.waits.is_empty()).count(),
            waits: by_number,
            base_seconds: shape.base,
            factor: shape.factor,
            retries,
            retries_from,
            reason,
            fitting,
            of_waits: waits.len(),
            got_through: courses.iter().filter(|course| course.to_success.is_some()).count(),
            settled: settled.len(),
            gave_up: gave_up.len(),
            gave_up_too_soon: too_soon.len(),
            records: Records::new(too_soon.iter().flat_map(|observed| observed.records).take(CITED)),
            survives: replay.as_ref().map(Replayed::clears_99_of_100),
            replay,
        }
    }
}

fn wait_figure(number: u32, waits: &[Wait]) -> WaitFigure {
    let mut sample = Sample::default();
    let of_number = waits.iter().filter(|wait| wait.number == number);
    of_number.for_each(|wait| sample.add(Some(wait.observed)));
    let sample = sample.sorted();
    WaitFigure { number, count: sample.len(), median: sample.percentile(50).map(Figure::from) }
}

/// The median of how much longer a wait is than that before it, to two digits.
fn factor(courses: &[&Course]) -> Option<f64> {
    let pairs = courses.iter().flat_map(|course| course.waits.windows(2));
    let successive = pairs.filter(|pair| pair[1].number == pair[0].number + 1 && pair[0].observed.micros > 0);
    let ratio = |pair: &[Wait]| seconds(pair[1].observed.micros) / seconds(pair[0].observed.micros);
    let mut ratios: Vec<f64> = successive.map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let enough = ratios.len() >= LEAST;
    enough.then(|| (ratios[nearest_rank(50, ratios.len())] * 100.0).round() / 100.0)
}

/// How often the exporter retries, and how that is known.
fn retries(courses: &[&Course], gave_up: &[&Course]) -> (Option<u32>, Option<&'static str>) {
    if gave_up.len() >= LEAST {
        let mut counts: Vec<u32> = gave_up.iter().map(|course| course.retries).collect();
        counts.sort_unstable();
        return (Some(counts[nearest_rank(50, counts.len())]), Some("gave_up"));
    }
    let seen = courses.iter().filter(|course| course.retries > 0);
    let most = seen.clone().map(|course| course.retries).max().filter(|_| seen.count() >= LEAST);
    (most, most.map(|_| "most_seen"))
}

/// The backoff that would have cleared 99 of 100 of the archive's own failures.
#[derive(Clone, Debug, Serialize)]
pub struct Backoff {
    /// Null for all mechanisms together, and the undecided.
    pub mechanism: Option<String>,
    /// Failures of which it is on record when they had settled, and the others.
    pub settled: usize,
    pub unsettled: usize,
    /// How long 99 of 100 took from the first failing attempt until they had settled; of fewer than a hundred, all.
    pub needed: Option<Figure>,
    /// The one that gives up soonest; null where there are too few failures, or none that was tried is long enough.
    pub schedule: Option<Replayed>,
    /// The best with other factors.
    pub alternatives: Vec<Replayed>,
    /// Why there is no schedule: `too_few`, `too_long`.
    pub reason: Option<&'static str>,
}

impl Cites for Backoff {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        self.needed.cites(each);
    }
}

impl Backoff {
    /// Replays schedules over `courses`.
    #[must_use]
    pub fn find(mechanism: Option<&str>, courses: &[&Course]) -> Self {
        let mut sample = Sample::default();
        for course in courses {
            sample.add(course.to_settle);
        }
        let sample = sample.sorted();
        let settled: Vec<i64> = sample.observed().iter().map(|observed| observed.micros).collect();
        let mut found = best(&settled).into_iter();
        let schedule = found.next();
        let reason = match (&schedule, settled.len() >= LEAST) {
            (Some(_), _) => None,
            (None, true) => Some("too_long"),
            (None, false) => Some("too_few"),
        };
        Self {
            mechanism: mechanism.map(str::to_owned),
            settled: settled.len(),
            unsettled: sample.censored,
            needed: sample.percentile(99).map(Figure::from),
            schedule,
            alternatives: found.collect(),
            reason,
        }
    }

    /// What it comes to, in a sentence; nothing where there are too few failures.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let needed = self.needed.as_ref()?.seconds;
        Some(sentence(self.settled, self.unsettled, needed, self.schedule.as_ref()))
    }
}
