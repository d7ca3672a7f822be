//! Properties of policy evaluation, over policies and requests made at random.

use holdtrace::classify::Decision;
use holdtrace::classify::policy::{Answer, Attached, Kind, Policies, Question, evaluate};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const PRINCIPALS: [&str; 6] = [
    "arn:aws:sts::111122223333:assumed-role/Export/session",
    "arn:aws:iam::111122223333:user/ada",
    "arn:aws:sts::444455556666:assumed-role/Export/session",
    "arn:aws:iam::111122223333:root",
    "logging.s3.amazonaws.com",
    "anonymous",
];

/// Condition keys with values that requests may have, and those that policies compare them with.
const KEYS: [(&str, &[&str], &[&str]); 5] = [
    ("s3:x-amz-acl", &["private", "public-read", ""], &["private", "pub*", "${aws:PrincipalTag/team}"]),
    ("aws:PrincipalTag/team", &["legal", "private"], &["legal", "${s3:x-amz-acl}", "l?gal"]),
    ("aws:SourceIp", &["10.1.2.3", "192.0.2.1"], &["10.0.0.0/8", "192.0.2.1"]),
    ("aws:SecureTransport", &["true", "false"], &["true", "false"]),
    ("s3:max-keys", &["1", "10", "100"], &["10", "50"]),
];

const OPERATORS: [&[&str]; 5] = [
    &["StringEquals", "StringNotEquals", "StringLike", "StringNotLikeIfExists", "ForAllValues:StringLike", "Null"],
    &["StringEqualsIgnoreCase", "ForAnyValue:StringEquals", "StringEqualsIfExists", "Null"],
    &["IpAddress", "NotIpAddress", "IpAddressIfExists"],
    &["Bool", "BoolIfExists", "Null"],
    &["NumericLessThan", "NumericNotEquals", "NumericGreaterThanEqualsIfExists", "ForAnyValue:NumericEquals"],
];

fn condition() -> impl Strategy<Value = (String, String, Value)> {
    (0usize..5).prop_flat_map(|key| {
        let (name, _, compared) = KEYS[key];
        (select(OPERATORS[key]), proptest::collection::vec(select(compared), 1..3)).prop_map(
            move |(operator, values)| {
                let values = if operator == "Null" { json!((values.len() == 1).to_string()) } else { json!(values) };
                (operator.to_owned(), name.to_owned(), values)
            },
        )
    })
}

fn statement(kind: Kind) -> impl Strategy<Value = Value> {
    let principals = vec![
        json!("*"),
        json!({ "AWS": "arn:aws:iam::111122223333:role/Export" }),
        json!({ "AWS": "111122223333" }),
        json!({ "AWS": ["444455556666", "arn:aws:iam::111122223333:user/ada"] }),
        json!({ "Service": "logging.s3.amazonaws.com" }),
    ];
    let actions = select(vec![json!("s3:PutObject"), json!("*"), json!("s3:Get*"), json!(["s3:P*", "s3:GetObject"])]);
    let resources = select(vec![
        json!("*"),
        json!("arn:aws:s3:::exports/*"),
        json!("arn:aws:s3:::exports/${aws:PrincipalTag/team}/*"),
        json!(["arn:aws:s3:::other/*", "arn:aws:s3:::exports/legal/?ile"]),
    ]);
    let nots = (any::<bool>(), 0..8u8, 0..8u8, 0..8u8);
    (nots, select(principals), actions, resources, proptest::collection::vec(condition(), 0..3)).prop_map(
        move |((allow, not_principal, not_action, not_resource), principal, action, resource, conditions)| {
            let mut statement = Map::new();
            let mut put = |name: &str, not: bool, value: Value| {
                statement.insert(if not { format!("Not{name}") } else { name.to_owned() }, value);
            };
            put("Effect", false, json!(if allow { "Allow" } else { "Deny" }));
            put("Action", not_action == 0, action);
            put("Resource", not_resource == 0, resource);
            if matches!(kind, Kind::Resource | Kind::Rcp | Kind::Endpoint) {
                put("Principal", not_principal == 0, principal);
            }
            let mut block = Map::new();
            for (operator, key, values) in conditions {
                block.entry(operator).or_insert_with(|| json!({}))[key] = values;
            }
            put("Condition", false, Value::Object(block));
            Value::Object(statement)
        },
    )
}

/// A policy of a kind, of up to three statements, and its place among the levels of an organisation.
fn policy() -> impl Strategy<Value = (Kind, usize, Vec<Value>)> {
    let kinds =
        vec![Kind::Resource, Kind::Resource, Kind::Identity, Kind::Identity, Kind::Boundary, Kind::Session, Kind::Scp];
    (select(kinds), 0usize..2)
        .prop_flat_map(|(kind, level)| (Just(kind), Just(level), proptest::collection::vec(statement(kind), 1..4)))
}

/// Policies of an evaluation; at most one of each kind that there is one of.
fn policies() -> impl Strategy<Value = Vec<(Kind, usize, Vec<Value>)>> {
    proptest::collection::vec(policy(), 1..5).prop_map(|found| {
        let mut kept: Vec<(Kind, usize, Vec<Value>)> = Vec::new();
        for (kind, level, statements) in found {
            let single = matches!(kind, Kind::Resource | Kind::Session);
            if !(single && kept.iter().any(|(other, ..)| *other == kind)) {
                kept.push((kind, level, statements));
            }
        }
        kept
    })
}

