//! The table of single requests: what AWS's published logic says, through the real binary.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::{Case, root, run};

#[derive(Deserialize)]
struct Table {
    names: std::collections::BTreeMap<String, String>,
    case: Vec<Row>,
}

/// One row; see the head of tests/fixtures/policy-cases.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    rule: String,
    principal: Option<String>,
    action: Option<String>,
    resource_arn: Option<String>,
    resource_account: Option<String>,
    canonical_user: Option<String>,
    context: Option<String>,
    #[serde(default)]
    strict: bool,
    condition: Option<String>,
    resource: Option<String>,
    identity: Option<String>,
    boundary: Option<String>,
    session: Option<String>,
    scp: Option<String>,
    rcp: Option<String>,
    endpoint: Option<String>,
    expect: String,
    policy: Option<String>,
    statement: Option<String>,
    missing: Option<Vec<String>>,
}

fn table() -> Table {
    let path = root().join("tests/fixtures/policy-cases.toml");
    let text = std::fs::read_to_string(path).expect("the table");
    toml::from_str(&text).expect("a table")
}

/// `text` with every `@name` replaced.
fn named(text: &str, table: &Table) -> String {
    let mut parts = text.split('@');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        whole += table.names.get(&part[..end]).unwrap_or_else(|| panic!("no name @{}", &part[..end]));
        whole += &part[end..];
    }
    whole
}

/// A policy: a list of statements, filled in, or a document as it is.
fn policy(value: Value, with_principal: bool, table: &Table) -> Value {
    let Value::Array(statements) = value else { return value };
    let fill = |statement: Value| {
        let Value::Object(mut statement) = statement else { panic!("a statement is an object") };
        let mut put = |name: &str, value: Value| {
            statement.entry(name).or_insert(value);
        };
        put("Effect", json!("Allow"));
        put("Action", json!("s3:PutObject"));
        put("Resource", json!("arn:aws:s3:::exports/*"));
        if with_principal {
            put("Principal", json!({ "AWS": table.names["role"] }));
        }
        Value::Object(statement.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
    };
    json!({ "Version": "2012-10-17", "Statement": statements.into_iter().map(fill).collect::<Vec<_>>() })
}

fn list(value: Value) -> Vec<Value> {
    let Value::Array(items) = value else { panic!("a list") };
    items
}

/// Writes the row's files and gives the arguments that name them.
fn arguments(row: &Row, table: &Table, case: &Case) -> Vec<String> {
    let json = |text: &String| -> Value { serde_json::from_str(&named(text, table)).expect(&row.rule) };
    let default = |given: &Option<String>, name: &str| {
        given.as_ref().map_or_else(|| table.names[name].clone(), |text| named(text, table))
    };
    let mut request = json!({
        "principal": default(&row.principal, "session"),
        "action": row.action.as_deref().unwrap_or("s3:PutObject"),
        "resource": default(&row.resource_arn, "object"),
        "resource_account": default(&row.resource_account, "account"),
        "context": row.context.as_ref().map_or_else(|| json!({}), json),
    });
    if row.resource_account.as_deref() == Some("") {
        request["resource_account"] = Value::Null;
    }
    if let Some(id) = &row.canonical_user {
        request["canonical_user"] = json!(id);
    }
    let mut found = vec!["policy".to_owned(), "--format".to_owned(), "json".to_owned()];
    let mut add = |option: &str, value: &Value| {
        let name = format!("{option}-{}.json", found.len());
        case.write(&name, value.to_string());
        found.extend([format!("--{option}"), name]);
    };
    add("request", &request);
    if let Some(condition) = &row.condition {
        add("resource-policy", &policy(json!([{ "Condition": json(condition) }]), true, table));
    }
    if let Some(text) = &row.resource {
        add("resource-policy", &policy(json(text), true, table));
    }
    if let Some(text) = &row.session {
        add("session", &policy(json(text), false, table));
    }
    for (option, texts, with_principal) in
        [("identity", &row.identity, false), ("boundary", &row.boundary, false), ("endpoint", &row.endpoint, true)]
    {
        for value in texts.iter().flat_map(|text| list(json(text))) {
            add(option, &policy(value, with_principal, table));
        }
    }
    for (option, levels, with_principal) in [("scp", &row.scp, false), ("rcp", &row.rcp, true)] {
        for level in levels.iter().flat_map(|text| list(json(text))) {
            let level = list(level).into_iter().map(|value| policy(value, with_principal, table)).collect();
            add(option, &Value::Array(level));
        }
    }
    if row.strict {
        found.push("--strict".to_owned());
    }
    found
}

/// What is wrong with the answer to a row.
fn wrong(row: &Row, table: &Table) -> Option<String> {
    let case = Case::new();
    let arguments = arguments(row, table, &case);
    let run = run(case.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    if run.status != 0 {
        return Some(format!("{}: {}", row.rule, run.stderr));
    }
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let decided = &answer["decided_by"];
    let differs =
        |given: &Option<String>, found: &Value| given.as_ref().is_some_and(|given| found.as_str() != Some(given));
    let is_wrong = answer["decision"] != row.expect
        || differs(&row.policy, &decided["policy"])
        || differs(&row.statement, &decided["statement"])
        || row.missing.as_ref().is_some_and(|missing| answer["missing_keys"] != json!(missing));
    is_wrong.then(|| format!("{}: expected {}\n    {answer}", row.rule, row.expect))
}

#[test]
fn every_request_of_the_table_is_decided_as_published() {
    let table = table();
    assert!(table.case.len() >= 300, "{} cases", table.case.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(row) = table.case.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(wrong(row, &table));
        }
        found
    };
    let found: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(found.is_empty(), "{} of {} are wrong:\n{}", found.len(), table.case.len(), found.join("\n"));
}

#[test]
fn every_rule_of_the_table_is_named_once() {
    let mut rules: Vec<String> = table().case.into_iter().map(|row| row.rule).collect();
    let all = rules.len();
    rules.sort();
    rules.dedup();
    assert_eq!(rules.len(), all);
}
