//! What records say besides being calls: changes that took effect, and documents of state.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::source_named;
use crate::evidence::{Digest, List, Locator, Name};

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A principal (or a role that principals hold) was given permissions.
    Grant,
    /// Permissions were taken away.
    Revoke,
    /// A bucket's policy was written or deleted.
    BucketPolicy,
    /// A role's trust policy was written.
    TrustPolicy,
    /// A key's policy was written, or a grant on the key made or retired.
    KeyPolicy,
    /// A principal got a new credential.
    Credential,
    /// A legal hold was placed and is not yet in force everywhere.
    HoldPlaced,
    /// A legal hold is in force everywhere.
    HoldSynced,
    /// A legal hold was lifted.
    HoldReleased,
}

impl ChangeKind {
    /// Whether it is one of a legal hold.
    #[must_use]
    pub const fn is_of_hold(self) -> bool {
        matches!(self, Self::HoldPlaced | Self::HoldSynced | Self::HoldReleased)
    }

    /// How reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Revoke => "revocation",
            Self::BucketPolicy => "bucket policy change",
            Self::TrustPolicy => "trust policy change",
            Self::KeyPolicy => "key policy change",
            Self::Credential => "new credential",
            Self::HoldPlaced => "hold placed",
            Self::HoldSynced => "hold synced",
            Self::HoldReleased => "hold released",
        }
    }
}

/// A source, in the program's own copy of its name. Under a name of its own because serde takes `&str` for something to be
/// borrowed from what is read.
type Source = &'static str;

fn known_source<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
    let name = String::deserialize(deserializer)?;
    source_named(&name).ok_or_else(|| D::Error::custom(format!("no source `{name}`")))
}

/// A change that took effect at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    pub kind: ChangeKind,
    /// Microseconds since 1970, UTC.
    pub time: i64,
    /// Whose or what it is of: a client, user or role id or name, a bucket, a key, a conversation.
    pub subject: String,
    /// Other ids of the same subject (its name, its members).
    pub also: List,
    /// Permissions given or taken, where the record names them; for a grant on a key, whom it is for.
    pub permissions: List,
    /// The subject's display name.
    pub name: Option<Name>,
    /// The conversation and the hold, for changes of holds.
    pub conversation: Option<String>,
    /// See above.
    pub hold: Option<String>,
    /// Who made the change.
    pub actor: Option<Name>,
    #[serde(deserialize_with = "known_source")]
    pub source: Source,
    pub at: Locator,
    /// The record's SHA-256, where it was computed while reading.
    pub sha256: Option<Digest>,
}

impl Change {
    /// A change with nothing but its kind, time and subject.
    #[must_use]
    pub fn new(kind: ChangeKind, time: i64, subject: String, source: &'static str, at: Locator) -> Self {
        Self {
            kind,
            time,
            subject,
            also: List::default(),
            permissions: List::default(),
            name: None,
            conversation: None,
            hold: None,
            actor: None,
            source,
            at,
            sha256: None,
        }
    }

    /// What changes are ordered by: time, then records, then kind.
    #[must_use]
    pub const fn order(&self) -> (i64, Locator, ChangeKind) {
        (self.time, self.at, self.kind)
    }

    /// Whether this is another record of the same change, or of one like it at the same time.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.time, &self.subject, &self.also) == (other.kind, other.time, &other.subject, &other.also)
            && self.permissions == other.permissions
            && (&self.conversation, &self.hold) == (&other.conversation, &other.hold)
    }

    /// All ids by which this change may be found: its subject, the subject's other ids, its hold.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.subject).chain(&self.also).chain(&self.hold).map(String::as_str)
    }

    /// Whether this change is of `id`, by its subject or one of its other ids.
    #[must_use]
    pub fn is_of(&self, id: &str) -> bool {
        self.subject == id || self.also.iter().any(|other| other == id)
    }
}

/// What a document states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    BucketPolicy,
    TrustPolicy,
    KeyPolicy,
    IdentityPolicy,
    #[serde(rename = "oauth_client")]
    OAuthClient,
    Role,
}

/// A document of state.
#[derive(Clone, Debug)]
pub struct Document {
    pub kind: DocumentKind,
    /// Buckets, role ARNs and names, key ids, client or role ids it belongs to.
    pub subjects: List,
    /// Since when it is in force, for logged changes; null for snapshots, which say nothing of when they were taken.
    pub time: Option<i64>,
    /// Shared by documents that say the same: policies are written again and again as they were.
    pub body: Arc<Value>,
    pub source: &'static str,
    pub at: Locator,
    /// The record's SHA-256, where it was computed while reading.
    pub sha256: Option<Digest>,
}

/// The bodies of documents, each held once.
#[derive(Default)]
pub struct Bodies(HashMap<String, Arc<Value>, foldhash::fast::RandomState>);

impl Bodies {
    /// Makes a document share its body with those before it that say the same.
    pub fn share(&mut self, document: &mut Document) {
        let body = self.0.entry(document.body.to_string()).or_insert_with(|| Arc::clone(&document.body));
        document.body = Arc::clone(body);
    }
}

/// What changes say again and again, each held once: the same few people give and take the same permissions.
#[derive(Default)]
pub struct Sayings {
    texts: HashSet<Name, foldhash::fast::RandomState>,
    lists: HashSet<List, foldhash::fast::RandomState>,
}

/// Texts and lists that are held to be shared.
const SHARED: usize = 4096;

impl Sayings {
    /// Makes a change share what one before it said too.
    pub fn share(&mut self, change: &mut Change) {
        for text in [&mut change.name, &mut change.actor].into_iter().flatten() {
            share(&mut self.texts, text);
        }
        share(&mut self.lists, &mut change.permissions);
        share(&mut self.lists, &mut change.also);
    }

    /// Makes a document share whose it is with those before it.
    pub fn share_subjects(&mut self, document: &mut Document) {
        share(&mut self.lists, &mut document.subjects);
    }
}

fn share<T: Clone + Eq + Hash>(known: &mut HashSet<T, foldhash::fast::RandomState>, own: &mut T) {
    match known.get(own) {
        Some(same) => *own = same.clone(),
        None if known.len() < SHARED => drop(known.insert(own.clone())),
        None => {}
    }
}
