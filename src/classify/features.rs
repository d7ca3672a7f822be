//! The columns that rules are written over: one row per failure, every column with its type and meaning.

use std::collections::HashMap;
use std::sync::LazyLock;

use polars::prelude::*;
use rayon::prelude::*;

/// The type of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Number,
    Bool,
    Text,
}

impl Kind {
    /// The name used in the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Number => "number",
            Self::Bool => "boolean",
            Self::Text => "text",
        }
    }

    fn dtype(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Text => DataType::String,
        }
    }
}

/// A feature column: name, type, meaning.
pub type Feature = (&'static str, Kind, &'static str);

/// Every feature, in the order of the frame. Where the evidence does not say, the value is null.
pub const FEATURES: &[Feature] = &[
    ("has_job", Kind::Bool, "the failure belongs to a known export job"),
    ("step", Kind::Text, "step of the first failing attempt"),
    ("last_step", Kind::Text, "step of the last failing attempt"),
    ("attempts", Kind::Int, "failing attempts, each counted once"),
    ("timeouts", Kind::Int, "of these, timeouts"),
    ("forbidden", Kind::Int, "of these, refused with 403"),
    ("unauthorized", Kind::Int, "of these, refused with 401"),
    ("conflicts", Kind::Int, "of these, refused with 409 or 412"),
    ("throttles", Kind::Int, "of these, throttled (429, or 503 SlowDown)"),
    ("server_errors", Kind::Int, "of these, other answers of 500 and above"),
    ("unspecified", Kind::Int, "of these, failed without saying how"),
    ("listed_failed", Kind::Bool, "the platform itself lists the recording, or the job, as failed"),
    ("hold_conflicts", Kind::Int, "conflicts about the hold or the item's metadata, by code or message"),
    ("conditional_conflicts", Kind::Int, "conflicts of two conditional or concurrent writes"),
    ("credential_errors", Kind::Int, "refusals of the credential itself (expired, unknown, wrong signature)"),
    ("span_seconds", Kind::Number, "from the first to the last failing attempt"),
    ("recovered", Kind::Bool, "the item got through the step at last"),
    ("recovery_gap_seconds", Kind::Number, "from the last failing attempt to the one that succeeded"),
    ("recovery_span_seconds", Kind::Number, "from the first failing attempt to the one that succeeded"),
    (
        "change_log_seen",
        Kind::Bool,
        "the evidence holds records of the log in which a change that matters here would stand (CloudTrail for refusals by AWS, audit messages for refusals by the platform)",
    ),
    (
        "gap_overlaps",
        Kind::Bool,
        "it recovered, and records of the time between the last failing attempt and the success are missing, or perhaps missing, in that log",
    ),
    ("gap_detail", Kind::Text, "what is missing"),
    ("named_identity", Kind::Int, "refusals that name an identity-side policy (identity, boundary, session, SCP)"),
    ("named_resource", Kind::Int, "refusals that name a resource-side policy (bucket, RCP, endpoint)"),
    ("named_resource_explicit", Kind::Int, "of these, explicit denies"),
    (
        "named_elsewhere",
        Kind::Int,
        "refusals that name a resource-side policy that is not the bucket's (VPC endpoint, RCP, public access block)",
    ),
    ("named_trust", Kind::Int, "refusals that name a role's trust policy"),
    ("named_key", Kind::Int, "refusals that name a key's policy"),
    ("named_permissions", Kind::Text, "permissions that refusals say are missing"),
    ("named_missing", Kind::Bool, "the caller lacked a permission so named"),
    ("named_not_needed", Kind::Bool, "others got through the step without the permissions so named"),
    ("storage_refused", Kind::Bool, "a call that hands the recording to storage was refused"),
    ("assume_role_refused", Kind::Bool, "a call to assume a role was refused"),
    ("key_refused", Kind::Bool, "a call to a KMS key was refused"),
    ("refused_action", Kind::Text, "the IAM action, or the platform's permission, that was refused, where it is known"),
    ("aws_caller", Kind::Text, "ARN, service or account that called AWS, where it is known"),
    ("scopes_known", Kind::Bool, "the caller's scopes at the first failing attempt are known"),
    ("need_known", Kind::Bool, "the archive's other jobs show what the failing steps need"),
    ("missing_scopes", Kind::Text, "needed scopes that the caller lacked"),
    ("missing_count", Kind::Int, "how many"),
    ("holds_needed", Kind::Bool, "the caller held everything the steps are known to need"),
    (
        "revoked_before",
        Kind::Bool,
        "a scope that the step may need was taken from the caller before it failed, and not given back",
    ),
    ("revoked", Kind::Text, "the scopes so taken"),
    ("hold_scope_held", Kind::Bool, "the caller held a scope to place or lock holds"),
    ("successes_seen", Kind::Int, "jobs with known scopes that got through the failing steps"),
    (
        "policy_decision",
        Kind::Text,
        "the bucket policy in force, replayed: allow, explicit_deny, implicit_deny, undetermined",
    ),
    ("policy_gap", Kind::Text, "what its closest statement lacks: tenant, action, principal, condition, resource"),
    ("policy_detail", Kind::Text, "the deciding statement in words"),
    ("policy_origin", Kind::Text, "where that policy is from: logged change or snapshot"),
    ("trust_decision", Kind::Text, "the role's trust policy in force, replayed"),
    ("trust_detail", Kind::Text, "the deciding statement in words"),
    ("key_decision", Kind::Text, "the key's policy in force, replayed"),
    ("key_detail", Kind::Text, "the deciding statement in words"),
    ("key_prefix_differs", Kind::Bool, "the object key begins with another organization's id than the job's"),
    ("grant_between", Kind::Bool, "the caller was granted something the step may need, between failing and succeeding"),
    ("granted", Kind::Text, "what was granted"),
    ("grant_to_aws_caller", Kind::Bool, "the grant was to the role or user that called AWS"),
    (
        "policy_changed_between",
        Kind::Bool,
        "this bucket's policy changed in between, in a way that matters to the request",
    ),
    (
        "grant_just_before",
        Kind::Bool,
        "it recovered, and such a grant came after a failing attempt and at most two minutes before the last",
    ),
    (
        "policy_changed_just_before",
        Kind::Bool,
        "it recovered, and such a policy change came after a failing attempt and at most two minutes before the last",
    ),
    ("trust_changed_between", Kind::Bool, "the role's trust policy changed in between"),
    ("key_changed_between", Kind::Bool, "the key's policy changed in between"),
    ("credential_between", Kind::Bool, "the caller got a new credential in between"),
    ("ack_between", Kind::Bool, "the hold was not acknowledged before and is when it succeeds"),
    ("hold_synced_between", Kind::Bool, "this conversation's hold finished synchronising in between"),
    ("hold_released_between", Kind::Bool, "the hold on this conversation was lifted in between"),
    (
        "causes_changed",
        Kind::Int,
        "it recovered, and for how many different causes something changed in between that could have helped",
    ),
    ("causes_changed_detail", Kind::Text, "what changed"),
    (
        "did_not_help",
        Kind::Int,
        "changes that could have helped and came more than two minutes before a further failing attempt",
    ),
    ("did_not_help_detail", Kind::Text, "what they were"),
    (
        "nothing_changed",
        Kind::Bool,
        "it recovered, and the evidence holds no change to this caller, bucket, role, key, hold or credential",
    ),
    (
        "changes_unordered",
        Kind::Int,
        "changes that may have helped and lie so near to the last failing attempt or to the one that succeeded that the clocks of their sources do not tell which came first",
    ),
    ("grant_unordered", Kind::Bool, "a grant to the caller is among them"),
    (
        "policy_unordered",
        Kind::Bool,
        "a change of the bucket's, role's or key's policy is among them, or lies so near to the refusal that it is not known which policy was in force",
    ),
    (
        "scopes_unordered",
        Kind::Bool,
        "a scope that the step may need was given to the caller or taken from it so near to the first failing attempt that the clocks do not tell whether it held it",
    ),
    (
        "hold_unordered",
        Kind::Int,
        "failing attempts so near to an end of the hold's synchronising that the clocks do not tell whether they fell into it",
    ),
    (
        "clocks_detail",
        Kind::Text,
        "how far the clocks of the sources that tell of the failure may be apart, where it is known",
    ),
    (
        "disputed",
        Kind::Int,
        "failing attempts of which another source's record of the same request says that they succeeded, or the reverse",
    ),
    ("disputed_detail", Kind::Text, "which source says what of the first of them"),
    ("set_aside", Kind::Int, "changes in between to something else, considered and set aside"),
    ("set_aside_detail", Kind::Text, "what they were"),
    ("hold_known", Kind::Bool, "a hold on this conversation is on record"),
    ("in_hold_window", Kind::Int, "failing attempts between the placing of the hold and the end of its synchronising"),
    (
        "after_open_hold",
        Kind::Int,
        "failing attempts within sync_lag_seconds after the placing of a hold of which no end is on record",
    ),
    ("ack_missing", Kind::Int, "failing attempts whose payload says the hold was not acknowledged"),
    ("ack_demanded", Kind::Int, "failing attempts whose message asks for an acknowledgement"),
    (
        "ack_not_needed",
        Kind::Int,
        "attempts that got through the step on a held conversation with the hold not acknowledged",
    ),
    (
        "sync_lag_seconds",
        Kind::Number,
        "longest time from placing to synchronising a hold in this archive, else the pack's",
    ),
    ("span_over_lag", Kind::Number, "span_seconds as a multiple of that"),
    ("probe_status", Kind::Int, "HTTP status of a direct metadata write by the same caller, afterwards"),
    ("probe_ok", Kind::Bool, "that write succeeded"),
    (
        "probe_elsewhere_ok",
        Kind::Bool,
        "there is none for this item, and one by the same caller for another, within a day, succeeded",
    ),
    (
        "rotated_in_window",
        Kind::Bool,
        "the caller's credential was replaced between the job's start and the last failing attempt",
    ),
    ("errors_after_rotation", Kind::Int, "credential errors after that"),
    ("caller_ok_jobs", Kind::Int, "other jobs in which the same caller got through the last failing step"),
    ("caller_failed_jobs", Kind::Int, "other jobs in which the same caller failed at that step"),
    ("bucket_ok", Kind::Int, "writes to this bucket that succeeded, this item's aside"),
    ("bucket_failed_jobs", Kind::Int, "other jobs that failed to write to this bucket"),
    ("region_hour_failed", Kind::Int, "failing attempts in the same region within the same hour"),
    (
        "role_created_before_seconds",
        Kind::Number,
        "age of the role's trust policy when the role was first refused, where its writing is on record",
    ),
];

