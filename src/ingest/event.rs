//! One row of the event frame while it is being read, and the columns it goes into.

use std::borrow::Cow;

use polars::prelude::*;

use super::adapter::Collect;
use crate::evidence::{Digest, Locator};

/// What became of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    Timeout,
    #[default]
    Unknown,
}

impl Outcome {
    /// The name used in the `outcome` column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Unknown => "unknown",
        }
    }

    /// The outcome of a name in the `outcome` column.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Timeout, Self::Unknown].into_iter().find(|outcome| outcome.name() == name)
    }
}

macro_rules! text_columns {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// The text columns of the event frame (DESIGN section 3; the last nine are additions that correlation needs).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Text { $(#[doc = $doc] $variant,)* }

        impl Text {
            /// All of them, in the order of their columns.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        /// Names of the text columns, in the order of [`Text`].
        pub const TEXT_COLUMNS: &[&str] = &[$($name,)*];
        /// What each text column holds.
        pub const TEXT_COLUMN_DOCS: &[&str] = &[$($doc,)*];
    };
}

text_columns! {
    Operation "operation" "The call: an AWS event name, a Genesys entity and action or method and path, a Vault operation and path.",
    Step "step" "The step of the export, where the source names one.",
    ErrorCode "error_code" "The source's error code, as written.",
    ErrorMessage "error_message" "The source's error message, secrets blanked.",
    Principal "principal" "Who called: OAuth client id, or ARN, or AWS service name.",
    Credential "credential" "The access key id or credential the call was made with.",
    TenantId "tenant_id" "The organization the call was made for.",
    Region "region" "Cloud region.",
    JobId "job_id" "The export job.",
    ConversationId "conversation_id" "The conversation the recording belongs to.",
    RecordingId "recording_id" "The recording.",
    ObjectKey "object_key" "Key of the object in the bucket.",
    Bucket "bucket" "The bucket.",
    HoldId "hold_id" "The legal hold.",
    MediaType "media_type" "webrtc, voice, chat, email, screen, ...",
    Queue "queue" "The queue the conversation came through.",
    RequestId "request_id" "The service's id of the request.",
    CorrelationId "correlation_id" "The caller's id of the request.",
    Scopes "scopes" "Scopes the caller held, sorted, separated by spaces.",
    RoleArn "role_arn" "The role that was to be assumed.",
    KeyArn "key_arn" "The KMS key that was to be used.",
    ExternalId "external_id" "The external id given when assuming a role.",
    SessionName "session_name" "The caller's session name.",
    RequestContext "request_context" "Condition keys of a refused AWS call that the record shows, as key=value.",
    Uid "uid" "The source's own unique id of the record, by which redelivered records are recognised.",
    Amends "amends" "The source's own id of the record that this one supersedes.",
    IssuedCredential "issued_credential" "The access key id that the call issued.",
}

/// Whether a text says nothing. Hardly any does, and its first byte tells.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && text.trim().is_empty()
}

/// One event, borrowing from the record it is read from.
#[derive(Default)]
pub struct Event<'a> {
    /// Microseconds since 1970, UTC.
    pub time: Option<i64>,
    pub outcome: Outcome,
    pub http_status: Option<u16>,
    pub duration_ms: Option<i64>,
    pub attempt: Option<u32>,
    pub hold_acknowledged: Option<bool>,
    texts: [Option<Cow<'a, str>>; TEXT_COLUMNS.len()],
}

impl<'a> Event<'a> {
    /// Sets a text column; empty text is unknown.
    pub fn set(&mut self, column: Text, value: Option<impl Into<Cow<'a, str>>>) {
        self.texts[column as usize] = value.map(Into::into).filter(|v: &Cow<'a, str>| !is_blank(v));
    }

    /// A text column's value.
    #[must_use]
    pub fn get(&self, column: Text) -> Option<&str> {
        self.texts[column as usize].as_deref()
    }

    /// All text columns in their order.
    pub fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.texts.iter().map(Option::as_deref)
    }
}

/// The event frame under construction.
pub struct EventColumns {
    time: PrimitiveChunkedBuilder<Int64Type>,
    source: StringChunkedBuilder,
    outcome: StringChunkedBuilder,
    http_status: PrimitiveChunkedBuilder<UInt32Type>,
    duration_ms: PrimitiveChunkedBuilder<Int64Type>,
    attempt: PrimitiveChunkedBuilder<UInt32Type>,
    hold_acknowledged: BooleanChunkedBuilder,
    texts: Vec<StringChunkedBuilder>,
    file: Vec<u32>,
    record: Vec<u64>,
    offset: Vec<u64>,
    length: Vec<u64>,
    sha256: BinaryChunkedBuilder,
}

impl Default for EventColumns {
    fn default() -> Self {
        Self {
            time: PrimitiveChunkedBuilder::new("time".into(), 0),
            source: StringChunkedBuilder::new("source".into(), 0),
            outcome: StringChunkedBuilder::new("outcome".into(), 0),
            http_status: PrimitiveChunkedBuilder::new("http_status".into(), 0),
            duration_ms: PrimitiveChunkedBuilder::new("duration_ms".into(), 0),
            attempt: PrimitiveChunkedBuilder::new("attempt".into(), 0),
            hold_acknowledged: BooleanChunkedBuilder::new("hold_acknowledged".into(), 0),
            texts: TEXT_COLUMNS.iter().map(|name| StringChunkedBuilder::new((*name).into(), 0)).collect(),
            file: Vec::new(),
            record: Vec::new(),
            offset: Vec::new(),
            length: Vec::new(),
            sha256: BinaryChunkedBuilder::new("sha256".into(), 0),
        }
    }
}

impl Collect for EventColumns {
    fn event(&mut self, source: &'static str, event: &Event<'_>, at: Locator, _: u64, sha256: Option<Digest>) {
        self.time.append_option(event.time);
        self.source.append_value(source);
        self.outcome.append_value(event.outcome.name());
        self.http_status.append_option(event.http_status.map(u32::from));
        self.duration_ms.append_option(event.duration_ms);
        self.attempt.append_option(event.attempt);
        self.hold_acknowledged.append_option(event.hold_acknowledged);
        for (builder, text) in self.texts.iter_mut().zip(&event.texts) {
            builder.append_option(text.as_deref());
        }
        self.file.push(at.file);
        self.record.push(at.record);
        self.offset.push(at.offset);
        self.length.push(at.length);
        self.sha256.append_option(sha256.as_ref().map(|d| &d.0[..]));
    }

    fn gathered(&self) -> usize {
        self.file.len()
    }
}

impl EventColumns {
    /// The finished frame.
    ///
    /// # Errors
    /// Never for columns of equal length, which these are.
    pub fn finish(self) -> PolarsResult<DataFrame> {
        let height = self.file.len();
        let time = self.time.finish().into_datetime(TimeUnit::Microseconds, None);
        let mut columns = vec![
            time.into_series().into(),
            self.source.finish().into_series().into(),
            self.outcome.finish().into_series().into(),
            self.http_status.finish().into_series().into(),
            self.duration_ms.finish().into_series().into(),
            self.attempt.finish().into_series().into(),
            self.hold_acknowledged.finish().into_series().into(),
        ];
        columns.extend(self.texts.into_iter().map(|builder| builder.finish().into_series().into()));
        columns.push(Column::new("file".into(), self.file));
        columns.push(Column::new("record".into(), self.record));
        columns.push(Column::new("offset".into(), self.offset));
        columns.push(Column::new("length".into(), self.length));
        columns.push(self.sha256.finish().into_series().into());
        DataFrame::new(height, columns)
    }
}
