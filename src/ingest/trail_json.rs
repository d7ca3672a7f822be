//! One record of an export trail that is JSON: its members by their names, those of objects in it by their paths.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::adapter::Refusal;
use super::fold::{Folded, fold};
use super::layouts::{Kind, Layouts, Step, Use};
use super::loose::Loose;
use super::trail_names::{Names, Place, place_of, with_names};
use super::trail_record::{Fields, Raw};

/// Objects nested deeper than this hold no field of a trail.
const MAX_NESTING: u8 = 8;

thread_local! {
    static LAYOUTS: RefCell<Layouts<Place>> = RefCell::new(Layouts::new(stands_for));
}

/// What the value at the end of a path stands for, as [`Members`] would have it.
fn stands_for(path: &[Step<'_>], kind: Kind) -> Use<Place> {
    let names = path.iter().map_while(|step| match step {
        Step::Member(name) => Some(*name),
        Step::Element => None,
    });
    let names: Vec<&str> = names.take(usize::from(MAX_NESTING) + 1).collect();
    let Some(last) = names.last() else { return Use::Passed };
    let within = names.iter().fold(Folded::new(), |within, name| within.join(name));
    match place_of(&within, &fold(last)) {
        None => Use::Passed,
        // Members nested deeper are not looked at; of a list that is not one of texts, what it says is.
        Some(_) if names.len() < path.len() && path[names.len()] == Step::Element => Use::Unfit,
        Some(_) if names.len() < path.len() || names.len() > usize::from(MAX_NESTING) => Use::Passed,
        Some(_) if kind == Kind::Null => Use::Passed,
        Some(place) => Use::Taken(place),
    }
}

/// Reads a record that is laid out like an earlier one.
fn by_layout(text: &str, fields: &mut Fields<'_>) -> bool {
    LAYOUTS.with_borrow_mut(|layouts| {
        let found = layouts.read(text);
        found.into_iter().flatten().for_each(|found| fields.offer_found(found));
        found.is_some()
    })
}

/// Takes the fields of a record that is a JSON object.
pub(super) fn from_json<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Refusal> {
    if !by_layout(text, fields) {
        parse(text, fields)?;
        LAYOUTS.with_borrow_mut(|layouts| layouts.learn(text));
    }
    Ok(())
}

fn parse<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = with_names(|names| {
        Members { fields, names, parent: None, depth: 0 }.deserialize(&mut deserializer)?;
        deserializer.end()
    });
    read.map_err(|e| Refusal::not_json(&e))
}

/// A member by its name and the members it is nested in.
#[derive(Clone, Copy)]
struct Within<'p> {
    parent: Option<&'p Within<'p>>,
    name: &'p str,
}

impl Within<'_> {
    fn path(&self) -> Folded {
        self.parent.map_or_else(Folded::new, Within::path).join(self.name)
    }
}

/// Walks the members of an object, folding nested names into paths.
struct Members<'f, 'p, 'a> {
    fields: &'f mut Fields<'a>,
    names: &'f mut Names,
    parent: Option<&'p Within<'p>>,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut order = 0;
        while let Some(name) = map.next_key_seed(Name)? {
            if self.depth == MAX_NESTING {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let place = match self.parent {
                None => self.names.place(&mut order, &name),
                Some(parent) => place_of(&parent.path().join(&name), &fold(&name)),
            };
            let within = Within { parent: self.parent, name: &name };
            let (fields, names) = (&mut *self.fields, &mut *self.names);
            map.next_value_seed(Member { fields, names, place, within, depth: self.depth })?;
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }
}

/// One member's value: kept if its name is known, descended into if it is an object.
struct Member<'f, 'p, 'a> {
    fields: &'f mut Fields<'a>,
    names: &'f mut Names,
    place: Option<Place>,
    within: Within<'p>,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Member<'_, '_, 'de> {
    fn offer(self, value: Raw<'de>) {
        self.fields.offer(self.place, value);
    }
}

impl<'de> Visitor<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<(), E> {
        self.offer(Raw::Text(Cow::Borrowed(v)));
        Ok(())
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<(), E> {
        self.offer(Raw::Text(Cow::Owned(v.to_owned())));
        Ok(())
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<(), E> {
        self.offer(Raw::Bool(v));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "epoch microseconds stay below 2^53 until the year 2255")]
    fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
        self.offer(Raw::Number(v as f64));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "epoch microseconds stay below 2^53 until the year 2255")]
    fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
        self.offer(Raw::Number(v as f64));
        Ok(())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
        self.offer(Raw::Number(v));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self { fields, names, within, depth, .. } = self;
        Members { fields, names, parent: Some(&within), depth: depth + 1 }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Loose<'de>>()? {
            items.extend(item.take());
        }
        if !items.is_empty() {
            self.offer(Raw::List(items));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fields, LAYOUTS, by_layout, parse};
    use crate::ingest::layouts::tests::object;

    /// A value as JSON, with `@` for what may be different in the next record.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            6 => Just("\"@\""),
            1 => Just("\"\""),
            2 => Just("4@"),
            1 => Just("4@.50"),
            1 => Just("true"),
            1 => Just("null"),
            1 => Just("[]"),
            2 => Just("[\"b@\",\"a\"]"),
            1 => Just("[\"b@\",{\"job\":1},2]"),
            1 => Just("[null]"),
        ]
        .prop_map(str::to_owned);
        leaf.prop_recursive(10, 20, 3, |inner| {
            prop::collection::vec((name(), inner), 0..4).prop_map(|members| object(&members))
        })
    }

    fn name() -> impl Strategy<Value = &'static str> {
        const NAMES: [&str; 12] = [
            "timestamp",
            "ts",
            "job_id",
            "job",
            "jobId",
            "status",
            "http_status",
            "scopes",
            "error",
            "code",
            "x",
            "key",
        ];
        prop::sample::select(&NAMES[..])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_trail_record_says_by_its_layout_what_it_says_as_json(
            members in prop::collection::vec((name(), value()), 0..8),
            first in "[0-9]{1,3}",
            second in "[0-9]{1,3}",
        ) {
            let [first, second] = [first, second].map(|put| object(&members).replace('@', &put));
            LAYOUTS.with_borrow_mut(|layouts| layouts.learn(&first));
            let (mut by, mut parsed) = (Fields::of(&second), Fields::of(&second));
            parse(&second, &mut parsed).expect("a record");
            if by_layout(&second, &mut by) {
                prop_assert_eq!(by.told(), parsed.told(), "{}", second);
            }
        }
    }

    #[test]
    fn the_records_of_a_trail_are_read_by_their_layout() {
        let record = |n: u32| {
            format!(
                "{{\"ts\":\"2026-03-04T02:14:0{n}Z\",\"job_id\":\"j{n}\",\"status\":{n},\"scopes\":[\"a\"],\"e\":null}}"
            )
        };
        LAYOUTS.with_borrow_mut(|layouts| layouts.learn(&record(1)));
        let second = record(2);
        let mut fields = Fields::of(&second);
        assert!(by_layout(&second, &mut fields));
        assert_eq!(fields.told().iter().filter(|said| !said.is_empty()).count(), 4);
    }
}
