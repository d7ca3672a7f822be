//! Schedules of retries, replayed over how long the archive's own failures took to settle.

use serde::Serialize;

use super::figures::{LEAST, nearest_rank};
use super::symptoms::seconds;

/// Exponential backoff: the first wait, by what each wait is longer than the one before, and how many retries there are
/// after the first attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Schedule {
    pub base_seconds: f64,
    pub factor: f64,
    pub retries: u32,
    /// The share of each wait by which chance may shorten it; 0.2 makes 10 s anything from 8 to 10 s.
    pub jitter: f64,
}

/// The jitter of the schedules that are tried.
pub const JITTER: f64 = 0.2;
/// First waits that are tried, seconds.
const BASES: [f64; 12] = [1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Factors that are tried.
const FACTORS: [f64; 3] = [1.5, 2.0, 3.0];
/// Most retries of a schedule that is tried.
pub const MOST_RETRIES: u32 = 8;
/// Longest schedule that is tried, seconds: an export that has to wait longer than a day is better started later.
pub const LONGEST: f64 = 86_400.0;

impl Schedule {
    /// When the retries come, seconds after the first attempt, if chance shortens no wait.
    pub fn times(&self) -> impl Iterator<Item = f64> {
        let waits = std::iter::successors(Some(self.base_seconds), |wait| Some(wait * self.factor));
        waits.take(self.retries as usize).scan(0.0, |at, wait| {
            *at += wait;
            Some(*at)
        })
    }

    /// The same at jitter's least favourable: every wait is as short as it can be, and the last retry comes soonest.
    pub fn earliest_times(&self) -> impl Iterator<Item = f64> {
        let least = 1.0 - self.jitter;
        self.times().map(move |at| at * least)
    }

    /// From the first attempt to the last retry, seconds, if chance shortens no wait.
    #[must_use]
    pub fn span(&self) -> f64 {
        self.times().last().unwrap_or(0.0)
    }

    /// Whether a retry falls at or after `settled` microseconds, however jitter falls out.
    #[must_use]
    pub fn clears(&self, settled: i64) -> bool {
        self.earliest_times().any(|at| at >= seconds(settled))
    }

    /// How many of `settled` (microseconds) it clears.
    #[must_use]
    pub fn cleared(&self, settled: &[i64]) -> usize {
        let last = self.earliest_times().last().unwrap_or(0.0);
        settled.iter().filter(|at| last >= seconds(**at)).count()
    }

    /// In words: `from 5 s, each wait twice the last`.
    #[must_use]
    pub fn words(&self) -> String {
        let how = match self.factor {
            f if (f - 1.5).abs() < f64::EPSILON => "each wait half as long again as the last".to_owned(),
            f if (f - 2.0).abs() < f64::EPSILON => "each wait twice the last".to_owned(),
            f if (f - 3.0).abs() < f64::EPSILON => "each wait three times the last".to_owned(),
            f => format!("each wait {f} times the last"),
        };
        let times = match self.retries {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            n => format!("{n} times"),
        };
        let how = if self.retries == 1 { String::new() } else { format!(", {how}") };
        format!("{times} from {} s{how}", self.base_seconds)
    }
}

/// A schedule and what became of the archive's failures in it.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The first attempt and the retries.
    pub attempts: u32,
    /// From the first attempt to the last retry, if chance shortens no wait, and if it shortens all of them.
    pub span_seconds: f64,
    pub least_span_seconds: f64,
    /// How many of the failures it clears, of how many.
    pub cleared: usize,
    pub settled: usize,
}

impl Replayed {
    /// Replays `schedule` over the times to settle, microseconds.
    #[must_use]
    pub fn of(schedule: Schedule, settled: &[i64]) -> Self {
        let least = schedule.earliest_times().last().unwrap_or(0.0);
        Self {
            schedule,
            attempts: schedule.retries + 1,
            span_seconds: schedule.span(),
            least_span_seconds: least,
            cleared: schedule.cleared(settled),
            settled: settled.len(),
        }
    }

    /// Whether it clears 99 of 100 of them; of fewer than a hundred, all.
    #[must_use]
    pub fn clears_99_of_100(&self) -> bool {
        self.cleared > nearest_rank(99, self.settled)
    }
}

/// The schedules that clear 99 of 100 of `settled` (microseconds, ascending), one for each factor. The first wait is no
/// longer than a quarter of them took, so that those are not kept waiting; of such schedules that which gives up soonest,
/// then that which tries least often, then that with the shortest first wait. The best of all comes first. Empty where
/// fewer than [`LEAST`] settled, or no schedule that is tried is long enough.
#[must_use]
pub fn best(settled: &[i64]) -> Vec<Replayed> {
    if settled.len() < LEAST {
        return Vec::new();
    }
    let quarter = seconds(settled[nearest_rank(25, settled.len())]);
    let short = |base: &f64| *base <= quarter.max(BASES[0]);
    let key = |r: &Replayed| (r.span_seconds, r.schedule.retries, r.schedule.base_seconds);
    let sooner = |a: &Replayed, b: &Replayed| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal);
    let of_factor = |factor| {
        let shapes =
            BASES.into_iter().filter(short).flat_map(|base| (1..=MOST_RETRIES).map(move |retries| (base, retries)));
        let schedules =
            shapes.map(|(base_seconds, retries)| Schedule { base_seconds, factor, retries, jitter: JITTER });
        let short = schedules.filter(|schedule| schedule.span() <= LONGEST);
        short.map(|schedule| Replayed::of(schedule, settled)).filter(Replayed::clears_99_of_100).min_by(sooner)
    };
    let mut found: Vec<Replayed> = FACTORS.into_iter().filter_map(of_factor).collect();
    found.sort_by(sooner);
    found
}
