//! The index over all archives: one page that refers to nothing but the pages beside it.

use std::collections::BTreeMap;

use askama::Template;

use super::stored::{Counts, Past};
use crate::classify::Class;
use crate::error::{Error, Result};
use crate::report::table::minute;
use crate::report::terminal::name;

/// Width of the longest bar, and height of one with the space below it, in the units of the drawing.
const BAR: f64 = 560.0;
const ROW: usize = 24;
/// Letters of a name beside a bar.
const LABEL: usize = 34;
/// Bars that are drawn: of more, the latest.
const BARS: usize = 60;

/// How far an archive's report is.
#[derive(Clone, Debug)]
pub enum State {
    /// It is not this one's turn yet.
    Waiting,
    /// It was read in this run.
    Read,
    /// It has not changed, and was not read again.
    Unchanged,
    /// An earlier run read it; this one was not told to look.
    Earlier,
    /// It could not be read: why.
    Failed(String),
}

/// An archive in the index.
#[derive(Clone, Debug)]
pub struct Entry {
    pub archive: String,
    /// The folder of its report.
    pub folder: String,
    pub state: State,
    /// Whether some of its input could not be read.
    pub partial: bool,
    /// None until there is a report.
    pub counts: Option<Counts>,
}

/// What made the reports.
#[derive(Clone, Debug)]
pub struct Made {
    /// Name and version of the program.
    pub tool: String,
    /// Name and version of the rules, and the SHA-256 of their text.
    pub rules: String,
    pub rules_sha256: String,
}

/// All archives.
#[derive(Clone, Debug)]
pub struct Index {
    pub entries: Vec<Entry>,
    /// What to compare with: the end of the last run.
    pub past: Option<Past>,
    /// Whether a comparison was asked for.
    pub compares: bool,
    /// Whether the run is over.
    pub done: bool,
    pub made: Made,
}

#[derive(Template)]
#[template(path = "index.html", config = "src/report/batch/askama.toml")]
struct Page<'a> {
    index: &'a Index,
    sum: Counts,
    classes: [Class; Class::ALL.len()],
    rows: Vec<Row>,
    change: Option<String>,
    waiting: usize,
    failed: usize,
    bars: Vec<Bar>,
    height: usize,
    mechanisms: Vec<Mechanism>,
}

/// An archive in the table.
struct Row {
    name: String,
    from: String,
    to: String,
    folder: String,
    counts: Option<Counts>,
    change: String,
    state: String,
}

/// The failures of an archive, drawn.
struct Bar {
    label: String,
    /// Where the middle of its text is.
    text_y: usize,
    y: usize,
    parts: Vec<Part>,
    total: usize,
    end: String,
}

/// The failures of a class in a bar.
struct Part {
    class: &'static str,
    count: usize,
    x: String,
    width: String,
}

/// Failures by mechanism, over all archives.
struct Mechanism {
    name: String,
    count: usize,
    archives: usize,
    change: String,
}

