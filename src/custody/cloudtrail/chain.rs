//! The chain of digests: whose signature verifies, and whether each is what the next one says of it.
//!
//! A digest's signature stands in its object's metadata, and again in the next digest. One that verifies under a public
//! key proves the digest wherever it was found; what a digest that is not proven says of others proves nothing.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Object;
use super::document::{self, Document};
use super::folder::{File, Folder};
use super::keys::{self, Keys};
use super::metadata::{self, Metadata};
use super::names::{self, Trail};
use super::range::Span;
use super::report::DigestStatus;

/// A digest of the folder, judged.
#[derive(Debug)]
pub(super) struct Link {
    pub object: Object,
    /// The trail and the end of its hour by its name, if that is as CloudTrail writes it.
    pub name: Option<(Trail, i64)>,
    /// `None` where it cannot be read; `status` says why.
    pub document: Option<Document>,
    /// Whether it lies where it was delivered.
    pub at_home: bool,
    /// Whether it is proven: it lies where it was delivered, and a signature verifies.
    pub proven: bool,
    pub status: DigestStatus,
    pub reason: Option<String>,
}

impl Link {
    /// The time that it covers: as it says itself, else the hour up to the time in its name.
    pub(super) fn span(&self) -> Option<Span> {
        let said = self.document.as_ref().map(|document| document.span);
        said.or_else(|| self.name.as_ref().map(|(_, end)| Span::hour_to(*end)))
    }
}

/// A digest that another one names, or whose metadata is there, and that is not itself.
#[derive(Debug)]
pub(super) struct Missing {
    pub object: Object,
    pub span: Option<Span>,
    pub reason: String,
}

/// All digests in the order of their places, and those that are missing.
#[derive(Debug, Default)]
pub(super) struct Chains {
    pub links: Vec<Link>,
    pub missing: Vec<Missing>,
}

/// What the metadata says of a digest's signature.
enum Own {
    /// There is no metadata.
    Absent,
    Unusable(String),
    Good,
    Bad,
}

/// What was found about a digest by itself and by the signatures that the next ones give.
struct Checked {
    /// Why it cannot be valid, whatever its signature.
    problem: Option<String>,
    own: Own,
    /// For each digest that names it as the one before: whether the signature given there verifies.
    after: Vec<(usize, bool)>,
}

impl Checked {
    fn proven(&self) -> bool {
        self.problem.is_none() && (matches!(self.own, Own::Good) || self.after.iter().any(|(_, good)| *good))
    }
}

struct Read {
    object: Object,
    backfill: bool,
    document: Result<Document, String>,
    metadata: Option<Result<Metadata, String>>,
}

/// Judges every digest of `folder`.
pub(super) fn judge(folder: &Folder, keys: &Keys) -> Chains {
    let open = |(object, file): (&Object, &File)| {
        let backfill = names::is_backfill(&object.key);
        let metadata = folder.metadata.get(object).map(|file| metadata::read(&file.path, backfill));
        Read { object: object.clone(), backfill, document: document::read(&file.path), metadata }
    };
    let read: Vec<Read> = folder.digests.par_iter().map(open).collect();
    let successors = successors(&read);
    let check = |(at, one): (usize, &Read)| check(one, successors.get(&at).map_or(&[], Vec::as_slice), &read, keys);
    let checked: Vec<Checked> = read.par_iter().enumerate().map(check).collect();
    let mut verdicts: Vec<_> = (0..read.len()).map(|at| verdict(at, &read, &checked)).collect();
    contradictions(&read, &checked, &mut verdicts);
    let missing = missing(folder, &read, &checked);
    let links = read.into_iter().zip(checked).zip(verdicts).map(|((read, checked), (status, reason))| Link {
        name: names::of_digest(&read.object.key),
        at_home: read.document.as_ref().is_ok_and(|document| document.delivered == read.object),
        document: read.document.ok(),
        object: read.object,
        proven: checked.proven(),
        status,
        reason,
    });
    Chains { links: links.collect(), missing }
}

/// By the number of a digest, the numbers of those that name it as the one before them.
fn successors(read: &[Read]) -> BTreeMap<usize, Vec<usize>> {
    let number: BTreeMap<&Object, usize> = read.iter().enumerate().map(|(at, one)| (&one.object, at)).collect();
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, one) in read.iter().enumerate() {
        let previous = one.document.as_ref().ok().and_then(|document| document.previous.as_ref());
        if let Some(before) = previous.and_then(|previous| number.get(&previous.object)).filter(|before| **before != at)
        {
            found.entry(*before).or_default().push(at);
        }
    }
    found
}

fn check(one: &Read, successors: &[usize], read: &[Read], keys: &Keys) -> Checked {
    let unchecked = |problem: String| {
        let own = match &one.metadata {
            Some(Err(reason)) => Own::Unusable(reason.clone()),
            _ => Own::Absent,
        };
        Checked { problem: Some(problem), own, after: successors.iter().map(|at| (*at, false)).collect() }
    };
    let document = match &one.document {
        Ok(document) => document,
        Err(reason) => return unchecked(reason.clone()),
    };
    if let Some(problem) = misplaced(&one.object, document) {
        return unchecked(problem);
    }
    let generated = one.metadata.as_ref().and_then(|metadata| metadata.as_ref().ok()).and_then(|m| m.generated);
    let signed = if one.backfill {
        keys::backfill_signed(generated, document.span.to)
    } else {
        keys::signed_after(document.span.to)
    };
    let usable = match keys.of(&document.fingerprint, signed) {
        Ok(usable) => usable,
        Err(reason) => return unchecked(reason),
    };
    let text = document.signed_text();
    let verifies = |signature: &str| {
        decode(signature).is_some_and(|signature| keys::verifies(&usable, text.as_bytes(), &signature))
    };
    let own = match &one.metadata {
        None => Own::Absent,
        Some(Err(reason)) => Own::Unusable(reason.clone()),
        Some(Ok(metadata)) if verifies(&metadata.signature) => Own::Good,
        Some(Ok(_)) => Own::Bad,
    };
    let after = successors.iter().map(|at| (*at, previous(&read[*at]).is_some_and(|p| verifies(&p.signature))));
    Checked { problem: None, own, after: after.collect() }
}

