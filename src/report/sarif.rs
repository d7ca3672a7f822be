//! SARIF 2.1.0 (OASIS): a result per failure, its timeline as code flow (docs/exports.md).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::known::known;
use super::table::describe;
use super::terminal::name;
use super::{Analysis, FailureReport, Part, RuleText, TracedRecord};
use crate::classify::{Class, Pack};
use crate::error::{Error, Result};
use crate::evidence::{Digest, FileEntry};
use crate::ingest::rfc3339;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What stays as it is in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// Schemes that evidence is read by; any other is part of a file's name.
const SCHEMES: [&str; 3] = ["s3://", "gs://", "az://"];

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
struct Run<'a> {
    tool: Value,
    invocations: [Value; 1],
    artifacts: Vec<Value>,
    results: Results<'a>,
    properties: Value,
}

/// The results, written one by one.
struct Results<'a> {
    analysis: &'a Analysis,
    /// Places of the verdicts among the driver's rules.
    verdicts: BTreeMap<String, usize>,
    uris: Vec<String>,
}

/// Writes the failures as SARIF.
///
/// # Errors
/// The reports cannot be read again, or the output not written.
pub fn write_sarif(analysis: &Analysis, rules: &RuleText, out: &mut dyn Write) -> Result<()> {
    let verdicts = verdicts(&rules.pack);
    let uris: Vec<String> = analysis.coverage.files.iter().map(|file| uri(&file.path)).collect();
    let run = Run {
        tool: tool(analysis, &rules.pack, &verdicts),
        invocations: [known(
            json!({ "executionSuccessful": true, "toolExecutionNotifications": notes(analysis, &uris) }),
        )],
        artifacts: artifacts(&analysis.coverage.files, &uris),
        properties: json!({
            "offsets": "bytes of the file; of a packed one, of what it unpacks to",
            "rules": analysis.rules, "summary": analysis.summary, "clocks": analysis.coverage.clocks,
        }),
        results: Results { analysis, verdicts: verdicts.into_keys().zip(0..).collect(), uris },
    };
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: [run] };
    serde_json::to_writer(&mut *out, &log).map_err(|e| Error::Output(e.to_string()))?;
    out.write_all(b"\n").map_err(|e| Error::Output(e.to_string()))
}

/// The verdicts that the pack can come to, with their remedies.
fn verdicts(pack: &Pack) -> BTreeMap<String, (Class, Vec<&str>)> {
    let mut verdicts: BTreeMap<String, (Class, Vec<&str>)> =
        Class::ALL.iter().map(|class| (class.name().to_owned(), (*class, Vec::new()))).collect();
    for rule in pack.rules.iter().filter(|rule| rule.enabled) {
        if let (Some(cause), Some(mechanism)) = (rule.class, &rule.mechanism) {
            let remedies = pack.remedies.iter().filter(|advice| advice.mechanism.as_ref() == Some(mechanism));
            let remedies = remedies.map(|advice| advice.text.as_str()).collect();
            verdicts.insert(format!("{}/{mechanism}", cause.name()), (Class::from(cause), remedies));
        }
    }
    verdicts
}

/// The program with the verdicts as its rules, and the rule pack as its extension.
fn tool(analysis: &Analysis, pack: &Pack, verdicts: &BTreeMap<String, (Class, Vec<&str>)>) -> Value {
    let verdict = |(id, (class, remedies)): (&String, &(Class, Vec<&str>))| {
        let level = if *class == Class::Inconclusive { "none" } else { "error" };
        json!({
            "id": id,
            "shortDescription": text(&format!("{}: {}", class.name(), describe(*class))),
            "help": (!remedies.is_empty()).then(|| text(&remedies.join("\n"))),
            "defaultConfiguration": { "level": level },
        })
    };
    let rule = |rule: &crate::classify::Rule| {
        json!({
            "id": rule.id,
            "shortDescription": text(&rule.statement),
            "properties": {
                "class": rule.class, "mechanism": rule.mechanism, "evidence": rule.evidence, "weight": rule.weight,
                "when": rule.when, "source": rule.source, "standing": rule.standing,
            },
        })
    };
    known(json!({
        "driver": {
            "name": analysis.tool.name,
            "semanticVersion": analysis.tool.version,
            "rules": verdicts.iter().map(verdict).collect::<Vec<_>>(),
        },
        "extensions": [{
            "name": pack.name,
            "version": pack.version,
            "rules": pack.rules.iter().filter(|rule| rule.enabled).map(rule).collect::<Vec<_>>(),
            "properties": { "sha256": analysis.rules.sha256 },
        }],
    }))
}

/// What could not be read, was passed over, or is missing.
fn notes(analysis: &Analysis, uris: &[String]) -> Vec<Value> {
    let coverage = &analysis.coverage;
    let partial = coverage.files.iter().zip(0..).filter(|(file, _)| file.is_partial()).map(|(file, n): (_, usize)| {
        let place = |region| json!([{ "physicalLocation": { "artifactLocation": at(uris, n), "region": region } }]);
        match file.foremost() {
            Some(reject) => json!({
                "level": "warning",
                "message": text(&format!("{} of {} records not read; one: {}", file.rejected, file.records, reject.reason)),
                "locations": place(json!({ "byteOffset": reject.offset })),
            }),
            None => json!({ "level": "warning", "message": text("no records in it"), "locations": place(Value::Null) }),
        }
    });
    let note = |level: &'static str, said: &str| json!({ "level": level, "message": text(said) });
    let unreadable = coverage.unreadable.iter().map(|said| note("warning", said));
    let skipped = coverage.skipped.iter().map(|said| note("note", said));
    let gaps = coverage.gaps.iter().map(|gap| note("note", &format!("missing or perhaps missing: {}", gap.detail)));
    partial.chain(unreadable).chain(skipped).chain(gaps).collect()
}