impl Index {
    /// The figures of all archives together.
    #[must_use]
    pub fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.entries.iter().filter_map(|entry| entry.counts.as_ref()) {
            sum.add(counts);
        }
        sum
    }

    /// How many failures more or fewer than at the end of the last run: of the archives that both have, and of all. Nothing
    /// where no comparison was asked for.
    #[must_use]
    pub fn change(&self) -> Option<String> {
        if !self.compares {
            return None;
        }
        let Some(past) = &self.past else { return Some("no earlier run to compare with".to_owned()) };
        let (mut change, mut new) = (0_i64, 0);
        for entry in &self.entries {
            match (&entry.counts, past.archives.get(&entry.archive)) {
                (Some(now), Some(was)) => change += difference(now.failures, was.failures),
                (Some(_), None) => new += 1,
                (None, _) => {}
            }
        }
        let archives = if new == 0 { String::new() } else { format!(", and {new} archives more") };
        Some(format!("{} failures since the last run{archives}", signed(change)))
    }

    /// The page.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn page(&self) -> Result<String> {
        let classes = Class::ALL;
        let rows = self.entries.iter().map(|entry| self.row(entry)).collect();
        let bars = self.bars();
        let page = Page {
            index: self,
            sum: self.sum(),
            classes,
            rows,
            change: self.change(),
            waiting: self.entries.iter().filter(|e| matches!(e.state, State::Waiting)).count(),
            failed: self.entries.iter().filter(|e| matches!(e.state, State::Failed(_))).count(),
            height: bars.len() * ROW + 4,
            bars,
            mechanisms: self.mechanisms(),
        };
        page.render().map_err(|e| Error::Output(e.to_string()))
    }

    fn was(&self, archive: &str) -> Option<&Counts> {
        self.past.as_ref().filter(|_| self.compares)?.archives.get(archive)
    }

    fn row(&self, entry: &Entry) -> Row {
        let change = match (&entry.counts, self.was(&entry.archive)) {
            (Some(now), Some(was)) => signed(difference(now.failures, was.failures)),
            (Some(_), None) if self.past.is_some() => "new".to_owned(),
            _ => String::new(),
        };
        let partly = if entry.partial { "; some of it could not be read" } else { "" };
        let state = match &entry.state {
            State::Waiting if entry.counts.is_some() => "waiting; this is its last report".to_owned(),
            State::Waiting => "waiting".to_owned(),
            State::Read | State::Unchanged => format!("up to date{partly}"),
            State::Earlier => format!("from an earlier run{partly}"),
            State::Failed(reason) => format!("not read: {}", name(reason)),
        };
        let time =
            |of: fn(&Counts) -> &Option<String>| entry.counts.as_ref().and_then(|c| of(c).as_deref()).map(minute);
        let [from, to] = [time(|c| &c.first_time), time(|c| &c.last_time)].map(Option::unwrap_or_default);
        Row {
            name: name(&entry.archive),
            from,
            to,
            folder: entry.folder.clone(),
            counts: entry.counts.clone(),
            change,
            state,
        }
    }

    fn bars(&self) -> Vec<Bar> {
        let counted: Vec<(&Entry, &Counts)> =
            self.entries.iter().filter_map(|entry| Some((entry, entry.counts.as_ref()?))).collect();
        let latest = &counted[counted.len().saturating_sub(BARS)..];
        let most = latest.iter().map(|(_, counts)| counts.failures).max().unwrap_or(0).max(1);
        latest.iter().enumerate().map(|(n, (entry, counts))| bar(n, entry, counts, most)).collect()
    }

    fn mechanisms(&self) -> Vec<Mechanism> {
        let mut all: BTreeMap<&str, (usize, usize, i64)> = BTreeMap::new();
        for entry in &self.entries {
            let Some(counts) = &entry.counts else { continue };
            let was = self.was(&entry.archive);
            for (mechanism, count) in &counts.by_mechanism {
                let of = all.entry(mechanism).or_default();
                of.0 += count;
                of.1 += 1;
            }
            for mechanism in was.iter().flat_map(|was| was.by_mechanism.keys()).chain(counts.by_mechanism.keys()) {
                all.entry(mechanism).or_default();
            }
            if let Some(was) = was {
                for (mechanism, of) in &mut all {
                    let count = |counts: &Counts| counts.by_mechanism.get(*mechanism).copied().unwrap_or(0);
                    of.2 += difference(count(counts), count(was));
                }
            }
        }
        let mut all: Vec<Mechanism> = all
            .into_iter()
            .map(|(mechanism, (count, archives, change))| Mechanism {
                name: name(mechanism),
                count,
                archives,
                change: signed(change),
            })
            .collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of failures, drawn")]
fn bar(n: usize, entry: &Entry, counts: &Counts, most: usize) -> Bar {
    let length = |count: usize| count as f64 / most as f64 * BAR;
    let (mut x, mut parts) = (0.0, Vec::new());
    for class in Class::ALL {
        let count = counts.by_class.get(class.name()).copied().unwrap_or(0);
        if count > 0 {
            let width = length(count);
            parts.push(Part { class: class.name(), count, x: format!("{x:.1}"), width: format!("{width:.1}") });
            x += width;
        }
    }
    let full = name(&entry.archive);
    let letters = full.chars().count();
    // The end of a path tells archives apart.
    let label = if letters <= LABEL {
        full
    } else {
        format!("\u{2026}{}", full.chars().skip(letters - LABEL + 1).collect::<String>())
    };
    Bar { label, text_y: n * ROW + 15, y: n * ROW + 4, parts, total: counts.failures, end: format!("{:.1}", x + 6.0) }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.records += other.records;
        self.rejected += other.rejected;
        self.gaps += other.gaps;
        self.jobs += other.jobs;
        self.failures += other.failures;
        self.recovered += other.recovered;
        for (all, some) in [(&mut self.by_class, &other.by_class), (&mut self.by_mechanism, &other.by_mechanism)] {
            for (name, count) in some {
                *all.entry(name.clone()).or_default() += count;
            }
        }
        let times = [self.first_time.take(), other.first_time.clone()];
        self.first_time = times.into_iter().flatten().min();
        self.last_time = self.last_time.take().max(other.last_time.clone());
    }

    /// The failures of a class.
    #[must_use]
    pub fn of_class(&self, class: &Class) -> usize {
        self.by_class.get(class.name()).copied().unwrap_or(0)
    }
}

fn difference(now: usize, was: usize) -> i64 {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    count(now) - count(was)
}

fn signed(change: i64) -> String {
    match change {
        0 => "\u{b1}0".to_owned(),
        more if more > 0 => format!("+{more}"),
        fewer => format!("\u{2212}{}", fewer.unsigned_abs()),
    }
}
