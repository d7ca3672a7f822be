//! The forms in which policies are saved: as they are, and as AWS's commands print them.

use serde_json::Value;

use crate::ingest::policy_value;

/// The policy documents in a value: one, or a list of them.
///
/// # Errors
/// There is none; the text says what was expected.
pub fn documents(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(items) => {
            let each = items.iter().map(documents).collect::<Result<Vec<_>, _>>()?;
            Ok(each.into_iter().flatten().collect())
        }
        // As `describe-vpc-endpoints` prints them.
        Value::Object(object) if object.contains_key("VpcEndpoints") => documents(&object["VpcEndpoints"]),
        other => one(other).map(|policy| vec![policy]).ok_or_else(|| EXPECTED.to_owned()),
    }
}

const EXPECTED: &str = "no policy document; expected JSON with a Statement, or what get-bucket-policy, get-key-policy, \
                        get-role, get-role-policy, get-policy-version, describe-policy or describe-vpc-endpoints print";

/// Members that hold a policy, outermost first.
const HOLDERS: [&str; 7] =
    ["Role", "Policy", "PolicyVersion", "AssumeRolePolicyDocument", "PolicyDocument", "Document", "Content"];

/// A document wrapped at most so often.
const MAX_WRAPPED: usize = 4;

fn one(value: &Value) -> Option<Value> {
    let mut value = policy_value(value)?;
    for _ in 0..MAX_WRAPPED {
        let object = value.as_object()?;
        if object.contains_key("Statement") {
            return Some(value);
        }
        let inner = HOLDERS.iter().find_map(|holder| object.get(*holder))?;
        value = policy_value(inner)?;
    }
    value.get("Statement").is_some().then_some(value)
}
