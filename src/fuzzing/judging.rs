//! Policies and rule packs.

use serde_json::Value;

use crate::classify::Pack;
use crate::classify::policy::{Attached, Kind, Policies, Question, Request, documents, evaluate, replay};

/// Lines of JSON: a request, and the policies that it is held against.
pub(super) fn policy(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(question) = Question::parse(lines.next().unwrap_or_default()) else { return };
    let mut policies = Policies::default();
    let kinds = [Kind::Identity, Kind::Resource, Kind::Boundary, Kind::Session].into_iter().cycle();
    for (line, kind) in lines.zip(kinds) {
        let Ok(read) = serde_json::from_slice::<Value>(line).map_err(drop).and_then(|v| documents(&v).map_err(drop))
        else {
            continue;
        };
        for body in read {
            let request = Request {
                principal: Some(&question.principal),
                action: &question.action,
                resource: Some(&question.resource),
                ..Request::default()
            };
            assert!(!replay(&body, &request).detail.is_empty());
            let origin = "a policy".to_owned();
            policies.attached.push(Attached {
                kind,
                level: 0,
                origin,
                record: None,
                since: None,
                changed_by: None,
                body,
            });
        }
    }
    for strict in [false, true] {
        let answer = evaluate(&question, &policies, strict, Some(0));
        assert!(serde_json::to_string(&answer).is_ok());
    }
}

pub(super) fn rules(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Pack::parse(text, "a pack");
    }
}
