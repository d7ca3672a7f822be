//! Records laid out like earlier ones, read without parsing them again.
//!
//! Programs write their records member by member in the same order: from one to the next only the values differ. What the
//! JSON reader has accepted is remembered as its layout: the bytes that stand between the values, exactly, and of which kind
//! each value is. A record whose bytes are those of a known layout, with values of these kinds, is JSON as well, and says what
//! the other said in the same places. Any other (escapes, control characters, numbers beyond 15 digits, a member more or
//! less) is left to the JSON reader, so that a layout makes no difference but to speed.

#[cfg(test)]
pub mod tests;
mod walk;

use memchr::memchr;

use walk::Walk;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// As far as its digits are sure to be read alike by everyone.
    Number,
    Bool,
    /// A list of nothing but texts, or an empty one.
    Texts,
    /// Part of the layout: there is nothing to be read.
    Null,
    /// The record ends here.
    End,
}

/// A step on the way from a record to a value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Member(&'a str),
    Element,
}

/// What a reader makes of the value at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<S> {
    /// Nothing.
    Passed,
    /// It stands for this.
    Taken(S),
    /// It cannot tell from the path alone: records like these are left to the JSON reader.
    Unfit,
}

/// Tells what the value of a kind at the end of a path stands for.
pub type Plan<S> = fn(&[Step<'_>], Kind) -> Use<S>;

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<S> {
    pub stands_for: S,
    kind: Kind,
    start: u32,
    end: u32,
}

/// A value, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Text(&'a str),
    Number(&'a str),
    Bool(bool),
    Texts(Texts<'a>),
}

/// The elements of a list of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts<'a>(&'a str);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (_, rest) = self.0.split_once('"')?;
        let (text, rest) = rest.split_once('"')?;
        self.0 = rest;
        Some(text)
    }
}

impl<S> Found<S> {
    /// The value, in the record that it was found in.
    #[must_use]
    pub fn value<'a>(&self, record: &'a str) -> Value<'a> {
        let written = record.get(self.start as usize..self.end as usize).unwrap_or_default();
        match self.kind {
            Kind::Number => Value::Number(written),
            Kind::Bool => Value::Bool(written == "true"),
            Kind::Texts => Value::Texts(Texts(written)),
            Kind::Text | Kind::Null | Kind::End => Value::Text(written),
        }
    }
}

/// The layouts that were met, those that begin alike sharing their beginning.
pub struct Layouts<S> {
    plan: Plan<S>,
    /// The first stands before the records and bears no value.
    nodes: Vec<Node<S>>,
    found: Vec<Found<S>>,
    /// Layouts remembered since one was last met again.
    vain: usize,
}

/// A value, and the bytes between it and the one before it.
struct Node<S> {
    before: Box<[u8]>,
    kind: Kind,
    stands_for: Option<S>,
    /// What may follow.
    next: Vec<usize>,
}

/// Of all layouts together. One that needs more, or more ways on from a value, makes all be forgotten.
const MAX_NODES: usize = 1 << 14;
/// What may follow a value.
const MAX_WAYS: usize = 64;
/// Bytes of a record that is remembered.
const MAX_BYTES: usize = 1 << 16;
/// Where so many layouts were remembered in vain, only one record in [`SELDOM`] is still looked at for its layout.
const ENOUGH: usize = 64;
const SELDOM: usize = 16;

impl<S: Copy> Layouts<S> {
    /// None yet; `plan` tells what the value of a kind at the end of a path stands for.
    #[must_use]
    pub fn new(plan: Plan<S>) -> Self {
        Self { plan, nodes: vec![Node::root()], found: Vec::new(), vain: 0 }
    }

    /// The values in a record, in their order; `None` where it has no layout that is known.
    pub fn read(&mut self, record: &str) -> Option<&[Found<S>]> {
        let bytes = record.as_bytes();
        if self.nodes.len() == 1 || u32::try_from(bytes.len()).is_err() || !is_plain(bytes) {
            return None;
        }
        self.found.clear();
        let (mut node, mut at) = (&self.nodes[0], 0);
        loop {
            let (next, value) = node.next.iter().find_map(|n| {
                let next = &self.nodes[*n];
                let start = at + next.before.len();
                let rest = behind(&next.before, bytes.get(at..)?)?;
                Some((next, start..start + next.kind.length(rest)?))
            })?;
            if next.kind == Kind::End {
                self.vain = 0;
                return Some(&self.found);
            }
            at = value.end;
            if let Some(stands_for) = next.stands_for {
                #[expect(clippy::cast_possible_truncation, reason = "no longer than the record, which was looked at")]
                let (start, end) = (value.start as u32, value.end as u32);
                self.found.push(Found { stands_for, kind: next.kind, start, end });
            }
            node = next;
        }
    }