/// A feature's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Number(f64),
    Bool(bool),
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::Number(n) => write!(f, "{}", (n * 10.0).round() / 10.0),
            Self::Bool(b) => f.write_str(if *b { "yes" } else { "no" }),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One failure's features.
#[derive(Clone, Debug, Default)]
pub struct FeatureRow(Vec<Option<Value>>);

/// Places of the features in a row, by name.
static PLACES: LazyLock<HashMap<&'static str, usize, foldhash::fast::FixedState>> =
    LazyLock::new(|| FEATURES.iter().enumerate().map(|(place, (name, ..))| (*name, place)).collect());

impl FeatureRow {
    fn put(&mut self, name: &'static str, value: Option<Value>) {
        let (Some(value), Some(place)) = (value, PLACES.get(name)) else {
            debug_assert!(PLACES.contains_key(name), "{name} is documented");
            return;
        };
        if self.0.is_empty() {
            self.0.resize(FEATURES.len(), None);
        }
        self.0[*place] = Some(value);
    }

    /// Sets a count.
    pub fn int(&mut self, name: &'static str, value: impl Into<Option<i64>>) {
        self.put(name, value.into().map(Value::Int));
    }

    /// Sets a count of things held in memory.
    pub fn count(&mut self, name: &'static str, value: usize) {
        self.int(name, i64::try_from(value).ok());
    }

