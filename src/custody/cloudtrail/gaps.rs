//! The hours that no digest covers.
//!
//! CloudTrail writes a digest every hour, also when nothing happened, and each begins where the one before it ended. After
//! a trail was stopped the next digest names none before it: that hole is one gap. Any other hole is missing digests, of
//! which only the last is named by anything, so every hour is listed. Backfill digests are only made when needed: there
//! are no holes between them.

use std::collections::BTreeMap;

use super::chain::{Chains, Link};
use super::names::Trail;
use super::range::{HOUR, Range, Span};
use super::report::{Chain, ChainKind, Gap};

/// Hours of one hole that are listed one by one; a longer hole, of more than a year, is one gap.
const LISTED: i64 = 10_000;

/// The chains in the order of trails, with their gaps in `range`.
pub(super) fn chains(chains: &Chains, range: Range) -> Vec<Chain> {
    let mut by_trail: BTreeMap<(&Trail, ChainKind), Vec<(Span, &Link)>> = BTreeMap::new();
    // One that was moved tells nothing of the folder that it lies in.
    for link in chains.links.iter().filter(|link| link.at_home || link.document.is_none()) {
        let kind = ChainKind::of_key(&link.object.key);
        if let (Some((trail, _)), Some(span)) = (&link.name, link.span()) {
            by_trail.entry((trail, kind)).or_default().push((span, link));
        }
    }
    by_trail.into_iter().map(|((trail, kind), links)| chain(trail, kind, links, range)).collect()
}

fn chain(trail: &Trail, kind: ChainKind, mut links: Vec<(Span, &Link)>, range: Range) -> Chain {
    links.sort_by_key(|(span, _)| *span);
    let spans = if kind == ChainKind::Standard { holes(&links, range) } else { Vec::new() };
    let within: Vec<Span> = links.iter().map(|(span, _)| *span).filter(|span| range.touches(Some(*span))).collect();
    Chain {
        organization: trail.organization.clone(),
        account: trail.account.clone(),
        region: trail.region.clone(),
        trail: trail.name.clone(),
        home_region: trail.home.clone(),
        chain: kind,
        digests: within.len(),
        from: within.iter().map(|span| span.from).min().map(crate::ingest::rfc3339),
        to: within.iter().map(|span| span.to).max().map(crate::ingest::rfc3339),
        gaps: spans.into_iter().map(Gap::from).collect(),
    }
}

/// The holes among `links`, which are in order of time.
fn holes(links: &[(Span, &Link)], range: Range) -> Vec<Span> {
    let mut found = Vec::new();
    let previous = |link: &Link| link.document.as_ref().map(|document| document.previous.is_some());
    let Some((first, link)) = links.first() else { return found };
    if previous(link) == Some(true) {
        found.extend(hours(Span { from: range.since.unwrap_or(first.from - HOUR), to: first.from }, range));
    }
    let mut covered = first.to;
    for (span, link) in &links[1..] {
        let hole = Span { from: covered, to: span.from };
        if previous(link) == Some(false) {
            found.extend(range.clip(hole));
        } else {
            found.extend(hours(hole, range));
        }
        covered = covered.max(span.to);
    }
    if let Some(until) = range.until {
        found.extend(hours(Span { from: covered, to: until }, range));
    }
    found
}

/// The hours of `hole`, counted from its start.
fn hours(hole: Span, range: Range) -> Vec<Span> {
    let Some(hole) = range.clip(hole) else { return Vec::new() };
    if hole.to - hole.from > LISTED * HOUR {
        return vec![hole];
    }
    let starts = (0..).map(|n| hole.from + n * HOUR).take_while(|from| *from < hole.to);
    starts.map(|from| Span { from, to: (from + HOUR).min(hole.to) }).collect()
}
