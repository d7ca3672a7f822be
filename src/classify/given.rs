//! Feature values written down in a rule pack: an example of a rule, or what a further record would show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::features::{FEATURES, FeatureRow, Kind, Value};

/// Values by feature column; the others stay as they are. For a number, `"{column}"` is the value of another column.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Given(BTreeMap<String, toml::Value>);

impl Given {
    /// Checks names and types.
    ///
    /// # Errors
    /// A column is unknown, or of another type than the value.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in &self.0 {
            let known = FEATURES.iter().find(|(known, ..)| known == name);
            let (_, kind, _) =
                known.ok_or_else(|| format!("`{name}` is no feature column{}", super::pack::suggestion(name)))?;
            let copied =
                other(*kind, value).is_some_and(|of| FEATURES.iter().any(|(known, k, _)| *known == of && k == kind));
            if read(*kind, value).is_none() && !copied {
                return Err(format!("`{name}` is of the type {}, not {}", kind.name(), value.type_str()));
            }
        }
        Ok(())
    }

    /// Puts the values into a row.
    pub fn over(&self, row: &mut FeatureRow) {
        for (name, kind, _) in FEATURES {
            let Some(value) = self.0.get(*name) else { continue };
            let copied = other(*kind, value).and_then(|of| row.get(of).cloned());
            if let Some(value) = read(*kind, value).or(copied) {
                row.set(name, value);
            }
        }
    }

    /// A row with these values, all others unknown.
    #[must_use]
    pub fn row(&self) -> FeatureRow {
        let mut row = FeatureRow::default();
        self.over(&mut row);
        row
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |value: &toml::Value| serde_json::to_string(value).unwrap_or_default();
        let all: Vec<String> = self.0.iter().map(|(name, given)| format!("{name} = {}", value(given))).collect();
        f.write_str(&all.join(", "))
    }
}

/// The column whose value is to be taken.
fn other(kind: Kind, value: &toml::Value) -> Option<&str> {
    let named = value.as_str()?.strip_prefix('{')?.strip_suffix('}');
    named.filter(|_| kind != Kind::Text)
}

fn read(kind: Kind, value: &toml::Value) -> Option<Value> {
    match kind {
        Kind::Int => value.as_integer().map(Value::Int),
        #[expect(clippy::cast_precision_loss, reason = "counts and seconds written down by hand")]
        Kind::Number => value.as_float().or_else(|| value.as_integer().map(|n| n as f64)).map(Value::Number),
        Kind::Bool => value.as_bool().map(Value::Bool),
        Kind::Text => value.as_str().map(|text| Value::Text(text.to_owned())),
    }
}
