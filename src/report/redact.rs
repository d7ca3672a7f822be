//! The redacted twin of a report: who and what is replaced by keyed pseudonyms that still join, texts are withheld, verdicts
//! and times stay.
//!
//! What is kept is listed, not what is taken out: a value that is not known to be harmless is replaced.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::Regex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Analysis, Coverage, Evidence, FailureReport, Gap, Progress, RuleText, Selection, Summary, analyze_evidence, failure,
};
use crate::classify::{Pack, Wording};
use crate::correlate::ClockOffset;
use crate::error::{Error, Result};
use crate::evidence::{Digest, FileEntry, Reject};
use crate::ingest::{MAPPED, Options, STEPS, source_named};

/// What a redacted report says of itself.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Redaction {
    /// Of the report of the same evidence, rules and options without redaction, as `--format json` writes it.
    pub unredacted_sha256: String,
    /// How the pseudonyms are made.
    pub pseudonyms: &'static str,
    /// Tells keys apart: pseudonyms of two reports can be compared if it is the same.
    pub key_id: String,
}

const PSEUDONYMS: &str = "HMAC-SHA-256, first 7 bytes";
/// What stands for a text.
const WITHHELD: &str = "[withheld]";
/// A shorter key could be guessed.
const LEAST_KEY: usize = 16;

static REGION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-z]{2}(-[a-z]{3,9}){1,2}-[0-9]{1,2}$").expect("a fixed pattern"));
/// Permissions of the services that an export uses; anything else that looks like one may be a name.
static PERMISSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        "^(?:s3|sts|kms|iam|genesyscloud|recording|interaction|conversation|analytics|quality|routing|oauth|authorization)\
         (?::[A-Za-z*]{1,40}){1,3}$",
    )
    .expect("a fixed pattern")
});
const MEDIA: [&str; 13] = [
    "webrtc",
    "voice",
    "call",
    "callback",
    "chat",
    "email",
    "screen",
    "screenshare",
    "message",
    "messaging",
    "sms",
    "video",
    "social",
];

/// What replaces values.
pub struct Veil {
    mac: Hmac<Sha256>,
    /// Texts that may be seen.
    keep: BTreeSet<String>,
    steps: BTreeSet<String>,
    permissions: BTreeSet<String>,
}

impl Veil {
    /// Reads the key, and the texts that may be seen, one a line; names of steps and permissions in the rules may be seen too.
    ///
    /// # Errors
    /// A file cannot be read, or the key is too short.
    pub fn read(key: &Path, keep: Option<&Path>, pack: &Pack) -> Result<Self> {
        let bytes = std::fs::read(key).map_err(|e| Error::io(key, "reading the key of the pseudonyms", e))?;
        let unusable = |reason: String| Error::Usage { what: key.display().to_string(), reason };
        let secret = bytes.trim_ascii();
        if secret.len() < LEAST_KEY {
            return Err(unusable(format!(
                "a key of {} bytes could be guessed, expected at least {LEAST_KEY}; make one with `openssl rand -hex 32`",
                secret.len()
            )));
        }
        let mac = Hmac::new_from_slice(secret).map_err(|e| unusable(e.to_string()))?;
        let texts =
            keep.map(|path| std::fs::read_to_string(path).map_err(|e| Error::io(path, "reading the texts to keep", e)));
        let keep = texts.transpose()?.unwrap_or_default();
        let operations = || pack.operations.iter();
        let steps = operations().flat_map(|operation| [&operation.name, &operation.step]).cloned();
        Ok(Self {
            mac,
            keep: keep.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            steps: steps.chain(STEPS.map(str::to_owned)).collect(),
            permissions: operations().filter_map(|operation| operation.action.clone()).collect(),
        })
    }

    /// The first bytes of the keyed hash of a value of a kind, hex.
    fn hash(&self, kind: &str, value: &str, digits: usize) -> String {
        let mac = self.mac.clone().chain_update(kind).chain_update([0]).chain_update(value);
        const_hex::encode(mac.finalize().into_bytes())[..digits].to_owned()
    }

    /// The pseudonym of a value: its kind in three letters, and 14 hex digits.
    fn pseudonym(&self, kind: &str, value: &str) -> String {
        format!("{kind}-{}", self.hash(kind, value, 14))
    }

    fn hide(&self, kind: &str, value: &mut Option<String>) {
        if let Some(value) = value {
            *value = self.pseudonym(kind, value);
        }
    }

    /// A value that stays if it is `harmless`.
    fn unless(&self, harmless: bool, kind: &str, value: &str) -> String {
        if harmless { value.to_owned() } else { self.pseudonym(kind, value) }
    }

    fn step(&self, step: &str) -> String {
        self.unless(self.steps.contains(step), "stp", step)
    }

    fn permission(&self, permission: &str) -> String {
        self.unless(self.permissions.contains(permission) || PERMISSION.is_match(permission), "prm", permission)
    }

    fn permissions(&self, list: &str) -> String {
        let all =
            list.split(", ").map(|some| some.split(' ').map(|one| self.permission(one)).collect::<Vec<_>>().join(" "));
        all.collect::<Vec<_>>().join(", ")
    }

    fn source(&self, source: &str) -> String {
        self.unless(source_named(source).is_some(), "src", source)
    }

    fn text(&self, text: &str) -> String {
        if self.keep.contains(text) { text.to_owned() } else { WITHHELD.to_owned() }
    }

    /// The name of a file, also where it is only named.
    fn file(&self, path: &str) -> String {
        self.pseudonym("fil", path)
    }

