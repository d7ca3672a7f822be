//! What an adapter is: the reader of one source's records.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::event::{Event, Outcome, Text};
use super::facts::{Change, ChangeKind, Document, DocumentKind};
use super::redact::redact;
use super::time::{AssumedZone, Instant, epoch};
use crate::evidence::{Digest, Locator, Sample};

/// The reader of one source's records. Adding one is a file with an implementation and a line in [`super::ADAPTERS`].
pub trait Adapter: Sync {
    /// The name in the `source` column and the manifest.
    fn name(&self) -> &'static str;

    /// Whether the first records (or the header of a table) look like this source.
    fn recognises(&self, sample: &Sample) -> bool;

    /// Whether its records are plain text, which readers of JSON would call broken.
    fn reads_text(&self) -> bool {
        false
    }

    /// Whether records like these leave out what the page says that they stand on; then [`Self::note_page`] is told of it.
    fn has_pages(&self, _sample: &Sample) -> bool {
        false
    }

    /// Finds the ids that pages state for all their records, in a piece of the file.
    fn note_page(&self, _piece: &[u8], _found: &mut BTreeSet<String>) {}

    /// Reads one record into `sink`.
    ///
    /// # Errors
    /// [`Refusal::NotMine`] where another adapter should try, [`Refusal::Broken`] with the reason otherwise.
    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal>;
}

/// One record as an adapter gets it.
pub struct Record<'a> {
    pub bytes: &'a [u8],
    pub text: &'a str,
    pub at: Locator,
    /// Folded column names where the record is a CSV row, else empty.
    pub table: Option<&'a Table>,
    /// What the page says that the record stands on, where all pages of the file say the same.
    pub page: Option<&'a str>,
}

/// The header of a CSV file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub delimiter: u8,
    pub header: Vec<String>,
}

/// Why a record was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is readable, but of another source.
    NotMine,
    /// It is not what it should be.
    Broken(String),
}

impl Refusal {
    /// A refusal for bytes that are not JSON, with the place inside the record.
    #[must_use]
    pub fn not_json(error: &serde_json::Error) -> Self {
        let said = error.to_string();
        Self::Broken(match said.strip_prefix("recursion limit exceeded") {
            Some(place) => format!("nested more than 128 levels deep, which is not read{place}"),
            None => format!("not JSON: {said}"),
        })
    }
}

/// What gathers events: all their columns, or only what one pass over an archive must remember of each.
pub trait Collect {
    /// Takes one event of `source`. `fingerprint` is a keyed hash of its raw bytes, only ever compared for equality.
    fn event(&mut self, source: &'static str, event: &Event<'_>, at: Locator, fingerprint: u64, sha256: Option<Digest>);

    /// How many events it has.
    fn gathered(&self) -> usize;
}

/// What records say besides being events.
#[derive(Default)]
pub struct Facts {
    pub changes: Vec<Change>,
    pub documents: Vec<Document>,
}

/// Counts for the file's ledger entry.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub parsed: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub zoneless: u64,
    pub implausible: u64,
    pub redacted: u64,
}

/// Where an adapter puts what it reads.
pub struct Sink<'a> {
    pub(super) events: &'a mut dyn Collect,
    pub(super) facts: &'a mut Facts,
    pub(super) tally: &'a mut Tally,
    pub(super) zone: AssumedZone,
    pub(super) fingerprint: u64,
    /// The record's bytes.
    pub(super) bytes: &'a [u8],
    /// Its SHA-256, where every event is hashed, not only changes and documents, which are few and often cited.
    pub(super) sha256: Option<Digest>,
    pub(super) source: &'static str,
}

