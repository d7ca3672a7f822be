//! Classify: weigh what the evidence says of each failure, by rules that are data.

mod archive;
mod authority;
mod dossier;
mod features;
mod interventions;
mod pack;
mod policy;
mod refusal;
mod state;
mod surroundings;
mod symptoms;
mod verdict;

use rayon::prelude::*;

pub use dossier::{Dossier, GROUPS};
pub use features::{FEATURES, Kind};
pub use pack::{Cause, DEFAULT_PACK, Evidence, Pack, Rule, Standing};
pub use policy::{Decision, Gap, Replay, Request, replay};
pub use symptoms::{Symptom, symptom};
pub use verdict::{Class, Finding, Hypothesis, Support, Verdict};

use crate::correlate::Correlated;
use crate::error::{Error, Result};
use crate::ingest::Ingested;

/// What classification says of each failure, in the order of `correlated.failures`.
pub struct Classified {
    pub verdicts: Vec<Verdict>,
    /// Failing attempts by symptom, per failure: timeouts, forbidden, conflicts, other.
    pub symptoms: Vec<[u64; 4]>,
}

/// Weighs the evidence for every failure.
///
/// # Errors
/// Polars cannot evaluate a rule.
pub fn classify(ingested: &Ingested, correlated: &Correlated, pack: &Pack) -> Result<Classified> {
    let archive = archive::Archive::new(ingested, correlated, pack)?;
    let dossiers: Vec<Dossier> =
        correlated.failures.par_iter().map(|failure| Dossier::new(&archive, failure)).collect();
    let verdicts = verdict::weigh(pack, &correlated.failures, &dossiers).map_err(Error::frame("classify"))?;
    let symptoms = correlated
        .failures
        .iter()
        .map(|failure| {
            let mut counts = [0; 4];
            for row in &failure.failing {
                let place = match symptom(&archive, *row) {
                    Symptom::Timeout => 0,
                    Symptom::Forbidden => 1,
                    Symptom::Conflict => 2,
                    _ => 3,
                };
                counts[place] += 1;
            }
            counts
        })
        .collect();
    Ok(Classified { verdicts, symptoms })
}