/// For each key: not given, absent, one value or two.
fn context() -> impl Strategy<Value = Vec<Option<Vec<usize>>>> {
    proptest::collection::vec(proptest::option::of(proptest::collection::vec(0usize..3, 0..3)), KEYS.len())
}

fn ask(principal: &str, context: &[Option<Vec<usize>>]) -> Question {
    let mut given = Map::new();
    for ((key, values, _), chosen) in KEYS.iter().zip(context) {
        if let Some(chosen) = chosen {
            given.insert((*key).to_owned(), chosen.iter().map(|n| json!(values[n % values.len()])).collect());
        }
    }
    let request = json!({ "principal": principal, "action": "s3:PutObject", "resource": "arn:aws:s3:::exports/legal/file",
        "resource_account": "111122223333", "context": given });
    Question::parse(request.to_string().as_bytes()).expect("a request")
}

fn answer(question: &Question, policies: &[(Kind, usize, Vec<Value>)], strict: bool) -> Answer {
    let attached = policies.iter().map(|(kind, level, statements)| Attached {
        kind: *kind,
        level: *level,
        origin: kind.name().to_owned(),
        record: None,
        since: None,
        changed_by: None,
        body: json!({ "Version": "2012-10-17", "Statement": statements }),
    });
    let scp_levels = policies.iter().filter(|(kind, ..)| *kind == Kind::Scp).map(|(_, level, _)| level + 1).max();
    let policies =
        Policies { attached: attached.collect(), scp_levels: scp_levels.unwrap_or(0), ..Policies::default() };
    evaluate(question, &policies, strict, None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_deny_never_makes_an_allow(
        principal in select(&PRINCIPALS[..]), context in context(), policies in policies(), place in any::<prop::sample::Index>(),
        deny in statement(Kind::Resource), strict in any::<bool>(),
    ) {
        let question = ask(principal, &context);
        let before = answer(&question, &policies, strict);
        let mut more = policies.clone();
        let (kind, _, statements) = &mut more[place.index(policies.len())];
        let mut deny = deny;
        deny["Effect"] = json!("Deny");
        if !matches!(kind, Kind::Resource) {
            deny.as_object_mut().expect("an object").retain(|name, _| !name.ends_with("Principal"));
        }
        statements.push(deny);
        let after = answer(&question, &more, strict);
        if !before.possible.contains(&Decision::Allow) {
            prop_assert!(!after.possible.contains(&Decision::Allow), "{before:?}\n{after:?}");
        }
        if before.decision == Decision::ExplicitDeny {
            prop_assert_eq!(after.decision, Decision::ExplicitDeny);
        }
    }

    #[test]
    fn the_order_of_statements_and_policies_does_not_matter(
        principal in select(&PRINCIPALS[..]), context in context(), policies in policies(), strict in any::<bool>(),
    ) {
        let question = ask(principal, &context);
        let mut turned = policies.clone();
        turned.reverse();
        for (.., statements) in &mut turned {
            statements.reverse();
        }
        let (one, other) = (answer(&question, &policies, strict), answer(&question, &turned, strict));
        prop_assert_eq!((one.decision, one.missing_keys, one.possible), (other.decision, other.missing_keys, other.possible));
    }

    #[test]
    fn with_all_keys_given_strictness_does_not_matter(
        principal in select(&PRINCIPALS[..]), context in context(), policies in policies(),
    ) {
        let complete: Vec<_> = context.into_iter().map(|chosen| Some(chosen.unwrap_or_default())).collect();
        let question = ask(principal, &complete);
        let (open, strict) = (answer(&question, &policies, false), answer(&question, &policies, true));
        prop_assert_ne!(open.decision, Decision::Undetermined);
        prop_assert_eq!((open.decision, open.decided_by), (strict.decision, strict.decided_by));
    }

    #[test]
    fn whatever_the_missing_keys_are_the_answer_is_one_that_was_possible(
        principal in select(&PRINCIPALS[..]), context in context(), completion in context(), policies in policies(),
    ) {
        let open = answer(&ask(principal, &context), &policies, false);
        let mut completed: Vec<_> =
            context.iter().zip(completion).map(|(given, other)| Some(given.clone().or(other).unwrap_or_default())).collect();
        // Who is no user and no role has no tags, which is known without being told.
        if !principal.starts_with("arn:") && context[1].is_none() {
            completed[1] = Some(Vec::new());
        }
        let complete = answer(&ask(principal, &completed), &policies, false);
        prop_assert!(open.possible.contains(&complete.decision), "{open:?}\n{complete:?}");
        prop_assert_eq!(open.decision == Decision::Undetermined, open.possible.len() > 1);
        prop_assert_eq!(open.decision == Decision::Undetermined, !open.missing_keys.is_empty());
        // Keys that are not named change nothing.
        let named = |key: &str| open.missing_keys.iter().any(|missing| missing.eq_ignore_ascii_case(key));
        if open.decision == Decision::Undetermined {
            let strictly = answer(&ask(principal, &context), &policies, true);
            prop_assert!(open.possible.contains(&strictly.decision));
            prop_assert!(KEYS.iter().zip(&context).any(|((key, ..), given)| given.is_none() && named(key)));
        }
    }
}
