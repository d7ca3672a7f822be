//! Finding the job's item that a record without a job id is about.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::items::{BorrowedKey, ItemKey, unit_of};
use super::related::Attempt;
use super::table::{EventTable, Row};
use crate::ingest::Text;

/// By what a record belongs to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// It names the job.
    Job,
    Request,
    Correlation,
    Recording,
    Object,
    Conversation,
    /// Its session is named after the job.
    Session,
    Role,
    /// It was called with a key that was issued to the job.
    IssuedKey,
    /// Without a job, the item is what the record names.
    Itself,
}

impl By {
    /// The name used in timelines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Job => "job_id",
            Self::Request => "request_id",
            Self::Correlation => "correlation_id",
            Self::Recording => "recording_id",
            Self::Object => "object_key",
            Self::Conversation => "conversation_id",
            Self::Session => "session_name",
            Self::Role => "role_arn",
            Self::IssuedKey => "issued_credential",
            Self::Itself => "itself",
        }
    }

    /// The column of the record that holds the id.
    #[must_use]
    pub const fn column(self) -> Option<Text> {
        Some(match self {
            Self::Job => Text::JobId,
            Self::Request => Text::RequestId,
            Self::Correlation => Text::CorrelationId,
            Self::Recording => Text::RecordingId,
            Self::Object => Text::ObjectKey,
            Self::Conversation => Text::ConversationId,
            Self::Session => Text::SessionName,
            Self::Role => Text::RoleArn,
            Self::IssuedKey => Text::Credential,
            Self::Itself => return None,
        })
    }
}

/// The items of jobs by the ids their records name.
pub struct Links<'a> {
    keys: Vec<BorrowedKey<'a>>,
    spans: Vec<(i64, i64)>,
    by_id: HashMap<(Id, &'a str), Vec<usize>, foldhash::fast::RandomState>,
}

/// Kinds of id, in the order in which they are tried: the more exactly an id names one item, the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Id {
    Request,
    Recording,
    Object,
    Conversation,
    /// The exporter's session is named after the job.
    Session,
    Role,
}

/// What is to be found: the ids that records without a job name.
type Asked<'a> = HashSet<(Id, &'a str), foldhash::fast::RandomState>;

