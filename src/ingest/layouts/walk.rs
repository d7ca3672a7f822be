//! Finding the layout of a record.

use std::ops::Range;

use memchr::memchr;

use super::{Kind, Node, Plan, Step, Use, texts};

/// Values of a record, members of an object in it, and its longest path, as far as it is remembered.
const MAX_VALUES: usize = 512;
const MAX_MEMBERS: usize = 128;
const MAX_PATH: usize = 32;

/// Goes through a record that is known to be JSON and plain.
pub(super) struct Walk<'t, S> {
    plan: Plan<S>,
    record: &'t str,
    at: usize,
    /// Where the value before ended.
    from: usize,
    path: Vec<Step<'t>>,
    pub(super) values: Vec<Node<S>>,
}

impl<'t, S> Walk<'t, S> {
    pub(super) fn of(record: &'t str, plan: Plan<S>) -> Self {
        Self { plan, record, at: 0, from: 0, path: Vec::new(), values: Vec::new() }
    }

    /// `None` where the record has something that is not remembered.
    pub(super) fn record(&mut self) -> Option<()> {
        self.value()?;
        self.at = self.record.len();
        self.push(Kind::End, None, self.at..self.at)
    }

    fn push(&mut self, kind: Kind, stands_for: Option<S>, value: Range<usize>) -> Option<()> {
        if self.values.len() == MAX_VALUES {
            return None;
        }
        let before = self.record.as_bytes().get(self.from..value.start)?.into();
        self.values.push(Node { before, kind, stands_for, next: Vec::new() });
        (self.from, self.at) = (value.end, value.end);
        Some(())
    }

    fn rest(&self) -> &'t [u8] {
        self.record.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space, which is gone past if it is `byte`.
    fn passes(&mut self, byte: u8) -> bool {
        self.at += self.rest().iter().take_while(|byte| **byte == b' ').count();
        let there = self.rest().first() == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self) -> Option<()> {
        if self.path.len() == MAX_PATH {
            return None;
        }
        if self.passes(b'{') {
            return self.members();
        }
        if self.passes(b'"') {
            return self.leaf(Kind::Text);
        }
        match self.rest().first()? {
            b'[' if texts(self.rest()).is_none() => self.elements(),
            b'[' => self.leaf(Kind::Texts),
            b't' | b'f' => self.leaf(Kind::Bool),
            b'n' => self.leaf(Kind::Null),
            _ => self.leaf(Kind::Number),
        }
    }

    fn leaf(&mut self, kind: Kind) -> Option<()> {
        let stands_for = match (self.plan)(&self.path, kind) {
            Use::Passed => None,
            Use::Taken(this) => Some(this),
            Use::Unfit => return None,
        };
        if kind == Kind::Null {
            self.at += "null".len();
            return Some(());
        }
        let length = kind.length(self.rest())?;
        self.push(kind, stands_for, self.at..self.at + length)?;
        // The mark at its end is part of what follows a text.
        self.at += usize::from(kind == Kind::Text);
        Some(())
    }

    fn members(&mut self) -> Option<()> {
        let mut names: Vec<&str> = Vec::new();
        while !self.passes(b'}') {
            if !names.is_empty() && !self.passes(b',') {
                return None;
            }
            let start = self.passes(b'"').then_some(self.at)?;
            self.at += memchr(b'"', self.rest())? + 1;
            let name = self.record.get(start..self.at - 1)?;
            // Readers differ in what they make of a name that comes twice.
            if !self.passes(b':') || names.len() == MAX_MEMBERS || names.contains(&name) {
                return None;
            }
            names.push(name);
            self.path.push(Step::Member(name));
            self.value()?;
            self.path.pop();
        }
        Some(())
    }

    fn elements(&mut self) -> Option<()> {
        self.at += 1;
        self.path.push(Step::Element);
        while !self.passes(b']') {
            self.value()?;
            self.passes(b',');
        }
        self.path.pop();
        Some(())
    }
}
