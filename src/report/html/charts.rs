//! The charts, as numbers and shapes: the template only draws them.

use std::collections::BTreeMap;

use super::super::{FailureReport, Summary};
use super::words::{count, title};
use crate::classify::{Class, HoldLags};
use crate::ingest::rfc3339;

/// Width of a chart in its own units.
pub const WIDTH: f64 = 960.0;
/// Room for what stands left of the bars.
const LEFT: f64 = 60.0;
const TALL: f64 = 180.0;
/// Bars over time, at most.
const BARS: i64 = 60;
/// Callers and buckets that have a bar of their own.
const NAMED: usize = 8;
/// Regions that have a chart of their own.
const REGIONS: usize = 6;
/// Times of synchronising that are drawn one by one.
const WINDOWS: usize = 400;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// What a bar over time may stand for.
const STEPS: [i64; 9] = [60, 300, 900, 3_600, 3 * 3_600, 6 * 3_600, 24 * 3_600, 7 * 24 * 3_600, 30 * 24 * 3_600];

/// A rectangle.
pub struct Bar {
    pub x: String,
    pub y: String,
    pub width: String,
    pub height: String,
    /// The class it stands for; empty where it stands for none.
    pub class: &'static str,
    /// What it says when it is pointed at.
    pub says: String,
}

/// A text at a place.
pub struct Label {
    pub x: String,
    pub y: String,
    pub text: String,
}

/// A chart: shapes, texts, and the same in a table for those who cannot see it.
pub struct Chart {
    pub id: &'static str,
    pub title: String,
    pub about: String,
    pub height: String,
    pub bands: Vec<Bar>,
    pub bars: Vec<Bar>,
    pub labels: Vec<Label>,
    pub heads: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

type ByClass = [u64; Class::ALL.len()];

/// Charts that are being counted.
pub struct Charts<'a> {
    start: i64,
    step: i64,
    by_time: BTreeMap<i64, ByClass>,
    by_caller: BTreeMap<String, ByClass>,
    by_bucket: BTreeMap<String, ByClass>,
    syncing: &'a [(i64, i64)],
    lags: &'a HoldLags,
}

