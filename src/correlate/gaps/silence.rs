//! A source that is busy nearly always and writes nothing for a while, between busy neighbours. `CloudTrail` delivers about
//! every five minutes, and only where something happened: that a delivery is missing cannot be told from names of files, but
//! an account in which something happens in nearly every five minutes does not fall silent for a quarter of an hour.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gap, GapKind, between, records_at};
use crate::correlate::columns::Column;
use crate::correlate::outline::{Block, Outline};
use crate::correlate::symbols::Symbol;
use crate::error::Result;
use crate::evidence::FileEntry;
use crate::ingest::AssumedZone;

/// Time is looked at in slots of this length, microseconds.
const SLOT: i64 = 300_000_000;
/// A source must be busy in so many slots, and in this share of those between its first and its last.
const ENOUGH_SLOTS: usize = 24;
const BUSY_SHARE: f64 = 0.9;
/// A silence of so many slots is looked at, if as many on either side are busy.
const SILENT_SLOTS: i64 = 3;
/// By the rate on the quieter side so many records would be expected in it.
const EXPECTED: f64 = 30.0;
/// How long after an event its delivery comes at most.
const DELIVERED_WITHIN: i64 = 900_000_000;

/// What a source wrote in a slot.
#[derive(Clone, Copy)]
struct Slot {
    count: u32,
    first: i64,
    last: i64,
}

type Slots = BTreeMap<(Symbol, Symbol), BTreeMap<i64, Slot>>;

/// Finds silences of sources, region by region.
pub fn find(outline: &Outline, files: &[FileEntry]) -> Result<Vec<Gap>> {
    let silences: Vec<Silence> = slots(outline)?.into_iter().flat_map(|(of, slots)| silences(of, &slots)).collect();
    if silences.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: BTreeSet<(Symbol, i64)> =
        silences.iter().flat_map(|s| [(s.source, s.from), (s.source, s.to)]).collect();
    let records = records_at(outline, &wanted)?;
    let deliveries = deliveries(files);
    Ok(silences.iter().filter_map(|silence| gap(outline, &deliveries, silence, &records)).collect())
}

fn slots(outline: &Outline) -> Result<Slots> {
    let of_block = |block: &Block<'_>| {
        let mut found = Slots::new();
        // Records of the same time mostly come together.
        let mut run: Option<((Symbol, Symbol), i64, Slot)> = None;
        for n in block.places().filter(|n| block.counts(*n)) {
            let Some(time) = block.known_time(n) else { continue };
            let of = (block.names(Column::Source)[n], block.names(Column::Region)[n]);
            let number = time.div_euclid(SLOT);
            match &mut run {
                Some((key, of_run, slot)) if (*key, *of_run) == (of, number) => {
                    *slot = Slot { count: slot.count + 1, first: slot.first.min(time), last: slot.last.max(time) };
                }
                _ => {
                    let new = (of, number, Slot { count: 1, first: time, last: time });
                    if let Some((of, number, slot)) = run.replace(new) {
                        add(found.entry(of).or_default(), number, slot);
                    }
                }
            }
        }
        if let Some((of, number, slot)) = run {
            add(found.entry(of).or_default(), number, slot);
        }
        found
    };
    let mut all = Slots::new();
    for found in outline.look(&[Column::Time, Column::Source, Column::Region], of_block)? {
        for (of, slots) in found {
            let held = all.entry(of).or_default();
            for (number, slot) in slots {
                add(held, number, slot);
            }
        }
    }
    Ok(all)
}

fn add(slots: &mut BTreeMap<i64, Slot>, number: i64, more: Slot) {
    let slot = slots.entry(number).or_insert(Slot { count: 0, ..more });
    slot.count = slot.count.saturating_add(more.count);
    slot.first = slot.first.min(more.first);
    slot.last = slot.last.max(more.last);
}

struct Silence {
    source: Symbol,
    region: Symbol,
    from: i64,
    to: i64,
    expected: f64,
    busy: usize,
    all: i64,
}

