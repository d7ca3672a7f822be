//! Names that recur (steps, callers, buckets, regions) as small numbers.

use std::collections::HashMap;

/// A name's number; 0 stands for an unknown name.
pub type Symbol = u32;

/// The names that were met, in order of their first appearance.
#[derive(Default)]
pub struct Symbols {
    numbers: HashMap<Box<str>, Symbol, foldhash::fast::RandomState>,
    names: Vec<Box<str>>,
}

impl Symbols {
    /// The number of `name`.
    pub fn of(&mut self, name: &str) -> Symbol {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.into());
        let number = Symbol::try_from(self.names.len()).unwrap_or(Symbol::MAX);
        self.numbers.insert(name.into(), number);
        number
    }

    /// The number of a name that is likely to be that of `before`; 0 where there is none.
    pub fn near(&mut self, name: Option<&str>, before: Option<&Symbol>) -> Symbol {
        let Some(name) = name else { return 0 };
        match before.filter(|symbol| self.name(**symbol) == Some(name)) {
            Some(symbol) => *symbol,
            None => self.of(name),
        }
    }

    /// The number of `name` if it was met.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Symbol> {
        self.numbers.get(name).copied()
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, symbol: Symbol) -> Option<&str> {
        self.names.get((symbol as usize).checked_sub(1)?).map(AsRef::as_ref)
    }

    /// Takes in the names of `other`; the result gives its numbers as numbers here.
    pub fn merge(&mut self, other: &Self) -> Vec<Symbol> {
        std::iter::once(0).chain(other.names.iter().map(|name| self.of(name))).collect()
    }
}