/// When some hold was synchronising, in order and joined where they overlap.
#[must_use]
pub fn syncing(mut holds: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    holds.retain(|(from, to)| from < to);
    holds.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in holds {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn place(class: Class) -> usize {
    Class::ALL.iter().position(|known| *known == class).unwrap_or(0)
}

/// Microseconds since 1970 of a time as reports write it.
fn micros(time: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(time).ok().map(|time| time.timestamp_micros())
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

#[expect(clippy::cast_precision_loss, reason = "it is only drawn")]
const fn float(value: i64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "it is only drawn")]
const fn amount(value: u64) -> f64 {
    value as f64
}

impl<'a> Charts<'a> {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(summary: &Summary, syncing: &'a [(i64, i64)], lags: &'a HoldLags) -> Self {
        let time = |text: &Option<String>| text.as_deref().and_then(micros);
        let (first, last) = time(&summary.first_time).zip(time(&summary.last_time)).unwrap_or((0, 0));
        let span = (last - first).max(1);
        let fits = |step: &&i64| span / (**step * SECOND) < BARS;
        let step = STEPS.iter().find(fits).map_or(span / BARS + 1, |step| step * SECOND);
        let start = first.div_euclid(step) * step;
        let (by_time, by_caller, by_bucket) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { start, step, by_time, by_caller, by_bucket, syncing, lags }
    }

    /// Counts a failure.
    pub fn add(&mut self, failure: &FailureReport) {
        let class = place(failure.class);
        if let Some(time) = failure.first_failed_at.as_deref().and_then(micros) {
            self.by_time.entry((time - self.start).div_euclid(self.step)).or_default()[class] += 1;
        }
        for (name, counts) in [(&failure.principal, &mut self.by_caller), (&failure.bucket, &mut self.by_bucket)] {
            counts.entry(name.clone().unwrap_or_else(|| "(unknown)".to_owned())).or_default()[class] += 1;
        }
    }

    /// The charts that have something to show.
    #[must_use]
    pub fn drawn(&self) -> Vec<Chart> {
        let mut all = vec![self.over_time()];
        all.extend(self.lag());
        all.push(Self::causes("by-caller", "Causes by caller", &self.by_caller));
        all.push(Self::causes("by-bucket", "Causes by bucket", &self.by_bucket));
        all.retain(|chart| !chart.rows.is_empty());
        all
    }

    fn over_time(&self) -> Chart {
        let most = self.by_time.values().map(|counts| counts.iter().sum::<u64>()).max().unwrap_or(0);
        let ends = self.by_time.keys().max().copied().unwrap_or(0).max(self.last_synced()) + 1;
        let wide = (WIDTH - LEFT) / float(ends.max(1));
        let x_of = |time: i64| LEFT + float(time - self.start) / float(self.step) * wide;
        let mut bars = Vec::new();
        for (n, counts) in &self.by_time {
            let mut bottom = TALL;
            for (class, found) in Class::ALL.into_iter().zip(counts).filter(|(_, found)| **found > 0) {
                let height = amount(*found) / amount(most.max(1)) * (TALL - 20.0);
                bottom -= height;
                let when = rfc3339(self.start + n * self.step);
                bars.push(Bar {
                    x: number(LEFT + float(*n) * wide + 0.5),
                    y: number(bottom),
                    width: number((wide - 1.0).max(1.0)),
                    height: number(height),
                    class: class.name(),
                    says: format!("{} from {when}: {}", title(class), count(*found, "failure", "failures")),
                });
            }
        }
        // Behind the bars, where they can be compared, and below them, where they can be seen.
        let places = [("syncing", 10.0, TALL - 10.0), ("", TALL + 4.0, 8.0)];
        let windows = self.syncing.iter().filter(|(from, _)| *from >= self.start).take(WINDOWS);
        let bands = windows.flat_map(|(from, to)| {
            places.map(|(class, y, height)| Bar {
                x: number(x_of(*from)),
                y: number(y),
                width: number((x_of(*to) - x_of(*from)).max(1.5)),
                height: number(height),
                class,
                says: format!("holds synchronising from {} to {}", rfc3339(*from), rfc3339(*to)),
            })
        });
        let mut labels = vec![label(4.0, 20.0, most.to_string()), label(4.0, TALL, "0".to_owned())];
        for quarter in 0..4 {
            let n = ends * quarter / 4;
            let text = rfc3339(self.start + n * self.step).chars().take(16).collect::<String>().replace('T', " ");
            labels.push(label(LEFT + float(n) * wide, TALL + 30.0, text));
        }
        let rows = self.by_time.iter().map(|(n, counts)| row(rfc3339(self.start + n * self.step), counts));
        Chart {
            id: "over-time",
            title: "Failures by class over time".to_owned(),
            about: format!(
                "Each bar is {}, UTC. The shade behind and the strip below the bars show when legal holds were synchronising{}.",
                span(self.step),
                match self.syncing.len() {
                    0 => ": none on record".to_owned(),
                    all if all > WINDOWS => format!("; the first {WINDOWS} of {all} such times are drawn"),
                    _ => String::new(),
                }
            ),
            height: number(TALL + 36.0),
            bands: bands.collect(),
            bars,
            labels,
            heads: heads("From"),
            rows: rows.collect(),
        }
    }

    /// Places up to the end of the last synchronising, no further than twice what failures need.
    fn last_synced(&self) -> i64 {
        let last = self.syncing.last().map_or(0, |(_, to)| (to - self.start).div_euclid(self.step));
        last.clamp(0, 2 * BARS)
    }

    fn lag(&self) -> Option<Chart> {
        let cells: Vec<(&str, usize, f64, usize)> = self
            .lags
            .lags
            .iter()
            .filter_map(|lag| {
                let longest = lag.spread.longest.as_ref()?;
                Some((
                    lag.region.as_deref().unwrap_or("(region unknown)"),
                    lag.hour?,
                    longest.seconds,
                    lag.spread.count,
                ))
            })
            .collect();
        let most = cells.iter().map(|(.., seconds, _)| *seconds).fold(0.0, f64::max);
        let mut regions: Vec<&str> = cells.iter().map(|(region, ..)| *region).collect();
        regions.dedup();
        regions.truncate(REGIONS);
        let tall = 70.0;
        let (mut bars, mut labels) = (Vec::new(), Vec::new());
        let wide = (WIDTH - LEFT) / 24.0;
        for (line, region) in (0_u32..).zip(&regions) {
            let bottom = f64::from(line + 1) * (tall + 18.0);
            labels.push(label(4.0, bottom - tall - 4.0, format!("{region}, up to {most:.0} s")));
            for (_, hour, seconds, seen) in cells.iter().filter(|(of, ..)| of == region) {
                let height = if most > 0.0 { seconds / most * (tall - 16.0) } else { 0.0 };
                let at = LEFT + float(i64::try_from(*hour).unwrap_or(0)) * wide;
                labels.push(label(at + 2.0, bottom - height - 3.0, format!("{seconds:.0} s")));
                bars.push(Bar {
                    x: number(at + 1.0),
                    y: number(bottom - height),
                    width: number(wide - 2.0),
                    height: number(height.max(1.0)),
                    class: "",
                    says: format!(
                        "{region}, {hour:02} h: longest {seconds:.1} s of {}",
                        count(*seen as u64, "hold", "holds")
                    ),
                });
            }
        }
        let height = float(i64::try_from(regions.len()).unwrap_or(0)) * (tall + 18.0) + 18.0;
        for hour in (0..24).step_by(6) {
            labels.push(label(LEFT + float(hour) * wide, height - 4.0, format!("{hour:02}:00")));
        }
        let rows = cells.iter().map(|(region, hour, seconds, seen)| {
            vec![(*region).to_owned(), format!("{hour:02}"), format!("{seconds:.1}"), seen.to_string()]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        (!rows.is_empty()).then(|| Chart {
            id: "lag",
            title: "How long holds took to synchronise, by region and hour of the day".to_owned(),
            about: "The longest time from placing to synchronising, by the hour (UTC) in which the hold was placed."
                .to_owned(),
            height: number(height),
            bands: Vec::new(),
            bars,
            labels,
            heads: ["Region", "Hour (UTC)", "Longest, seconds", "Holds"].map(str::to_owned).into(),
            rows,
        })
    }

    fn causes(id: &'static str, heading: &str, counts: &BTreeMap<String, ByClass>) -> Chart {
        let mut all: Vec<(&String, &ByClass)> = counts.iter().collect();
        all.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.iter().sum::<u64>()), *name));
        let most = all.first().map_or(1, |(_, counts)| counts.iter().sum::<u64>()).max(1);
        let (mut bars, mut labels) = (Vec::new(), Vec::new());
        let (text, thick) = (300.0, 26.0);
        for (line, (name, counts)) in (0_u32..).zip(all.iter().take(NAMED)) {
            let top = f64::from(line) * thick + 4.0;
            labels.push(label(4.0, top + 15.0, cut(name)));
            let mut x = text;
            for (class, found) in Class::ALL.into_iter().zip(*counts).filter(|(_, found)| **found > 0) {
                let width = amount(*found) / amount(most) * (WIDTH - text - 60.0);
                let says = format!("{name}, {}: {}", title(class), count(*found, "failure", "failures"));
                let (x_text, width_text) = (number(x), number((width - 1.0).max(1.0)));
                let (y, height) = (number(top), number(thick - 6.0));
                bars.push(Bar { x: x_text, y, width: width_text, height, class: class.name(), says });
                x += width;
            }
            labels.push(label(x + 6.0, top + 15.0, counts.iter().sum::<u64>().to_string()));
        }
        let more = all.len().saturating_sub(NAMED);
        let rows = all.iter().take(100).map(|(name, counts)| row((*name).clone(), counts));
        Chart {
            id,
            title: heading.to_owned(),
            about: if more > 0 {
                format!("Those with the most failures; {more} more are left out.")
            } else {
                String::new()
            },
            height: number(float(i64::try_from(all.len().min(NAMED)).unwrap_or(0)) * thick + 8.0),
            bands: Vec::new(),
            bars,
            labels,
            heads: heads("Name"),
            rows: rows.collect(),
        }
    }
}

fn label(x: f64, y: f64, text: String) -> Label {
    Label { x: number(x), y: number(y), text }
}

fn heads(first: &str) -> Vec<String> {
    std::iter::once(first).chain(Class::ALL.map(title)).map(str::to_owned).collect()
}

fn row(first: String, counts: &ByClass) -> Vec<String> {
    std::iter::once(first).chain(counts.iter().map(u64::to_string)).collect()
}

/// The end of a name tells most: names of roles and buckets begin alike.
fn cut(name: &str) -> String {
    let length = name.chars().count();
    if length <= 40 { name.to_owned() } else { format!("…{}", name.chars().skip(length - 39).collect::<String>()) }
}

fn span(step: i64) -> String {
    let (days, hours, minutes) = (step / (24 * HOUR), step / HOUR, step / (60 * SECOND));
    match (days, hours) {
        (1.., _) => count(days.cast_unsigned(), "day", "days"),
        (0, 1..) => count(hours.cast_unsigned(), "hour", "hours"),
        _ => count(minutes.max(1).cast_unsigned(), "minute", "minutes"),
    }
}
