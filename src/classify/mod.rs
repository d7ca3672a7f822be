//! Classify: weigh what the evidence says of each failure, by rules that are data.

mod advice;
mod archive;
mod authority;
mod backoff;
mod chronicle;
mod dossier;
mod features;
mod figures;
mod holds;
mod hours;
mod interventions;
mod lag;
mod pack;
mod permissions;
mod policy;
mod refusal;
mod retries;
mod rotation;
mod state;
mod surroundings;
mod symptoms;
mod tally;
mod verdict;

use rayon::prelude::*;

pub use advice::{Advice, CURED_BY_RETRY, ConflictLags, HoldLags, sentences};
pub use backoff::{JITTER, Replayed, Schedule, best};
pub use dossier::{Dossier, GROUPS};
pub use features::{FEATURES, Kind};
pub use figures::{Cites, Figure, Records, nearest_rank};
pub use hours::HourToAvoid;
pub use lag::{Courses, Lag};
pub use pack::{Cause, DEFAULT_PACK, Evidence, Pack, Rule, Standing};
pub use permissions::{Answer, AtStep, MediaNeeds, Permission, Separate, StepNeeds};
pub use policy::{Decision, Gap, Replay, Request, replay};
pub use retries::{Backoff, OwnSchedule, WaitFigure};
pub use rotation::Credentials;
pub use tally::{Side, Split, Suspects};
pub use verdict::{Class, Finding, Hypothesis, Support, Verdict};

use crate::correlate::{Correlated, Failure};
use crate::error::{Error, Result};
use crate::ingest::Ingested;
use verdict::Scales;

/// What weighs the evidence for failures.
pub struct Judge<'a> {
    archive: archive::Archive<'a>,
    scales: Scales<'a>,
}

impl<'a> Judge<'a> {
    /// Indexes the archive and reads the rules.
    ///
    /// # Errors
    /// The archive cannot be read again, or polars does not understand a rule.
    pub fn new(ingested: &'a Ingested, correlated: &'a Correlated, pack: &'a Pack) -> Result<Self> {
        let archive = archive::Archive::new(ingested, correlated, pack)?;
        Ok(Self { archive, scales: Scales::new(pack).map_err(Error::frame("classify"))? })
    }

    /// The verdicts on `failures`, in their order. What is found of them all is held at the same time: ask for some
    /// thousand at once.
    ///
    /// # Errors
    /// Polars cannot evaluate a rule.
    pub fn verdicts(&self, failures: &[&Failure]) -> Result<Vec<Verdict>> {
        let dossiers: Vec<Dossier> = failures.par_iter().map(|failure| Dossier::new(&self.archive, failure)).collect();
        self.scales.weigh(failures, &dossiers).map_err(Error::frame("classify"))
    }
}