fn artifacts(files: &[FileEntry], uris: &[String]) -> Vec<Value> {
    let places: BTreeMap<&str, usize> = files.iter().map(|file| file.path.as_str()).zip(0..).collect();
    let artifact = |(n, file): (usize, &FileEntry)| {
        known(json!({
            "location": at(uris, n),
            "parentIndex": file.container.as_deref().and_then(|container| places.get(container)),
            "length": file.bytes,
            "hashes": { "sha-256": file.sha256 },
            "roles": ["analysisTarget"],
            "properties": {
                "format": file.format, "records": file.records, "parsed": file.parsed, "rejected": file.rejected,
                "duplicates": file.duplicates,
            },
        }))
    };
    files.iter().enumerate().map(artifact).collect()
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.analysis.failures.len()))?;
        for traced in self.analysis.traced() {
            let (failure, records) = traced.map_err(S::Error::custom)?;
            list.serialize_element(&self.result(&failure, &records))?;
        }
        list.end()
    }
}

impl Results<'_> {
    fn result(&self, failure: &FailureReport, records: &[TracedRecord]) -> Value {
        let (verdict, class) = (failure.verdict(), failure.class.name());
        let id = if self.verdicts.contains_key(&verdict) { verdict.as_str() } else { class };
        let (kind, level) = match (failure.class, &failure.recovered_at) {
            (Class::Inconclusive, _) => ("open", "none"),
            (_, Some(_)) => ("fail", "warning"),
            (_, None) => ("fail", "error"),
        };
        let first = records.iter().find(|record| record.part == Part::Failing);
        let cited = records.iter().filter_map(|record| {
            let rules: Vec<&str> = failure.rules_on(record).collect();
            (!rules.is_empty()).then(|| (record, format!("{}; cited by {}", record.line(), rules.join(", "))))
        });
        let related = cited.zip(1..).map(|((record, said), id)| self.location(record, &said, Some(id)));
        let mut result = known(json!({
            "ruleId": id,
            "ruleIndex": self.verdicts.get(id),
            "kind": kind,
            "level": level,
            "message": text(&failure.line()),
            "locations": first.map(|record| [self.location(record, &record.line(), None)]),
            "relatedLocations": related.collect::<Vec<_>>(),
            "codeFlows": self.flow(records),
            "partialFingerprints": { "failureId/v1": failure.failure_id, "exportAndStep/v1": export_and_step(failure) },
        }));
        result["properties"] = json!(failure);
        result
    }

    /// The timeline: a thread flow per source, numbered across them in order of time.
    fn flow(&self, records: &[TracedRecord]) -> Option<Value> {
        let timed: Vec<(usize, &TracedRecord, &str)> = (1..)
            .zip(records.iter().filter(|record| record.time.is_some()))
            .filter_map(|(n, record)| Some((n, record, record.source.as_deref()?)))
            .collect();
        let sources: BTreeSet<&str> = timed.iter().map(|(.., source)| *source).collect();
        let step = |(order, record, _): &(usize, &TracedRecord, &str)| {
            json!({
                "location": self.location(record, &record.line(), None),
                "executionOrder": order,
                "executionTimeUtc": record.time.map(rfc3339),
                "importance": match record.part {
                    Part::Failing | Part::Recovery | Part::Change => "essential",
                    Part::Witness | Part::Cited => "important",
                    Part::Attempt => "unimportant",
                },
            })
        };
        let thread = |source: &str| {
            let steps = timed.iter().filter(|(.., of)| *of == source).map(step);
            json!({ "id": name(source), "locations": steps.collect::<Vec<_>>() })
        };
        (!timed.is_empty()).then(|| json!([{ "threadFlows": sources.into_iter().map(thread).collect::<Vec<_>>() }]))
    }

    fn location(&self, record: &TracedRecord, said: &str, id: Option<usize>) -> Value {
        json!({
            "id": id,
            "message": text(said),
            "physicalLocation": {
                "artifactLocation": at(&self.uris, record.file as usize),
                "region": { "byteOffset": record.offset, "byteLength": record.length },
            },
            "properties": {
                "recordId": record.record_id, "sha256": record.sha256, "record": record.record,
                "part": record.part.name(), "attempt": record.attempt,
            },
        })
    }
}

/// The same for every failure of the same export at the same step.
fn export_and_step(failure: &FailureReport) -> String {
    let FailureReport { job_id, conversation_id, recording_id, object_key, bucket, step, .. } = failure;
    Digest::of(json!([job_id, conversation_id, recording_id, object_key, bucket, step]).to_string().as_bytes())
        .to_string()
}

fn at(uris: &[String], n: usize) -> Value {
    json!({ "uri": uris[n], "index": n })
}

/// A message. SARIF would read links out of brackets and placeholders out of braces (3.11.5, 3.11.6).
fn text(said: &str) -> Value {
    let mut text = String::with_capacity(said.len());
    for c in said.lines().map(name).collect::<Vec<_>>().join("\n").chars() {
        match c {
            '{' | '}' => text.push(c),
            '[' | ']' | '\\' => text.push('\\'),
            _ => {}
        }
        text.push(c);
    }
    json!({ "text": text })
}

/// A file's name as a URI: relative to where holdtrace ran, absolute, or of an object in a store. Nothing in a name makes it
/// another scheme.
fn uri(path: &str) -> String {
    let encoded = |path: &str| utf8_percent_encode(path, PATH).to_string();
    match SCHEMES.iter().find_map(|scheme| Some((scheme, path.strip_prefix(scheme)?))) {
        Some((scheme, rest)) => format!("{scheme}{}", encoded(rest)),
        None if path.starts_with('/') => format!("file://{}", encoded(path)),
        None => encoded(path),
    }
}
