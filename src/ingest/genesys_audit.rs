//! Genesys Cloud audit messages: result pages, single messages, and the EventBridge form with its other member names
//! (SDK models `AuditLogMessage` and `AuditTopicAuditLogMessage`).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::adapter::{Adapter, Record, Refusal, Sink, outcome_or_unknown};
use super::event::{Event, Outcome, Text};
use super::facts::ChangeKind;
use super::loose::Loose;
use super::scopes;
use crate::evidence::{List, Locator, Name, Sample};

/// The adapter.
pub struct GenesysAudit;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
    #[serde(borrow, default)]
    user_home_org_id: Loose<'a>,
    #[serde(borrow, default)]
    user: Option<Entity<'a>>,
    #[serde(borrow, default)]
    user_id: Loose<'a>,
    #[serde(borrow, default)]
    client: Option<Entity<'a>>,
    #[serde(borrow, default)]
    event_date: Loose<'a>,
    #[serde(borrow, default)]
    event_time: Loose<'a>,
    #[serde(borrow, default)]
    action: Loose<'a>,
    #[serde(borrow, default)]
    entity_type: Loose<'a>,
    #[serde(borrow, default)]
    entity: Option<Entity<'a>>,
    #[serde(borrow, default)]
    status: Loose<'a>,
    #[serde(borrow, default)]
    property_changes: Option<Vec<PropertyChange<'a>>>,
    #[serde(borrow, default)]
    entity_changes: Option<Vec<EntityChange<'a>>>,
    #[serde(borrow, default)]
    initiating_action: Option<InitiatingAction<'a>>,
}

#[derive(Deserialize)]
struct Entity<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
    #[serde(borrow, default)]
    name: Loose<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PropertyChange<'a> {
    #[serde(borrow, default)]
    property: Loose<'a>,
    #[serde(borrow, default)]
    old_values: Option<Vec<Loose<'a>>>,
    #[serde(borrow, default)]
    new_values: Option<Vec<Loose<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntityChange<'a> {
    #[serde(borrow, default)]
    entity_id: Loose<'a>,
    #[serde(borrow, default)]
    entity_name: Loose<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiatingAction<'a> {
    #[serde(borrow, default)]
    transaction_id: Loose<'a>,
}

/// The EventBridge envelope around a message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    detail: Option<Detail<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow, default)]
    event_body: Option<Message<'a>>,
}

impl Adapter for GenesysAudit {
    fn name(&self) -> &'static str {
        "genesys_audit"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        sample.records.iter().any(|record| {
            let body = record.pointer("/detail/eventBody").unwrap_or(record);
            (body.get("eventDate").is_some() || body.get("eventTime").is_some())
                && (body.get("entityType").is_some()
                    || body.get("entity").is_some()
                    || body.get("serviceName").is_some())
        })
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let message = if record.text.contains("\"eventBody\"") {
            let envelope: Envelope<'_> = serde_json::from_str(record.text).map_err(|e| Refusal::not_json(&e))?;
            envelope.detail.and_then(|detail| detail.event_body).ok_or(Refusal::NotMine)?
        } else {
            serde_json::from_str(record.text).map_err(|e| Refusal::not_json(&e))?
        };
        read_message(&message, record.at, sink)
    }
}

fn read_message(message: &Message<'_>, at: Locator, sink: &mut Sink<'_>) -> Result<(), Refusal> {
    let Some(action) = message.action.as_deref() else { return Err(Refusal::NotMine) };
    let when = message.event_date.as_deref().or(message.event_time.as_deref()).ok_or(Refusal::NotMine)?;
    let entity_type = message.entity_type.as_deref().unwrap_or("");
    let mut event = Event::default();
    event.time = sink.time(when)?;
    event.outcome = outcome_or_unknown(message.status.as_deref());
    event.set(Text::Operation, Some(format!("{entity_type}.{action}")));
    event.set(Text::Uid, message.id.0.clone());
    event.set(Text::TenantId, message.user_home_org_id.0.clone());
    let user = message.user.as_ref().and_then(|user| user.id.0.clone());
    let client = message.client.as_ref().and_then(|client| client.id.0.clone());
    event.set(Text::Principal, user.or_else(|| message.user_id.0.clone()).or(client));
    event.set(Text::CorrelationId, message.initiating_action.as_ref().and_then(|a| a.transaction_id.0.clone()));
    let entity = message.entity.as_ref().and_then(|entity| entity.id.0.clone());
    match entity_type {
        "Recording" | "ScreenRecording" | "SnippetRecording" => event.set(Text::RecordingId, entity),
        "Conversation" => event.set(Text::ConversationId, entity),
        "BulkActions" => event.set(Text::JobId, entity),
        _ => {}
    }
    // A message without a status (older exports, the EventBridge form) reports an action that took place.
    if event.outcome != Outcome::Failure {
        note_changes(message, &event, at, sink);
    }
    sink.event(&event, at);
    Ok(())
}

