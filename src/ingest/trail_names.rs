//! Which field a member of a trail's record stands for, remembered: the records of a trail repeat the same few names, mostly
//! in the same order.

use std::cell::RefCell;
use std::collections::HashMap;

use super::fold::{Folded, fold};
use super::trail_fields::{Field, field_of};

/// A field, and the rank of the name it came by.
pub type Place = (Field, u8);

/// Added to the rank of a name that is only known without the member it is nested under.
const TAIL_RANK: u8 = 20;
/// Names that are remembered at most, and those whose order is: hostile records do not repeat theirs.
const MAX_REMEMBERED: usize = 256;
const MAX_ORDERED: usize = 48;

/// The field that a member stands for, by its whole path and, less surely, by its own name.
pub fn place_of(path: &Folded, tail: &Folded) -> Option<Place> {
    field_of(path.as_str()).or_else(|| field_of(tail.as_str()).map(|(field, rank)| (field, rank + TAIL_RANK)))
}

/// Names as they are written, with what they stand for.
#[derive(Default)]
pub struct Names {
    known: HashMap<Box<str>, Option<Place>, foldhash::fast::RandomState>,
    /// Names in the order in which records have them.
    order: Vec<(Box<str>, Option<Place>)>,
}

thread_local! {
    static NAMES: RefCell<Names> = RefCell::default();
}

/// Lends what this thread remembers.
pub fn with_names<T>(with: impl FnOnce(&mut Names) -> T) -> T {
    NAMES.with_borrow_mut(with)
}

impl Names {
    /// The field that a member of the record itself (not of an object in it) stands for. `next` is where in the usual
    /// order it is to be expected, and then where the one after it is.
    pub fn place(&mut self, next: &mut usize, name: &str) -> Option<Place> {
        let ahead = self.order.get(*next..).unwrap_or_default();
        if let Some(n) = ahead.iter().position(|(known, _)| **known == *name) {
            *next += n + 1;
            return ahead[n].1;
        }
        let place = self.look_up(name);
        if self.order.len() < MAX_ORDERED && *next <= self.order.len() {
            self.order.insert(*next, (name.into(), place));
            *next += 1;
        }
        place
    }

    fn look_up(&mut self, name: &str) -> Option<Place> {
        if let Some(place) = self.known.get(name) {
            return *place;
        }
        let folded = fold(name);
        let place = place_of(&folded, &folded);
        if self.known.len() < MAX_REMEMBERED {
            self.known.insert(name.into(), place);
        }
        place
    }
}