    /// A record id: a bare hash of a record could be compared with that of a guess.
    fn record(&self, id: &mut String) {
        *id = format!("ev:{}", self.hash("record", id, 16));
    }

    fn failure(&self, report: &mut FailureReport) {
        report.failure_id = format!("f:{}", self.hash("failure", &report.failure_id, 12));
        self.hide("job", &mut report.job_id);
        self.hide("cnv", &mut report.conversation_id);
        self.hide("rec", &mut report.recording_id);
        self.hide("key", &mut report.object_key);
        self.hide("bkt", &mut report.bucket);
        self.hide("per", &mut report.principal);
        self.hide("ten", &mut report.tenant_id);
        report.region = report.region.take().map(|region| self.unless(REGION.is_match(&region), "reg", &region));
        report.media_type =
            report.media_type.take().map(|media| self.unless(MEDIA.contains(&media.as_str()), "med", &media));
        report.step = self.step(&report.step);
        for permission in &mut report.missing_permissions {
            *permission = self.permission(permission);
        }
        report.evidence.iter_mut().flat_map(|evidence| &mut evidence.records).for_each(|id| self.record(id));
    }

    fn entry(&self, entry: &mut FileEntry) {
        entry.path = self.file(&entry.path).into();
        entry.container = entry.container.take().map(|container| self.file(&container).into());
        if let Some((mapped, name)) = entry.format.split_once(':').filter(|(mapped, _)| *mapped == MAPPED) {
            entry.format = format!("{mapped}:{}", self.pseudonym("map", name)).into();
        }
        let rejects = std::mem::take(&mut entry.rejects).into_iter();
        entry.rejects.extend(rejects.map(|reject| Reject { reason: self.text(&reject.reason), ..reject }));
        // Ids, cursors and addresses of pages.
        entry.pages.clear();
    }

    fn gap(&self, gap: &mut Gap) {
        gap.source = self.source(&gap.source);
        self.hide("job", &mut gap.job_id);
        gap.detail = self.text(&gap.detail);
        gap.records.iter_mut().for_each(|id| self.record(id));
    }

    fn clock(&self, clock: &mut ClockOffset) {
        clock.source = self.source(&clock.source);
        clock.against = self.source(&clock.against);
    }

    fn coverage(&self, coverage: &mut Coverage) {
        coverage.files.iter_mut().for_each(|entry| self.entry(entry));
        coverage.gaps.iter_mut().for_each(|gap| self.gap(gap));
        coverage.clocks.iter_mut().for_each(|clock| self.clock(clock));
        for superseded in &mut coverage.superseded {
            superseded.file = self.file(&superseded.file);
            let ids = [&mut superseded.record_id, &mut superseded.superseded_by];
            ids.into_iter().flatten().for_each(|id| self.record(id));
        }
        for note in coverage.skipped.iter_mut().chain(&mut coverage.unreadable) {
            *note = self.text(note);
        }
    }
}

impl Wording for Veil {
    fn value<'v>(&self, placeholder: &str, value: &'v str) -> Cow<'v, str> {
        match placeholder {
            // The program's own words.
            "policy_decision" | "policy_gap" | "policy_origin" | "trust_decision" | "key_decision" => value.into(),
            "step" | "last_step" => self.step(value).into(),
            "principal" | "aws_caller" => self.pseudonym("per", value).into(),
            "bucket" => self.pseudonym("bkt", value).into(),
            "tenant_id" => self.pseudonym("ten", value).into(),
            "job_id" => self.pseudonym("job", value).into(),
            "object_key" => self.pseudonym("key", value).into(),
            "missing_permissions"
            | "named_permissions"
            | "refused_action"
            | "missing_scopes"
            | "revoked"
            | "granted" => self.permissions(value).into(),
            _ => self.text(value).into(),
        }
    }
}

/// As [`super::analyze`], redacted.
///
/// # Errors
/// As [`super::analyze`].
pub fn analyze_redacted(
    paths: &[String],
    options: Options<'_>,
    rules: &RuleText,
    selection: &Selection,
    progress: &dyn Progress,
    veil: &Veil,
) -> Result<Analysis> {
    let evidence = Evidence::read(paths, options, rules, progress)?;
    let counted = &mut Summary::new(&evidence);
    let (failures, _) = failure::reports(&evidence, &rules.pack, selection, counted, Some(veil), &mut |_| Ok(()))?;
    let failures = failures.amended("", |report| veil.failure(report))?;
    let unredacted = analyze_evidence(evidence, rules, selection)?;
    let redaction = Redaction {
        unredacted_sha256: digest(&unredacted)?.to_string(),
        pseudonyms: PSEUDONYMS,
        key_id: veil.hash("key", "", 16),
    };
    let mut analysis = Analysis { failures, redaction: Some(redaction), ..unredacted };
    veil.coverage(&mut analysis.coverage);
    for entry in &mut analysis.manifest {
        entry.path = veil.file(&entry.path).into();
    }
    for mapping in &mut analysis.rules.mappings {
        mapping.name = veil.pseudonym("map", &mapping.name);
    }
    Ok(analysis)
}

/// The SHA-256 of the report as JSON.
fn digest(analysis: &Analysis) -> Result<Digest> {
    let mut out = BufWriter::new(Hashing(Sha256::new()));
    analysis.write_json(&mut out)?;
    let hashing = out.into_inner().map_err(|e| Error::Output(e.to_string()))?;
    Ok(Digest(hashing.0.finalize().into()))
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
