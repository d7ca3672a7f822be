//! Pages of results that say there are more: cursors that end nowhere, numbers that are left out. A page does not say by
//! which cursor it was asked for, so a page that is missing in the middle shows only where pages are numbered.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gap, GapKind};
use crate::correlate::columns::Column;
use crate::correlate::outline::{Block, Outline};
use crate::error::Result;
use crate::evidence::{FileEntry, Locator, Page};

/// Numbers of pages that are believed.
const MAX_COUNT: u64 = 1_000_000;
/// Numbers that are listed; more are counted.
const LISTED: usize = 8;

/// What pages of one result have in common: the source, the list, the query, and where they are numbered how many there are.
type Series<'a> = (&'a str, &'a str, String, Option<(u64, Option<u64>)>);

/// A page, and the number of its file.
type Placed<'a> = (usize, &'a Page);

/// Finds results of which pages are missing.
pub fn find(files: &[FileEntry], outline: &Outline) -> Result<Vec<Gap>> {
    let results = results(files);
    let missing: Vec<(&str, String, Placed<'_>)> = results
        .iter()
        .filter_map(|(result, pages)| missing(result, pages).map(|(d, page)| (result.0, d, page)))
        .collect();
    let wanted: BTreeSet<(u32, u64)> = missing.iter().filter_map(|(.., page)| record_of(*page)).collect();
    let records = locators(outline, &wanted)?;
    let gap = |(source, detail, page): (&str, String, Placed<'_>)| Gap {
        kind: GapKind::PagesMissing,
        source: source.to_owned(),
        job: None,
        from: None,
        to: None,
        possible: false,
        detail,
        records: record_of(page).and_then(|key| records.get(&key)).copied().into_iter().collect(),
    };
    Ok(missing.into_iter().map(gap).collect())
}

/// All pages, by what they are of.
fn results(files: &[FileEntry]) -> BTreeMap<Series<'_>, Vec<Placed<'_>>> {
    let mut results: BTreeMap<Series<'_>, Vec<Placed<'_>>> = BTreeMap::new();
    let (bare, filled): (Vec<_>, Vec<_>) = files.iter().enumerate().partition(|(_, file)| file.records == 0);
    for (n, file) in filled {
        for page in &file.pages {
            results.entry(result_of(file, page)).or_default().push((n, page));
        }
    }
    // A page without records, as the last one may be, does not show whose it is: the others of its result do.
    let sources: BTreeMap<_, &str> = results.keys().map(|key| ((key.1, key.2.clone(), key.3), key.0)).collect();
    for (n, file) in bare {
        for page in &file.pages {
            let (own, list, query, count) = result_of(file, page);
            let source = sources.get(&(list, query.clone(), count)).copied().unwrap_or(own);
            results.entry((source, list, query, count)).or_default().push((n, page));
        }
    }
    results
}

fn result_of<'a>(file: &'a FileEntry, page: &'a Page) -> Series<'a> {
    let path = |name| page.get(name).map(|uri: &str| uri.split('?').next().unwrap_or(uri).to_owned());
    let query = page.get("id").map(str::to_owned).or_else(|| path("selfUri")).or_else(|| path("nextUri"));
    let numbered = page.number("pageNumber").and_then(|_| page.number("pageCount"));
    (&file.format, &page.list, query.unwrap_or_default(), numbered.map(|count| (count, page.number("total"))))
}

/// What is missing of a result, and the page that says so.
fn missing<'a>(result: &Series<'_>, pages: &[Placed<'a>]) -> Option<(String, Placed<'a>)> {
    let of = if result.2.is_empty() { String::new() } else { format!(" of {}", short(&result.2)) };
    let last = *pages.iter().rfind(|(_, page)| page.last_record.is_some()).or_else(|| pages.last())?;
    let Some((count, _)) = result.3 else {
        let ends = pages.iter().any(|(_, page)| !page.is_followed());
        let detail = format!("{} pages{of} say that another follows, and none that it is the last", pages.len());
        return (!ends).then_some((detail, last));
    };
    let numbers: BTreeSet<u64> = pages.iter().filter_map(|(_, page)| page.number("pageNumber")).collect();
    let first = u64::from(!numbers.contains(&0));
    let all = first..first + count.min(MAX_COUNT);
    let absent: Vec<String> = all.filter(|n| !numbers.contains(n)).map(|n| n.to_string()).collect();
    let more = absent.len().saturating_sub(LISTED);
    let listed = absent.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!("of {count} pages{of} these are missing: {listed}{rest}");
    (!absent.is_empty()).then_some((detail, last))
}

fn short(query: &str) -> String {
    query.chars().take(60).collect()
}

fn record_of((file, page): Placed<'_>) -> Option<(u32, u64)> {
    Some((u32::try_from(file).ok()?, page.last_record?))
}

/// Where records lie.
fn locators(outline: &Outline, wanted: &BTreeSet<(u32, u64)>) -> Result<BTreeMap<(u32, u64), Locator>> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let of_block = |block: &Block<'_>| -> Vec<((u32, u64), Locator)> {
        let found = block.places().map(|n| block.at[n]).map(|at| ((at.file, at.record), at));
        found.filter(|(key, _)| wanted.contains(key)).collect()
    };
    Ok(outline.look(&[Column::At], of_block)?.into_iter().flatten().collect())
}
