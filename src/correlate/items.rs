//! Items: the finest things an export names, with every attempt at them from every source.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::issued::Keys;
use super::links::{By, Links};
use super::outline::Outline;
use super::related::{Attempt, Related};
use super::requests;
use super::table::{EventTable, Row};
use crate::ingest::Text;

/// What an item is. Ordered as the finest is preferred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit<S = String> {
    Recording(S),
    Conversation(S),
    Object(S),
    Role(S),
    Key(S),
    Bucket(S),
    /// The job itself: its records name nothing finer.
    Job,
}

/// An item of a job, or one that stands by itself; then `caller` keeps apart what different callers tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey<S = String> {
    pub job: Option<S>,
    pub unit: Unit<S>,
    pub caller: Option<S>,
}

/// A key that borrows from the table, while attempts are being grouped.
pub type BorrowedKey<'a> = ItemKey<Cow<'a, str>>;

impl BorrowedKey<'_> {
    fn into_owned(self) -> ItemKey {
        let unit = match self.unit {
            Unit::Recording(id) => Unit::Recording(id.into_owned()),
            Unit::Conversation(id) => Unit::Conversation(id.into_owned()),
            Unit::Object(key) => Unit::Object(key.into_owned()),
            Unit::Role(arn) => Unit::Role(arn.into_owned()),
            Unit::Key(arn) => Unit::Key(arn.into_owned()),
            Unit::Bucket(name) => Unit::Bucket(name.into_owned()),
            Unit::Job => Unit::Job,
        };
        ItemKey { job: self.job.map(Cow::into_owned), unit, caller: self.caller.map(Cow::into_owned) }
    }
}

/// An item with its attempts, in order of time; at the same instant the failing come first, because sources that count
/// whole seconds do not say more.
pub struct Item {
    pub key: ItemKey,
    pub attempts: Vec<Attempt>,
}

/// Groups the related attempts into items and keeps those that failed at least once.
#[must_use]
pub fn group(table: &EventTable, related: &Related, outline: &Outline, keys: &Keys) -> Vec<Item> {
    let (owned, jobless): (Vec<Attempt>, Vec<Attempt>) =
        related.attempts.iter().partition(|attempt| table.text(Text::JobId, attempt.row).is_some());
    let recordings = recordings_by_conversation(table, &owned);
    let mut items: BTreeMap<BorrowedKey<'_>, Vec<Attempt>> = BTreeMap::new();
    for attempt in &owned {
        let attempt = Attempt { by: By::Job, ..*attempt };
        items.entry(owned_key(table, attempt.row, &recordings)).or_default().push(attempt);
    }
    let jobless: Vec<(Attempt, Option<&str>)> =
        jobless.into_iter().map(|attempt| (attempt, keys.job(table, outline, attempt.row))).collect();
    let links = Links::new(table, &items, &jobless);
    let mut lone = Vec::new();
    for (attempt, job) in jobless {
        match links.resolve(table, attempt.row, job) {
            Some((key, by)) => items.entry(key).or_default().push(Attempt { by, ..attempt }),
            None => lone.push((attempt, lone_key(table, attempt.row))),
        }
    }
    requests::bring_together(table, &mut lone);
    for (attempt, key) in lone {
        items.entry(key).or_default().push(attempt);
    }
    let failed = items.into_iter().filter(|(_, attempts)| attempts.iter().any(|a| a.failing));
    let failed: Vec<_> = failed.collect();
    failed
        .into_par_iter()
        .map(|(key, mut attempts)| {
            attempts
                .sort_by_key(|a| (table.time(a.row).is_none(), table.time(a.row), !a.failing, table.locator(a.row)));
            Item { key: key.into_owned(), attempts }
        })
        .collect()
}

/// By job and conversation.
type Recordings<'a> = HashMap<(&'a str, &'a str), BTreeSet<&'a str>, foldhash::fast::RandomState>;

fn recordings_by_conversation<'a>(table: &'a EventTable, attempts: &[Attempt]) -> Recordings<'a> {
    let mut found = Recordings::default();
    for attempt in attempts {
        let text = |column| table.text(column, attempt.row);
        if let (Some(job), Some(conversation), Some(recording)) =
            (text(Text::JobId), text(Text::ConversationId), text(Text::RecordingId))
        {
            found.entry((job, conversation)).or_default().insert(recording);
        }
    }
    found
}

fn owned_key<'a>(table: &'a EventTable, row: Row, recordings: &Recordings<'a>) -> BorrowedKey<'a> {
    let text = |column| table.text(column, row).map(Cow::Borrowed);
    let job = table.text(Text::JobId, row);
    // A record that names only the conversation is of its recording, where the job has just one of that conversation.
    let only_recording = || {
        let of = recordings.get(&(job?, table.text(Text::ConversationId, row)?))?;
        if of.len() == 1 { of.first().copied().map(Cow::Borrowed) } else { None }
    };
    let only_recording = if text(Text::RecordingId).is_none() { only_recording().map(Unit::Recording) } else { None };
    let unit = only_recording.or_else(|| unit_of(table, row)).unwrap_or(Unit::Job);
    ItemKey { job: job.map(Cow::Borrowed), unit, caller: None }
}

/// The finest thing of a job that a record names.
pub fn unit_of(table: &EventTable, row: Row) -> Option<Unit<Cow<'_, str>>> {
    let text = |column| table.text(column, row).map(Cow::Borrowed);
    text(Text::RecordingId)
        .map(Unit::Recording)
        .or_else(|| text(Text::ConversationId).map(Unit::Conversation))
        .or_else(|| text(Text::ObjectKey).map(Unit::Object))
}

fn lone_key(table: &EventTable, row: Row) -> BorrowedKey<'_> {
    let text = |column| table.text(column, row).map(Cow::Borrowed);
    let unit = text(Text::ObjectKey)
        .map(|key| Unit::Object(format!("{}/{key}", text(Text::Bucket).unwrap_or_default()).into()))
        .or_else(|| text(Text::RecordingId).map(Unit::Recording))
        .or_else(|| text(Text::ConversationId).map(Unit::Conversation))
        .or_else(|| text(Text::RoleArn).map(Unit::Role))
        .or_else(|| text(Text::KeyArn).map(Unit::Key))
        .or_else(|| text(Text::Bucket).map(Unit::Bucket))
        .unwrap_or(Unit::Job);
    ItemKey { job: None, unit, caller: text(Text::Principal) }
}