    /// Sets a number.
    pub fn number(&mut self, name: &'static str, value: Option<f64>) {
        self.put(name, value.map(Value::Number));
    }

    /// Sets a yes or no.
    pub fn flag(&mut self, name: &'static str, value: impl Into<Option<bool>>) {
        self.put(name, value.into().map(Value::Bool));
    }

    /// Sets a text; empty is unknown.
    pub fn text(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        self.put(name, value.map(Into::into).filter(|t: &String| !t.is_empty()).map(Value::Text));
    }

    /// Sets a feature by its name, if it is one.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Some((known, ..)) = FEATURES.iter().find(|(known, ..)| *known == name) {
            self.put(known, Some(value));
        }
    }

    /// A feature's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(*PLACES.get(name)?)?.as_ref()
    }

    /// Whether a boolean feature is true.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    /// A text feature.
    #[must_use]
    pub fn str(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// The frame of `rows`, one column per feature.
///
/// # Errors
/// Never for rows made by [`FeatureRow`].
pub fn frame(rows: &[&FeatureRow]) -> PolarsResult<DataFrame> {
    let column = |(place, (name, kind, _)): (usize, &Feature)| -> PolarsResult<Column> {
        let values: Vec<AnyValue<'_>> = rows
            .iter()
            .map(|row| match row.0.get(place).and_then(Option::as_ref) {
                None => AnyValue::Null,
                Some(Value::Int(n)) => AnyValue::Int64(*n),
                Some(Value::Number(n)) => AnyValue::Float64(*n),
                Some(Value::Bool(b)) => AnyValue::Boolean(*b),
                Some(Value::Text(text)) => AnyValue::String(text),
            })
            .collect();
        Ok(Series::from_any_values_and_dtype((*name).into(), &values, &kind.dtype(), true)?.into())
    };
    let columns: PolarsResult<Vec<Column>> = FEATURES.par_iter().enumerate().map(column).collect();
    DataFrame::new(rows.len(), columns?)
}
