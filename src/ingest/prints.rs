//! Fingerprints of records: keyed hashes by which repeated ones are suspected.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

use crate::evidence::{Digest, Input};

/// How fingerprints are made, the same for all files of a run: of the raw bytes, or of their SHA-256 where a part, which
/// has no raw bytes, is among the inputs. The keys are fresh in each run: nobody can prepare two records that collide.
#[derive(Clone, Copy)]
pub struct Prints<'a> {
    keys: &'a RandomState,
    of_digests: bool,
}

impl<'a> Prints<'a> {
    /// Those of a run over `inputs`.
    #[must_use]
    pub fn of_run(keys: &'a RandomState, inputs: &[Input]) -> Self {
        Self { keys, of_digests: inputs.iter().any(|input| input.place.part().is_some()) }
    }

    /// Those of a run in which every record is hashed anyway.
    #[must_use]
    pub fn of_hashed(keys: &'a RandomState) -> Self {
        Self { keys, of_digests: true }
    }

    /// The keys of the run.
    #[must_use]
    pub const fn keys(&self) -> &RandomState {
        self.keys
    }

    /// Whether every record has to be hashed.
    #[must_use]
    pub fn need_digests(&self) -> bool {
        self.of_digests
    }

    /// The fingerprint of a record, whose SHA-256 may be `known`.
    #[must_use]
    pub fn of(&self, bytes: &[u8], known: Option<Digest>) -> u64 {
        if self.of_digests {
            self.of_digest(&known.unwrap_or_else(|| Digest::of(bytes)))
        } else {
            self.keys.hash_one(bytes)
        }
    }

    /// The fingerprint of a record of which only the SHA-256 is at hand.
    #[must_use]
    pub fn of_digest(&self, digest: &Digest) -> u64 {
        self.keys.hash_one(digest.0)
    }
}