impl<'a> Links<'a> {
    /// Indexes the items of jobs, as far as records without a job at `jobless` may be about them; `jobs` are those that keys
    /// were issued to.
    #[must_use]
    pub fn new(
        table: &'a EventTable,
        items: &BTreeMap<BorrowedKey<'a>, Vec<Attempt>>,
        jobless: &[(Attempt, Option<&'a str>)],
    ) -> Self {
        let ids = jobless.iter().flat_map(|(attempt, _)| tries(table, attempt.row));
        let mut asked: Asked<'_> = ids.filter_map(|(id, text, _)| Some((id, text?))).collect();
        asked.extend(jobless.iter().filter_map(|(_, job)| Some((Id::Session, (*job)?))));
        let mut links = Self { keys: Vec::new(), spans: Vec::new(), by_id: HashMap::default() };
        for (number, (key, attempts)) in items.iter().enumerate() {
            let times = attempts.iter().filter_map(|a| table.time(a.row));
            links.spans.push(times.fold((i64::MAX, i64::MIN), |(a, b), t| (a.min(t), b.max(t))));
            links.keys.push(key.clone());
            for attempt in attempts {
                links.index(table, attempt, number, &asked);
            }
        }
        links
    }

    fn index(&mut self, table: &'a EventTable, attempt: &Attempt, item: usize, asked: &Asked<'_>) {
        let ids = [
            (Id::Request, Text::RequestId),
            (Id::Request, Text::CorrelationId),
            (Id::Recording, Text::RecordingId),
            (Id::Object, Text::ObjectKey),
            (Id::Conversation, Text::ConversationId),
            (Id::Session, Text::JobId),
            (Id::Role, Text::RoleArn),
        ];
        for (id, column) in ids {
            // A job's items are many; a session or role is taken to be about those that failed.
            if matches!(id, Id::Session | Id::Role) && !attempt.failing {
                continue;
            }
            if let Some(text) = table.text(column, attempt.row).filter(|text| asked.contains(&(id, *text))) {
                let items = self.by_id.entry((id, text)).or_default();
                if items.last() != Some(&item) {
                    items.push(item);
                }
            }
        }
    }

    /// The item that `row` is about, and by which id; `job` is the one that its key was issued to. `None` where no id of its
    /// is known, or it stands for something else by the finest id it names.
    #[must_use]
    pub fn resolve(&self, table: &'a EventTable, row: Row, job: Option<&'a str>) -> Option<(BorrowedKey<'a>, By)> {
        let Some((items, by)) = self.named(table, row, job) else {
            return job.map(|job| (self.of_job(table, row, job), By::IssuedKey));
        };
        // The same thing may be named by several jobs; among those, and only those, the one at work at the time is meant.
        Some((self.nearest(table, row, &items)?, by))
    }

    /// The items that the finest known id of a row leads to; where these are several, those to which its other ids lead too.
    fn named(&self, table: &EventTable, row: Row, job: Option<&str>) -> Option<(Vec<usize>, By)> {
        let of_job = |item: &usize| job.is_none_or(|job| self.keys[*item].job.as_deref() == Some(job));
        let mut found: Option<(Vec<usize>, By)> = None;
        for (id, text, by) in tries(table, row) {
            let Some(items) = text.and_then(|text| self.by_id.get(&(id, text))) else { continue };
            match &mut found {
                Some((held, _)) if held.len() > 1 => {
                    let narrower: Vec<usize> = held.iter().copied().filter(|item| items.contains(item)).collect();
                    if !narrower.is_empty() {
                        *held = narrower;
                    }
                }
                Some(_) => break,
                None => {
                    let own: Vec<usize> = items.iter().copied().filter(of_job).collect();
                    // A request is one whoever made it; a thing may be exported by several jobs.
                    match (own.is_empty(), id) {
                        (false, _) => found = Some((own, by)),
                        (true, Id::Request) => found = Some((items.clone(), by)),
                        (true, _) => {}
                    }
                }
            }
        }
        found
    }

    /// What a call with a key that was issued to `job` is about: what it names, else what failed in the job.
    fn of_job(&self, table: &'a EventTable, row: Row, job: &'a str) -> BorrowedKey<'a> {
        let owned = |unit| ItemKey { job: Some(Cow::Borrowed(job)), unit, caller: None };
        let named = unit_of(table, row).map(owned);
        let failed = || self.nearest(table, row, self.by_id.get(&(Id::Session, job))?);
        named.or_else(failed).unwrap_or_else(|| owned(super::items::Unit::Job))
    }

    fn nearest(&self, table: &EventTable, row: Row, items: &[usize]) -> Option<BorrowedKey<'a>> {
        let time = table.time(row);
        let nearest = items.iter().min_by_key(|item| (distance(self.spans[**item], time), **item))?;
        Some(self.keys[*nearest].clone())
    }
}

/// The ids by which a record without a job may be about an item, the surest first.
fn tries(table: &EventTable, row: Row) -> [(Id, Option<&str>, By); 7] {
    let text = |column| table.text(column, row);
    let names_object = text(Text::RecordingId).is_some() || text(Text::ObjectKey).is_some();
    [
        (Id::Request, text(Text::RequestId), By::Request),
        (Id::Request, text(Text::CorrelationId), By::Correlation),
        (Id::Recording, text(Text::RecordingId), By::Recording),
        (Id::Object, text(Text::ObjectKey), By::Object),
        (Id::Conversation, text(Text::ConversationId).filter(|_| text(Text::RecordingId).is_none()), By::Conversation),
        (Id::Session, text(Text::SessionName).filter(|_| !names_object), By::Session),
        (Id::Role, text(Text::RoleArn).filter(|_| !names_object), By::Role),
    ]
}

fn distance((first, last): (i64, i64), time: Option<i64>) -> i64 {
    time.map_or(0, |time| (first.saturating_sub(time)).max(time.saturating_sub(last)).max(0))
}