fn silences((source, region): (Symbol, Symbol), slots: &BTreeMap<i64, Slot>) -> Vec<Silence> {
    let (Some((first, _)), Some((last, _))) = (slots.first_key_value(), slots.last_key_value()) else {
        return Vec::new();
    };
    let all = last - first + 1;
    let busy = slots.len();
    if busy < ENOUGH_SLOTS || real(busy as u64) < BUSY_SHARE * real(all.unsigned_abs()) {
        return Vec::new();
    }
    let listed: Vec<(i64, Slot)> = slots.iter().map(|(number, slot)| (*number, *slot)).collect();
    let pairs = listed.windows(2).filter(|pair| pair[1].0 - pair[0].0 > SILENT_SLOTS);
    pairs
        .filter_map(|pair| {
            let (before, after) = (pair[0], pair[1]);
            let silent = after.0 - before.0 - 1;
            let rate = |numbers: std::ops::RangeInclusive<i64>| -> Option<f64> {
                let counts: Option<Vec<u32>> = numbers.map(|n| slots.get(&n).map(|slot| slot.count)).collect();
                let counts = counts?;
                Some(counts.iter().copied().map(f64::from).sum::<f64>() / real(counts.len() as u64))
            };
            let earlier = rate(before.0 - SILENT_SLOTS + 1..=before.0)?;
            let later = rate(after.0..=after.0 + SILENT_SLOTS - 1)?;
            let expected = earlier.min(later) * real(silent.unsigned_abs());
            let found = Silence { source, region, from: before.1.last, to: after.1.first, expected, busy, all };
            (expected >= EXPECTED).then_some(found)
        })
        .collect()
}

fn real(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of slots stay far below 2^53")]
    let real = count as f64;
    real
}

fn gap(
    outline: &Outline,
    deliveries: &BTreeMap<String, BTreeSet<i64>>,
    silence: &Silence,
    records: &BTreeMap<(Symbol, i64), crate::evidence::Locator>,
) -> Option<Gap> {
    let source = outline.symbols.name(silence.source)?;
    let region = outline.symbols.name(silence.region);
    let named = region.and_then(|region| deliveries.get(region));
    let within = named.map(|times| {
        times.range(silence.from + DELIVERED_WITHIN..silence.to.max(silence.from + DELIVERED_WITHIN)).count()
    });
    // A delivery came, and held nothing of that time: nothing is missing.
    if within.is_some_and(|count| count > 0) {
        return None;
    }
    let of_region = region.map(|region| format!(" of {region}")).unwrap_or_default();
    let files = if within.is_some() { ", and no file is named for a delivery of that time" } else { "" };
    let detail = format!(
        "{source} holds nothing{of_region} {}, where about {:.0} records would be expected by what is on either side (it holds some in {} of {} periods of five minutes){files}",
        between(silence.from, silence.to),
        silence.expected,
        silence.busy,
        silence.all
    );
    let at = |time| records.get(&(silence.source, time)).copied();
    Some(Gap {
        kind: GapKind::Silence,
        source: source.to_owned(),
        job: None,
        from: Some(silence.from),
        to: Some(silence.to),
        possible: true,
        detail,
        records: [at(silence.from), at(silence.to)].into_iter().flatten().collect(),
    })
}

/// When the files were delivered that bear the names `CloudTrail` gives them
/// (`ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz`), by region. Names only ever speak against a gap.
fn deliveries(files: &[FileEntry]) -> BTreeMap<String, BTreeSet<i64>> {
    let mut found: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.parsed > 0) {
        let Some((_, rest)) = file.path.split_once("_CloudTrail_") else { continue };
        let mut words = rest.split('_');
        let (Some(region), Some(stamp)) = (words.next(), words.next()) else { continue };
        found.entry(region.to_owned()).or_default().extend(delivered(stamp));
    }
    found
}

/// `20230710T1220Z`, microseconds.
fn delivered(stamp: &str) -> Option<i64> {
    let digits = |from: usize, to: usize| stamp.get(from..to).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
    let (hour, minute) = (digits(9, 11)?, digits(11, 13)?);
    AssumedZone::default().read(&format!("{year}-{month}-{day}T{hour}:{minute}:00Z"))?.micros
}
