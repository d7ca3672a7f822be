//! The ids that tie records together.

use crate::ingest::Text;

/// The columns whose values tie records together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Job,
    Session,
    Recording,
    Conversation,
    Object,
    Role,
    Key,
    Request,
    Correlation,
    Hold,
    /// The credential that a call was made with.
    Credential,
    /// The credential that it issued.
    Issued,
}

/// The column of each.
pub(super) const TEXTS: [Text; Id::ALL.len()] = [
    Text::JobId,
    Text::SessionName,
    Text::RecordingId,
    Text::ConversationId,
    Text::ObjectKey,
    Text::RoleArn,
    Text::KeyArn,
    Text::RequestId,
    Text::CorrelationId,
    Text::HoldId,
    Text::Credential,
    Text::IssuedCredential,
];

impl Id {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Job,
        Self::Session,
        Self::Recording,
        Self::Conversation,
        Self::Object,
        Self::Role,
        Self::Key,
        Self::Request,
        Self::Correlation,
        Self::Hold,
        Self::Credential,
        Self::Issued,
    ];

    /// The column of the event frame that it is the hash of.
    #[must_use]
    pub const fn column(self) -> Text {
        TEXTS[self as usize]
    }
}

/// An id's keyed hash; 0 where the record has none.
pub type IdHash = u64;
