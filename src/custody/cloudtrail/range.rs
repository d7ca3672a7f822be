//! The span of time that is asked about.

/// From `since` to before `until`, microseconds since 1970, UTC; open where `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    pub since: Option<i64>,
    pub until: Option<i64>,
}

/// A span of time, microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub from: i64,
    pub to: i64,
}

/// An hour, microseconds: what a digest covers.
pub(super) const HOUR: i64 = 3_600_000_000;

impl Span {
    /// The hour up to `to`.
    pub(super) fn hour_to(to: i64) -> Self {
        Self { from: to - HOUR, to }
    }
}

impl Range {
    /// Whether any of `span` lies in the range; what has no known time always does.
    pub(super) fn touches(self, span: Option<Span>) -> bool {
        span.is_none_or(|span| {
            self.since.is_none_or(|since| span.to > since) && self.until.is_none_or(|u| span.from < u)
        })
    }

    /// Whether `time` lies in the range; what has no known time always does.
    pub(super) fn holds(self, time: Option<i64>) -> bool {
        time.is_none_or(|time| self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|u| time < u))
    }

    /// The part of `span` that lies in the range, if any does.
    pub(super) fn clip(self, span: Span) -> Option<Span> {
        let from = self.since.map_or(span.from, |since| since.max(span.from));
        let to = self.until.map_or(span.to, |until| until.min(span.to));
        (from < to).then_some(Span { from, to })
    }
}
