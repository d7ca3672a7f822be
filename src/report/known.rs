//! JSON in which what is not known is left out, as other formats want it.

use serde_json::Value;

/// The value without nulls, and without lists and objects in which nothing is left.
#[must_use]
pub fn known(value: Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(list) => list.into_iter().map(known).filter(|value| !empty(value)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, known(value)));
            Value::Object(fields.filter(|(_, value)| !empty(value)).collect())
        }
        other => other,
    }
}