impl Sink<'_> {
    /// Reads a time written as text.
    ///
    /// # Errors
    /// The text is no time.
    pub fn time(&mut self, text: &str) -> Result<Option<i64>, Refusal> {
        match self.zone.read(text) {
            Some(instant) => Ok(self.count(instant)),
            None => Err(not_a_time(text)),
        }
    }

    /// Reads an epoch time.
    ///
    /// # Errors
    /// The number is too large for any unit.
    pub fn epoch(&mut self, number: f64) -> Result<Option<i64>, Refusal> {
        epoch(number).map(|instant| self.count(instant)).ok_or_else(|| not_a_time(&number.to_string()))
    }

    /// Takes in a time that the adapter read itself.
    pub fn count(&mut self, instant: Instant) -> Option<i64> {
        self.tally.zoneless += u64::from(instant.zoneless);
        self.tally.implausible += u64::from(instant.micros.is_none());
        if let Some(time) = instant.micros {
            self.tally.first = Some(self.tally.first.map_or(time, |t| t.min(time)));
            self.tally.last = Some(self.tally.last.map_or(time, |t| t.max(time)));
        }
        instant.micros
    }

    /// Text with secrets blanked.
    pub fn clean<'t>(&mut self, text: Cow<'t, str>) -> Cow<'t, str> {
        let (clean, found) = redact(text);
        self.tally.redacted += found;
        clean
    }

    /// Counts secrets blanked by the adapter itself.
    pub fn count_redacted(&mut self, found: u64) {
        self.tally.redacted += found;
    }

    /// Adds an event.
    pub fn event(&mut self, event: &Event<'_>, at: Locator) {
        self.events.event(self.source, event, at, self.fingerprint, self.sha256);
    }

    fn digest(&self) -> Digest {
        self.sha256.unwrap_or_else(|| Digest::of(self.bytes))
    }

    /// Adds a change that took effect; without a time it cannot be placed before or after anything and is left out.
    pub fn change(
        &mut self,
        kind: ChangeKind,
        time: Option<i64>,
        subject: impl Into<String>,
        at: Locator,
    ) -> Option<&mut Change> {
        let time = time?;
        let mut change = Change::new(kind, time, subject.into(), self.source, at);
        change.sha256 = Some(self.digest());
        self.facts.changes.push(change);
        self.facts.changes.last_mut()
    }

    /// Adds a document of state: a policy, a client, a role.
    pub fn document(&mut self, kind: DocumentKind, subjects: Vec<String>, time: Option<i64>, body: Value, at: Locator) {
        let sha256 = Some(self.digest());
        self.facts.documents.push(Document {
            kind,
            subjects: subjects.into(),
            time,
            body: body.into(),
            source: self.source,
            at,
            sha256,
        });
    }
}

fn not_a_time(text: &str) -> Refusal {
    let shown: String = text.chars().take(40).collect();
    Refusal::Broken(format!("`{shown}` is no time; expected RFC 3339 or epoch seconds, milliseconds or microseconds"))
}

/// Fills in what an object key says (`.../conversation_id=<id>/<recording id>.<extension>`, the layout Genesys Cloud
/// documents for exports) where the record does not say it itself.
pub fn read_object_key(event: &mut Event<'_>) {
    if event.get(Text::ConversationId).is_some() && event.get(Text::RecordingId).is_some() {
        return;
    }
    let Some(key) = event.get(Text::ObjectKey).map(str::to_owned) else { return };
    let Some((_, rest)) = key.split_once("conversation_id=") else { return };
    let (conversation, file) = rest.split_once('/').unwrap_or((rest, ""));
    if event.get(Text::ConversationId).is_none() {
        event.set(Text::ConversationId, Some(conversation.to_owned()));
    }
    if event.get(Text::RecordingId).is_none() {
        let name = file.rsplit('/').next().unwrap_or("");
        event.set(Text::RecordingId, name.split('.').next().map(str::to_owned));
    }
}

/// Fills in the role or key that an AWS refusal names only in its message.
pub fn read_message_arns(event: &mut Event<'_>) {
    let Some(message) = event.get(Text::ErrorMessage).filter(|m| m.contains("arn:aws")) else { return };
    let words = message.split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | ';' | '(' | ')'));
    let arns: Vec<String> =
        words.map(|w| w.trim_end_matches('.')).filter(|w| w.starts_with("arn:aws")).map(str::to_owned).collect();
    let role = arns.iter().find(|arn| arn.contains(":iam:") && arn.contains(":role/"));
    let key = arns.iter().find(|arn| arn.contains(":kms:") && arn.contains(":key/"));
    for (column, arn) in [(Text::RoleArn, role), (Text::KeyArn, key)] {
        if event.get(column).is_none() {
            event.set(column, arn.cloned());
        }
    }
}

/// An outcome from a vendor's status word, unknown where there is none.
#[must_use]
pub fn outcome_or_unknown(word: Option<&str>) -> Outcome {
    word.and_then(super::status::outcome_of).unwrap_or_default()
}
