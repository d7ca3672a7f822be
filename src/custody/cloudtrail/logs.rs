//! The log files: whether each is what a proven digest says of it, and those that no digest speaks of.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::Object;
use super::chain::{Chains, Link};
use super::deliveries::{self, Recorded};
use super::document::Named;
use super::folder::Folder;
use super::names;
use super::range::{Range, Span};
use super::report::{Log, LogStatus};
use super::unpack::{Unfit, Unpacked, unpack};
use crate::evidence::Digest;
use crate::ingest::rfc3339;

/// The largest log, unpacked, that is searched for records of deliveries: CloudTrail's are far smaller.
const SEARCHED: usize = 128 * 1024 * 1024;

/// What was found about the logs.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// In the order of their places.
    pub logs: Vec<Log>,
    /// Deliveries that records in them tell of.
    pub deliveries: Vec<Recorded>,
}

/// A log, the digests that name it, and what it turned out to be.
struct Seen<'a> {
    object: &'a Object,
    named: &'a [(&'a Link, &'a Named)],
    /// `None` where it is not in the folder.
    content: Option<Result<Digest, Unfit>>,
    deliveries: Vec<Recorded>,
}

/// Checks the logs that digests of `range` name, and those of its time that none names.
pub(super) fn check(folder: &Folder, chains: &Chains, range: Range) -> Logs {
    let mut naming: BTreeMap<&Object, Vec<(&Link, &Named)>> = BTreeMap::new();
    for link in &chains.links {
        for named in link.document.iter().flat_map(|document| &document.logs) {
            naming.entry(&named.object).or_default().push((link, named));
        }
    }
    let objects: BTreeSet<&Object> = naming.keys().copied().chain(folder.logs.keys()).collect();
    let concerned: Vec<(&Object, &[(&Link, &Named)])> = objects
        .into_iter()
        .map(|object| (object, naming.get(object).map_or(&[][..], Vec::as_slice)))
        .filter(|(object, named)| concerns(object, named, range))
        .collect();
    let seen: Vec<Seen<'_>> = concerned.into_par_iter().map(|(object, named)| look(folder, object, named)).collect();
    let moved = moved(&seen);
    let covered = Covered::of(chains);
    let logs = seen.iter().map(|one| {
        let (status, reason) = judge(one, folder, &covered, &moved);
        Log { bucket: one.object.bucket.clone(), key: one.object.key.clone(), status, reason }
    });
    Logs { logs: logs.collect(), deliveries: seen.into_iter().flat_map(|one| one.deliveries).collect() }
}

fn concerns(object: &Object, named: &[(&Link, &Named)], range: Range) -> bool {
    if named.is_empty() {
        return range.holds(names::of_log(&object.key).map(|(_, _, time)| time));
    }
    named.iter().any(|(link, _)| range.touches(link.span()))
}

fn look<'a>(folder: &Folder, object: &'a Object, named: &'a [(&'a Link, &'a Named)]) -> Seen<'a> {
    let Some(file) = folder.file(object) else {
        return Seen { object, named, content: None, deliveries: Vec::new() };
    };
    match unpack(&file.path, SEARCHED) {
        Ok(Unpacked { hash, bytes, tail }) => {
            let deliveries = bytes.map(|bytes| deliveries::recorded(object, &bytes)).unwrap_or_default();
            Seen { object, named, content: Some(tail.map_or(Ok(hash), |tail| Err(tail.into()))), deliveries }
        }
        Err(unfit) => Seen { object, named, content: Some(Err(unfit)), deliveries: Vec::new() },
    }
}

/// For the content of each missing log, where it should lie and where it lies now.
struct Moved<'a>(BTreeMap<Digest, (&'a Object, &'a Object)>);

fn moved<'a>(seen: &[Seen<'a>]) -> Moved<'a> {
    let missing = seen.iter().filter(|one| one.content.is_none());
    let wanted: BTreeMap<Digest, &Object> = missing
        .flat_map(|one| one.named.iter().filter(|(link, _)| link.proven).map(move |(_, named)| (named, one.object)))
        .filter_map(|(named, object)| Some((*named.hash.as_ref().ok()?, object)))
        .collect();
    let strays = seen.iter().filter(|one| one.named.is_empty());
    let found = strays.filter_map(|one| {
        let hash = *one.content.as_ref()?.as_ref().ok()?;
        Some((hash, (*wanted.get(&hash)?, one.object)))
    });
    Moved(found.collect())
}

