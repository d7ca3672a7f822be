//! What changed since the report before: evidence, failures, verdicts and why.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

use crate::classify::{Cause, Class, Support};
use crate::error::{Error, Result};
use crate::evidence::Digest;
use crate::report::{EvidenceReport, FailureReport, Failures};

/// Flipped verdicts that are kept for people; all are in the file.
const SHOWN: usize = 20;
/// A line of an older report that is longer is none.
const MAX_LINE: u64 = 1 << 28;

/// What changed, as `reports/changes.json` begins and ends; the lists between are written as they are found.
#[derive(Debug, Default, Serialize)]
pub struct Changes {
    /// The number of the entry that announced this act.
    pub act: u64,
    /// The report it is compared with; null where there is none.
    pub since: Option<Since>,
    pub evidence: EvidenceChanges,
    pub counts: Counts,
    /// The first flipped verdicts.
    #[serde(skip)]
    pub flipped: Vec<Flip>,
}

/// A report before.
#[derive(Debug, Serialize)]
pub struct Since {
    /// The act that wrote it.
    pub act: u64,
    /// Of `reports/failures.ndjson`, hex.
    pub sha256: String,
    /// Why it could not be compared with.
    pub not_compared: Option<String>,
}

/// Inputs that came, changed or went.
#[derive(Debug, Default, Serialize)]
pub struct EvidenceChanges {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    /// No longer where they were; what was read of them stays in the case.
    pub gone: Vec<String>,
}

/// How many failures there were, are, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub before: usize,
    pub now: usize,
    pub added: usize,
    pub gone: usize,
    /// With another class or mechanism.
    pub flipped: usize,
    /// With the same verdict, and something else that differs.
    pub reweighed: usize,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub class: Class,
    pub mechanism: Option<String>,
    pub support: Option<Support>,
}

/// A failure whose verdict is another than before.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    pub failure_id: String,
    /// Its id before, if it is another because it is now known to have begun at another time.
    pub was: Option<String>,
    pub job_id: Option<String>,
    pub conversation_id: Option<String>,
    pub recording_id: Option<String>,
    pub object_key: Option<String>,
    pub before: Verdict,
    pub now: Verdict,
    /// The hypotheses whose weight is another.
    pub hypotheses: Vec<Score>,
    /// What speaks now and did not.
    pub evidence_added: Vec<EvidenceReport>,
    /// What spoke and does not any more.
    pub evidence_gone: Vec<EvidenceReport>,
}

/// The weight of a hypothesis, before and now.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    pub class: Cause,
    pub before: f64,
    pub now: f64,
}

impl Flip {
    fn new(before: &FailureReport, now: FailureReport) -> Self {
        let scores = now.hypotheses.iter().filter_map(|hypothesis| {
            let class = hypothesis.class;
            let weight = before.hypotheses.iter().find(|h| h.class == class).map_or(0.0, |h| h.weight);
            let changed = weight.to_bits() != hypothesis.weight.to_bits();
            changed.then_some(Score { class, before: weight, now: hypothesis.weight })
        });
        let without = |these: &[EvidenceReport], others: &[EvidenceReport]| -> Vec<EvidenceReport> {
            these.iter().filter(|one| !others.contains(one)).cloned().collect()
        };
        Self {
            was: (before.failure_id != now.failure_id).then(|| before.failure_id.clone()),
            before: Verdict::of(before),
            now: Verdict::of(&now),
            hypotheses: scores.collect(),
            evidence_added: without(&now.evidence, &before.evidence),
            evidence_gone: without(&before.evidence, &now.evidence),
            failure_id: now.failure_id,
            job_id: now.job_id,
            conversation_id: now.conversation_id,
            recording_id: now.recording_id,
            object_key: now.object_key,
        }
    }
}

impl Verdict {
    fn of(report: &FailureReport) -> Self {
        Self { class: report.class, mechanism: report.mechanism.clone(), support: report.support }
    }

    fn differs(&self, other: &Self) -> bool {
        self.class != other.class || self.mechanism != other.mechanism
    }
}

/// A failure of the report before: where it lies, and what tells it from others.
#[derive(Clone, Copy)]
struct Old {
    offset: u64,
    length: u64,
    line: Digest,
    item: Digest,
}

/// What a failure is of.
fn item(report: &FailureReport) -> Digest {
    let FailureReport { job_id, conversation_id, recording_id, object_key, bucket, principal, .. } = report;
    Digest::of(format!("{:?}", [job_id, conversation_id, recording_id, object_key, bucket, principal]).as_bytes())
}

/// The report before: by the ids of its failures, which stay on the disk.
pub struct Before {
    file: File,
    failures: BTreeMap<String, Old>,
}

