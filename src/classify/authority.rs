//! What a caller was allowed to do when: scopes as of an attempt, and what a step needs, judged by who succeeds at it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use serde_json::Value;

use crate::correlate::{Contrast, IdHash, Look, Outline, Statement};
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::{Change, ChangeKind, Document, DocumentKind, scopes};

/// Scopes held at a time, and the records that say so.
#[derive(Clone, Debug, Default)]
pub struct Held<'h> {
    pub scopes: Cow<'h, BTreeSet<String>>,
    /// The record of the job or of the snapshot that states them.
    pub basis: Option<Locator>,
    /// Grants and revocations applied since.
    pub changes: Vec<Locator>,
}

/// Fewer jobs than this say nothing of what a step needs: their callers' scopes may agree by chance.
pub const ENOUGH_JOBS: usize = 3;
/// One job in this many may get through without a needed scope: a revocation takes a while to reach every server, and
/// what a record states of scopes can be stale.
pub const STRAY_SHARE: usize = 50;

/// What a change gave or took.
#[derive(Default)]
pub struct Given {
    /// Roles replaced by their permissions where they are known.
    pub permissions: BTreeSet<String>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// What happened to a caller's permissions.
pub struct History<'a> {
    /// Grants and revocations, in order of time.
    pub changes: Vec<&'a Change>,
    /// What each of them gave or took.
    given: Vec<Arc<Given>>,
    /// Permissions that the last change on record took, before the first change and after each; once it is asked for, which
    /// only callers of failures are.
    taken: OnceLock<Vec<Arc<BTreeSet<String>>>>,
}

impl History<'_> {
    fn apply(&self, held: &mut Held<'_>, n: usize) {
        self.settle(held, n, self.changes[n].kind == ChangeKind::Grant);
    }

    fn undo(&self, held: &mut Held<'_>, n: usize) {
        self.settle(held, n, self.changes[n].kind != ChangeKind::Grant);
    }

    /// Makes what a change is about held or not; most of many changes make no difference.
    fn settle(&self, held: &mut Held<'_>, n: usize, now: bool) {
        held.changes.push(self.changes[n].at);
        for permission in &self.given[n].permissions {
            match (held.scopes.contains(permission), now) {
                (false, true) => drop(held.scopes.to_mut().insert(permission.clone())),
                (true, false) => drop(held.scopes.to_mut().remove(permission)),
                _ => {}
            }
        }
    }
}

/// Answers questions of authority.
pub struct Authority<'a> {
    pub(super) outline: &'a Outline,
    pub(super) contrast: &'a Contrast,
    changes: &'a [Change],
    /// Grants and revocations by the id they are of, in order of time.
    by_subject: BTreeMap<&'a str, Vec<u32>>,
    clients: BTreeMap<&'a str, &'a Document>,
    roles: BTreeMap<&'a str, &'a Document>,
    /// Display names by id, as audit messages give them.
    names: BTreeMap<&'a str, Vec<&'a str>>,
    /// What changes gave or took, by what they say of it: many say the same.
    given: HashMap<&'a [String], Arc<Given>, foldhash::fast::RandomState>,
    /// What a change gave or took that says nothing of it.
    nothing: Arc<Given>,
    /// Scopes that callers are said to lack at a step, from the rule pack.
    pub(super) candidates: BTreeMap<String, Vec<String>>,
    /// What [`Self::history`] found: callers are asked for again and again.
    histories: RwLock<HashMap<Box<str>, Arc<History<'a>>, foldhash::fast::RandomState>>,
    /// The same by the places of the changes: callers that go by one name have all of them in common.
    alike: Mutex<HashMap<Vec<u32>, Arc<History<'a>>, foldhash::fast::RandomState>>,
}

impl<'a> Authority<'a> {
    /// Indexes what is known of callers.
    #[must_use]
    pub fn new(
        outline: &'a Outline,
        contrast: &'a Contrast,
        changes: &'a [Change],
        documents: &'a [Document],
        candidates: BTreeMap<String, Vec<String>>,
    ) -> Self {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for change in changes {
            if let Some(name) = &change.name {
                names.entry(&change.subject).or_default().push(name);
            }
        }
        for of_one in names.values_mut() {
            of_one.sort_unstable();
            of_one.dedup();
            of_one.shrink_to_fit();
        }
        let of_kind = |kind| {
            let chosen = documents.iter().filter(move |d| d.kind == kind);
            chosen.flat_map(|d| d.subjects.iter().map(move |s| (s.as_str(), d))).collect::<BTreeMap<_, _>>()
        };
        let (clients, roles) = (of_kind(DocumentKind::OAuthClient), of_kind(DocumentKind::Role));
        let mut by_subject: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        let mut given: HashMap<&[String], Arc<Given>, _> = HashMap::default();
        let of_authority = |(_, change): &(u32, &Change)| matches!(change.kind, ChangeKind::Grant | ChangeKind::Revoke);
        for (place, change) in (0..).zip(changes).filter(of_authority) {
            let ids: BTreeSet<&str> =
                std::iter::once(&change.subject).chain(&change.also).map(String::as_str).collect();
            for id in ids {
                by_subject.entry(id).or_default().push(place);
            }
            given.entry(&change.permissions).or_insert_with(|| Arc::new(resolve(&change.permissions, &roles)));
        }
        Self {
            outline,
            contrast,
            changes,
            by_subject,
            clients,
            roles,
            names,
            given,
            nothing: Arc::default(),
            candidates,
            histories: RwLock::default(),
            alike: Mutex::default(),
        }
    }