fn judge(one: &Seen<'_>, folder: &Folder, covered: &Covered<'_>, moved: &Moved<'_>) -> (LogStatus, Option<String>) {
    let Some(content) = &one.content else { return (LogStatus::Missing, Some(missing(one, folder, moved))) };
    if one.named.is_empty() {
        let reason = match content {
            Ok(hash) if moved.0.contains_key(hash) => {
                format!("its content is that of {}, which is missing: it has been moved", moved.0[hash].0)
            }
            Ok(_) => covered.unnamed(one.object),
            Err(unfit) => format!("{}; {}", covered.unnamed(one.object), unfit.reason),
        };
        return (LogStatus::Undigested, Some(reason));
    }
    let proven: Vec<_> = one.named.iter().filter(|(link, _)| link.proven).collect();
    let asked = if proven.is_empty() { one.named.iter().collect() } else { proven.clone() };
    if let Some(reason) = asked.iter().find_map(|(link, named)| difference(content, link, named)) {
        return (LogStatus::Invalid, Some(reason));
    }
    if proven.is_empty() {
        let digests: Vec<String> = asked.iter().map(|(link, _)| link.object.to_string()).collect();
        let reason = format!("only a digest that is itself not proven names it: {}", digests.join(", "));
        return (LogStatus::Undigested, Some(reason));
    }
    (LogStatus::Valid, None)
}

/// What speaks against a log by what a digest says of it.
fn difference(content: &Result<Digest, Unfit>, link: &Link, named: &Named) -> Option<String> {
    let unproven = if link.proven { "" } else { ", which is itself not proven" };
    match (content, &named.hash) {
        (Err(Unfit { reason, plain: Some(plain) }), Ok(said)) if plain == said => {
            Some(format!("{reason}; its bytes as they are have the hash that its digest states"))
        }
        (Err(unfit), _) => Some(unfit.reason.clone()),
        (Ok(_), Err(reason)) => Some(reason.clone()),
        (Ok(hash), Ok(said)) => (hash != said)
            .then(|| format!("its SHA-256, unpacked, is {hash}; its digest, {}{unproven}, says {said}", link.object)),
    }
}

fn missing(one: &Seen<'_>, folder: &Folder, moved: &Moved<'_>) -> String {
    let mut reason = "not in the folder".to_owned();
    // Only what a digest names can be missing, so there is a first.
    if let Some((link, _)) = one.named.iter().max_by_key(|(link, _)| link.proven) {
        let unproven = if link.proven { "" } else { ", which is itself not proven" };
        reason = format!("{reason}; its digest is {}{unproven}", link.object);
    }
    if let Some(kind) = folder.skipped.get(one.object) {
        reason = format!("{reason}; in its place lies {kind}");
    }
    let content = one.named.iter().filter_map(|(_, named)| named.hash.as_ref().ok());
    if let Some((_, now)) = content.filter_map(|hash| moved.0.get(hash)).find(|(wanted, _)| *wanted == one.object) {
        reason = format!("{reason}; it has been moved to {now}");
    }
    reason
}

/// The time that digests cover, by account and region.
struct Covered<'a> {
    spans: BTreeMap<(&'a str, &'a str), Span>,
    /// Digests that cannot be read: what they name is not known.
    unread: Vec<&'a Link>,
}

impl<'a> Covered<'a> {
    fn of(chains: &'a Chains) -> Self {
        let mut found: BTreeMap<(&str, &str), Span> = BTreeMap::new();
        for link in chains.links.iter().filter(|link| !names::is_backfill(&link.object.key)) {
            if let (Some((trail, _)), Some(span)) = (&link.name, link.span()) {
                let all = found.entry((&trail.account, &trail.region)).or_insert(span);
                *all = Span { from: all.from.min(span.from), to: all.to.max(span.to) };
            }
        }
        let unread = chains.links.iter().filter(|link| link.document.is_none()).collect();
        Self { spans: found, unread }
    }

    /// Why no digest may name a log.
    fn unnamed(&self, log: &Object) -> String {
        let Some((account, region, time)) = names::of_log(&log.key) else { return "no digest names it".to_owned() };
        let of_then = |link: &&&Link| {
            let own =
                link.name.as_ref().is_some_and(|(trail, _)| (&*trail.account, &*trail.region) == (account, region));
            own && link.span().is_some_and(|span| (span.from..span.to).contains(&time))
        };
        if let Some(link) = self.unread.iter().find(of_then) {
            return format!("no digest that can be read names it; that of its time is {}", link.object);
        }
        match self.spans.get(&(account, region)) {
            None => format!("no digest names it; there are none of account {account} in {region} in the folder"),
            Some(span) if time >= span.to => format!(
                "no digest names it; it is later than the last one of its account and region, which ends at {}",
                rfc3339(span.to)
            ),
            Some(span) if time < span.from => format!(
                "no digest names it; it is earlier than the first one of its account and region, which begins at {}",
                rfc3339(span.from)
            ),
            Some(_) => "no digest names it, though digests cover its time".to_owned(),
        }
    }
}
