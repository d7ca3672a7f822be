//! The timeline for people: a line of time, with attempts marked, what changed between them, and gaps drawn.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, Offset as _, Utc};

use super::terminal::{BAD, CHANGED, FAINT, GOOD, ID, Look, STRONG, lines, name, word};
use super::{Gap, Timeline, TimelineEntry};
use crate::ingest::AssumedZone;

/// From here on, microseconds, a time in which nothing is on record is drawn as a gap.
const GAP: i64 = 60_000_000;
/// The beginning of a shared id that is shown: enough to see that it is the same.
const SHOWN_ID: usize = 12;
const SOURCE_WIDTH: usize = 13;
/// From this width on entries say where their records lie.
const WIDE: u16 = 120;

/// Renders the timeline, with the times of `zone` beside those of UTC.
#[must_use]
pub fn render(timeline: &Timeline, look: Look, zone: Option<AssumedZone>) -> String {
    let clock = Clock::new(timeline, zone);
    let mut page = Page { look, clock, text: Vec::new(), seen: Seen::default() };
    page.head(timeline);
    let mut gaps = timeline.gaps.iter().peekable();
    let mut last: Option<i64> = None;
    let mut day: Option<NaiveDate> = None;
    for entry in &timeline.entries {
        while let Some(gap) = gaps.next_if(|gap| gap.from <= entry.time) {
            page.missing(gap);
        }
        let time = entry.micros.and_then(DateTime::from_timestamp_micros);
        if let Some(silence) = last.zip(entry.micros).map(|(before, now)| now - before).filter(|micros| *micros >= GAP)
        {
            page.silence(silence);
        }
        if time.is_some_and(|time| Some(time.date_naive()) != day) {
            day = time.map(|time| time.date_naive());
            page.day(day);
        }
        last = entry.micros.or(last);
        page.entry(entry, time);
    }
    gaps.for_each(|gap| page.missing(gap));
    page.foot(timeline);
    let lines: Vec<&str> = page.text.iter().map(|line| line.trim_end()).collect();
    lines.join("\n") + "\n"
}

/// How times are written: UTC, and beside it the time of another zone.
struct Clock {
    zone: Option<AssumedZone>,
    utc_width: usize,
    local_width: usize,
}

impl Clock {
    fn new(timeline: &Timeline, zone: Option<AssumedZone>) -> Self {
        let mut clock = Self { zone, utc_width: 3, local_width: 0 };
        for time in timeline.entries.iter().filter_map(|e| DateTime::from_timestamp_micros(e.micros?)) {
            clock.utc_width = clock.utc_width.max(utc(time).len());
            clock.local_width = clock.local_width.max(clock.local(time).len());
        }
        clock
    }

    /// The columns that the times take up, with the spaces behind them.
    fn width(&self) -> usize {
        self.utc_width + 2 + if self.zone.is_some() { self.local_width + 2 } else { 0 }
    }

    fn local(&self, time: DateTime<Utc>) -> String {
        let Some(zone) = self.zone else { return String::new() };
        let local: DateTime<FixedOffset> = match zone {
            AssumedZone::Named(zone) => time.with_timezone(&time.with_timezone(&zone).offset().fix()),
            AssumedZone::Offset(offset) => time.with_timezone(&offset),
        };
        let day = match (local.date_naive() - time.date_naive()).num_days() {
            0 => "",
            days if days > 0 => " +1d",
            _ => " -1d",
        };
        format!("{}{day}", local.format("%H:%M:%S%:z"))
    }
}

/// The time of the day, with as many digits of the second as it has.
fn utc(time: DateTime<Utc>) -> String {
    time.format("%H:%M:%S%.f").to_string()
}

/// The last attempt of each failure, and what changed since.
#[derive(Default)]
struct Seen {
    attempts: BTreeMap<String, (usize, i64)>,
    changes: Vec<(i64, String)>,
}

struct Page {
    look: Look,
    clock: Clock,
    text: Vec<String>,
    seen: Seen,
}

