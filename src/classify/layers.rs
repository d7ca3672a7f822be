//! Rule packs in layers: the built-in one, the site's, the case's. A later layer adds, changes and switches off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use toml::{Table, Value};

use super::pack::{DEFAULT_PACK, Pack, Rule};
use crate::error::{Error, Result};
use crate::evidence::Digest;

/// A pack as it was read, before it is laid over others.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub text: &'a str,
    /// What errors call it.
    pub origin: &'a str,
}

/// The pack that is built in.
pub const BUILT_IN: Source<'static> = Source { text: DEFAULT_PACK, origin: "the built-in rule pack" };

/// A layer as reports name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Layer {
    pub name: String,
    pub version: String,
    /// Of its text.
    pub sha256: String,
    #[serde(skip)]
    pub text: Arc<str>,
}

impl Layer {
    /// The layer that a text is.
    #[must_use]
    pub fn new(name: String, version: String, text: &str) -> Self {
        Self { name, version, sha256: Digest::of(text.as_bytes()).to_string(), text: text.into() }
    }
}

/// Layers that have become one pack.
#[derive(Clone, Debug)]
pub struct Layered {
    /// Not checked yet.
    pub pack: Pack,
    pub layers: Vec<Layer>,
    /// By rule, the layers that speak of it.
    pub of_rule: BTreeMap<String, Vec<usize>>,
}

const LISTS: [&str; 5] = ["operation", "requirement", "rule", "remedy", "next_evidence"];

/// Lays packs over each other, the first at the bottom.
///
/// # Errors
/// A text is no pack, or a layer changes a rule into something that is none. The sentence names the layer and the rule.
pub fn layered(sources: &[Source<'_>]) -> Result<Layered> {
    let mut all = Table::new();
    let mut found = Layered { pack: Pack::built_in()?, layers: Vec::new(), of_rule: BTreeMap::new() };
    for source in sources {
        let fail = |reason: String| Error::RulePack { origin: source.origin.to_owned(), reason };
        let mut layer: Table = toml::from_str(source.text).map_err(|e| fail(e.to_string().trim().to_owned()))?;
        let head = head(&mut layer, source.text).map_err(fail)?;
        if head.alone {
            all = Table::new();
            found.layers.clear();
            found.of_rule.clear();
        }
        for id in rule_ids(&layer).map_err(fail)? {
            found.of_rule.entry(id).or_default().push(found.layers.len());
        }
        found.layers.push(head.layer);
        lay(&mut all, layer).map_err(fail)?;
    }
    name(&mut all, &found.layers);
    let origin = sources.last().map_or(BUILT_IN.origin, |source| source.origin);
    found.pack = Pack::of(all, origin)?;
    Ok(found)
}

/// The digest of several layers: of one, its own; else of their digests, one a line.
#[must_use]
pub fn digest(layers: &[Layer]) -> String {
    if let [one] = layers {
        return one.sha256.clone();
    }
    let lines: Vec<&str> = layers.iter().flat_map(|layer| [&layer.sha256, "\n"]).collect();
    Digest::of(lines.concat().as_bytes()).to_string()
}

struct Head {
    layer: Layer,
    /// Whether nothing of the layers below counts.
    alone: bool,
}

/// Takes from a layer what is only about itself.
fn head(layer: &mut Table, text: &str) -> std::result::Result<Head, String> {
    for key in layer.keys() {
        if key != "pack" && !LISTS.contains(&key.as_str()) {
            return Err(format!("unknown field `{key}`, expected `pack` or one of `{}`", LISTS.join("`, `")));
        }
    }
    let Some(Value::Table(pack)) = layer.get_mut("pack") else {
        return Err("`[pack]` with the `name` and `version` of the pack is missing".to_owned());
    };
    let alone = match pack.remove("alone") {
        None => false,
        Some(Value::Boolean(alone)) => alone,
        Some(_) => return Err("`alone` in `[pack]` is true or false".to_owned()),
    };
    let mut taken = |key: &str| match pack.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!("`{key}` in `[pack]` is missing, or no text")),
    };
    let (name, version) = (taken("name")?, taken("version")?);
    Ok(Head { layer: Layer::new(name, version, text), alone })
}

