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
mod moments;
mod on_record;
mod pack;
mod permissions;
pub mod policy;
mod refusal;
mod retries;
mod rotation;
mod settling;
mod state;
mod surroundings;
mod symptoms;
mod tally;
mod verdict;

use rayon::prelude::*;

pub use advice::{Advice, ConflictLags, HoldLags};
pub use backoff::{JITTER, Replayed, Schedule, best};
pub use dossier::{Dossier, GROUPS};
pub use features::{FEATURES, Kind};
pub use figures::{Cites, Figure, Records, nearest_rank};
pub use holds::Holds;
pub use hours::HourToAvoid;
pub use lag::{Courses, Lag};
pub use on_record::{OnRecord, Recorded, on_record};
pub use pack::{Cause, DEFAULT_PACK, Evidence, Pack, Rule, Standing};
pub use permissions::{Answer, AtStep, MediaNeeds, Permission, Separate, StepNeeds};
pub use policy::{Decision, Gap, Replay, Request, replay};
pub use retries::{Backoff, OwnSchedule, WaitFigure};
pub use rotation::Credentials;
pub use settling::Settling;
pub use tally::{Side, Split, Suspects};
pub use verdict::{Class, Finding, Hypothesis, Support, Verdict, Wording};

use crate::correlate::{Correlated, EventTable, Failure};
use crate::error::{Error, Result};
use crate::ingest::Ingested;
use verdict::Scales;

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

    /// The verdicts on `failures`, in their order; `table` holds the events of their wave. What is found of them all is held
    /// at the same time: ask for some thousand at once.
    ///
    /// # Errors
    /// Polars cannot evaluate a rule.
    pub fn verdicts(&self, table: &EventTable, failures: &[&Failure]) -> Result<Vec<Verdict>> {
        let archive = archive::Archive { table, whole: &self.whole };
        let dossiers: Vec<Dossier> = failures.par_iter().map(|failure| Dossier::new(&archive, failure)).collect();
        self.scales.weigh(failures, &dossiers).map_err(Error::frame("classify"))
    }
}
