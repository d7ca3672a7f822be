//! Disclosing single records: a tree of hashes over the records of a case (RFC 6962), whose root is attested, and proofs
//! that one record is in it, which give away nothing of the others.
//!
//! Records have little in them that cannot be guessed, so every leaf is hashed with a salt. Salts are made from a secret of
//! the case and from what the leaf stands for; one that is disclosed tells nothing of another. docs/custody.md has the format.

mod hash;
mod proof;
mod records;
mod tree;

pub use proof::{Proof, check, prove};
pub use tree::{Leaf, ROOT, SECRET, Secret, Tree, build};