fn note_changes(message: &Message<'_>, event: &Event<'_>, at: Locator, sink: &mut Sink<'_>) {
    let Some(entity) = &message.entity else { return };
    let Some(subject) = entity.id.as_deref().or(entity.name.as_deref()) else { return };
    let mut also: Vec<String> = entity.name.as_deref().map(str::to_owned).into_iter().collect();
    for changed in message.entity_changes.iter().flatten() {
        also.extend(changed.entity_id.as_deref().map(str::to_owned));
        also.extend(changed.entity_name.as_deref().map(str::to_owned));
    }
    let actor = message.user.as_ref().and_then(|u| u.name.as_deref().or(u.id.as_deref())).map(Name::from);
    let entity_type = message.entity_type.as_deref().unwrap_or("");
    let also = List::from(also);
    let mut add = |kind, permissions: Vec<String>| {
        if let Some(change) = sink.change(kind, event.time, subject, at) {
            change.also.clone_from(&also);
            change.permissions = permissions.into();
            change.actor.clone_from(&actor);
            change.name = entity.name.as_deref().map(Name::from);
            change.conversation = (entity_type == "Conversation").then(|| subject.to_owned());
        }
    };
    match (entity_type, message.action.as_deref().unwrap_or("")) {
        ("Recording" | "Conversation" | "ScreenRecording", "ApplyProtection") => {
            add(ChangeKind::HoldPlaced, Vec::new());
        }
        ("Recording" | "Conversation" | "ScreenRecording", "RevokeProtection") => {
            add(ChangeKind::HoldReleased, Vec::new());
        }
        ("Role" | "AuthUser" | "OAuthClient" | "OAuthClientAuthorization" | "User", action) => {
            let changes = message.property_changes.iter().flatten();
            for (kind, permissions) in authority_changes(action, changes) {
                add(kind, permissions);
            }
        }
        ("Credential" | "AccessToken", "Update" | "Rotate" | "Create" | "Revoke" | "Reset") => {
            add(ChangeKind::Credential, Vec::new());
        }
        _ => {}
    }
}

/// What a message about a client, a user or a role says of their authority. The values of a changed property are what
/// was added and removed, or the whole lists before and after; the difference of the two lists is right for both.
fn authority_changes<'m, 'a: 'm>(
    action: &str,
    properties: impl Iterator<Item = &'m PropertyChange<'a>>,
) -> Vec<(ChangeKind, Vec<String>)> {
    let mut found = Vec::new();
    let mut named = false;
    for change in properties {
        let property = change.property.as_deref().unwrap_or("").to_ascii_lowercase();
        if property.contains("secret") || property.contains("credential") {
            found.push((ChangeKind::Credential, Vec::new()));
        } else if ["permission", "scope", "role", "polic", "grant", "division"].iter().any(|w| property.contains(w)) {
            named = true;
            let (old, new) = (values(change.old_values.as_deref()), values(change.new_values.as_deref()));
            let added: Vec<String> = new.difference(&old).cloned().collect();
            let removed: Vec<String> = old.difference(&new).cloned().collect();
            found.extend((!added.is_empty()).then_some((ChangeKind::Grant, added)));
            found.extend((!removed.is_empty()).then_some((ChangeKind::Revoke, removed)));
        }
    }
    match action {
        "Rotate" | "Reset" => found.push((ChangeKind::Credential, Vec::new())),
        "MemberAdd" | "Authorize" | "Assign" if !named => found.push((ChangeKind::Grant, Vec::new())),
        "MemberRemove" | "Deauthorize" | "Unassign" | "Disable" | "Deactivate" if !named => {
            found.push((ChangeKind::Revoke, Vec::new()));
        }
        _ => {}
    }
    found
}

fn values(list: Option<&[Loose<'_>]>) -> BTreeSet<String> {
    list.into_iter().flatten().filter_map(Loose::as_deref).flat_map(scopes::split).map(str::to_owned).collect()
}