fn misplaced(object: &Object, document: &Document) -> Option<String> {
    if let Some(reason) = &document.unsupported {
        return Some(reason.clone());
    }
    let moved = document.delivered != *object;
    moved.then(|| format!("it has been moved: it was delivered as {}", document.delivered))
}

fn previous(read: &Read) -> Option<&document::Previous> {
    read.document.as_ref().ok()?.previous.as_ref()
}

/// A signature as CloudTrail writes it: hex, without capitals.
fn decode(signature: &str) -> Option<Vec<u8>> {
    let plain = !signature.bytes().any(|byte| byte.is_ascii_uppercase());
    plain.then(|| const_hex::decode(signature).ok()).flatten()
}

fn verdict(at: usize, read: &[Read], checked: &[Checked]) -> (DigestStatus, Option<String>) {
    let (one, found) = (&read[at], &checked[at]);
    let invalid = |reason: String| (DigestStatus::Invalid, Some(reason));
    if let Some(problem) = &found.problem {
        return invalid(problem.clone());
    }
    let Ok(document) = &one.document else { return invalid("it cannot be read".to_owned()) };
    for (next, good) in found.after.iter().filter(|(next, _)| checked[*next].proven()) {
        let Some(said) = previous(&read[*next]) else { continue };
        let next = &read[*next].object;
        if said.hash != document.hash.to_string() {
            return invalid(format!("its SHA-256 is {}; the next digest, {next}, says {}", document.hash, said.hash));
        }
        if !good {
            return invalid(format!("the signature that the next digest, {next}, gives does not verify"));
        }
    }
    if let Some(tail) = &document.tail {
        return invalid(tail.clone());
    }
    match &found.own {
        Own::Unusable(reason) => invalid(reason.clone()),
        Own::Bad if found.proven() => {
            invalid("the signature in its metadata is not the one that the next digest gives".to_owned())
        }
        Own::Bad => invalid("the signature in its metadata does not verify".to_owned()),
        Own::Good => (DigestStatus::Valid, None),
        Own::Absent if found.proven() => (DigestStatus::Valid, None),
        Own::Absent => (DigestStatus::Unsigned, Some(unsigned(found))),
    }
}

fn unsigned(found: &Checked) -> String {
    match found.after.first() {
        None => "its metadata is not in the folder, nor is a later digest, which would give its signature".to_owned(),
        Some(_) => {
            "its metadata is not in the folder, and the next digest, which gives a signature that does not verify, is \
                    itself not proven"
                .to_owned()
        }
    }
}

/// An unsigned digest that says something else of the one before it than that proves is more than unsigned.
fn contradictions(read: &[Read], checked: &[Checked], verdicts: &mut [(DigestStatus, Option<String>)]) {
    for (at, found) in checked.iter().enumerate().filter(|(_, found)| found.proven()) {
        let Ok(document) = &read[at].document else { continue };
        for (next, good) in &found.after {
            let Some(said) = previous(&read[*next]) else { continue };
            let differs = !good || said.hash != document.hash.to_string();
            if differs && verdicts[*next].0 == DigestStatus::Unsigned {
                let reason =
                    format!("it is unsigned, and what it says of the digest before it, {}, is not so", read[at].object);
                verdicts[*next] = (DigestStatus::Invalid, Some(reason));
            }
        }
    }
}

/// The digests that others name and that are not there, and those whose metadata alone is. Whom a digest that was moved
/// names says nothing of the folder that it lies in.
fn missing(folder: &Folder, read: &[Read], checked: &[Checked]) -> Vec<Missing> {
    let mut found: BTreeMap<&Object, Missing> = BTreeMap::new();
    let mut named: Vec<(&Read, bool)> = read.iter().zip(checked.iter().map(Checked::proven)).collect();
    named.sort_by_key(|(_, proven)| !proven);
    for (one, proven) in named {
        let (Ok(document), Some(previous)) = (&one.document, previous(one)) else { continue };
        if document.delivered != one.object || folder.digests.contains_key(&previous.object) {
            continue;
        }
        let unproven = if proven { "" } else { ", which is itself not proven," };
        let why = match folder.skipped.get(&previous.object) {
            Some(kind) => format!("; in its place lies {kind}"),
            None => String::new(),
        };
        let reason = format!("not in the folder; {}{unproven} names it as the digest before it{why}", one.object);
        let span = span_of(&previous.object).unwrap_or_else(|| Span::hour_to(document.span.from));
        found.entry(&previous.object).or_insert_with(|| Missing {
            object: previous.object.clone(),
            span: Some(span),
            reason,
        });
    }
    for object in folder.metadata.keys().filter(|object| !folder.digests.contains_key(*object)) {
        found.entry(object).or_insert_with(|| Missing {
            object: object.clone(),
            span: span_of(object),
            reason: "not in the folder, but its metadata is".to_owned(),
        });
    }
    found.into_values().collect()
}

fn span_of(object: &Object) -> Option<Span> {
    names::of_digest(&object.key).map(|(_, end)| Span::hour_to(end))
}
