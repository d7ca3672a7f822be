//! Classify: weigh what the evidence says of each failure, by rules that are data.

mod archive;
mod authority;
mod chronicle;
mod dossier;
mod features;
mod holds;
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
pub use verdict::{Class, Finding, Hypothesis, Support, Verdict};

use crate::correlate::Correlated;
use crate::error::{Error, Result};
use crate::ingest::Ingested;
use verdict::Scales;

/// Failures whose dossiers are held at the same time.
const BLOCK: usize = 4096;

/// Weighs the evidence for every failure; the verdicts are in the order of `correlated.failures`.
///
/// # Errors
/// Polars cannot evaluate a rule.
pub fn classify(ingested: &Ingested, correlated: &Correlated, pack: &Pack) -> Result<Vec<Verdict>> {
    let archive = archive::Archive::new(ingested, correlated, pack)?;
    let scales = Scales::new(pack).map_err(Error::frame("classify"))?;
    let mut verdicts = Vec::with_capacity(correlated.failures.len());
    for failures in correlated.failures.chunks(BLOCK) {
        let dossiers: Vec<Dossier> = failures.par_iter().map(|failure| Dossier::new(&archive, failure)).collect();
        verdicts.extend(scales.weigh(failures, &dossiers).map_err(Error::frame("classify"))?);
    }
    Ok(verdicts)
}
