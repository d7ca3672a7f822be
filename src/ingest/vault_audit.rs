//! HashiCorp Vault audit device: one JSON object a line, possibly behind a prefix (`audit/types.go`).

use serde::Deserialize;

use super::adapter::{Adapter, Record, Refusal, Sink};
use super::event::{Event, Outcome, Text};
use super::facts::ChangeKind;
use super::loose::Loose;
use crate::evidence::{List, Name, Sample};

/// The adapter.
pub struct VaultAudit;

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    time: Loose<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Loose<'a>,
    #[serde(borrow, default)]
    error: Loose<'a>,
    #[serde(borrow, default)]
    auth: Option<Auth<'a>>,
    #[serde(borrow, default)]
    request: Option<Request<'a>>,
}

#[derive(Deserialize)]
struct Auth<'a> {
    #[serde(borrow, default)]
    display_name: Loose<'a>,
    #[serde(borrow, default)]
    entity_id: Loose<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
    #[serde(borrow, default)]
    operation: Loose<'a>,
    #[serde(borrow, default)]
    path: Loose<'a>,
}

impl Adapter for VaultAudit {
    fn name(&self) -> &'static str {
        "vault_audit"
    }

    fn recognises(&self, sample: &Sample) -> bool {
        sample.records.iter().any(|record| {
            let request = record.get("request");
            record.get("type").is_some_and(serde_json::Value::is_string)
                && request.is_some_and(|r| r.get("path").is_some() && r.get("operation").is_some())
        })
    }

    fn read(&self, record: &Record<'_>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        // A device may be configured to write a prefix before each entry.
        let start = record.text.find('{').ok_or(Refusal::NotMine)?;
        let entry: Entry<'_> = serde_json::from_str(&record.text[start..]).map_err(|e| Refusal::not_json(&e))?;
        let (Some(request), Some(kind)) = (entry.request, entry.kind.as_deref()) else { return Err(Refusal::NotMine) };
        let (Some(operation), Some(path)) = (request.operation.as_deref(), request.path.as_deref()) else {
            return Err(Refusal::NotMine);
        };
        let mut event = Event::default();
        event.time = entry.time.as_deref().map(|text| sink.time(text)).transpose()?.flatten();
        event.set(Text::Operation, Some(format!("{operation} {path}")));
        event.set(Text::Uid, request.id.as_deref().map(|id| format!("{id}/{kind}")));
        event.set(Text::RequestId, request.id.take());
        if let Some(auth) = entry.auth {
            event.set(Text::Principal, auth.display_name.take().or(auth.entity_id.take()));
        }
        let error = entry.error.take().map(|text| sink.clean(text));
        event.outcome = match (&error, kind) {
            (Some(_), _) => Outcome::Failure,
            (None, "response") => Outcome::Success,
            _ => Outcome::Unknown,
        };
        if event.outcome == Outcome::Success && makes_credential(operation, path) {
            let subject = path.rsplit('/').next().unwrap_or(path).to_owned();
            let also = path.split('/').map(str::to_owned).collect::<List>();
            let actor = event.get(Text::Principal).map(Name::from);
            if let Some(change) = sink.change(ChangeKind::Credential, event.time, subject, record.at) {
                change.also = also;
                change.actor = actor;
            }
        }
        event.set(Text::ErrorMessage, error);
        sink.event(&event, record.at);
        Ok(())
    }
}

/// Whether a completed request gave some principal another credential: a rotation, a revoked lease, or a new version of
/// a stored secret. Reading `creds/<role>` issues one more credential and leaves the others as they are.
fn makes_credential(operation: &str, path: &str) -> bool {
    let writes = matches!(operation, "update" | "create" | "patch");
    let rotates = path.split('/').any(|part| part.starts_with("rotate"));
    let revokes = path.contains("leases/revoke") || path.starts_with("auth/token/revoke");
    let stores = path.contains("/data/");
    writes && (rotates || revokes || stores)
}