    /// The ids by which changes may name a caller: itself, its display name, the roles it holds.
    #[must_use]
    pub fn names_of<'b>(&'b self, principal: &'b str) -> BTreeSet<&'b str> {
        let mut names = BTreeSet::from([principal]);
        names.extend(self.names.get(principal).into_iter().flatten());
        if let Some(client) = self.clients.get(principal) {
            names.extend(client.subjects.iter().map(String::as_str));
            names.extend(role_ids(&client.body));
        }
        if let Some((_, name)) = principal.rsplit_once(":role/").or_else(|| principal.rsplit_once(":user/")) {
            names.insert(name.rsplit('/').next().unwrap_or(name));
        }
        if let Some(role) = principal.split_once(":assumed-role/").and_then(|(_, rest)| rest.split('/').next()) {
            names.insert(role);
        }
        names
    }

    /// Grants and revocations of a caller, and what they had taken from it.
    #[must_use]
    pub fn history(&self, principal: &str) -> Arc<History<'a>> {
        if let Some(known) = self.histories.read().unwrap_or_else(PoisonError::into_inner).get(principal) {
            return Arc::clone(known);
        }
        let places = self.find_changes(principal);
        let mut alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        let found = Arc::clone(alike.entry(places).or_insert_with_key(|places| {
            let changes: Vec<&Change> = places.iter().map(|place| self.change(*place)).collect();
            let given = changes.iter().map(|change| Arc::clone(self.permissions_of(change))).collect();
            Arc::new(History { changes, given, taken: OnceLock::new() })
        }));
        drop(alike);
        let mut histories = self.histories.write().unwrap_or_else(PoisonError::into_inner);
        histories.insert(principal.into(), Arc::clone(&found));
        found
    }

    /// What is taken before the first change and after each of `changes`.
    fn find_taken(&self, changes: &[&Change]) -> Vec<Arc<BTreeSet<String>>> {
        let mut taken = vec![Arc::default()];
        for change in changes {
            let mut now: BTreeSet<String> =
                taken.last().map(|before: &Arc<_>| BTreeSet::clone(before)).unwrap_or_default();
            let before = now.len();
            let mut differs = false;
            for permission in &self.permissions_of(change).permissions {
                differs |= match change.kind {
                    ChangeKind::Revoke => now.insert(permission.clone()),
                    _ => now.remove(permission),
                };
            }
            let same = taken.last().filter(|_| !differs && before == now.len()).map(Arc::clone);
            taken.push(same.unwrap_or_else(|| Arc::new(now)));
        }
        taken
    }

    fn change(&self, place: u32) -> &'a Change {
        &self.changes[place as usize]
    }

    /// The places of a caller's grants and revocations, in order of time.
    fn find_changes(&self, principal: &str) -> Vec<u32> {
        let names = self.names_of(principal);
        let mut found: Vec<u32> = names.iter().filter_map(|n| self.by_subject.get(n)).flatten().copied().collect();
        found.sort_by_key(|place| self.change(*place).order());
        found.dedup_by_key(|place| self.change(*place).order());
        found
    }

    /// What `principal` held in `job` at `time`: what the job's records state, or the caller's last statement before, or
    /// a snapshot; with the grants and revocations logged since. `None` where nothing states it.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn held(&self, principal: &str, job: IdHash, time: Option<i64>) -> Result<Option<Held<'_>>> {
        self.held_as_stated(principal, job, time, &mut self.contrast.statements.look())
    }

    /// The same, when it is asked for many, best in order of their jobs' hashes.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn held_as_stated(
        &self,
        principal: &str,
        job: IdHash,
        time: Option<i64>,
        look: &mut Look<'_>,
    ) -> Result<Option<Held<'_>>> {
        let history = self.history(principal);
        let changes = &history.changes;
        if let Some(said) = self.stated(principal, job, time, look)? {
            let scopes = self.contrast.statements.scopes(&said).map(Cow::Borrowed).unwrap_or_default();
            let mut held = Held { scopes, basis: Some(said.at), changes: Vec::new() };
            let (Some(since), Some(time)) = (said.time, time) else { return Ok(Some(held)) };
            let first = changes.partition_point(|c| c.time <= since);
            let last = changes.partition_point(|c| c.time <= time);
            (first..last).for_each(|n| history.apply(&mut held, n));
            return Ok(Some(held));
        }
        Ok(self.held_by_snapshot(principal, &history, time))
    }

    fn held_by_snapshot(&self, principal: &str, history: &History<'_>, time: Option<i64>) -> Option<Held<'_>> {
        let changes = &history.changes;
        let client = self.clients.get(principal)?;
        let mut held =
            Held { scopes: Cow::Owned(self.snapshot_scopes(client)?), basis: Some(client.at), changes: Vec::new() };
        // A snapshot does not say when it was taken. What was changed before the attempt was in force at it either way;
        // what was changed after it is undone.
        if let Some(time) = time {
            let now = changes.partition_point(|c| c.time <= time);
            (now..changes.len()).rev().for_each(|n| history.undo(&mut held, n));
            (0..now).for_each(|n| history.apply(&mut held, n));
        }
        Some(held)
    }

    fn stated(
        &self,
        principal: &str,
        job: IdHash,
        time: Option<i64>,
        look: &mut Look<'_>,
    ) -> Result<Option<Statement>> {
        let mut of_job = look.of_job(job)?;
        of_job.retain(|said| self.outline.symbols.name(said.principal).is_none_or(|p| p == principal));
        if let Some(said) = of_job.iter().rfind(|said| said.time <= time).or_else(|| of_job.first()) {
            return Ok(Some(*said));
        }
        match self.outline.symbols.find(principal).zip(time) {
            Some((principal, time)) => look.last_of(principal, time),
            None => Ok(None),
        }
    }

    fn snapshot_scopes(&self, client: &Document) -> Option<BTreeSet<String>> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        let mut known = false;
        for name in ["scope", "scopes", "permissions"] {
            if let Some(list) = client.body.get(name) {
                known |= !texts(list).is_empty();
                found.extend(texts(list));
            }
        }
        for id in role_ids(&client.body) {
            if let Some(role) = self.roles.get(id) {
                known = true;
                found.extend(role_permissions(&role.body));
            }
        }
        known.then_some(found)
    }

    /// Scopes that the last change on record before `time` took from the caller: it lacked them, whatever else it held.
    #[must_use]
    pub fn taken(&self, principal: &str, time: Option<i64>) -> BTreeSet<String> {
        let history = self.history(principal);
        let past = history.changes.partition_point(|c| Some(c.time) <= time);
        BTreeSet::clone(&history.taken.get_or_init(|| self.find_taken(&history.changes))[past])
    }

    /// What a change gave or took.
    #[must_use]
    pub fn permissions_of(&self, change: &Change) -> &Arc<Given> {
        self.given.get(&*change.permissions).unwrap_or(&self.nothing)
    }

    /// Whether `scope` is one that the rule pack names for `step`.
    #[must_use]
    pub fn is_candidate(&self, step: &str, scope: &str) -> bool {
        self.candidates.get(step).is_some_and(|known| known.iter().any(|c| c == scope))
    }
}

