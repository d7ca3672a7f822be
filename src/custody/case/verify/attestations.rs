//! The attestations of a case, their time stamps, and the tree over its records.

use super::{Checked, Verification};
use crate::custody::CheckStatus;
use crate::custody::attest::check_case;
use crate::custody::case::difference::{Area, Difference, Kind};
use crate::error::Result;

/// Checks them; what holds, and what could not be checked, is noted.
pub fn check(checked: &Checked<'_>, found: &mut Verification) -> Result<()> {
    let how = checked.how;
    if how.quick && how.public_keys.is_empty() && how.authorities.is_none() {
        return Ok(());
    }
    for one in check_case(checked.case, checked.ledger, &how.public_keys, how.authorities.as_ref())? {
        match one.status {
            CheckStatus::Invalid => {
                found.differences.push(Difference::of_file(Area::of(&one.what), Kind::Invalid, one.what, one.detail));
            }
            CheckStatus::Valid | CheckStatus::Unchecked => found.notes.push(format!("{}: {}", one.what, one.detail)),
        }
    }
    Ok(())
}
