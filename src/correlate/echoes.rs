//! Records that say once more what attempts on record show: that a job failed, or that it failed for a recording.

use std::collections::HashSet;

use super::columns::Column;
use super::outline::{Block, Id, IdHash, Outline, flag};
use super::steps::{JOBS, WHOLE_JOB};
use super::symbols::Symbol;
use super::table::Row;
use crate::error::Result;

type Ids<K> = HashSet<K, foldhash::fast::RandomState>;

/// A record of a job as a whole, or of a recording that the platform lists as failed.
#[derive(Clone, Copy)]
struct Claim {
    row: Row,
    job: IdHash,
    /// 0 for the job as a whole.
    recording: IdHash,
}

/// What other records say of the jobs and recordings that claims are about.
#[derive(Default)]
struct Known {
    /// Jobs and recordings with a failing attempt.
    failed_jobs: Ids<IdHash>,
    failed: Ids<IdHash>,
    /// Recordings that a job, or nobody in particular, handed over to storage.
    stored: Ids<(IdHash, IdHash)>,
}

/// Takes the flag of an attempt from such echoes. A failed job is an attempt itself only where no failing attempt of it is
/// on record. A recording that the platform lists as failed is one unless it got through in the same job; with other
/// failing records it stays as a witness.
///
/// # Errors
/// The outline cannot be read.
pub fn leave_out(outline: &mut Outline) -> Result<()> {
    let Some(whole) = outline.symbols.find(WHOLE_JOB) else { return Ok(()) };
    let (claims, no_exports) = claims(outline, whole)?;
    let mut known = known(outline, whole, &claims)?;
    let listed = |claim: &&Claim| claim.recording != 0;
    let mut echoes = Vec::new();
    for claim in claims.iter().filter(listed) {
        let Claim { row, job, recording } = *claim;
        let got_through = known.stored.contains(&(job, recording)) && !known.failed.contains(&recording);
        if no_exports.contains(&job) || got_through {
            echoes.push(row);
        } else {
            known.failed_jobs.insert(job);
        }
    }
    let whole_jobs = claims.iter().filter(|claim| !listed(claim) && claim.job != 0);
    echoes.extend(whole_jobs.filter(|claim| known.failed_jobs.contains(&claim.job)).map(|claim| claim.row));
    outline.mark(echoes, 0, flag::ATTEMPT);
    Ok(())
}

/// All claims, and the platform's jobs that archive or delete: those have no step.
fn claims(outline: &Outline, whole: Symbol) -> Result<(Vec<Claim>, Ids<IdHash>)> {
    let platform = outline.symbols.find(JOBS);
    let columns = [Column::Source, Column::Phase, Column::Step, Column::Id(Id::Job), Column::Id(Id::Recording)];
    let of_block = |block: &Block<'_>| {
        let (mut claims, mut no_exports) = (Vec::new(), Vec::new());
        for n in block.places() {
            let of_platform = Some(block.names(Column::Source)[n]) == platform;
            let (phase, job) = (block.names(Column::Phase)[n], block.id(Id::Job)[n]);
            if phase == whole && block.is(n, flag::ATTEMPT) {
                let recording = if of_platform { block.id(Id::Recording)[n] } else { 0 };
                claims.push(Claim { row: block.row(n), job, recording });
            } else if of_platform && phase == 0 && block.names(Column::Step)[n] == 0 {
                no_exports.push(job);
            }
        }
        (claims, no_exports)
    };
    let (claims, no_exports): (Vec<_>, Vec<_>) = outline.look(&columns, of_block)?.into_iter().unzip();
    Ok((claims.concat(), no_exports.concat().into_iter().collect()))
}

/// Looks up what `claims` are about.
fn known(outline: &Outline, whole: Symbol, claims: &[Claim]) -> Result<Known> {
    let jobs: Ids<IdHash> = claims.iter().map(|claim| claim.job).collect();
    let recordings: Ids<IdHash> = claims.iter().map(|claim| claim.recording).filter(|id| *id != 0).collect();
    let stores = ["export", "upload", "verify"].map(|step| outline.symbols.find(step).unwrap_or_default());
    let of_block = |block: &Block<'_>| {
        let mut known = Known::default();
        let attempts = block.places().filter(|n| block.is(*n, flag::ATTEMPT));
        for n in attempts.filter(|n| block.names(Column::Phase)[*n] != whole) {
            let (job, recording) = (block.id(Id::Job)[n], block.id(Id::Recording)[n]);
            let asked = recordings.contains(&recording);
            if block.is(n, flag::FAILING) {
                known.failed_jobs.extend(Some(job).filter(|job| jobs.contains(job)));
                known.failed.extend(Some(recording).filter(|_| asked));
            } else if asked && block.is(n, flag::OK) && stores.contains(&block.names(Column::Phase)[n]) {
                known.stored.extend([(job, recording), (0, recording)]);
            }
        }
        known
    };
    let columns = [Column::Phase, Column::Id(Id::Job), Column::Id(Id::Recording)];
    let mut all = Known::default();
    for of_block in outline.look(&columns, of_block)? {
        all.failed_jobs.extend(of_block.failed_jobs);
        all.failed.extend(of_block.failed);
        all.stored.extend(of_block.stored);
    }
    Ok(all)
}
