//! The result for people: counts, chains, and each thing that is not valid.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::deliveries::DeliveryStatus;
use super::report::{Chain, ChainKind, Delivery, Digest, Log, Report};
use crate::report::plain;

/// Files and gaps that are listed; more are counted.
const SHOWN: usize = 100;

/// Renders the report for a terminal `width` columns wide.
#[must_use]
pub fn render(report: &Report, width: u16) -> String {
    let mut text = counts(report);
    if !report.chains.is_empty() {
        let _ = writeln!(text, "\n{}", chains(&report.chains, width));
    }
    list(&mut text, "Not valid:", &faults(report));
    let gaps: Vec<String> = report.gaps.iter().map(|gap| format!("{} to {}", gap.from, gap.to)).collect();
    list(&mut text, "No digest covers:", &gaps);
    text
}

fn counts(report: &Report) -> String {
    let mut text = String::new();
    let of = |kind| report.digests.iter().filter(move |digest| digest.chain == kind).map(|digest| digest.status.name());
    count(&mut text, "Digests", "valid", of(ChainKind::Standard));
    count(&mut text, "Backfill digests", "valid", of(ChainKind::Backfill));
    count(&mut text, "Logs", "valid", report.logs.iter().map(|log| log.status.name()));
    let deliveries = report.deliveries.iter().map(|delivery| delivery.status.name());
    count(&mut text, "Deliveries on record", DeliveryStatus::AsDelivered.name(), deliveries);
    if report.other_files > 0 {
        let _ = writeln!(text, "Files that are not CloudTrail's, not read: {}", report.other_files);
    }
    text
}

/// `Logs: 7 of 9 valid (1 invalid, 1 missing)`; nothing where there are none.
fn count(text: &mut String, what: &str, good: &str, statuses: impl Iterator<Item = &'static str>) {
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    statuses.for_each(|status| *by.entry(status).or_default() += 1);
    let all: usize = by.values().sum();
    if all == 0 {
        return;
    }
    let fine = by.remove(good).unwrap_or(0);
    let rest: Vec<String> = by.iter().map(|(status, number)| format!("{number} {status}")).collect();
    let rest = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
    let _ = writeln!(text, "{what}: {fine} of {all} {good}{rest}");
}

fn chains(chains: &[Chain], width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["Trail", "Account, region", "Digests", "They cover"]);
    for chain in chains {
        let backfill = if chain.chain == ChainKind::Backfill { " (backfill)" } else { "" };
        let covered = match (&chain.from, &chain.to) {
            (Some(from), Some(to)) => format!("{from} to {to}"),
            _ => "nothing of the range".to_owned(),
        };
        table.add_row([
            line(&format!("{} of {}{backfill}", chain.trail, chain.home_region)),
            line(&format!("{} {}", chain.account, chain.region)),
            chain.digests.to_string(),
            covered,
        ]);
    }
    table
}

fn faults(report: &Report) -> Vec<String> {
    let fault = |what: &str, bucket: &str, key: &str, status: &str, reason: Option<&String>| {
        let reason = reason?;
        Some(format!("{what} s3://{}/{}\n    {status}: {}", line(bucket), line(key), line(reason)))
    };
    let digests = report.digests.iter();
    let digests = digests.filter_map(|Digest { bucket, key, status, reason, .. }| {
        fault("digest", bucket, key, status.name(), reason.as_ref())
    });
    let logs = report.logs.iter();
    let logs = logs
        .filter_map(|Log { bucket, key, status, reason }| fault("log", bucket, key, status.name(), reason.as_ref()));
    let sizes = report.deliveries.iter().filter(|delivery| delivery.status == DeliveryStatus::Differs).map(size);
    digests.chain(logs).chain(sizes).collect()
}

fn size(delivery: &Delivery) -> String {
    let Delivery { bucket, key, time, delivered_bytes, found_bytes, recorded_in, .. } = delivery;
    let bytes = |number: &Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (bucket, key, time, source) = (line(bucket), line(key), line(time), line(recorded_in));
    let (delivered, found) = (bytes(delivered_bytes), bytes(found_bytes));
    format!(
        "delivery s3://{bucket}/{key}\n    of another size: {delivered} bytes were delivered at {time}, as {source} \
         records; here are {found}"
    )
}

/// `text` without anything that a terminal obeys, line breaks included.
fn line(text: &str) -> String {
    plain(text).replace('\n', "\\n")
}

fn list(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for shown in lines.iter().take(SHOWN) {
        let _ = writeln!(text, "  {shown}");
    }
    if lines.len() > SHOWN {
        let _ = writeln!(text, "  and {} more; --format json lists them all", lines.len() - SHOWN);
    }
}
