//! Figures of times that were observed: percentiles by nearest rank, so that each is one of the times that were observed and
//! can cite the records it is measured between.

use serde::{Serialize, Serializer};

use super::symptoms::seconds;
use crate::evidence::{Digest, Locator};

/// Of fewer observations than this no percentile is given.
pub const LEAST: usize = 5;
/// Of fewer than this nobody can say what 99 of 100 do: the 99th percentile is the longest.
pub const HUNDRED: usize = 100;

/// The records that a figure rests on; they are cited by their ids, once these are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    pub at: Vec<Locator>,
    ids: Vec<String>,
}

impl Records {
    /// Those at `at`, each once.
    #[must_use]
    pub fn new(at: impl IntoIterator<Item = Locator>) -> Self {
        let mut places: Vec<Locator> = Vec::new();
        for place in at {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Self { at: places, ids: Vec::new() }
    }

    /// Takes the ids from the records' SHA-256.
    pub fn name(&mut self, digest_of: &dyn Fn(&Locator) -> Option<Digest>) {
        self.ids = self.at.iter().filter_map(digest_of).map(|digest| digest.record_id()).collect();
    }

    /// The ids, once they are known.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }
}

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.ids.serialize(serializer)
    }
}

/// What calls a function with all records of a thing.
pub trait Cites {
    /// Calls `each` with all of them.
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records));
}

impl Cites for Records {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        each(self);
    }
}

impl<T: Cites> Cites for Option<T> {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        if let Some(thing) = self {
            thing.cites(each);
        }
    }
}

impl<T: Cites> Cites for Vec<T> {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        for thing in self {
            thing.cites(each);
        }
    }
}

/// A time that was observed, microseconds, and the records it lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observed {
    pub micros: i64,
    pub records: [Locator; 2],
}

/// A time with the records it lies between.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub seconds: f64,
    pub records: Records,
}

impl From<&Observed> for Figure {
    fn from(observed: &Observed) -> Self {
        Self { seconds: seconds(observed.micros), records: Records::new(observed.records) }
    }
}

impl Cites for Figure {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        each(&mut self.records);
    }
}

/// The nearest rank of a percentile among `count` values in order, 0-based: the least value that is not less than
/// `percent` of 100 of them.
#[must_use]
pub fn nearest_rank(percent: usize, count: usize) -> usize {
    (percent * count).div_ceil(100).max(1) - 1
}

/// Times of one kind.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    observed: Vec<Observed>,
    /// Things of which the end is not on record: the time is at least as long as the evidence goes on, and no value.
    pub censored: usize,
}

/// Percentiles of a sample; null where there are too few observations.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    pub count: usize,
    /// Without an end on record; in none of the figures.
    pub censored: usize,
    pub median: Option<Figure>,
    pub p90: Option<Figure>,
    pub p99: Option<Figure>,
    /// The longest that was observed, however few there are.
    pub longest: Option<Figure>,
}

impl Cites for Spread {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        for figure in [&mut self.median, &mut self.p90, &mut self.p99, &mut self.longest] {
            figure.cites(each);
        }
    }
}

impl Sample {
    /// Takes in a time, or a thing without an end.
    pub fn add(&mut self, observed: Option<Observed>) {
        match observed {
            Some(observed) => self.observed.push(observed),
            None => self.censored += 1,
        }
    }

    /// Number of times observed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.observed.len()
    }

    /// Puts the times in order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.observed.sort_unstable();
        self
    }

    /// The times; in order, once they are sorted.
    #[must_use]
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// A percentile of a sorted sample; none of fewer than [`LEAST`].
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<&Observed> {
        let enough = self.observed.len() >= LEAST;
        enough.then(|| &self.observed[nearest_rank(percent, self.observed.len())])
    }

    /// The figures of a sorted sample.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let figure = |percent| self.percentile(percent).map(Figure::from);
        Spread {
            count: self.len(),
            censored: self.censored,
            median: figure(50),
            p90: figure(90),
            p99: figure(99),
            longest: self.observed.last().map(Figure::from),
        }
    }
}