    /// Remembers the layout of a record that the JSON reader has accepted.
    pub fn learn(&mut self, record: &str) {
        self.vain += 1;
        if self.vain > ENOUGH && !self.vain.is_multiple_of(SELDOM) {
            return;
        }
        if record.len() > MAX_BYTES || !is_plain(record.as_bytes()) {
            return;
        }
        let mut walk = Walk::of(record, self.plan);
        if walk.record().is_none() {
            return;
        }
        let values = walk.values;
        if self.nodes.len() + values.len() > MAX_NODES || !self.add(values) {
            self.nodes = vec![Node::root()];
        }
    }

    /// Whether there was room.
    fn add(&mut self, values: Vec<Node<S>>) -> bool {
        let mut node = 0;
        for value in values {
            let mut ways = self.nodes[node].next.iter();
            let known = ways.find(|n| *self.nodes[**n].before == *value.before && self.nodes[**n].kind == value.kind);
            node = match known {
                Some(known) => *known,
                None if self.nodes[node].next.len() == MAX_WAYS => return false,
                None => {
                    let number = self.nodes.len();
                    self.nodes[node].next.push(number);
                    self.nodes.push(value);
                    number
                }
            };
        }
        true
    }
}

impl<S> Node<S> {
    fn root() -> Self {
        Self { before: Box::default(), kind: Kind::Null, stands_for: None, next: Vec::new() }
    }
}

/// What follows `literal` in `bytes`, if they begin with it. Most are shorter than calling `memcmp` takes.
fn behind<'b>(literal: &[u8], bytes: &'b [u8]) -> Option<&'b [u8]> {
    let (own, rest) = bytes.split_at_checked(literal.len())?;
    let same = match (literal.last_chunk::<8>(), own.last_chunk::<8>()) {
        (Some(a), Some(b)) => a == b && literal.as_chunks::<8>().0.iter().zip(own.as_chunks().0).all(|(a, b)| a == b),
        _ => literal.iter().zip(own).all(|(a, b)| a == b),
    };
    same.then_some(rest)
}

/// Whether texts in a record end at their next quotation mark.
fn is_plain(record: &[u8]) -> bool {
    // In pieces of a length that is known, of which a compiler makes something fast.
    let marks = |found: u8, byte: &u8| found | u8::from(*byte < b' ') | u8::from(*byte == b'\\');
    let (pieces, rest) = record.as_chunks::<32>();
    pieces.iter().all(|piece| piece.iter().fold(0, marks) == 0) && rest.iter().fold(0, marks) == 0
}

impl Kind {
    /// How long the value of this kind is that `rest` begins with, if it does.
    fn length(self, rest: &[u8]) -> Option<usize> {
        match self {
            Self::Text => memchr(b'"', rest),
            Self::Number => number(rest),
            Self::Bool => [&b"true"[..], b"false"].into_iter().find(|word| rest.starts_with(word)).map(<[u8]>::len),
            Self::Texts => texts(rest),
            Self::End => rest.is_empty().then_some(0),
            Self::Null => None,
        }
    }
}

/// What a number is that was found, as any reader would have it.
#[must_use]
pub fn number_of(written: &str) -> f64 {
    let whole = written.parse::<u32>().map(f64::from);
    whole.or_else(|_| written.parse()).unwrap_or(f64::NAN)
}

/// The length of a number without an exponent and with at most 15 digits before its point and after it.
fn number(rest: &[u8]) -> Option<usize> {
    let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(rest.first() == Some(&b'-'));
    let whole = digits(sign);
    let end = sign + whole;
    let zero = rest.get(sign) == Some(&b'0');
    if !(1..=15).contains(&whole) || (zero && (whole > 1 || sign == 1)) {
        return None;
    }
    match rest.get(end) {
        Some(b'.') => {
            let part = digits(end + 1);
            (1..=15).contains(&part).then_some(end + 1 + part)
        }
        _ => Some(end),
    }
}

/// The length of a list of nothing but texts.
fn texts(rest: &[u8]) -> Option<usize> {
    let space = |from: usize| from + rest[from..].iter().take_while(|byte| **byte == b' ').count();
    let mut at = space(rest.starts_with(b"[").then_some(1)?);
    if rest.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    loop {
        let start = (rest.get(at) == Some(&b'"')).then_some(at + 1)?;
        at = space(start + memchr(b'"', &rest[start..])? + 1);
        match rest.get(at)? {
            b']' => return Some(at + 1),
            b',' => at = space(at + 1),
            _ => return None,
        }
    }
}
