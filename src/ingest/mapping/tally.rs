//! What a mapping makes of a file: how often each field is filled.

use std::collections::BTreeMap;

use crate::evidence::{Digest, Locator};
use crate::ingest::adapter::Collect;
use crate::ingest::event::{Event, Outcome, TEXT_COLUMNS, Text};

/// Counts of the fields of events.
#[derive(Clone, Debug, Default)]
pub struct Filled {
    pub events: usize,
    /// By the name of the field.
    pub fields: BTreeMap<&'static str, usize>,
    /// Steps and outcomes, and how many events have each.
    pub steps: BTreeMap<String, usize>,
    pub outcomes: BTreeMap<&'static str, usize>,
}

impl Filled {
    /// Adds the counts of another part.
    pub fn add(&mut self, more: Self) {
        self.events += more.events;
        for (name, n) in more.fields {
            *self.fields.entry(name).or_default() += n;
        }
        for (name, n) in more.steps {
            *self.steps.entry(name).or_default() += n;
        }
        for (name, n) in more.outcomes {
            *self.outcomes.entry(name).or_default() += n;
        }
    }
}

impl Collect for Filled {
    fn event(&mut self, _: &'static str, event: &Event<'_>, _: Locator, _: u64, _: Option<Digest>) {
        self.events += 1;
        let others = [
            ("time", event.time.is_some()),
            ("outcome", event.outcome != Outcome::Unknown),
            ("http_status", event.http_status.is_some()),
            ("attempt", event.attempt.is_some()),
            ("duration_ms", event.duration_ms.is_some()),
            ("hold_acknowledged", event.hold_acknowledged.is_some()),
        ];
        let texts = TEXT_COLUMNS.iter().zip(event.texts()).map(|(name, text)| (*name, text.is_some()));
        for (name, _) in others.into_iter().chain(texts).filter(|(_, filled)| *filled) {
            *self.fields.entry(name).or_default() += 1;
        }
        if let Some(step) = event.get(Text::Step) {
            *self.steps.entry(step.to_owned()).or_default() += 1;
        }
        *self.outcomes.entry(event.outcome.name()).or_default() += 1;
    }

    fn gathered(&self) -> usize {
        self.events
    }
}
