//! Records that say once more what attempts on record show: that a job failed, or that it failed for a recording.

use std::collections::HashSet;

use super::outline::{Id, IdHash, Outline, flag};
use super::steps::{JOBS, WHOLE_JOB};
use super::symbols::Symbol;
use super::table::Row;

type Ids<K> = HashSet<K, foldhash::fast::RandomState>;

/// What to tell them by. A failed job is an attempt itself only where no failing attempt of it is on record. A recording
/// that the platform lists as failed is one unless it got through by what else is on record.
#[derive(Default)]
pub struct Echoes {
    whole: Symbol,
    jobs_source: Symbol,
    /// Jobs with a failing attempt.
    failed_jobs: Ids<IdHash>,
    /// Recordings with a failing attempt.
    failed: Ids<IdHash>,
    /// Recordings that were handed over to storage, by job; 0 for any job.
    stored: Ids<(IdHash, IdHash)>,
    /// Jobs that archive or delete.
    no_exports: Ids<IdHash>,
}

impl Echoes {
    /// Looks for them.
    #[must_use]
    pub fn of(outline: &Outline) -> Self {
        let Some(whole) = outline.symbols.find(WHOLE_JOB) else { return Self::default() };
        let jobs_source = outline.symbols.find(JOBS).unwrap_or_default();
        let mut echoes = Self { whole, jobs_source, ..Self::default() };
        let stores = ["export", "upload", "verify"].map(|step| outline.symbols.find(step).unwrap_or_default());
        let (jobs, recordings) = (outline.id(Id::Job), outline.id(Id::Recording));
        for row in outline.rows() {
            let n = row as usize;
            let phase = outline.phase[n];
            if outline.source[n] == jobs_source && jobs_source != 0 && phase == 0 && outline.step[n] == 0 {
                echoes.no_exports.insert(jobs[n]);
            }
            if !outline.is_attempt(row) || phase == whole {
                continue;
            }
            if outline.is(row, flag::FAILING) {
                echoes.failed_jobs.insert(jobs[n]);
                echoes.failed.insert(recordings[n]);
            } else if outline.is(row, flag::OK) && recordings[n] != 0 && stores.contains(&phase) {
                echoes.stored.extend([(jobs[n], recordings[n]), (0, recordings[n])]);
            }
        }
        let listed = outline.rows().filter(|row| echoes.is_listed(outline, *row) && !echoes.holds(outline, *row));
        let listed: Vec<IdHash> = listed.map(|row| jobs[row as usize]).collect();
        echoes.failed_jobs.extend(listed);
        echoes
    }

    fn is_listed(&self, outline: &Outline, row: Row) -> bool {
        let n = row as usize;
        self.jobs_source != 0
            && outline.source[n] == self.jobs_source
            && outline.phase[n] == self.whole
            && outline.id(Id::Recording)[n] != 0
            && outline.is_attempt(row)
    }

    /// Whether a record is such an echo.
    #[must_use]
    pub fn holds(&self, outline: &Outline, row: Row) -> bool {
        let n = row as usize;
        let (job, recording) = (outline.id(Id::Job)[n], outline.id(Id::Recording)[n]);
        if self.is_listed(outline, row) {
            let stored = self.stored.contains(&(job, recording));
            return self.no_exports.contains(&job) || (stored && !self.failed.contains(&recording));
        }
        self.whole != 0 && outline.phase[n] == self.whole && job != 0 && self.failed_jobs.contains(&job)
    }
}