impl Before {
    /// Reads a `failures.ndjson`, and its SHA-256 from the same bytes.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn read(path: &Path) -> io::Result<(Self, Digest)> {
        use sha2::Digest as _;
        let mut reader = BufReader::new(File::open(path)?);
        let (mut hasher, mut failures) = (sha2::Sha256::new(), BTreeMap::new());
        let (mut offset, mut line) = (0, Vec::new());
        loop {
            line.clear();
            if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            hasher.update(&line);
            let length = line.len() as u64;
            let report: FailureReport = serde_json::from_slice(&line)?;
            failures.insert(
                report.failure_id.clone(),
                Old { offset, length, line: Digest::of(&line), item: item(&report) },
            );
            offset += length;
        }
        Ok((Self { file: reader.into_inner(), failures }, Digest(hasher.finalize().into())))
    }

    fn report(&mut self, old: Old) -> Result<FailureReport> {
        let mut read = || -> io::Result<FailureReport> {
            self.file.seek(SeekFrom::Start(old.offset))?;
            let mut line = Vec::new();
            (&mut self.file).take(old.length).read_to_end(&mut line)?;
            Ok(serde_json::from_slice(&line)?)
        };
        read().map_err(|e| Error::io(super::REPORT_LINES, "reading the report before", e))
    }
}

impl Changes {
    /// Compares `failures` with those `before` and writes everything.
    ///
    /// # Errors
    /// The reports cannot be read again, or the output not written.
    pub(super) fn write(&mut self, failures: &Failures, before: Option<Before>, out: &mut dyn Write) -> Result<()> {
        let mut list = List { out, first: true };
        list.text("{\n\"format\":\"holdtrace changes\",\n\"format_version\":1")?;
        list.member("act", &self.act)?;
        list.member("since", &self.since)?;
        list.member("evidence", &self.evidence)?;
        self.counts.now = failures.len();
        let Some(mut before) = before else {
            list.text(",\n\"flipped\":[],\n\"added\":[],\n\"gone\":[]")?;
            list.member("counts", &self.counts)?;
            return list.text("\n}\n");
        };
        self.counts.before = before.failures.len();
        list.begin("flipped")?;
        let (added, gone) = self.compare(failures, &mut before, &mut list)?;
        (self.counts.added, self.counts.gone) = (added.len(), gone.len());
        for (name, ids) in [("added", added), ("gone", gone)] {
            list.end()?;
            list.begin(name)?;
            ids.iter().try_for_each(|id| list.add(id))?;
        }
        list.end()?;
        list.member("counts", &self.counts)?;
        list.text("\n}\n")
    }

    /// Writes the flipped verdicts; returns the ids of new failures and of those that are no more.
    fn compare(
        &mut self,
        failures: &Failures,
        before: &mut Before,
        list: &mut List<'_>,
    ) -> Result<(Vec<String>, Vec<String>)> {
        let mut left = before.failures.clone();
        let (mut added, mut others) = (Vec::new(), Vec::new());
        let items: std::collections::BTreeSet<Digest> = left.values().map(|old| old.item).collect();
        for report in failures {
            let report = report?;
            match left.remove(&report.failure_id) {
                Some(old) => self.weigh(old, report, before, list)?,
                None if items.contains(&item(&report)) => others.push(report),
                None => added.push(report.failure_id),
            }
        }
        // What is left of the same thing is the same failure, with another beginning.
        for report in others {
            let item = item(&report);
            let same = left.iter().find(|(_, old)| old.item == item).map(|(id, old)| (id.clone(), *old));
            match same {
                Some((id, old)) => {
                    left.remove(&id);
                    self.weigh(old, report, before, list)?;
                }
                None => added.push(report.failure_id),
            }
        }
        Ok((added, left.into_keys().collect()))
    }

    fn weigh(&mut self, old: Old, now: FailureReport, before: &mut Before, list: &mut List<'_>) -> Result<()> {
        let mut line = serde_json::to_vec(&now).map_err(|e| Error::Output(e.to_string()))?;
        line.push(b'\n');
        if Digest::of(&line) == old.line {
            return Ok(());
        }
        let flip = Flip::new(&before.report(old)?, now);
        if !flip.before.differs(&flip.now) {
            self.counts.reweighed += 1;
            return Ok(());
        }
        self.counts.flipped += 1;
        list.add(&flip)?;
        if self.flipped.len() < SHOWN {
            self.flipped.push(flip);
        }
        Ok(())
    }
}

/// JSON that is written bit by bit.
struct List<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl List<'_> {
    fn text(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(|e| Error::Output(e.to_string()))
    }

    fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut *self.out, value).map_err(|e| Error::Output(e.to_string()))
    }

    fn member(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        self.text(&format!(",\n\"{name}\":"))?;
        self.json(value)
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        self.first = true;
        self.text(&format!(",\n\"{name}\":["))
    }

    fn add(&mut self, value: &impl Serialize) -> Result<()> {
        let first = std::mem::take(&mut self.first);
        self.text(if first { "\n" } else { ",\n" })?;
        self.json(value)
    }

    fn end(&mut self) -> Result<()> {
        self.text("]")
    }
}
