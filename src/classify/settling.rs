//! What remedies say of retrying: how long races that a retry may cure took in this archive.

use std::collections::BTreeMap;

use super::backoff::{Replayed, best};
use super::figures::{HUNDRED, LEAST, nearest_rank};
use super::lag::Courses;
use super::symptoms::seconds;

/// The mechanisms that a retry may cure; the remedy of each says how long it took in this archive.
const CURED_BY_RETRY: [&str; 3] = ["residency_sync_lag", "hold_conflict", "grant_propagation"];

/// Times to settle of the failures of one mechanism.
#[derive(Default)]
struct Times {
    /// Microseconds.
    settled: Vec<i64>,
    /// Of how many more it is not on record.
    unsettled: usize,
}

/// Times to settle by mechanism, of those that a retry may cure.
#[derive(Default)]
pub struct Settling(BTreeMap<&'static str, Times>);

impl Settling {
    /// Takes in what became of some failures.
    pub fn add(&mut self, courses: &Courses) {
        for course in &courses.all {
            let known = |mechanism: &&&str| course.mechanism.as_deref() == Some(**mechanism);
            let Some(mechanism) = CURED_BY_RETRY.iter().find(known) else { continue };
            let times = self.0.entry(mechanism).or_default();
            match course.to_settle {
                Some(observed) => times.settled.push(observed.micros),
                None => times.unsettled += 1,
            }
        }
    }

    /// Whether there was no such failure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sentence for each mechanism of which there are enough.
    #[must_use]
    pub fn sentences(self) -> BTreeMap<&'static str, String> {
        let said = self.0.into_iter().filter_map(|(mechanism, Times { mut settled, unsettled })| {
            settled.sort_unstable();
            let enough = settled.len() >= LEAST;
            let needed = enough.then(|| seconds(settled[nearest_rank(99, settled.len())]))?;
            Some((mechanism, sentence(settled.len(), unsettled, needed, best(&settled).first())))
        });
        said.collect()
    }
}

/// What it comes to that 99 of 100 of `settled` failures (of fewer than a hundred, all) needed so many seconds, and which
/// schedule clears them.
#[must_use]
pub fn sentence(settled: usize, unsettled: usize, needed: f64, schedule: Option<&Replayed>) -> String {
    let share = if settled >= HUNDRED {
        format!("99 of 100 such failures ({settled} counted)")
    } else {
        format!("all {settled} such failures")
    };
    let open = match unsettled {
        0 => String::new(),
        n => format!("; of {n} more it is not on record when"),
    };
    let what = format!("In this archive {share} had cleared {needed:.1} s after the first failing attempt{open}");
    match schedule {
        Some(replay) => format!("{what}: retry {}.", replay.schedule.words()),
        None => format!("{what}: retrying that long is no answer, start the export later."),
    }
}
