//! CloudTrail's own integrity chain, checked offline: digest files, their signatures, the chain through the previous
//! signatures and the previous hashes, and the log files that the digests name.
//!
//! Source: CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file
//! integrity validation". What this checks beyond AWS's own checker is in docs/custody.md.

mod chain;
mod deliveries;
mod document;
mod folder;
mod gaps;
mod keys;
mod logs;
mod metadata;
mod names;
mod range;
mod report;
mod table;
mod unpack;

use std::fmt;
use std::path::Path;

pub use deliveries::DeliveryStatus;
pub use keys::Keys;
pub use range::Range;
pub use report::{Chain, ChainKind, Delivery, Digest, DigestStatus, Gap, Log, LogStatus, Report};
pub use table::render as render_table;

use crate::error::{Error, Result};

/// An object of S3. Ordered by bucket, then key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    pub bucket: String,
    pub key: String,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Checks the digests and logs in `folder`, which mirrors the buckets (`folder/<bucket>/<key>`), as far as they lie in
/// `range`.
///
/// # Errors
/// The folder cannot be listed, does not mirror buckets, or holds nothing of CloudTrail in this range.
pub fn verify(folder: &Path, keys: &Keys, range: Range) -> Result<Report> {
    let unusable = |reason: String| Error::Usage { what: folder.display().to_string(), reason };
    let found = folder::walk(folder).map_err(unusable)?;
    let chains = chain::judge(&found, keys);
    let logs = logs::check(&found, &chains, range);
    let deliveries = deliveries::compare(&found, &logs.deliveries, range);
    let report = report::assemble(found, &chains, logs.logs, deliveries, range);
    if report.digests.is_empty() && report.logs.is_empty() {
        let reason = "holds no CloudTrail digest or log file in this range; it must mirror the buckets, a folder for each \
                      (see docs/custody.md)";
        return Err(unusable(reason.to_owned()));
    }
    Ok(report)
}
