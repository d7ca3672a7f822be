//! Items: the finest things an export names, with every attempt at them from every source.

use std::collections::{BTreeMap, BTreeSet};

use super::links::Links;
use super::related::{Attempt, Related};
use super::table::{EventTable, Row};
use crate::ingest::Text;

/// What an item is. Ordered as the finest is preferred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    Recording(String),
    Conversation(String),
    Object(String),
    Role(String),
    Key(String),
    Bucket(String),
    /// The job itself: its records name nothing finer.
    Job,
}

/// An item of a job, or one that stands by itself; then `caller` keeps apart what different callers tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    pub job: Option<String>,
    pub unit: Unit,
    pub caller: Option<String>,
}

/// An item with its attempts, in order of time; at the same instant the failing come first, because sources that count
/// whole seconds do not say more.
pub struct Item {
    pub key: ItemKey,
    pub attempts: Vec<Attempt>,
}

/// Groups the related attempts into items and keeps those that failed at least once.
#[must_use]
pub fn group(table: &EventTable, related: &Related) -> Vec<Item> {
    let (owned, jobless): (Vec<Attempt>, Vec<Attempt>) =
        related.attempts.iter().partition(|attempt| table.text(Text::JobId, attempt.row).is_some());
    let recordings = recordings_by_conversation(table, &owned);
    let mut items: BTreeMap<ItemKey, Vec<Attempt>> = BTreeMap::new();
    for attempt in &owned {
        items.entry(owned_key(table, attempt.row, &recordings)).or_default().push(*attempt);
    }
    let links = Links::new(table, &items);
    for attempt in jobless {
        let key = links.resolve(table, attempt.row).unwrap_or_else(|| lone_key(table, attempt.row));
        items.entry(key).or_default().push(attempt);
    }
    let failed = items.into_iter().filter(|(_, attempts)| attempts.iter().any(|a| a.failing));
    failed
        .map(|(key, mut attempts)| {
            attempts
                .sort_by_key(|a| (table.time(a.row).is_none(), table.time(a.row), !a.failing, table.locator(a.row)));
            Item { key, attempts }
        })
        .collect()
}

type Recordings = BTreeMap<(String, String), BTreeSet<String>>;

fn recordings_by_conversation(table: &EventTable, attempts: &[Attempt]) -> Recordings {
    let mut found = Recordings::new();
    for attempt in attempts {
        let text = |column| table.text(column, attempt.row).map(str::to_owned);
        if let (Some(job), Some(conversation), Some(recording)) =
            (text(Text::JobId), text(Text::ConversationId), text(Text::RecordingId))
        {
            found.entry((job, conversation)).or_default().insert(recording);
        }
    }
    found
}

fn owned_key(table: &EventTable, row: Row, recordings: &Recordings) -> ItemKey {
    let text = |column| table.text(column, row).map(str::to_owned);
    let job = text(Text::JobId);
    // A record that names only the conversation is of its recording, where the job has just one of that conversation.
    let only_recording = || {
        let of = recordings.get(&(job.clone()?, text(Text::ConversationId)?))?;
        if of.len() == 1 { of.first().cloned() } else { None }
    };
    let unit = text(Text::RecordingId)
        .or_else(only_recording)
        .map(Unit::Recording)
        .or_else(|| text(Text::ConversationId).map(Unit::Conversation))
        .or_else(|| text(Text::ObjectKey).map(Unit::Object))
        .unwrap_or(Unit::Job);
    ItemKey { job, unit, caller: None }
}

fn lone_key(table: &EventTable, row: Row) -> ItemKey {
    let text = |column| table.text(column, row).map(str::to_owned);
    let unit = text(Text::ObjectKey)
        .map(|key| Unit::Object(format!("{}/{key}", text(Text::Bucket).unwrap_or_default())))
        .or_else(|| text(Text::RecordingId).map(Unit::Recording))
        .or_else(|| text(Text::ConversationId).map(Unit::Conversation))
        .or_else(|| text(Text::RoleArn).map(Unit::Role))
        .or_else(|| text(Text::KeyArn).map(Unit::Key))
        .or_else(|| text(Text::Bucket).map(Unit::Bucket))
        .unwrap_or(Unit::Job);
    ItemKey { job: None, unit, caller: text(Text::Principal) }
}
