//! Finding the job's item that a record without a job id is about.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::items::BorrowedKey;
use super::related::Attempt;
use super::table::{EventTable, Row};
use crate::ingest::Text;

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
    /// Indexes the items of jobs, as far as records without a job at `jobless` may be about them.
    #[must_use]
    pub fn new(table: &'a EventTable, items: &BTreeMap<BorrowedKey<'a>, Vec<Attempt>>, jobless: &[Attempt]) -> Self {
        let ids = jobless.iter().flat_map(|attempt| tries(table, attempt.row));
        let asked: Asked<'_> = ids.filter_map(|(id, text)| Some((id, text?))).collect();
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

    /// The item that `row` is about; `None` where no id of its is known, or it stands for something else by the finest
    /// id it names.
    #[must_use]
    pub fn resolve(&self, table: &EventTable, row: Row) -> Option<BorrowedKey<'a>> {
        let candidates = tries(table, row).into_iter().find_map(|(id, text)| self.by_id.get(&(id, text?)))?;
        let time = table.time(row);
        // The same thing may be named by several jobs; among those, and only those, the one at work at the time is meant.
        let nearest = candidates.iter().min_by_key(|item| (distance(self.spans[**item], time), **item))?;
        Some(self.keys[*nearest].clone())
    }
}

/// The ids by which a record without a job may be about an item, the surest first.
fn tries(table: &EventTable, row: Row) -> [(Id, Option<&str>); 7] {
    let text = |column| table.text(column, row);
    let names_object = text(Text::RecordingId).is_some() || text(Text::ObjectKey).is_some();
    [
        (Id::Request, text(Text::RequestId)),
        (Id::Request, text(Text::CorrelationId)),
        (Id::Recording, text(Text::RecordingId)),
        (Id::Object, text(Text::ObjectKey)),
        (Id::Conversation, text(Text::ConversationId).filter(|_| text(Text::RecordingId).is_none())),
        (Id::Session, text(Text::SessionName).filter(|_| !names_object)),
        (Id::Role, text(Text::RoleArn).filter(|_| !names_object)),
    ]
}

fn distance((first, last): (i64, i64), time: Option<i64>) -> i64 {
    time.map_or(0, |time| (first.saturating_sub(time)).max(time.saturating_sub(last)).max(0))
}
