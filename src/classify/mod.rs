//! Classify: weigh what the evidence says of each failure, by rules that are data.

mod advice;
mod amend;
mod archive;
mod authority;
mod backoff;
mod by_ids;
mod chronicle;
mod dossier;
mod features;
mod figures;
mod given;
mod holds;
mod hours;
mod interventions;
mod lag;
mod layers;
mod lint;
mod moments;
mod need;
mod on_record;
mod pack;
mod permissions;
pub mod policy;
mod questions;
mod refusal;
mod retries;
mod rotation;
mod settling;
mod state;
mod surroundings;
mod symptoms;
mod tally;
mod verdict;

use polars::prelude::PolarsResult;
use rayon::prelude::*;

pub use advice::{Advice, ConflictLags, HoldLags};
pub use amend::SmallestChange;
pub use backoff::{JITTER, Replayed, Schedule, best};
pub use dossier::{Dossier, GROUPS};
pub use features::{FEATURES, Kind};
pub use figures::{Cites, Figure, Records, nearest_rank};
pub use given::Given;
pub use hours::HourToAvoid;
pub use lag::{Courses, Lag};
pub use layers::{BUILT_IN, Layer, Layered, Source, digest as digest_of_layers, layered};
pub use lint::{Remark, Severity, lint};
pub use on_record::{OnRecord, Recorded, on_record};
pub use pack::{Cause, DEFAULT_PACK, Evidence, Example, Pack, Rule, Standing, condition};
pub use permissions::{Answer, AtStep, MediaNeeds, Permission, Separate, StepNeeds};
pub use policy::{Decision, Gap, Replay, Request, replay};
pub use questions::{Expected, Outcome, Question};
pub use retries::{Backoff, OwnSchedule, WaitFigure};
pub use rotation::Credentials;
pub use settling::Settling;
pub use tally::{Side, Split, Suspects};
pub use verdict::{Class, Finding, Hypothesis, Support, Verdict, Wording};

use crate::correlate::{Correlated, Failure, Wave};
use crate::error::{Error, Result};
use crate::ingest::Ingested;
use verdict::Scales;

/// All that classification found of one failure.
pub struct Examined {
    pub dossier: Dossier,
    pub verdict: Verdict,
    /// What could be collected next, ranked.
    pub questions: Vec<Question>,
}

/// What weighs the evidence for failures.
pub struct Judge<'a> {
    whole: archive::Whole<'a>,
    scales: Scales<'a>,
}

impl<'a> Judge<'a> {
    /// Indexes the archive and reads the rules.
    ///
    /// # Errors
    /// The archive cannot be read again, or polars does not understand a rule.
    pub fn new(ingested: &'a Ingested, correlated: &'a Correlated, pack: &'a Pack) -> Result<Self> {
        let whole = archive::Whole::new(ingested, correlated, pack)?;
        Ok(Self { whole, scales: Scales::new(pack).map_err(Error::frame("classify"))? })
    }

    /// The same, with sentences worded otherwise.
    #[must_use]
    pub fn worded(mut self, wording: Option<&'a dyn Wording>) -> Self {
        self.scales.wording = wording;
        self
    }

    /// What weighs the evidence for the failures of `wave`.
    #[must_use]
    pub fn of<'w>(&'w self, wave: &'w Wave) -> OfWave<'w, 'a> {
        OfWave { judge: self, archive: archive::Archive::new(wave, &self.whole) }
    }
}

/// What weighs the evidence for the failures of a wave.
pub struct OfWave<'w, 'a> {
    judge: &'w Judge<'a>,
    archive: archive::Archive<'w, 'a>,
}

impl OfWave<'_, '_> {
    /// The verdicts on `failures`, in their order. What is found of them all is held at the same time: ask for some thousand
    /// at once.
    ///
    /// # Errors
    /// Polars cannot evaluate a rule, or a temporary file not be read.
    pub fn verdicts(&self, failures: &[&Failure]) -> Result<Vec<Verdict>> {
        let Self { judge, archive } = self;
        let dossiers: Vec<Dossier> = failures.par_iter().map(|failure| Dossier::new(archive, failure)).collect();
        archive.check()?;
        let mut verdicts = judge.scales.weigh(failures, &dossiers).map_err(Error::frame("classify"))?;
        // It is made of names, which whoever words sentences otherwise does not want.
        if judge.scales.wording.is_none() {
            let all = verdicts.par_iter_mut().zip(failures).zip(&dossiers);
            all.for_each(|((verdict, failure), dossier)| say_smallest_change(archive, failure, dossier, verdict));
        }
        Ok(verdicts)
    }

    /// The verdict on one failure with all that it was drawn from, and what could be collected next.
    ///
    /// # Errors
    /// As [`verdicts`](Self::verdicts).
    pub fn examine(&self, failure: &Failure) -> Result<Examined> {
        let Self { judge, archive } = self;
        let dossier = Dossier::new(archive, failure);
        archive.check()?;
        let weigh = || -> PolarsResult<(Verdict, Vec<Question>)> {
            let mut verdict = judge.scales.weigh(&[failure], std::slice::from_ref(&dossier))?.swap_remove(0);
            say_smallest_change(archive, failure, &dossier, &mut verdict);
            let questions = questions::questions(&judge.scales, failure, &dossier, &verdict)?;
            Ok((verdict, questions))
        };
        let (verdict, questions) = weigh().map_err(Error::frame("classify"))?;
        Ok(Examined { dossier, verdict, questions })
    }
}

fn say_smallest_change(
    archive: &archive::Archive<'_, '_>,
    failure: &Failure,
    dossier: &Dossier,
    verdict: &mut Verdict,
) {
    verdict.change = amend::smallest_change(archive, failure, dossier, verdict);
    verdict.remedy.extend(verdict.change.as_ref().and_then(SmallestChange::line));
}
