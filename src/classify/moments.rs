//! When attempts were made, by which source's clock, and what can be put in order with them.

use std::cmp::Ordering;

use super::archive::Archive;
use super::dossier::Dossier;
use super::policy::Replay;
use crate::correlate::{Bounds, Failure, Row};
use crate::evidence::Locator;
use crate::ingest::{Change, Document, DocumentKind};

/// A time as a source tells it, microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub time: i64,
    pub source: &'a str,
}

impl<'a> Moment<'a> {
    /// When the attempt of a row was made.
    #[must_use]
    pub fn of(archive: &'a Archive<'_, '_>, row: Row) -> Option<Self> {
        Some(Self { time: archive.table.time(row)?, source: archive.table.source(row) })
    }

    /// The first failing attempt of those that are known to have a time.
    #[must_use]
    pub fn first_failing(archive: &'a Archive<'_, '_>, failure: &Failure) -> Option<Self> {
        failure.failing.iter().filter_map(|row| Self::of(archive, *row)).min_by_key(|moment| moment.time)
    }

    /// The last failing attempt.
    #[must_use]
    pub fn last_failing(archive: &'a Archive<'_, '_>, failure: &Failure) -> Option<Self> {
        failure.failing.iter().filter_map(|row| Self::of(archive, *row)).max_by_key(|moment| moment.time)
    }

    /// Whether the clock of `source` is known to be within bounds of this one's; else the two are taken to agree.
    #[must_use]
    pub fn bounds(&self, archive: &Archive<'_, '_>, source: &str) -> Option<Bounds> {
        archive.clocks.between(source, self.source)
    }

    /// Whether `time` of `source` came before or after; `None` where the clocks do not tell.
    #[must_use]
    pub fn order(&self, archive: &Archive<'_, '_>, source: &str, time: i64) -> Option<Ordering> {
        archive.clocks.order((source, time), (self.source, self.time))
    }

    /// Whether a change came before or after; `None` where the clocks do not tell.
    #[must_use]
    pub fn order_of(&self, archive: &Archive<'_, '_>, change: &Change) -> Option<Ordering> {
        self.order(archive, change.source, change.time)
    }
}

/// Says how far clocks may be apart, where something could not be put in order.
pub fn fill(archive: &Archive<'_, '_>, dossier: &mut Dossier) {
    if !dossier.groups.contains_key("unordered") {
        return;
    }
    let known = archive.clocks.offsets.iter().filter_map(|c| Some((c, c.low_seconds?, c.high_seconds?)));
    let details = known.map(|(c, low, high)| format!("{} {low} to {high} s off {}", c.source, c.against));
    dossier.features.text("clocks_detail", Some(details.collect::<Vec<_>>().join(", ")));
}

/// What was in force at a moment.
#[derive(Clone, Copy)]
pub enum InForce<'a> {
    One(&'a Document),
    /// The later was written so near to the moment that the clocks do not tell whether it was in force yet.
    Either(Option<&'a Document>, &'a Document),
}

/// The document of `kind` in force at a moment for a subject that goes by any of `names`.
#[must_use]
pub fn in_force<'a>(
    archive: &Archive<'_, 'a>,
    kind: DocumentKind,
    names: &[&str],
    moment: Option<Moment<'_>>,
) -> Option<InForce<'a>> {
    let at = |time: Option<i64>| archive.in_force(kind, names, time);
    let Some(moment) = moment else { return at(None).map(InForce::One) };
    let latest = at(Some(moment.time.saturating_add(archive.clocks.widest())))?;
    let bounds = latest.time.and_then(|_| moment.bounds(archive, latest.source));
    let Some(Bounds { low, high }) = bounds else { return at(Some(moment.time)).map(InForce::One) };
    let (earlier, later) = (at(Some(moment.time + low)), at(Some(moment.time + high))?);
    let same = earlier.is_some_and(|earlier| earlier.at == later.at || earlier.body == later.body);
    Some(if same { InForce::One(later) } else { InForce::Either(earlier, later) })
}

/// What replaying what was in force answers; `None` where that hangs on which document it was.
#[must_use]
pub fn replay(in_force: InForce<'_>, replay: impl Fn(&Document) -> Replay) -> Option<Replay> {
    match in_force {
        InForce::One(document) => Some(replay(document)),
        InForce::Either(earlier, later) => {
            let (before, after) = (replay(earlier?), replay(later));
            (before.decision == after.decision).then_some(after)
        }
    }
}

impl<'a> InForce<'a> {
    /// The document, or the later of the two.
    #[must_use]
    pub fn document(&self) -> &'a Document {
        match self {
            Self::One(document) | Self::Either(_, document) => document,
        }
    }

    /// What is to be cited.
    #[must_use]
    pub fn records(&self) -> Vec<Locator> {
        match self {
            Self::One(document) => vec![document.at],
            Self::Either(earlier, later) => earlier.iter().map(|d| d.at).chain([later.at]).collect(),
        }
    }
}
