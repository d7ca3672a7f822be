//! The hours of the day in which exports are better not started.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{Cites, Figure, HUNDRED, LEAST, Records};
use super::lag::{ByHour, together};
use super::retries::CITED;
use crate::correlate::HOURS;

/// An hour to avoid is at least this many times as bad as the other hours of its region.
const TIMES_WORSE: f64 = 2.0;

/// Attempts by region and hour of the day.
pub type Attempts = BTreeMap<Option<String>, [u64; HOURS]>;

/// An hour of the day to avoid in a region, and why.
#[derive(Clone, Debug, Serialize)]
pub struct HourToAvoid {
    /// Null where the records name none.
    pub region: Option<String>,
    /// UTC.
    pub hour: usize,
    /// `holds_synchronise_slowly`, `conflicts_clear_slowly`, `failures_crowd`.
    pub why: &'static str,
    /// Holds, or failures, that began in this hour, and in the other hours of the region.
    pub count: usize,
    pub elsewhere: usize,
    /// Median times; null where failures crowd.
    pub median: Option<Figure>,
    pub elsewhere_median: Option<Figure>,
    /// Failures in a thousand attempts; null where things are slow.
    pub per_thousand: Option<f64>,
    pub elsewhere_per_thousand: Option<f64>,
    pub records: Records,
}

impl Cites for HourToAvoid {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        self.median.cites(each);
        self.elsewhere_median.cites(each);
        self.records.cites(each);
    }
}

/// The hours in which the median time is at least twice that of the other hours of the region.
#[must_use]
pub fn slow(cells: &ByHour, why: &'static str) -> Vec<HourToAvoid> {
    let worse = |((region, hour), sample): (&(Option<String>, usize), &super::figures::Sample)| {
        let others = cells.iter().filter(|((own, other), _)| own == region && other != hour).map(|(_, other)| other);
        let others = together(others);
        let (here, elsewhere) = (sample.percentile(50)?, others.percentile(50)?);
        let (median, elsewhere_median) = (Figure::from(here), Figure::from(elsewhere));
        let slow = median.seconds > 0.0 && median.seconds >= TIMES_WORSE * elsewhere_median.seconds;
        slow.then(|| HourToAvoid {
            region: region.clone(),
            hour: *hour,
            why,
            count: sample.len(),
            elsewhere: others.len(),
            median: Some(median),
            elsewhere_median: Some(elsewhere_median),
            per_thousand: None,
            elsewhere_per_thousand: None,
            records: Records::new(sample.observed().iter().rev().flat_map(|observed| observed.records).take(CITED)),
        })
    };
    cells.iter().filter_map(worse).collect()
}

/// The hours in which at least twice as many attempts begin a failure as in the other hours of the region. `failures` are
/// their first records by region and hour.
#[must_use]
pub fn crowded(
    failures: &BTreeMap<(Option<String>, usize), Vec<crate::evidence::Locator>>,
    attempts: &Attempts,
) -> Vec<HourToAvoid> {
    let worse = |((region, hour), records): (&(Option<String>, usize), &Vec<crate::evidence::Locator>)| {
        let of_region = attempts.get(region)?;
        let tried = of_region[*hour];
        let tried_elsewhere = of_region.iter().sum::<u64>() - tried;
        let others = failures.iter().filter(|((own, other), _)| own == region && other != hour);
        let elsewhere = others.map(|(_, records)| records.len()).sum::<usize>();
        let (here, there) = (per_thousand(records.len(), tried)?, per_thousand(elsewhere, tried_elsewhere)?);
        let enough = records.len() >= LEAST && tried_elsewhere >= HUNDRED as u64;
        (enough && here >= TIMES_WORSE * there).then(|| HourToAvoid {
            region: region.clone(),
            hour: *hour,
            why: "failures_crowd",
            count: records.len(),
            elsewhere,
            median: None,
            elsewhere_median: None,
            per_thousand: Some(here),
            elsewhere_per_thousand: Some(there),
            records: Records::new(records.iter().copied().take(CITED)),
        })
    };
    failures.iter().filter_map(worse).collect()
}

/// To one digit.
fn per_thousand(failures: usize, attempts: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts of records")]
    let share = failures as f64 / attempts as f64;
    (attempts > 0).then(|| (share * 10_000.0).round() / 10.0)
}
