//! Layouts against the JSON reader.

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Kind, Layouts, Step, Use, Value, number_of};

/// What a value says, with a hash of its path.
type Said = (u64, String);

fn by_path(path: &[Step<'_>], kind: Kind) -> Use<u64> {
    if kind == Kind::Null { Use::Passed } else { Use::Taken(hash(path)) }
}

fn hash(path: &[Step<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for step in path {
        match step {
            Step::Member(name) => (1u8, name).hash(&mut hasher),
            Step::Element => 0u8.hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn by_layout(layouts: &mut Layouts<u64>, record: &str) -> Option<Vec<Said>> {
    let found = layouts.read(record)?.to_vec();
    let said = found.iter().map(|one| match one.value(record) {
        Value::Text(text) => vec![(one.stands_for, format!("text {text}"))],
        Value::Number(written) => vec![(one.stands_for, format!("number {}", number_of(written)))],
        Value::Bool(value) => vec![(one.stands_for, format!("bool {value}"))],
        Value::Texts(texts) => texts.map(|text| (one.stands_for, format!("in a list {text}"))).collect(),
    });
    Some(said.flatten().collect())
}

/// What the JSON reader finds in a document, in its order.
enum Told {
    Value(String),
    Null,
    List(Vec<Told>),
    Object(Vec<(String, Told)>),
}

struct Teller;

impl<'de> Visitor<'de> for Teller {
    type Value = Told;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Told, E> {
        Ok(Told::Value(format!("text {text}")))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Told, E> {
        Ok(Told::Value(format!("bool {value}")))
    }
    #[expect(clippy::cast_precision_loss, reason = "layouts have no number that long")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Told, E> {
        self.visit_f64(value as f64)
    }
    #[expect(clippy::cast_precision_loss, reason = "layouts have no number that long")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Told, E> {
        self.visit_f64(value as f64)
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Told, E> {
        Ok(Told::Value(format!("number {value}")))
    }
    fn visit_unit<E: Error>(self) -> Result<Told, E> {
        Ok(Told::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Told, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(Told::List(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = map.next_entry()? {
            all.push(one);
        }
        Ok(Told::Object(all))
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Teller)
    }
}

impl Told {
    fn is_text(&self) -> bool {
        matches!(self, Self::Value(said) if said.starts_with("text "))
    }

    fn list<'a>(&'a self, path: &mut Vec<Step<'a>>, said: &mut Vec<Said>) {
        match self {
            Self::Null => {}
            Self::Value(value) => said.push((hash(path), value.clone())),
            Self::List(all) if all.iter().all(Self::is_text) => {
                let mut inside = Vec::new();
                for one in all {
                    one.list(path, &mut inside);
                }
                said.extend(inside.into_iter().map(|(path, one)| (path, one.replacen("text", "in a list", 1))));
            }
            Self::List(all) => {
                path.push(Step::Element);
                for one in all {
                    one.list(path, said);
                }
                path.pop();
            }
            Self::Object(all) => {
                for (name, one) in all {
                    path.push(Step::Member(name));
                    one.list(path, said);
                    path.pop();
                }
            }
        }
    }
}

fn by_json(record: &str) -> Option<Vec<Said>> {
    let told: Told = serde_json::from_str(record).ok()?;
    let mut said = Vec::new();
    told.list(&mut Vec::new(), &mut said);
    Some(said)
}

/// A JSON object of these members, whose values are JSON.
pub fn object(members: &[(impl AsRef<str>, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{}\":{value}", name.as_ref())).collect();
    format!("{{{}}}", members.join(","))
}

/// Documents whose values are `@` for a text, `#` for a number and `?` for a truth value.
fn form() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => Just("@".to_owned()),
        2 => Just("#".to_owned()),
        1 => Just("?".to_owned()),
        1 => Just("null".to_owned()),
        1 => Just("[]".to_owned()),
        1 => Just("[@, @]".to_owned()),
    ];
    let form = leaf.prop_recursive(4, 24, 5, |inner| {
        let member = ("[a-c]{1,3}", inner.clone());
        prop_oneof![
            3 => prop::collection::vec(member, 0..5).prop_map(|members| object(&members)),
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    });
    form.prop_map(|value| format!("{{\"x\":{value},\"y\" : @}}"))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -!#-\\[\\]-~äß€]{0,12}", Just(String::new())].prop_map(|text| format!("\"{text}\""))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof!["0|-?[1-9][0-9]{0,14}", "-?[1-9][0-9]{0,4}\\.[0-9]{1,6}", "0\\.[0-9]{1,15}"]
}

/// The document that a form becomes with some of these values.
fn filled(form: &str, texts: &[String], numbers: &[String], truth: &[bool]) -> String {
    let (mut texts, mut numbers, mut truth) = (texts.iter().cycle(), numbers.iter().cycle(), truth.iter().cycle());
    let each = form.chars().map(|c| match c {
        '@' => texts.next().cloned().unwrap_or_default(),
        '#' => numbers.next().cloned().unwrap_or_default(),
        '?' => truth.next().map(bool::to_string).unwrap_or_default(),
        other => other.to_string(),
    });
    each.collect()
}

/// Numbers that are none, or of which readers may think differently.
fn odd_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?0[0-9]{1,2}",
        "-?0(\\.5)?",
        "[1-9]e[0-9]{1,3}",
        "[0-9]\\.",
        "-",
        "\\+1",
        "[1-9][0-9]{15,22}",
        "\\.5",
        "1\\.[0-9]{16,20}"
    ]
}

prop_compose! {
    fn two_of_one_form(number: impl Strategy<Value = String> + Clone + 'static)(
        form in form(),
        texts in prop::collection::vec(text(), 20),
        numbers in (prop::collection::vec(self::number(), 10), prop::collection::vec(number, 10))
            .prop_map(|(first, second)| [first, second].concat()),
        truth in prop::collection::vec(any::<bool>(), 20),
    ) -> [String; 2] {
        [0, 10].map(|n| filled(&form, &texts[n..n + 10], &numbers[n..n + 10], &truth[n..n + 10]))
    }
}

/// Bytes of which broken or merely unusual JSON is made.
const ODD: &[&str] = &[
    "\"", "\\", ",", ":", "{", "}", "[", "]", "0", "9", ".", "-", "e5", "null", "true", "\u{1}", "\n", " ", "\\u00e4",
    "a", "€",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_record_laid_out_like_one_before_is_read_as_the_json_reader_reads_it([first, second] in two_of_one_form(number().boxed())) {
        let mut layouts = Layouts::new(by_path);
        layouts.learn(&first);
        let names_are_once = layouts.nodes.len() > 1;
        prop_assert_eq!(by_layout(&mut layouts, &second), by_json(&second).filter(|_| names_are_once));
    }

    #[test]
    fn what_a_layout_accepts_is_json_and_says_what_the_json_reader_says(
        records in prop::collection::vec(two_of_one_form(prop_oneof![number(), odd_number()].boxed()), 1..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3usize, prop::sample::select(ODD)), 0..4),
    ) {
        let mut layouts = Layouts::new(by_path);
        for [first, _] in &records {
            layouts.learn(first);
        }
        for [_, record] in &records {
            let mut changed = record.clone();
            for (place, taken, put) in &changes {
                let places: Vec<usize> = changed.char_indices().map(|(n, _)| n).collect();
                let start = place.index(places.len());
                let end = places.get(start + taken).copied().unwrap_or(changed.len());
                changed.replace_range(places[start]..end, put);
            }
            if let Some(said) = by_layout(&mut layouts, &changed) {
                prop_assert_eq!(Some(said), by_json(&changed), "{}", changed);
            }
        }
    }
}

#[test]
fn layouts_beyond_what_is_remembered_are_forgotten_and_those_met_after_are_read() {
    let mut layouts = Layouts::new(by_path);
    for n in 0..100_000 {
        layouts.learn(&format!("{{\"member {n}\":\"a\",\"b\":[{n},\"c\"]}}"));
        assert!(layouts.nodes.len() <= super::MAX_NODES, "{}", layouts.nodes.len());
    }
    // By then only one in some is looked at.
    let met = (0..super::SELDOM).any(|_| {
        layouts.learn("{\"a\":1}");
        layouts.read("{\"a\":2}").is_some()
    });
    assert!(met);
}

#[test]
fn a_member_that_comes_twice_is_left_to_the_json_reader() {
    let mut layouts = Layouts::new(by_path);
    layouts.learn("{\"a\":1,\"a\":2}");
    assert_eq!(layouts.read("{\"a\":1,\"a\":2}"), None);
}