impl Page {
    fn head(&mut self, timeline: &Timeline) {
        let count = |mark| timeline.entries.iter().filter(|e| e.mark == Some(mark)).count();
        let mut sources: Vec<&str> = timeline.entries.iter().map(|e| e.source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        self.text.push(self.look.paint(STRONG, &format!("Job {}", name(&timeline.job_id))));
        let (failing, recovered) = (count("failing_attempt"), count("recovery"));
        let changes = timeline.entries.iter().filter(|e| e.change.is_some()).count();
        let counts = format!(
            "{} records of {}; failing attempts: {failing}, recoveries: {recovered}, changes: {changes}",
            timeline.entries.len(),
            sources.join(", ")
        );
        self.text.extend(lines(&counts, self.width()));
        if timeline.left_out > 0 {
            let note = format!("{} records further away are left out (--around)", timeline.left_out);
            self.text.push(self.look.paint(FAINT, &note));
        }
        let look = self.look;
        let legend = [
            (BAD, "\u{2717}", "failing attempt"),
            (BAD, "x", "the same attempt in another source"),
            (GOOD, "\u{2713}", "recovery"),
            (CHANGED, "\u{25c6}", "change"),
        ];
        let legend = legend.map(|(style, mark, what)| format!("{} {what}", look.paint(style, mark)));
        self.text.push(legend.join("   "));
    }

    fn width(&self) -> usize {
        usize::from(self.look.width)
    }

    /// A new day, with the names of the zones over the times.
    fn day(&mut self, day: Option<NaiveDate>) {
        let Some(day) = day else { return };
        let local = self.clock.zone.map(|zone| format!(" and {zone}")).unwrap_or_default();
        let title = format!("\u{2500}\u{2500} {} UTC{local} ", day.format("%A %Y-%m-%d"));
        let rule = "\u{2500}".repeat(self.width().saturating_sub(title.chars().count()));
        self.text.push(String::new());
        self.text.push(self.look.paint(STRONG, &format!("{title}{rule}")));
    }

    /// A time in which nothing about the job is on record.
    fn silence(&mut self, micros: i64) {
        let dots = "\u{250a}".to_owned();
        let line = format!("{:>1$}  nothing on record for {2}", dots, self.clock.width() + 1, span(micros));
        self.text.push(self.look.paint(FAINT, &line));
    }

    /// Records that the evidence lacks.
    fn missing(&mut self, gap: &Gap) {
        let word = if gap.possible { "PERHAPS MISSING" } else { "MISSING" };
        self.hanging(&format!("{word} in {}: {}", gap.source, name(&gap.detail)), Some(CHANGED));
    }

    fn entry(&mut self, entry: &TimelineEntry, time: Option<DateTime<Utc>>) {
        let look = self.look;
        let (style, mark) = match entry.mark {
            Some("failing_attempt") => (Some(BAD), "\u{2717}"),
            Some("same_attempt") => (Some(BAD), "x"),
            Some("recovery") => (Some(GOOD), "\u{2713}"),
            _ if entry.change.is_some() => (Some(CHANGED), "\u{25c6}"),
            _ => (None, "\u{b7}"),
        };
        let marked = |text: &str| style.map_or_else(|| text.to_owned(), |style| look.paint(style, text));
        let status = entry.http_status.map(|s| format!(" {s}")).unwrap_or_default();
        let attempt = entry.attempt.map(|n| format!(", attempt {n}")).unwrap_or_default();
        let done = format!("{}{status}", entry.outcome);
        let what = name(&entry.what);
        let times = self.times(time);
        let source = format!("{:<SOURCE_WIDTH$}", entry.source);
        let room = self.width().saturating_sub(self.clock.width() + 2 + SOURCE_WIDTH + 1);
        let mut line = format!("{times}{} {} ", marked(mark), look.paint(FAINT, &source));
        if what.chars().count() + done.len() + attempt.len() + 2 <= room {
            let _ = write!(line, "{what}  {}{attempt}", marked(&done));
            self.text.push(line);
        } else {
            self.text.push(line + &what);
            self.hanging(&format!("{done}{attempt}"), style);
        }
        let said = [entry.error_code.as_deref(), entry.error_message.as_deref()].into_iter().flatten();
        let said: Vec<String> = said.map(name).collect();
        if !said.is_empty() {
            self.hanging(&said.join(": "), None);
        }
        self.changed(entry);
        self.since(entry);
        self.place(entry);
    }

    fn times(&self, time: Option<DateTime<Utc>>) -> String {
        let clock = &self.clock;
        let written = time.map_or_else(|| "?".to_owned(), utc);
        let mut text = format!("{written:<0$}  ", clock.utc_width);
        if clock.zone.is_some() {
            let local = time.map(|time| clock.local(time)).unwrap_or_default();
            text += &self.look.paint(FAINT, &format!("{local:<0$}  ", clock.local_width));
        }
        text
    }

    fn changed(&mut self, entry: &TimelineEntry) {
        let Some(change) = &entry.change else { return };
        let permissions = change.permissions.iter().map(|p| name(p)).collect::<Vec<_>>().join(", ");
        let of = name(&change.of);
        let what = if permissions.is_empty() {
            format!("{}: {of}", change.kind)
        } else {
            format!("{}: {of}: {permissions}", change.kind)
        };
        self.hanging(&what, Some(CHANGED));
        if let Some(time) = entry.micros {
            self.seen.changes.push((time, change.kind.to_owned()));
        }
    }

    /// How long after the last failing attempt of the same failure, and what changed in between.
    fn since(&mut self, entry: &TimelineEntry) {
        let (Some(failure), Some(now)) = (&entry.failure_id, entry.micros) else { return };
        if entry.mark == Some("same_attempt") {
            return;
        }
        if let Some((number, before)) = self.seen.attempts.get(failure) {
            let within = self.seen.changes.iter().filter(|(time, _)| (*before..=now).contains(time));
            let mut kinds: Vec<&str> = within.map(|(_, kind)| kind.as_str()).collect();
            kinds.dedup();
            let kinds = if kinds.is_empty() { "no change on record".to_owned() } else { kinds.join(", ") };
            let line = format!("{} after failing attempt {number}; in between: {kinds}", span(now - before));
            self.hanging(&line, Some(STRONG));
        }
        if let Some(number) = entry.failing_attempt {
            self.seen.attempts.insert(failure.clone(), (number, now));
        }
    }

    /// Which record it is, where it lies, and by what it is here.
    fn place(&mut self, entry: &TimelineEntry) {
        let id = entry.record_id.as_deref().unwrap_or("");
        let joined = format!("by {}{}", entry.joined_by, shown(entry.joined_id.as_deref()));
        // In few columns the id must do: `show` tells where the record lies.
        let at = if self.look.width < WIDE {
            String::new()
        } else {
            format!("; {} record {} at {}+{}", name(&entry.file), entry.record, entry.offset, entry.length)
        };
        let clock = entry.clock_ahead_seconds;
        let clock = clock.map(|[least, most]| format!("; clock {least} to {most} s ahead")).unwrap_or_default();
        self.hanging(&format!("{id}  {joined}{clock}{at}"), Some(ID));
    }

    /// Lines below an entry, under its mark.
    fn hanging(&mut self, text: &str, style: Option<anstyle::Style>) {
        let indent = self.clock.width() + 2;
        for line in lines(text, self.width().saturating_sub(indent)) {
            let line = style.map_or_else(|| line.clone(), |style| self.look.paint(style, &line));
            self.text.push(format!("{:indent$}{line}", ""));
        }
    }

    fn foot(&mut self, timeline: &Timeline) {
        let first = timeline.entries.iter().find(|e| e.mark.is_some()).or(timeline.entries.first());
        let id = first.and_then(|e| e.record_id.as_deref()).unwrap_or("ev:...");
        let job = word(&timeline.job_id, "ID");
        self.text.push(String::new());
        self.text.push(self.look.paint(STRONG, "Next:"));
        self.text.push("  the bytes of a record, and where it lies:".to_owned());
        self.text.push(format!("    holdtrace show {id} PATH..."));
        self.text.push("  why it failed:".to_owned());
        self.text.push(format!("    holdtrace explain --job {job} PATH..."));
    }
}

/// A length of time, in words that are read at a glance.
fn span(micros: i64) -> String {
    let micros = micros.unsigned_abs();
    // Parts of a second say nothing about minutes.
    let micros = if micros >= 10_000_000 { micros - micros % 1_000_000 } else { micros - micros % 1000 };
    humantime::format_duration(Duration::from_micros(micros)).to_string()
}

fn shown(id: Option<&str>) -> String {
    let Some(id) = id else { return String::new() };
    let start: String = id.chars().take(SHOWN_ID).collect();
    let more = if id.chars().nth(SHOWN_ID).is_some() { "\u{2026}" } else { "" };
    format!(" {}{more}", name(&start))
}