/// The joined layers go by the names of all.
fn name(all: &mut Table, layers: &[Layer]) {
    let joined = |of: fn(&Layer) -> &str| layers.iter().map(of).collect::<Vec<_>>().join(" + ");
    if let Value::Table(pack) = all.entry("pack").or_insert_with(|| Value::Table(Table::new())) {
        pack.insert("name".to_owned(), Value::String(joined(|layer| &layer.name)));
        pack.insert("version".to_owned(), Value::String(joined(|layer| &layer.version)));
    }
}

fn rule_ids(layer: &Table) -> std::result::Result<BTreeSet<String>, String> {
    let mut ids = BTreeSet::new();
    for (n, rule) in tables(layer, "rule").into_iter().enumerate() {
        let id = text(rule, "id").ok_or_else(|| format!("rule {}: `id` is missing, or no text", n + 1))?;
        if !ids.insert(id.to_owned()) {
            return Err(format!("rule `{id}`: the id is used twice"));
        }
    }
    Ok(ids)
}

fn tables<'a>(of: &'a Table, list: &str) -> Vec<&'a Table> {
    let values = of.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    values.iter().filter_map(Value::as_table).collect()
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

/// Lays one layer over what is below it.
fn lay(below: &mut Table, layer: Table) -> std::result::Result<(), String> {
    for (key, value) in layer {
        match (below.get_mut(&key), value) {
            (None, value) => {
                if key == "rule" {
                    value.as_array().into_iter().flatten().try_for_each(is_rule)?;
                }
                below.insert(key, value);
            }
            (Some(Value::Table(pack)), Value::Table(more)) => pack.extend(more),
            (Some(Value::Array(list)), Value::Array(more)) => match key.as_str() {
                "rule" => change_rules(list, more)?,
                "operation" => replace(list, more, &["name"]),
                "requirement" => replace(list, more, &["step"]),
                _ => replace(list, more, &["id", "mechanism"]),
            },
            (_, value) => return Err(format!("`{key}` must be a list of tables, not {}", value.type_str())),
        }
    }
    Ok(())
}

fn is_rule(rule: &Value) -> std::result::Result<(), String> {
    let id = rule.as_table().and_then(|rule| text(rule, "id")).unwrap_or_default().to_owned();
    let read: std::result::Result<Rule, _> = rule.clone().try_into();
    read.map(drop).map_err(|e| format!("rule `{id}`: {}", e.to_string().trim()))
}

/// A rule whose id is known takes the keys that are given, another is added.
fn change_rules(list: &mut Vec<Value>, more: Vec<Value>) -> std::result::Result<(), String> {
    for rule in more {
        let id = rule.as_table().and_then(|rule| text(rule, "id")).map(str::to_owned);
        let known = list.iter_mut().find(|known| known.as_table().and_then(|known| text(known, "id")) == id.as_deref());
        match (known, rule) {
            (Some(Value::Table(known)), Value::Table(rule)) => {
                known.extend(rule);
                is_rule(&Value::Table(known.clone()))?;
            }
            (_, rule) => {
                is_rule(&rule)?;
                list.push(rule);
            }
        }
    }
    Ok(())
}

/// What the layers below say under a name that `more` uses too gives way; a name is the first of `keys` that is there. What has
/// none is added, unless the same is there already.
fn replace(list: &mut Vec<Value>, more: Vec<Value>, keys: &[&str]) {
    let name = |value: &Value| -> Option<String> {
        let table = value.as_table()?;
        keys.iter().find_map(|key| text(table, key)).map(str::to_owned)
    };
    let names: BTreeSet<String> = more.iter().filter_map(name).collect();
    list.retain(|value| name(value).is_none_or(|name| !names.contains(&name)));
    for value in more {
        if name(&value).is_some() || !list.contains(&value) {
            list.push(value);
        }
    }
}