fn resolve(named: &[String], roles: &BTreeMap<&str, &Document>) -> Given {
    let mut given = Given { permissions: BTreeSet::new(), whole: !named.is_empty() };
    for permission in named {
        if let Some(role) = roles.get(permission.as_str()) {
            given.permissions.extend(role_permissions(&role.body));
        } else {
            // A name without colons is a role of which no snapshot tells what it allows.
            given.whole &= permission.contains(':') || permission.contains('*');
            given.permissions.insert(permission.clone());
        }
    }
    given
}

/// Whether `scopes` cover `wanted`; `recording:*:*`, `recording:*` and `*` are wildcards in Genesys permissions.
#[must_use]
pub fn holds(scopes: &BTreeSet<String>, wanted: &str) -> bool {
    scopes.contains(wanted) || scopes.iter().any(|scope| scope.contains('*') && super::policy::wildcard(scope, wanted))
}

fn role_ids(client: &Value) -> Vec<&str> {
    let listed = client.get("roleIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let divisions = client.get("roleDivisions").and_then(Value::as_array).into_iter().flatten();
    listed.chain(divisions.filter_map(|d| d.get("roleId")?.as_str())).collect()
}

/// `domain:entity:action` for every action of every permission policy of a role, and the plain list if there is one.
fn role_permissions(role: &Value) -> Vec<String> {
    let mut found = role.get("permissions").map(texts).unwrap_or_default();
    for policy in role.get("permissionPolicies").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| policy.get(name).and_then(Value::as_str).unwrap_or("*");
        for action in policy.get("actionSet").map(texts).unwrap_or_default() {
            found.push(format!("{}:{}:{action}", part("domain"), part("entityName")));
        }
    }
    found
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => scopes::split(text).map(str::to_owned).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
